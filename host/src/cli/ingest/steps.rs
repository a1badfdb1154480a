//! The times of lines, in steps.

/// Steps of what is so new that each commit of a daemon would still be there, and of what is older, in milliseconds: as finely as
/// history would have them.
const SHORT_MS: i64 = 10_000;
const LONG_MS: i64 = 60_000;

/// A line of a time that is further ahead is no reason to believe it.
const DAY_MS: i64 = 86_400_000;

/// By how much a line may come late: a request that lasted long.
const LATE_MS: i64 = 3_600_000;

/// Cuts the time of a log into steps, which only follow each other: a line that comes late belongs to the step that is open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steps {
    now: i64,
    /// From when on each commit would still be there.
    short_from: i64,
    /// The end of the step that is open.
    open: Option<i64>,
}

impl Steps {
    /// As seen now, where each commit is kept for so many milliseconds.
    pub(super) fn new(now: i64, raw_ms: i64) -> Steps {
        Steps { now, short_from: now.saturating_sub(raw_ms), open: None }
    }

    fn believes(&self, time: i64) -> bool {
        time <= self.now.saturating_add(DAY_MS)
    }

    /// The end of the step that a time is in.
    fn of(&self, time: i64) -> i64 {
        let step = if time < self.short_from { LONG_MS } else { SHORT_MS };
        (time.div_euclid(step) + 1) * step
    }

    /// Whether lines from one time to another belong to one step.
    pub(super) fn are_one(&self, first: i64, last: i64) -> bool {
        let at_least = self.open.unwrap_or(i64::MIN);
        // What is not believed stays in the step that is open.
        let of = |time| if self.believes(time) { self.of(time).max(at_least) } else { at_least };
        of(first) == of(last)
    }

    /// A line of a time comes: when the step before would have been committed last, if that ends by it.
    pub(super) fn begin(&mut self, time: i64) -> Option<i64> {
        if !self.believes(time) {
            return None;
        }
        let next = self.of(time);
        match self.open {
            Some(open) if next <= open => None,
            open => {
                self.open = Some(next);
                open.map(last_commit)
            }
        }
    }

    /// When the step that is open would have been committed last.
    pub(super) fn end(&self) -> Option<i64> {
        self.open.map(last_commit)
    }

    /// Whether a time is so long before the step that is open that its line is no late one, but of another log.
    pub(super) fn is_of_another(&self, time: i64) -> bool {
        self.open.is_some_and(|open| time < open.saturating_sub(LATE_MS))
    }
}

/// A daemon's last commit before the end of a step: it lies within the step, as what it tells of does.
fn last_commit(end: i64) -> i64 {
    end - SHORT_MS
}

#[cfg(test)]
mod tests {
    use super::{DAY_MS, Steps};

    #[test]
    fn a_step_ends_when_a_line_of_the_next_comes() {
        let mut steps = Steps::new(1_000_000_000, 2 * DAY_MS);
        assert_eq!(steps.begin(999_990_000), None);
        assert_eq!(steps.begin(999_999_999), None);
        assert_eq!(steps.begin(1_000_000_000), Some(999_990_000));
        // One that comes late changes nothing.
        assert_eq!(steps.begin(999_999_000), None);
        assert!(steps.are_one(999_999_000, 1_000_009_999));
        assert!(!steps.are_one(999_999_000, 1_000_010_000));
        assert_eq!(steps.end(), Some(1_000_000_000));
        assert!(steps.is_of_another(996_000_000) && !steps.is_of_another(999_000_000));
    }

    #[test]
    fn a_line_of_a_time_that_cannot_be_leaves_the_steps_as_they_are() {
        let mut steps = Steps::new(1_000_000_000, 2 * DAY_MS);
        assert_eq!(steps.begin(999_990_000), None);
        // Years ahead.
        assert_eq!(steps.begin(100_000_000_000), None);
        assert_eq!(steps.begin(1_000_000_000), Some(999_990_000));
        assert!(steps.are_one(1_000_000_000, 100_000_000_000));
        // A clock that goes a little fast can be believed.
        assert_eq!(steps.begin(1_000_060_000), Some(1_000_000_000));
    }

    #[test]
    fn a_step_is_kept_within_itself() {
        let mut steps = Steps::new(1_795_000_000_000, 2 * DAY_MS);
        assert_eq!(steps.begin(1_700_000_040_000), None);
        // A minute: what a daemon would have committed last in it.
        assert_eq!(steps.begin(1_700_000_100_000), Some(1_700_000_090_000));
        assert_eq!(steps.end(), Some(1_700_000_150_000));
    }

    #[test]
    fn what_is_old_has_longer_steps() {
        let steps = Steps::new(1_795_000_000_000, 2 * DAY_MS);
        assert!(steps.are_one(1_700_000_040_000, 1_700_000_099_999));
        assert!(!steps.are_one(1_794_999_940_000, 1_794_999_999_999));
    }
}
