//! Packets into bytes.

use super::{Datum, Metadata, MetricId, Packet, Value};

/// Appends a packet to `out`, as gmond writes it. The caller keeps to the limits of a reader, and of a datagram.
pub fn encode(packet: &Packet<'_>, out: &mut Vec<u8>) {
    match packet {
        Packet::Metadata(metadata) => {
            word(128, out);
            put_metadata(metadata, out);
        }
        Packet::Value(value) => put_value(value, out),
        Packet::Request(id) => {
            word(136, out);
            put_id(id, out);
        }
    }
}

fn put_id(id: &MetricId<'_>, out: &mut Vec<u8>) {
    text(id.host, out);
    text(id.name, out);
    word(u32::from(id.spoof), out);
}

fn put_metadata(metadata: &Metadata<'_>, out: &mut Vec<u8>) {
    put_id(&metadata.id, out);
    text(metadata.kind, out);
    text(metadata.name, out);
    text(metadata.units, out);
    word(metadata.slope, out);
    word(metadata.tmax, out);
    word(metadata.dmax, out);
    word(u32::try_from(metadata.extra.len()).unwrap_or(u32::MAX), out);
    for (key, value) in &metadata.extra {
        text(key, out);
        text(value, out);
    }
}

fn put_value(value: &Value<'_>, out: &mut Vec<u8>) {
    word(
        match value.datum {
            Datum::UShort(_) => 129,
            Datum::Short(_) => 130,
            Datum::Int(_) => 131,
            Datum::UInt(_) => 132,
            Datum::Text(_) => 133,
            Datum::Float(_) => 134,
            Datum::Double(_) => 135,
        },
        out,
    );
    put_id(&value.id, out);
    text(value.format, out);
    match value.datum {
        Datum::UShort(n) => word(u32::from(n), out),
        // A negative short fills its word with its sign.
        Datum::Short(n) => out.extend_from_slice(&i32::from(n).to_be_bytes()),
        Datum::Int(n) => out.extend_from_slice(&n.to_be_bytes()),
        Datum::UInt(n) => word(n, out),
        Datum::Text(bytes) => text(bytes, out),
        Datum::Float(x) => word(x.to_bits(), out),
        Datum::Double(x) => out.extend_from_slice(&x.to_bits().to_be_bytes()),
    }
}

fn word(n: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&n.to_be_bytes());
}

fn text(bytes: &[u8], out: &mut Vec<u8>) {
    word(u32::try_from(bytes.len()).unwrap_or(u32::MAX), out);
    out.extend_from_slice(bytes);
    let padding = bytes.len().next_multiple_of(4) - bytes.len();
    out.extend(std::iter::repeat_n(0, padding));
}
