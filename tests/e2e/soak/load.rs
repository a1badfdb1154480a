//! A steady stream of numbered lines, and what each pipe must have made of them.

use graftd_tests::Daemon;
use serde_json::{Value, json};
use std::fmt::Write;
use std::time::{Duration, Instant};

/// Lines a second.
const RATE: u64 = 200_000;
/// Lines a push.
const LINES: u64 = 10_000;

/// What has been sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sent {
    pub lines: u64,
    errors: u64,
    sum: u64,
    squares: u64,
    bytes: u64,
}

/// What the fixture `numbered` reduces its squares by.
const MODULUS: u64 = 8_191;

impl Sent {
    /// The next lines. Each tenth is a 404.
    fn next(&mut self, text: &mut String) {
        text.clear();
        for _ in 0..LINES {
            let n = self.lines;
            let status = if n.is_multiple_of(10) { 404 } else { 200 };
            let bytes = n % 1_000;
            let _ = writeln!(
                text,
                "192.0.2.{} - - [01/May/2025:00:00:00 +0000] \"GET /n/{n} HTTP/1.1\" {status} {bytes} \"-\" \
                 \"Mozilla/5.0 (X11; Linux x86_64; rv:124.0) Gecko/20100101 Firefox/124.0\" 0.025 0.020",
                n % 250
            );
            self.lines += 1;
            self.errors += u64::from(status == 404);
            self.sum += n;
            self.squares += (n % MODULUS).pow(2);
            self.bytes += bytes;
        }
    }

    /// Each pipe has counted each line once.
    #[track_caller]
    pub fn check(&self, daemon: &Daemon) {
        let whole = |path: &str| daemon.value(path).as_f64().map(|value| value as u64);
        for (path, expected) in [
            ("status", self.lines),
            ("status,404", self.errors),
            ("error", self.errors),
            ("url", self.lines),
            ("br", self.lines),
            ("os", self.lines),
            ("bytes", self.bytes),
            ("numbered,count", self.lines),
            ("numbered,sum", self.sum),
            ("numbered,squares", self.squares),
            ("numbered,build", self.lines),
        ] {
            assert_eq!(whole(path), Some(expected), "{path}");
        }
        for path in ["request_time", "upstream_time"] {
            let folded = daemon.get(&format!("/get/?key-{path}")).good().json()[0][path].clone();
            assert_eq!(count_in(&folded), self.lines, "{path}: {folded}");
        }
        let visitors = daemon.value("visitors").as_f64().unwrap_or(0.0);
        assert!((visitors - 250.0).abs() < 10.0, "visitors: {visitors}");
    }
}

/// The values that the sketches of a subtree have seen.
fn count_in(tree: &Value) -> u64 {
    let own = tree.get("").and_then(|sketch| sketch.get("count")).and_then(Value::as_u64);
    own.unwrap_or_else(|| tree.as_object().map_or(0, |keys| keys.values().map(count_in).sum()))
}

/// Sends lines at a steady rate until it is told to stop. Each push is answered when its lines are in the tree.
pub fn stream(daemon: &Daemon, mut on: impl FnMut() -> bool) -> Sent {
    let mut sent = Sent::default();
    let mut text = String::new();
    let began = Instant::now();
    while on() {
        sent.next(&mut text);
        let answer = daemon.post("/push", "text/plain", text.as_bytes());
        assert_eq!((answer.status, &answer.json()["merged"]), (200, &json!(LINES)), "{answer:?}");
        let due = Duration::from_secs_f64(sent.lines as f64 / RATE as f64);
        // The only wait of a rate; nothing else is waited for here.
        std::thread::sleep(due.saturating_sub(began.elapsed()));
    }
    let rate = sent.lines as f64 / began.elapsed().as_secs_f64();
    println!("{} lines, {rate:.0} a second", sent.lines);
    sent
}
