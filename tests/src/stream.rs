//! Lines of something that is still being written, each waited for with an end.

use std::io::{BufRead, BufReader, Read};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// The lines of a stream as they come.
#[derive(Debug)]
pub struct Lines {
    /// Locked, so that what holds lines can be shared between threads.
    lines: Mutex<Receiver<String>>,
}

impl Lines {
    /// Follows a stream on a thread of its own.
    pub fn of(stream: impl Read + Send + 'static) -> Lines {
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stream).lines() {
                let Ok(line) = line else { return };
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Lines { lines: Mutex::new(lines) }
    }

    /// The next line; `None` when none comes within that time, or the stream is at its end.
    #[must_use]
    pub fn next_within(&self, time: Duration) -> Option<String> {
        self.lines.lock().ok()?.recv_timeout(time).ok()
    }

    /// Waits for the end of the stream; whether it came within that time, which each line begins anew.
    #[must_use]
    pub fn ends_within(&self, time: Duration) -> bool {
        let Ok(lines) = self.lines.lock() else { return false };
        loop {
            match lines.recv_timeout(time) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => return true,
                Err(RecvTimeoutError::Timeout) => return false,
            }
        }
    }
}
