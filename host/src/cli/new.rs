//! `graftd new`: a plugin of one's own, ready to build.

mod names;

use super::error::print;
use super::{Failure, dirs};
use clap::{Args, ValueEnum};
use std::fs;
use std::path::{Path, PathBuf};

/// Write a plugin of your own, ready to build: code, a test on recorded data, README.md and sample.on.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  graftd new pipe methods\n  graftd new collector uptime --python\n\nThen it says how to test it and how to drop it in."
)]
pub(super) struct New {
    /// A pipe folds access-log records, a collector samples something on an interval
    #[arg(value_enum)]
    kind: Kind,
    /// Its name: small letters, digits and dashes (in Python underscores)
    name: String,
    /// In Python: a pipe, or a collector as a gmond module
    #[arg(long)]
    python: bool,
    /// The folder to make [default: ./NAME]
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
    /// The folder of the crate plugin-api [default: that of the checkout]
    #[arg(long, value_name = "DIR", conflicts_with = "python")]
    plugin_api: Option<PathBuf>,
    /// The folder that it is to be dropped into [default: that of the checkout, or /usr/lib/graftd/plugins]
    #[arg(long, value_name = "DIR")]
    plugins: Option<PathBuf>,
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

const PYTHON_PIPE: [Template; 4] = [
    ("{{name}}.py", include_str!("new/pipe.py.in")),
    ("test_{{name}}.py", include_str!("new/pipe_test.py.in")),
    ("README.md", include_str!("new/python_pipe.md.in")),
    ("sample.on", include_str!("new/pipe.on.in")),
];

const PYTHON_COLLECTOR: [Template; 4] = [
    ("{{name}}.py", include_str!("new/collector.py.in")),
    ("test_{{name}}.py", include_str!("new/collector_test.py.in")),
    ("README.md", include_str!("new/python_collector.md.in")),
    ("sample.on", include_str!("new/collector.on.in")),
];

/// Has cargo build beside graftd, where all that a plugin depends on lies compiled: seconds instead of a minute.
const CARGO_CONFIG: Template = (
    ".cargo/config.toml",
    "# Where graftd was built: what all plugins depend on is compiled once, for the first. Without this file it is ./target.\n\
     [build]\ntarget-dir = {{target}}\n",
);

/// What stands for what in a template.
type Words = Vec<(&'static str, String)>;

impl New {
    pub(super) fn run(self) -> Result<(), Failure> {
        let folder = self.into.clone().unwrap_or_else(|| PathBuf::from(&self.name));
        let at = folder.display();
        let plugins = match &self.plugins {
            // What is printed is run in another folder than this.
            Some(folder) => fs::canonicalize(folder)
                .map_err(|error| Failure::usage(format_args!("--plugins {}: {error}", folder.display())))?,
            None => dirs::default_plugins(),
        };
        if self.python {
            names::check_python(&self.name).map_err(Failure::usage)?;
            let drop_in = drop_in(&format!("{}.py", self.name), &self.name, "py", &plugins);
            let words = vec![("{{name}}", self.name.clone()), ("{{drop}}", drop_in.clone())];
            write(&folder, if self.kind == Kind::Pipe { &PYTHON_PIPE } else { &PYTHON_COLLECTOR }, &words)?;
            return print(&format!(
                "{at}/{name}.py is the plugin. Test it and drop it in:\n\n  cd {}\n  python3 test_{name}.py\n  {drop_in}\n\n\
                 then watch its branch grow: graftd watch {name}{lines}\nor try it once, without a daemon: graftd probe {name}.py",
                quoted(&folder),
                name = self.name,
                lines = with_lines(self.kind),
            ));
        }
        names::check_crate(&self.name).map_err(Failure::usage)?;
        if plugins.join(format!("{}.so", self.name)).exists() {
            let (name, plugins) = (&self.name, plugins.display());
            return Err(Failure::usage(format_args!("{plugins}/{name}.so is there already; choose another name")));
        }
        let api = self.plugin_api()?;
        let target = shared_target();
        let lib = self.name.replace('-', "_");
        let built = target.as_deref().unwrap_or(Path::new("target")).join("release").join(format!("lib{lib}.so"));
        let drop_in = drop_in(&quoted(&built), &self.name, "so", &plugins);
        let words = vec![
            ("{{name}}", self.name.clone()),
            ("{{crate}}", lib),
            ("{{type}}", names::type_name(&self.name)),
            ("{{api}}", toml_text(&api)),
            ("{{target}}", target.as_deref().map(toml_text).unwrap_or_default()),
            ("{{drop}}", drop_in.clone()),
        ];
        write(&folder, if self.kind == Kind::Pipe { &PIPE } else { &COLLECTOR }, &words)?;
        if target.is_some() {
            add(&folder, CARGO_CONFIG, &words)?;
        }
        // The very versions that graftd was built with; without it cargo looks for the newest.
        if let Ok(lock) = fs::read(api.join("../Cargo.lock")) {
            let file = folder.join("Cargo.lock");
            fs::write(&file, lock).map_err(|error| Failure::work(format_args!("{}: {error}", file.display())))?;
        }
        print(&format!(
            "{at}/src/lib.rs is the plugin. Test it, build it and drop it in:\n\n  cd {}\n  cargo test --release\n  \
             cargo build --release && {drop_in}\n\nthen watch its branch grow: graftd watch {}{}",
            quoted(&folder),
            self.name,
            with_lines(self.kind)
        ))
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

/// How a pipe gets something to fold.
fn with_lines(kind: Kind) -> &'static str {
    match kind {
        Kind::Pipe => "\nwith lines from a log: tail -n 1000 access.log | graftd push --accesslog -f -",
        Kind::Collector => "",
    }
}

/// Writes the files of a plugin into a folder that is made for them.
fn write(folder: &Path, templates: &[Template], words: &Words) -> Result<(), Failure> {
    if folder.exists() {
        return Err(Failure::usage(format_args!(
            "{} is there already; name another with --into DIR",
            folder.display()
        )));
    }
    templates.iter().try_for_each(|template| add(folder, *template, words))
}

fn add(folder: &Path, (name, template): Template, words: &Words) -> Result<(), Failure> {
    let filled = |text: &str| words.iter().fold(text.to_owned(), |text, (word, value)| text.replace(word, value));
    let file = folder.join(filled(name));
    let written = file.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&file, filled(template)));
    written.map_err(|error| Failure::work(format_args!("{}: {error}", file.display())))
}

/// The folder that this binary was built into, if it lies in one of cargo's in which whoever runs it may build too.
fn shared_target() -> Option<PathBuf> {
    let binary = std::env::current_exe().ok()?;
    let target = binary.parent()?.parent()?;
    let trial = target.join(format!(".graftd-new-{}", std::process::id()));
    let good = target.join("CACHEDIR.TAG").is_file() && fs::write(&trial, "").is_ok();
    let _ = fs::remove_file(&trial);
    good.then(|| target.to_owned())
}

/// Copied under a name that is not looked at, then renamed: so it is never seen half written.
fn drop_in(built: &str, name: &str, suffix: &str, plugins: &Path) -> String {
    let (new, done) = (plugins.join(format!(".{name}.new")), plugins.join(format!("{name}.{suffix}")));
    let (new, done) = (quoted(&new), quoted(&done));
    format!("install -m 644 {built} {new} && mv {new} {done}")
}

/// A path as a word of the shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
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
    fn paths_are_words_of_the_shell() {
        assert_eq!(quoted(Path::new("/a/b-1.so")), "/a/b-1.so");
        assert_eq!(quoted(Path::new("/it's a")), r"'/it'\''s a'");
    }

    #[test]
    fn a_plugin_is_built_as_graftd_is() {
        let profile = |text: &str| {
            let text = text.split("[profile.release]").nth(1).unwrap_or_default();
            let values = text.lines().skip(1).take_while(|line| line.contains(" = "));
            values.map(|line| line.split('#').next().unwrap_or_default().trim().to_owned()).collect::<Vec<_>>()
        };
        let own = profile(include_str!("../../../Cargo.toml"));
        assert!(!own.is_empty());
        assert_eq!(profile(PIPE[0].1), own);
    }
}
