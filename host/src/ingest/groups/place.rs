//! Where a pipe's branch hangs in a log: keys that stand in the configuration, and among them values of the lines.

use super::countries::Remembered;
use super::names::values;
use crate::conf::{GroupBy, GroupField, OWN_BRANCH, Prefix};
use crate::limits::GROUP_KEY_BYTES_MAX;
use crate::module::Branch;
use plugin_api::limits::OTHER;
use plugin_api::{Access, Action, Fields};

/// What stands for a value that a line does not have.
const MISSING: &str = "-";

/// Keys, and values of the lines among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    parts: Vec<Part>,
    /// The values, in the order in which they stand among the keys.
    fields: Vec<GroupField>,
    action: Option<(usize, Action)>,
    max: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Key(String),
    /// The next value.
    Value,
}

impl Place {
    /// A pipe's branch below a log's prefix, and below it the values that its `.on` names.
    pub(crate) fn of(prefix: &Prefix, branch: &Branch, by: Option<&GroupBy>) -> Place {
        let key = |key: &String| Part::Key(key.clone());
        let mut parts: Vec<Part> = prefix.keys.iter().map(key).collect();
        let (mut fields, mut max) = (Vec::new(), 0);
        if let Some(at) = prefix.vhost {
            parts.insert(at.min(parts.len()), Part::Value);
            fields.push(GroupField::Vhost);
            max = prefix.max;
        }
        let action = branch.action.map(|(depth, action)| (depth + parts.len(), action));
        parts.extend(branch.keys.iter().map(key));
        if let Some(by) = by {
            parts.extend(by.fields.iter().map(|_| Part::Value));
            fields.extend(&by.fields);
            max = max.max(by.max);
        }
        Place { parts, fields, action, max }
    }

    /// Whether it is one branch, whatever the lines are.
    pub(crate) fn is_fixed(&self) -> bool {
        self.fields.is_empty()
    }

    /// What has to be read of a line to know where it belongs.
    pub(crate) fn wants(&self) -> Fields {
        self.fields.iter().fold(Fields::NONE, |all, field| all.union(Fields::of(&[field.field()])))
    }

    /// Groups that are kept apart.
    pub(super) fn max(&self) -> usize {
        self.max
    }

    /// Whether the names of its groups are the other's.
    pub(super) fn makes_the_groups_of(&self, other: &Place) -> bool {
        self.fields == other.fields && self.max == other.max && self.refuses_own() == other.refuses_own()
    }

    /// Writes the name of a record's group, behind what is there; `false` where it is no group of its own.
    #[inline]
    pub(super) fn write_name(
        &self,
        record: &Access<'_>,
        mut countries: Option<&mut Remembered>,
        name: &mut Vec<u8>,
    ) -> bool {
        for field in &self.fields {
            let country;
            let text = match field {
                GroupField::Vhost => record.host().map(without_port),
                GroupField::Method => record.method(),
                GroupField::Status => Some(record.status_text()),
                GroupField::Geo => {
                    country = countries.as_mut().and_then(|countries| countries.code(record.addr()?));
                    country.as_ref().and_then(|code| str::from_utf8(code).ok())
                }
            };
            let text = text.filter(|text| !text.is_empty()).unwrap_or(MISSING);
            let Ok(length) = u16::try_from(text.len()) else { return false };
            if text.len() > GROUP_KEY_BYTES_MAX {
                return false;
            }
            name.extend_from_slice(&length.to_le_bytes());
            let begin = name.len();
            name.extend_from_slice(text.as_bytes());
            if *field == GroupField::Vhost {
                name[begin..].make_ascii_lowercase();
            }
        }
        !(self.refuses_own() && values(name).next() == Some(OWN_BRANCH))
    }

    /// Whether the first key is a value.
    fn refuses_own(&self) -> bool {
        self.parts.first() == Some(&Part::Value)
    }

