//! A running daemon.

use crate::fixtures::may_read_all;
use crate::http::{Answer, Asked, Client};
use crate::stream::Lines;
use crate::{Folders, PATIENCE, Ran, binary, copy, encode, graftd};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs;
use std::io::Read;
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The host's name in the paths of every daemon under test.
pub const HOST: &str = "testhost";

/// What is to be started.
#[derive(Debug)]
pub struct Builder {
    folders: Arc<Folders>,
    host: String,
    tick: Duration,
    settings: String,
    args: Vec<String>,
    binary: Option<PathBuf>,
    through: Vec<String>,
    names_folders: bool,
}

/// A running daemon, with folders and ports of its own. Dropping it stops it.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    stdout: Lines,
    stderr: Arc<Mutex<String>>,
    reads_stderr: Option<JoinHandle<()>>,
    client: Client,
    http: SocketAddr,
    push: SocketAddr,
    /// The line that said it was ready.
    ready: String,
    folders: Arc<Folders>,
    stopped: bool,
}

impl Builder {
    /// These plugins, as they were built.
    #[must_use]
    pub fn plugins(self, names: &[&str]) -> Builder {
        self.folders.copy_plugins(names);
        self
    }

    /// A file in the conf folder: `url.on` and what stands in it.
    #[must_use]
    pub fn conf(self, name: &str, text: &str) -> Builder {
        self.folders.write_conf(name, text);
        self
    }

    /// In these folders, where another has run before.
    #[must_use]
    pub fn folders(mut self, folders: &Arc<Folders>) -> Builder {
        self.folders = Arc::clone(folders);
        self
    }

    /// The host's name in its paths; [`HOST`] unless set.
    #[must_use]
    pub fn host(mut self, name: &str) -> Builder {
        name.clone_into(&mut self.host);
        self
    }

    /// How often the daemon tells what changed; 100 ms unless set.
    #[must_use]
    pub fn tick(mut self, tick: Duration) -> Builder {
        self.tick = tick;
        self
    }

    /// More lines of `graftd.conf`.
    #[must_use]
    pub fn settings(mut self, toml: &str) -> Builder {
        self.settings.push_str(toml);
        self.settings.push('\n');
        self
    }

    /// One more argument.
    #[must_use]
    pub fn arg(mut self, arg: &str) -> Builder {
        self.args.push(arg.to_owned());
        self
    }

    /// Another binary than the one that was built.
    #[must_use]
    pub fn binary(mut self, binary: &Path) -> Builder {
        self.binary = Some(binary.to_owned());
        self
    }

    /// Through another command, which runs what it is given: `setpriv --reuid nobody`.
    #[must_use]
    pub fn through(mut self, command: &[&str]) -> Builder {
        self.through = command.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// As a user who may not read everything, as root may: nobody, where root runs the tests.
    ///
    /// # Panics
    /// Its folders cannot be given to that user.
    #[must_use]
    pub fn without_rights(self) -> Builder {
        const NOBODY: u32 = 65_534;
        if !may_read_all() {
            return self;
        }
        // The checkout may lie where nobody else may look.
        let own = self.folders.root().join("graftd-of-this-test");
        copy(&binary(), &own);
        fs::set_permissions(&own, fs::Permissions::from_mode(0o755)).expect("made executable");
        for folder in ["", "data", "conf", "plugins"] {
            chown(self.folders.root().join(folder), Some(NOBODY), Some(NOBODY)).expect("given away");
        }
        let nobody = NOBODY.to_string();
        self.binary(&own).through(&["setpriv", "--reuid", &nobody, "--regid", &nobody, "--clear-groups"])
    }

    /// Without naming the folders: it takes those of the checkout that its binary lies in.
    #[must_use]
    pub fn default_folders(mut self) -> Builder {
        self.names_folders = false;
        self
    }

    /// Starts it and waits until it listens.
    ///
    /// # Panics
    /// It does not start; what it says is in the message.
    #[must_use]
    #[track_caller]
    pub fn start(self) -> Daemon {
        let settings = format!("host = {:?}\ntick = \"{}ms\"\n{}", self.host, self.tick.as_millis(), self.settings);
        if self.names_folders || self.folders.conf("").is_dir() {
            self.folders.write_conf("graftd.conf", &settings);
        }
        let binary = self.binary.clone().unwrap_or_else(binary);
        let mut words = self.through.iter().map(Into::into).chain([binary.into_os_string()]);
        let mut command = Command::new(words.next().expect("a binary"));
        command.args(words).arg("run").arg("--data").arg(self.folders.root().join("data"));
        if self.names_folders {
            command.args(self.folders.args());
        }
        command.args(["--http", "127.0.0.1:0", "--push", "127.0.0.1:0"]).args(&self.args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("graftd starts");
        let stderr = Arc::new(Mutex::new(String::new()));
        let reads_stderr = gather(child.stderr.take().expect("piped"), Arc::clone(&stderr));
        let stdout = Lines::of(child.stdout.take().expect("piped"));
        let ready = stdout.next_within(PATIENCE);
        let addresses = ready.as_deref().and_then(addresses);
        let Some((http, push)) = addresses else {
            let _ = child.kill();
            let status = child.wait();
            let _ = reads_stderr.join();
            panic!("graftd said {ready:?} and ended with {status:?}: {}", stderr.lock().expect("stderr"));
        };
        Daemon {
            child,
            stdout,
            stderr,
            reads_stderr: Some(reads_stderr),
            client: Client::new(http),
            http,
            push,
            ready: ready.unwrap_or_default(),
            folders: self.folders,
            stopped: false,
        }
    }
}

/// Where something listens, by the line that says so.
fn listens(ready: &str, name: &str) -> Option<SocketAddr> {
    ready.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
}

/// Reads `graftd: ready http=127.0.0.1:8650 push=127.0.0.1:8651`.
fn addresses(ready: &str) -> Option<(SocketAddr, SocketAddr)> {
    let words = ready.strip_prefix("graftd: ready ")?;
    Some((listens(words, "http")?, listens(words, "push")?))
}

fn gather(mut from: impl Read + Send + 'static, into: Arc<Mutex<String>>) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut piece = [0; 4096];
        while let Ok(read @ 1..) = from.read(&mut piece) {
            if let Ok(mut into) = into.lock() {
                into.push_str(&String::from_utf8_lossy(&piece[..read]));
            }
        }
    })
}

