//! Where the keys of a `.on` stand, for errors that are found only when a plugin reads its parameters.

use super::error::ConfError;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file of a [`super::ModuleConf`] and the lines of what is written in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    /// The file and what stands in it; none where a plugin runs with its defaults.
    source: Option<(PathBuf, Arc<str>)>,
    /// The keys under `[params]` with their lines.
    params: Vec<(String, usize)>,
    /// The others.
    keys: Vec<(String, usize)>,
}

/// A line that moved is no change: a module is not loaded anew for a comment above its parameters.
impl PartialEq for Places {
    fn eq(&self, _: &Places) -> bool {
        true
    }
}

impl Places {
    pub(super) fn new(file: &Path, text: &str, keys: Vec<(String, usize)>, params: Vec<(String, usize)>) -> Places {
        Places { source: Some((file.to_owned(), text.into())), params, keys }
    }

    pub(super) fn source(&self) -> Option<(&Path, &str)> {
        self.source.as_ref().map(|(file, text)| (file.as_path(), &**text))
    }

    pub(super) fn place(&self, why: &str) -> String {
        let Some((file, _)) = &self.source else { return why.to_owned() };
        // The first that is quoted is what it is about; a suggestion comes later. Of one name, a parameter is the likelier.
        let line = quoted(why).find_map(|name| {
            let line = |places: &[(String, usize)]| places.iter().find(|(key, _)| key == name).map(|(_, line)| *line);
            line(&self.params).or_else(|| line(&self.keys))
        });
        ConfError::new(file, line.unwrap_or(0), why).to_string()
    }
}

/// What stands between quotation marks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('"').skip(1).step_by(2)
}

#[cfg(test)]
mod tests {
    use crate::conf::ModuleConf;
    use std::path::Path;

    #[test]
    fn a_message_about_a_parameter_gets_its_line() {
        let text =
            "# every ten\nevery = \"10s\"\n\n[params]\n# where\nprocfss = \"/proc\"\nk = \"many\"\nsub = { a = 1 }\n";
        let conf = ModuleConf::parse(Path::new("conf/load.on"), text).unwrap();
        for (why, placed) in [
            (
                "params: unknown \"procfss\"; did you mean \"procfs\"?",
                "conf/load.on:6: params: unknown \"procfss\"; did you",
            ),
            ("params: \"k\" must be a whole number of 0 or more, not text", "conf/load.on:7: params: \"k\" must be"),
            ("params: \"sub\" is wrong", "conf/load.on:8: params: \"sub\""),
            ("\"every\" is for collectors", "conf/load.on:2: \"every\" is for"),
            ("params: \"database\" is missing", "conf/load.on: params: \"database\" is missing"),
            ("nothing works here", "conf/load.on: nothing works here"),
            ("an odd \"quote", "conf/load.on: an odd \"quote"),
        ] {
            assert!(conf.place(why).starts_with(placed), "{}", conf.place(why));
        }
        assert_eq!(ModuleConf::default().place("params: \"k\""), "params: \"k\"", "no file, no place");
    }

    #[test]
    fn a_line_that_moves_is_no_change() {
        let parse = |text| ModuleConf::parse(Path::new("conf/load.on"), text).unwrap();
        assert_eq!(parse("[params]\nk = 1\n"), parse("# more\n[params]\nk = 1\n"));
        assert_ne!(parse("[params]\nk = 1\n"), parse("[params]\nk = 2\n"));
    }
}
