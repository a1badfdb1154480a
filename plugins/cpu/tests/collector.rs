//! The collector on frozen samples of a machine.

use graft_cpu::Cpu;
use graft_rates::testkit::{Machine, spoil};
use plugin_api::Params;
use plugin_api::testkit::{CollectorKit, Found};
use proptest::prelude::*;
use std::time::Duration;

/// A machine as the first sample has it, and a collector on it.
fn machine() -> (Machine, CollectorKit<Cpu>) {
    let machine = Machine::new();
    machine.copy("tests/fixtures/proc-1", "proc");
    let kit = CollectorKit::new(&params(&machine)).expect("good parameters");
    (machine, kit)
}

fn params(machine: &Machine) -> Params {
    Params::new().with("procfs", machine.proc().as_str())
}

/// What is found after some seconds, when the machine is as the second sample has it.
fn second(machine: &Machine, kit: &mut CollectorKit<Cpu>) -> Found {
    machine.copy("tests/fixtures/proc-2", "proc");
    kit.pass(Duration::from_millis(10_010));
    kit.collect().expect("a sample")
}

fn check(found: &Found, expected: &[(&str, f64)]) {
    for (path, number) in expected {
        let found = found.number(path).unwrap_or_else(|| panic!("nothing at {path}"));
        assert!((found - number).abs() < 1e-6 * number.max(1.0), "{path}: {found}, not {number}");
    }
}

#[test]
fn the_first_sample_only_counts_the_processors() {
    let (_machine, mut kit) = machine();
    let found = kit.collect().unwrap();
    assert_eq!(found.iter().map(|(path, _)| path).collect::<Vec<_>>(), ["count"]);
    check(&found, &[("count", 2.0)]);
}

#[test]
fn shares_are_of_the_time_between_two_samples() {
    let (machine, mut kit) = machine();
    kit.collect().unwrap();
    let found = second(&machine, &mut kit);
    let of = |ticks: f64| 100.0 * ticks / 1_999.0;
    check(
        &found,
        &[
            ("user", of(803.0)),
            ("nice", 0.0),
            ("system", of(14.0)),
            ("idle", of(1_177.0)),
            ("iowait", of(5.0)),
            ("irq", 0.0),
            ("softirq", 0.0),
            ("steal", 0.0),
            ("guest", 0.0),
            ("count", 2.0),
        ],
    );
    let sum: f64 = found
        .iter()
        .filter(|(path, _)| !["guest", "count"].contains(path))
        .filter_map(|(path, _)| found.number(path))
        .sum();
    assert!((sum - 100.0).abs() < 1e-9, "{sum}");
}

#[test]
fn a_clock_that_went_backwards_gives_no_share() {
    let (machine, mut kit) = machine();
    kit.collect().unwrap();
    second(&machine, &mut kit);
    machine.copy("tests/fixtures/proc-1", "proc");
    kit.pass(Duration::from_secs(10));
    let found = kit.collect().unwrap();
    assert_eq!(found.iter().count(), 1);
    // From there it goes on.
    check(&second(&machine, &mut kit), &[("idle", 100.0 * 1_177.0 / 1_999.0)]);
}

#[test]
fn a_kernel_that_counts_less_is_read() {
    let (machine, mut kit) = machine();
    machine.write("proc/stat", b"cpu 1 2 3 4\ncpu0 1 2 3 4\nctxt 1\nbtime 1\nprocesses 1\n");
    kit.collect().unwrap();
    machine.write("proc/stat", b"cpu 2 2 3 7\ncpu0 2 2 3 7\nctxt 1\nbtime 1\nprocesses 1\n");
    check(&kit.collect().unwrap(), &[("user", 25.0), ("idle", 75.0), ("steal", 0.0), ("count", 1.0)]);
}

#[test]
fn a_missing_file_is_named() {
    let (machine, mut kit) = machine();
    machine.remove("proc/stat");
    let error = kit.collect().unwrap_err();
    let message = format!("{}/stat: no such file; is params.procfs right?", machine.proc());
    assert_eq!(error.message(), message);
}

proptest! {
    #[test]
    fn garbage_never_panics(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        bites in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..20),
        figures in proptest::collection::vec((any::<usize>(), b'0'..=b'9'), 0..60),
    ) {
        let (machine, mut kit) = machine();
        let text = include_bytes!("fixtures/proc-1/stat");
        for garbage in [bytes, spoil(text, &bites), spoil(text, &figures), text[..bites.len() * text.len() / 20].to_vec()] {
            machine.write("proc/stat", &garbage);
            kit.pass(Duration::from_secs(1));
            match kit.collect() {
                Ok(found) => prop_assert!(found.iter().all(|(path, _)| found.number(path).is_some_and(|n| n >= 0.0))),
                Err(error) => prop_assert!(error.message().contains("/stat: ")),
            }
        }
    }
}
