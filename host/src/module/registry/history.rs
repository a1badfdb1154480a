//! The last changes of modules' states.

use super::status::State;
use crate::limits::STATES_KEPT;
use parking_lot::Mutex;
use std::collections::VecDeque;

/// A module has come into a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// The module.
    pub name: String,
    /// Its state from then on.
    pub state: State,
    /// Why, where there is something to say.
    pub why: String,
}

/// The last of them, since the daemon began.
#[derive(Debug, Default)]
pub struct Changes(Mutex<VecDeque<Change>>);

impl Changes {
    pub(crate) fn push(&self, change: Change) {
        let mut changes = self.0.lock();
        if changes.len() >= STATES_KEPT {
            changes.pop_front();
        }
        changes.push_back(change);
    }

    /// The newest first.
    #[must_use]
    pub fn newest_first(&self) -> Vec<Change> {
        self.0.lock().iter().rev().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_are_kept_and_the_newest_comes_first() {
        let changes = Changes::default();
        for n in 0..=STATES_KEPT {
            changes.push(Change { at_ms: n as i64, name: "cpu".to_owned(), state: State::Off, why: String::new() });
        }
        let kept: Vec<i64> = changes.newest_first().iter().map(|change| change.at_ms).collect();
        assert_eq!(kept, (1..=STATES_KEPT as i64).rev().collect::<Vec<_>>());
    }
}
