//! Modules in Python: dropped in, configured as gmond's are, edited, switched; what is in the tree is what their callbacks gave.

use graftd_tests::fixtures::may_read_all;
use graftd_tests::{Daemon, HOST, Held, held};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A module of two metrics, as Python 2 and as Python 3.
const TEMPERATURES: &str = r#"
import os, helper_of_tests

def value(name):
    return helper_of_tests.VALUES[name]

def metric_init(params):
    base = {'call_back': value, 'time_max': 60, 'value_type': 'float', 'units': 'Celsius', 'slope': 'both',
            'format': '%.1f', 'groups': 'weather, outside'}
    first = dict(base, name='temp_in', description='Inside <%s>' % params.get('room', '?'))
    second = dict(base, name='temp_out', description='Outside')
    return [first, second]
"#;

const HELPER: &str = "VALUES = {'temp_in': 21.5, 'temp_out': -3}\n";

const PYCONF: &str = r#"
/* as it came */
modules { module { name = "temperatures"  language = "python"  param room { value = "kitchen" } } }
collection_group {
  collect_every = 1  time_threshold = 60
  metric { name_match = "temp_(.+)" title = "Temperature \\1" value_threshold = 0.5 }
}
"#;

/// Puts a plugin's text into the plugins folder at once.
fn put(daemon: &Daemon, name: &str, text: &str) {
    let file = daemon.folders().write(&format!("{name}.new"), text);
    daemon.put_plugin(name, Path::new(&file));
}

