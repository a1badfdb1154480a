//! Ganglia's own Python modules run as under Python 2.7: names, types, units, slopes and live values, against the very
//! servers that they watch.
//!
//! The measure is the module under a real Python 2.7, run as gmond ran it; both look at the same servers at the same
//! time. What fails under Python 2.7 has to fail likewise.

mod compare;
mod fitted;
mod load;
mod namespace;
mod peers;
mod python;
mod seen;
mod source;
mod table;

use compare::{Types, Verdict, compare};
use graftd_tests::{copy, workspace};
use load::Load;
use peers::Peers;
use python::Python;
use source::Corpus;
use std::path::Path;

/// The servers, the load and the modules, in a folder that all can read.
struct Stage {
    corpus: Corpus,
    _load: Load,
    _peers: Peers,
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
        let load = Load::start(corpus.packages.as_ref());
        Stage { corpus, _load: load, _peers: peers, folder }
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// The layer that runs the source of Python 2 on 3, where it lies in the checkout.
fn layer() -> std::path::PathBuf {
    workspace().join("gmod-compat/worker/python")
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
        let threes = Python::threes(&layer());
        let stage = Stage::set(corpus);
        let corpus = &stage.corpus;
        let start = |python: &Python| -> Vec<_> {
            corpus.modules.iter().map(|module| python.start(module, corpus, stage.folder())).collect()
        };
        let measured = start(&two);
        let tried: Vec<_> = threes.iter().map(start).collect();
        let measured: Vec<_> = measured.into_iter().map(python::Running::end).collect();
        let mut rows = vec![vec!["module".to_owned(), two.version.clone()]];
        rows.extend(
            corpus.modules.iter().zip(&measured).map(|(module, seen)| vec![module.name.clone(), table::outcome(seen)]),
        );
        let mut wrong = Vec::new();
        for (python, tried) in threes.iter().zip(tried) {
            rows[0].push(python.version.clone());
            for ((module, (measure, tried)), row) in
                corpus.modules.iter().zip(measured.iter().zip(tried)).zip(&mut rows[1..])
            {
                let verdict = compare(measure, &tried.end(), Types::Known);
                row.push(verdict.text());
                if let Verdict::Differ(differences) = verdict {
                    wrong.extend(
                        differences.into_iter().map(|why| format!("{} {}: {why}", python.version, module.name)),
                    );
                }
            }
        }
        table::print(&rows);
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}
