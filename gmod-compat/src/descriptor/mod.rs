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

mod value;

pub use value::{Entered, Misfit, Value, ValueKind};

use crate::keys::extra_key;
use plugin_api::limits::cut;
use std::borrow::Cow;
use value::{integer, signed, until_nul};

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
    pub fn meta(&self, value: &Entered) -> Vec<(Cow<'_, str>, String)> {
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
        let pairs = pairs.into_iter().map(|(key, value)| (Cow::Borrowed(key), value));
        // What the module made up passes for nothing that graftd means.
        pairs.chain(self.extra.iter().map(|(key, value)| (extra_key(key), value.clone()))).collect()
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
mod tests;
