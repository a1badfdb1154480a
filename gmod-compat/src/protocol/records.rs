//! A batch of records as bytes: only the fields that the pipe reads.
//!
//! ```text
//! batch  = clock count:u32 head{count} texts
//! head   = for each field that is wanted, in their order: length:u32 of its text (u32::MAX: absent)
//!          status: u32   time: i64   bytes: u64   request_time, upstream_time: f64     where wanted
//! texts  = the texts, back to back, record by record
//! ```
//!
//! Heads are all of one size, and the texts are checked to be UTF-8 in one go, so that a record costs some nanoseconds on
//! either side; the reader's records borrow from the buffer that was received. A record's line is, here, its wanted texts.

use super::limits::{BATCH_BYTES, FIELD_BYTES_MAX};
use super::wire::{self, CLOCK, HEAD, tag};
use plugin_api::limits::cut;
use plugin_api::{Access, Clock, Field, Fields, Span};

/// The length of a text that is not there.
const ABSENT: u32 = u32::MAX;

/// Which fields cross, and how large a head is.
#[derive(Clone, Debug)]
pub struct Shape {
    fields: Vec<Field>,
    head_bytes: usize,
}

impl Shape {
    /// Of the fields that a pipe reads.
    #[must_use]
    pub fn of(wants: Fields) -> Shape {
        let fields: Vec<Field> = Field::ALL.into_iter().filter(|field| wants.has(*field)).collect();
        let head_bytes = fields.iter().map(|field| 4 + number_bytes(*field)).sum();
        Shape { fields, head_bytes }
    }
}

/// Bytes of a field's number beside its text.
const fn number_bytes(field: Field) -> usize {
    match field {
        Field::Status => 4,
        Field::Time | Field::Bytes | Field::RequestTime | Field::UpstreamTime => 8,
        _ => 0,
    }
}

/// Writes batches. Its buffers keep their memory from one to the next.
#[derive(Debug)]
pub struct Encoder {
    shape: Shape,
    /// The group that has yet to be told.
    group: Option<u32>,
    /// The message's head, the clock, the count and the records' heads.
    heads: Vec<u8>,
    texts: Vec<u8>,
}

impl Encoder {
    /// For a pipe that reads these fields.
    #[must_use]
    pub fn new(wants: Fields) -> Encoder {
        Encoder { shape: Shape::of(wants), group: None, heads: Vec::new(), texts: Vec::new() }
    }

    /// What is written from now on is of this group: a message that says so goes before the next.
    pub fn turn_to(&mut self, group: u32) {
        self.group = Some(group);
    }

    /// Writes a message of as many records as fit, and gives those that are left.
    pub fn encode<'b, 'a>(&mut self, clock: Clock, batch: &'b [Access<'a>]) -> &'b [Access<'a>] {
        let Encoder { shape, group, heads, texts } = self;
        heads.clear();
        texts.clear();
        if let Some(group) = group.take() {
            wire::put(heads, tag::GROUP, &group.to_le_bytes());
        }
        let at = heads.len();
        heads.extend_from_slice(&[0; HEAD]);
        heads.extend_from_slice(&wire::clock_bytes(clock));
        heads.extend_from_slice(&[0; 4]);
        let mut count = 0u32;
        let mut rest = batch;
        while let Some((record, others)) = rest.split_first() {
            put(shape, record, heads, texts);
            count += 1;
            rest = others;
            if heads.len() + texts.len() > BATCH_BYTES {
                break;
            }
        }
        let head = wire::head(tag::BATCH, heads.len() - at - HEAD + texts.len());
        let message = &mut heads[at..];
        message[..HEAD].copy_from_slice(&head);
        message[HEAD + CLOCK..HEAD + CLOCK + 4].copy_from_slice(&count.to_le_bytes());
        rest
    }

    /// The message written last, in two parts.
    #[must_use]
    pub fn parts(&self) -> [&[u8]; 2] {
        [&self.heads, &self.texts]
    }
}

#[inline]
fn put(shape: &Shape, record: &Access<'_>, heads: &mut Vec<u8>, texts: &mut Vec<u8>) {
    for &field in &shape.fields {
        match record.text(field) {
            Some(text) => {
                // No line is longer; it is cut so that a message can never be.
                let text = cut(text, FIELD_BYTES_MAX);
                heads.extend_from_slice(&(text.len() as u32).to_le_bytes());
                texts.extend_from_slice(text.as_bytes());
            }
            None => heads.extend_from_slice(&ABSENT.to_le_bytes()),
        }
        match field {
            Field::Status => heads.extend_from_slice(&u32::from(record.status().unwrap_or(0)).to_le_bytes()),
            Field::Time => heads.extend_from_slice(&record.time_ms().unwrap_or(i64::MIN).to_le_bytes()),
            Field::Bytes => heads.extend_from_slice(&record.bytes().unwrap_or(u64::MAX).to_le_bytes()),
            Field::RequestTime => heads.extend_from_slice(&record.request_time().unwrap_or(f64::NAN).to_le_bytes()),
            Field::UpstreamTime => heads.extend_from_slice(&record.upstream_time().unwrap_or(f64::NAN).to_le_bytes()),
            _ => {}
        }
    }
}

