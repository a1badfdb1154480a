//! What was, after the daemon was stopped, killed, and asked.

mod killed;
mod store;

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
fn what_cannot_be_read_or_finds_nothing_is_told() {
    let folders = Folders::new();
    std::fs::create_dir_all(folders.root().join("data")).expect("made");
    let data = data(&folders);
    // Some programs begin a file in UTF-8 with a mark.
    let text = "\u{feff}\"a\",1767571200,1\n\"a\",1767571210,2\n";
    graftd_with_input(["trend", "import", "--data", &data, "-"], text.as_bytes()).good();
    let export = ["trend", "export", "--data", &data];
    assert_eq!(graftd(export).good().stdout, "\"a\",1767571200,1\n\"a\",1767571210,2\n");
    let nothing = graftd(["trend", "export", "--data", &data, "b"]).good();
    assert!(nothing.stdout.is_empty() && nothing.stderr.contains("nothing at this path"), "{nothing:?}");
    graftd(["trend", "export", "--data", &data, "--from", "now", "--to", "-1h"])
        .failed(2, &["--from must be before --to"]);
    // What nobody writes to would be waited for.
    let pipe = folders.root().join("data/graftd.db");
    std::fs::remove_file(&pipe).expect("removed");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo");
    assert!(made.success());
    for tool in ["export", "check", "compact"] {
        graftd(["trend", tool, "--data", &data]).failed(1, &["graftd.db is no file"]);
    }
    graftd_with_input(["trend", "import", "--data", &data, "-"], text.as_bytes()).failed(1, &["graftd.db is no file"]);
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
    let told = daemon.cli(&["trend", "a", "--from", "-1m", "--step", "raw", "--json"]).good().json();
    let table = daemon.cli(&["trend", "a", "--from", "-1m", "--step", "1s"]).good().stdout;
    let (title, rows) = table.split_once('\n').expect("lines");
    assert_eq!(title.split_whitespace().collect::<Vec<_>>(), ["time", "a"], "{table}");
    assert!(!rows.is_empty() && rows.lines().all(|row| row.starts_with("20") && row.ends_with(" 1")), "{table}");
    let none = daemon.cli(&["trend", "nothing", "--from", "-1m"]).good();
    assert!(none.stdout.is_empty() && none.stderr.contains("nothing at nothing"), "{none:?}");
    assert_eq!(told[0]["a"]["values"].as_array().and_then(|values| values.last()), Some(&json!(1)));
    assert_eq!(daemon.stop().code(), Some(0));
    graftd(["trend", "compact", "--data", &data]).good();
    graftd(["trend", "check", "--data", &data]).good();
}

const TIMES: &str = r#"$remote_addr [$time_iso8601] "$request" $status $request_time"#;

/// Folders with the pipes that keep sketches, and a log of requests with their times.
fn timed() -> Arc<Folders> {
    let folders = Arc::new(Folders::new());
    folders.copy_plugins(&["request-time", "visitors"]);
    folders.write_conf(
        "shop.on",
        &format!(
            "plugin = \"access-log\"\nfile = \"../logs/shop.log\"\nformat = '{TIMES}'\nstart = \"begin\"\nprefix = \"shop\"\n"
        ),
    );
    folders
}

/// So many requests, each of another time and visitor.
fn requests(folders: &Folders, numbers: std::ops::Range<u64>) {
    let path = folders.root().join("logs/shop.log");
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    let mut text = String::new();
    for n in numbers {
        let (a, b, ms) = (n / 200, n % 200, n * 7_919 % 1_000 + 1);
        writeln!(
            text,
            "10.0.{a}.{b} [2026-11-26T10:20:{:02}+00:00] \"GET / HTTP/1.1\" 200 {}.{:03}",
            n % 60,
            ms / 1_000,
            ms % 1_000
        )
        .expect("text");
    }
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).expect("opened");
    std::io::Write::write_all(&mut file, text.as_bytes()).expect("written");
}

const SPENT: &str = "shop,request_time,2xx";

fn figures(daemon: &Daemon, query: &str) -> Value {
    let answer = daemon.get(&format!("/trend/?{query}")).good().json();
    let line = answer[0].as_object().and_then(|lines| lines.values().next());
    line.unwrap_or_else(|| panic!("nothing is found: {answer}")).clone()
}

fn sum_of(line: &Value) -> f64 {
    line.as_array().expect("values").iter().filter_map(Value::as_f64).sum()
}

