//! A million hostile messages: whatever a worker or a daemon sends is read or refused, and nothing else.
//!
//! The cases are the same in every run (`GRAFTD_FUZZ_SEED` and `GRAFTD_FUZZ_CASES` change that).

use gmod_compat::protocol::gmod::{Language, Start};
use gmod_compat::protocol::records::{self, Encoder, Shape};
use gmod_compat::protocol::reply::{self, Ended, Hello, Reply};
use gmod_compat::protocol::wire::{self, Messages, tag};
use plugin_api::delta::wire::Reader;
use plugin_api::{Access, Clock, Delta, Error, Field, Fields, Params, Span};

/// Numbers that look random (Marsaglia's xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    wire::put(&mut out, tag, body);
    out
}

/// One of each kind, as they are sent.
fn samples() -> Vec<Vec<u8>> {
    let mut delta = Delta::new();
    delta.set(&["me", "load"], 1.5);
    delta.meta(&["me", "load"], &[("units", "1"), ("group", "a"), ("group", "b")]);
    delta.total(&["me", "bytes"], 7e9);
    delta.set_text(&["me", "version"], "1.2.3");
    delta.observe(&["time"], 0.25);
    delta.distinct(&["who"], "a");
    delta.top(&["url"], "/", 1.0, 10);
    let frame = delta.flush().to_vec();
    let start = Start {
        plugin: "m".to_owned(),
        language: Language::Python,
        file: "/m.py".to_owned(),
        folder: None,
        host: "me".to_owned(),
        every_ms: 10_000,
        every_of_on_ms: None,
        groups: None,
        debug_level: 0,
        python: None,
        symbol: None,
        c_params: None,
    };
    let params = Params::new().with("a", "b").with("n", 7i64);
    let mut record = Access::new("GET /");
    record.set_span(Field::Method, Span::new(0, 3));
    record.set_span(Field::Url, Span::new(4, 5));
    record.set_status(200);
    let mut encoder = Encoder::new(Fields::ALL);
    encoder.encode(Clock::new(1, 2), &[record, record]);
    let error = Error::failed("KeyError: 'x'\nTraceback");
    vec![
        message(tag::START, &start.encode(&params, b"kept").expect("an order")),
        encoder.parts().concat(),
        message(tag::GROUP, &7u32.to_le_bytes()),
        message(tag::FLUSH, &wire::clock_bytes(Clock::new(3, 4))),
        message(tag::HELLO, &Hello::ours().encode()),
        message(tag::LOADED, br#"{"is_pipe":false,"path":"","action":"","params":[],"every_ms":5,"remarks":["x"]}"#),
        message(tag::READY, &reply::ready(true, Fields::ALL)),
        message(tag::DONE, &3u32.to_le_bytes()),
        message(tag::PARTLY, &reply::partly(&error, &frame)),
        message(tag::FAILED, &reply::failed(&error)),
        message(tag::FRAME, &frame),
        message(tag::ENDED, &Ended { signal: Some(11), code: None, last_words: "oh".to_owned() }.encode()),
    ]
}

/// A few bytes changed, taken out, put in or cut off.
fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        match random.below(6) {
            0 => bytes.truncate(at),
            1 if at < bytes.len() => drop(bytes.remove(at)),
            2 => bytes.insert(at, random.next() as u8),
            3 if at < bytes.len() => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
            _ if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            _ => {}
        }
    }
}

fn read(bytes: &[u8], shapes: &[Shape]) {
    let mut rest = bytes;
    while let Ok(Some((tag, length))) = wire::peek(rest) {
        let body = &rest[wire::HEAD..wire::HEAD + length];
        rest = &rest[wire::HEAD + length..];
        let reply = Reply::decode(tag, body);
        let frame = match reply {
            Ok(Reply::Frame) => Some(body),
            Ok(Reply::Partly { frame_at, .. }) => Some(&body[frame_at..]),
            _ => None,
        };
        if let Some(Ok(reader)) = frame.filter(|frame| !frame.is_empty()).map(Reader::new) {
            let _ = reader.check();
        }
        match tag {
            tag::START => drop(Start::decode(body)),
            tag::ENDED => drop(Ended::decode(body)),
            tag::BATCH => {
                for shape in shapes {
                    let mut records = Vec::new();
                    let _ = records::decode(shape, body, &mut records);
                    for record in records.iter().take(10) {
                        assert!(
                            Field::ALL
                                .iter()
                                .all(|field| record.text(*field).is_none_or(|text| text.len() <= body.len()))
                        );
                    }
                }
            }
            _ => drop(wire::take_clock(body)),
        }
    }
}

#[test]
fn a_million_hostile_messages_are_read_or_refused() {
    let mut random = Random(number("GRAFTD_FUZZ_SEED", 0x9e37_79b9_7f4a_7c15).max(1));
    let samples = samples();
    let shapes = [Shape::of(Fields::ALL), Shape::of(Fields::of(&[Field::Status, Field::Url]))];
    let mut bytes = Vec::new();
    for case in 0..number("GRAFTD_FUZZ_CASES", 1_000_000) {
        bytes.clear();
        bytes.extend_from_slice(&samples[random.below(samples.len())]);
        if case % 8 == 0 {
            bytes.extend_from_slice(&samples[random.below(samples.len())]);
        }
        mutate(&mut bytes, &mut random);
        read(&bytes, &shapes);
        // As a stream too; that takes the memory that is announced, so not each of them.
        if case % 10_000 == 0 {
            let mut messages = Messages::of(&bytes[..]);
            while let Ok(Some(_)) = messages.next() {}
        }
    }
}
