//! A worker for a test, with the real binary and the real plugins.

use graftd::ingest::format::{Decoded, Format};
use graftd::worker::{Worker, WorkerConf, WorkerError};
use plugin_api::delta::wire::{Op, Reader};
use plugin_api::{Access, Clock, Fields, Params};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// How long what has no bound of its own may take: a machine that also builds is slow.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A limit that is not meant to be reached.
pub const AMPLE: Duration = Duration::from_secs(15);

/// Address space for plugins that behave.
pub const MEMORY: u64 = 256 << 20;

/// The daemon's binary. Where a test runs as another user, a copy that this one may reach.
pub fn exe() -> PathBuf {
    std::env::var_os("GRAFTD_TEST_EXE").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_graftd")), PathBuf::from)
}

/// A built plugin.
pub fn plugin(name: &str) -> PathBuf {
    let folder = exe().parent().expect("the binary lies in a folder").to_owned();
    let file = folder.join(format!("libgraft_{}.so", name.replace('-', "_")));
    assert!(file.is_file(), "{} is missing: run `make build` first", file.display());
    file
}

pub struct Start {
    pub exe: PathBuf,
    pub plugin: PathBuf,
    pub params: Params,
    /// Starting takes longer than working, on a machine that also builds.
    pub start_limit: Duration,
    pub limit: Duration,
    pub memory: u64,
}

impl Start {
    pub fn new(plugin_name: &str) -> Start {
        Start {
            exe: exe(),
            plugin: plugin(plugin_name),
            params: Params::new(),
            start_limit: AMPLE,
            limit: AMPLE,
            memory: MEMORY,
        }
    }

    pub fn with(mut self, name: &str, value: &str) -> Start {
        self.params = self.params.with(name, value);
        self
    }

    pub fn limit(mut self, limit: Duration) -> Start {
        self.limit = limit;
        self
    }

    pub fn go(&self) -> Result<Worker, WorkerError> {
        Worker::start(&WorkerConf {
            exe: &self.exe,
            plugin: &self.plugin,
            gmod: None,
            cancel: None,
            printed: None,
            params: &self.params,
            start_limit: self.start_limit,
            time_limit: self.limit,
            memory_bytes: self.memory,
        })
    }

    #[track_caller]
    pub fn up(&self) -> Worker {
        self.go().unwrap_or_else(|error| panic!("{error}"))
    }
}

pub fn now() -> Clock {
    Clock::new(1_430_000_000_000, 1_000_000_000)
}

/// Does something with the records of some lines.
pub fn with_records<T>(lines: &str, wants: Fields, work: impl FnOnce(&[Access<'_>]) -> T) -> T {
    let mut parser = Format::compile("timed").expect("known").parser(wants);
    let (mut decoded, mut records) = (Decoded::default(), Vec::new());
    for line in lines.lines() {
        parser.parse(line, &mut records, &mut decoded).expect("a good line");
    }
    decoded.settle(&mut records);
    work(&records)
}

/// A line of the format `timed`.
pub fn line(path: &str, status: u16) -> String {
    format!(
        "192.0.2.1 - - [01/May/2025:00:00:00 +0000] \"GET {path} HTTP/1.1\" {status} 10 \"-\" \"curl/8.5.0\" 0.012 0.010\n"
    )
}

/// What a frame says, by path.
pub fn read(frame: &[u8]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    if frame.is_empty() {
        return found;
    }
    let mut reader = Reader::new(frame).expect("a frame");
    while let Some(entry) = reader.next_entry().expect("a good entry") {
        let said = match entry.op {
            Op::Add(x) | Op::Set(x) | Op::Number(x) => x.to_string(),
            Op::Text(text) => text.to_owned(),
            other => format!("{other:?}"),
        };
        found.insert(reader.path().join(","), said);
    }
    found
}

/// What a pipe has folded.
pub fn flushed(worker: &mut Worker) -> Result<BTreeMap<String, String>, WorkerError> {
    let mut frame = Vec::new();
    worker.flush(now(), &mut frame)?;
    Ok(read(&frame))
}

/// What a collector finds.
pub fn collected(worker: &mut Worker) -> Result<BTreeMap<String, String>, WorkerError> {
    let mut frame = Vec::new();
    worker.collect(now(), &mut frame)?;
    Ok(read(&frame))
}

/// Whether a process is there and alive.
pub fn lives(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X'])))
}

/// The processes that run a plugin for this keeper: the worker, and all that were forked from it, for a fork keeps the
/// command line.
pub fn litter(keeper: u32) -> Vec<u32> {
    let mark = format!("\0--inside\0{keeper}\0");
    let pids = fs::read_dir("/proc").expect("/proc").flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains(&mark)))
        .collect()
}

/// Lets go of a worker, and waits until it is gone with all that it started. Letting go takes no time.
#[track_caller]
pub fn gone(worker: Worker) {
    let keeper = worker.keeper_pid().expect("kept");
    let began = Instant::now();
    drop(worker);
    assert!(began.elapsed() < Duration::from_millis(500), "letting go took {:?}", began.elapsed());
    until("the keeper's end", || !lives(keeper));
    assert_eq!(litter(keeper), Vec::<u32>::new(), "left behind");
}

/// Waits for something; a process's end tells nobody but its parent, so it is looked for.
#[track_caller]
pub fn until(what: &str, mut is: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < end, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// This test binary once more, as another process, with copies of all it needs where any user may read them.
pub struct Again {
    folder: PathBuf,
    pub command: Command,
}

impl Again {
    pub fn new(name: &str) -> Again {
        let folder = std::env::temp_dir().join(format!("graftd-worker-{name}-{}", std::process::id()));
        fs::create_dir(&folder).expect("a folder");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("open");
        let copy = |from: &Path| {
            let to = folder.join(from.file_name().expect("a file"));
            fs::copy(from, &to).expect("copied");
            fs::set_permissions(&to, fs::Permissions::from_mode(0o755)).expect("open");
            to
        };
        let mut command = Command::new(copy(&std::env::current_exe().expect("this")));
        command.env("GRAFTD_TEST_EXE", copy(&exe())).current_dir("/");
        for name in ["wild", "wild-collector"] {
            copy(&plugin(name));
        }
        Again { folder, command }
    }
}

impl Drop for Again {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
