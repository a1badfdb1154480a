//! gmond's packets, as they have been on the wire since ganglia 3.1.
//!
//! A datagram is one packet in XDR (RFC 4506): everything is a multiple of four bytes, big-endian; a text is its length
//! and its bytes. What a packet is stands in its first word, from 128 on, so that nothing of ganglia 3.0 is taken for it:
//!
//! ```text
//! 128       metadata   id type:text name:text units:text slope:u32 tmax:u32 dmax:u32 n:u32 (key:text value:text){n}
//! 129..=135 a value    id format:text (u16 | i16 | i32 | u32 | text | f32 | f64)
//! 136       a request  id                                   "send the metadata of this metric again"
//! id        = host:text name:text spoof:bool                spoofed: the host is "ip:name"
//! ```
//!
//! The facts are those of `lib/gm_protocol.x` of ganglia 3.7.2, and of packets recorded from gmond and gmetric of that version.
//!
//! Reading borrows from the datagram and allocates nothing but the list of pairs; whatever the bytes are, it ends, and
//! says what is wrong where.

mod decode;
mod encode;
mod printf;

pub use decode::{DecodeError, decode};
pub use encode::encode;
pub use printf::{Argument, format};

use crate::text;
use std::borrow::Cow;

/// Bytes of a packet that is read: the largest datagram there is. gmond's own end at 1,464.
pub const PACKET_BYTES_MAX: usize = 64 * 1024;

/// Bytes of a host's name, with the address that a spoofed one has in front. A name in DNS has at most 255.
pub const HOST_BYTES_MAX: usize = 512;

/// Bytes of a metric's name, its type, its units or its format. gmond keeps 250 of a name.
pub const WORD_BYTES_MAX: usize = 1024;

/// Pairs of extra metadata in a packet. gmond's packets have a title, a description and some groups.
pub const PAIRS_MAX: usize = 256;

/// What a datagram says. Texts are bytes as they came: gmond sends what its modules gave it, in any encoding.
#[derive(Clone, Debug, PartialEq)]
pub enum Packet<'a> {
    /// What there is to know of a metric but its value.
    Metadata(Metadata<'a>),
    /// A metric's value.
    Value(Value<'a>),
    /// Somebody asks for the metadata of a metric.
    Request(MetricId<'a>),
}

impl<'a> Packet<'a> {
    /// Which metric of which host it is about.
    #[must_use]
    pub fn id(&self) -> MetricId<'a> {
        match self {
            Packet::Metadata(metadata) => metadata.id,
            Packet::Value(value) => value.id,
            Packet::Request(id) => *id,
        }
    }
}

/// Which metric of which host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MetricId<'a> {
    /// The host's name as its sender says it; where it is spoofed, `ip:name`.
    pub host: &'a [u8],
    /// The metric's name; where it is spoofed, what follows a `:` is only its sender's own name for it.
    pub name: &'a [u8],
    /// The sender speaks for another host.
    pub spoof: bool,
}

/// What there is to know of a metric but its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata<'a> {
    /// Which metric.
    pub id: MetricId<'a>,
    /// `string`, `int8`, `uint8`, `int16`, `uint16`, `int32`, `uint32`, `float` or `double`, or whatever a sender calls it.
    pub kind: &'a [u8],
    /// The name once more.
    pub name: &'a [u8],
    /// Its units.
    pub units: &'a [u8],
    /// How it moves: see [`slope_name`].
    pub slope: u32,
    /// Seconds between two values at most.
    pub tmax: u32,
    /// Seconds after which it is to be forgotten; 0 is never.
    pub dmax: u32,
    /// Title, description, groups and whatever else there is, in the sender's order.
    pub extra: Vec<(&'a [u8], &'a [u8])>,
}

/// A value of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Value<'a> {
    /// Which metric.
    pub id: MetricId<'a>,
    /// How its sender would have it printed, by the rules of printf: `%.1f`.
    pub format: &'a [u8],
    /// The value.
    pub datum: Datum<'a>,
}

/// A value as it is on the wire.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Datum<'a> {
    /// 129.
    UShort(u16),
    /// 130.
    Short(i16),
    /// 131.
    Int(i32),
    /// 132.
    UInt(u32),
    /// 133; `gmetric` sends numbers too like this.
    Text(&'a [u8]),
    /// 134.
    Float(f32),
    /// 135.
    Double(f64),
}

impl Datum<'_> {
    /// The type that gmond's XML would call it.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Datum::UShort(_) => "uint16",
            Datum::Short(_) => "int16",
            Datum::Int(_) => "int32",
            Datum::UInt(_) => "uint32",
            Datum::Text(_) => "string",
            Datum::Float(_) => "float",
            Datum::Double(_) => "double",
        }
    }

    /// The number that it is; a text is none. A `float` is the shortest decimal that means it, as a reader expects: 0.1 and not
    /// 0.10000000149011612.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        match *self {
            Datum::UShort(n) => Some(f64::from(n)),
            Datum::Short(n) => Some(f64::from(n)),
            Datum::Int(n) => Some(f64::from(n)),
            Datum::UInt(n) => Some(f64::from(n)),
            Datum::Text(_) => None,
            Datum::Float(x) if x.fract() == 0.0 => Some(f64::from(x)),
            Datum::Float(x) => Some(x.to_string().parse().unwrap_or_else(|_| f64::from(x))),
            Datum::Double(x) => Some(x),
        }
    }
}

/// The names of slopes by their numbers on the wire.
const SLOPES: [&str; 6] = ["zero", "positive", "negative", "both", "unspecified", "derivative"];

/// The name of a slope; a number that is none is `unspecified`, as gmond has it.
#[must_use]
pub fn slope_name(number: u32) -> &'static str {
    usize::try_from(number).ok().and_then(|at| SLOPES.get(at)).copied().unwrap_or("unspecified")
}

/// The number of a slope's name; `unspecified` for a name that is none.
#[must_use]
pub fn slope_number(name: &str) -> u32 {
    SLOPES.iter().position(|slope| *slope == name).map_or(4, |at| at as u32)
}

impl<'a> MetricId<'a> {
    /// The host that it is about, and the address that stands in front of a spoofed one's name. `None` when a spoofed host is
    /// not `ip:name`. The last colon counts: an IPv6 address has some of its own.
    #[must_use]
    pub fn host_and_ip(&self) -> Option<(Cow<'a, str>, Option<Cow<'a, str>>)> {
        if !self.spoof {
            return Some((text(self.host), None));
        }
        let colon = self.host.iter().rposition(|byte| *byte == b':')?;
        let (ip, name) = (self.host.get(..colon)?, self.host.get(colon + 1..)?);
        (!ip.is_empty() && !name.is_empty()).then(|| (text(name), Some(text(ip))))
    }

    /// The name that the metric is shown by: as gmond, `_` stands for a `:`, but of a spoofed one's name the part before the
    /// first `:` counts (which may itself begin with one).
    #[must_use]
    pub fn shown_name(&self) -> Cow<'a, str> {
        if self.spoof {
            let second = self.name.iter().skip(1).position(|byte| *byte == b':').map(|at| at + 1);
            return text(second.and_then(|at| self.name.get(..at)).unwrap_or(self.name));
        }
        let name = text(self.name);
        if name.contains(':') { Cow::Owned(name.replace(':', "_")) } else { name }
    }
}

#[cfg(test)]
mod tests;
