//! Commands that run to their end.

use crate::{PATIENCE, binary};
use serde_json::Value;
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;

/// What came of a command.
#[derive(Clone, Debug)]
pub struct Ran {
    /// Its exit code; -1 when a signal ended it.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
}

impl Ran {
    /// What it printed, as JSON.
    ///
    /// # Panics
    /// It is no JSON.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// Itself, if it ended with 0.
    ///
    /// # Panics
    /// It ended otherwise.
    #[track_caller]
    pub fn good(self) -> Ran {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    /// What it complained of, if it ended with this code and all of these words are in its complaint.
    ///
    /// # Panics
    /// It ended otherwise, or did not say so.
    #[track_caller]
    pub fn failed(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, code, "{self:?}");
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is not said: {self:?}");
        }
    }
}

/// Runs `graftd` with nothing on its standard input.
///
/// # Panics
/// It does not end.
#[track_caller]
pub fn graftd<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Ran {
    graftd_with_input(args, b"")
}

/// Runs `graftd` with this on its standard input.
///
/// # Panics
/// It does not end.
#[track_caller]
pub fn graftd_with_input<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>, input: &[u8]) -> Ran {
    let mut command = Command::new(binary());
    command.args(args);
    run(command, input)
}

/// Runs a script of `tests/fixtures/` with a file, and gives the JSON that it prints.
///
/// # Panics
/// There is no Python 3, or the script fails.
#[must_use]
#[track_caller]
pub fn python(script: &Path, file: &Path) -> Value {
    let mut command = Command::new("python3");
    command.arg(script).arg(file);
    run(command, b"").good().json()
}

#[track_caller]
fn run(mut command: Command, input: &[u8]) -> Ran {
    let what = format!("{command:?}");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{what}: {error}"));
    let (mut stdin, input) = (child.stdin.take().expect("piped"), input.to_vec());
    // A command that does not read to the end is not at fault.
    thread::spawn(move || stdin.write_all(&input));
    let (ended, end) = channel();
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    thread::spawn(move || {
        let errors = thread::spawn(move || read(stderr));
        let printed = read(stdout);
        // Both are at their end when the command is.
        let _ = ended.send((printed, errors.join().unwrap_or_default()));
    });
    let Ok((stdout, stderr)) = end.recv_timeout(PATIENCE) else {
        let _ = child.kill();
        panic!("{what}: has not ended after {PATIENCE:?}");
    };
    Ran { code: exit_code(&mut child), stdout, stderr }
}

fn exit_code(child: &mut Child) -> i32 {
    child.wait().ok().and_then(|status| status.code()).unwrap_or(-1)
}

fn read(stream: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut stream) = stream {
        let _ = stream.read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
