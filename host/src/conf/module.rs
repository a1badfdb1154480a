//! `conf/NAME.on`: how one module is to run.

use super::error::ConfError;
use super::table::Source;
use crate::tree::parse_plain;
use plugin_api::{Action, Params};
use std::fmt;
use std::path::Path;
use std::time::Duration;

/// What a module's `.on` says.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ModuleConf {
    /// The plugin that it runs; by default the one named as the file.
    pub plugin: Option<String>,
    /// How often a collector samples.
    pub every: Option<Duration>,
    /// Where its branch hangs.
    pub path: Option<PathTemplate>,
    /// The branch's action.
    pub action: Option<Action>,
    /// What is handed to the module.
    pub params: Params,
}

/// The shortest interval of a collector: below it, sampling is most of what a host does.
const EVERY_MIN: Duration = Duration::from_millis(10);

/// The longest: whoever wants less than a sample a month wants none.
const EVERY_MAX: Duration = Duration::from_secs(31 * 86_400);

impl ModuleConf {
    /// The keys that a `.on` knows.
    pub const KEYS: [&'static str; 5] = ["plugin", "every", "path", "action", "params"];

    /// Reads the text of a `.on`.
    ///
    /// # Errors
    /// What is wrong in it, with its line.
    pub fn parse(file: &Path, text: &str) -> Result<ModuleConf, ConfError> {
        let mut table = Source { file, text }.parse()?;
        let mut conf = ModuleConf { params: table.table("params")?.into_params()?, ..ModuleConf::default() };
        if let Some(given) = table.take("plugin") {
            conf.plugin = Some(given.text()?);
        }
        if let Some(given) = table.take("every") {
            let every = given.duration()?;
            if !(EVERY_MIN..=EVERY_MAX).contains(&every) {
                return Err(given.error("\"every\" must be between 10ms and 31d"));
            }
            conf.every = Some(every);
        }
        if let Some(given) = table.take("path") {
            let path = PathTemplate::parse(&given.text()?).map_err(|why| given.error(why))?;
            conf.path = Some(path);
        }
        if let Some(given) = table.take("action") {
            conf.action = Some(given.text()?.parse().map_err(|why| given.error(why))?);
        }
        table.finish(&ModuleConf::KEYS)?;
        Ok(conf)
    }
}

/// Where a branch hangs: a path in which the key `{host}` stands for the daemon's host name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathTemplate {
    keys: Vec<String>,
}

impl PathTemplate {
    const HOST: &'static str = "{host}";

    /// Reads `cpu,{host}`.
    ///
    /// # Errors
    /// It is no path, or it is empty, or it would hang in the daemon's own branch.
    pub fn parse(text: &str) -> Result<PathTemplate, String> {
        if text.is_empty() {
            return Err("\"path\" must name at least one key".to_owned());
        }
        let keys = parse_plain(text).map_err(|error| format!("\"path\": {error}"))?;
        Ok(PathTemplate { keys: keys.into_iter().map(Into::into).collect() })
    }

    /// The keys, with `{host}` filled in.
    #[must_use]
    pub fn keys(&self, host: &str) -> Vec<String> {
        self.keys.iter().map(|key| key.replace(PathTemplate::HOST, host)).collect()
    }

    /// How many keys stand before the first that names the host: the node above which hosts fold.
    #[must_use]
    pub fn keys_above_host(&self) -> usize {
        self.keys.iter().position(|key| key.contains(PathTemplate::HOST)).unwrap_or(self.keys.len())
    }
}

impl fmt::Display for PathTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::tree::encode_path(self.keys.iter().map(String::as_str)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ModuleConf, String> {
        ModuleConf::parse(Path::new("conf/x.on"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_whole_file() {
        let conf = parse("plugin = \"cpu\"\nevery = \"10s\"\npath = \"cpu,{host}\"\naction = \"max\"\n[params]\nk = 7\nlist = [\"a\", 1.5]\n").unwrap();
        assert_eq!(conf.every, Some(Duration::from_secs(10)));
        let path = conf.path.unwrap();
        assert_eq!((path.keys("web1"), path.keys_above_host()), (vec!["cpu".into(), "web1".into()], 1));
        assert_eq!(conf.params.count("k"), Ok(Some(7)));
        assert_eq!(parse("").unwrap(), ModuleConf::default());
    }

    #[test]
    fn errors_have_a_line_and_a_way_out() {
        for (text, want) in [
            ("\nevry = \"10s\"", "conf/x.on:2: unknown key \"evry\"; did you mean \"every\"?"),
            ("zzz = 1", "conf/x.on:1: unknown key \"zzz\"; known are plugin, every, path, action, params"),
            (
                "every = 10",
                "conf/x.on:1: \"every\" must be a duration such as \"200ms\", \"10s\" or \"5m\", not a whole number",
            ),
            (
                "# x\n\nevery = \"soon\"",
                "conf/x.on:3: \"every\" must be a duration such as \"200ms\", \"10s\" or \"5m\", not \"soon\"",
            ),
            ("every = \"1ms\"", "conf/x.on:1: \"every\" must be between 10ms and 31d"),
            (
                "path = \"cpu,,x\"",
                "conf/x.on:1: \"path\": key 2: empty or *, which only a query can have (a * itself is %2A)",
            ),
            ("params = 1", "conf/x.on:1: \"params\" must be a table, not a whole number"),
            ("action = \"sum\"", "conf/x.on:1: unknown action \"sum\""),
            ("every = ", "conf/x.on:1: not TOML: "),
        ] {
            let said = parse(text).unwrap_err();
            assert!(said.starts_with(want), "{text:?}: {said}");
        }
    }
}
