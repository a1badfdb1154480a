//! Tests of formats and of what they are read with.

mod errors;
mod guess;
mod json;
mod lines;
mod odd;
mod properties;
mod scanning;
mod values;
mod w3c;

use super::{Decoded, Format, LineError};
use plugin_api::{Access, Field, Fields};

/// A record's content, apart from its line.
#[derive(Clone, Debug, Default, PartialEq)]
struct Seen {
    addr: Option<String>,
    user: Option<String>,
    time: Option<(String, i64)>,
    method: Option<String>,
    url: Option<String>,
    protocol: Option<String>,
    status: Option<u16>,
    bytes: Option<u64>,
    referer: Option<String>,
    agent: Option<String>,
    request_time: Option<f64>,
    upstream_time: Option<f64>,
    host: Option<String>,
}

impl Seen {
    fn of(access: &Access<'_>) -> Seen {
        let text = |field| access.text(field).map(str::to_owned);
        // A number's text and its value come and go together.
        assert_eq!(text(Field::Status), access.status().map(|n| n.to_string()));
        assert_eq!(text(Field::Bytes).is_some(), access.bytes().is_some());
        assert_eq!(text(Field::RequestTime).is_some(), access.request_time().is_some());
        assert_eq!(text(Field::UpstreamTime).is_some(), access.upstream_time().is_some());
        Seen {
            addr: text(Field::Addr),
            user: text(Field::User),
            time: text(Field::Time).zip(access.time_ms()),
            method: text(Field::Method),
            url: text(Field::Url),
            protocol: text(Field::Protocol),
            status: access.status(),
            bytes: access.bytes(),
            referer: text(Field::Referer),
            agent: text(Field::Agent),
            request_time: access.request_time(),
            upstream_time: access.upstream_time(),
            host: text(Field::Host),
        }
    }
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// Reads lines with one parser, as a batch.
fn read_all(spec: &str, wants: Fields, lines: &[&str]) -> Vec<Result<Seen, LineError>> {
    let mut parser = Format::compile(spec).expect("a good format").parser(wants);
    let mut decoded = Decoded::default();
    let mut records = Vec::new();
    let results: Vec<_> = lines.iter().map(|line| parser.parse(line, &mut records, &mut decoded)).collect();
    decoded.settle(&mut records);
    let mut records = records.iter().map(Seen::of);
    let seen = results.into_iter().map(|result| result.map(|()| records.next().expect("a record for each good line")));
    let seen: Vec<_> = seen.collect();
    assert_eq!(records.next(), None, "no record for a bad line");
    seen
}

fn read(spec: &str, line: &str) -> Result<Seen, LineError> {
    read_all(spec, Fields::ALL, &[line]).remove(0)
}

fn good(spec: &str, line: &str) -> Seen {
    read(spec, line).unwrap_or_else(|error| panic!("{error}\n{line}"))
}
