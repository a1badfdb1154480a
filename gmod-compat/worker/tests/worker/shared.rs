//! Several modules in one process: each has its own, and none is in another's way.

use crate::driver::{Folder, Setup, Shared, Worker, first_line, module, setup};
use gmod_compat::protocol::gmod::Language;
use gmod_compat::protocol::wire::{self, tag};
use plugin_api::{Access, ErrorKind, Params};
use std::fs;
use std::time::{Duration, Instant};

/// Metrics that are the values of expressions, each with a number: text enters when it has changed.
fn source(metrics: &[(&str, &str)]) -> String {
    let mut text = "# graftd: python3\nimport itertools, os, sys\nCOUNT = itertools.count()\n\
                    def said(value): return '%s #%d' % (value, next(COUNT))\n"
        .to_owned();
    let mut all = String::new();
    for (name, expression) in metrics {
        all.push_str(&format!(
            "{{'name': '{name}', 'value_type': 'string', 'call_back': lambda _: said({expression})}},"
        ));
    }
    text.push_str(&format!("def metric_init(params):\n    global HOW\n    HOW = params\n    return [{all}]\n"));
    text.push_str("def metric_cleanup():\n    print('cleanup of', __file__)\n");
    text
}

fn put(folder: &Folder, name: &str, text: &str) -> Setup {
    let file = folder.path().join(name);
    fs::write(&file, text).expect("a file");
    setup(&file)
}

fn told(worker: &mut Worker, second: u64, name: &str) -> String {
    let sample = worker.collect(second);
    assert_eq!(sample.fault(), "");
    let value = sample.entries[&format!("me,{name}")].trim_matches('"');
    value.split(" #").next().unwrap_or_default().to_owned()
}

#[test]
fn modules_come_and_go_in_one_process() {
    let (folder, shared) = (Folder::new(), Shared::spawn());
    let text = source(&[("pid", "os.getpid()")]);
    let (mut a, _) = put(&folder, "a.py", &text).run_in(&shared);
    let (mut b, _) = put(&folder, "b.py", &text).run_in(&shared);
    let pid = shared.pid().to_string();
    assert_eq!((told(&mut a, 0, "pid"), told(&mut b, 0, "pid")), (pid.clone(), pid.clone()));
    a.leave();
    assert_eq!(told(&mut b, 10, "pid"), pid);
    let (mut c, _) =
        put(&folder, "c.py", &source(&[("a", "'a' in sys.modules"), ("b", "'b' in sys.modules")])).run_in(&shared);
    assert_eq!((told(&mut c, 0, "a"), told(&mut c, 10, "b")), ("False".to_owned(), "True".to_owned()));
    b.leave();
    c.leave();
    let (status, words) = shared.end();
    assert!(status.success(), "{status}: {words}");
    for name in ["a", "b", "c"] {
        assert!(
            words.contains(&format!("cleanup of {}\n", folder.path().join(format!("{name}.py")).display())),
            "{words}"
        );
    }
}

#[test]
fn of_one_name_or_one_file_each_is_its_own() {
    let (one, other, shared) = (Folder::new(), Folder::new(), Shared::spawn());
    let text = source(&[("own", "sys.modules[__name__].HOW is HOW"), ("how", "HOW['how']"), ("file", "__file__")]);
    let of = |folder: &Folder, how: &str| {
        put(folder, "m.py", &text).params(Params::new().with("how", how)).run_in(&shared).0
    };
    let mut all = [of(&one, "first"), of(&one, "second"), of(&other, "third")];
    for (worker, how) in all.iter_mut().zip(["first", "second", "third"]) {
        assert_eq!((told(worker, 0, "own"), told(worker, 10, "how")), ("True".to_owned(), how.to_owned()));
    }
    let [first, mut second, third] = all;
    first.leave();
    third.leave();
    assert_eq!(told(&mut second, 20, "own"), "True");
    assert_eq!(told(&mut second, 30, "file"), one.path().join("m.py").display().to_string());
}

