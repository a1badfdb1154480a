//! `graftd probe` says in one line what is wrong with a file and what to do, and says it in time.

use graftd_tests::fixtures::{self, ODD_FILES, c_library};
use graftd_tests::{Folders, Ran, graftd, plugin};
use std::path::Path;
use std::thread;

fn probe(file: &Path, more: &[&str]) -> Ran {
    graftd(["probe".as_ref(), file.as_os_str()].into_iter().chain(more.iter().map(AsRef::as_ref)))
}

/// It is refused with these words, in one line.
#[track_caller]
fn refused(ran: &Ran, words: &[&str]) {
    ran.failed(1, words);
    assert_eq!((ran.stderr.lines().count(), ran.stdout.as_str()), (1, ""), "{ran:?}");
}

#[test]
fn what_is_no_plugin_is_told_apart() {
    let folders = Folders::new();
    for odd in ODD_FILES {
        let file = folders.root().join(format!("{}.so", odd.name));
        (odd.make)(&file);
        let words: &[&str] = match odd.name {
            "cut" => &["is cut off: it has", "copy or build it again"],
            "cut-header" => &["is cut off within its ELF header"],
            "other-machine" => &["is for ", "build it for this machine"],
            "text" => &["no ELF header"],
            "empty" => &["is empty"],
            "folder" => &["is a folder"],
            "huge" => &["is 314572800 bytes long", "strip it"],
            "unreadable" if fixtures::may_read_all() => continue,
            "unreadable" => &["may not be read: chmod u+r"],
            "fifo" => &["is no regular file"],
            other => panic!("{other}: what is to be said of it?"),
        };
        refused(&probe(&file, &[]), words);
    }
    for (name, words) in [
        ("library", &["no graftd plugin"][..]),
        ("unresolved", &["needs the function graftd_has_no_such_function"]),
        ("constructor", &["crashed with SIGSEGV while it was loaded"]),
        ("constructor_exit", &["exit code 0 while it was loaded", "never ends the process"]),
    ] {
        refused(&probe(c_library(name).file(), &[]), words);
    }
}

#[test]
fn what_was_made_with_another_interface_is_told_apart() {
    probe(&plugin("newer-api"), &[]).good();
    for (name, words) in [
        ("older-api", &["too many fields: 5 is expected, 4 found", "build it anew with plugin-api"][..]),
        ("newest-api", &["made with plugin-api 1.0.0, and this graftd has 0."]),
        ("other-layout", &["RStr<'a> is expected, u64 found"]),
        ("foreign", &["another program's plugin", "Calculator"]),
    ] {
        refused(&probe(&plugin(name), &[]), words);
    }
}

#[test]
fn what_a_plugin_does_in_a_probe_is_told_with_its_step() {
    let folders = Folders::new();
    let misbehave = |name: &str, at: &str, does: &str| {
        let conf =
            folders.write(&format!("{name}-{at}-{does}.on"), format!("[params]\nat = {at:?}\ndoes = {does:?}\n"));
        probe(&plugin(name), &["--conf", &conf])
    };
    thread::scope(|scope| {
        // What takes as long as it may goes on beside the rest.
        for (name, at, step) in
            [("unruly", "new", "in its new()"), ("unruly-collector", "collect", "in its first call")]
        {
            scope.spawn(move || {
                let words = [&format!("did not come back within 10 s {step}")[..]];
                refused(&misbehave(name, at, "loop"), &words);
            });
        }
        for (at, step) in [("new", "in its new()"), ("process", "in its first call"), ("drop", "while it was dropped")]
        {
            for (does, words) in [
                ("segfault", "crashed with SIGSEGV"),
                ("abort", "crashed with SIGABRT"),
                ("exit", "exit code 0"),
                ("overflow", "overflowed its stack"),
                ("close", "closed the process's standard output"),
                ("allocate", "reached the limit of 1024 MiB of memory"),
            ] {
                refused(&misbehave("unruly", at, does), &[&format!("{words} {step}")]);
            }
        }
        refused(&misbehave("unruly", "flush", "panic"), &["panicked at", "told to, in flush"]);
        // A megabyte on both outputs is nobody's, and hides nothing that the probe has to say.
        misbehave("unruly", "process", "print").good();
        misbehave("unruly-collector", "collect", "print").good();
    });
}

#[test]
fn what_is_found_is_told_as_json_with_its_times() {
    let found = probe(&plugin("status"), &["--json"]).good().json();
    assert_eq!((&found["ok"], &found["plugin"]["kind"]), (&true.into(), &"pipe".into()), "{found}");
    for time in ["load_ms", "new_ms", "work_ms", "all_ms"] {
        assert!(found["plugin"]["took"][time].as_f64().is_some_and(|ms| ms >= 0.0), "{time}: {found}");
    }
    let ran = probe(&plugin("foreign"), &["--json"]);
    assert_eq!((ran.code, &ran.json()["ok"]), (1, &false.into()), "{ran:?}");
    assert!(ran.json()["why"].as_str().is_some_and(|why| why.contains("Calculator")), "{ran:?}");
}

#[test]
fn what_a_module_in_python_prints_is_shown_as_its_own() {
    let folders = Folders::new();
    let module = "\
import sys, os
print('import\x1b[31m')
def value(name):
    sys.stderr.write('asked for %s\\n' % name)
    return 7
def metric_init(params):
    if params.get('bad'): raise ValueError('no such bad')
    for n in range(int(params.get('lines', 1))): print('line %d' % n)
    return [{'name': 'm', 'call_back': value, 'value_type': 'uint', 'units': 'jobs'}]
def metric_cleanup():
    os.write(1, b'nowhere'); print('at the end')
";
    let file = folders.write("talks.py", module);
    let file = Path::new(&file);
    let shown = probe(file, &[]).good().stdout;
    let (found, printed) = shown.split_once("  the module printed:\n").unwrap_or_else(|| panic!("{shown}"));
    assert!(found.contains("m = 7.0 jobs"), "{shown}");
    assert_eq!(printed, "    | import\\u{1b}[31m\n    | line 0\n    | asked for m\n    | at the end\n");
    let json = probe(file, &["--json"]).good().json();
    assert_eq!(json["printed"], "import\x1b[31m\nline 0\nasked for m\nat the end\n");

    // What it printed before it failed is shown too.
    let conf = folders.write("bad.on", "[params]\nbad = \"yes\"\n");
    let bad = probe(file, &["--conf", &conf]);
    bad.failed(1, &["ValueError: no such bad"]);
    assert_eq!(bad.stdout, "  the module printed:\n    | import\\u{1b}[31m\n");
    assert_eq!(probe(file, &["--conf", &conf, "--json"]).json()["printed"], "import\x1b[31m\n");

    // Of much, the end.
    let conf = folders.write("much.on", "[params]\nlines = \"50000\"\n");
    let much = probe(file, &["--conf", &conf]).good().stdout;
    assert!(
        much.contains("printed (the end of it):") && much.contains("| line 49999\n") && much.len() < 32_768,
        "{much}"
    );
}