impl Daemon {
    /// What to start: no plugins, no conf but the host's name and the tick.
    #[must_use]
    pub fn builder() -> Builder {
        Builder {
            folders: Arc::new(Folders::new()),
            host: HOST.to_owned(),
            tick: Duration::from_millis(100),
            settings: String::new(),
            args: Vec::new(),
            binary: None,
            through: Vec::new(),
            names_folders: true,
        }
    }

    /// Where its HTTP listens.
    #[must_use]
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where a built-in module listens, if it does since the start: `gmond`.
    #[must_use]
    pub fn listens(&self, name: &str) -> Option<SocketAddr> {
        listens(&self.ready, name)
    }

    /// Where it takes pushes by TCP and UDP.
    #[must_use]
    pub fn push_address(&self) -> SocketAddr {
        self.push
    }

    /// A file of its conf folder.
    #[must_use]
    pub fn conf(&self, name: &str) -> PathBuf {
        self.folders.conf(name)
    }

    /// A file of its plugins folder.
    #[must_use]
    pub fn plugin(&self, name: &str) -> PathBuf {
        self.folders.plugin(name)
    }

    /// The folders it works in; whoever keeps them can look into them when it has ended.
    #[must_use]
    pub fn folders(&self) -> &Arc<Folders> {
        &self.folders
    }

    /// Puts a file into the plugins folder as a careful user does: whole, under its name, at once.
    pub fn put_plugin(&self, name: &str, from: &Path) {
        let aside = self.plugin(&format!(".{name}.new"));
        copy(from, &aside);
        fs::rename(aside, self.plugin(name)).expect("a plugin");
    }

