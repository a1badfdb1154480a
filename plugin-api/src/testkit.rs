//! Tests a plugin without the daemon.
//!
//! A kit makes the module as the host would, feeds it, takes its delta at a tick and reads it back from the very
//! bytes that the host would get.

use crate::access::{Access, Field, Fields, Span};
use crate::clock::Clock;
use crate::delta::Delta;
use crate::delta::wire::{Op, Reader};
use crate::error::Error;
use crate::params::Params;
use crate::sketch::{Distinct, Quantiles, Top};
use crate::{Collector, Pipe};
use core::time::Duration;

/// Drives a pipe.
#[derive(Debug)]
pub struct PipeKit<P> {
    pipe: P,
    delta: Delta,
}

impl<P: Pipe> PipeKit<P> {
    /// Makes the pipe.
    ///
    /// # Errors
    /// What the pipe's `new` says.
    pub fn new(params: &Params) -> Result<PipeKit<P>, Error> {
        Ok(PipeKit { pipe: P::new(params)?, delta: Delta::new() })
    }

    /// Feeds a batch.
    pub fn batch(&mut self, batch: &[Access<'_>]) {
        self.pipe.process(batch, &mut self.delta);
    }

    /// Feeds one line in the format `combined`, or `timed` when request and upstream time stand behind it. The pipe sees what
    /// it says that it [wants](crate::Pipe::WANTS) and nothing else: in a daemon the rest is there only if some other pipe reads it.
    ///
    /// # Panics
    /// The line is no such line: the test is wrong.
    pub fn line(&mut self, line: &str) {
        let record = record(line, P::WANTS).unwrap_or_else(|| panic!("not in the format combined or timed: {line}"));
        self.batch(&[record]);
    }

    /// Feeds many lines as one batch.
    ///
    /// # Panics
    /// As [`PipeKit::line`].
    pub fn lines<'a>(&mut self, lines: impl IntoIterator<Item = &'a str>) {
        let records: Vec<Access<'_>> = lines
            .into_iter()
            .map(|line| record(line, P::WANTS).unwrap_or_else(|| panic!("not in the format combined or timed: {line}")))
            .collect();
        self.batch(&records);
    }

    /// Takes the delta, as the host does at a tick.
    pub fn flush(&mut self) -> Found {
        self.pipe.flush(&mut self.delta);
        Found::read(self.delta.flush())
    }

    /// The delta, for what it holds (`memory_bytes`).
    pub fn delta(&self) -> &Delta {
        &self.delta
    }
}

/// Drives a collector, on a clock of its own.
#[derive(Debug)]
pub struct CollectorKit<C> {
    collector: C,
    delta: Delta,
    now: Duration,
}

impl<C: Collector> CollectorKit<C> {
    /// Makes the collector.
    ///
    /// # Errors
    /// What the collector's `new` says.
    pub fn new(params: &Params) -> Result<CollectorKit<C>, Error> {
        // Not zero, so that nobody mistakes zero for "never".
        Ok(CollectorKit { collector: C::new(params)?, delta: Delta::new(), now: Duration::from_secs(1_000) })
    }

    /// Lets time pass.
    pub fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    /// Samples once.
    ///
    /// # Errors
    /// What the collector's `collect` says.
    pub fn collect(&mut self) -> Result<Found, Error> {
        let unix_ms = 1_700_000_000_000 + self.now.as_millis() as i64;
        self.delta.set_clock(Clock::new(unix_ms, self.now.as_nanos() as u64));
        self.collector.collect(&mut self.delta)?;
        Ok(Found::read(self.delta.flush()))
    }
}

/// What was found at a path.
#[derive(Clone, Debug)]
pub enum Value {
    /// By `add`, `set` or `total`.
    Number(f64),
    /// By `set_text` or `mark`.
    Text(String),
    /// By `set_bool`.
    Bool(bool),
    /// By `observe`.
    Quantiles(Quantiles),
    /// By `distinct`.
    Distinct(Distinct),
    /// By `top`.
    Top(Top),
}

/// What a module said at one tick, by path (`ie,7`; the keys are as they are, unencoded).
#[derive(Clone, Debug, Default)]
pub struct Found {
    values: Vec<(String, Value)>,
    /// By path, what was said of it beside a value.
    metas: Vec<(String, Vec<(String, String)>)>,
}

