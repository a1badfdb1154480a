//! Formats told from lines.

use super::super::{Guesser, first_lines, guess};

const TIME: &str = "[17/May/2015:10:05:03 +0000]";

fn guessed(lines: &[&str]) -> (String, String) {
    let guess = guess(lines);
    (guess.format.spec().to_owned(), guess.said)
}

#[test]
fn each_known_format_is_known_again() {
    let common = format!("192.0.2.1 - - {TIME} \"GET /x HTTP/1.1\" 200 17");
    let combined = format!("{common} \"-\" \"curl/8\"");
    let timed = format!("{combined} 0.123 -");
    let vhost = format!("www.example.org:443 {combined}");
    let vhost_absent = format!("www.example.org:443 {common} \"-\" \"-\"");
    for (line, name) in [
        (common.as_str(), "common"),
        (&combined, "combined"),
        (&timed, "timed"),
        (&vhost, "vhost_combined"),
        (&vhost_absent, "vhost_combined"),
        (r#"{"ip":"::1","status":200}"#, "json"),
        // What is absent in all lines makes no format the better one.
        (&format!("{common} \"-\" \"-\""), "common"),
        (&format!("{combined} - -"), "combined"),
        (&format!("2001:db8::1 - - {TIME} \"GET /x HTTP/1.1\" 200 17 \"-\" \"a [en] b\""), "combined"),
        // Apache's combinedio has bytes where times would be.
        (&format!("{combined} 512 1024"), "combined"),
        (&format!("{combined} \"10.0.0.1, 10.0.0.2\""), "combined"),
    ] {
        let said = format!("format \"{name}\": 2 of 2 lines fit");
        assert_eq!(guessed(&[line, "", line]), (name.to_owned(), said), "{line}");
        let spoilt = guess(&[line, "nonsense", line, line]);
        assert_eq!((spoilt.format.spec(), spoilt.share, spoilt.lines), (name, 0.75, 4), "{line}");
    }
    let w3c = ["#Version: 1.0", "#Fields: date time c-ip sc-status", "2015-05-17 10:05:03 ::1 200", "x"];
    let guess = guess(&w3c);
    assert_eq!((guess.format.spec(), guess.share, guess.lines), ("w3c", 0.5, 2));
    assert_eq!(guess.said, "format \"w3c\": 1 of 2 lines fits");
}

#[test]
fn most_fields_of_most_lines_win() {
    let combined = format!("192.0.2.1 - - {TIME} \"GET /x HTTP/1.1\" 200 17 \"-\" \"curl/8\"");
    let timed = format!("{combined} 0.123 0.120");
    let mixed = |n: usize| guessed(&[vec![timed.as_str(); n], vec![combined.as_str(); 10 - n]].concat()).0;
    assert_eq!((mixed(9), mixed(2), mixed(0)), ("timed".to_owned(), "combined".to_owned(), "combined".to_owned()));
}

#[test]
fn what_fits_nothing_is_said_so() {
    let none = guess(&[]);
    assert_eq!((none.format.spec(), none.share, none.lines), ("combined", 0.0, 0));
    assert_eq!(none.said, "format \"combined\", for there is no line to guess from");
    let none = guess(&["nonsense", "{}", "2015-05-17 ::1 200"]);
    assert_eq!((none.format.spec(), none.share, none.lines), ("combined", 0.0, 3));
    assert_eq!(none.said, "format \"combined\", for none that is known fits any of 3 lines");
    // One guess leaves nothing to the next.
    let mut guesser = Guesser::default();
    assert_eq!(guesser.guess(&["#Fields: sc-status", "200"]).format.spec(), "w3c");
    assert_eq!(guesser.guess(&["200"]).share, 0.0);
}

#[test]
fn the_first_thousand_lines_are_looked_at() {
    let line = format!("192.0.2.1 - - {TIME} \"GET /x HTTP/1.1\" 200 17");
    let mut lines = vec![line.as_str(); 1_000];
    lines.extend(vec!["nonsense"; 5_000]);
    let guess = guess(&lines);
    assert_eq!((guess.share, guess.lines), (1.0, 1_000));
    assert_eq!(guess.said, "format \"common\": 1000 of the first 1000 lines fit");
    assert_eq!(first_lines("a\r\n\nb\nc", false), ["a", "b"]);
    assert_eq!(first_lines("a\r\n\nb\nc", true), ["a", "b", "c"]);
    assert!(first_lines("a", false).is_empty() && first_lines("", true).is_empty());
    assert_eq!(first_lines(&"x\n".repeat(5_000), true).len(), 1_000);
}
