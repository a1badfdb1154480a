//! What is shown on a terminal while a log is read.

use super::ingest;
use graftd_tests::{Folders, binary};
use std::process::Command;

/// Runs a command with its stderr on a terminal and its stdout in a file, and prints what the terminal was sent.
const ON_TERMINAL: &str = r#"
import os, pty, subprocess, sys
ours, theirs = pty.openpty()
import fcntl, struct, termios
fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=theirs)
os.close(theirs)
feed = os.environ.get("FEED")
if feed:
    line = feed.encode() + b"\n"
    for _ in range(int(os.environ["TIMES"])):
        child.stdin.write(line * 1000)
child.stdin.close()
seen = b""
while True:
    try:
        piece = os.read(ours, 65536)
    except OSError:
        break
    if not piece:
        break
    seen += piece
code = child.wait()
sys.stdout.buffer.write(seen)
sys.exit(code)
"#;

const LINE: &str = "192.0.2.1 - - [01/May/2025:00:00:00 +0000] \"GET / HTTP/1.1\" 200 1 \"-\" \"-\"";

fn on_terminal(folders: &Folders, args: &[&str], feed: Option<usize>) -> String {
    let mut command = Command::new("python3");
    command.args(["-c", ON_TERMINAL]).arg(binary()).arg("ingest").args(folders.args()).args(args);
    command.env("TERM", "xterm");
    if let Some(times) = feed {
        command.env("FEED", LINE).env("TIMES", times.to_string());
    }
    let ran = command.output().expect("python3");
    let shown = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success(), "{shown}{}", String::from_utf8_lossy(&ran.stderr));
    shown
}

#[test]
fn a_terminal_is_shown_how_far_all_files_are() {
    let folders = Folders::new().plugins(&["status"]);
    let text = format!("{LINE}\n").repeat(700_000);
    let [a, b] = ["a.log", "b.log"].map(|name| folders.write(name, &text));
    let total = format!("/{:.2} MiB", 2.0 * text.len() as f64 / f64::from(1 << 20));
    for threads in ["1", "2"] {
        let shown = on_terminal(&folders, &["--json", "--threads", threads, &a, &b], None);
        for part in [total.as_str(), "/s, ", " lines/s"] {
            assert!(shown.contains(part), "{part:?}: {shown:?}");
        }
        // Some of them were counted: thousands a second at the least.
        assert!(shown.contains("k lines/s") || shown.contains("M lines/s"), "{shown:?}");
        // What is said beside it stands on lines of its own.
        assert!(shown.contains("a.log: format \"common\""), "{shown:?}");
    }
    // Nobody knows how much there will be.
    let shown = on_terminal(&folders, &["--json", "-"], Some(1_000));
    assert!(shown.contains(" lines/s") && !shown.contains(" left"), "{shown:?}");
}

#[test]
fn what_is_no_terminal_is_shown_nothing() {
    let folders = Folders::new().plugins(&["status"]);
    let log = folders.write("a.log", format!("{LINE}\n").repeat(700_000));
    let ran = ingest(&folders, &["--format", "combined", &log]).good();
    assert_eq!(ran.stderr, "");
    assert!(!ran.stdout.contains("lines/s"));
}
