//! `graftd check-format`: what a format makes of lines.

use graftd_tests::{Folders, fixture, graftd, graftd_with_input};
use serde_json::json;

const LINE: &str = "192.0.2.7 [17/May/2015:10:05:03 +0000] \"GET /cart?id=7 HTTP/1.1\" 200 0.042";
const FORMAT: &str = "$remote_addr [$time_local] \"$request\" $status $request_time";

#[test]
fn lines_are_shown_field_by_field() {
    let input = format!("{LINE}\r\n\n{}\n", LINE.replace(" 200 ", " OK "));
    let ran = graftd_with_input(["check-format", FORMAT, "-"], input.as_bytes());
    ran.failed(1, &["one of 2 lines does not fit"]);
    let column = LINE.find("200").expect("a status");
    let expected = format!(
        "line 1
  addr          192.0.2.7
  time          17/May/2015:10:05:03 +0000 = 2015-05-17T10:05:03.000Z
  method        GET
  url           /cart?id=7
  protocol      HTTP/1.1
  status        200
  request_time  0.042
line 3: status, column {}: not a status code, which is three digits from 100 to 999
  {}
  {:column$}^

1 of 2 lines fit the format {FORMAT:?}
      1  status: not a status code, which is three digits from 100 to 999, first in line 3
",
        column + 1,
        LINE.replace(" 200 ", " OK "),
        "",
    );
    assert_eq!(ran.stdout, expected);
}

#[test]
fn lines_that_fit_end_with_0_and_as_many_are_shown_as_asked_for() {
    let input = format!("{LINE}\n").repeat(20);
    let shown = |args: &[&str]| {
        let args = ["check-format", FORMAT, "-"].iter().chain(args).copied();
        graftd_with_input(args, input.as_bytes()).good().stdout.matches("line ").count()
    };
    assert_eq!((shown(&[]), shown(&["-n", "2"]), shown(&["-n", "0"]), shown(&["-n", "99"])), (5, 2, 0, 20));
    let ran = graftd_with_input(["check-format", FORMAT, "-", "--json", "-n", "1"], input.as_bytes()).good();
    let fields = json!({
        "addr": "192.0.2.7", "time": "17/May/2015:10:05:03 +0000", "time_ms": 1_431_857_103_000_i64, "method": "GET",
        "url": "/cart?id=7", "protocol": "HTTP/1.1", "status": 200, "request_time": 0.042,
    });
    let first = json!([{"line": 1, "fits": true, "fields": fields}]);
    let expected = json!({"format": FORMAT, "guessed": false, "first": first, "lines": 20, "fit": 20, "misfits": []});
    assert_eq!(ran.json(), expected);
}

#[test]
fn a_format_that_cannot_be_used_is_marked_and_ends_with_2() {
    let ran = graftd_with_input(["check-format", "$remote_addr $host$request_uri", "-"], b"");
    ran.failed(
        2,
        &["column 19: $request_uri follows $host", "  $remote_addr $host$request_uri\n                    ^"],
    );
    graftd_with_input(["check-format", "json:adr=x", "-"], b"")
        .failed(2, &["did you mean \"addr\"?", "  json:adr=x\n       ^"]);
}

#[test]
fn auto_says_what_it_chose_and_counts_a_thousand_lines() {
    let log = fixture("access.log").display().to_string();
    let ran = graftd(["check-format", "auto", &log, "-n", "1", "--json"]);
    let found = ran.json();
    assert_eq!((&found["format"], &found["guessed"]), (&json!("combined"), &json!(true)));
    let (lines, fit) = (found["lines"].as_u64().expect("lines"), found["fit"].as_u64().expect("lines that fit"));
    assert!(fit < lines && fit > lines / 2, "{found}");
    assert!(ran.stderr.contains(&format!("format \"combined\": {fit} of {lines} lines fit")), "{}", ran.stderr);
    ran.failed(1, &["lines do not fit"]);
    let many = "#Fields: sc-status\n".to_owned() + &"200\n".repeat(5_000);
    let ran = graftd_with_input(["check-format", "auto", "-"], many.as_bytes()).good();
    assert!(ran.stdout.contains("999 of 999 lines fit the format \"w3c\""), "{}", ran.stdout);
}

#[test]
fn what_is_no_log_is_said_and_does_no_harm() {
    let folders = Folders::new();
    let empty = folders.write("empty.log", "");
    graftd(["check-format", "auto", &empty]).failed(1, &["no line to check"]);
    let missing = folders.root().join("none").display().to_string();
    graftd(["check-format", "combined", &missing]).failed(1, &["No such file"]);
    let root = folders.root().display().to_string();
    graftd(["check-format", "combined", &root]).failed(1, &["is a folder"]);
    let noise: Vec<u8> = (0..100_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let noise = folders.write("noise.bin", noise);
    let ran = graftd(["check-format", "auto", &noise]);
    ran.failed(1, &["do not fit"]);
    assert!(ran.stdout.chars().all(|c| c == '\n' || !c.is_control()), "{:?}", ran.stdout);
    // One line of megabytes is cut and said.
    let long = folders.write("long.log", "x".repeat(5_000_000));
    let ran = graftd(["check-format", "combined", &long]);
    assert!(ran.stdout.len() < 2_000, "{}", ran.stdout.len());
}
