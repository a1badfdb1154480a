//! What a callback returned, and what of it enters the tree: gmond's conversions, and a reason where gmond makes up a zero.

use plugin_api::limits::{TEXT_BYTES_MAX, cut};
use std::fmt;

/// What a module returned for a metric, or wrote in a descriptor. A boolean is 1 or 0.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// An integer. One past this type is given as its digits, as [`Value::Text`].
    Int(i128),
    /// A floating point number.
    Float(f64),
    /// Text.
    Text(String),
    /// Python's `None`.
    None,
    /// Something that gmond can make nothing of, by the name of its type: `list`.
    Other(String),
}

macro_rules! whole_numbers {
    ($($kind:ty)*) => {$(
        impl From<$kind> for Value {
            fn from(n: $kind) -> Value {
                Value::Int(i128::from(n))
            }
        }
    )*};
}
whole_numbers!(i8 u8 i16 u16 i32 u32 i64 u64);

impl Value {
    /// The text that gmond makes of it where it wants text; none where it cannot.
    pub fn text(&self) -> Option<String> {
        match self {
            Value::Int(n) => Some(n.to_string()),
            Value::Float(x) => Some(fixed(*x)),
            Value::Text(text) => Some(until_nul(text).to_owned()),
            Value::None | Value::Other(_) => None,
        }
    }
}

/// C's `%f`.
fn fixed(x: f64) -> String {
    if x.is_nan() { "nan".to_owned() } else { format!("{x:.6}") }
}

/// gmond's texts are C's.
pub(super) fn until_nul(text: &str) -> &str {
    text.split('\0').next().unwrap_or_default()
}

/// The type of a metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// Text.
    String,
    /// An unsigned integer of so many bits: 8, 16 or 32.
    Uint(u8),
    /// A signed integer of so many bits: 8, 16 or 32.
    Int(u8),
    /// A 32-bit float on ganglia's wire; the tree keeps it whole.
    Float,
    /// A 64-bit float.
    Double,
    /// Seconds since 1970, unsigned.
    Timestamp,
    /// Any other word, as written.
    Unknown(String),
}

impl ValueKind {
    /// The type of this name, in a descriptor's spelling (`uint`) or in gmond's own (`uint32`); case does not count.
    pub fn named(name: &str) -> ValueKind {
        match name.to_ascii_lowercase().as_str() {
            "string" => ValueKind::String,
            "uint" | "uint32" => ValueKind::Uint(32),
            "uint16" => ValueKind::Uint(16),
            "uint8" => ValueKind::Uint(8),
            "int" | "int32" => ValueKind::Int(32),
            "int16" => ValueKind::Int(16),
            "int8" => ValueKind::Int(8),
            "float" => ValueKind::Float,
            "double" => ValueKind::Double,
            "timestamp" => ValueKind::Timestamp,
            _ => ValueKind::Unknown(name.to_owned()),
        }
    }

    /// Its name in gmond's XML. An unknown type goes by the value.
    pub fn xml_name(&self, value: &Entered) -> &'static str {
        match (self, value) {
            (ValueKind::Uint(8), _) => "uint8",
            (ValueKind::Uint(16), _) => "uint16",
            (ValueKind::Uint(_), _) => "uint32",
            (ValueKind::Int(8), _) => "int8",
            (ValueKind::Int(16), _) => "int16",
            (ValueKind::Int(_), _) => "int32",
            (ValueKind::Float, _) => "float",
            (ValueKind::Timestamp, _) => "timestamp",
            (ValueKind::String, _) | (ValueKind::Unknown(_), Entered::Text(_)) => "string",
            (ValueKind::Double, _) | (ValueKind::Unknown(_), Entered::Number(_)) => "double",
        }
    }

    /// What of a value enters the tree; none if it is not finite.
    ///
    /// # Errors
    /// It is no value of this type.
    pub fn convert(&self, value: &Value) -> Result<Option<Entered>, Misfit> {
        match value {
            Value::None => return Err(Misfit::None),
            Value::Other(name) => return Err(Misfit::Type(name.clone())),
            _ => {}
        }
        let number = match (self, value) {
            (ValueKind::String, _) | (ValueKind::Unknown(_), Value::Text(_)) => {
                let text = value.text().unwrap_or_default();
                return Ok(Some(Entered::Text(cut(&text, TEXT_BYTES_MAX).to_owned())));
            }
            (ValueKind::Uint(bits), _) => whole(value)?.map(|n| unsigned(n, *bits)),
            (ValueKind::Timestamp, _) => whole(value)?.map(|n| unsigned(n, 32)),
            (ValueKind::Int(bits), _) => whole(value)?.map(|n| signed(n, *bits)),
            (ValueKind::Float | ValueKind::Double | ValueKind::Unknown(_), _) => Some(real(value)?),
        };
        Ok(number.filter(|number| number.is_finite()).map(Entered::Number))
    }
}

/// The lowest `bits` of it: gmond masks what does not fit.
fn unsigned(n: i128, bits: u8) -> f64 {
    (n & ((1 << bits.min(64)) - 1)) as f64
}

pub(super) fn signed(n: i128, bits: u8) -> f64 {
    let above = 128 - u32::from(bits.clamp(1, 64));
    (n << above >> above) as f64
}

/// An integer; none for a float that is not finite.
fn whole(value: &Value) -> Result<Option<i128>, Misfit> {
    match value {
        Value::Int(n) => Ok(Some(*n)),
        Value::Text(text) => match integer(until_nul(text)) {
            Some(n) => Ok(Some(n)),
            None => Ok(truncated(real(value)?)),
        },
        _ => Ok(truncated(real(value)?)),
    }
}

fn truncated(x: f64) -> Option<i128> {
    // What is past the type's range becomes its end.
    x.is_finite().then_some(x as i128)
}

fn real(value: &Value) -> Result<f64, Misfit> {
    match value {
        Value::Int(n) => Ok(*n as f64),
        Value::Float(x) => Ok(*x),
        Value::Text(text) => {
            let trimmed = trim(until_nul(text));
            trimmed.parse().map_err(|_| Misfit::NoNumber(cut(text, QUOTED_BYTES).to_owned()))
        }
        Value::None => Err(Misfit::None),
        Value::Other(name) => Err(Misfit::Type(name.clone())),
    }
}

/// As C's `strtol` of base 10 would, blanks after it allowed; past 64 bits it stays at their end.
pub(super) fn integer(text: &str) -> Option<i128> {
    let text = trim(text);
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let n = digits.parse::<u64>().unwrap_or(u64::MAX);
    Some(if text.starts_with('-') { -i128::from(n) } else { i128::from(n) })
}

/// What C's `isspace` holds for blank.
fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c'])
}

/// What enters the tree.
#[derive(Clone, Debug, PartialEq)]
pub enum Entered {
    /// A finite number.
    Number(f64),
    /// Text, bounded as leaves are.
    Text(String),
}

/// Why a value did not enter the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// It was `None`.
    None,
    /// It was of a type that is neither number nor text.
    Type(String),
    /// It was text where a number is wanted; its beginning.
    NoNumber(String),
}

/// Bytes of a text that a [`Misfit`] quotes.
const QUOTED_BYTES: usize = 60;

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Misfit::None => f.write_str("returned None"),
            Misfit::Type(name) => write!(f, "returned a {name}; only numbers and text are values"),
            Misfit::NoNumber(text) => write!(f, "returned {text:?}, which is no number"),
        }
    }
}
