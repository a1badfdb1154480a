//! The daemon's own access log: each finished request is a line of the log `self`, in the format `timed`.
//!
//! Lines are gathered for some milliseconds, so that a busy server sends a message every few hundred requests.

use super::web::Head;
use crate::core::Shared;
use crate::ingest::LogMessage;
use crate::limits::{OWN_LOG_BYTES, OWN_LOG_PAUSE};
use crate::when::LogTime;
use parking_lot::Mutex;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Notify;
use tokio::time::sleep;
use warp::http::Version;
use warp::http::header::{HeaderName, REFERER, USER_AGENT};

/// What nginx logs when the client went before it was answered; no such status is ever sent.
const CLIENT_GONE: u16 = 499;

/// Lines on their way into the log.
#[derive(Debug)]
pub(super) struct OwnLog {
    shared: Arc<Shared>,
    lines: Mutex<Lines>,
    /// A first line has come since the last were handed over.
    fresh: Notify,
}

#[derive(Debug, Default)]
struct Lines {
    text: Vec<u8>,
    count: u64,
    /// The second that `stamp` says: it is the same for thousands of lines.
    second: i64,
    stamp: String,
}

impl OwnLog {
    pub(super) fn new(shared: Arc<Shared>) -> Arc<OwnLog> {
        Arc::new(OwnLog { shared, lines: Mutex::default(), fresh: Notify::new() })
    }

    /// Hands lines over, for ever.
    pub(super) async fn follow(self: Arc<OwnLog>) {
        loop {
            self.fresh.notified().await;
            sleep(OWN_LOG_PAUSE).await;
            self.hand_over();
        }
    }

    #[cfg(test)]
    pub(super) fn gathered(&self) -> String {
        String::from_utf8(self.lines.lock().text.clone()).unwrap()
    }

    /// Hands over what has been gathered.
    pub(super) fn hand_over(&self) {
        let mut lines = self.lines.lock();
        self.send(&mut lines);
    }

    fn send(&self, lines: &mut Lines) {
        let text = std::mem::take(&mut lines.text);
        let count = std::mem::take(&mut lines.count);
        if count > 0 && self.shared.logs.own.try_send(LogMessage::Lines(text, None)).is_err() {
            self.shared.counters.self_dropped.add(count);
        }
    }

    fn write(&self, told: &Told, asked: impl FnOnce(&mut Vec<u8>), by: impl FnOnce(&mut Vec<u8>)) {
        self.shared.counters.http_requests.add(1);
        let second = self.shared.clock.unix_ms().div_euclid(1_000);
        let mut lines = self.lines.lock();
        let lines = &mut *lines;
        if lines.second != second || lines.stamp.is_empty() {
            lines.second = second;
            lines.stamp = LogTime(second).to_string();
        }
        let first = lines.text.is_empty();
        write_line(&mut lines.text, told, &lines.stamp, asked, by);
        lines.count += 1;
        if lines.text.len() >= OWN_LOG_BYTES {
            self.send(lines);
        } else if first {
            self.fresh.notify_one();
        }
    }
}

/// What is known of a request in the end: from where and when it came, and how it was answered.
#[derive(Debug)]
struct Told {
    peer: SocketAddr,
    at: Instant,
    status: u16,
    bytes: u64,
}

/// `asked` writes `GET /get/?key-a HTTP/1.1`, `by` writes ` "REFERER" "AGENT"`.
fn write_line(
    out: &mut Vec<u8>,
    told: &Told,
    stamp: &str,
    asked: impl FnOnce(&mut Vec<u8>),
    by: impl FnOnce(&mut Vec<u8>),
) {
    let Told { peer, at, status, bytes } = told;
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{} - - [{stamp}] \"", peer.ip());
    asked(out);
    let _ = write!(out, "\" {status} {bytes}");
    by(out);
    let took = at.elapsed();
    let _ = writeln!(out, " {}.{:03} -", took.as_secs(), took.subsec_millis());
}

