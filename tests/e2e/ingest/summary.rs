//! What is printed at the end.

use super::{PIPES, ingest, ingest_input};
use graftd_tests::Folders;

const LOG: &str = r#"192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 1000 "-" "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/32.0.1700.107 Safari/537.36" 0.100 -
192.0.2.2 - - [17/May/2015:10:05:04 +0000] "GET /a HTTP/1.1" 204 234 "-" "curl/8.0" 0.200 -
192.0.2.2 - - [18/May/2015:12:00:00 +0200] "GET /b HTTP/1.1" 404 0 "-" "curl/8.0" 0.300 -
nonsense
"#;

#[test]
fn the_figures_of_a_small_log() {
    let folders = Folders::new().plugins(&PIPES);
    let log = folders.write("access.log", LOG);
    let ran = ingest(&folders, &["--format", "timed", &log]).good();
    let bytes = LOG.len();
    let expected = format!(
        "\
lines        4
bytes        {bytes}
errors       1 (25.0 % of the lines)
from         2015-05-17 10:05:03 UTC
to           2015-05-18 10:00:00 UTC (23 h 54 min)
visitors     about 2
bytes sent   1,234

Requests by status
        2  66.7 %  2xx
        1  33.3 %  4xx

URLs
        2  66.7 %  /a
        1  33.3 %  /b

Errors by status
        1 100.0 %  404

Browsers and other agents
        2  66.7 %  curl
        1  33.3 %  Chrome

Systems
"
    );
    assert!(ran.stdout.starts_with(&expected), "{}\n---\n{expected}", ran.stdout);
    let times = ran.stdout.split("Request time in seconds\n").nth(1).expect("request times");
    let words: Vec<Vec<&str>> = times.lines().take(4).map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(words[0], ["requests", "p50", "p95", "p99"]);
    assert_eq!((words[1][0], words[1][1]), ("all", "3"));
    assert_eq!((words[2][0], words[2][1]), ("2xx", "2"));
    assert_eq!((words[3][0], words[3][1]), ("4xx", "1"));
    let p50: f64 = words[1][2].parse().expect("a number");
    assert!((p50 - 0.2).abs() < 0.003, "{p50}");
    // All numbers stand below each other.
    let ends: Vec<usize> = times.lines().take(4).map(|line| line.trim_end().len()).collect();
    assert!(ends.iter().all(|end| *end == ends[0]), "{times}");
}

#[test]
fn only_what_is_folded_is_shown() {
    let folders = Folders::new().plugins(&["status"]);
    let ran = ingest_input(&folders, &["-", "--format", "timed"], LOG.as_bytes()).good();
    assert!(ran.stdout.contains("Requests by status"));
    for absent in ["URLs", "visitors", "sent", "Systems", "time in"] {
        assert!(!ran.stdout.contains(absent), "{absent}: {}", ran.stdout);
    }
    let nothing = ingest_input(&folders, &["-"], b"").good();
    assert_eq!(nothing.stdout, "lines        0\nbytes        0\nerrors       0\n");
}

#[test]
fn branches_are_shown_wherever_they_hang() {
    let folders = Folders::new().plugins(&["status", "bytes", "url", "visitors", "request-time"]);
    folders.write_conf("status.on", "path = \"web,codes\"\n");
    folders.write_conf("by-method.on", "plugin = \"status\"\npath = \"by_method\"\nby = [\"method\", \"status\"]\n");
    folders.write_conf("bytes.on", "path = \"web,sent,{host}\"\n");
    folders.write_conf("url.on", "by = \"method\"\n");
    folders.write_conf("visitors.on", "path = \"people\"\n");
    folders.write_conf("request-time.on", "path = \"web,times\"\n");
    folders.write_conf("graftd.conf", "host = \"web1\"\n");
    let ran = ingest_input(&folders, &["-", "--format", "timed"], LOG.as_bytes()).good();
    for part in [
        "visitors (people) about 2\n",
        "bytes sent (web,sent,web1) 1,234\n",
        "\nRequests by status (by_method,,)\n        2  66.7 %  2xx\n        1  33.3 %  4xx\n",
        "\nRequests by status (web,codes)\n        2  66.7 %  2xx\n        1  33.3 %  4xx\n",
        "\nURLs (url,)\n        2  66.7 %  /a\n        1  33.3 %  /b\n",
        "\nRequest time (web,times) in seconds\n",
    ] {
        assert!(ran.stdout.contains(part), "{part:?}: {}", ran.stdout);
    }
    // One that no summary knows is shown as what it holds.
    let folders = Folders::new().plugins(&["numbered-a"]);
    let log = LOG.replace("/a", "/n/20");
    let ran = ingest_input(&folders, &["-", "--format", "timed"], log.as_bytes()).good();
    assert!(ran.stdout.contains("\nnumbered\n      800  94.8 %  squares\n       40   4.7 %  sum\n"), "{}", ran.stdout);
}

#[test]
fn large_numbers_are_grouped_and_keys_are_cut_and_harmless() {
    let folders = Folders::new().plugins(&["status", "url"]);
    let line = |url: &str| format!("::1 - - [17/May/2015:10:05:03 +0000] \"GET {url} HTTP/1.1\" 200 1 \"-\" \"-\"\n");
    let long = format!("/{}", "x".repeat(500));
    let mut text = line("/a").repeat(1_234) + &line(&long) + &line("/\x1b[2J");
    (0..20).for_each(|n| text.push_str(&line(&format!("/{n}"))));
    let ran = ingest_input(&folders, &["-"], text.as_bytes()).good();
    assert!(ran.stdout.contains("\n    1,256 100.0 %  2xx\n"), "{}", ran.stdout);
    assert!(ran.stdout.contains("\n    1,234  98.2 %  /a\n"), "{}", ran.stdout);
    assert!(ran.stdout.contains(" 13 more\n"), "{}", ran.stdout);
    assert!(ran.stdout.lines().all(|line| line.chars().count() < 120), "{}", ran.stdout);
    assert!(!ran.stdout.contains('\x1b'));
    let all = folders.write("a.log", text);
    let both = ingest(&folders, &[&all, &all]).good();
    assert!(both.stdout.starts_with("lines        2,512\nfiles        2\n"), "{}", both.stdout);
}
