//! Ganglia's own Python modules run as under Python 2.7: names, types, units, slopes and live values, against the very
//! servers that they watch.
//!
//! The measure is the module under a real Python 2.7, run as gmond ran it; both look at the same servers at the same
//! time. What fails under Python 2.7 has to fail likewise.

mod compare;
mod daemon;
mod fitted;
mod load;
mod namespace;
mod peers;
mod procfs;
mod python;
mod seen;
mod source;
mod standins;
mod table;
mod tree;

use compare::{Types, Verdict, compare};
use graftd_tests::{copy, workspace};
use load::Load;
use peers::Peers;
use procfs::Procfs;
use python::Python;
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
        // Neither "gmond" nor the like may stand in its name: procstat looks for that in command lines.
        let folder = tempfile::Builder::new().prefix("graftd-modules-").tempdir().expect("a folder");
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
fn tell(modules: &[Module], two: &Python, measured: &BTreeMap<String, Seen>, who: &[String], verdicts: &Verdicts) {
    let mut rows = vec![vec!["module".to_owned(), two.label.clone()]];
    rows[0].extend(who.iter().cloned());
    for module in modules {
        let mut row = vec![module.name.clone(), table::outcome(&measured[&module.name])];
        row.extend(who.iter().map(|who| verdicts[&(who.clone(), module.name.clone())].text()));
        rows.push(row);
    }
    table::print(&rows);
    let mut wrong = Vec::new();
    for ((who, module), verdict) in verdicts {
        if let Verdict::Differ(differences) = verdict {
            wrong.extend(differences.iter().map(|(metric, why)| format!("{who} {module} {metric}: {why}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Each module under Python 2.7, in two processes: what moves shows in which range.
fn measure(two: &Python, modules: &[Module], stage: &Stage) -> Vec<(python::Running, python::Running)> {
    let start = |nth, python: &Python, module| python.start(nth, module, &stage.corpus, stage.folder());
    modules.iter().map(|module| (start(0, two, module), start(1, &two.again(), module))).collect()
}

fn measured(modules: &[Module], running: Vec<(python::Running, python::Running)>) -> BTreeMap<String, Seen> {
    let seen = running.into_iter().map(|(one, other)| one.end().with(other.end()));
    modules.iter().map(|module| module.name.clone()).zip(seen).collect()
}

#[test]
fn the_layer_agrees_with_python_2_on_every_python_3() {
    let corpus = match source::corpus() {
        Ok(corpus) => corpus,
        Err(why) => return eprintln!("skipped: {why}"),
    };
    namespace::within("ganglia::the_layer_agrees_with_python_2_on_every_python_3", || {
        let Some(two) = Python::two() else {
            return eprintln!("skipped: there is no Python 2.7; PYTHON2 may name one");
        };
        let candidates = Python::threes(&layer());
        let stage = Stage::set(corpus);
        let modules = &stage.corpus.modules;
        let mut seen = BTreeMap::new();
        let verdicts = settle(modules, |open| {
            let running = measure(&two, open, &stage);
            let start = |(nth, python): (usize, &Python)| -> Vec<_> {
                open.iter().map(|module| python.start(2 + nth, module, &stage.corpus, stage.folder())).collect()
            };
            let tried: Vec<_> = candidates.iter().enumerate().map(start).collect();
            let now = measured(open, running);
            let mut verdicts = Verdicts::new();
            for (python, tried) in candidates.iter().zip(tried) {
                for (module, tried) in open.iter().zip(tried) {
                    let verdict = compare(&now[&module.name], &tried.end(), Types::Known);
                    verdicts.insert((python.label.clone(), module.name.clone()), verdict);
                }
            }
            seen.extend(now);
            verdicts
        });
        let who: Vec<String> = candidates.iter().map(|python| python.label.clone()).collect();
        tell(modules, &two, &seen, &who, &verdicts);
    });
}

#[test]
fn modules_run_in_the_daemon_as_under_python_2() {
    const GRAFTD: &str = "graftd";
    let corpus = match source::corpus() {
        Ok(corpus) => corpus,
        Err(why) => return eprintln!("skipped: {why}"),
    };
    namespace::within("ganglia::modules_run_in_the_daemon_as_under_python_2", || {
        let Some(two) = Python::two() else {
            return eprintln!("skipped: there is no Python 2.7; PYTHON2 may name one");
        };
        let stage = Stage::set(corpus);
        let modules = &stage.corpus.modules;
        let mut seen = BTreeMap::new();
        let verdicts = settle(modules, |open| {
            let running = measure(&two, open, &stage);
            let daemon = daemon::start(open, &stage.corpus);
            let now = measured(open, running);
            let verdict = |module: &Module| {
                daemon::await_settled(&daemon, &module.name);
                let found = tree::seen(&daemon, &module.name);
                let verdict = compare(&now[&module.name].in_a_tree(), &found, Types::Unknown);
                ((GRAFTD.to_owned(), module.name.clone()), verdict)
            };
            let verdicts = open.iter().map(verdict).collect();
            assert!(daemon.stop().success(), "the daemon ends in order");
            seen.extend(now);
            verdicts
        });
        tell(modules, &two, &seen, &[GRAFTD.to_owned()], &verdicts);
    });
}
