//! Odd lines, to each kind of parser: they are counted and said, and nothing stops.

use super::super::MAX_LINE;
use super::*;

const TIME: &str = "[17/May/2015:10:05:03 +0000]";

/// A line of each kind with this user agent, whose quotes are escaped.
fn with_agent(agent: &str) -> [(&'static str, String); 3] {
    [
        ("combined", format!("::1 - - {TIME} \"GET / HTTP/1.1\" 200 5 \"-\" \"{agent}\"")),
        ("json", format!(r#"{{"ip":"::1","uri":"/","http_user_agent":"{agent}","status":200}}"#)),
        ("#Fields: c-ip cs-uri-stem cs(User-Agent) sc-status", format!("::1 / {agent} 200")),
    ]
}

#[test]
fn line_ends_are_mixed() {
    for (spec, line) in with_agent("curl/8") {
        let lines = [line.clone(), format!("{line}\r"), format!("{line}\r\r"), format!("\r{line}")];
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let seen = read_all(spec, Fields::ALL, &lines);
        let agents: Vec<_> = seen.iter().map(|seen| seen.as_ref().ok().map(|seen| seen.agent.clone())).collect();
        assert_eq!(agents[..2], [Some(some("curl/8")), Some(some("curl/8"))], "{spec}");
        // What is there besides one line end belongs to a value, or the line to no format.
        assert_eq!(seen.len(), 4);
    }
}

#[test]
fn zero_bytes_belong_to_values() {
    for (spec, line) in with_agent("a\0b") {
        assert_eq!(good(spec, &line).agent, some("a\0b"), "{spec}");
    }
    for spec in ["combined", "timed", "vhost_combined", "json", "#Fields: c-ip sc-status", "$remote_addr [$time_local]"]
    {
        for len in [1, 7, 8, 9, 64, 65, 4096] {
            assert!(read(spec, &"\0".repeat(len)).is_err(), "{spec} {len}");
        }
    }
}

#[test]
fn what_is_no_text_is_kept_and_shown_replaced() {
    // Blocks are made UTF-8 before they are parsed; a replaced byte is text as any other.
    let broken = String::from_utf8_lossy(b"caf\xe9 \xff\xfe\xf0\x9f");
    for (spec, line) in with_agent(&broken.replace(' ', "_")) {
        assert_eq!(good(spec, &line).agent.as_deref(), Some("caf\u{fffd}_\u{fffd}\u{fffd}\u{fffd}"), "{spec}");
    }
}

#[test]
fn a_user_agent_of_a_hundred_kilobytes() {
    let long = "é".repeat(50_000);
    for (spec, line) in with_agent(&long) {
        assert_eq!(good(spec, &line).agent.as_deref(), Some(long.as_str()), "{spec}");
    }
    let escaped = r#"\""#.repeat(50_000);
    for (spec, line) in with_agent(&escaped).into_iter().take(2) {
        assert_eq!(good(spec, &line).agent, Some("\"".repeat(50_000)), "{spec}");
    }
    let blanks = "a+".repeat(50_000);
    assert_eq!(
        good("#Fields: c-ip cs-uri-stem cs(User-Agent) sc-status", &format!("::1 / {blanks} 200")).agent,
        Some("a ".repeat(50_000))
    );
    for spec in ["combined", "json", "#Fields: c-ip sc-status"] {
        let error = read(spec, &"{".repeat(MAX_LINE + 1)).expect_err(spec).to_string();
        assert!(error.ends_with(&format!("column {}: the line is longer than a line may be", MAX_LINE + 1)), "{error}");
    }
    // Written anew, a target would be longer than a line may be.
    let header = "#Fields: cs-uri-query sc-status cs-uri-stem";
    let query = "q".repeat(MAX_LINE / 2 - 50);
    let error =
        read(header, &format!("{query} 200 /{}", "s".repeat(MAX_LINE / 2 - 6))).expect_err("too long").to_string();
    assert!(error.ends_with("the line is longer than a line may be"), "{error}");
    let url = good(header, &format!("{query} 200 /s")).url.expect("a target");
    assert_eq!((url.len(), &url[..4]), (query.len() + 3, "/s?q"));
}

#[test]
fn binary_is_no_log() {
    // A linear congruential generator (Knuth's MMIX): all bytes, no pattern.
    let mut state = 1_u64;
    let mut byte = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let noise: Vec<u8> = (0..200_000).map(|_| byte()).collect();
    let text = String::from_utf8_lossy(&noise);
    let lines: Vec<&str> = text.split('\n').filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    for spec in ["combined", "timed", "json", "#Fields: c-ip x sc-status", "w3c"] {
        let seen = read_all(spec, Fields::ALL, &lines);
        assert!(seen.iter().all(Result::is_err), "{spec}");
    }
}

#[test]
fn deep_and_wide_objects_cost_no_stack_and_little_time() {
    let deep = format!(r#"{{"request":{}"#, r#"{"headers":"#.repeat(60_000));
    assert!(read("json", &deep).is_err());
    let deep = format!(r#"{{"x":{}{},"status":200}}"#, "[{\"a\":".repeat(50_000), "}]".repeat(50_000));
    assert_eq!(good("json", &deep).status, Some(200));
    let wide = format!(r#"{{"status":200{}}}"#, r#","k":1"#.repeat(100_000));
    assert_eq!(good("json", &wide).status, Some(200));
    let commas = format!(r#"{{"status":200{}}}"#, ",".repeat(500_000));
    assert_eq!(good("json", &commas).status, Some(200));
    let list = format!(r#"{{"upstream_response_time":{}"#, "1, ".repeat(300_000));
    assert!(read("json", &list).is_err());
}
