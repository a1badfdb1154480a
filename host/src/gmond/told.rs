//! What is told of a metric beside its value, on the way from ganglia's words to the tree's.

use gmod_compat::keys::tree_key;
use gmod_compat::text;
use gmod_compat::xdr::{Metadata, slope_name};
use gmod_compat::xml;
use plugin_api::delta::meta::Pairs;
use std::time::Duration;

/// The types whose values are numbers.
const NUMBERS: [&str; 9] = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "float", "double", "timestamp"];

/// The metadata of a metric. A thousand hosts say the same of the same metric, so it is held once.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Told {
    /// As the tree has them, but for what each value may say anew.
    pairs: Vec<(Box<str>, Box<str>)>,
    /// Its values are numbers.
    pub(super) is_number: bool,
    /// It only grows: what it stands at is a counter's total.
    pub(super) grows: bool,
    /// Seconds after which it is forgotten; 0 is never.
    dmax: u32,
}

impl Told {
    /// What a packet says.
    pub(super) fn by_packet(metadata: &Metadata<'_>) -> Told {
        let extra = metadata.extra.iter().map(|(key, value)| (text(key), text(value)));
        let (kind, units) = (text(metadata.kind), text(metadata.units));
        let slope = slope_name(metadata.slope);
        Told::new(
            &kind,
            &units,
            slope,
            metadata.tmax,
            metadata.dmax,
            extra.map(|(key, value)| (key.into(), value.into())),
        )
    }

    /// What XML says.
    pub(super) fn by_xml(metric: &xml::Metric<'_>) -> Told {
        let extra = metric.extra.iter().map(|(key, value)| (Box::from(&**key), Box::from(&**value)));
        Told::new(&metric.kind, &metric.units, &metric.slope, metric.tmax, metric.dmax, extra)
    }

    fn new(
        kind: &str,
        units: &str,
        slope: &str,
        tmax: u32,
        dmax: u32,
        extra: impl Iterator<Item = (Box<str>, Box<str>)>,
    ) -> Told {
        let pair = |key: &str, value: &str| (Box::from(key), Box::from(value));
        let mut pairs = vec![
            pair("type", kind),
            pair("units", units),
            pair("slope", slope),
            pair("tmax", &tmax.to_string()),
            pair("dmax", &dmax.to_string()),
            pair("source", "gmond"),
        ];
        pairs.extend(extra.map(|(key, value)| (tree_key(&key).into(), value)));
        Told { pairs, is_number: NUMBERS.contains(&kind), grows: slope == "positive", dmax }
    }

    /// How long a value lives.
    pub(super) fn lifetime(&self) -> Duration {
        Duration::from_secs(u64::from(self.dmax))
    }

    /// The pairs for the tree, written into `out`; with how values are printed and who is spoken for, where that is known.
    pub(super) fn write<'o>(&self, format: Option<&str>, spoof: Option<&str>, out: &'o mut Vec<u8>) -> Pairs<'o> {
        let own = [("format", format), ("spoof", spoof)];
        let own = own.into_iter().filter_map(|(key, value)| Some((key, value?)));
        let pairs: Vec<(&str, &str)> = self.pairs.iter().map(|(key, value)| (&**key, &**value)).collect();
        // Those that mean something first: what is too much is cut at the end.
        let (meant, extra) = pairs.split_at(6.min(pairs.len()));
        let pairs: Vec<(&str, &str)> = meant.iter().copied().chain(own).chain(extra.iter().copied()).collect();
        Pairs::write(out, &pairs)
    }

    /// About as many bytes as it takes.
    pub(super) fn bytes(&self) -> usize {
        let texts: usize = self.pairs.iter().map(|(key, value)| key.len() + value.len()).sum();
        size_of::<Told>() + self.pairs.len() * size_of::<(Box<str>, Box<str>)>() + texts + 64
    }
}

/// The number that a text says, as C's strtod has it: blanks in front, and hexadecimal whole numbers too. What is none in the
/// tree (an infinity, not a number, nothing) is none here.
pub(super) fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let parsed = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) if hex.starts_with(|first: char| first.is_ascii_hexdigit()) => {
            sign * u64::from_str_radix(hex, 16).ok()? as f64
        }
        Some(_) => return None,
        None => text.parse().ok()?,
    };
    Some(parsed).filter(|x: &f64| x.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_c() {
        for (text, x) in [("42", 42.0), (" -5", -5.0), ("1e3", 1000.0), ("0x10", 16.0), ("-0X1f", -31.0), ("+.5", 0.5)]
        {
            assert_eq!(number(text), Some(x), "{text}");
        }
        for text in ["", "nan", "inf", "-infinity", "abc", "12abc", "0x", "0x-1", "1 2", "1e999"] {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