#[test]
fn requests_are_in_the_history_of_their_times_once_whenever_the_daemon_is_killed() {
    let folders = timed();
    let mut lines = 0;
    for turn in 0..6 {
        let daemon = start(&folders);
        for _ in 0..3 {
            requests(&folders, lines..lines + 700);
            lines += 700;
            // There is nothing to wait for: the moment of the kill is to be any.
            std::thread::sleep(Duration::from_millis(40 + 90 * turn));
        }
        daemon.kill();
    }
    let daemon = start(&folders);
    daemon.await_change("shop", |daemon| (daemon.subtree(SPENT)[""]["count"] == json!(lines)).then_some(()));
    push(&daemon, &json!({"last": 1}));
    let now = daemon.subtree(SPENT)[""].clone();
    let all = figures(&daemon, &format!("key-{SPENT}&from=-1h&step=all&as=count,p50,p99,p999,min,max"));
    for figure in ["count", "p50", "p99", "p999", "min", "max"] {
        assert_eq!(all[figure][0], now[figure], "{figure} of {all}");
    }
    for step in ["1s", "raw", "1m"] {
        let steps = figures(&daemon, &format!("key-{SPENT}&from=-1h&step={step}&as=count,p99"));
        assert_eq!(sum_of(&steps["count"]), lines as f64, "step={step}");
        assert_eq!(steps["count"].as_array().map(Vec::len), steps["p99"].as_array().map(Vec::len));
    }
    // What folds is merged; the median is what is told unless something else is asked for.
    let folded = figures(&daemon, "key-shop,request_time,&from=-1h&step=all");
    assert_eq!(folded["values"][0], now["p50"]);
    let visitors = daemon.get("/get/?key-shop,visitors&as=value").good().json();
    let estimate = visitors[0].as_object().and_then(|lines| lines.values().next()).expect("an estimate").clone();
    let told = figures(&daemon, "key-shop,visitors&from=-1h&step=all&as=distinct");
    assert_eq!(told["values"][0].as_f64(), estimate.as_f64());
    let table =
        daemon.cli(&["trend", SPENT, "--from", "-1h", "--step", "all", "--as", "count,p99", "--csv"]).good().stdout;
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!(rows[0], format!("time,\"{SPENT} count\",\"{SPENT} p99\""));
    assert!(rows[1].ends_with(&format!(",{lines},{}", now["p99"])), "{table}");
    assert_eq!(daemon.stop().code(), Some(0));
    let data = data(&folders);
    graftd(["trend", "check", "--data", &data]).good();
    graftd(["trend", "compact", "--data", &data]).good();
    let said = graftd(["trend", "check", "--data", &data]).good().stdout;
    // The daemon's own requests are a log as well.
    let fed = said.split(" have been fed").next().and_then(|said| said.rsplit(' ').next()?.parse::<u64>().ok());
    assert!(fed.is_some_and(|fed| fed >= 1), "{said}");
    let daemon = start(&folders);
    let packed = figures(&daemon, &format!("key-{SPENT}&from=-1h&step=all&as=count,p50,p99,p999,min,max"));
    for figure in ["count", "p50", "p99", "p999", "min", "max"] {
        assert_eq!(packed[figure][0], now[figure], "{figure} of {packed}");
    }
    daemon.stop();
    let out = graftd(["trend", "export", "--data", &data, "shop"]).good().stdout;
    let counts = out.lines().filter(|line| line.starts_with("\"shop,request_time,2xx,count\","));
    let sum: u64 = counts.filter_map(|line| line.rsplit(',').next()?.parse::<u64>().ok()).sum();
    assert_eq!(sum, lines, "{}", &out[..out.len().min(500)]);
    // A row that is lost is missed.
    let file = rusqlite::Connection::open(folders.root().join("data/graftd.db")).expect("opened");
    file.execute("DELETE FROM sketch WHERE step = 86400000", []).expect("deleted");
    drop(file);
    graftd(["trend", "check", "--data", &data]).failed(1, &["was fed", "but its history has"]);
}

#[test]
fn what_a_text_was_is_told_by_its_changes() {
    let folders = Arc::new(Folders::new());
    let daemon = start(&folders);
    for version in ["1.0", "1.1, \"beta\"", "2.0"] {
        push(&daemon, &json!({"app": {"h1": {"version": version, "up": version != "2.0"}}}));
        // Of what comes within one commit, the last counts.
        std::thread::sleep(Duration::from_millis(250));
    }
    push(&daemon, &json!({"app": {"h2": {"version": "0.9"}}}));
    let texts = |path: &str, from: &str| -> Vec<Value> {
        let line = figures(&daemon, &format!("key-{path}&from={from}"));
        line["events"].as_array().expect("events").iter().map(|event| event[1].clone()).collect()
    };
    assert_eq!(texts("app,h1,version", "-1h"), ["1.0", "1.1, \"beta\"", "2.0"]);
    assert_eq!(texts("app,h1,up", "-1h"), ["true", "false"]);
    assert_eq!(texts("app,,version", "-1h"), ["1.0", "1.1, \"beta\"", "2.0", "0.9"]);
    let all = figures(&daemon, "key-app,h1,version&from=-1h");
    let second = all["events"][1][0].as_f64().expect("a time");
    // What held as the range began comes first.
    assert_eq!(texts("app,h1,version", &(second + 0.1).to_string()), ["1.1, \"beta\"", "2.0"]);
    let told = daemon.cli(&["trend", "app,h1,version", "--from", "-1h", "--json"]).good().json();
    assert_eq!(told[0]["app,h1,version"], all);
    let table = daemon.get("/trend/?key-app,*,version&from=-1h&format=csv").good().body;
    let rows: Vec<&str> = table.lines().map(|row| row.split_once(',').expect("a row").1).collect();
    assert_eq!(
        rows,
        ["\"app,h1,version\"", "\"1.0\"", "\"1.1, \"\"beta\"\"\"", "\"2.0\"", "\"app,h2,version\"", "\"0.9\""]
    );
    assert_eq!(daemon.get("/trend/?key-app,h1,version&as=rate").good().json(), json!([{}]));
    daemon.get("/trend/?key-app&as=p98").refused(400, &["as=p98", "p99"]);
    daemon.stop();
    // They come back under the same paths.
    let data = data(&folders);
    let out = graftd(["trend", "export", "--data", &data, "app,h1,version"]).good().stdout;
    let other = Arc::new(Folders::new());
    let other_data = self::data(&other);
    std::fs::create_dir_all(&other_data).expect("made");
    let said = graftd_with_input(["trend", "import", "--data", &other_data, "-"], out.as_bytes()).good().stdout;
    assert_eq!(said.trim(), "3 samples of 1 series");
    assert_eq!(graftd(["trend", "export", "--data", &other_data]).good().stdout, out);
}
