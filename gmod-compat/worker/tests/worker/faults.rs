//! What goes wrong in a module costs its own values, and says why.

use crate::driver::{Folder, Setup, first_line, module, setup};
use plugin_api::{ErrorKind, Params};
use std::fs;
use std::os::unix::process::ExitStatusExt;

fn raising(pairs: &[(&str, &str)]) -> Setup {
    let params = pairs.iter().fold(Params::new(), |params, (name, value)| params.with(name, *value));
    setup(&module("raising.py")).params(params)
}

#[test]
fn whatever_a_callback_raises_the_others_values_enter() {
    for (how, what) in [
        ("key", "KeyError: 'missing' (raising.py:9)"),
        ("chain", "ValueError: outer with two lines (raising.py:14)"),
        ("exit", "SystemExit: 3 (raising.py:16)"),
        ("interrupt", "KeyboardInterrupt (raising.py:18)"),
        ("generator", "GeneratorExit (raising.py:20)"),
        ("deep", "RecursionError: maximum recursion depth exceeded"),
        ("unprintable", "Bad: (its text cannot be made) (raising.py:27)"),
    ] {
        let (mut worker, _) = raising(&[("callback", how)]).run();
        for second in [0, 10] {
            let sample = worker.collect(second);
            assert_eq!(sample.line(), "me,good=2", "{how}");
            assert!(sample.fault().starts_with(&format!("1 of 2 metrics failed; bad: {what}")), "{}", sample.fault());
        }
        let (status, _) = worker.end();
        assert!(status.success(), "{how}: {status}");
    }
}

#[test]
fn a_traceback_shows_the_modules_own_lines_and_the_chain() {
    let (mut worker, _) = raising(&[("callback", "chain"), ("alone", "yes")]).run();
    let error = worker.collect(0).error.expect("it raised");
    assert_eq!(error.kind(), ErrorKind::Failed);
    let file = module("raising.py");
    let expect = format!(
        "bad: ValueError: outer with two lines (raising.py:14)
Traceback (most recent call last):
  File \"{file}\", line 12, in boom
    {{}}[\"inner\"]
KeyError: 'inner'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File \"{file}\", line 46, in raising
    return boom(HOW[\"callback\"])
  File \"{file}\", line 14, in boom
    raise ValueError(\"outer\\nwith two lines\")
ValueError: outer
with two lines",
        file = file.display()
    );
    assert_eq!(error.message(), expect);
}

#[test]
fn a_deep_traceback_is_cut_in_its_middle() {
    let (mut worker, _) = raising(&[("callback", "deep"), ("alone", "yes")]).run();
    let error = worker.collect(0).error.expect("it raised");
    assert!(error.message().contains(" frames more)\n"), "{error}");
    assert!(error.message().contains("RecursionError: maximum recursion depth exceeded"), "{error}");
}

#[test]
fn what_metric_init_raises_is_told_by_kind() {
    for (how, what) in [
        ("key", "metric_init: KeyError: 'missing' (raising.py:9)"),
        ("exit", "metric_init: SystemExit: 3 (raising.py:16)"),
    ] {
        let error = raising(&[("init", how)]).refused();
        assert_eq!((error.kind(), first_line(&error)), (ErrorKind::Failed, what));
        assert!(error.message().contains("in metric_init\n    boom(params.get(\"init\"))\n"), "{error}");
    }
}

/// A module of this source.
fn source(text: &str) -> (Folder, Setup) {
    let folder = Folder::new();
    let file = folder.path().join("m.py");
    fs::write(&file, text).expect("a file");
    let setup = setup(&file);
    (folder, setup)
}

#[test]
fn what_is_no_module_is_said_to_be_none() {
    for (text, kind, what) in [
        ("def metric_init(params:\n", ErrorKind::Config, "import: SyntaxError: "),
        ("x = 1\n", ErrorKind::Config, "neither metric_init (a module of gmond) nor process (a pipe)"),
        ("\0", ErrorKind::Config, "import: SyntaxError: "),
        ("# -*- coding: nonsense -*-\n", ErrorKind::Config, "import: SyntaxError: "),
        (
            "import no_such_package\n",
            ErrorKind::Failed,
            "import: ModuleNotFoundError: No module named 'no_such_package' (m.py:1)",
        ),
        ("import sys\nsys.exit('bye')\n", ErrorKind::Failed, "import: SystemExit: bye (m.py:2)"),
        (
            "def metric_init(params): return None\n",
            ErrorKind::Failed,
            "metric_init: TypeError: returned None; a list of metrics is wanted",
        ),
        (
            "def metric_init(): return []\n",
            ErrorKind::Failed,
            "metric_init: TypeError: metric_init() takes 0 positional arguments",
        ),
        ("class metric_init: pass\n", ErrorKind::Failed, "metric_init: TypeError: metric_init() takes no arguments"),
    ] {
        let (_folder, setup) = source(text);
        let error = setup.refused();
        assert_eq!(error.kind(), kind, "{text}: {error}");
        assert!(first_line(&error).contains(what), "{text}: {error}");
    }
}

#[test]
fn a_mapping_or_a_tuple_or_nothing_is_taken() {
    let metric = "{'name': 'a', 'call_back': lambda name: 1, 'value_type': 'uint'}";
    for returned in [metric.to_owned(), format!("({metric},)"), format!("[{metric}]")] {
        let (_folder, setup) = source(&format!("def metric_init(params): return {returned}\n"));
        assert_eq!(setup.run().0.collect(0).line(), "me,a=1", "{returned}");
    }
    let (_folder, setup) = source("def metric_init(params): return []\n");
    let error = setup.run().0.collect(0).error.expect("no metrics");
    assert_eq!(error.kind(), ErrorKind::NoData);
}

#[test]
fn a_module_that_ends_the_process_is_gone_with_its_last_words() {
    for (how, code, signal) in [("_exit", Some(5), None), ("abort", None, Some(6)), ("segfault", None, Some(11))] {
        let (mut worker, _) = raising(&[("callback", how)]).run();
        worker.say(gmod_compat::protocol::wire::tag::COLLECT, &[0; 16]);
        assert!(worker.hear_if_any().is_none(), "{how}");
        let (status, words) = worker.ended();
        assert_eq!((status.code(), status.signal()), (code, signal), "{how}: {words}");
        if signal.is_some() {
            assert!(words.contains("Fatal Python error") && words.contains("raising.py"), "{words}");
        }
    }
}

#[test]
fn a_threads_exception_and_one_at_the_end_are_printed() {
    let (mut worker, _) = raising(&[("callback", "thread"), ("cleanup", "key")]).run();
    assert_eq!(worker.collect(0).fault(), "");
    let (status, words) = worker.end();
    assert!(status.success(), "{status}");
    assert!(words.contains("ZeroDivisionError") && words.contains("cleanup key\n"), "{words}");
    assert!(words.contains("metric_cleanup: KeyError: 'missing' (raising.py:9)"), "{words}");
}