/// Reads a batch's message body. The records borrow from it.
///
/// # Errors
/// It is no batch of this shape.
pub fn decode<'a>(shape: &Shape, body: &'a [u8], records: &mut Vec<Access<'a>>) -> Result<Clock, &'static str> {
    let (clock, rest) = wire::take_clock(body).ok_or("a cut batch")?;
    let (count, rest) = rest.split_first_chunk::<4>().ok_or("a cut batch")?;
    let count = u32::from_le_bytes(*count) as usize;
    let heads_bytes = count.checked_mul(shape.head_bytes).ok_or("a cut batch")?;
    let (heads, texts) = rest.split_at_checked(heads_bytes).ok_or("a cut batch")?;
    let texts = std::str::from_utf8(texts).map_err(|_| "a batch that is no text")?;
    let mut at = 0;
    if shape.head_bytes == 0 {
        // A pipe that only counts: there is nothing of a record but that it is there.
        if count > BATCH_BYTES {
            return Err("a batch of more records than there can be");
        }
        records.resize(records.len() + count, Access::new(""));
    } else {
        records.reserve(count);
        for head in heads.chunks_exact(shape.head_bytes) {
            records.push(take(shape, head, texts, &mut at)?);
        }
    }
    if at == texts.len() { Ok(clock) } else { Err("a batch with texts of no record") }
}

#[inline]
fn take<'a>(shape: &Shape, head: &[u8], texts: &'a str, at: &mut usize) -> Result<Access<'a>, &'static str> {
    let mut spans = [Span::ABSENT; Field::COUNT];
    let mut length = 0u32;
    let mut cursor = head;
    for &field in &shape.fields {
        let text_bytes = u32::from_le_bytes(bytes(&mut cursor)?);
        cursor = cursor.get(number_bytes(field)..).ok_or("a cut batch")?;
        if text_bytes != ABSENT {
            let end = length.checked_add(text_bytes).ok_or("a batch with too long a text")?;
            spans[field as usize] = Span::new(length, end);
            length = end;
        }
    }
    let end = *at + length as usize;
    let line = texts.get(*at..end).ok_or("a batch with too few texts")?;
    *at = end;
    let mut record = Access::new(line);
    let mut cursor = head;
    for &field in &shape.fields {
        cursor = cursor.get(4..).ok_or("a cut batch")?;
        record.set_span(field, spans[field as usize]);
        match field {
            Field::Status => record.set_status(u32::from_le_bytes(bytes(&mut cursor)?) as u16),
            Field::Time => record.set_time_ms(i64::from_le_bytes(bytes(&mut cursor)?)),
            Field::Bytes => record.set_bytes(u64::from_le_bytes(bytes(&mut cursor)?)),
            Field::RequestTime => record.set_request_time(f64::from_le_bytes(bytes(&mut cursor)?)),
            Field::UpstreamTime => record.set_upstream_time(f64::from_le_bytes(bytes(&mut cursor)?)),
            _ => {}
        }
    }
    Ok(record)
}

#[inline]
fn bytes<const N: usize>(cursor: &mut &[u8]) -> Result<[u8; N], &'static str> {
    let (taken, rest) = cursor.split_first_chunk::<N>().ok_or("a cut batch")?;
    *cursor = rest;
    Ok(*taken)
}

