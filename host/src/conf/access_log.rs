//! The `.on` of the built-in module `access-log`: files that are read while they are written.

use super::error::ConfError;
use super::group::{PrefixTemplate, groups};
use super::table::Source;
use crate::ingest::format::Format;
use crate::ingest::{AUTO, LOG_OWN, LOG_PUSH};
use crate::limits::GROUPS;
use std::path::Path;

/// Which files are read, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessLogConf {
    /// Paths or patterns with `*`, `?` and `[…]`; absolute.
    pub files: Vec<String>,
    /// A format's name, an nginx `log_format` or an Apache `LogFormat`; `auto` is told from the first lines.
    pub format: String,
    /// What the branches of its pipes hang below.
    pub prefix: Option<PrefixTemplate>,
    /// A file never seen before is read from its end, not from its beginning.
    pub from_end: bool,
    /// Its lines go to another daemon as they are, and are folded there.
    pub raw: bool,
}

impl AccessLogConf {
    /// The keys that it knows.
    pub const KEYS: [&'static str; 7] = ["plugin", "file", "format", "prefix", "vhosts_max", "start", "forward"];

    /// Reads the text of the `.on`. A path that is not absolute begins at the folder of that.
    ///
    /// # Errors
    /// What is wrong in it, with its line.
    pub fn parse(file: &Path, text: &str) -> Result<AccessLogConf, ConfError> {
        let mut table = Source { file, text }.parse()?;
        let _ = table.take("plugin");
        let name = file.file_stem().unwrap_or_default();
        if [LOG_OWN, LOG_PUSH].iter().any(|own| name == *own) {
            let why = "the daemon has a log of its own of this name; give this file another";
            return Err(ConfError::new(file, 0, why));
        }
        let Some(given) = table.take("file") else {
            return Err(ConfError::new(
                file,
                0,
                "\"file\" is missing: which log is to be read, as in file = \"/var/log/nginx/access.log\"",
            ));
        };
        let base = file.parent().unwrap_or(Path::new("."));
        let mut files = Vec::new();
        for path in given.texts()? {
            if path.is_empty() {
                return Err(given.error("\"file\" must not be empty"));
            }
            let path = std::path::absolute(base.join(&path)).map_err(|error| given.error(error))?;
            let path = path.to_string_lossy().into_owned();
            if let Err(error) = glob::Pattern::new(&path) {
                return Err(given.error(format_args!("\"file\": {path:?} is no pattern: {}", error.msg)));
            }
            files.push(path);
        }
        if files.is_empty() {
            return Err(given.error("\"file\" must name at least one file"));
        }
        let format = match table.take("format") {
            Some(given) => {
                let format = given.text()?;
                if format != AUTO {
                    Format::compile(&format).map_err(|error| given.error(format_args!("\"format\": {error}")))?;
                }
                format
            }
            None => AUTO.to_owned(),
        };
        let vhosts_max = table.take("vhosts_max");
        let max = vhosts_max.as_ref().map_or(Ok(GROUPS), groups)?;
        let prefix = table.take("prefix").map(|given| {
            let text = given.text()?;
            PrefixTemplate::parse(&text, max).map_err(|why| given.error(format_args!("\"prefix\": {why}")))
        });
        let prefix = prefix.transpose()?;
        if let Some(given) = vhosts_max
            && !prefix.as_ref().is_some_and(PrefixTemplate::has_vhost)
        {
            return Err(given.error("\"vhosts_max\" is for a prefix that has {vhost}, as in prefix = \"web,{vhost}\""));
        }
        let from_end = match table.take("start") {
            Some(given) => match given.text()?.as_str() {
                "end" => true,
                "begin" => false,
                other => return Err(given.error(format_args!("\"start\" must be \"end\" or \"begin\", not {other:?}"))),
            },
            None => true,
        };
        let raw = match table.take("forward") {
            Some(given) => match given.text()?.as_str() {
                "raw" => true,
                "deltas" => false,
                other => {
                    return Err(given.error(format_args!("\"forward\" must be \"deltas\" or \"raw\", not {other:?}")));
                }
            },
            None => false,
        };
        table.finish(&AccessLogConf::KEYS)?;
        Ok(AccessLogConf { files, format, prefix, from_end, raw })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<AccessLogConf, String> {
        AccessLogConf::parse(Path::new("/conf/shop.on"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_whole_file() {
        let conf = parse("plugin = \"access-log\"\nfile = [\"/var/log/a.log\", \"logs/*.log\"]\nformat = \"timed\"\nprefix = \"shop\"\nstart = \"begin\"").unwrap();
        assert_eq!(conf.files, ["/var/log/a.log", "/conf/logs/*.log"]);
        assert_eq!((conf.format.as_str(), conf.from_end), ("timed", false));
        let conf = parse("file = \"/a\"").unwrap();
        assert_eq!((conf.format.as_str(), conf.from_end, conf.raw, conf.prefix), ("auto", true, false, None));
        assert!(parse("file = \"/a\"\nforward = \"raw\"").unwrap().raw);
        assert!(!parse("file = \"/a\"\nforward = \"deltas\"").unwrap().raw);
    }

    #[test]
    fn names_of_the_daemons_own_logs_are_refused() {
        for name in ["self", "push"] {
            let file = format!("/conf/{name}.on");
            let said = AccessLogConf::parse(Path::new(&file), "file = \"/a\"").unwrap_err().to_string();
            assert!(said.starts_with(&format!("{file}: the daemon has a log of its own")), "{said}");
        }
    }

    #[test]
    fn errors_have_a_line_and_a_way_out() {
        for (text, want) in [
            ("plugin = \"access-log\"", "/conf/shop.on: \"file\" is missing"),
            ("\nfile = \"/a\"\nfromat = \"x\"", "/conf/shop.on:3: unknown key \"fromat\"; did you mean \"format\"?"),
            ("file = \"/a\"\nformat = \"combind\"", "/conf/shop.on:2: \"format\": "),
            ("file = \"/a[\"", "/conf/shop.on:1: \"file\": "),
            ("file = []", "/conf/shop.on:1: \"file\" must name"),
            ("file = \"/a\"\nstart = \"middle\"", "/conf/shop.on:2: \"start\" must be"),
            ("file = \"/a\"\nforward = \"lines\"", "/conf/shop.on:2: \"forward\" must be"),
            ("file = \"/a\"\nprefix = \",\"", "/conf/shop.on:2: \"prefix\": "),
            (
                "file = \"/a\"\nprefix = \"graftd\"",
                "/conf/shop.on:2: \"prefix\": graftd is the branch in which the daemon",
            ),
            ("file = \"/a\"\nprefix = \"graftd,x\"", "/conf/shop.on:2: \"prefix\": graftd is the branch"),
            ("file = \"/a\"\nprefix = \"graftd,{vhost}\"", "/conf/shop.on:2: \"prefix\": graftd is the branch"),
            (
                "file = \"/a\"\nprefix = \"www.{vhost}\"",
                "/conf/shop.on:2: \"prefix\": {vhost} must be a key of its own, as in \"web,{vhost}\"",
            ),
            ("file = \"/a\"\nvhosts_max = 9", "/conf/shop.on:2: \"vhosts_max\" is for a prefix that has {vhost}"),
            (
                "file = \"/a\"\nprefix = \"{vhost}\"\nvhosts_max = 0",
                "/conf/shop.on:3: \"vhosts_max\" must be between 1 and",
            ),
        ] {
            let said = parse(text).unwrap_err();
            assert!(said.starts_with(want), "{text:?}: {said}");
        }
    }
}
