//! The times of lines, in steps.

/// Within so long before now each commit of a daemon would still be there, in milliseconds.
const RAW_MS: i64 = 2 * 86_400_000;

/// Steps of what is newer, and of what is older: as finely as history would have them.
const SHORT_MS: i64 = 10_000;
const LONG_MS: i64 = 60_000;

/// A line of a time that is further ahead is no reason to believe it.
const DAY_MS: i64 = 86_400_000;

/// Cuts the time of a log into steps, which only follow each other: a line that comes late belongs to the step that is open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steps {
    now: i64,
    open: Option<i64>,
}

impl Steps {
    /// As seen now.
    pub(super) fn new(now: i64) -> Steps {
        Steps { now, open: None }
    }

    fn believes(&self, time: i64) -> bool {
        time <= self.now.saturating_add(DAY_MS)
    }

    /// The end of the step that a time is in.
    fn of(&self, time: i64) -> i64 {
        let step = if time < self.now - RAW_MS { LONG_MS } else { SHORT_MS };
        (time.div_euclid(step) + 1) * step
    }

    /// Whether lines from one time to another belong to one step.
    pub(super) fn are_one(&self, first: i64, last: i64) -> bool {
        let at_least = self.open.unwrap_or(i64::MIN);
        // What is not believed stays in the step that is open.
        let of = |time| if self.believes(time) { self.of(time).max(at_least) } else { at_least };
        of(first) == of(last)
    }

    /// A line of a time comes: the end of the step before, if that ends by it.
    pub(super) fn begin(&mut self, time: i64) -> Option<i64> {
        if !self.believes(time) {
            return None;
        }
        let next = self.of(time);
        match self.open {
            Some(open) if next <= open => None,
            open => {
                self.open = Some(next);
                open
            }
        }
    }

    /// The end of the step that is open.
    pub(super) fn end(&self) -> Option<i64> {
        self.open
    }
}

#[cfg(test)]
mod tests {
    use super::Steps;

    #[test]
    fn a_step_ends_when_a_line_of_the_next_comes() {
        let mut steps = Steps::new(1_000_000_000);
        assert_eq!(steps.begin(999_990_000), None);
        assert_eq!(steps.begin(999_999_999), None);
        assert_eq!(steps.begin(1_000_000_000), Some(1_000_000_000));
        // One that comes late changes nothing.
        assert_eq!(steps.begin(999_999_000), None);
        assert!(steps.are_one(999_999_000, 1_000_009_999));
        assert!(!steps.are_one(999_999_000, 1_000_010_000));
        assert_eq!(steps.end(), Some(1_000_010_000));
    }

    #[test]
    fn a_line_of_a_time_that_cannot_be_leaves_the_steps_as_they_are() {
        let mut steps = Steps::new(1_000_000_000);
        assert_eq!(steps.begin(999_990_000), None);
        // Years ahead.
        assert_eq!(steps.begin(100_000_000_000), None);
        assert_eq!(steps.begin(1_000_000_000), Some(1_000_000_000));
        assert!(steps.are_one(1_000_000_000, 100_000_000_000));
        // A clock that goes a little fast can be believed.
        assert_eq!(steps.begin(1_000_060_000), Some(1_000_010_000));
    }

    #[test]
    fn what_is_old_has_longer_steps() {
        let steps = Steps::new(1_795_000_000_000);
        assert!(steps.are_one(1_700_000_040_000, 1_700_000_099_999));
        assert!(!steps.are_one(1_794_999_940_000, 1_794_999_999_999));
    }
}
