use super::*;
use gmod_compat::conf::{Gmond, parse};
use gmod_compat::descriptor::ValueKind;
use gmod_compat::protocol::gmod::{Group, Language};
use plugin_api::delta::wire::{Op, Reader};
use plugin_api::limits::{DELTA_META_BYTES_MAX, META_BYTES_MAX, TEXT_BYTES_MAX};
use std::cell::Cell;
use std::rc::Rc;

/// Gives texts of so many bytes.
struct Texts(Rc<Cell<usize>>);

impl Source for Texts {
    fn value(&mut self, _: usize) -> Result<Value, Fault> {
        Ok(Value::Text("x".repeat(self.0.get())))
    }
    fn cleanup(&mut self) {}
}

/// A sampler of so many metrics with a description of so many bytes, and how long the texts are that it samples.
fn texts(metrics: usize, description: usize, groups: Option<&str>) -> (Sampler, Rc<Cell<usize>>) {
    let groups = groups.map(|text| {
        let gmond = Gmond::from_tree(&parse("t", text.as_bytes(), &|_| None).unwrap()).unwrap();
        gmond.collection_groups.iter().map(Group::from).collect()
    });
    let start = Start {
        plugin: "m".to_owned(),
        language: Language::Python,
        file: "/m.py".to_owned(),
        folder: None,
        host: "me".to_owned(),
        every_ms: 10_000,
        every_of_on_ms: None,
        groups,
        debug_level: 0,
        python: None,
        symbol: None,
        c_params: None,
    };
    let descriptor = |n: usize| Descriptor {
        name: format!("m{n}"),
        kind: ValueKind::String,
        description: "d".repeat(description),
        ..Descriptor::default()
    };
    let length = Rc::new(Cell::new(1));
    let source = Box::new(Texts(Rc::clone(&length)));
    let (sampler, _) = Sampler::new(&start, (0..metrics).map(descriptor).collect(), source, Vec::new());
    (sampler, length)
}

/// How many values and how many descriptions the sample at this second has, and how many bytes; none if nothing was said.
fn sample(sampler: &mut Sampler, second: u64) -> (usize, usize, usize) {
    let mut frame = Vec::new();
    let told = sampler.collect(Clock::new(0, second * 1_000_000_000), &mut frame);
    assert_eq!(told, Told::Whole);
    let (mut values, mut described) = (0, 0);
    if !frame.is_empty() {
        let mut reader = Reader::new(&frame).unwrap();
        while let Some(entry) = reader.next_entry().unwrap() {
            match entry.op {
                Op::Meta(_) => described += 1,
                _ => values += 1,
            }
        }
    }
    (values, described, frame.len())
}

#[test]
fn a_description_that_found_no_room_is_told_the_next_time() {
    let fit = DELTA_META_BYTES_MAX / META_BYTES_MAX;
    let metrics = fit + 500;
    let (mut sampler, length) = texts(metrics, 2 * META_BYTES_MAX, None);
    let counts = [0, 10, 20].map(|second| {
        // What stands still would be held back.
        length.set(length.get() + 1);
        let (values, described, _) = sample(&mut sampler, second);
        (values, described)
    });
    assert_eq!(counts, [(metrics, fit), (metrics, 500), (metrics, 0)]);
}

#[test]
fn it_is_told_although_the_metric_has_no_value_any_more() {
    let fit = DELTA_META_BYTES_MAX / META_BYTES_MAX;
    let once = "collection_group { collect_once = yes metric { name_match = \"(m.*)\" } }";
    let (mut sampler, _) = texts(fit + 500, 2 * META_BYTES_MAX, Some(once));
    let counts = [0, 10, 20].map(|second| {
        let (values, described, _) = sample(&mut sampler, second);
        (values, described)
    });
    assert_eq!(counts, [(fit + 500, fit), (0, 500), (0, 0)]);
}

#[test]
fn what_was_described_in_a_frame_that_is_too_long_is_described_again() {
    let metrics = FRAME_BYTES_MAX / TEXT_BYTES_MAX + 1;
    let (mut sampler, length) = texts(metrics, 10, None);
    length.set(TEXT_BYTES_MAX);
    let (_, described, bytes) = sample(&mut sampler, 0);
    assert!(described == metrics && bytes > FRAME_BYTES_MAX, "{described} {bytes}");
    length.set(1);
    let (_, described, bytes) = sample(&mut sampler, 10);
    assert!(described == metrics && bytes < FRAME_BYTES_MAX, "{described} {bytes}");
    assert_eq!(sample(&mut sampler, 20).1, 0);
}
