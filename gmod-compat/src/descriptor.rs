//! What a gmond module says of a metric, and what of the values that it returns enters the tree.
//!
//! A descriptor is read from pairs as gmond's `mod_python` reads a dictionary; C modules fill in the same type. The facts
//! (keys, limits, defaults, conversions) were measured on gmond 3.7.2. Texts are cut where gmond's buffers end, between
//! two characters.
//!
//! **Where it is kinder than gmond.** gmond sends a zero or an empty text wherever it cannot make sense of a value, so
//! that nobody can tell a zero from a failure. Here that is a [`Misfit`] with its reason, and the leaf keeps what it had:
//! `None`, lists, text that is no number. Floats are truncated where an integer is wanted (gmond: 0), text of a fraction too, and
//! blanks may follow a number. An integer past C's `long` stays what it is (gmond: -1). Text is not cut to 63
//! bytes. A type that gmond does not know (gmond never sends such a metric) is taken from the value. A value that is not
//! finite is none.

use plugin_api::limits::{TEXT_BYTES_MAX, cut};
use std::fmt;

/// Bytes of a metric's name; a longer one is cut, and the module's callback gets the cut one.
pub const NAME_BYTES_MAX: usize = 250;
/// Bytes of `units`.
pub const UNITS_BYTES_MAX: usize = 63;
/// Bytes of `format`.
pub const FORMAT_BYTES_MAX: usize = 63;
/// Bytes of `value_type` and of `slope`.
pub const WORD_BYTES_MAX: usize = 31;
/// Bytes of `description`, and of `groups` together.
pub const DESCRIPTION_BYTES_MAX: usize = 511;
/// Bytes of the key and of the value of an extra pair.
pub const EXTRA_BYTES_MAX: usize = 1023;
/// Extra pairs of a metric. More would not be kept beside a leaf.
pub const EXTRA_MAX: usize = 64;

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
fn until_nul(text: &str) -> &str {
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

fn signed(n: i128, bits: u8) -> f64 {
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
fn integer(text: &str) -> Option<i128> {
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

/// How a metric's value moves, as gmond names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Slope {
    /// It never changes.
    Zero,
    /// It only grows: a counter.
    Positive,
    /// It only falls.
    Negative,
    /// It goes up and down.
    Both,
    /// A counter that is shown as its rate.
    Derivative,
    /// Anything else.
    #[default]
    Unspecified,
}

impl Slope {
    /// The slope of this name. Case counts, as it does to gmond.
    pub fn named(name: &str) -> Slope {
        match name {
            "zero" => Slope::Zero,
            "positive" => Slope::Positive,
            "negative" => Slope::Negative,
            "both" => Slope::Both,
            "derivative" => Slope::Derivative,
            _ => Slope::Unspecified,
        }
    }

    /// Its name in gmond's XML.
    pub fn name(self) -> &'static str {
        match self {
            Slope::Zero => "zero",
            Slope::Positive => "positive",
            Slope::Negative => "negative",
            Slope::Both => "both",
            Slope::Derivative => "derivative",
            Slope::Unspecified => "unspecified",
        }
    }
}

/// A metric, as its module describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Descriptor {
    /// Its name: what the callback gets.
    pub name: String,
    /// Its type.
    pub kind: ValueKind,
    /// Units of its values: `bytes/sec`.
    pub units: String,
    /// How it moves.
    pub slope: Slope,
    /// A C format for a value: `%.1f`.
    pub format: String,
    /// A sentence about it.
    pub description: String,
    /// The title that a collection group gives it.
    pub title: Option<String>,
    /// The groups under which it is shown, in order.
    pub groups: Vec<String>,
    /// Seconds within which a value is expected (gmond's `tmax`).
    pub time_max: u32,
    /// The host that it speaks for: `IP:HOST`.
    pub spoof_host: Option<String>,
    /// The name under which it is shown.
    pub spoof_name: Option<String>,
    /// Further pairs, as the module wrote them; `spoof_host` and `spoof_name` among them.
    pub extra: Vec<(String, String)>,
}

impl Default for Descriptor {
    /// What gmond makes of a descriptor without any key.
    fn default() -> Descriptor {
        Descriptor {
            name: String::new(),
            kind: ValueKind::Unknown(String::new()),
            units: String::new(),
            slope: Slope::Unspecified,
            format: String::new(),
            description: String::new(),
            title: None,
            groups: Vec::new(),
            time_max: 0,
            spoof_host: None,
            spoof_name: None,
            extra: Vec::new(),
        }
    }
}

