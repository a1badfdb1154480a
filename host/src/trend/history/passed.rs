//! The time that history ages by. A wrong clock must not destroy anything: one that jumps years ahead would make all of it
//! old at once.
//!
//! What counts is time that has passed: the monotonic clock's since the start, added to what had passed when the daemon
//! before ended. The wall clock is followed while it is no more than a day from that. One that is farther off is doubted
//! until it has been so for a day in which the daemon ran; a restart does not begin that day anew, a further jump does.
//! History never ages by more than the wall clock says.

use super::DAY_MS;

/// How far from what has passed the wall clock is followed at once, in milliseconds.
const FOLLOWED_MS: i64 = DAY_MS;

/// For how long a clock has to hold that is farther off, in milliseconds of the monotonic clock.
const HOLDS_MS: i64 = DAY_MS;

/// What is kept of it from one daemon to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    /// The time that has passed, in milliseconds since the Unix epoch; none where nothing was ever committed.
    pub(crate) at_ms: Option<i64>,
    /// For how long the wall clock has been doubted, in milliseconds.
    pub(crate) doubted_ms: i64,
}

/// Time as it passes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Passed {
    kept: Kept,
    /// The wall and the monotonic clock when they were looked at last, in milliseconds.
    looked: Option<(i64, i64)>,
}

impl Passed {
    /// Goes on from what was kept.
    pub(crate) fn since(kept: Kept) -> Passed {
        Passed { kept, looked: None }
    }

    /// The clocks are these by now, in milliseconds.
    pub(crate) fn look(&mut self, wall_ms: i64, monotonic_ms: i64) {
        let (passed, jump) = self.looked.map_or((0, 0), |(wall, monotonic)| {
            let passed = monotonic_ms.saturating_sub(monotonic).max(0);
            (passed, wall_ms.saturating_sub(wall).saturating_sub(passed))
        });
        self.looked = Some((wall_ms, monotonic_ms));
        let at = self.kept.at_ms.unwrap_or(wall_ms).saturating_add(passed);
        let followed = wall_ms.abs_diff(at) <= FOLLOWED_MS.unsigned_abs();
        let jumped = jump.unsigned_abs() > FOLLOWED_MS.unsigned_abs();
        let doubted = if followed || jumped { 0 } else { self.kept.doubted_ms.saturating_add(passed) };
        self.kept = if followed || doubted >= HOLDS_MS {
            Kept { at_ms: Some(wall_ms), doubted_ms: 0 }
        } else {
            Kept { at_ms: Some(at), doubted_ms: doubted }
        };
    }

    /// What is to be kept of it.
    pub(crate) fn kept(&self) -> Kept {
        self.kept
    }

    /// The time that history ages by, in milliseconds since the Unix epoch.
    pub(crate) fn now(&self) -> i64 {
        let wall = self.looked.map_or(i64::MIN, |(wall, _)| wall);
        self.kept.at_ms.map_or(wall, |at| at.min(wall))
    }

    /// The later of this time and the wall clock's, in milliseconds since the Unix epoch: what ends now must not look as if it had long
    /// ended.
    pub(crate) fn latest(&self) -> i64 {
        let wall = self.looked.map_or(i64::MIN, |(wall, _)| wall);
        self.kept.at_ms.map_or(wall, |at| at.max(wall))
    }

