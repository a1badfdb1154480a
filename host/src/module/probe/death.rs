//! How a process that ran a plugin came to its end, in one line that says what to do.

use crate::limits::{PROBE_MEMORY_BYTES, PROBE_TIME_MAX};
use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// The exit code of a probe whose standard output the plugin has closed.
pub(super) const OUTPUT_CLOSED: i32 = 97;

/// The end of a probe's process.
#[derive(Debug)]
pub(super) struct Death<'a> {
    /// How it ended.
    pub(super) status: ExitStatus,
    /// At which step: `in its new()`.
    pub(super) doing: &'a str,
    /// The last lines that it printed.
    pub(super) words: &'a [String],
}

/// What Rust's and C++'s libraries say when there is no more memory, before they abort.
const OUT_OF_MEMORY: [&str; 2] = ["memory allocation of", "std::bad_alloc"];

/// What Rust's library says before it aborts.
const OUT_OF_STACK: &str = "stack overflow";

/// Whether a line says why its process is about to end.
pub(super) fn tells_why(line: &str) -> bool {
    OUT_OF_MEMORY.iter().chain([&OUT_OF_STACK]).any(|said| line.contains(said))
}

impl fmt::Display for Death<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Death { status, doing, words } = self;
        let says = |what: &str| words.iter().any(|line| line.contains(what));
        match (status.signal(), status.code()) {
            (Some(6), _) if OUT_OF_MEMORY.iter().any(|said| says(said)) => {
                let mib = PROBE_MEMORY_BYTES / (1024 * 1024);
                return write!(f, "reached the limit of {mib} MiB of memory {doing}; bound what it keeps");
            }
            (Some(6), _) if says(OUT_OF_STACK) => {
                return write!(f, "overflowed its stack {doing}; look for a recursion without end");
            }
            (Some(9), _) => {
                let limit = PROBE_TIME_MAX.as_secs();
                return write!(
                    f,
                    "was killed {doing}: it used {limit} s of processor time, or the machine had no memory left"
                );
            }
            (Some(signal), _) => write!(f, "crashed with {} {doing}", signal_name(signal))?,
            (None, Some(OUTPUT_CLOSED)) => {
                return write!(f, "closed the process's standard output {doing}; a plugin closes what it opened alone");
            }
            (None, Some(code)) => write!(
                f,
                "ended the process with exit code {code} {doing}; a plugin returns its errors, and never ends the process"
            )?,
            (None, None) => write!(f, "ended the process {doing}")?,
        }
        if words.is_empty() { Ok(()) } else { write!(f, "; its last words: {:?}", words.join(" ")) }
    }
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        11 => "SIGSEGV",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        31 => "SIGSYS",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(raw: i32, words: &str) -> String {
        let words: Vec<String> = words.lines().map(ToOwned::to_owned).collect();
        Death { status: ExitStatus::from_raw(raw), doing: "in its new()", words: &words }.to_string()
    }

    #[test]
    fn an_end_is_told_with_its_reason() {
        assert_eq!(
            told(6, "memory allocation of 16777216 bytes failed\nskipping backtrace printing"),
            "reached the limit of 1024 MiB of memory in its new(); bound what it keeps"
        );
        assert!(
            told(6, "fatal runtime error: stack overflow, aborting").starts_with("overflowed its stack in its new()")
        );
        assert_eq!(told(11, ""), "crashed with SIGSEGV in its new()");
        assert_eq!(told(6, "x.c:1: no"), "crashed with SIGABRT in its new(); its last words: \"x.c:1: no\"");
        assert!(told(9, "").starts_with("was killed in its new(): it used 10 s"));
        assert!(told(3 << 8, "").starts_with("ended the process with exit code 3 in its new(); a plugin returns"));
        assert!(told(OUTPUT_CLOSED << 8, "").starts_with("closed the process's standard output"));
    }
}