impl Descriptor {
    /// Reads a dictionary's pairs, in its order; `call_back` is passed over. What was bent or dropped is told in
    /// `remarks`, a line each.
    pub fn from_pairs<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a Value)>,
        remarks: &mut Vec<String>,
    ) -> Descriptor {
        let mut out = Descriptor::default();
        for (key, value) in pairs {
            out.set(key, value, remarks);
        }
        if let ValueKind::Unknown(word) = &out.kind {
            remarks.push(format!("{}: unknown value_type {word:?}; it is taken from the values", out.name));
        }
        out
    }

    fn set(&mut self, key: &str, value: &Value, remarks: &mut Vec<String>) {
        let text = value.text();
        let mut or = |standing: &str, most: usize| match &text {
            Some(text) => cut(text, most).to_owned(),
            None => {
                remarks.push(format!("{}: {key} is neither number nor text; taken as {standing:?}", self.name));
                standing.to_owned()
            }
        };
        match key.to_ascii_lowercase().as_str() {
            "call_back" => {}
            "name" => self.name = or("", NAME_BYTES_MAX),
            "time_max" => self.time_max = seconds(value).unwrap_or(60),
            "value_type" => self.kind = ValueKind::named(&or("uint", WORD_BYTES_MAX)),
            "units" => self.units = or("unknown", UNITS_BYTES_MAX),
            "slope" => self.slope = Slope::named(&or("both", WORD_BYTES_MAX)),
            "format" => self.format = or("%u", FORMAT_BYTES_MAX),
            "description" => self.description = or("unknown metric", DESCRIPTION_BYTES_MAX),
            "groups" => self.groups = groups(cut(&text.unwrap_or_default(), DESCRIPTION_BYTES_MAX)),
            spoof_or_extra => match text {
                Some(_) if self.extra.len() >= EXTRA_MAX => {
                    remarks.push(format!("{}: more than {EXTRA_MAX} extra keys; {key:?} is left out", self.name));
                }
                Some(text) => {
                    let text = cut(&text, EXTRA_BYTES_MAX);
                    match spoof_or_extra {
                        "spoof_host" => self.spoof_host = Some(text.to_owned()),
                        "spoof_name" => self.spoof_name = Some(text.to_owned()),
                        _ => {}
                    }
                    self.extra.push((cut(key, EXTRA_BYTES_MAX).to_owned(), text.to_owned()));
                }
                None => remarks.push(format!("{}: {key} is neither number nor text; left out", self.name)),
            },
        }
    }

    /// The host that its leaf hangs under: the spoofed one, behind the last colon, or else `own`.
    pub fn host<'a>(&'a self, own: &'a str) -> &'a str {
        match &self.spoof_host {
            None => own,
            Some(spoof) => match spoof.rsplit_once(':') {
                Some((ip, "")) => ip,
                Some((_, host)) => host,
                None if spoof.is_empty() => own,
                None => spoof,
            },
        }
    }

    /// The name of its leaf: the spoofed one up to its first colon, or else its own.
    pub fn leaf(&self) -> &str {
        let spoofed = self.spoof_name.as_deref().and_then(|name| name.split(':').next());
        spoofed.filter(|name| !name.is_empty()).unwrap_or(&self.name)
    }

    /// The metadata of its leaf, in the order and with the keys that graftd gives a meaning to. `value` decides where the
    /// type is unknown.
    pub fn meta(&self, value: &Entered) -> Vec<(&str, String)> {
        let own_title = self.extra.iter().find(|(key, _)| key.eq_ignore_ascii_case("title")).map(|(_, title)| title);
        let title = self.title.as_ref().or(own_title).unwrap_or(&self.name);
        let mut pairs = vec![
            ("type", self.kind.xml_name(value).to_owned()),
            ("units", self.units.clone()),
            ("slope", self.slope.name().to_owned()),
            ("title", title.clone()),
            ("description", self.description.clone()),
        ];
        pairs.extend(self.groups.iter().map(|group| ("group", group.clone())));
        pairs.push(("format", self.format.clone()));
        pairs.push(("tmax", self.time_max.to_string()));
        pairs.push(("dmax", "0".to_owned()));
        pairs.push(("source", "gmond".to_owned()));
        if let Some(spoof) = &self.spoof_host {
            pairs.push(("spoof", spoof.clone()));
        }
        pairs.extend(self.extra.iter().map(|(key, value)| (key.as_str(), value.clone())));
        pairs
    }
}

/// A C `int` of seconds; none where gmond takes 60.
fn seconds(value: &Value) -> Option<u32> {
    let n = match value {
        Value::Int(n) => *n,
        Value::Text(text) => integer(until_nul(text))?,
        _ => return None,
    };
    Some(u32::try_from(signed(n, 32) as i64).unwrap_or(0))
}

/// Parted at commas, blanks before a name dropped, those behind it kept, as gmond does.
fn groups(text: &str) -> Vec<String> {
    text.split(',')
        .filter(|group| !group.is_empty())
        .map(|group| group.trim_start_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']).to_owned())
        .collect()
}

#[cfg(test)]
#[path = "descriptor_tests.rs"]
mod tests;
