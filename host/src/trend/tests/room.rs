//! What sketches take on the disk.

use super::super::history::append_sketches;
use super::{DAY_MS, Daemon, START};
use crate::tree::Fed;
use plugin_api::sketch::{Distinct, Quantiles};

/// Branches of latencies, and how many requests and visitors a day has: a shop's.
const BRANCHES: u64 = 5;
const REQUESTS: u64 = 50_000;
const VISITORS: u64 = 100_000;
const EVERY_MS: i64 = 10_000;

#[test]
fn a_day_of_sketches_takes_little_room() {
    let mut daemon = Daemon::new();
    let random = &mut super::Random(5);
    let commits = DAY_MS / EVERY_MS;
    let per_commit = |a_day: u64, n: i64, random: &mut super::Random| {
        // A day has a morning and an evening.
        let share = 1.0 + (n as f64 / commits as f64 * std::f64::consts::TAU).sin();
        let mean = a_day as f64 / commits as f64 * share;
        mean as u64 + u64::from(random.below(1_000) < (mean.fract() * 1_000.0) as u64)
    };
    let transaction = daemon.database.connection().transaction().expect("begun");
    for n in 0..commits {
        let mut fed: Vec<(u64, Fed)> = Vec::new();
        for branch in 0..BRANCHES {
            let mut sketch = Quantiles::new();
            for _ in 0..per_commit(REQUESTS, n, random) {
                // Most take some milliseconds, some a second.
                let ms = 4.0
                    * (random.below(1_000) as f64 / 1_000.0 * 2.5).exp()
                    * if random.below(50) == 0 { 30.0 } else { 1.0 };
                sketch.observe(ms.round() / 1_000.0);
            }
            fed.push((branch + 1, Fed::Quantiles(Box::new(sketch))));
        }
        let mut visitors = Distinct::new();
        // Each comes ten times or so within some minutes.
        for _ in 0..per_commit(10 * VISITORS, n, random) {
            let first = n as u64 * VISITORS / commits as u64;
            visitors.insert(&(first + random.below(1_200)).to_le_bytes());
        }
        fed.push((99, Fed::Distinct(Box::new(visitors))));
        let fed = fed.iter().filter(|(_, fed)| !fed.is_empty()).map(|(id, fed)| (*id, fed));
        append_sketches(&transaction, START + n * EVERY_MS, fed).expect("written");
    }
    transaction.commit().expect("written");
    let room = |daemon: &mut Daemon, series: std::ops::Range<u64>| -> u64 {
        let sum = "SELECT coalesce(sum(length(data)), 0) FROM sketch WHERE series >= ? AND series < ?";
        let range = [series.start.cast_signed(), series.end.cast_signed()];
        daemon.database.connection().query_row(sum, range, |row| row.get::<_, i64>(0)).expect("summed").cast_unsigned()
    };
    let mut found = Vec::new();
    for days in [0, 1, 4, 35, 500] {
        if days > 0 {
            daemon.tidy(START + days * DAY_MS + 3_700_000);
        }
        found.push((days, room(&mut daemon, 1..50) / BRANCHES, room(&mut daemon, 99..100)));
    }
    println!("days, bytes of a day of quantiles, of a distinct count: {found:?}");
    // As committed, packed, minutes, those of ten minutes, the day alone.
    for ((_, quantiles, distinct), (at_most, distinct_at_most)) in found.iter().zip([
        (400_000, 4_500_000),
        (110_000, 2_000_000),
        (45_000, 2_000_000),
        (11_000, 550_000),
        (550, 7_000),
    ]) {
        assert!(quantiles <= &at_most && distinct <= &distinct_at_most, "{found:?}");
    }
}
