//! What came of a check, as leaves of the tree.

use crate::check::Outcome;
use crate::limits::LIFE;
use plugin_api::{Action, Delta};
use std::time::Duration;

/// A figure of a check: its key, unit and title.
type Figure = (&'static str, &'static str, &'static str);

/// In the order of [`figures`].
const FIGURES: [Figure; 9] = [
    ("up", "", "Answers as it should"),
    ("status", "", "Status"),
    ("resolve_ms", "ms", "Looking the name up"),
    ("connect_ms", "ms", "Connecting"),
    ("tls_ms", "ms", "TLS handshake"),
    ("first_byte_ms", "ms", "First byte of the answer"),
    ("total_ms", "ms", "Whole answer"),
    ("bytes", "bytes", "Body"),
    ("tls_expires_days", "days", "Certificate is good for"),
];

const CHECKS: Figure = ("checks", "checks", "Checks done");
const FAILURES: Figure = ("failures", "checks", "Checks failed");
const ERROR: Figure = ("error", "", "What is wrong");

/// How long a value stays that no longer holds: until the tick is over.
const AT_ONCE: Duration = Duration::from_millis(1);

const DAY_MS: f64 = 86_400_000.0;

/// Which figures the tree has of a check; bit by bit, as [`FIGURES`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told(u16);

impl Default for Told {
    /// All: a daemon that was started anew has them of before.
    fn default() -> Told {
        Told(u16::MAX)
    }
}

/// Says what came of a check. A figure that was not reached this time is taken away, for the one of before says nothing of now.
pub(crate) fn tell(out: &mut Delta, name: &str, outcome: &Outcome, told: &mut Told) {
    let now_ms = out.clock().unix_ms();
    for (i, (figure, value)) in FIGURES.iter().zip(figures(outcome, now_ms)).enumerate() {
        let path = [name, figure.0];
        match value {
            Some(value) => {
                out.set(&path, value);
                told.0 |= 1 << i;
                about(out, name, figure);
            }
            None if told.0 & (1 << i) != 0 => {
                out.lifetime(&path, AT_ONCE);
                told.0 &= !(1 << i);
            }
            None => {}
        }
    }
    out.set_text(&[name, ERROR.0], &outcome.error);
    about(out, name, &ERROR);
    let failed = !outcome.error.is_empty();
    for (figure, n) in [(CHECKS, 1.0), (FAILURES, f64::from(u8::from(failed)))] {
        out.action(&[name, figure.0], Action::Add);
        out.add(&[name, figure.0], n);
        about(out, name, &figure);
    }
}

/// What is told beside a value goes with it, so it is said with it.
fn about(out: &mut Delta, name: &str, (key, units, title): &Figure) {
    out.lifetime(&[name, key], LIFE);
    let pairs = [("units", *units), ("title", *title), ("group", "url-check")];
    out.meta(&[name, key], if units.is_empty() { &pairs[1..] } else { &pairs });
}

fn figures(outcome: &Outcome, now_ms: i64) -> [Option<f64>; FIGURES.len()] {
    // To the microsecond: what is finer is noise.
    let ms = |time: Option<Duration>| time.map(|time| time.as_micros() as f64 / 1_000.0);
    [
        Some(f64::from(u8::from(outcome.error.is_empty()))),
        outcome.status.map(f64::from),
        ms(outcome.resolve),
        ms(outcome.connect),
        ms(outcome.tls),
        ms(outcome.first_byte),
        ms(outcome.total),
        outcome.bytes.map(|bytes| bytes as f64),
        outcome.ends_ms.map(|ends_ms| ends_ms.saturating_sub(now_ms) as f64 / DAY_MS),
    ]
}