/// An empty vector for records of another lifetime, in the same memory: collecting in place does not allocate.
#[must_use]
pub fn recycle<'b>(mut records: Vec<Access<'_>>) -> Vec<Access<'b>> {
    records.clear();
    records.into_iter().map(|_| Access::new("")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A message's body, as it is received.
    fn body(encoder: &Encoder) -> Vec<u8> {
        let [heads, texts] = encoder.parts();
        assert_eq!(wire::peek(&[heads, texts].concat()), Ok(Some((tag::BATCH, heads.len() - HEAD + texts.len()))));
        [&heads[HEAD..], texts].concat()
    }

    /// A record whose fields are these pieces of its line.
    fn record<'a>(
        line: &'a str,
        ends: &[(u8, u8)],
        numbers: (u16, Option<u64>, Option<i64>, Option<f64>),
    ) -> Access<'a> {
        let mut record = Access::new(line);
        for (field, (start, length)) in Field::ALL.into_iter().zip(ends) {
            let (start, end) = (u32::from(*start), u32::from(*start) + u32::from(*length));
            record.set_span(field, Span::new(start, end));
        }
        record.set_status(numbers.0);
        if let Some(bytes) = numbers.1 {
            record.set_bytes(bytes);
        }
        if let Some(ms) = numbers.2 {
            record.set_time_ms(ms);
        }
        if let Some(seconds) = numbers.3 {
            record.set_request_time(seconds);
            record.set_upstream_time(-seconds);
        }
        record
    }

    fn same(wants: Fields, a: &Access<'_>, b: &Access<'_>) {
        for field in Field::ALL {
            assert_eq!(if wants.has(field) { a.text(field) } else { None }, b.text(field), "{field:?}");
        }
        for (field, same) in [
            (Field::Status, a.status() == b.status()),
            (Field::Bytes, a.bytes() == b.bytes()),
            (Field::Time, a.time_ms() == b.time_ms()),
            (Field::RequestTime, a.request_time() == b.request_time()),
            (Field::UpstreamTime, a.upstream_time() == b.upstream_time()),
        ] {
            assert!(same || !wants.has(field), "{field:?}");
        }
    }

    proptest! {
        #[test]
        fn records_arrive_as_they_were(
            lines in prop::collection::vec(
                (".{0,60}", prop::collection::vec((0u8..70, 0u8..30), 0..13),
                 (0u16..1_000, any::<Option<u64>>(), any::<Option<i64>>(), prop::option::of(0.0f64..1e6))), 0..20),
            wanted in prop::collection::vec(prop::sample::select(&Field::ALL[..]), 0..6),
        ) {
            let wants = Fields::of(&wanted);
            let records: Vec<Access<'_>> = lines.iter().map(|(line, ends, numbers)| record(line, ends, *numbers)).collect();
            let mut encoder = Encoder::new(wants);
            let clock = Clock::new(5, 6);
            prop_assert!(encoder.encode(clock, &records).is_empty());
            let bytes = body(&encoder);
            let mut read = Vec::new();
            prop_assert_eq!(decode(&Shape::of(wants), &bytes, &mut read), Ok(clock));
            prop_assert_eq!(read.len(), records.len());
            for (a, b) in records.iter().zip(&read) {
                same(wants, a, b);
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(
            mut bytes in prop::collection::vec(any::<u8>(), 0..300),
            count in prop::option::of(0u8..8),
            wanted in prop::collection::vec(prop::sample::select(&Field::ALL[..]), 0..4),
        ) {
            if let (Some(count), true) = (count, bytes.len() > CLOCK + 4) {
                bytes[CLOCK..CLOCK + 4].copy_from_slice(&u32::from(count).to_le_bytes());
            }
            let mut records = Vec::new();
            let _ = decode(&Shape::of(Fields::of(&wanted)), &bytes, &mut records);
            for record in &records {
                for field in Field::ALL {
                    let _ = record.text(field);
                }
            }
        }
    }

    #[test]
    fn a_large_batch_goes_in_parts() {
        let line = "x".repeat(FIELD_BYTES_MAX + 7);
        let mut long = Access::new(&line);
        for field in Field::ALL {
            long.set_span(field, Span::new(0, line.len() as u32));
        }
        let batch = [Access::new(""), long, Access::new("")];
        let mut encoder = Encoder::new(Fields::ALL);
        let rest = encoder.encode(Clock::default(), &batch);
        assert_eq!(rest.len(), 1);
        // The longest message that there can be is within its bound.
        let bytes = body(&encoder);
        assert!(bytes.len() < super::super::limits::MESSAGE_BYTES_MAX);
        let mut read = Vec::new();
        assert!(decode(&Shape::of(Fields::ALL), &bytes, &mut read).is_ok());
        assert_eq!(read[1].url().map(str::len), Some(FIELD_BYTES_MAX));
        assert!(encoder.encode(Clock::default(), rest).is_empty());
    }

    #[test]
    fn a_pipe_that_only_counts_gets_records_without_anything() {
        let mut encoder = Encoder::new(Fields::NONE);
        assert!(encoder.encode(Clock::default(), &[Access::new("a"), Access::new("b")]).is_empty());
        let bytes = body(&encoder);
        assert_eq!(bytes.len(), CLOCK + 4);
        let mut read = Vec::new();
        assert!(decode(&Shape::of(Fields::NONE), &bytes, &mut read).is_ok());
        assert_eq!(read.len(), 2);
    }
}
