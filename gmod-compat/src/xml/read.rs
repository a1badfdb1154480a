//! XML in.
//!
//! gmond writes what it was given without escaping all of it, calls it ISO-8859-1 and means whatever its modules meant. So
//! what is read here is well-formed only mostly: a broken reference stays as it stands, a byte that is no UTF-8 is Latin-1,
//! and what was read before something unreadable counts.

use super::{Cluster, DEPTH_MAX, DOCUMENT_BYTES_MAX, Host, Metric, PAIRS_MAX, UNSPECIFIED, allowed};
use crate::text;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use std::borrow::Cow;
use std::fmt;

/// What is met in a document, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A cluster begins.
    Cluster(Cluster<'a>),
    /// A host begins.
    Host(Host<'a>),
    /// A metric of it, whole.
    Metric(Metric<'a>),
}

/// Why a document, or the rest of it, cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// It has more bytes than the limit.
    TooLong(usize),
    /// Elements stand too deep in each other.
    TooDeep,
    /// It ends before it is over.
    CutOff,
    /// It is not gmond's: there is no `GANGLIA_XML`.
    Foreign,
    /// It is no XML.
    Malformed {
        /// Offset in it, in bytes.
        at: u64,
        /// What is wrong there.
        why: String,
    },
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::TooLong(bytes) => write!(f, "{bytes} bytes of XML, more than {DOCUMENT_BYTES_MAX}"),
            ReadError::TooDeep => write!(f, "more than {DEPTH_MAX} elements in each other"),
            ReadError::CutOff => f.write_str("the XML is cut off"),
            ReadError::Foreign => f.write_str("no GANGLIA_XML: nothing that a gmond or a gmetad writes"),
            ReadError::Malformed { at, why } => write!(f, "malformed XML at byte {at}: {why}"),
        }
    }
}

impl std::error::Error for ReadError {}

/// Reads a document, and hands on what it says. Elements that say nothing of a single host (`GRID`, `HOSTS`, `METRICS`) are
/// passed over, and so is a document type with all that it declares.
///
/// # Errors
/// What cannot be read; what stood before it has been handed on.
pub fn read(document: &[u8], mut each: impl FnMut(Item<'_>)) -> Result<(), ReadError> {
    if document.len() > DOCUMENT_BYTES_MAX {
        return Err(ReadError::TooLong(document.len()));
    }
    let document = text(document);
    let mut reader = Reader::from_str(&document);
    let config = reader.config_mut();
    config.allow_dangling_amp = true;
    config.expand_empty_elements = true;
    let (mut depth, mut began) = (0, false);
    let mut metric: Option<Metric<'_>> = None;
    loop {
        match reader.read_event() {
            Ok(Event::Start(element)) => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return Err(ReadError::TooDeep);
                }
                match element.name().as_ref() {
                    "GANGLIA_XML" => began = true,
                    _ if !began => return Err(ReadError::Foreign),
                    "CLUSTER" => each(Item::Cluster(cluster(&element))),
                    "HOST" => each(Item::Host(host(&element))),
                    "METRIC" => metric = Some(self::metric(&element)),
                    "EXTRA_ELEMENT" => {
                        if let Some(metric) = metric.as_mut().filter(|metric| metric.extra.len() < PAIRS_MAX) {
                            metric.extra.push(pair(&element));
                        }
                    }
                    _ => {}
                }
            }
            Ok(Event::End(element)) => {
                depth = depth.saturating_sub(1);
                if element.name().as_ref() == "METRIC"
                    && let Some(mut metric) = metric.take()
                {
                    metric.extra.reverse();
                    each(Item::Metric(metric));
                }
            }
            Ok(Event::Eof) => break,
            Ok(_) => {}
            Err(error) => {
                let (at, why) = (reader.error_position(), error.to_string());
                return Err(ReadError::Malformed { at, why });
            }
        }
    }
    match (began, depth) {
        (false, _) => Err(ReadError::Foreign),
        (true, 0) => Ok(()),
        _ => Err(ReadError::CutOff),
    }
}

