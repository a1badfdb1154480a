//! From two readings of the processors' clocks to percentages.

use procfs_core::CpuTime;

/// Those that make up the whole of the time; what a guest used is part of `user` and `nice`.
const PARTS: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];

/// Where `iowait` stands in [`PARTS`].
const IOWAIT: usize = 4;

/// Ticks since the machine was started, over all processors (proc_stat(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    parts: [u64; PARTS.len()],
    guest: u64,
}

impl From<&CpuTime> for Times {
    /// A kernel too old to count something has spent no time on it.
    fn from(time: &CpuTime) -> Times {
        let or_none = |ticks: Option<u64>| ticks.unwrap_or(0);
        Times {
            parts: [
                time.user,
                time.nice,
                time.system,
                time.idle,
                or_none(time.iowait),
                or_none(time.irq),
                or_none(time.softirq),
                or_none(time.steal),
            ],
            guest: or_none(time.guest).saturating_add(or_none(time.guest_nice)),
        }
    }
}

impl Times {
    /// The share of each part, and of guests, in the time since `last`; `None` when a clock went backwards (a
    /// processor was taken away) or none moved.
    pub(crate) fn percents_since(&self, last: &Times) -> Option<[(&'static str, f64); PARTS.len() + 1]> {
        let mut spent = [0.0; PARTS.len()];
        for (i, spent) in spent.iter_mut().enumerate() {
            let risen = self.parts[i].checked_sub(last.parts[i]);
            // The kernel takes iowait back now and then when a task wakes on another processor (proc_stat(5)); that is
            // no reset.
            *spent = if i == IOWAIT { risen.unwrap_or(0) } else { risen? } as f64;
        }
        let whole: f64 = spent.iter().sum();
        if whole == 0.0 {
            return None;
        }
        // Guests are counted a moment before the time they are part of.
        let guest = (self.guest.checked_sub(last.guest)? as f64).min(whole);
        Some(core::array::from_fn(|i| match PARTS.get(i) {
            Some(name) => (*name, 100.0 * spent[i] / whole),
            None => ("guest", 100.0 * guest / whole),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(last: ([u64; 8], u64), now: ([u64; 8], u64), expected: Option<[f64; 9]>) {
        let times = |(parts, guest)| Times { parts, guest };
        let found = times(now).percents_since(&times(last)).map(|percents| percents.map(|(_, percent)| percent));
        assert_eq!(found, expected);
    }

    #[test]
    fn shares_are_of_the_time_since_the_last_reading() {
        check(
            ([100, 0, 0, 100, 0, 0, 0, 0], 50),
            ([150, 10, 20, 200, 10, 2, 3, 5], 70),
            Some([25.0, 5.0, 10.0, 50.0, 5.0, 1.0, 1.5, 2.5, 10.0]),
        );
    }

    #[test]
    fn a_clock_that_went_backwards_gives_no_share() {
        check(([100, 0, 0, 100, 0, 0, 0, 0], 0), ([150, 0, 0, 99, 0, 0, 0, 0], 0), None);
        check(([100, 0, 0, 100, 0, 0, 0, 0], 9), ([150, 0, 0, 100, 0, 0, 0, 0], 8), None);
    }

    #[test]
    fn iowait_that_is_taken_back_counts_as_none() {
        check(
            ([0, 0, 0, 0, 9, 0, 0, 0], 0),
            ([0, 0, 25, 75, 8, 0, 0, 0], 0),
            Some([0.0, 0.0, 25.0, 75.0, 0.0, 0.0, 0.0, 0.0, 0.0]),
        );
    }

    #[test]
    fn clocks_that_stand_still_give_no_share() {
        check(([1; 8], 1), ([1; 8], 1), None);
    }
}
