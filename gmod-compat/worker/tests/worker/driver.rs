//! The daemon's end of a worker, for tests.

use gmod_compat::protocol::declared::Declared;
use gmod_compat::protocol::gmod::{Group, Language, Start};
use gmod_compat::protocol::records::Encoder;
use gmod_compat::protocol::reply::Reply;
use gmod_compat::protocol::wire::{self, Messages, tag};
use plugin_api::delta::wire::{Op, Reader};
use plugin_api::{Access, Clock, Error, Fields, Params};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;

/// A module's file among the tests' own.
pub(crate) fn module(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/modules").join(name)
}

/// What is told at the start, to be changed at will.
pub(crate) struct Setup {
    pub(crate) start: Start,
    pub(crate) params: Params,
    pub(crate) kept: Vec<u8>,
    /// A folder that is handed over open.
    pub(crate) folder: Option<PathBuf>,
}

/// The usual order for this file.
pub(crate) fn setup(file: &Path) -> Setup {
    let start = Start {
        plugin: file.file_stem().expect("a file").to_string_lossy().into_owned(),
        language: Language::Python,
        file: file.to_string_lossy().into_owned(),
        folder: file.parent().map(|folder| folder.to_string_lossy().into_owned()),
        host: "me".to_owned(),
        every_ms: 10_000,
        every_of_on_ms: None,
        groups: None,
        debug_level: 0,
        python: None,
        symbol: None,
        c_params: None,
    };
    Setup { start, params: Params::new(), kept: Vec::new(), folder: None }
}

impl Setup {
    pub(crate) fn groups(mut self, text: &str) -> Setup {
        let tree = gmod_compat::conf::parse("m.on", text.as_bytes(), &|_| None).expect("a text");
        let gmond = gmod_compat::conf::Gmond::from_tree(&tree).expect("groups");
        self.start.groups = Some(gmond.collection_groups.iter().map(Group::from).collect());
        self
    }

    pub(crate) fn params(mut self, params: Params) -> Setup {
        self.params = params;
        self
    }

    /// Starts the worker and hears what it says of the module.
    pub(crate) fn start(self) -> (Worker, Result<Told, Error>) {
        let worker = Worker::spawn(Path::new(&self.start.file), self.folder.as_deref());
        self.begin(worker)
    }

    /// The same, in a process that it shares.
    pub(crate) fn start_in(self, shared: &Shared) -> (Worker, Result<Told, Error>) {
        let worker = shared.hand_in(Path::new(&self.start.file));
        self.begin(worker)
    }

    fn begin(self, mut worker: Worker) -> (Worker, Result<Told, Error>) {
        assert!(matches!(worker.hear(), (Reply::Hello(_), _)));
        worker.say(tag::START, &self.start.encode(&self.params, &self.kept).expect("an order"));
        let mut keep = None;
        let mut declared = Declared::default();
        loop {
            match worker.hear() {
                (Reply::Keep, body) => keep = Some(body),
                (Reply::Loaded(loaded), _) => declared = *loaded,
                (Reply::Ready { is_pipe, wants }, _) => {
                    worker.wants = wants;
                    return (worker, Ok(Told { declared, is_pipe, keep }));
                }
                (Reply::Failed(error), _) => return (worker, Err(error)),
                (other, _) => panic!("{other:?}"),
            }
        }
    }

    /// The same, for a module that can be made.
    pub(crate) fn run(self) -> (Worker, Told) {
        let (worker, told) = self.start();
        (worker, told.expect("a module"))
    }

    /// The same, in a process that it shares.
    pub(crate) fn run_in(self, shared: &Shared) -> (Worker, Told) {
        let (worker, told) = self.start_in(shared);
        (worker, told.expect("a module"))
    }

    /// The same, for one that cannot: why.
    pub(crate) fn refused(self) -> Error {
        self.start().1.expect_err("no module")
    }
}

#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) declared: Declared,
    pub(crate) is_pipe: bool,
    pub(crate) keep: Option<Vec<u8>>,
}

