//! Modules beside one that does what it should not: they must not notice.

use crate::{Daemon, HOST};
use serde_json::json;

/// The pipe `status`, which has counted so many lines, and modules that count their samples: the collector `beat`, and others.
#[derive(Debug)]
pub struct Neighbours {
    lines: u64,
    /// Where the samples are counted.
    counts: Vec<String>,
}

impl Neighbours {
    /// Waits until `status`, `beat` and the others run: each a module and the key at which it counts its samples.
    #[track_caller]
    pub fn new(daemon: &Daemon, others: &[(&str, &str)]) -> Neighbours {
        let counting = [&[("beat", "beats")], others].concat();
        for name in ["status"].into_iter().chain(counting.iter().map(|(name, _)| *name)) {
            daemon.await_state(name, "running");
        }
        let counts = counting.iter().map(|(name, key)| format!("{name},{HOST},{key}")).collect();
        Neighbours { lines: 0, counts }
    }

    /// Hands a line of a request for `path` to all pipes; one of them may hold up the answer for as long as it is let.
    pub fn line(&mut self, daemon: &Daemon, path: &str) {
        self.lines += 1;
        daemon.post("/push", "text/plain", line(path).as_bytes());
    }

    /// No line is missing, and the others go on.
    ///
    /// # Panics
    /// They noticed.
    #[track_caller]
    pub fn check(&mut self, daemon: &Daemon) {
        self.line(daemon, "/good");
        assert_eq!(daemon.value("status,200"), json!(self.lines), "lines of a neighbour");
        for path in &self.counts {
            let before = daemon.value(path).as_f64().unwrap_or(0.0);
            daemon.await_change(path, |daemon| daemon.value(path).as_f64().filter(|now| *now > before));
        }
        assert!(daemon.get("/healthz").status == 200);
    }
}

/// A line of an access log: a request for this path that was answered with 200.
#[must_use]
pub fn line(path: &str) -> String {
    format!("192.0.2.1 - - [01/May/2025:00:00:00 +0000] \"GET {path} HTTP/1.1\" 200 10 \"-\" \"curl/8.5.0\"\n")
}