impl Found {
    fn read(frame: &[u8]) -> Found {
        let mut found = Found::default();
        if frame.is_empty() {
            return found;
        }
        let mut reader = Reader::new(frame).expect("a delta writes whole frames");
        while let Some(entry) = reader.next_entry().expect("a delta writes whole entries") {
            let value = match entry.op {
                Op::Number(n) | Op::Add(n) | Op::Set(n) | Op::Total(n) => Value::Number(n),
                Op::Text(text) => Value::Text(text.to_owned()),
                Op::Bool(flag) => Value::Bool(flag),
                Op::Quantiles(bytes) => Value::Quantiles(Quantiles::decode(bytes).expect("encoded by the delta")),
                Op::Distinct(bytes) => Value::Distinct(Distinct::decode(bytes).expect("encoded by the delta")),
                Op::Top(bytes) => Value::Top(Top::decode(bytes).expect("encoded by the delta")),
                Op::Meta(pairs) => {
                    let pairs = pairs.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
                    found.metas.push((reader.path().join(","), pairs));
                    continue;
                }
                Op::Action(_) | Op::Lifetime(_) => continue,
            };
            found.values.push((reader.path().join(","), value));
        }
        found
    }

    /// All paths and values, in the order in which they were first fed.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.values.iter().map(|(path, value)| (path.as_str(), value))
    }

    /// The metadata that was said of a path, in order; none if none was said.
    #[must_use]
    pub fn meta(&self, path: &str) -> &[(String, String)] {
        self.metas.iter().find(|(at, _)| at == path).map_or(&[], |(_, pairs)| pairs)
    }

    /// Whether no value was said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The value at a path.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Value> {
        self.values.iter().find(|(at, _)| at == path).map(|(_, value)| value)
    }

    /// The number at a path; below a `top`, the count of a key.
    #[must_use]
    pub fn number(&self, path: &str) -> Option<f64> {
        if let Some(Value::Number(n)) = self.get(path) {
            return Some(*n);
        }
        // A path below a top: everything before the key is the top's own path.
        self.values.iter().find_map(|(at, value)| {
            let Value::Top(top) = value else { return None };
            let key = if at.is_empty() { path } else { path.strip_prefix(at.as_str())?.strip_prefix(',')? };
            top.get(key)
        })
    }

    /// The quantiles at a path.
    #[must_use]
    pub fn quantiles(&self, path: &str) -> Option<&Quantiles> {
        match self.get(path) {
            Some(Value::Quantiles(sketch)) => Some(sketch),
            _ => None,
        }
    }

    /// The estimate of different items at a path.
    #[must_use]
    pub fn distinct(&self, path: &str) -> Option<f64> {
        match self.get(path) {
            Some(Value::Distinct(sketch)) => Some(sketch.estimate()),
            _ => None,
        }
    }

    /// The text at a path.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<&str> {
        match self.get(path) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }
}

/// Takes a line apart by the plain rules of `combined`, as far as its fields are wanted; enough for a test, not for a hostile
/// log.
fn record(line: &str, wants: Fields) -> Option<Access<'_>> {
    let span = |text: &str| {
        let start = (text.as_ptr() as usize - line.as_ptr() as usize) as u32;
        if text == "-" { Span::ABSENT } else { Span::new(start, start + text.len() as u32) }
    };
    let mut record = Access::new(line);
    let mut set = |field, text: &str| {
        if wants.has(field) {
            record.set_span(field, span(text));
        }
    };
    let (client, rest) = line.split_once(" [")?;
    let (time, rest) = rest.split_once("] \"")?;
    let (request, rest) = rest.split_once("\" ")?;
    let (status, rest) = rest.split_once(' ')?;
    let (bytes, rest) = rest.split_once(" \"")?;
    let (referer, rest) = rest.split_once("\" \"")?;
    let (agent, times) = rest.split_once('"')?;
    let mut client = client.split(' ');
    set(Field::Addr, client.next()?);
    set(Field::User, client.nth(1)?);
    set(Field::Time, time);
    for (field, part) in [Field::Method, Field::Url, Field::Protocol].into_iter().zip(request.split(' ')) {
        set(field, part);
    }
    set(Field::Status, status);
    set(Field::Referer, referer);
    set(Field::Agent, agent);
    let status = status.parse().ok()?;
    if wants.has(Field::Status) {
        record.set_status(status);
    }
    let bytes = if bytes == "-" { None } else { Some(bytes.parse().ok()?) };
    if let Some(bytes) = bytes.filter(|_| wants.has(Field::Bytes)) {
        record.set_bytes(bytes);
    }
    let mut times = times.split_whitespace();
    if let Some(Ok(seconds)) = times.next().map(str::parse)
        && wants.has(Field::RequestTime)
    {
        record.set_request_time(seconds);
    }
    if let Some(Ok(seconds)) = times.next().map(str::parse)
        && wants.has(Field::UpstreamTime)
    {
        record.set_upstream_time(seconds);
    }
    Some(record)
}
