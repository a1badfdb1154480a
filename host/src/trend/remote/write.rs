//! The body of a remote write: Prometheus' `WriteRequest` of its protocol 0.1, as Protocol Buffers and in Snappy's block format.
//!
//! ```text
//! WriteRequest { repeated TimeSeries timeseries = 1; }
//! TimeSeries   { repeated Label labels = 1; repeated Sample samples = 2; }
//! Label        { string name = 1; string value = 2; }
//! Sample       { double value = 1; int64 timestamp = 2; }    timestamp in milliseconds since the Unix epoch
//! ```

use super::labels::Labels;
use crate::trend::codec::varint::put;

/// A field's number and how it is written, as a key of the protocol.
const SERIES: u8 = 1 << 3 | 2;
const LABEL: u8 = 1 << 3 | 2;
const SAMPLE: u8 = 2 << 3 | 2;
const NAME: u8 = 1 << 3 | 2;
const TEXT: u8 = 2 << 3 | 2;
const VALUE: u8 = 1 << 3 | 1;
const TIME: u8 = 2 << 3;

/// The value that says that a series has ended: one of those that are not a number, told by its bits.
pub(super) const STALE: u64 = 0x7ff0_0000_0000_0002;

fn put_bytes(key: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(key);
    put(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// The labels as they stand in each of a series' messages.
pub(super) fn encode_labels(labels: &Labels) -> Box<[u8]> {
    let (mut out, mut label) = (Vec::new(), Vec::new());
    for (name, value) in labels {
        label.clear();
        put_bytes(NAME, name.as_bytes(), &mut label);
        put_bytes(TEXT, value.as_bytes(), &mut label);
        put_bytes(LABEL, &label, &mut out);
    }
    out.into()
}

/// A request that is being put together.
#[derive(Debug, Default)]
pub(super) struct Request {
    bytes: Vec<u8>,
    series: Vec<u8>,
    sample: Vec<u8>,
}

impl Request {
    /// Adds a series, its samples ascending by their times.
    pub(super) fn add(&mut self, labels: &[u8], samples: impl Iterator<Item = (i64, u64)>) {
        self.series.clear();
        self.series.extend_from_slice(labels);
        for (time, bits) in samples {
            self.sample.clear();
            self.sample.push(VALUE);
            self.sample.extend_from_slice(&bits.to_le_bytes());
            self.sample.push(TIME);
            put(time.cast_unsigned(), &mut self.sample);
            put_bytes(SAMPLE, &self.sample, &mut self.series);
        }
        put_bytes(SERIES, &self.series, &mut self.bytes);
    }

    /// As it is sent.
    ///
    /// # Errors
    /// It is larger than Snappy's format knows.
    pub(super) fn pack(&self) -> Result<Vec<u8>, snap::Error> {
        snap::raw::Encoder::new().compress_vec(&self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_the_protocol_says_byte_for_byte() {
        let labels = vec![("__name__".to_owned(), "up".to_owned()), ("k1".to_owned(), "h".to_owned())];
        let mut request = Request::default();
        request.add(&encode_labels(&labels), [(1_767_571_200_000, 1.5_f64.to_bits()), (-1, STALE)].into_iter());
        #[rustfmt::skip]
        let known = [
            0x0a, 65,
              0x0a, 14, 0x0a, 8, b'_', b'_', b'n', b'a', b'm', b'e', b'_', b'_', 0x12, 2, b'u', b'p',
              0x0a, 7, 0x0a, 2, b'k', b'1', 0x12, 1, b'h',
              0x12, 16, 0x09, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f, 0x10, 0x80, 0xb0, 0xd0, 0xdb, 0xb8, 0x33,
              0x12, 20, 0x09, 2, 0, 0, 0, 0, 0, 0xf0, 0x7f, 0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
        ];
        assert_eq!(request.bytes, known);
        let packed = request.pack().expect("packed");
        assert_eq!(snap::raw::Decoder::new().decompress_vec(&packed).expect("unpacked"), known);
    }
}
