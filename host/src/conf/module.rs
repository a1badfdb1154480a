//! `conf/NAME.on`: how one module is to run.

use super::error::ConfError;
use super::group::GroupBy;
use super::places::Places;
use super::pyconf::{self, PyConf};
use super::table::Source;
use crate::limits::WORKER_NAME_BYTES_MAX;
use crate::tree::parse_plain;
use gmod_compat::conf::looks_like_gmond;
use plugin_api::{Action, Params};
use std::fmt;
use std::path::Path;
use std::str::FromStr;
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
    /// Whether it shares the daemon's process.
    pub isolation: Isolation,
    /// How long a call of it may take.
    pub time_limit: Option<Duration>,
    /// How much memory a process of its own may have, in bytes.
    pub memory_limit: Option<u64>,
    /// How long a gmond module's start may take.
    pub init_timeout: Option<Duration>,
    /// The Python environment of a module in Python.
    pub python: Option<String>,
    /// The process that it shares with other modules in Python.
    pub worker: Option<String>,
    /// What a gmond configuration says of it.
    pub pyconf: Option<PyConf>,
    /// Which values of a line a pipe's branch hangs under.
    pub by: Option<GroupBy>,
    /// What is handed to the module.
    pub params: Params,
    /// Where all that stands, for errors that are found later.
    pub(crate) places: Places,
}

/// Where a module runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Isolation {
    /// In the daemon's process.
    #[default]
    None,
    /// In a process of its own: what it does there costs its own branch and nothing else.
    Process,
}

impl Isolation {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Isolation::None => "none",
            Isolation::Process => "process",
        }
    }
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Isolation {
    type Err = String;

    fn from_str(text: &str) -> Result<Isolation, String> {
        [Isolation::None, Isolation::Process].into_iter().find(|isolation| isolation.as_str() == text).ok_or_else(
            || format!("\"isolation\" must be \"none\" (in the daemon's process) or \"process\" (in one of its own), not {text:?}"),
        )
    }
}

/// The shortest interval of a collector: below it, sampling is most of what a host does.
const EVERY_MIN: Duration = Duration::from_millis(10);

/// The longest: whoever wants less than a sample a month wants none.
const EVERY_MAX: Duration = Duration::from_secs(31 * 86_400);

/// The shortest time limit of a call: below it, a busy machine alone makes a module late.
const TIME_LIMIT_MIN: Duration = Duration::from_millis(10);

/// The longest: a call that takes an hour is not watched at all.
const TIME_LIMIT_MAX: Duration = Duration::from_secs(3_600);

/// The least memory of a process of its own, in bytes: the binary and a plugin must fit in.
const MEMORY_LIMIT_MIN: u64 = 16 * 1024 * 1024;

/// The most: more than a host has to spare for a module is a slip of the unit.
const MEMORY_LIMIT_MAX: u64 = 1024 * 1024 * 1024 * 1024;

impl ModuleConf {
    /// The keys that a `.on` knows.
    pub const KEYS: [&'static str; 14] = [
        "plugin",
        "every",
        "path",
        "action",
        "isolation",
        "time_limit",
        "memory_limit",
        "init_timeout",
        "python",
        "worker",
        "by",
        "by_max",
        "by_database",
        "params",
    ];

    /// Reads the text of a `.on`.
    ///
    /// # Errors
    /// What is wrong in it, with its line.
    pub fn parse(file: &Path, text: &str) -> Result<ModuleConf, ConfError> {
        if looks_like_gmond(text.as_bytes()) {
            return pyconf::read(file, text);
        }
        let mut table = Source { file, text }.parse()?;
        let keys = table.lines();
        let mut params = table.table("params")?;
        let places = Places::new(file, text, keys, params.lines());
        let by = GroupBy::take(&mut table, &mut params)?;
        let mut conf = ModuleConf { by, params: params.into_params()?, places, ..ModuleConf::default() };
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
        if let Some(given) = table.take("isolation") {
            conf.isolation = given.text()?.parse().map_err(|why: String| given.error(why))?;
        }
        if let Some(given) = table.take("time_limit") {
            let limit = given.duration()?;
            if !(TIME_LIMIT_MIN..=TIME_LIMIT_MAX).contains(&limit) {
                return Err(given.error("\"time_limit\" must be between 10ms and 1h"));
            }
            conf.time_limit = Some(limit);
        }
        if let Some(given) = table.take("memory_limit") {
            let bytes = given.size()?;
            if !(MEMORY_LIMIT_MIN..=MEMORY_LIMIT_MAX).contains(&bytes) {
                return Err(given.error("\"memory_limit\" must be between 16MiB and 1TiB"));
            }
            conf.memory_limit = Some(bytes);
        }
        if let Some(given) = table.take("init_timeout") {
            let limit = given.duration()?;
            if !(TIME_LIMIT_MIN..=TIME_LIMIT_MAX).contains(&limit) {
                return Err(given.error("\"init_timeout\" must be between 10ms and 1h"));
            }
            conf.init_timeout = Some(limit);
        }
        if let Some(given) = table.take("python") {
            let python = given.text()?;
            if !Path::new(&python).is_absolute() {
                return Err(given.error("\"python\" must be the absolute path of a virtual environment"));
            }
            conf.python = Some(python);
        }
        if let Some(given) = table.take("worker") {
            let worker = given.text()?;
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            if !(1..=WORKER_NAME_BYTES_MAX).contains(&worker.len()) || !worker.bytes().all(fits) {
                return Err(given.error(format!(
                    "\"worker\" must be a name of letters, digits, - and _, {WORKER_NAME_BYTES_MAX} at most; modules in Python that \
                     give the same one share a process"
                )));
            }
            conf.worker = Some(worker);
        }
        table.finish(&ModuleConf::KEYS)?;
        Ok(conf)
    }

