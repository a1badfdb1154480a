//! The servers that the modules watch, from the system's packages, each on the port that its module has as default. They
//! run only in the namespace of the tests, from folders of the test, and end with it.

use graftd_tests::PATIENCE;
use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The ports that ganglia's modules have as defaults.
pub const REDIS: u16 = 6_379;
pub const MEMCACHED: u16 = 11_211;
pub const APACHE: u16 = 7_070;
pub const MARIADB: u16 = 3_306;

/// Where Apache's status is as version 2.2 told it: 2.4 puts a line before it that `apache_status` has no answer to.
pub const STATUS_AS_2_2: &str = "/status-as-2.2";

/// How long a foreign server is left alone before it is looked for again: it tells nobody that it listens.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The account that `mysql.pyconf` names.
const ACCOUNT: &str = "
CREATE USER 'your_user'@'%' IDENTIFIED BY 'your_password';
GRANT ALL ON *.* TO 'your_user'@'%';
CREATE DATABASE load_of_the_test;
CREATE TABLE load_of_the_test.numbers (number INT PRIMARY KEY) ENGINE=InnoDB;
";

/// Servers that run. Dropping them ends each by its process.
#[derive(Debug)]
pub struct Peers {
    running: Vec<(&'static str, Child)>,
    /// Those that are not installed or do not start, and why: their modules have nobody to talk to.
    pub missing: Vec<String>,
}

impl Peers {
    /// Starts all that are installed, and waits until they listen.
    pub fn start(folder: &Path) -> Peers {
        let mut peers = Peers { running: Vec::new(), missing: Vec::new() };
        // The servers change their user.
        fs::set_permissions(folder, Permissions::from_mode(0o755)).expect("opened");
        let all = [
            ("redis", REDIS, redis(folder)),
            ("memcached", MEMCACHED, memcached()),
            ("apache2", APACHE, apache(folder)),
            ("mariadb", MARIADB, mariadb(folder)),
            ("gmond", 0, orphan_named_gmond()),
        ];
        for (name, port, command) in all {
            if let Err(why) = command.and_then(|command| peers.add(name, port, command, folder)) {
                peers.missing.push(format!("{name}: {why}"));
            }
        }
        peers.await_uptime_of_apache();
        peers
    }

    /// In its first second Apache tells its uptime as nothing at all, which `apache_status` has no answer to either.
    fn await_uptime_of_apache(&self) {
        if !self.running.iter().any(|(name, _)| *name == "apache2") {
            return;
        }
        let address = SocketAddr::from(([127, 0, 0, 1], APACHE));
        let began = Instant::now();
        loop {
            let status = ask(address, "/server-status?auto").expect("Apache answers");
            if status.contains("ServerUptime: ") {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "Apache tells no uptime: {status}");
            thread::sleep(LOOK_AGAIN);
        }
    }

    fn add(&mut self, name: &'static str, port: u16, mut command: Command, folder: &Path) -> Result<(), String> {
        let log = folder.join(format!("{name}.log"));
        let said = File::create(&log).map_err(|error| error.to_string())?;
        command.stdin(Stdio::null()).stdout(said.try_clone().map_err(|error| error.to_string())?).stderr(said);
        let mut child = command.spawn().map_err(|error| format!("{:?}: {error}", command.get_program()))?;
        let began = Instant::now();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        while port != 0 && TcpStream::connect_timeout(&address, PATIENCE).is_err() {
            let ended = child.try_wait().ok().flatten();
            if ended.is_some() || began.elapsed() > PATIENCE * 3 {
                let _ = child.kill();
                let _ = child.wait();
                let said = fs::read_to_string(&log).unwrap_or_default();
                return Err(format!("does not listen on {address} ({ended:?}): {}", said.trim()));
            }
            thread::sleep(LOOK_AGAIN);
        }
        self.running.push((name, child));
        Ok(())
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        for (_, child) in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What a server answers to a GET of HTTP 1.0, whole.
fn ask(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn redis(folder: &Path) -> Result<Command, String> {
    let mut redis = Command::new("redis-server");
    redis.args(["--bind", "127.0.0.1", "--port", &REDIS.to_string(), "--save", "", "--dir"]).arg(folder);
    Ok(redis)
}

fn memcached() -> Result<Command, String> {
    let mut memcached = Command::new("memcached");
    memcached.args(["-l", "127.0.0.1", "-p", &MEMCACHED.to_string(), "-U", "0", "-u", "nobody"]);
    Ok(memcached)
}

/// What `procstat.pyconf` looks for: a process without a parent, whose command line has `gmond` in it. It counts the memory
/// of all its group, so that has to be its own.
fn orphan_named_gmond() -> Result<Command, String> {
    let mut shell = Command::new("bash");
    shell.args(["-c", "setsid bash -c 'exec -a gmond sleep 3600' & exit"]);
    Ok(shell)
}

fn apache(folder: &Path) -> Result<Command, String> {
    let root = folder.join("apache");
    fs::create_dir_all(&root).map_err(|error| error.to_string())?;
    let modules = ["mpm_event", "authz_core", "status", "ext_filter"].map(|name| {
        // Some builds have them inside.
        let file = format!("/usr/lib/apache2/modules/mod_{name}.so");
        if Path::new(&file).exists() { format!("LoadModule {name}_module {file}\n") } else { String::new() }
    });
    let conf = format!(
        "{}ServerRoot {root}\nServerName localhost\nListen {APACHE}\nPidFile {root}/pid\nErrorLog {root}/errors\n\
         User nobody\nGroup nogroup\nDocumentRoot {root}\nExtendedStatus On\n\
         ExtFilterDefine as_2.2 mode=output cmd=\"/bin/grep :\"\n\
         <LocationMatch status>\nSetHandler server-status\nRequire all granted\n</LocationMatch>\n\
         <Location {STATUS_AS_2_2}>\nSetOutputFilter as_2.2\n</Location>\n",
        modules.concat(),
        root = root.display(),
    );
    let file = root.join("apache.conf");
    fs::write(&file, conf).map_err(|error| error.to_string())?;
    let mut apache = Command::new("apache2");
    apache.args(["-D", "FOREGROUND", "-f"]).arg(file);
    Ok(apache)
}

fn mariadb(folder: &Path) -> Result<Command, String> {
    let root = folder.join("mariadb");
    fs::create_dir_all(&root).map_err(|error| error.to_string())?;
    let account = root.join("account.sql");
    // One statement a line, as --init-file wants it.
    fs::write(&account, ACCOUNT).map_err(|error| error.to_string())?;
    let data = root.join("data");
    let mut install = Command::new("mariadb-install-db");
    install.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]);
    install.arg("--user=root").arg(format!("--datadir={}", data.display()));
    let ran = install.output().map_err(|error| format!("mariadb-install-db: {error}"))?;
    if !ran.status.success() {
        return Err(format!("mariadb-install-db: {}", String::from_utf8_lossy(&ran.stderr).trim()));
    }
    let mut mariadb = Command::new("mariadbd");
    // The test's namespace and folder hold it; another user could not write there.
    mariadb.args(["--no-defaults", "--user=root", "--bind-address=127.0.0.1", &format!("--port={MARIADB}")]);
    mariadb.arg(format!("--datadir={}", data.display())).arg(format!("--init-file={}", account.display()));
    // Below its data: a path in full may be longer than a socket's may be.
    mariadb.arg("--socket=socket");
    mariadb.args(["--innodb-buffer-pool-size=16M", "--log-bin=bin", "--server-id=1"]);
    Ok(mariadb)
}