#[test]
fn one_that_is_made_again_has_its_own_text_and_its_helpers_as_they_are_now() {
    let (folder, shared) = (Folder::new(), Shared::spawn());
    let text = format!("import help_of_m\n{}", source(&[("help", "help_of_m.WHAT"), ("mine", "'old'")]));
    let old_python = "import help_of_m\ndef metric_init(params):\n    return [{'name': 'help', 'value_type': 'string', \
                      'call_back': lambda _: help_of_m.WHAT}]\ndef f():\n    print 'two'\n";
    let helper =
        |what: &str| fs::write(folder.path().join("help_of_m.py"), format!("WHAT = {what:?}\n")).expect("a file");
    helper("before");
    let (mut old, _) = put(&folder, "m.py", &text).run_in(&shared);
    let (mut sharing, _) = put(&folder, "n.py", &text).run_in(&shared);
    let (mut two, _) = put(&folder, "o.py", old_python).run_in(&shared);
    helper("afterwards");
    let (mut new, _) = put(&folder, "m.py", &text.replace("'old'", "'new'")).run_in(&shared);
    let (mut new_two, _) = put(&folder, "o.py", old_python).run_in(&shared);
    for (worker, what) in [
        (&mut old, "before"),
        (&mut sharing, "before"),
        (&mut two, "before"),
        (&mut new, "afterwards"),
        (&mut new_two, "afterwards"),
    ] {
        assert_eq!(told(worker, 0, "help"), what);
    }
    assert_eq!((told(&mut old, 10, "mine"), told(&mut new, 10, "mine")), ("old".to_owned(), "new".to_owned()));
}

#[test]
fn each_has_helpers_of_either_python() {
    let (folder, shared) = (Folder::new(), Shared::spawn());
    fs::write(folder.path().join("help_of_2.py"), "def what():\n    print 'two'\n    return 'two'\n").expect("a file");
    fs::write(folder.path().join("help_of_3.py"), "def what(): return f'three'\n").expect("a file");
    let with = |helper: &str| format!("import {helper}\n{}", source(&[("what", &format!("{helper}.what()"))]));
    // One that has no helper is there first, and one that puts the folder on the path by itself.
    let alone = source(&[("a", "sys.modules[__name__].HOW is HOW")]);
    let path = alone.replace("COUNT =", "sys.path.append(os.path.dirname(__file__)); COUNT =");
    let mut all: Vec<_> = [
        ("first.py", alone.clone(), "a", "True"),
        ("three.py", with("help_of_3"), "what", "three"),
        ("two.py", with("help_of_2"), "what", "two"),
        ("path.py", path, "a", "True"),
        ("last.py", alone, "a", "True"),
    ]
    .into_iter()
    .map(|(file, text, name, value)| (put(&folder, file, &text).run_in(&shared).0, name, value))
    .collect();
    for (worker, name, value) in &mut all {
        assert_eq!(told(worker, 0, name), *value);
    }
}

#[test]
fn helpers_that_have_not_changed_are_shared() {
    let (folder, shared) = (Folder::new(), Shared::spawn());
    fs::write(folder.path().join("common_state.py"), "SEEN = []\n").expect("a file");
    let text =
        format!("import common_state\n{}", source(&[("n", "common_state.SEEN.append(1) or len(common_state.SEEN)")]));
    let (mut a, _) = put(&folder, "a.py", &text).run_in(&shared);
    let (mut b, _) = put(&folder, "b.py", &text).run_in(&shared);
    assert_eq!(
        (told(&mut a, 0, "n"), told(&mut b, 0, "n"), told(&mut a, 10, "n")),
        ("1".into(), "2".into(), "3".into())
    );
}