    /// Says where the fault stands that a plugin found in its parameters: `params: "k" must be …` becomes
    /// `conf/url.on:7: params: "k" must be …`. A message that names nothing of what is written there gets the file alone, and
    /// one without a file stays as it is.
    #[must_use]
    pub fn place(&self, why: &str) -> String {
        self.places.place(why)
    }

    /// The file that it was read from, and the text as it stood there then; none for a plugin that runs with its defaults.
    #[must_use]
    pub fn source(&self) -> Option<(&Path, &str)> {
        self.places.source()
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
        let unknown = |key: &str| key.replace(PathTemplate::HOST, "").contains(['{', '}']);
        if let Some(key) = keys.iter().find(|key| unknown(key)) {
            let more = match key.contains("{vhost}") {
                true => "a pipe hangs under virtual hosts with by = [\"vhost\"]",
                false => "a brace itself is %7B or %7D",
            };
            return Err(format!("\"path\": {key:?}: the only placeholder is {{host}}; {more}"));
        }
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
    fn fences() {
        let conf = parse("").unwrap();
        assert_eq!((conf.isolation, conf.time_limit, conf.memory_limit), (Isolation::None, None, None));
        let conf = parse("isolation = \"process\"\ntime_limit = \"500ms\"\nmemory_limit = \"512MiB\"\n").unwrap();
        assert_eq!(conf.isolation, Isolation::Process);
        assert_eq!((conf.time_limit, conf.memory_limit), (Some(Duration::from_millis(500)), Some(512 << 20)));
        assert_eq!(parse("isolation = \"none\"").unwrap().isolation, Isolation::None);
        for (text, bytes) in [("\"1TiB\"", 1 << 40), ("\"64MB\"", 64_000_000), ("16_777_216", 16 << 20)] {
            assert_eq!(parse(&format!("memory_limit = {text}")).unwrap().memory_limit, Some(bytes), "{text}");
        }
    }

    #[test]
    fn a_worker_has_a_name() {
        assert_eq!(parse("worker = \"db-1_x\"").unwrap().worker.as_deref(), Some("db-1_x"));
        assert!(parse(&format!("worker = {:?}", "w".repeat(65))).is_err());
    }

    #[test]
    fn errors_have_a_line_and_a_way_out() {
        for (text, want) in [
            ("\nevry = \"10s\"", "conf/x.on:2: unknown key \"evry\"; did you mean \"every\"?"),
            (
                "zzz = 1",
                "conf/x.on:1: unknown key \"zzz\"; known are plugin, every, path, action, isolation, time_limit, memory_limit, init_timeout, python, worker, by, by_max, by_database, params",
            ),
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
            ("path = \"cpu,{hots}\"", "conf/x.on:1: \"path\": \"{hots}\": the only placeholder is {host}"),
            ("params = 1", "conf/x.on:1: \"params\" must be a table, not a whole number"),
            ("action = \"sum\"", "conf/x.on:1: unknown action \"sum\""),
            (
                "\nisolation = \"thread\"",
                "conf/x.on:2: \"isolation\" must be \"none\" (in the daemon's process) or \"process\" (in one of its own), \
                 not \"thread\"",
            ),
            ("isolation = true", "conf/x.on:1: \"isolation\" must be text, not a boolean"),
            ("time_limit = \"1ms\"", "conf/x.on:1: \"time_limit\" must be between 10ms and 1h"),
            ("time_limit = \"61m\"", "conf/x.on:1: \"time_limit\" must be between 10ms and 1h"),
            ("time_limit = 3", "conf/x.on:1: \"time_limit\" must be a duration such as"),
            ("memory_limit = \"15.9MiB\"", "conf/x.on:1: \"memory_limit\" must be between 16MiB and 1TiB"),
            ("memory_limit = 512", "conf/x.on:1: \"memory_limit\" must be between 16MiB and 1TiB"),
            ("memory_limit = -1", "conf/x.on:1: \"memory_limit\" must be a whole number of 0 or more"),
            (
                "memory_limit = \"512 megs\"",
                "conf/x.on:1: \"memory_limit\" must be a size such as \"512MiB\", \"2GiB\" or \"64MB\", or bytes as a whole number, \
                 not \"512 megs\"",
            ),
            ("memory_limit = 1.5", "conf/x.on:1: \"memory_limit\" must be a size such as"),
            ("memry_limit = 1", "conf/x.on:1: unknown key \"memry_limit\"; did you mean \"memory_limit\"?"),
            (
                "worker = \"a b\"",
                "conf/x.on:1: \"worker\" must be a name of letters, digits, - and _, 64 at most; modules in Python that give the \
                 same one share a process",
            ),
            ("worker = \"\"", "conf/x.on:1: \"worker\" must be a name"),
            ("worker = 1", "conf/x.on:1: \"worker\" must be text, not a whole number"),
            ("every = ", "conf/x.on:1: not TOML: "),
        ] {
            let said = parse(text).unwrap_err();
            assert!(said.starts_with(want), "{text:?}: {said}");
        }
    }
}
