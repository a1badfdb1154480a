//! Ganglia's own Python modules run as under Python 2.7: names, types, units, slopes and live values, against the very
//! servers that they watch.
//!
//! The measure is the module under a real Python 2.7, run as gmond ran it; both look at the same servers at the same
//! time. What fails under Python 2.7 has to fail likewise.

mod compare;
mod daemon;
mod fitted;
mod load;

mod peers;
mod procfs;
mod python;
mod recorded;
mod seen;
mod source;
mod standins;
mod table;
mod tree;

use crate::namespace;
use compare::{Types, Verdict, compare};
use graftd_tests::{copy, workspace};
use load::Load;
use peers::Peers;
use procfs::Procfs;
use python::Python;
use recorded::Recorded;
use seen::Seen;
use source::{Corpus, Module};
use std::collections::BTreeMap;
use std::path::Path;

/// The servers, the load and the modules, in a folder that all can read.
struct Stage {
    corpus: Corpus,
    _load: Load,
    _peers: Peers,
    _procfs: Procfs,
    folder: tempfile::TempDir,
}

impl Stage {
    fn set(mut corpus: Corpus) -> Stage {
        // Not in /tmp, which is memory here. Nor may "gmond" stand in its name: procstat looks for that in command lines.
        let folder = tempfile::Builder::new().prefix("stage-").tempdir_in(source::cache()).expect("a folder");
        for file in &corpus.helpers {
            copy(file, &folder.path().join(file.file_name().expect("a name")));
        }
        corpus.modules = fitted::put(&corpus.modules, folder.path());
        let peers = Peers::start(folder.path());
        for why in &peers.missing {
            eprintln!("missing: {why}");
        }
        standins::riak();
        let procfs = Procfs::lay(folder.path());
        let load = Load::start(corpus.packages.as_ref());
        Stage { corpus, _load: load, _peers: peers, _procfs: procfs, folder }
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// The layer that runs the source of Python 2 on 3, where it lies in the checkout.
fn layer() -> std::path::PathBuf {
    workspace().join("gmod-compat/worker/python")
}

/// By (who ran it, module).
type Verdicts = BTreeMap<(String, String), Verdict>;

/// Rounds in which a module may still come to agree: a figure may move just when only one looks.
const ROUNDS: usize = 3;

/// What stays of what differs, after further rounds with the modules of which something does.
fn settle(modules: &[Module], mut round: impl FnMut(&[Module]) -> Verdicts) -> Verdicts {
    let mut settled = round(modules);
    for _ in 1..ROUNDS {
        let differ = |module: &&Module| {
            let mut verdicts = settled.iter().filter(|((_, name), _)| *name == module.name);
            verdicts.any(|(_, verdict)| matches!(verdict, Verdict::Differ(_)))
        };
        let open: Vec<Module> = modules.iter().filter(differ).cloned().collect();
        if open.is_empty() {
            break;
        }
        for (key, again) in round(&open) {
            if let Some(Verdict::Differ(_)) = settled.get(&key) {
                let first = settled.remove(&key).expect("it was just there");
                settled.insert(key, first.and_again(again));
            }
        }
    }
    settled
}

/// Prints the table, and fails if anything differs.
#[track_caller]
fn tell(modules: &[Module], measure: &Measure, who: &[String], verdicts: &Verdicts) {
    let mut rows = vec![vec!["module".to_owned(), measure.label()]];
    rows[0].extend(who.iter().cloned());
    for module in modules {
        let mut row = vec![module.name.clone(), measure.seen.get(&module.name).map(table::outcome).unwrap_or_default()];
        row.extend(who.iter().map(|who| verdicts[&(who.clone(), module.name.clone())].text()));
        rows.push(row);
    }
    table::print(&rows);
    let mut wrong = measure.renewed();
    for ((who, module), verdict) in verdicts {
        if let Verdict::Differ(differences) = verdict {
            wrong.extend(differences.iter().map(|(metric, why)| format!("{who} {module} {metric}: {why}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is agreed with: Python 2.7, or what was recorded of it.
struct Measure {
    two: Option<Python>,
    recorded: Recorded,
    seen: BTreeMap<String, Seen>,
}

impl Measure {
    fn new() -> Measure {
        let two = Python::two();
        if two.is_none() {
            eprintln!(
                "there is no Python 2.7 (PYTHON2 may name one): what was recorded of one is the measure, without values"
            );
        }
        Measure { two, recorded: Recorded::read(), seen: BTreeMap::new() }
    }

    fn label(&self) -> String {
        self.two.as_ref().map_or_else(|| "recorded".to_owned(), |two| two.label.clone())
    }

    /// Starts each module in two processes: what moves shows in which range.
    fn start(&self, modules: &[Module], stage: &Stage) -> Vec<(python::Running, python::Running)> {
        let Some(two) = &self.two else { return Vec::new() };
        let start = |nth, python: &Python, module| python.start(nth, module, &stage.corpus, stage.folder());
        modules.iter().map(|module| (start(0, two, module), start(1, &two.again(), module))).collect()
    }

    /// Waits until all have ended.
    fn end(&mut self, modules: &[Module], running: Vec<(python::Running, python::Running)>) {
        let seen = running.into_iter().map(|(one, other)| one.end().with(other.end()));
        self.seen.extend(modules.iter().map(|module| module.name.clone()).zip(seen));
    }

    fn verdict(&self, name: &str, found: &Seen, types: Types) -> Verdict {
        match self.seen.get(name) {
            Some(measured) if types == Types::Unknown => compare(&measured.in_a_tree(), found, types),
            Some(measured) => compare(measured, found, types),
            None => self.recorded.verdict(name, found, types),
        }
    }

    /// In what the record is not what was measured now; with `GRAFTD_BLESS=1` it is written anew.
    fn renewed(&self) -> Vec<String> {
        if std::env::var_os("GRAFTD_BLESS").is_some() {
            self.recorded.clone().renewed(&self.seen).write();
            return Vec::new();
        }
        let verdicts = self.seen.iter().map(|(name, seen)| (name, self.recorded.verdict(name, seen, Types::Known)));
        let differs = verdicts.filter_map(|(name, verdict)| match verdict {
            Verdict::Differ(differences) => Some((name, differences)),
            _ => None,
        });
        let told = differs.flat_map(|(name, differences)| {
            let tell =
                move |(metric, why)| format!("recorded.json {name} {metric}: {why} (GRAFTD_BLESS=1 records anew)");
            differences.into_iter().map(tell)
        });
        told.collect()
    }
}

/// The modules; a test without them says why, and is over.
fn corpus() -> Option<Corpus> {
    source::corpus().map_err(graftd_tests::skipped).ok()
}

#[test]
fn the_layer_agrees_with_python_2_on_every_python_3() {
    let Some(corpus) = corpus() else { return };
    namespace::within("ganglia::the_layer_agrees_with_python_2_on_every_python_3", || {
        let mut measure = Measure::new();
        let candidates = Python::threes(&layer());
        let stage = Stage::set(corpus);
        let modules = &stage.corpus.modules;
        let verdicts = settle(modules, |open| {
            let running = measure.start(open, &stage);
            let start = |(nth, python): (usize, &Python)| -> Vec<_> {
                open.iter().map(|module| python.start(2 + nth, module, &stage.corpus, stage.folder())).collect()
            };
            let tried: Vec<_> = candidates.iter().enumerate().map(start).collect();
            measure.end(open, running);
            let mut verdicts = Verdicts::new();
            for (python, tried) in candidates.iter().zip(tried) {
                for (module, tried) in open.iter().zip(tried) {
                    let verdict = measure.verdict(&module.name, &tried.end(), Types::Known);
                    verdicts.insert((python.label.clone(), module.name.clone()), verdict);
                }
            }
            verdicts
        });
        let who: Vec<String> = candidates.iter().map(|python| python.label.clone()).collect();
        tell(modules, &measure, &who, &verdicts);
    });
}

#[test]
fn modules_run_in_the_daemon_as_under_python_2() {
    const GRAFTD: &str = "graftd";
    let Some(corpus) = corpus() else { return };
    namespace::within("ganglia::modules_run_in_the_daemon_as_under_python_2", || {
        let mut measure = Measure::new();
        let stage = Stage::set(corpus);
        let modules = &stage.corpus.modules;
        let verdicts = settle(modules, |open| {
            let running = measure.start(open, &stage);
            let daemon = daemon::start(open, &stage.corpus);
            measure.end(open, running);
            let verdict = |module: &Module| {
                daemon::await_settled(&daemon, &module.name);
                let found = tree::await_seen(&daemon, &module.name, measure.seen.get(&module.name));
                let verdict = measure.verdict(&module.name, &found, Types::Unknown);
                if let Verdict::Differ(_) = verdict {
                    eprintln!("{} has {} metrics: {}", module.name, found.metrics.len(), daemon.module(&module.name));
                }
                ((GRAFTD.to_owned(), module.name.clone()), verdict)
            };
            let verdicts = open.iter().map(verdict).collect();
            assert!(daemon.stop().success(), "the daemon ends in order");
            verdicts
        });
        tell(modules, &measure, &[GRAFTD.to_owned()], &verdicts);
    });
}