#[test]
fn what_one_raises_is_its_own() {
    let (folder, shared) = (Folder::new(), Shared::spawn());
    let (mut good, _) = put(&folder, "good.py", &source(&[("left", "'bad' in sys.modules")])).run_in(&shared);
    for text in
        ["import no_such_thing\n", "def metric_init(p:\n", "import sys\ndef metric_init(p): sys.exit(3)\n", "x = 1\n"]
    {
        let (worker, told) = put(&folder, "bad.py", text).start_in(&shared);
        assert!(told.is_err(), "{text}");
        worker.leave();
    }
    assert_eq!(told(&mut good, 0, "left"), "False");
    let (mut raising, _) = setup(&module("raising.py")).params(Params::new().with("callback", "exit")).run_in(&shared);
    let sample = raising.collect(0);
    assert_eq!(sample.line(), "me,good=2");
    assert!(sample.fault().contains("SystemExit: 3"), "{}", sample.fault());
    assert_eq!(told(&mut good, 10, "left"), "False");
}

#[test]
fn one_that_does_not_come_back_delays_the_others_and_no_more() {
    let (folder, shared) = (Folder::new(), Shared::spawn());
    let (mut good, _) = put(&folder, "good.py", &source(&[("pid", "os.getpid()")])).run_in(&shared);
    let endless = source(&[("never", "[None for _ in iter(int, 1)]")]);
    let (mut endless, _) = put(&folder, "endless.py", &endless).run_in(&shared);
    endless.say(tag::COLLECT, &wire::clock_bytes(plugin_api::Clock::new(1, 1)));
    let began = Instant::now();
    for second in 0..3 {
        assert_eq!(told(&mut good, second * 10, "pid"), shared.pid().to_string());
    }
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[test]
fn pipes_say_what_is_theirs_also_by_threads() {
    let (folder, shared) = (Folder::new(), Shared::spawn());
    let text = "# graftd: python3\nimport threading, graft\ndef add(what):\n    graft.add(NAME, what)\n\
                def process(arr):\n    add('here')\n    there = threading.Thread(target=add, args=('there',))\n    \
                there.start()\n    there.join()\n    return {NAME: {'returned': 1}}\n";
    let pipe = |name: &str| put(&folder, &format!("{name}.py"), &format!("{text}NAME = {name:?}\n")).run_in(&shared).0;
    let mut all = [("one", pipe("one")), ("two", pipe("two"))];
    for (_, worker) in &mut all {
        assert_eq!(worker.batch(&[Access::new("x"), Access::new("y")]), Ok(1));
    }
    for (name, worker) in &mut all {
        let expect = ["here", "returned", "there"].map(|what| format!("{name},{what}=+2")).join(" ");
        assert_eq!(worker.flush().line(), expect);
    }
}

#[test]
fn what_cannot_share_is_refused_in_words() {
    let (folder, shared) = (Folder::new(), Shared::spawn());
    let (_first, _) = put(&folder, "a.py", &source(&[("a", "1")])).run_in(&shared);
    let mut other = put(&folder, "b.py", &source(&[("b", "1")]));
    other.start.python = Some("/opt/other".to_owned());
    let error = other.start_in(&shared).1.expect_err("another environment");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(first_line(&error).contains("runs with no environment, and it wants \"/opt/other\""), "{error}");
    let mut in_c = put(&folder, "c.so", "\x7fELF");
    in_c.start.language = Language::C;
    let error = in_c.start_in(&shared).1.expect_err("C");
    assert!(first_line(&error).contains("a module in C shares no worker"), "{error}");
}

#[test]
fn sources_of_python_2_are_converted_side_by_side() {
    let (folder, shared) = (Folder::new(), Shared::spawn());
    let files: Vec<Setup> = (0..6)
        .map(|n| {
            let text = format!(
                "import threading\ndef handler(name):\n    names = {{}}\n    exec 'x = {n}' in names\n    return '%d' % names['x']\ndef metric_init(params):\n    \
                 print 'of two', `params`\n    return [{{'name': 'x', 'value_type': 'string', 'call_back': handler}}]\n"
            );
            put(&folder, &format!("old{n}.py"), &text)
        })
        .collect();
    std::thread::scope(|scope| {
        let started: Vec<_> = files.into_iter().map(|file| scope.spawn(|| file.run_in(&shared).0)).collect();
        for (n, started) in started.into_iter().enumerate() {
            let mut worker = started.join().expect("a module");
            assert_eq!(told(&mut worker, 0, "x"), n.to_string());
        }
    });
}
