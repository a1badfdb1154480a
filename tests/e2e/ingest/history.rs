//! `--at-time`: what an old log came to is history at the lines' own times.

use super::ingest;
use graftd_tests::{Daemon, Folders, graftd};
use serde_json::Value;
use std::sync::Arc;

const DAY: u64 = 86_400;

/// Lines a second apart, from a second of 2026 on, of which each third is a 404; with the next numbers.
fn lines(from: u64, n: u64) -> String {
    let line = |second: u64| {
        let (day, rest) = (second / DAY, second % DAY);
        let status = if second.is_multiple_of(3) { 404 } else { 200 };
        format!(
            "192.0.2.1 - - [{:02}/Jan/2026:{:02}:{:02}:{:02} +0000] \"GET /{second} HTTP/1.1\" {status} 10 \"-\" \"-\"\n",
            day + 1,
            rest / 3_600,
            rest / 60 % 60,
            rest % 60
        )
    };
    (from..from + n).map(line).collect()
}

#[test]
fn an_old_log_is_a_chart_at_the_times_of_its_lines() {
    let folders = Arc::new(Folders::new().plugins(&["status"]));
    let data = folders.root().join("data");
    std::fs::create_dir_all(&data).expect("made");
    // Rotations in the order in which a shell names them: the newest first. Five hours over the end of a day.
    let begin = 5 * DAY - 3 * 3_600;
    let newest = folders.write("access.log", lines(begin + 12_000, 6_000));
    let older = folders.write("access.log.1", lines(begin, 12_000));
    let said = ingest(&folders, &["--at-time", "--data", &data.display().to_string(), &newest, &older]).good();
    assert!(said.stderr.contains("values are kept as history"), "{}", said.stderr);
    assert!(said.stdout.contains("18,000") || said.stdout.contains("18000"), "{}", said.stdout);
    graftd(["trend", "check", "--data", &data.display().to_string()]).good();

    // Its first commit would begin to roll up what is so old.
    let daemon = Daemon::builder().folders(&folders).settings("commit = \"1h\"").start();
    assert_eq!(daemon.value("status,404"), Value::Null, "the tree of now knows nothing of it");
    let jan_1 = 1_767_225_600;
    let (from, to) = (jan_1 + begin, jan_1 + begin + 18_000);
    let ask = |query: &str| {
        let answer = daemon.get(&format!("/trend/?key-status,404&from={from}&to={to}&{query}")).good().json();
        answer[0]["status,404"]["values"].as_array().expect("values").clone()
    };
    // Each minute has what came up to its end: twenty a minute.
    let totals: Vec<f64> = ask("step=1m").iter().map(|x| x.as_f64().unwrap_or(-1.0)).collect();
    assert_eq!(totals.len(), 300);
    for (minute, total) in totals.iter().enumerate() {
        assert_eq!(*total, (minute + 1) as f64 * 20.0, "minute {minute}");
    }
    let rates: Vec<f64> = ask("step=10m&as=rate").iter().filter_map(Value::as_f64).collect();
    assert!(rates.len() >= 28 && rates.iter().all(|rate| (rate - 1.0 / 3.0).abs() < 0.02), "{rates:?}");
    // Folded, as the tree would have it.
    let all = daemon.get(&format!("/trend/?key-status&from={from}&to={to}&step=1h&as=last")).good().json();
    let all = all[0]["status"]["values"].as_array().expect("values").clone();
    assert_eq!(all[1].as_f64(), Some(7_200.0), "{all:?}");
    // What comes now is beside it.
    daemon.push_log(&lines(0, 3));
    daemon.await_value("status,404", 1);
}
