//! What a pipe's branch hangs under besides keys that stand in a `.on`: values of the lines themselves.

use super::error::ConfError;
use super::module::PathTemplate;
use super::table::{Given, Table, nearest};
use crate::limits::{GROUPS, GROUPS_MAX};
use crate::tree::{encode_path, parse_plain};
use plugin_api::Field;
use std::path::PathBuf;

/// The first key of the daemon's own branch: nothing that lines make hangs there.
pub const OWN_BRANCH: &str = "graftd";

/// A value of a line that a branch can hang under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupField {
    /// The virtual host, in small letters and without its port.
    Vhost,
    /// `GET`, `POST`, …
    Method,
    /// The status code.
    Status,
    /// The country of the client's address, which a database knows.
    Geo,
}

impl GroupField {
    const ALL: [GroupField; 4] = [GroupField::Vhost, GroupField::Method, GroupField::Status, GroupField::Geo];

    /// As `by` has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            GroupField::Vhost => "vhost",
            GroupField::Method => "method",
            GroupField::Status => "status",
            GroupField::Geo => "geo",
        }
    }

    /// Where it is taken from.
    #[must_use]
    pub const fn field(self) -> Field {
        match self {
            GroupField::Vhost => Field::Host,
            GroupField::Method => Field::Method,
            GroupField::Status => Field::Status,
            GroupField::Geo => Field::Addr,
        }
    }

    /// Reads a word of `by`.
    fn parse(word: &str) -> Result<GroupField, String> {
        let names = || GroupField::ALL.into_iter().map(GroupField::name);
        if let Some(field) = GroupField::ALL.into_iter().find(|field| field.name() == word) {
            return Ok(field);
        }
        Err(match word {
            "host" => "\"by\": unknown \"host\"; did you mean \"vhost\"?".to_owned(),
            "country" => "\"by\": unknown \"country\"; did you mean \"geo\"?".to_owned(),
            _ => match nearest(word, names()) {
                Some(near) => format!("\"by\": unknown {word:?}; did you mean {near:?}?"),
                None => format!("\"by\": unknown {word:?}; known are \"vhost\", \"method\", \"status\" and \"geo\""),
            },
        })
    }
}

/// What a pipe's `.on` says of groups: its branch hangs once for each of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupBy {
    /// The values whose keys stand below the branch, in this order; at least one.
    pub fields: Vec<GroupField>,
    /// Groups that are kept apart; the rest is one more, [`OTHER`](plugin_api::limits::OTHER).
    pub max: usize,
    /// The file in MaxMind's format in which [`GroupField::Geo`] is looked up; none where that is not among the values.
    pub database: Option<PathBuf>,
}

impl GroupBy {
    /// The keys that say it.
    const BY: &'static str = "by";
    const MAX: &'static str = "by_max";
    const DATABASE: &'static str = "by_database";
    const DATABASE_ALONE: &'static str =
        "\"by_database\" says where countries are looked up, which nothing asks for: by = [\"geo\"]";

    /// Where MaxMind's `geoipupdate` puts it.
    const DATABASE_DEFAULT: &'static str = "/var/lib/GeoIP/GeoLite2-Country.mmdb";

    /// Takes `by`, `by_max` and `by_database` out of a `.on`, where they may stand at the top or in `[params]`: plugins never see them.
    ///
    /// # Errors
    /// What is wrong in them, with its line.
    pub(super) fn take(top: &mut Table<'_>, params: &mut Table<'_>) -> Result<Option<GroupBy>, ConfError> {
        let by = once(top.take(GroupBy::BY), params.take(GroupBy::BY))?;
        let max = once(top.take(GroupBy::MAX), params.take(GroupBy::MAX))?;
        let database = once(top.take(GroupBy::DATABASE), params.take(GroupBy::DATABASE))?;
        let Some(by) = by else {
            return match (max, database) {
                (Some(max), _) => {
                    Err(max
                        .error("\"by_max\" says how many groups \"by\" may make, which is missing: by = [\"vhost\"]"))
                }
                (None, Some(database)) => Err(database.error(GroupBy::DATABASE_ALONE)),
                (None, None) => Ok(None),
            };
        };
        let mut fields = Vec::new();
        for word in by.texts()? {
            let field = GroupField::parse(&word).map_err(|why| by.error(why))?;
            if fields.contains(&field) {
                return Err(by.error(format_args!("\"by\": {word:?} is there twice")));
            }
            fields.push(field);
        }
        let max = max.map_or(Ok(GROUPS), |max| groups(&max))?;
        let database = match (fields.contains(&GroupField::Geo), database) {
            (true, None) => Some(PathBuf::from(GroupBy::DATABASE_DEFAULT)),
            (true, Some(given)) => {
                let file = PathBuf::from(given.text()?);
                if !file.is_absolute() {
                    return Err(given.error("\"by_database\" must be the absolute path of a file in MaxMind's format"));
                }
                Some(file)
            }
            (false, Some(given)) if !fields.is_empty() => return Err(given.error(GroupBy::DATABASE_ALONE)),
            (false, _) => None,
        };
        Ok((!fields.is_empty()).then_some(GroupBy { fields, max, database }))
    }
}

