//! The collector on frozen samples of a machine.

use graft_load::Load;
use graft_rates::testkit::{Machine, spoil};
use plugin_api::Params;
use plugin_api::testkit::{CollectorKit, Found};
use proptest::prelude::*;
use std::time::Duration;

/// A machine as the first sample has it, and a collector on it.
fn machine() -> (Machine, CollectorKit<Load>) {
    let machine = Machine::new();
    machine.copy("tests/fixtures/proc-1", "proc");
    let kit = CollectorKit::new(&params(&machine)).expect("good parameters");
    (machine, kit)
}

fn params(machine: &Machine) -> Params {
    Params::new().with("procfs", machine.proc().as_str())
}

/// What is found after some seconds, when the machine is as the second sample has it.
fn second(machine: &Machine, kit: &mut CollectorKit<Load>) -> Found {
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
fn averages_and_counts_are_the_kernels() {
    let (machine, mut kit) = machine();
    let found = kit.collect().unwrap();
    for (path, number) in [("one", 2.18), ("five", 1.14), ("fifteen", 0.95), ("running", 1.0), ("processes", 92.0)] {
        assert_eq!(found.number(path), Some(number), "{path}");
    }
    assert_eq!(found.iter().count(), 5);
    check(&second(&machine, &mut kit), &[("one", 1.99), ("running", 2.0)]);
}

#[test]
fn a_missing_file_is_named() {
    let (machine, mut kit) = machine();
    machine.remove("proc/loadavg");
    let error = kit.collect().unwrap_err();
    let message = format!("{}/loadavg: no such file; is params.procfs right?", machine.proc());
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
        let text = include_bytes!("fixtures/proc-1/loadavg");
        for garbage in [bytes, spoil(text, &bites), spoil(text, &figures), text[..bites.len() * text.len() / 20].to_vec()] {
            machine.write("proc/loadavg", &garbage);
            kit.pass(Duration::from_secs(1));
            match kit.collect() {
                Ok(found) => prop_assert!(found.iter().all(|(path, _)| found.number(path).is_some_and(|n| n >= 0.0))),
                Err(error) => prop_assert!(error.message().contains("/loadavg: ")),
            }
        }
    }
}
