//! Parts of files that are read beside each other.

use super::{PIPES, ingest, ingest_input, same, sum};
use graftd_tests::Folders;
use serde_json::json;

#[test]
fn several_threads_find_what_one_finds() {
    let folders = Folders::new().plugins(&PIPES);
    let line = |n: usize| {
        let (a, b, status) = (n >> 8 & 255, n & 255, [200, 200, 404, 301, 500][n % 5]);
        format!(
            "10.{a}.{b}.1 - - [01/May/2025:00:00:00 +0000] \"GET /{} HTTP/1.1\" {status} {n} \"-\" \"curl/{}.0 {}\"\n",
            n % 4_000,
            n % 50,
            "x".repeat(100)
        )
    };
    // Two files that are cut into parts, with bad lines in their last ones, and one that is not.
    let mut large: String = (0..200_000).map(line).collect();
    large.push_str(&format!("\n\nnonsense\n{}more nonsense\n{}", line(7), line(8).trim_end()));
    let logs = [folders.write("a.log", &large), folders.write("b.log", line(9)), folders.write("c.log", &large)];
    let read = |threads: &str| {
        let args = ["--json", "--threads", threads, &logs[0], &logs[1], &logs[2]];
        ingest(&folders, &args).good()
    };
    let one = read("1");
    assert_eq!(sum(&one.json()["status"]), 400_005.0);
    assert!(
        one.stderr.contains("c.log: line 200003: ") && one.stderr.contains("c.log: line 200005: "),
        "{}",
        one.stderr
    );
    for threads in ["2", "5"] {
        let several = read(threads);
        assert_eq!(sorted(&several.stderr), sorted(&one.stderr), "{threads} threads");
        for (branch, found) in one.json().as_object().expect("a tree") {
            if branch != "visitors" {
                same(branch, &several.json()[branch], found);
            }
        }
        assert_eq!(several.json()["visitors"][""]["distinct"], one.json()["visitors"][""]["distinct"]);
    }
}

/// Lines in an order that does not say which thread was quicker.
fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn a_header_holds_in_each_part_of_a_file() {
    let folders = Folders::new().plugins(&["status", "url"]);
    let long = "x".repeat(900);
    let mut iis = "#Fields: sc-status cs-uri-stem cs(User-Agent)\n".to_owned();
    iis.extend((0..30_000).map(|n| format!("20{} /{} {long}\n", n % 7, n % 1_000)));
    iis.push_str("#Fields: cs(User-Agent) cs-uri-stem sc-status\n");
    iis.extend((0..30_000).map(|n| format!("{long} /b{} 40{}\n", n % 1_000, n % 7)));
    let iis = folders.write("iis.log", iis);
    for format in ["auto", "w3c"] {
        for threads in ["1", "2", "3"] {
            let ran = ingest(&folders, &["--json", "--format", format, "--threads", threads, &iis]).good();
            let tree = ran.json();
            assert_eq!((sum(&tree["status"]), sum(&tree["url"])), (60_000.0, 60_000.0), "{threads}: {}", ran.stderr);
            assert_eq!((&tree["status"]["200"], &tree["status"]["406"]), (&json!(4_286), &json!(4_285)));
            let said = if format == "auto" {
                format!("graftd: {iis}: format \"w3c\": 999 of 999 lines fit\n")
            } else {
                String::new()
            };
            assert_eq!(ran.stderr.replace("the first ", "").replace("1000", "999"), said, "{threads}");
        }
    }
}

#[test]
fn a_missing_file_costs_itself_with_several_threads_too() {
    let folders = Folders::new().plugins(&["status"]);
    let line = "192.0.2.1 - - [01/May/2025:00:00:00 +0000] \"GET / HTTP/1.1\" 200 1 \"-\" \"-\"\n";
    let log = folders.write("a.log", line);
    let missing = folders.root().join("no-such.log").display().to_string();
    let args = ["--json", "--threads", "2", &log, &missing, "-"];
    let ran = ingest_input(&folders, &args, line.as_bytes());
    ran.failed(1, &["no-such.log", "No such file"]);
    assert_eq!(ran.json()["status"], json!({"200": 2}));
    ingest(&folders, &["--threads", "0", &log]).failed(2, &["--threads"]);
}
