//! What was, after the daemon was stopped, killed, and asked.

mod killed;

use graftd_tests::{Daemon, Folders, graftd, graftd_with_input};
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

fn start(folders: &Arc<Folders>) -> Daemon {
    Daemon::builder().folders(folders).settings("commit = \"200ms\"").start()
}

fn data(folders: &Folders) -> String {
    folders.root().join("data").display().to_string()
}

/// Pushes a document, and waits until it is on the disk.
fn push(daemon: &Daemon, document: &Value) {
    daemon.post("/push?wait=commit", "application/json", document.to_string().as_bytes()).good();
}

/// The values of a path of the last minutes, without gaps.
fn raw(daemon: &Daemon, query: &str) -> Vec<f64> {
    let answer = daemon.get(&format!("/trend/?{query}&from=-10m&step=raw")).good().json();
    let lines = answer[0].as_object().expect("an object a key");
    let line = lines.values().next().unwrap_or_else(|| panic!("nothing is found: {answer}"));
    line["values"].as_array().expect("values").iter().filter_map(Value::as_f64).collect()
}

#[test]
fn what_was_pushed_is_history_as_soon_as_it_is_committed() {
    let folders = Arc::new(Folders::new());
    let daemon = start(&folders);
    for n in 1..=5 {
        push(&daemon, &json!({"shop": {"sold": 3, "temp": [{"": 20.5 + f64::from(n), "defaultaction": "average"}]}}));
        assert_eq!(raw(&daemon, "key-shop,sold").last(), Some(&f64::from(3 * n)));
    }
    // Totals ascend, each commit has one.
    let sold = raw(&daemon, "key-shop,sold");
    assert!(sold.windows(2).all(|pair| pair[0] <= pair[1]), "{sold:?}");
    assert_eq!(daemon.get("/trend/?key-nothing").good().json(), json!([{}]));
}

#[test]
fn lines_fold_as_nodes_do() {
    let folders = Arc::new(Folders::new());
    let daemon = start(&folders);
    push(&daemon, &json!({"br": {"ie": {"7": 8, "8": 2}, "ff": {"7": 5}}, "defaultaction": "add"}));
    push(&daemon, &json!({"cpu": {"h1": {"idle": 90.5}, "h2": {"idle": 80.5}}, "defaultaction": "average"}));
    let last = |query: &str| raw(&daemon, query).last().copied();
    assert_eq!(last("key-br,ie"), Some(10.0));
    assert_eq!(last("key-br,,7"), Some(13.0));
    assert_eq!(last("key-br"), Some(15.0));
    assert_eq!(last("key-cpu,,idle"), Some(85.5));
    assert_eq!(last("key-cpu,,idle&fold=max"), Some(90.5));
    let each = daemon.get("/trend/?key-cpu,*,idle&from=-1m&step=1s").good().json();
    let paths: Vec<&String> = each[0].as_object().expect("an object").keys().collect();
    assert_eq!(paths, ["cpu,h1,idle", "cpu,h2,idle"]);
    let table = daemon.get("/trend/?key-cpu,*,idle&key-br,ie&from=-1m&step=1s&format=csv").good().body;
    assert_eq!(table.lines().next(), Some("time,\"cpu,h1,idle\",\"cpu,h2,idle\",\"br,ie\""));
    assert!(table.lines().last().is_some_and(|row| row.ends_with(",90.5,80.5,10")), "{table}");
}

#[test]
fn a_pause_of_the_daemon_is_a_gap_and_no_peak() {
    let folders = Arc::new(Folders::new());
    let daemon = start(&folders);
    push(&daemon, &json!({"hits": 1000}));
    daemon.kill();
    std::thread::sleep(Duration::from_millis(2_500));
    let daemon = start(&folders);
    push(&daemon, &json!({"hits": 10}));
    let answer = daemon.get("/trend/?key-hits&from=-30s&step=500ms").refused_step();
    assert!(answer.contains("1s"), "{answer}");
    let line = |query: &str| {
        let answer = daemon.get(&format!("/trend/?key-hits&from=-20s&step=1s&{query}")).good().json();
        answer[0]["hits"]["values"].as_array().expect("values").clone()
    };
    let totals = line("");
    let known: Vec<usize> = (0..totals.len()).filter(|at| !totals[*at].is_null()).collect();
    let (first, last) = (known[0], known[known.len() - 1]);
    assert!(totals[first..last].iter().any(Value::is_null), "no gap in {totals:?}");
    assert_eq!((totals[first].as_f64(), totals[last].as_f64()), (Some(1000.0), Some(1010.0)));
    let rates: Vec<f64> = line("as=rate").iter().filter_map(Value::as_f64).collect();
    assert!(rates.iter().skip(1).all(|rate| *rate <= 10.0), "{rates:?}");
}

trait Step {
    fn refused_step(self) -> String;
}

impl Step for graftd_tests::Answer {
    fn refused_step(self) -> String {
        self.refused(400, &["step=500ms"]);
        self.body
    }
}

