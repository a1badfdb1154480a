//! How far the reading has come.

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::fmt::Write;
use std::io::{self, IsTerminal, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Redraws a second.
const REDRAWS: u8 = 5;

/// From when on a pace is told: the first blocks come out of a cache, or wait for a disk or a plugin's first call.
const PACE_AFTER: Duration = Duration::from_secs(2);

/// The share of all bytes that must have been read by then.
const PACE_SHARE: f64 = 0.005;

/// How far the reading of all files has come: on a terminal only, and on stderr.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Progress {
    bar: ProgressBar,
    lines: Arc<AtomicU64>,
}

impl Progress {
    /// Nobody sees it.
    pub(super) fn hidden() -> Progress {
        Progress { bar: ProgressBar::hidden(), lines: Arc::default() }
    }

    /// Of so many bytes of files, as they lie on the disk; `None` where nobody can tell how many there will be.
    pub(in crate::cli) fn over(bytes: Option<u64>) -> Progress {
        if !io::stderr().is_terminal() {
            return Progress::hidden();
        }
        let (bar, template) = match bytes {
            Some(bytes) => (ProgressBar::new(bytes), "{bar:30} {bytes}/{total_bytes} {bytes_per_sec}, {lines}{left}"),
            None => (ProgressBar::new_spinner(), "{spinner} {bytes} {bytes_per_sec}, {lines}"),
        };
        bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(REDRAWS));
        let lines = Arc::<AtomicU64>::default();
        // The template is fixed, so it is good.
        if let Ok(style) = ProgressStyle::with_template(template) {
            let counted = Arc::clone(&lines);
            let a_second = move |state: &ProgressState, to: &mut dyn Write| {
                let lines = counted.load(Ordering::Relaxed) as f64;
                // Writing is to memory.
                let _ = write!(to, "{} lines/s", rounded(lines / state.elapsed().as_secs_f64().max(1e-3)));
            };
            let left = |state: &ProgressState, to: &mut dyn Write| {
                if let Some(left) = state.len().and_then(|len| left(state.elapsed(), state.pos(), len)) {
                    let _ = write!(to, ", {:#} left", HumanDuration(left));
                }
            };
            bar.set_style(style.with_key("lines", a_second).with_key("left", left));
        }
        Progress { bar, lines }
    }

    /// So many lines more.
    pub(in crate::cli) fn lines(&self, lines: u64) {
        self.lines.fetch_add(lines, Ordering::Relaxed);
    }

    /// Says something on stderr, where the bar stands. Nothing that counts may be read meanwhile.
    pub(in crate::cli) fn aside<T>(&self, say: impl FnOnce() -> T) -> T {
        self.bar.suspend(say)
    }

    /// Takes it off the screen.
    pub(in crate::cli) fn end(&self) {
        self.bar.finish_and_clear();
    }

    /// What is read of this counts.
    pub(super) fn counting<R: Read>(&self, from: R) -> Counting<R> {
        Counting { from, progress: self.clone() }
    }
}

/// How long it will take yet, at the pace of what was read; none until that is enough to tell a pace.
fn left(elapsed: Duration, pos: u64, len: u64) -> Option<Duration> {
    let share = pos as f64 / len.max(1) as f64;
    let tells = elapsed >= PACE_AFTER && share >= PACE_SHARE;
    // What grew while it was read is past its end.
    tells.then(|| elapsed.mul_f64((1.0 / share - 1.0).max(0.0)))
}

/// A rate in three digits or so: `950`, `12.3k`, `4.56M`.
fn rounded(rate: f64) -> String {
    match rate {
        ..1e3 => format!("{rate:.0}"),
        ..1e6 => format!("{:.1}k", rate / 1e3),
        _ => format!("{:.2}M", rate / 1e6),
    }
}

/// Something whose bytes are counted as they are read.
#[derive(Debug)]
pub(super) struct Counting<R> {
    from: R,
    progress: Progress,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into)?;
        self.progress.bar.inc(read as u64);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told_once_there_is_a_pace() {
        let left = |ms, pos, len| left(Duration::from_millis(ms), pos, len).map(|left| left.as_secs_f64().round());
        assert_eq!((left(0, 0, 100), left(1_999, 50, 100)), (None, None), "too early");
        assert_eq!((left(9_000, 0, 100), left(9_000, 4, 1_000)), (None, None), "too little");
        assert_eq!((left(2_000, 1, 100), left(30_000, 75, 100)), (Some(198.0), Some(10.0)));
        assert_eq!((left(9_000, 110, 100), left(9_000, 1, 0)), (Some(0.0), Some(0.0)), "past the end");
    }

    #[test]
    fn rates_are_short() {
        let rates = [0.0, 999.4, 12_345.0, 4_561_000.0].map(rounded);
        assert_eq!(rates, ["0", "999", "12.3k", "4.56M"]);
    }
}
