//! Why a worker did not do what it was asked, in words for `/modules`.

use gmod_compat::protocol::reply::{Ended, one_line};
use plugin_api::Error;
use plugin_api::limits::cut;
use std::fmt;
use std::time::Duration;

/// Bytes of a worker's last words that are shown.
const SHOWN_BYTES: usize = 200;

/// Why a worker did not do what it was asked. After all of them but [`WorkerError::Module`] and
/// [`WorkerError::Partly`] the worker is gone, and after the first of these too where its module is a pipe.
#[derive(Clone, Debug, PartialEq)]
pub enum WorkerError {
    /// The plugin said so; a panic that was caught inside it too.
    Module(Error),
    /// A part of a sample failed; the rest is there.
    Partly(Error),
    /// It did not come back in time, and was killed.
    Late {
        /// Where it was: `process`, `new`, …
        doing: &'static str,
        /// How long it had.
        limit: Duration,
    },
    /// Its process ended: how and where, in one line.
    Died(String),
    /// It sent what makes no sense, and was killed.
    Lied(String),
    /// No worker could be started: the moment's fault or the machine's, not the plugin's.
    NotStarted(String),
}

impl fmt::Display for WorkerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WorkerError::Module(error) | WorkerError::Partly(error) => write!(f, "{error}"),
            WorkerError::Late { doing, limit } => write!(f, "did not come back within {limit:?} from {doing}"),
            WorkerError::Died(how) => f.write_str(how),
            WorkerError::Lied(what) => write!(f, "its worker sent {what}"),
            WorkerError::NotStarted(why) => write!(f, "no worker can be started: {why}"),
        }
    }
}

impl std::error::Error for WorkerError {}

/// How a worker's process ended, in one line.
pub(super) fn died(ended: &Ended, doing: &str, memory_bytes: u64) -> WorkerError {
    let said = &ended.last_words;
    // What the standard library of Rust and of C++ print before they abort.
    let out_of_memory = said.contains("memory allocation of ") || said.contains("std::bad_alloc");
    let mib = memory_bytes / (1024 * 1024);
    let how = match (ended.signal, ended.code) {
        (Some(libc::SIGABRT), _) if out_of_memory => {
            return WorkerError::Died(format!("used more than {mib} MiB of memory in {doing}"));
        }
        (Some(libc::SIGXFSZ), _) => {
            let mib = crate::limits::WORKER_FILE_BYTES_MAX / (1024 * 1024);
            return WorkerError::Died(format!("wrote more than {mib} MiB to a file in {doing}"));
        }
        (Some(libc::SIGKILL), _) => {
            format!("was killed in {doing}, not by graftd; the kernel does that when the machine's memory runs out")
        }
        (Some(signal), _) => format!("crashed with {} in {doing}", signal_name(signal)),
        (None, Some(code)) => format!("ended the process with exit code {code} in {doing}"),
        (None, None) => format!("ended in {doing}, and so did its keeper, which was killed"),
    };
    let last = last_of(said);
    WorkerError::Died(match &*last {
        "" => how,
        last => format!("{how}; it said: {}", one_line(cut(last, SHOWN_BYTES))),
    })
}

/// What says most of its last words: the last line, or of a crash in Python what it was and the innermost line of a module.
fn last_of(said: &str) -> String {
    let mut lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
    let crash = said.rfind("Fatal Python error: ").map(|at| &said[at..]);
    let Some(mut crash) = crash.map(str::lines) else { return lines.next_back().unwrap_or_default().to_owned() };
    let what = crash.next().unwrap_or_default();
    // A name in angles is of the program's own, and the library is Python's.
    let is_module =
        |line: &&str| line.starts_with("File ") && !line.starts_with("File \"<") && !line.contains("/lib/python3");
    match crash.map(str::trim).find(is_module) {
        Some(place) => format!("{what}; {place}"),
        None => what.to_owned(),
    }
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        libc::SIGILL => "SIGILL",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGSYS => "SIGSYS",
        libc::SIGTERM => "SIGTERM",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_in_one_line() {
        let by = |signal, code, said: &str| {
            let ended = Ended { signal, code, last_words: said.to_owned() };
            died(&ended, "process", 512 << 20).to_string()
        };
        assert_eq!(by(Some(11), None, ""), "crashed with SIGSEGV in process");
        assert_eq!(by(None, Some(0), ""), "ended the process with exit code 0 in process");
        let python = "x\nFatal Python error: Segmentation fault\n\nCurrent thread 0x1 (most recent call first):\n  \
                      File \"<graftd_py2>\", line 3 in f\n  File \"/usr/lib/python3.11/ctypes/x.py\", line 4 in g\n  File \"/p/m.py\", line 5 in cb\n  File \"/p/m.py\", line 9 in up\n";
        assert_eq!(
            by(Some(11), None, python),
            "crashed with SIGSEGV in process; it said: Fatal Python error: Segmentation fault; File \"/p/m.py\", line 5 in cb"
        );
        assert_eq!(
            by(Some(6), None, "one\nnot \x1b[1mnow\n\n"),
            "crashed with SIGABRT in process; it said: not  [1mnow"
        );
        assert_eq!(
            by(Some(6), None, "memory allocation of 9 bytes failed\n"),
            "used more than 512 MiB of memory in process"
        );
        assert_eq!(by(Some(25), None, ""), "wrote more than 64 MiB to a file in process");
        assert!(by(None, None, "").contains("keeper"));
        let late = WorkerError::Late { doing: "flush", limit: Duration::from_millis(1_500) };
        assert_eq!(late.to_string(), "did not come back within 1.5s from flush");
    }
}