#[test]
fn a_wrong_question_is_answered_with_what_is_right() {
    let daemon = start(&Arc::new(Folders::new()));
    for (query, words) in [
        ("", &["1 to 256", "key-status"][..]),
        ("key-a&form=-1h", &["unknown argument", "did you mean", "from"]),
        ("key-a&from=yesterday", &["from=yesterday", "-1h"]),
        ("key-a&from=now&to=-1h", &["from must be before to"]),
        ("key-a&as=speed", &["as=speed", "rate"]),
        ("key-a&fold=up", &["fold=up", "mean"]),
        ("key-a&step=1s&from=-30d", &["longer step"]),
        ("key-a&from=-1h&from=-2h", &["from is given twice"]),
        ("key-a,%25zz", &["path"]),
    ] {
        daemon.get(&format!("/trend/?{query}")).refused(400, words);
    }
}

/// Samples of some days up to now, as CSV: so many series of ten-second steps.
fn csv(series: u32, days: u64) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
    let first = now / 86_400 * 86_400 - days * 86_400;
    let mut text = String::from("path,time,value\n");
    let mut random = 1_u64;
    for n in 0..days * 8_640 {
        for series in 0..series {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let value = f64::from(series) * 100.0 + ((random >> 33) % 1_000) as f64 / 100.0;
            writeln!(text, "\"cpu,h{series},idle\",{},{value}", first + n * 10).expect("text");
        }
    }
    text
}

#[test]
fn what_is_imported_is_exported_sample_by_sample() {
    let folders = Folders::new();
    std::fs::create_dir_all(folders.root().join("data")).expect("made");
    let data = data(&folders);
    let text = csv(3, 1);
    let file = folders.root().join("samples.csv");
    std::fs::write(&file, &text).expect("written");
    let said = graftd(["trend", "import", "--data", &data, &file.display().to_string()]).good().stdout;
    assert_eq!(said.trim(), "25920 samples of 3 series");
    let mut expected: Vec<&str> = text.lines().skip(1).collect();
    expected.sort_unstable();
    for compacted in [false, true] {
        let out = graftd(["trend", "export", "--data", &data]).good().stdout;
        let mut found: Vec<&str> = out.lines().collect();
        found.sort_unstable();
        assert!(found == expected, "compacted {compacted}: {} lines of {}", found.len(), expected.len());
        graftd(["trend", "compact", "--data", &data]).good();
    }
    let said = graftd(["trend", "check", "--data", &data]).good().stdout;
    // A day's figures are there as well.
    assert!(said.starts_with("25923 samples in 2 packs"), "{said}");
    // Prometheus' form comes back as the same, under the same paths.
    let prometheus = graftd(["trend", "export", "--data", &data, "--format", "prometheus", "cpu,h1"]).good().stdout;
    assert!(prometheus.starts_with("cpu{k1=\"h1\",k2=\"idle\"} "), "{}", &prometheus[..80]);
    let said = graftd_with_input(["trend", "import", "--data", &data, "-"], prometheus.as_bytes()).good().stdout;
    assert_eq!(said.trim(), "8640 samples of 1 series");
    let out = graftd(["trend", "export", "--data", &data]).good().stdout;
    assert_eq!(out.lines().count(), expected.len());
}

#[test]
fn what_is_no_sample_is_passed_over_and_told() {
    let folders = Folders::new();
    std::fs::create_dir_all(folders.root().join("data")).expect("made");
    let data = data(&folders);
    let text = "a,1767571200,1\na,yesterday,2\n\"a\"b\"\n";
    let ran = graftd_with_input(["trend", "import", "--data", &data, "-"], text.as_bytes());
    ran.failed(1, &["-:2: its time is none", "-:3: ", "2 lines were no samples"]);
    assert_eq!(ran.stdout.trim(), "1 samples of 1 series");
    graftd(["trend", "check", "--data", &data]).good();
    let other = folders.root().join("other").display().to_string();
    std::fs::create_dir_all(&other).expect("made");
    graftd(["trend", "check", "--data", &other]).failed(1, &["graftd.db is not there", "--data DIR"]);
}

#[test]
fn a_damaged_pack_is_found_and_told() {
    let folders = Folders::new();
    std::fs::create_dir_all(folders.root().join("data")).expect("made");
    let data = data(&folders);
    graftd_with_input(["trend", "import", "--data", &data, "-"], csv(20, 1).as_bytes()).good();
    graftd(["trend", "check", "--data", &data]).good();
    let file: PathBuf = folders.root().join("data/graftd.db");
    let mut bytes = std::fs::read(&file).expect("read");
    // The samples are most of the file.
    let at = bytes.len() / 2 + 1_000;
    bytes[at] ^= 0x55;
    std::fs::write(&file, bytes).expect("written");
    graftd(["trend", "check", "--data", &data]).failed(1, &["damaged", "check sum"]);
}

#[test]
fn nobody_else_writes_while_a_daemon_runs() {
    let folders = Arc::new(Folders::new());
    let daemon = start(&folders);
    push(&daemon, &json!({"a": 1}));
    let data = data(&folders);
    graftd(["trend", "compact", "--data", &data]).failed(1, &["another graftd keeps its data"]);
    let out = graftd(["trend", "export", "--data", &data, "a"]).good().stdout;
    assert!(out.lines().all(|line| line.starts_with("\"a\",") && line.ends_with(",1")) && !out.is_empty(), "{out}");
    let told = daemon.cli(&["trend", "a", "--from", "-1m", "--step", "raw"]).good().json();
    assert_eq!(told[0]["a"]["values"].as_array().and_then(|values| values.last()), Some(&json!(1)));
    assert_eq!(daemon.stop().code(), Some(0));
    graftd(["trend", "compact", "--data", &data]).good();
    graftd(["trend", "check", "--data", &data]).good();
}
