//! The last changes of modules' states.

use super::status::State;
use crate::conf::Role;
use crate::limits::{STATE_WHY_BYTES, STATES_KEPT, STATES_KEPT_OF_AGENT, STATES_KEPT_OF_MODULE};
use parking_lot::Mutex;
use std::collections::VecDeque;

/// A module has come into a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// The module.
    pub name: Box<str>,
    /// Its state from then on.
    pub state: State,
    /// Why, where there is something to say; the beginning of it, where that is long.
    pub why: Box<str>,
}

/// The last of them, since the daemon began: of each module as many that one which comes and goes leaves those of the others.
#[derive(Debug)]
pub struct Changes {
    kept: Mutex<VecDeque<Change>>,
    most: usize,
}

impl Changes {
    /// Those of a daemon with this role: nobody looks at an agent's but by its API.
    #[must_use]
    pub fn of(role: Role) -> Changes {
        let most = if role == Role::Agent { STATES_KEPT_OF_AGENT } else { STATES_KEPT };
        Changes { kept: Mutex::default(), most }
    }

    /// A module has come into a state.
    pub(crate) fn push(&self, at_ms: i64, name: &str, state: State, why: &str) {
        let short = &why[..why.floor_char_boundary(STATE_WHY_BYTES)];
        let why = if short.len() < why.len() { format!("{short}…").into() } else { why.into() };
        let change = Change { at_ms, name: name.into(), state, why };
        let mut kept = self.kept.lock();
        let of_module = kept.iter().filter(|other| other.name == change.name).count();
        if of_module >= STATES_KEPT_OF_MODULE {
            if let Some(oldest) = kept.iter().position(|other| other.name == change.name) {
                kept.remove(oldest);
            }
        } else if kept.len() >= self.most {
            kept.pop_front();
        }
        kept.push_back(change);
    }

    /// The newest first.
    #[must_use]
    pub fn newest_first(&self) -> Vec<Change> {
        self.kept.lock().iter().rev().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_are_kept_and_the_newest_comes_first() {
        for (role, most) in [(Role::default(), STATES_KEPT), (Role::Agent, STATES_KEPT_OF_AGENT)] {
            let changes = Changes::of(role);
            for n in 0..=most {
                changes.push(n as i64, &format!("m{}", n % 40), State::Off, "");
            }
            let kept: Vec<i64> = changes.newest_first().iter().map(|change| change.at_ms).collect();
            assert_eq!(kept, (1..=most as i64).rev().collect::<Vec<_>>());
        }
    }

    #[test]
    fn one_that_comes_and_goes_leaves_those_of_the_others() {
        let changes = Changes::of(Role::default());
        changes.push(0, "cpu", State::Running, "");
        for n in 1..2_000 {
            changes.push(n, "flaps", State::Failing, &"é".repeat(2_000));
        }
        let kept = changes.newest_first();
        let of: Vec<&str> = kept.iter().map(|change| &*change.name).collect();
        assert_eq!((kept.len(), of[0], of[STATES_KEPT_OF_MODULE]), (STATES_KEPT_OF_MODULE + 1, "flaps", "cpu"));
        assert_eq!(
            (kept[0].at_ms, kept[STATES_KEPT_OF_MODULE - 1].at_ms),
            (1_999, 2_000 - STATES_KEPT_OF_MODULE as i64)
        );
        let why = &kept[0].why;
        assert!(why.len() <= STATE_WHY_BYTES + 3 && why.ends_with("é…"), "{why}");
    }
}
