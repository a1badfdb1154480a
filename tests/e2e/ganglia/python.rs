//! The measure: what a module comes to under a Python, by `tests/fixtures/gmond/reference.py`.

use super::seen::Seen;
use super::source::{Corpus, Module};
use graftd_tests::fixture;
use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How often the callbacks are called, and how far apart: modules keep what they read for up to fifteen seconds, and
/// have rates only after that.
pub const TIMES: u32 = 6;
pub const EVERY: Duration = Duration::from_millis(3_500);

/// Between the starts of one module under several Pythons: `mysql` does nothing while another of its kind is at work.
const APART: Duration = Duration::from_millis(700);

/// A Python, and whether modules are loaded through the layer that runs the source of 2 on 3.
#[derive(Clone, Debug)]
pub struct Python {
    pub binary: PathBuf,
    /// `2.7.18`.
    pub version: String,
    /// What it is called in the table.
    pub label: String,
    pub layer: Option<PathBuf>,
}

impl Python {
    fn at(binary: &Path) -> Option<Python> {
        let program = "import sys; print('%d.%d.%d' % sys.version_info[:3])";
        let ran = Command::new(binary).args(["-c", program]).output().ok().filter(|ran| ran.status.success())?;
        let version = String::from_utf8(ran.stdout).ok()?.trim().to_owned();
        Some(Python { binary: binary.to_owned(), label: version.clone(), version, layer: None })
    }

    /// The same once more: what it does not agree with itself in is no fault of anybody's.
    pub fn again(&self) -> Python {
        Python { label: format!("{} again", self.version), ..self.clone() }
    }

    /// Python 2.7: what `PYTHON2` names, or one in PATH, or one of pyenv's.
    pub fn two() -> Option<Python> {
        let named = env::var_os("PYTHON2").map(PathBuf::from);
        let usual = ["python2.7", "python2"].map(PathBuf::from);
        let all = named.into_iter().chain(usual).chain(of_pyenv());
        all.filter_map(|binary| Python::at(&binary)).find(|python| python.version.starts_with("2.7."))
    }

    /// One of each version from 3.9 on, each with the layer.
    pub fn threes(layer: &Path) -> Vec<Python> {
        let usual = ["python3"].map(PathBuf::from);
        let mut found: Vec<(u32, Python)> = Vec::new();
        for mut python in usual.into_iter().chain(of_pyenv()).filter_map(|binary| Python::at(&binary)) {
            let minor = python.version.strip_prefix("3.").and_then(|rest| rest.split('.').next()?.parse().ok());
            let Some(minor) = minor.filter(|minor| *minor >= 9) else { continue };
            if !found.iter().any(|(known, _)| *known == minor) {
                python.layer = Some(layer.to_owned());
                found.push((minor, python));
            }
        }
        found.sort_by_key(|(minor, _)| *minor);
        found.into_iter().map(|(_, python)| python).collect()
    }

    /// Starts a module as the so-manieth of its kind; `folder` is where it lies, with what it imports, and what is said goes
    /// there.
    pub fn start(&self, nth: usize, module: &Module, corpus: &Corpus, folder: &Path) -> Running {
        let stem = format!("{}-{}", module.name, self.label.replace(' ', "-"));
        let out = folder.join(format!("{stem}.json"));
        let log = folder.join(format!("{stem}.log"));
        // A module's log in /tmp is root's, as it was gmond's. Whether another user can write it is not what is compared here.
        let mut command = Command::new("sh");
        command.args(["-c", "umask 0 && exec \"$0\" \"$@\""]);
        command.arg(&self.binary).arg("-B").arg(fixture("gmond/reference.py"));
        command.arg("--file").arg(folder.join(format!("{}.py", module.name))).arg("--out").arg(&out);
        if let Some(conf) = &module.conf {
            command.arg("--conf").arg(conf);
        }
        if let Some(packages) = &corpus.packages {
            command.arg("--path").arg(packages);
        }
        if let Some(layer) = &self.layer {
            command.arg("--layer").arg(layer);
        }
        command.args(["--times", &TIMES.to_string(), "--every", &EVERY.as_secs_f64().to_string()]);
        command.args(["--after", &(APART.as_secs_f64() * nth as f64).to_string()]);
        let said = File::create(&log).expect("a file");
        command.stdin(Stdio::null()).stderr(said.try_clone().expect("a file")).stdout(said);
        let child = command.current_dir("/").spawn().expect("a Python that has just run");
        Running { child, out, log }
    }
}

fn of_pyenv() -> Vec<PathBuf> {
    let home = env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let root = env::var_os("PYENV_ROOT").map_or_else(|| home.join(".pyenv"), PathBuf::from);
    let versions = fs::read_dir(root.join("versions")).map_or_else(|_| Vec::new(), |found| found.flatten().collect());
    let mut all: Vec<PathBuf> = versions.iter().map(|version| version.path().join("bin/python")).collect();
    all.sort();
    all
}

/// A module that is being measured.
#[derive(Debug)]
pub struct Running {
    child: Child,
    out: PathBuf,
    log: PathBuf,
}

impl Running {
    /// What came of it.
    pub fn end(mut self) -> Seen {
        let ended = self.child.wait().expect("a child");
        match fs::read_to_string(&self.out) {
            Ok(text) => Seen::of_report(&text),
            Err(_) => {
                let said = fs::read_to_string(&self.log).unwrap_or_default();
                let last = said.lines().last().unwrap_or_default();
                Seen { error: Some(format!("the process ended ({ended}): {last}")), ..Seen::default() }
            }
        }
    }
}
