//! Ganglia's programs, from the system's packages.

use super::free_port;
use graftd_tests::{Folders, PATIENCE};
use std::env;
use std::fs::File;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a foreign program is left alone before it is looked for again: it tells nobody that it listens.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Where a program is. Where it is not, its test says so and is none.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found =
        env::split_paths(&path).chain(["/usr/sbin".into()]).map(|folder| folder.join(name)).find(|f| f.is_file());
    if found.is_none() {
        graftd_tests::skipped(format_args!(
            "there is no {name} here; .ci/install-deps test installs it where there are Debian's packages"
        ));
    }
    found
}

/// A program that runs until this is dropped.
#[derive(Debug)]
pub struct Peer(Child);

impl Peer {
    /// Starts it; what it says goes into a file of the test's.
    pub fn start(command: &mut Command, folders: &Folders) -> Peer {
        let log = File::create(folders.root().join("peer.log")).expect("a log");
        let again = log.try_clone().expect("a log");
        Peer(command.stdin(Stdio::null()).stdout(log).stderr(again).spawn().expect("it starts"))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until something listens there.
#[track_caller]
pub fn await_listener(port: u16, folders: &Folders) {
    let began = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let log = || std::fs::read_to_string(folders.root().join("peer.log")).unwrap_or_default();
        assert!(began.elapsed() < PATIENCE, "nothing listens at {port}: {}", log());
        thread::sleep(LOOK_AGAIN);
    }
}

/// A gmond that looks at this host each second and sends what it sees to `to`.
#[derive(Debug)]
pub struct Gmond {
    _peer: Peer,
    /// Where it takes packets and gives XML.
    pub port: u16,
}

/// Starts one, and waits until it listens.
pub fn gmond(to: u16, folders: &Folders) -> Option<Gmond> {
    let program = program("gmond")?;
    let Some(modules) = modules() else {
        graftd_tests::skipped("gmond's own modules (modload.so) are not where they are looked for");
        return None;
    };
    let modules = modules.display();
    let port = free_port();
    let conf = format!(
        "globals {{ daemonize = no setuid = no send_metadata_interval = 0 host_dmax = 0 }}\n\
         cluster {{ name = \"refcluster\" owner = \"refowner\" }}\nhost {{ location = \"1,2,3\" }}\n\
         udp_send_channel {{ host = 127.0.0.1 port = {to} }}\n\
         udp_send_channel {{ host = 127.0.0.1 port = {port} }}\n\
         udp_recv_channel {{ bind = 127.0.0.1 port = {port} }}\n\
         tcp_accept_channel {{ bind = 127.0.0.1 port = {port} }}\n\
         modules {{ module {{ name = \"core_metrics\" }}\n\
           module {{ name = \"cpu_module\" path = \"{modules}/modcpu.so\" }} module {{ name = \"load_module\" path = \"{modules}/modload.so\" }}\n\
           module {{ name = \"mem_module\" path = \"{modules}/modmem.so\" }} module {{ name = \"sys_module\" path = \"{modules}/modsys.so\" }} }}\n\
         collection_group {{ collect_once = yes time_threshold = 1 metric {{ name = \"heartbeat\" }} }}\n\
         collection_group {{ collect_once = yes time_threshold = 1 metric {{ name = \"location\" }} }}\n\
         collection_group {{ collect_every = 1 time_threshold = 1\n\
           metric {{ name = \"load_one\" title = \"One Minute Load\" }} metric {{ name = \"os_name\" }}\n\
           metric {{ name = \"cpu_num\" }} metric {{ name = \"mem_total\" }} metric {{ name = \"boottime\" }} }}\n"
    );
    let file = folders.write("real-gmond.conf", conf);
    let peer = Peer::start(Command::new(program).args(["-f", "-c", &file]), folders);
    await_listener(port, folders);
    Some(Gmond { _peer: peer, port })
}

/// The folder of gmond's own modules.
fn modules() -> Option<PathBuf> {
    let libraries = std::fs::read_dir("/usr/lib").ok()?.flatten().map(|entry| entry.path().join("ganglia"));
    let mut folders = libraries.chain([PathBuf::from("/usr/lib/ganglia"), PathBuf::from("/usr/lib64/ganglia")]);
    folders.find(|folder| folder.join("modload.so").is_file())
}

/// Runs a program to its end.
pub fn run(program: &Path, args: &[&str]) -> (i32, String) {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output().expect("it runs");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned())
}