/// What is given at one of two places.
fn once<'s>(top: Option<Given<'s>>, param: Option<Given<'s>>) -> Result<Option<Given<'s>>, ConfError> {
    match (top, param) {
        (Some(_), Some(param)) => {
            Err(param.error(format_args!("{:?} stands above [params] already; one of them is enough", param.key())))
        }
        (top, param) => Ok(top.or(param)),
    }
}

/// A number of groups.
pub(super) fn groups(given: &Given<'_>) -> Result<usize, ConfError> {
    let most = usize::try_from(given.count()?).unwrap_or(usize::MAX);
    if (1..=GROUPS_MAX).contains(&most) {
        return Ok(most);
    }
    Err(given.error(format_args!("{:?} must be between 1 and {GROUPS_MAX}", given.key())))
}

/// What the branches of a log's pipes hang below: a path in which a key `{vhost}` stands for each line's virtual host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefixTemplate {
    /// The path without that key; none where it is the only one.
    path: Option<PathTemplate>,
    /// Where the key stands.
    vhost: Option<usize>,
    /// Virtual hosts that are kept apart.
    max: usize,
}

impl PrefixTemplate {
    const VHOST: &'static str = "{vhost}";

    /// Reads `web,{vhost}`.
    ///
    /// # Errors
    /// As [`PathTemplate::parse`]; or it names the virtual host twice, or as a part of a key.
    pub fn parse(text: &str, max: usize) -> Result<PrefixTemplate, String> {
        if text.is_empty() {
            return Err("at least one key must be named".to_owned());
        }
        let mut keys = parse_plain(text).map_err(|error| error.to_string())?;
        if keys.first().is_some_and(|key| *key == OWN_BRANCH) {
            return Err(format!(
                "{OWN_BRANCH} is the branch in which the daemon tells of itself; choose another, as in \"web\" or \"web,{OWN_BRANCH}\""
            ));
        }
        let Some(vhost) = keys.iter().position(|key| *key == PrefixTemplate::VHOST) else {
            if text.contains(PrefixTemplate::VHOST) {
                return Err("{vhost} must be a key of its own, as in \"web,{vhost}\"".to_owned());
            }
            return Ok(PrefixTemplate { path: Some(PathTemplate::parse(text)?), vhost: None, max });
        };
        keys.remove(vhost);
        if keys.iter().any(|key| key.contains(PrefixTemplate::VHOST)) {
            return Err("{vhost} may be there once, as a key of its own".to_owned());
        }
        let rest = encode_path(keys.iter().map(|key| &**key));
        let path = if keys.is_empty() { None } else { Some(PathTemplate::parse(&rest)?) };
        Ok(PrefixTemplate { path, vhost: Some(vhost), max })
    }

    /// The prefix on this host.
    #[must_use]
    pub fn on(&self, host: &str) -> Prefix {
        let keys = self.path.as_ref().map(|path| path.keys(host)).unwrap_or_default();
        Prefix { keys, vhost: self.vhost, max: self.max }
    }

    /// Whether it is different for each virtual host.
    #[must_use]
    pub fn has_vhost(&self) -> bool {
        self.vhost.is_some()
    }
}

/// What the branches of a log's pipes hang below.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prefix {
    /// Its keys, but for that of the virtual host.
    pub keys: Vec<String>,
    /// Where among them that of the virtual host belongs, if there is one.
    pub vhost: Option<usize>,
    /// Virtual hosts that are kept apart.
    pub max: usize,
}

