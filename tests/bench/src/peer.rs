//! Other programs, to be measured beside ours: found where Debian's packages put them, started on loopback with a folder and
//! ports of their own, ended by their number.

use crate::figures::cpu_of;
use crate::wire::Http;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a peer may take to listen, to be done with something, or to end.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// A program, by its name; none, with a word on what is skipped, when it is not installed.
pub(crate) fn program(name: &str, package: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/usr/local/bin"].map(PathBuf::from));
    let found = folders.map(|folder| folder.join(name)).find(|file| file.is_file());
    if found.is_none() {
        println!("skipped: {name} is not installed (Debian's package {package})");
    }
    found
}

/// A port that nobody listens on now, by TCP.
pub(crate) fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    Ok(listener.local_addr().map_err(|error| error.to_string())?.port())
}

/// A folder that is gone when it is dropped.
pub(crate) fn folder() -> Result<TempDir, String> {
    tempfile::Builder::new().prefix("graftd-bench-peer-").tempdir().map_err(|error| error.to_string())
}

/// A program that runs. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Peer {
    name: &'static str,
    child: Child,
    /// Where it listens.
    address: SocketAddr,
    /// What it works in, gone after it.
    folder: TempDir,
}

impl Peer {
    /// Starts it and waits until it listens on the port.
    pub(crate) fn start(name: &'static str, command: &mut Command, port: u16, folder: TempDir) -> Result<Peer, String> {
        let mut peer = Peer::silent(name, command, folder)?;
        peer.address.set_port(port);
        let began = Instant::now();
        while TcpStream::connect(peer.address).is_err() {
            if let Ok(Some(status)) = peer.child.try_wait() {
                return Err(format!("{name} ended with {status}: {}", peer.said()));
            }
            if began.elapsed() > PATIENCE {
                return Err(format!("{name} does not listen: {}", peer.said()));
            }
            sleep(LOOK);
        }
        Ok(peer)
    }

    /// Starts one that listens nowhere.
    pub(crate) fn silent(name: &'static str, command: &mut Command, folder: TempDir) -> Result<Peer, String> {
        let said = folder.path().join("said");
        let out = || fs::File::create(&said).map_err(|error| format!("{}: {error}", said.display()));
        command.stdin(Stdio::null()).stdout(out()?).stderr(out()?).current_dir(folder.path());
        let child = command.spawn().map_err(|error| format!("{name}: {error}"))?;
        Ok(Peer { name, child, address: SocketAddr::from(([127, 0, 0, 1], 0)), folder })
    }

    fn said(&self) -> String {
        let said = fs::read_to_string(self.folder.path().join("said")).unwrap_or_default();
        said.chars().take(2_000).collect()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// CPU time so far, of its children too.
    pub(crate) fn cpu(&self) -> Duration {
        cpu_of(self.process())
    }

    /// A connection for requests.
    pub(crate) fn client(&self) -> Result<Http, String> {
        Http::connect(self.address).map_err(|error| format!("{}: {error}", self.name))
    }

    /// GET; the body, if the answer is a success.
    pub(crate) fn get(&self, path: &str) -> Result<String, String> {
        let body = self.client()?.good("GET", path, b"").map_err(|error| format!("{}: {error}", self.name))?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Some(process) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(process, Signal::TERM);
        }
        let began = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && began.elapsed() < Duration::from_secs(10) {
            sleep(LOOK);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Looks until it is so.
pub(crate) fn await_that(what: &str, mut is: impl FnMut() -> Result<bool, String>) -> Result<(), String> {
    let began = Instant::now();
    while !is()? {
        if began.elapsed() > PATIENCE {
            return Err(format!("{what}: not within {PATIENCE:?}"));
        }
        sleep(LOOK);
    }
    Ok(())
}

/// Lengths of all files below a folder whose name ends so.
pub(crate) fn bytes_below(folder: &Path, ending: &str) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => bytes_below(&entry.path(), ending),
            Ok(meta) if meta.is_file() && entry.file_name().to_string_lossy().ends_with(ending) => meta.len(),
            _ => 0,
        })
        .sum()
}