fn write_asked(out: &mut Vec<u8>, head: &Head) {
    escape(out, head.method.as_str().as_bytes());
    out.push(b' ');
    escape(out, head.path.as_str().as_bytes());
    if !head.query.is_empty() {
        out.push(b'?');
        escape(out, head.query.as_bytes());
    }
    out.extend_from_slice(if head.arrival.version == Version::HTTP_10 { b" HTTP/1.0" } else { b" HTTP/1.1" });
}

fn write_by(out: &mut Vec<u8>, head: &Head) {
    for name in [REFERER, USER_AGENT] {
        out.extend_from_slice(b" \"");
        header(out, head, &name);
        out.push(b'"');
    }
}

fn header(out: &mut Vec<u8>, head: &Head, name: &HeaderName) {
    match head.headers.get(name) {
        Some(value) if !value.is_empty() => escape(out, value.as_bytes()),
        _ => out.push(b'-'),
    }
}

/// As nginx escapes variables in a log (ngx_http_log_module, `escape=default`): `"`, `\` and all outside of printable
/// ASCII become `\xHH`.
fn escape(out: &mut Vec<u8>, text: &[u8]) {
    for &byte in text {
        if matches!(byte, b'"' | b'\\' | 0..=0x1f | 0x7f..) {
            let _ = write!(out, "\\x{byte:02X}");
        } else {
            out.push(byte);
        }
    }
}

/// A request under way; when it is dropped it is over, and becomes its line.
#[derive(Debug)]
pub(super) struct Entry {
    log: Arc<OwnLog>,
    pub(super) head: Head,
    told: Told,
    /// Another writes the line.
    handed_on: bool,
}

impl Entry {
    pub(super) fn new(log: &Arc<OwnLog>, head: Head) -> Entry {
        let told = Told { peer: head.arrival.peer, at: head.arrival.at, status: CLIENT_GONE, bytes: 0 };
        Entry { log: Arc::clone(log), head, told, handed_on: false }
    }

    /// How it was answered.
    pub(super) fn answered(&mut self, status: u16) {
        self.told.status = status;
    }

    /// Bytes of its answer's body that were sent.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.told.bytes += bytes as u64;
    }

    /// The same, for a request that waits.
    pub(super) fn hand_on(mut self) -> Waited {
        self.handed_on = true;
        let mut text = Vec::new();
        write_asked(&mut text, &self.head);
        let asked = text.len();
        write_by(&mut text, &self.head);
        let Told { peer, at, .. } = self.told;
        let told = Told { peer, at, status: CLIENT_GONE, bytes: 0 };
        Waited { log: Arc::clone(&self.log), told, text: text.into(), asked }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if !self.handed_on {
            self.log.write(&self.told, |out| write_asked(out, &self.head), |out| write_by(out, &self.head));
        }
    }
}

/// A request that waits: what its line will say and no more, for its head lies in a large buffer.
#[derive(Debug)]
pub(super) struct Waited {
    log: Arc<OwnLog>,
    told: Told,
    text: Box<[u8]>,
    /// How much of the text says what was asked.
    asked: usize,
}

impl Waited {
    /// How it was answered.
    pub(super) fn answered(&mut self, status: u16) {
        self.told.status = status;
    }

    /// Bytes of its answer's body that were sent.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.told.bytes += bytes as u64;
    }
}

impl Drop for Waited {
    fn drop(&mut self) {
        let (asked, by) = self.text.split_at(self.asked);
        self.log.write(&self.told, |out| out.extend_from_slice(asked), |out| out.extend_from_slice(by));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_request_breaks_the_line(text in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut out = Vec::new();
            escape(&mut out, &text);
            prop_assert!(out.iter().all(|byte| (0x20..0x7f).contains(byte) && *byte != b'"'));
        }
    }

    #[test]
    fn quotes_backslashes_and_controls_are_escaped_as_nginx_does() {
        let mut out = Vec::new();
        escape(&mut out, "a\"b\\c\n\u{7f}ü".as_bytes());
        assert_eq!(String::from_utf8(out).unwrap(), r"a\x22b\x5Cc\x0A\x7F\xC3\xBC");
    }
}