/// Calls `take` with each attribute that can be read.
fn attributes(element: &BytesStart<'_>, mut take: impl FnMut(&str, String)) {
    // Whether one comes twice is not looked for: that takes a time that grows with their square.
    for attribute in element.attributes().with_checks(false).flatten() {
        take(attribute.key.as_ref(), unescape(&attribute.value));
    }
}

/// What a missing one stands for is nothing.
fn specified(value: String) -> Cow<'static, str> {
    if value == UNSPECIFIED { Cow::Borrowed("") } else { Cow::Owned(value) }
}

fn number<N: std::str::FromStr + Default>(value: &str) -> N {
    value.trim().parse().unwrap_or_default()
}

fn cluster(element: &BytesStart<'_>) -> Cluster<'static> {
    let mut cluster = Cluster::default();
    attributes(element, |name, value| match name {
        "NAME" => cluster.name = Cow::Owned(value),
        "LOCALTIME" => cluster.localtime = number(&value),
        "OWNER" => cluster.owner = specified(value),
        "LATLONG" => cluster.latlong = specified(value),
        "URL" => cluster.url = specified(value),
        _ => {}
    });
    cluster
}

fn host(element: &BytesStart<'_>) -> Host<'static> {
    let mut host = Host::default();
    attributes(element, |name, value| match name {
        "NAME" => host.name = Cow::Owned(value),
        "IP" => host.ip = Cow::Owned(value),
        "TAGS" => host.tags = Cow::Owned(value),
        "REPORTED" => host.reported = number(&value),
        "TN" => host.tn = number(&value),
        "TMAX" => host.tmax = number(&value),
        "DMAX" => host.dmax = number(&value),
        "LOCATION" => host.location = specified(value),
        "GMOND_STARTED" => host.gmond_started = number(&value),
        _ => {}
    });
    host
}

fn metric(element: &BytesStart<'_>) -> Metric<'static> {
    let mut metric = Metric::default();
    attributes(element, |name, value| match name {
        "NAME" => metric.name = Cow::Owned(value),
        "VAL" => metric.val = Cow::Owned(value),
        "TYPE" => metric.kind = Cow::Owned(value),
        "UNITS" => metric.units = Cow::Owned(value),
        "TN" => metric.tn = number(&value),
        "TMAX" => metric.tmax = number(&value),
        "DMAX" => metric.dmax = number(&value),
        "SLOPE" => metric.slope = Cow::Owned(value),
        _ => {}
    });
    metric
}

fn pair(element: &BytesStart<'_>) -> (Cow<'static, str>, Cow<'static, str>) {
    let mut pair = (Cow::Borrowed(""), Cow::Borrowed(""));
    attributes(element, |name, value| match name {
        "NAME" => pair.0 = Cow::Owned(value),
        "VAL" => pair.1 = Cow::Owned(value),
        _ => {}
    });
    pair
}

/// The longest reference that means a character: `&#x10FFFF;`, and zeros in front of it.
const REFERENCE_BYTES_MAX: usize = 16;

/// Resolves references to characters and the five names that XML has. Entities that a document declares stay as they stand, so
/// none can stand for more than itself.
fn unescape(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('&') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let end = from.bytes().take(REFERENCE_BYTES_MAX).position(|byte| byte == b';');
        let resolved = end.and_then(|end| Some((reference(from.get(1..end)?)?, from.get(end + 1..)?)));
        match resolved {
            Some((c, after)) => {
                out.push(c);
                rest = after;
            }
            None => {
                out.push('&');
                rest = from.get(1..).unwrap_or_default();
            }
        }
    }
    out.push_str(rest);
    out
}

fn reference(name: &str) -> Option<char> {
    let digits = |text: &str, radix| {
        let number = u32::from_str_radix(text, radix).ok()?;
        Some(char::from_u32(number).filter(|c| allowed(*c)).unwrap_or('\u{fffd}'))
    };
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => match name.strip_prefix('#')? {
            hex if hex.starts_with(['x', 'X']) => digits(hex.get(1..)?, 16),
            decimal => digits(decimal, 10),
        },
    }
}