pub(crate) struct Worker {
    /// None where it shares it.
    child: Option<Child>,
    data: UnixStream,
    replies: Messages<UnixStream>,
    wants: Fields,
    words: Option<JoinHandle<String>>,
}

/// What a sample came to: the entries by path, and what failed.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    pub(crate) entries: BTreeMap<String, String>,
    pub(crate) meta: BTreeMap<String, Vec<(String, String)>>,
    pub(crate) error: Option<Error>,
}

impl Sample {
    pub(crate) fn of(frame: &[u8]) -> Sample {
        let mut sample = Sample::default();
        if frame.is_empty() {
            return sample;
        }
        let mut reader = Reader::new(frame).expect("a frame");
        while let Some(entry) = reader.next_entry().expect("a frame") {
            let path = reader.path().join(",");
            let text = match entry.op {
                Op::Meta(pairs) => {
                    let pairs = pairs.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
                    sample.meta.insert(path, pairs);
                    continue;
                }
                Op::Set(number) => format!("{number}"),
                Op::Text(text) => format!("{text:?}"),
                Op::Total(number) => format!("total {number}"),
                Op::Add(number) => format!("+{number}"),
                Op::Bool(flag) => format!("{flag}"),
                Op::Action(action) => format!("{action:?}"),
                Op::Quantiles(_) => "quantiles".to_owned(),
                Op::Distinct(_) => "distinct".to_owned(),
                Op::Top(_) => "top".to_owned(),
                other => format!("{other:?}"),
            };
            let place = sample.entries.entry(path).or_default();
            *place = if place.is_empty() { text } else { format!("{place} {text}") };
        }
        sample
    }

    /// All entries in a line.
    pub(crate) fn line(&self) -> String {
        self.entries.iter().map(|(path, value)| format!("{path}={value}")).collect::<Vec<_>>().join(" ")
    }

    /// The first line of what failed, empty if nothing did.
    pub(crate) fn fault(&self) -> String {
        self.error.as_ref().map_or_else(String::new, |error| first_line(error).to_owned())
    }
}

pub(crate) fn first_line(error: &Error) -> &str {
    error.message().lines().next().unwrap_or_default()
}

impl Worker {
    fn spawn(file: &Path, folder: Option<&Path>) -> Worker {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        let image = File::open(file).expect("the module");
        fcntl_setfd(&image, FdFlags::empty()).expect("inherited");
        let mut arguments = vec!["--image-fd".to_owned(), image.as_raw_fd().to_string()];
        let folder = folder.map(|folder| File::open(folder).expect("the folder"));
        if let Some(folder) = &folder {
            fcntl_setfd(folder, FdFlags::empty()).expect("inherited");
            arguments.extend(["--folder-fd".to_owned(), folder.as_raw_fd().to_string()]);
        }
        let mut child = Command::new(env!("CARGO_BIN_EXE_graftd-gmod"))
            .args(arguments)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .current_dir("/")
            .spawn()
            .expect("a worker");
        let words = words_of(&mut child);
        let replies = Messages::of(ours.try_clone().expect("cloned"));
        Worker { child: Some(child), data: ours, replies, wants: Fields::NONE, words: Some(words) }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("a process of its own").id()
    }

    pub(crate) fn say(&mut self, tag: u8, body: &[u8]) {
        let mut message = Vec::new();
        wire::put(&mut message, tag, body);
        self.data.write_all(&message).expect("a worker");
    }

    /// The next answer, and its body.
    pub(crate) fn hear(&mut self) -> (Reply, Vec<u8>) {
        self.hear_if_any().expect("an answer")
    }

    /// The same; none if the worker is gone.
    pub(crate) fn hear_if_any(&mut self) -> Option<(Reply, Vec<u8>)> {
        let (tag, body) = self.replies.next().unwrap_or(None)?;
        Some((Reply::decode(tag, body).expect("sense"), body.to_vec()))
    }

