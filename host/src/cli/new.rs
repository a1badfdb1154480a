//! `graftd new`: a plugin of one's own, ready to build.

use super::{Failure, dirs};
use crate::module::BUILT_IN;
use clap::{Args, ValueEnum};
use std::fs;
use std::path::{Path, PathBuf};

/// Write a plugin of your own, ready to build: code, test, README.md and sample.on.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  graftd new pipe methods\n\nThen it says how to test it and how to drop it in.")]
pub(super) struct New {
    /// A pipe folds access-log records, a collector samples something on an interval
    #[arg(value_enum)]
    kind: Kind,
    /// Its name: small letters, digits and dashes
    name: String,
    /// The folder to make [default: ./NAME]
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
    /// The folder of the crate plugin-api [default: that of the checkout]
    #[arg(long, value_name = "DIR")]
    plugin_api: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Pipe,
    Collector,
}

/// A file of the plugin, and what it is made of.
type Template = (&'static str, &'static str);

const PIPE: [Template; 5] = [
    ("Cargo.toml", include_str!("new/Cargo.toml.in")),
    ("src/lib.rs", include_str!("new/pipe.rs.in")),
    ("tests/records.rs", include_str!("new/pipe_test.rs.in")),
    ("README.md", include_str!("new/pipe.md.in")),
    ("sample.on", include_str!("new/pipe.on.in")),
];

const COLLECTOR: [Template; 5] = [
    ("Cargo.toml", include_str!("new/Cargo.toml.in")),
    ("src/lib.rs", include_str!("new/collector.rs.in")),
    ("tests/samples.rs", include_str!("new/collector_test.rs.in")),
    ("README.md", include_str!("new/collector.md.in")),
    ("sample.on", include_str!("new/collector.on.in")),
];

impl New {
    pub(super) fn run(self) -> Result<(), Failure> {
        check_name(&self.name).map_err(Failure::usage)?;
        let api = self.plugin_api()?;
        let folder = self.into.clone().unwrap_or_else(|| PathBuf::from(&self.name));
        if folder.exists() {
            return Err(Failure::usage(format_args!(
                "{} is there already; name another with --into DIR",
                folder.display()
            )));
        }
        let plugins = dirs::default_plugins();
        let words = [
            ("{{name}}", self.name.clone()),
            ("{{crate}}", self.name.replace('-', "_")),
            ("{{type}}", type_name(&self.name)),
            ("{{api}}", toml_text(&api)),
            ("{{plugins}}", plugins.display().to_string()),
        ];
        let templates = if self.kind == Kind::Pipe { PIPE } else { COLLECTOR };
        for (name, template) in templates {
            let file = folder.join(name);
            let text = words.iter().fold(template.to_owned(), |text, (word, value)| text.replace(word, value));
            let written = file.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&file, text));
            written.map_err(|error| Failure::work(format_args!("{}: {error}", file.display())))?;
        }
        let at = folder.display();
        println!("{at}/src/lib.rs is the plugin. Test it, build it and drop it in:\n");
        println!("  cd {at} && cargo test");
        println!("  cargo build --release && {}\n", drop_in(&self.name, &plugins));
        println!("then watch its branch grow: graftd watch {}", self.name);
        Ok(())
    }

    fn plugin_api(&self) -> Result<PathBuf, Failure> {
        let folder = match &self.plugin_api {
            Some(folder) => folder.clone(),
            None => dirs::checkout().map(|root| root.join("plugin-api")).unwrap_or_default(),
        };
        fs::canonicalize(&folder)
            .ok()
            .filter(|folder| folder.join("Cargo.toml").is_file())
            .ok_or_else(|| Failure::usage("the crate plugin-api is not found; name its folder with --plugin-api DIR"))
    }
}

/// Copied under a name that is not looked at, then renamed: so it is never seen half written.
fn drop_in(name: &str, plugins: &Path) -> String {
    let plugins = plugins.display();
    let so = format!("target/release/lib{}.so", name.replace('-', "_"));
    format!("install -m 644 {so} {plugins}/.{name}.new && mv {plugins}/.{name}.new {plugins}/{name}.so")
}

fn check_name(name: &str) -> Result<(), String> {
    const NAME_BYTES_MAX: usize = 40;
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty()
        || name.len() > NAME_BYTES_MAX
        || !name.chars().all(good)
        || !name.starts_with(|c: char| c.is_ascii_lowercase())
        || name.ends_with('-')
    {
        return Err(format!(
            "{name:?} will not do: a name has small letters, digits and dashes, such as \"slow-urls\", and begins with a letter"
        ));
    }
    // Crates of these names would clash with the compiler's own, or with what the plugin depends on.
    if BUILT_IN.contains(&name) || ["core", "std", "alloc", "test", "plugin-api", "proc-macro"].contains(&name) {
        return Err(format!("{name:?} is taken; choose another name"));
    }
    Ok(())
}

/// `SlowUrls` of `slow-urls`. A suffix keeps it apart from the types that the plugin uses.
fn type_name(name: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
    };
    let camel: String = name.split('-').map(word).collect();
    let taken =
        ["Access", "Delta", "Error", "Params", "Pipe", "Collector", "Self", "Option", "Result", "String", "Vec"];
    if taken.contains(&camel.as_str()) { format!("{camel}Module") } else { camel }
}

/// A path as a TOML basic string.
fn toml_text(path: &Path) -> String {
    let escaped = path.display().to_string().replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "slow-urls", "r2d2"] {
            assert_eq!(check_name(good), Ok(()));
        }
        for bad in ["", "-a", "a-", "A", "é", "a b", "../x", "relay", "core", &"a".repeat(41)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
        assert_eq!((type_name("slow-urls"), type_name("access")), ("SlowUrls".into(), "AccessModule".into()));
    }
}