/// The processes of `graftd-gmod` below a daemon.
fn workers(daemon: &Daemon) -> Vec<u32> {
    let mut found = Vec::new();
    let mut from = vec![daemon.process()];
    while let Some(process) = from.pop() {
        for task in fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten() {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            from.extend(children.split_ascii_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        }
        let comm = fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
        if comm.trim() == "graftd-gmod" {
            found.push(process);
        }
    }
    found
}

#[test]
fn a_gmond_module_and_its_pyconf_run_as_they_stand() {
    let daemon = Daemon::builder().conf("temperatures.on", PYCONF).start();
    put(&daemon, "helper_of_tests.py", HELPER);
    put(&daemon, "temperatures.py", TEMPERATURES);
    daemon.await_state("temperatures", "running");
    let out = format!("temperatures,{HOST},temp_out");
    assert_eq!(daemon.await_number(&out), -3.0);
    assert_eq!(daemon.value("temperatures,,temp_in"), json!(21.5), "a gauge folds across hosts");
    let told = daemon.get(&format!("/api/q/temperatures,{HOST}?meta=1")).good().json();
    assert_eq!(
        told["meta"]["temp_in"],
        json!({"type": "float", "units": "Celsius", "slope": "both", "title": "Temperature in", "description": "Inside <kitchen>",
               "group": ["weather", "outside"], "format": "%.1f", "tmax": 60, "dmax": 0, "source": "gmond"})
    );
    let shown = daemon.cli(&["get", &format!("temperatures,{HOST}"), "--meta"]).good().stdout;
    let rows: Vec<String> = shown.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let row = |name: &str, value: &str| format!("temperatures,{HOST},temp_{name} {value} Celsius (Temperature {name})");
    assert_eq!(rows, [row("in", "21.5"), row("out", "-3")]);
    // A helper is none of the modules.
    let modules = daemon.request("GET", "/modules", &[("accept", "application/json")], b"").good().json();
    assert_eq!(modules.as_array().map(Vec::len), Some(1), "{modules}");

    // Edited, it is another within a second, and only it.
    put(
        &daemon,
        "temperatures.py",
        &TEMPERATURES.replace("temp_out'", "temp_away'").replace("VALUES[name]", "VALUES.get(name, 8)"),
    );
    assert_eq!(daemon.await_number(&format!("temperatures,{HOST},temp_away")), 8.0);
}

#[test]
fn a_module_of_python_2_counts_as_python_2_does_and_starts_from_what_was_kept() {
    let module = r#"
import string
def value(name):
    print "asked for", name
    return {"half": 7 / 2, "text": string.upper("abc"), "total": 40L + 2}[name]
def metric_init(params):
    kinds = (("half", "uint", "both"), ("text", "string", "zero"), ("total", "double", "positive"))
    return [{"name": n, "call_back": value, "time_max": 90, "value_type": t, "units": "", "slope": s, "format": "%u",
             "description": n, "groups": "old"} for n, t, s in kinds]
"#;
    let daemon = Daemon::builder().start();
    put(&daemon, "old.py", module);
    assert_eq!(daemon.await_number(&format!("old,{HOST},half")), 3.0);
    assert_eq!(daemon.subtree(&format!("old,{HOST}")), json!({"half": 3, "text": "ABC", "total": 42}));
    let folders = std::sync::Arc::clone(daemon.folders());
    let kept = || fs::read_dir(folders.root().join("data/gmod")).map_or(0, Iterator::count);
    assert_eq!(kept(), 1, "what it was converted to is kept");
    daemon.stop();
    let daemon = Daemon::builder().folders(&folders).start();
    assert_eq!(daemon.await_number(&format!("old,{HOST},half")), 3.0);
    assert_eq!(kept(), 1);
}

#[test]
fn an_exception_is_a_state_with_its_traceback_and_no_zero() {
    let module = "
def good(name): return 1
def bad(name): return {}[name]
def metric_init(params):
    base = {'value_type': 'uint', 'units': '', 'slope': 'both', 'format': '%u', 'description': '', 'time_max': 90}
    return [dict(base, name='good', call_back=good), dict(base, name='bad', call_back=bad)]
";
    let daemon = Daemon::builder().conf("half.on", "every = \"1s\"\n").start();
    put(&daemon, "half.py", module);
    let told = daemon.await_state("half", "failing").found;
    let text = |key: &str| told[key].as_str().unwrap_or_default().to_owned();
    assert!(text("why").contains("bad: KeyError: 'bad' (half.py:3)"), "{told}");
    assert!(text("traceback").contains("def bad(name): return {}[name]"), "{told}");
    assert_eq!(daemon.await_number(&format!("half,{HOST},good")), 1.0);
    assert_eq!(daemon.subtree(&format!("half,{HOST}")), json!({"good": 1}), "what raises is no zero");
    let page = daemon.request("GET", "/modules", &[("accept", "text/html")], b"").good().body;
    assert!(page.contains("<pre>Traceback (most recent call last):"), "{page}");
    let listed = daemon.cli(&["modules"]).good().stdout;
    assert!(listed.contains("KeyError: 'bad'"), "{listed}");
    let one = daemon.cli(&["modules", "half"]).good().stdout;
    assert!(one.contains("KeyError: 'bad'") && one.contains("    Traceback (most recent call last):\n"), "{one}");
    // Mended, it runs.
    put(&daemon, "half.py", &module.replace("{}[name]", "2"));
    daemon.await_state("half", "running");
    assert_eq!(daemon.await_number(&format!("half,{HOST},bad")), 2.0);
}

#[test]
fn what_another_user_owns_in_tmp_is_written_elsewhere() {
    let log = std::env::temp_dir().join(format!("graftd-test-{}.log", std::process::id()));
    if !log.starts_with("/tmp") {
        graftd_tests::skipped("temporary files are not in /tmp");
        return;
    }
    fs::write(&log, "gmond's\n").expect("a log");
    fs::set_permissions(&log, fs::Permissions::from_mode(0o600)).expect("its mode");
    let module = format!(
        "
import logging
logging.basicConfig(filename={log:?}, filemode='w', format='%(message)s', level=logging.INFO)
logging.info('by the module')
def value(name): return open({log:?}).read()
def metric_init(params):
    return [{{'name': 'log', 'call_back': value, 'value_type': 'string', 'units': '', 'slope': 'zero', 'format': '%s',
             'description': '', 'time_max': 90}}]
"
    );
    let daemon = Daemon::builder().start();
    put(&daemon, "logs.py", &module);
    daemon.await_state("logs", "running");
    let path = format!("logs,{HOST},log");
    let found = daemon.await_change(&path, |daemon| Some(daemon.value(&path)).filter(|value| !value.is_null())).found;
    assert_eq!(found, json!("by the module\n"), "it reads what it wrote");
    let process = workers(&daemon)[0];
    let own = format!("/tmp/graftd-gmod-{}", user_of(process));
    daemon.stop();
    if may_read_all() {
        assert_eq!(fs::read_to_string(&log).expect("the log"), "gmond's\n");
        assert!(!Path::new(&own).exists(), "its keeper removes {own}");
    }
    fs::remove_file(&log).expect("removed");
}

fn user_of(process: u32) -> u32 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap_or_default();
    line.split_ascii_whitespace().next().and_then(|uid| uid.parse().ok()).unwrap_or(0)
}