    /// Has it sampled so many seconds after the start of time.
    pub(crate) fn collect(&mut self, second: u64) -> Sample {
        let clock = Clock::new(1_700_000_000_000 + second as i64 * 1000, (1_000 + second) * 1_000_000_000);
        self.say(tag::COLLECT, &wire::clock_bytes(clock));
        self.answer()
    }

    fn answer(&mut self) -> Sample {
        match self.hear() {
            (Reply::Frame, body) => Sample::of(&body),
            (Reply::Partly { error, frame_at }, body) => Sample { error: Some(error), ..Sample::of(&body[frame_at..]) },
            (Reply::Failed(error), _) => Sample { error: Some(error), ..Sample::default() },
            (other, _) => panic!("{other:?}"),
        }
    }

    /// Has it fold a batch: how many batches were, or why not.
    pub(crate) fn batch(&mut self, records: &[Access<'_>]) -> Result<u32, Error> {
        let mut encoder = Encoder::new(self.wants);
        assert!(encoder.encode(Clock::new(1, 1), records).is_empty());
        self.data.write_all(&encoder.parts().concat()).expect("a worker");
        match self.hear() {
            (Reply::Done(batches), _) => Ok(batches),
            (Reply::Failed(error), _) => Err(error),
            (other, _) => panic!("{other:?}"),
        }
    }

    pub(crate) fn flush(&mut self) -> Sample {
        self.say(tag::FLUSH, &wire::clock_bytes(Clock::new(1, 1)));
        self.answer()
    }

    /// No more orders, and waits for the module's end.
    pub(crate) fn leave(mut self) {
        self.data.shutdown(std::net::Shutdown::Write).expect("a socket");
        assert!(self.hear_if_any().is_none());
    }

    /// No more orders: how it ends, and all that it printed.
    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        self.data.shutdown(std::net::Shutdown::Write).expect("a socket");
        self.ended()
    }

    /// How it ended, and all that it printed.
    pub(crate) fn ended(&mut self) -> (ExitStatus, String) {
        let status = self.child.as_mut().expect("a process of its own").wait().expect("its end");
        let words = self.words.take().map(|words| words.join().expect("its words"));
        (status, words.unwrap_or_default())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn words_of(child: &mut Child) -> JoinHandle<String> {
    let mut stderr = child.stderr.take().expect("piped");
    std::thread::spawn(move || {
        let mut words = Vec::new();
        let _ = stderr.read_to_end(&mut words);
        String::from_utf8_lossy(&words).into_owned()
    })
}

/// A process that several modules share.
pub(crate) struct Shared {
    child: Child,
    door: Option<UnixStream>,
    words: Option<JoinHandle<String>>,
}

impl Shared {
    pub(crate) fn spawn() -> Shared {
        let (door, theirs) = UnixStream::pair().expect("a pair");
        let mut command = Command::new(env!("CARGO_BIN_EXE_graftd-gmod"));
        command.arg("--shared").stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.current_dir("/").spawn().expect("a worker");
        let words = words_of(&mut child);
        Shared { child, door: Some(door), words: Some(words) }
    }

    /// Hands a module in.
    fn hand_in(&self, file: &Path) -> Worker {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        let image = File::open(file).expect("the module");
        let descriptors = [theirs.as_fd(), image.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut with = SendAncillaryBuffer::new(&mut space);
        with.push(SendAncillaryMessage::ScmRights(&descriptors));
        let door = self.door.as_ref().expect("open");
        sendmsg(door, &[IoSlice::new(&[1])], &mut with, SendFlags::empty()).expect("handed in");
        let replies = Messages::of(ours.try_clone().expect("cloned"));
        Worker { child: None, data: ours, replies, wants: Fields::NONE, words: None }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// No more modules: how it ends, and all that it printed.
    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        self.door = None;
        let status = self.child.wait().expect("its end");
        (status, self.words.take().expect("once").join().expect("its words"))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder of a test's own, gone with it.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("graftd-gmod-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