    /// Where a group of this name hangs; without one the rest.
    pub(crate) fn branch(&self, name: Option<&[u8]>) -> Branch {
        let mut values = values(name.unwrap_or_default());
        let keys = self.parts.iter().map(|part| match part {
            Part::Key(key) => key.clone(),
            Part::Value => values.next().unwrap_or(OTHER).to_owned(),
        });
        Branch { keys: keys.collect(), action: self.action }
    }
}

/// A host as it may stand in a `Host` header, without the port.
fn without_port(host: &str) -> &str {
    if host.starts_with('[') {
        return host.split_inclusive(']').next().unwrap_or(host);
    }
    // From the end, for most have no port and end in a letter. An address of IPv6 has more than one colon.
    match host.bytes().rposition(|byte| !byte.is_ascii_digit()) {
        Some(at) if host.as_bytes()[at] == b':' && !host[..at].contains(':') => &host[..at],
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_api::{Field, Span};

    fn branch() -> Branch {
        Branch { keys: vec!["status".to_owned(), "web1".to_owned()].into(), action: Some((1, Action::Add)) }
    }

    fn host(text: &str) -> Access<'_> {
        let mut record = Access::new(text);
        record.set_span(Field::Host, Span::new(0, u32::try_from(text.len()).unwrap()));
        record
    }

    /// The keys that a record's group hangs at; none where it is one of the rest.
    fn keys(place: &Place, record: &Access<'_>) -> Option<String> {
        let mut name = Vec::new();
        place.write_name(record, None, &mut name).then(|| place.branch(Some(&name)).keys.join(","))
    }

    #[test]
    fn values_stand_where_the_configuration_has_them() {
        let by = GroupBy { fields: vec![GroupField::Status, GroupField::Method], max: 5, database: None };
        let prefix = Prefix { keys: vec!["web".to_owned()], vhost: Some(1), max: 9 };
        let place = Place::of(&prefix, &branch(), Some(&by));
        let found = place.branch(None);
        assert_eq!(found.keys.join(","), "web,(other),status,web1,(other),(other)");
        assert_eq!((found.action, place.max()), (Some((3, Action::Add)), 9));
        assert_eq!(keys(&place, &host("A.example")), Some("web,a.example,status,web1,-,-".to_owned()));
        assert_eq!(place.wants(), Fields::of(&[Field::Host, Field::Status, Field::Method]));

        let fixed = Place::of(&Prefix::fixed(vec!["shop".to_owned()]), &branch(), None);
        assert!(fixed.is_fixed() && !place.is_fixed());
        let found = fixed.branch(None);
        assert_eq!((found.keys.join(",").as_str(), found.action), ("shop,status,web1", Some((2, Action::Add))));
    }

    #[test]
    fn a_virtual_host_has_small_letters_and_no_port() {
        let prefix = Prefix { keys: Vec::new(), vhost: Some(0), max: 9 };
        let place = Place::of(&prefix, &Branch { keys: ["s".to_owned()].into(), action: None }, None);
        let long = "x".repeat(GROUP_KEY_BYTES_MAX);
        for (given, want) in [
            ("Shop.Example:8080", "shop.example"),
            ("shop.example:", "shop.example"),
            ("[2001:DB8::1]:443", "[2001:db8::1]"),
            ("[2001:db8::1]", "[2001:db8::1]"),
            ("2001:db8::1", "2001:db8::1"),
            ("a:b", "a:b"),
            ("", "-"),
            (":80", "-"),
            ("a,b", "a,b"),
            (&long, &long),
        ] {
            assert_eq!(keys(&place, &host(given)), Some(format!("{want},s")), "{given}");
        }
        assert_eq!(keys(&place, &Access::new("")), Some("-,s".to_owned()));
        assert_eq!(keys(&place, &host(&format!("{long}x"))), None);
        assert_eq!(keys(&place, &host(&"x".repeat(70_000))), None);
        // Nobody calls himself into the daemon's own branch.
        assert_eq!(keys(&place, &host("GRAFTD:80")), None);
        let below = Prefix { keys: vec!["web".to_owned()], vhost: Some(1), max: 9 };
        assert_eq!(
            keys(&Place::of(&below, &branch(), None), &host("graftd")),
            Some("web,graftd,status,web1".to_owned())
        );
    }
}