impl Prefix {
    /// One that is the same for all lines.
    #[must_use]
    pub fn fixed(keys: Vec<String>) -> Prefix {
        Prefix { keys, ..Prefix::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::ModuleConf;
    use std::path::Path;

    fn parse(text: &str) -> Result<ModuleConf, String> {
        ModuleConf::parse(Path::new("conf/x.on"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn by_stands_at_the_top_or_in_the_params_and_is_no_parameter() {
        let wanted = GroupBy { fields: vec![GroupField::Vhost, GroupField::Method], max: 7, database: None };
        for text in [
            "by = [\"vhost\", \"method\"]\nby_max = 7\n[params]\nk = 1",
            "[params]\nk = 1\nby = [\"vhost\", \"method\"]\nby_max = 7",
            "by_max = 7\n[params]\nby = [\"vhost\", \"method\"]\nk = 1",
        ] {
            let conf = parse(text).unwrap();
            assert_eq!(conf.by.as_ref(), Some(&wanted), "{text}");
            assert_eq!(conf.params.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["k"], "{text}");
        }
        let one = parse("by = \"status\"").unwrap().by.unwrap();
        assert_eq!((one.fields, one.max), (vec![GroupField::Status], GROUPS));
        assert_eq!(parse("by = []\nby_max = 3\nby_database = \"/x.mmdb\"").unwrap().by, None);
        let database = |text: &str| parse(text).unwrap().by.unwrap().database;
        let default = Some(PathBuf::from("/var/lib/GeoIP/GeoLite2-Country.mmdb"));
        assert_eq!((database("[params]\nby = [\"geo\"]"), database("by = \"status\"")), (default, None));
        let given = database("by_database = \"/x.mmdb\"\n[params]\nby = [\"vhost\", \"geo\"]");
        assert_eq!(given, Some(PathBuf::from("/x.mmdb")));
        assert_ne!(parse("by = \"status\"").unwrap(), parse("").unwrap(), "a change of it is one of the module");
    }

    #[test]
    fn errors_have_a_line_and_a_way_out() {
        for (text, want) in [
            ("\nby = [\"vhosts\"]", "conf/x.on:2: \"by\": unknown \"vhosts\"; did you mean \"vhost\"?"),
            ("by = \"host\"", "conf/x.on:1: \"by\": unknown \"host\"; did you mean \"vhost\"?"),
            (
                "by = \"referrer\"",
                "conf/x.on:1: \"by\": unknown \"referrer\"; known are \"vhost\", \"method\", \"status\" and \"geo\"",
            ),
            ("by = \"country\"", "conf/x.on:1: \"by\": unknown \"country\"; did you mean \"geo\"?"),
            (
                "by = \"geo\"\nby_database = \"x.mmdb\"",
                "conf/x.on:2: \"by_database\" must be the absolute path of a file in MaxMind's format",
            ),
            (
                "by = \"vhost\"\nby_database = \"/x.mmdb\"",
                "conf/x.on:2: \"by_database\" says where countries are looked up, which nothing asks for: by = [\"geo\"]",
            ),
            ("by_database = \"/x.mmdb\"", "conf/x.on:1: \"by_database\" says where countries are looked up"),
            ("by = \"geo\"\nby_database = 7", "conf/x.on:2: \"by_database\" must be text"),
            ("by = [\"status\", \"status\"]", "conf/x.on:1: \"by\": \"status\" is there twice"),
            ("by = 7", "conf/x.on:1: \"by\" must be text or a list of texts, not a whole number"),
            ("by = [7]", "conf/x.on:1: \"by\" must be text or a list of texts, not a whole number"),
            (
                "by = \"vhost\"\n[params]\nby = \"vhost\"",
                "conf/x.on:3: \"by\" stands above [params] already; one of them is enough",
            ),
            ("by = \"vhost\"\nby_max = 0", "conf/x.on:2: \"by_max\" must be between 1 and 10000"),
            ("by = \"vhost\"\nby_max = 10001", "conf/x.on:2: \"by_max\" must be between 1 and 10000"),
            ("by_max = 5", "conf/x.on:1: \"by_max\" says how many groups \"by\" may make, which is missing"),
            ("bye = \"vhost\"", "conf/x.on:1: unknown key \"bye\"; did you mean \"by\"?"),
        ] {
            let said = parse(text).unwrap_err();
            assert!(said.starts_with(want), "{text:?}: {said}");
        }
    }

    #[test]
    fn a_prefix_may_have_the_virtual_host_as_a_key() {
        let on = |text: &str| PrefixTemplate::parse(text, 9).map(|prefix| prefix.on("web1"));
        let prefix = |keys: &[&str], vhost| {
            Ok(Prefix { keys: keys.iter().map(|key| (*key).to_owned()).collect(), vhost, max: 9 })
        };
        assert_eq!(on("{vhost}"), prefix(&[], Some(0)));
        assert_eq!(on("web,{vhost},{host}"), prefix(&["web", "web1"], Some(1)));
        assert_eq!(on("a%2Cb,{vhost}"), prefix(&["a,b"], Some(1)));
        assert_eq!(on("shop"), prefix(&["shop"], None));
        for (text, why) in [
            ("www-{vhost}", "must be a key of its own"),
            ("{vhost},{vhost}", "may be there once"),
            ("{vhost},a-{vhost}", "may be there once"),
            ("{vhosts}", "the only placeholder is {host}"),
            ("{vhost},", "empty"),
            ("", "at least one key"),
            ("{vhost},{hots}", "the only placeholder is {host}"),
        ] {
            assert!(on(text).unwrap_err().contains(why), "{text}: {:?}", on(text));
        }
    }
}