#[test]
fn a_pipe_in_python_folds_and_its_dictionary_is_merged() {
    let pipe = "
import graft
path = 'hits'
def process(arr):
    addr, user, time, method, url, protocol, status, bytes, referer, agent, request_time, upstream_time = arr
    graft.add(method, status)
    graft.add('bytes', n=bytes or 0)
    return {'seen': {'url': {url: 1}}}
";
    let daemon = Daemon::builder().start();
    put(&daemon, "hits_of.py", pipe);
    daemon.await_state("hits_of", "running");
    let line = "192.0.2.1 - - [01/May/2025:00:00:00 +0000] \"GET /a HTTP/1.1\" 404 10 \"-\" \"curl/8.5.0\"\n";
    daemon.push_log(&line.repeat(600));
    assert_eq!(daemon.subtree("hits"), json!({"GET": {"404": 600}, "bytes": 6000, "seen": {"url": {"/a": 600}}}));
}

#[test]
fn what_cannot_run_says_why_and_where() {
    let daemon = Daemon::builder().start();
    put(&daemon, "fine.py", "def metric_init(params): return []\n");
    put(&daemon, "lonely.py", "x = 1\n");
    put(&daemon, "broken.py", "def metric_init(params):\n    return [\n");
    put(&daemon, "raises.py", "def metric_init(params):\n    raise RuntimeError('no server')\n");
    put(
        &daemon,
        "many.py",
        "def metric_init(params):\n    return [{'name': str(n), 'call_back': len} for n in range(20000)]\n",
    );
    daemon.folders().write_conf("venv.on", "plugin = \"fine\"\npython = \"/nowhere/venv\"\n");
    daemon.folders().write_conf("helper.on", "plugin = \"lonely\"\n");
    let why = |name: &str, state: &str| {
        let told: Value = daemon.await_state(name, state).found;
        told["why"].as_str().unwrap_or_default().to_owned()
    };
    assert!(why("venv", "rejected").contains("/nowhere/venv"), "{}", why("venv", "rejected"));
    assert!(why("helper", "rejected").contains("neither metric_init"), "{}", why("helper", "rejected"));
    let broken = why("broken", "rejected");
    assert!(broken.contains("SyntaxError") && broken.contains("broken.py"), "{broken}");
    let many = why("many", "rejected");
    assert!(many.contains("metric_init gave 20000 metrics; a module may have 16384 at most"), "{many}");
    let raises = why("raises", "failing");
    assert!(raises.contains("RuntimeError: no server (raises.py:2)"), "{raises}");
}

#[test]
fn a_module_switched_off_leaves_no_process() {
    let daemon = Daemon::builder().conf("one.on", "").start();
    put(&daemon, "one.py", "def metric_init(params): return []\n");
    daemon.await_state("one", "running");
    let before: Vec<Held> = workers(&daemon).into_iter().map(held).collect();
    assert_eq!(before.len(), 1);
    daemon.cli(&["modules", "off", "one"]).good();
    daemon.await_state("one", "off");
    // Its end leaves no trace in the tree: it is looked for again and again.
    daemon.await_change("graftd", |daemon| workers(daemon).is_empty().then_some(()));
}
