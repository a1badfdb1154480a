//! The collector on frozen samples of a machine.

use graft_memory::Memory;
use graft_rates::testkit::{Machine, spoil};
use plugin_api::Params;
use plugin_api::testkit::{CollectorKit, Found};
use proptest::prelude::*;
use std::time::Duration;

/// A machine as the first sample has it, and a collector on it.
fn machine() -> (Machine, CollectorKit<Memory>) {
    let machine = Machine::new();
    machine.copy("tests/fixtures/proc-1", "proc");
    let kit = CollectorKit::new(&params(&machine)).expect("good parameters");
    (machine, kit)
}

fn params(machine: &Machine) -> Params {
    Params::new().with("procfs", machine.proc().as_str())
}

/// What is found after some seconds, when the machine is as the second sample has it.
fn second(machine: &Machine, kit: &mut CollectorKit<Memory>) -> Found {
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
fn sizes_are_in_bytes() {
    let (machine, mut kit) = machine();
    let found = kit.collect().unwrap();
    let kb = 1_024.0;
    check(
        &found,
        &[
            ("total", 24_683_656.0 * kb),
            ("free", 22_880_472.0 * kb),
            ("available", 24_241_088.0 * kb),
            ("buffers", 152_244.0 * kb),
            ("cached", 1_361_612.0 * kb),
            ("slab", 179_600.0 * kb),
            ("shared", 8_924.0 * kb),
            ("used", 442_568.0 * kb),
            ("swap_total", 0.0),
            ("swap_free", 0.0),
            ("swap_used", 0.0),
        ],
    );
    assert_eq!(found.iter().count(), 11);
    check(&second(&machine, &mut kit), &[("free", 22_853_756.0 * kb), ("used", 429_144.0 * kb)]);
}

#[test]
fn what_a_sandbox_does_not_tell_is_left_out() {
    let (machine, mut kit) = machine();
    machine.write("proc/meminfo", b"MemTotal: 8 kB\nMemFree: 2 kB\nMemAvailable: 3 kB\n");
    let found = kit.collect().unwrap();
    check(&found, &[("total", 8_192.0), ("used", 5_120.0)]);
    assert_eq!(found.iter().count(), 4);
    machine.write("proc/meminfo", b"MemAvailable: 3 kB\n");
    assert!(kit.collect().unwrap_err().message().contains("/meminfo: not as Linux writes it"));
}

#[test]
fn a_missing_file_is_named() {
    let (machine, mut kit) = machine();
    machine.remove("proc/meminfo");
    let error = kit.collect().unwrap_err();
    let message = format!("{}/meminfo: no such file; is params.procfs right?", machine.proc());
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
        let text = include_bytes!("fixtures/proc-1/meminfo");
        for garbage in [bytes, spoil(text, &bites), spoil(text, &figures), text[..bites.len() * text.len() / 20].to_vec()] {
            machine.write("proc/meminfo", &garbage);
            kit.pass(Duration::from_secs(1));
            match kit.collect() {
                Ok(found) => prop_assert!(found.iter().all(|(path, _)| found.number(path).is_some_and(|n| n >= 0.0))),
                Err(error) => prop_assert!(error.message().contains("/meminfo: ")),
            }
        }
    }
}
