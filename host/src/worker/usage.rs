//! What a worker's process uses, from `/proc/PID/stat` (proc(5)).

use rustix::param::{clock_ticks_per_second, page_size};
use std::fs;
use std::time::Duration;

/// What a worker's process has used so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// User and system time, that of its own children who have ended included.
    pub cpu: Duration,
    /// Its memory now, in bytes (RSS: pages of libraries that others share are counted in).
    pub rss_bytes: u64,
}

pub(super) fn of(pid: u32) -> Option<Usage> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?, clock_ticks_per_second(), page_size() as u64)
}

fn parse(stat: &str, ticks_a_second: u64, page_bytes: u64) -> Option<Usage> {
    // The name is in brackets, and may hold anything.
    let (_, rest) = stat.rsplit_once(") ")?;
    // The first of these is the third field of the manual.
    let fields: Vec<&str> = rest.split(' ').collect();
    let number = |nth: usize| fields.get(nth - 3)?.trim().parse::<u64>().ok();
    let ticks = number(14)? + number(15)? + number(16)? + number(17)?;
    let millis = ticks.saturating_mul(1_000) / ticks_a_second.max(1);
    Some(Usage { cpu: Duration::from_millis(millis), rss_bytes: number(24)?.saturating_mul(page_bytes) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_is_read_whatever_the_name_is() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 9 0 0 0 150 50 3 2 20 0 1 0 77 9000000 1234 18446744073709551615";
        let usage = Usage { cpu: Duration::from_millis(2_050), rss_bytes: 1_234 * 4_096 };
        assert_eq!(parse(stat, 100, 4_096), Some(usage));
        assert_eq!(parse("7 (cut", 100, 4_096), None);
        assert!(of(std::process::id()).is_some_and(|usage| usage.rss_bytes > 0));
    }
}
