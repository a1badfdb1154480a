//! The collector on frozen samples of a machine.

use graft_network::Network;
use graft_rates::testkit::{Machine, spoil};
use plugin_api::testkit::{CollectorKit, Found};
use plugin_api::{ErrorKind, Params};
use proptest::prelude::*;
use std::time::Duration;

/// A machine as the first sample has it, and a collector on it.
fn machine() -> (Machine, CollectorKit<Network>) {
    let machine = Machine::new();
    machine.copy("tests/fixtures/proc-1", "proc");
    machine.copy("tests/fixtures/sys", "sys");
    let kit = CollectorKit::new(&params(&machine)).expect("good parameters");
    (machine, kit)
}

fn params(machine: &Machine) -> Params {
    Params::new().with("procfs", machine.proc().as_str()).with("sysfs", machine.sys().as_str())
}

/// What is found after some seconds, when the machine is as the second sample has it.
fn second(machine: &Machine, kit: &mut CollectorKit<Network>) -> Found {
    machine.copy("tests/fixtures/proc-2", "proc");
    kit.pass(Duration::from_millis(10_000));
    kit.collect().expect("a sample")
}

fn check(found: &Found, expected: &[(&str, f64)]) {
    for (path, number) in expected {
        let found = found.number(path).unwrap_or_else(|| panic!("nothing at {path}"));
        assert!((found - number).abs() < 1e-6 * number.max(1.0), "{path}: {found}, not {number}");
    }
}

#[test]
fn the_first_sample_only_remembers() {
    let (_machine, mut kit) = machine();
    assert!(kit.collect().unwrap().is_empty());
}

#[test]
fn a_packet_is_counted_once_where_it_meets_hardware() {
    let (machine, mut kit) = machine();
    kit.collect().unwrap();
    let found = second(&machine, &mut kit);
    check(
        &found,
        &[
            ("bytes_in", 1_371_631.0),
            ("bytes_in,eth0", 1_367_631.0),
            ("bytes_in,eth1", 4_000.0),
            ("bytes_out", 18_045.2),
            ("bytes_out,eth0", 8_045.2),
            ("bytes_out,eth1", 10_000.0),
            ("packets_in", 123.6),
            ("packets_out", 81.5),
            ("errors_in", 0.2),
            ("errors_in,eth0", 0.0),
            ("errors_in,eth1", 0.2),
            ("errors_out", 0.0),
            ("drops_in", 0.1),
            ("drops_out", 0.5),
        ],
    );
    // Eight metrics, each of the machine and of two interfaces: no lo, bond, bridge or veth.
    assert_eq!(found.iter().count(), 8 * 3);
}

#[test]
fn a_container_without_hardware_counts_all_but_the_loopback() {
    let (machine, mut kit) = machine();
    machine.remove("sys/class");
    kit.collect().unwrap();
    let found = second(&machine, &mut kit);
    assert_eq!(found.iter().count(), 8 * 7);
    assert!(found.number("bytes_in,lo").is_none());
}

#[test]
fn a_master_with_hardware_counts_for_its_members() {
    let (machine, mut kit) = machine();
    machine.write("sys/class/net/eth1/master/device/vendor", b"0x1af4\n");
    kit.collect().unwrap();
    let found = second(&machine, &mut kit);
    check(&found, &[("bytes_in", 1_367_631.0)]);
    assert!(found.number("bytes_in,eth1").is_none());
}

#[test]
fn those_that_are_named_are_counted_and_no_others() {
    let (machine, _) = machine();
    let named = params(&machine).with("interfaces", vec!["lo", "docker0", "wg0"]);
    let mut kit = CollectorKit::<Network>::new(&named).unwrap();
    kit.collect().unwrap();
    let found = second(&machine, &mut kit);
    check(&found, &[("bytes_in", 9_900_600.0), ("bytes_in,lo", 600.0), ("bytes_in,docker0", 9_900_000.0)]);
    assert_eq!(found.iter().count(), 8 * 3);

    let named = params(&machine).with("interfaces", "wg0");
    let error = CollectorKit::<Network>::new(&named).unwrap().collect().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoData);
    assert_eq!(error.message(), format!("{}/net/dev: has none of params.interfaces (wg0)", machine.proc()));
    assert!(CollectorKit::<Network>::new(&params(&machine).with("interfaces", 3)).is_err());
}

#[test]
fn an_interface_that_starts_anew_gives_no_false_peak() {
    let (machine, mut kit) = machine();
    machine.copy("tests/fixtures/proc-2", "proc");
    kit.collect().unwrap();
    let reset = include_str!("fixtures/proc-2/net/dev").replace("150216190   10039", "      100   10139");
    machine.write("proc/net/dev", reset.as_bytes());
    kit.pass(Duration::from_secs(10));
    let found = kit.collect().unwrap();
    assert_eq!(found.number("bytes_in,eth0"), None);
    check(&found, &[("bytes_in", 0.0), ("bytes_in,eth1", 0.0), ("packets_in,eth0", 10.0)]);
}

#[test]
fn a_missing_file_is_named() {
    let (machine, mut kit) = machine();
    machine.remove("proc/net/dev");
    let error = kit.collect().unwrap_err();
    let message = format!("{}/net/dev: no such file; is params.procfs right?", machine.proc());
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
        let text = include_bytes!("fixtures/proc-1/net/dev");
        for garbage in [bytes, spoil(text, &bites), spoil(text, &figures), text[..bites.len() * text.len() / 20].to_vec()] {
            machine.write("proc/net/dev", &garbage);
            kit.pass(Duration::from_secs(1));
            match kit.collect() {
                Ok(found) => prop_assert!(found.iter().all(|(path, _)| found.number(path).is_some_and(|n| n >= 0.0))),
                Err(error) => prop_assert!(error.message().contains("/net/dev: ")),
            }
        }
    }
}