    /// Why the wall clock is not followed; empty where it is.
    pub(crate) fn doubt(&self) -> String {
        let (Some((wall, _)), Some(at)) = (self.looked, self.kept.at_ms) else { return String::new() };
        let days = wall.abs_diff(at) / DAY_MS.unsigned_abs();
        if days == 0 {
            return String::new();
        }
        let (days, way) = (if days == 1 { "a day".to_owned() } else { format!("{days} days") }, wall > at);
        let way = if way { "ahead of" } else { "behind" };
        format!(
            "the clock is {days} {way} the time that has passed since the last commits; history ages by it when it has been \
             so for a day: set it if it is wrong"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;
    const YEAR: i64 = 365 * DAY_MS;
    /// A day of 2026.
    const T: i64 = 1_767_571_200_000;

    fn going(at: i64) -> Passed {
        let mut passed = Passed::since(Kept { at_ms: Some(at), doubted_ms: 0 });
        passed.look(at, 0);
        passed
    }

    #[test]
    fn a_clock_that_goes_is_followed() {
        let mut passed = Passed::since(Kept::default());
        for n in 0..100 {
            // As NTP does: a little fast, and set back now and then.
            passed.look(T + n * HOUR + n % 3 * 1_000, n * HOUR);
            assert_eq!((passed.now(), passed.doubt()), (T + n * HOUR + n % 3 * 1_000, String::new()));
        }
    }

    #[test]
    fn a_clock_that_jumps_years_ages_nothing_before_it_has_held_for_a_day() {
        let mut passed = going(T);
        for n in 1..=24 {
            passed.look(T + YEAR + n * HOUR, n * HOUR);
            assert_eq!(passed.now(), T + n * HOUR, "in the hour {n}");
            assert!(passed.doubt().contains("365 days ahead"), "{}", passed.doubt());
        }
        passed.look(T + YEAR + 25 * HOUR, 25 * HOUR);
        assert_eq!((passed.now(), passed.doubt()), (T + YEAR + 25 * HOUR, String::new()));
    }

    #[test]
    fn a_clock_that_comes_back_has_done_nothing() {
        let mut passed = going(T);
        for (n, wall) in [(1, T + 3 * YEAR), (2, T + 2 * HOUR), (3, T - 40 * YEAR), (23, T + YEAR), (30, T - YEAR)] {
            passed.look(wall, n * HOUR);
            assert!(passed.now() <= T + n * HOUR, "after {n} hours");
            assert!(passed.latest() >= T + n * HOUR, "after {n} hours: what ends looks old");
        }
        passed.look(T + 31 * HOUR, 31 * HOUR);
        assert_eq!((passed.now(), passed.doubt()), (T + 31 * HOUR, String::new()));
    }

    #[test]
    fn a_clock_that_jumps_again_has_not_held() {
        let mut passed = going(T);
        passed.look(T + YEAR, HOUR);
        passed.look(T + YEAR + 20 * HOUR, 21 * HOUR);
        passed.look(T + 9 * YEAR, 22 * HOUR);
        passed.look(T + 9 * YEAR + 20 * HOUR, 42 * HOUR);
        assert_eq!(passed.now(), T + 42 * HOUR);
    }

    #[test]
    fn a_start_with_a_wrong_clock_ages_nothing_and_a_long_pause_is_believed_after_a_day_of_running() {
        // A daemon that runs nine hours a day, after a pause of three days: restarts do not begin the day anew.
        let mut kept = Kept { at_ms: Some(T), doubted_ms: 0 };
        for day in 3..6 {
            let mut passed = Passed::since(kept);
            for hour in 0..=9 {
                passed.look(T + day * DAY_MS + hour * HOUR, hour * HOUR);
                let held = (day - 3) * 9 + hour >= 24;
                assert_eq!(passed.now() == T + day * DAY_MS + hour * HOUR, held, "day {day}, hour {hour}");
            }
            kept = passed.kept();
        }
        // A machine whose clock has forgotten all.
        let mut passed = Passed::since(kept);
        passed.look(0, 0);
        assert_eq!((passed.now(), passed.latest()), (0, kept.at_ms.unwrap_or(0)));
        assert!(passed.doubt().contains("behind"), "{}", passed.doubt());
    }

    #[test]
    fn no_clock_makes_it_panic() {
        let clocks = [i64::MIN, -1, 0, T, i64::MAX];
        for kept in clocks {
            let mut passed = Passed::since(Kept { at_ms: Some(kept), doubted_ms: i64::MAX });
            for wall in clocks {
                for monotonic in clocks {
                    passed.look(wall, monotonic);
                    let _ = (passed.now(), passed.latest(), passed.doubt());
                }
            }
        }
    }
}
