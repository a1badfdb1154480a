//! The collector on frozen samples of a machine.

use graft_disk::Disk;
use graft_rates::testkit::{Machine, spoil};
use plugin_api::testkit::{CollectorKit, Found};
use plugin_api::{ErrorKind, Params};
use proptest::prelude::*;
use std::time::Duration;

/// A machine as the first sample has it, and a collector on it.
fn machine() -> (Machine, CollectorKit<Disk>) {
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
fn second(machine: &Machine, kit: &mut CollectorKit<Disk>) -> Found {
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
fn the_first_sample_has_the_space_alone() {
    let (_machine, mut kit) = machine();
    let found = kit.collect().unwrap();
    let paths: Vec<&str> = found.iter().map(|(path, _)| path).collect();
    // Of the fixture's file systems only the root is on every machine that runs this test.
    assert_eq!(paths, ["total,/", "total", "free,/", "free", "used_max_percent,/", "used_max_percent"]);
    let number = |path| found.number(path).unwrap();
    assert!(number("total") > 0.0 && number("free") <= number("total"));
    assert!((0.0..=100.0).contains(&number("used_max_percent")));
}

#[test]
fn whole_disks_are_counted_once() {
    let (machine, mut kit) = machine();
    kit.collect().unwrap();
    let found = second(&machine, &mut kit);
    check(
        &found,
        &[
            ("reads,vda", 21.7),
            ("reads,sda", 10.0),
            ("reads,nvme0n1", 0.0),
            ("reads", 31.7),
            ("writes,vda", 3.8),
            ("writes,sda", 10.0),
            ("writes,nvme0n1", 10.0),
            ("writes", 23.8),
            ("read_bytes,vda", 222.4 * 512.0),
            ("read_bytes", 1_022.4 * 512.0),
            ("write_bytes,vda", 12_628.0 * 512.0),
            ("write_bytes", 14_228.0 * 512.0),
            ("busy,vda", 0.64),
            ("busy,nvme0n1", 0.1),
            // It was busy for 10.2 seconds of ten.
            ("busy,sda", 100.0),
            ("busy", 100.0),
        ],
    );
    // Five metrics, each of the machine and of three disks; three of the machine and of one file system.
    assert_eq!(found.iter().count(), 5 * 4 + 3 * 2);
}

#[test]
fn what_a_disk_stands_on_is_asked_when_there_are_others() {
    let (machine, mut kit) = machine();
    kit.collect().unwrap();
    let stats = |more: &str| {
        let all = include_str!("fixtures/proc-2/diskstats").to_owned() + more;
        machine.write("proc/diskstats", all.as_bytes());
    };
    let reads = |kit: &mut CollectorKit<Disk>, disk: &str| {
        kit.pass(Duration::from_secs(10));
        kit.collect().unwrap().number(&format!("reads,{disk}"))
    };
    // As long as the devices are the same, nobody looks.
    machine.remove("sys/block/sda");
    stats("");
    assert!(reads(&mut kit, "sda").is_some());
    // One comes, and it is found what has become of the others.
    machine.write("sys/block/sdz/device/vendor", b"");
    stats(" 8 400 sdz 5 0 0 0 0 0 0 0 0 0 0\n");
    assert_eq!(reads(&mut kit, "sdz"), None, "its first sample");
    assert_eq!((reads(&mut kit, "sdz"), reads(&mut kit, "sda")), (Some(0.0), None));
}

#[test]
fn a_counter_that_went_over_gives_no_false_peak() {
    let (machine, mut kit) = machine();
    kit.collect().unwrap();
    let over = include_str!("fixtures/proc-1/diskstats").replace(" 27600 ", " 12 ");
    machine.write("proc/diskstats", over.as_bytes());
    kit.pass(Duration::from_secs(10));
    let found = kit.collect().unwrap();
    assert_eq!(found.number("busy,vda"), None);
    check(&found, &[("busy", 0.0), ("reads,vda", 0.0)]);
}

#[test]
fn a_machine_without_disks_has_nothing_to_sample() {
    let (machine, mut kit) = machine();
    machine.write("proc/diskstats", b"");
    machine.write("proc/mounts", b"overlay / overlay rw 0 0\n");
    let error = kit.collect().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoData);
}

#[test]
fn a_missing_table_of_mounts_is_named() {
    let (machine, mut kit) = machine();
    machine.remove("proc/mounts");
    assert!(kit.collect().unwrap_err().message().starts_with(&format!("{}/mounts: no such file", machine.proc())));
}

#[test]
fn a_missing_file_is_named() {
    let (machine, mut kit) = machine();
    machine.remove("proc/diskstats");
    let error = kit.collect().unwrap_err();
    let message = format!("{}/diskstats: no such file; is params.procfs right?", machine.proc());
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
        let text = include_bytes!("fixtures/proc-1/diskstats");
        for garbage in [bytes, spoil(text, &bites), spoil(text, &figures), text[..bites.len() * text.len() / 20].to_vec()] {
            machine.write("proc/diskstats", &garbage);
            kit.pass(Duration::from_secs(1));
            match kit.collect() {
                Ok(found) => prop_assert!(found.iter().all(|(path, _)| found.number(path).is_some_and(|n| n >= 0.0))),
                Err(error) => prop_assert!(error.message().contains("/diskstats: ")),
            }
        }
    }
}