    /// What it has said on stderr.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.stderr.lock().map_or_else(|_| String::new(), |stderr| stderr.clone())
    }

    /// Sends a request.
    #[track_caller]
    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.client.request(method, path, headers, body)
    }

    /// Sends a request on a connection that no other has used.
    #[track_caller]
    pub fn request_anew(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        Client::new(self.http).request(method, path, headers, body)
    }

    /// GET.
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], b"")
    }

    /// POST with a content type.
    #[track_caller]
    pub fn post(&self, path: &str, content_type: &str, body: &[u8]) -> Answer {
        let headers: &[(&str, &str)] = if content_type.is_empty() { &[] } else { &[("Content-Type", content_type)] };
        self.request("POST", path, headers, body)
    }

    /// Sends these very bytes to the HTTP port on a connection of their own, `chunk` that often after the head; reads the
    /// answer.
    #[track_caller]
    pub fn raw(&self, head: &str, chunk: &[u8], repeat: usize) -> Answer {
        let mut asked = Asked::send(self.http, head);
        // A server that has heard enough may close the connection before all is sent.
        (0..repeat).all(|_| asked.send_more(chunk));
        asked.answer()
    }

    /// Sends GET on a connection of its own, without waiting for the answer.
    #[must_use]
    #[track_caller]
    pub fn ask(&self, path: &str) -> Asked {
        Asked::send(self.http, &format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.http))
    }

    /// Sends POST on a connection of its own, without waiting for the answer.
    #[must_use]
    #[track_caller]
    pub fn ask_post(&self, path: &str, content_type: &str, body: &str) -> Asked {
        let (http, length) = (self.http, body.len());
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {http}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n{body}"
        );
        Asked::send(http, &head)
    }

    /// Follows `/pull/` as a stream of events.
    ///
    /// # Panics
    /// It is refused.
    #[must_use]
    #[track_caller]
    pub fn events(&self, query: &str) -> Lines {
        let client = Client::new(self.http);
        let path = format!("/pull/?{query}");
        let (status, headers, reader) = client.open("GET", &path, &[("Accept", "text/event-stream")], b"");
        assert_eq!(status, 200, "{path}: {headers:?}");
        let kind = headers.iter().find(|(name, _)| name == "content-type").map_or("", |(_, value)| value);
        assert!(kind.starts_with("text/event-stream"), "{path}: {headers:?}");
        Lines::of(reader)
    }

    /// Pushes a document; it must be merged whole.
    ///
    /// # Panics
    /// It is not.
    #[track_caller]
    pub fn push(&self, document: &Value) {
        let answer = self.post("/push", "application/json", document.to_string().as_bytes());
        assert_eq!((answer.status, &answer.json()["rejected"]), (200, &Value::from(0)), "{answer:?}");
    }

    /// Pushes lines of an access log; all must parse.
    ///
    /// # Panics
    /// They do not.
    #[track_caller]
    pub fn push_log(&self, lines: &str) {
        let answer = self.post("/push", "text/plain", lines.as_bytes());
        assert_eq!((answer.status, &answer.json()["rejected"]), (200, &Value::from(0)), "{answer:?}");
    }

    /// The subtree at a path.
    #[must_use]
    #[track_caller]
    pub fn subtree(&self, path: &str) -> Value {
        self.get(&format!("/get/?key-{}", encode(path))).good().json()[0][path].clone()
    }

    /// The value at a path; null if there is none.
    #[must_use]
    #[track_caller]
    pub fn value(&self, path: &str) -> Value {
        self.get(&format!("/get/?key-{}&as=value", encode(path))).good().json()[0][path].clone()
    }

    /// The whole tree but for the daemon's own branches.
    #[must_use]
    #[track_caller]
    pub fn tree(&self) -> Value {
        let mut tree = self.get("/api/q/").good().json();
        if let Some(root) = tree.as_object_mut() {
            root.retain(|key, _| key != "graftd" && key != "self");
        }
        tree
    }

    /// What `/modules` says of a module; null if it does not know it.
    #[must_use]
    #[track_caller]
    pub fn module(&self, name: &str) -> Value {
        let modules = self.request("GET", "/modules", &[("Accept", "application/json")], b"").good().json();
        let mut modules = modules.as_array().cloned().unwrap_or_default().into_iter();
        modules.find(|module| module["name"] == name).unwrap_or_default()
    }

    /// Runs a mode of the command line against this daemon.
    #[track_caller]
    pub fn cli(&self, args: &[&str]) -> Ran {
        let url = format!("http://{}", self.http);
        graftd(args.iter().copied().chain(["--url", &url]))
    }

    /// Sends it a hangup, as terminals and log rotation do.
    pub fn hang_up(&self) {
        kill_process(Pid::from_child(&self.child), Signal::HUP).expect("signalled");
    }

    /// Has it stand still: it does nothing until it is resumed.
    pub fn pause(&self) {
        kill_process(Pid::from_child(&self.child), Signal::STOP).expect("signalled");
    }

    /// Has it go on.
    pub fn resume(&self) {
        kill_process(Pid::from_child(&self.child), Signal::CONT).expect("signalled");
    }

    /// Tells it to stop and waits for its end.
    ///
    /// # Panics
    /// It does not end.
    #[track_caller]
    pub fn stop(mut self) -> ExitStatus {
        self.end(Signal::TERM).expect("graftd ends when it is told to")
    }

    /// Ends it as a crash would, and waits for its end.
    pub fn kill(mut self) {
        self.end(Signal::KILL);
    }

    /// Its process.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("signalled");
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    /// It does not.
    #[track_caller]
    pub fn await_end(mut self) -> ExitStatus {
        self.await_its_end().expect("graftd ends by itself")
    }

    fn end(&mut self, signal: Signal) -> Option<ExitStatus> {
        let _ = kill_process(Pid::from_child(&self.child), signal);
        self.await_its_end()
    }

    fn await_its_end(&mut self) -> Option<ExitStatus> {
        self.stopped = true;
        // Its standard output closes when it ends.
        let ended = self.stdout.ends_within(PATIENCE);
        if !ended {
            let _ = self.child.kill();
        }
        let status = self.child.wait().ok();
        if let Some(reads) = self.reads_stderr.take() {
            let _ = reads.join();
        }
        status.filter(|_| ended)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if !self.stopped {
            self.end(Signal::TERM);
        }
        if thread::panicking() {
            eprintln!("--- what graftd said\n{}---", self.stderr());
        }
    }
}
