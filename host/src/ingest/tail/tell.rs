//! What is told of a log in the tree, and in the daemon's own messages.

use super::file::Followed;
use super::follow::Files;
use super::trouble::Trouble;
use crate::core::{Delta, Event, Shared};
use crate::limits::LOG_TROUBLE_EVERY;
use crate::module::Branch;
use std::time::Instant;

/// What has been told of the log.
#[derive(Debug)]
pub(super) struct Told {
    out: plugin_api::Delta,
    at: Instant,
    /// When everything had been read.
    caught_up: Instant,
    files: usize,
    lag_bytes: u64,
    lag_seconds: f64,
    trouble: String,
    is_first: bool,
    /// What the daemon's messages say, and since when.
    warned: Option<(Instant, String)>,
}

impl Told {
    pub(super) fn new() -> Told {
        let now = Instant::now();
        Told {
            out: plugin_api::Delta::new(),
            at: now,
            caught_up: now,
            files: 0,
            lag_bytes: 0,
            lag_seconds: 0.0,
            trouble: String::new(),
            is_first: true,
            warned: None,
        }
    }

    /// Tells, once a tick, how far behind the log is and what is wrong with its files.
    pub(super) fn tell(&mut self, log: &str, files: &Files, trouble: &Trouble, shared: &Shared) {
        let now = Instant::now();
        let lag_bytes = files.followed.iter().map(Followed::behind).sum();
        if lag_bytes == 0 {
            self.caught_up = now;
        }
        if now - self.at < shared.conf.tick && !self.is_first {
            return;
        }
        self.at = now;
        let lag_seconds = (self.caught_up.elapsed().as_secs_f64() * 10.0).round() / 10.0;
        let files_now = files.followed.len();
        let first = std::mem::take(&mut self.is_first);
        if first || self.files != files_now {
            self.files = files_now;
            self.out.set(&["files"], files_now as f64);
        }
        if first || self.lag_bytes != lag_bytes {
            self.lag_bytes = lag_bytes;
            self.out.set(&["lag_bytes"], lag_bytes as f64);
        }
        if first || self.lag_seconds != lag_seconds {
            self.lag_seconds = lag_seconds;
            self.out.set(&["lag_seconds"], lag_seconds);
        }
        let mut trouble = trouble.clone();
        for file in &files.followed {
            if let Some(why) = file.failure() {
                trouble.of(&file.path, why);
            }
        }
        let trouble = trouble.text();
        if self.is_to_be_warned_of(&trouble, now) {
            tracing::warn!("log {log}: {trouble}");
        }
        // Also the first time: another life of the log may have had some.
        if first || self.trouble != trouble {
            self.out.set_text(&["trouble"], &trouble);
            self.trouble = trouble;
        }
        let frame = self.out.flush();
        if !frame.is_empty() {
            let keys = ["graftd", &shared.host, "log", log].map(str::to_owned);
            let branch = Branch { keys: keys.as_slice().into(), action: None };
            let frames = vec![(branch, frame.to_vec())];
            let _ = shared.events.send(Event::Delta(Delta { frames, ..Delta::default() }));
        }
    }

    /// Whether the daemon's messages are to say it. What is wrong changes with every file; whoever reads them need not read of each.
    fn is_to_be_warned_of(&mut self, trouble: &str, now: Instant) -> bool {
        let is_over = |at: &Instant| now.saturating_duration_since(*at) >= LOG_TROUBLE_EVERY;
        if trouble.is_empty() {
            self.warned = self.warned.take().filter(|(at, _)| !is_over(at));
        } else if self.warned.as_ref().is_none_or(|(at, told)| told != trouble && is_over(at)) {
            self.warned = Some((now, trouble.to_owned()));
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn trouble_that_changes_is_warned_of_once_in_a_while() {
        let (mut told, began) = (Told::new(), Instant::now());
        // Seconds from the beginning, what is wrong, whether it is said.
        for (at, trouble, said) in [
            (0, "", false),
            (1, "a", true),
            (2, "a", false),
            (3, "b", false),
            (4, "", false),
            (5, "a", false),
            (61, "b", true),
            (200, "b", false),
            (201, "", false),
            (202, "b", true),
        ] {
            let is_said = told.is_to_be_warned_of(trouble, began + Duration::from_secs(at));
            assert_eq!(is_said, said, "{at}: {trouble:?}");
        }
    }
}
