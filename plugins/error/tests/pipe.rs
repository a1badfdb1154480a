//! What the pipe finds.

use graft_error::Errors;
use plugin_api::testkit::{PipeKit, Value};
use plugin_api::{Access, Field, Params, Span};

fn kit(params: &Params) -> PipeKit<Errors> {
    PipeKit::new(params).unwrap()
}

/// A record of `line`, which is a status of three digits and the request's target.
fn answer(line: &str) -> Access<'_> {
    let mut record = Access::new(line);
    record.set_span(Field::Status, Span::new(0, 3));
    record.set_status(line[..3].parse().unwrap());
    if line.len() > 4 {
        record.set_span(Field::Url, Span::new(4, line.len() as u32));
    }
    record
}

#[test]
fn errors_are_counted_by_code_and_path() {
    let mut kit = kit(&Params::new());
    kit.lines([
        r#"192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 12 "-" "curl/8""#,
        r#"192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET /a?x=2 HTTP/1.1" 404 12 "-" "curl/8""#,
        r#"192.0.2.1 - - [17/May/2015:10:05:04 +0000] "GET /a HTTP/1.1" 404 - "-" "curl/8""#,
        r#"192.0.2.1 - - [17/May/2015:10:05:04 +0000] "GET /a HTTP/1.1" 502 - "-" "curl/8""#,
    ]);
    let found = kit.flush();
    assert_eq!(found.number("404,/a"), Some(2.0));
    assert_eq!(found.number("502,/a"), Some(1.0));
    assert_eq!(found.iter().count(), 2);
}

#[test]
fn only_4xx_and_5xx_are_errors() {
    let mut kit = kit(&Params::new());
    kit.batch(&[Access::new(""), answer("100 /"), answer("399 /"), answer("600 /"), answer("999 /")]);
    assert!(kit.flush().is_empty());
    kit.batch(&[answer("400 /"), answer("599 /")]);
    assert_eq!(kit.flush().iter().count(), 2);
}

#[test]
fn a_request_that_could_not_be_read_has_a_key_too() {
    let mut kit = kit(&Params::new());
    kit.batch(&[answer("400"), answer("404 ?x=1")]);
    let found = kit.flush();
    assert_eq!(found.number("400,-"), Some(1.0));
    assert_eq!(found.number("404,(empty)"), Some(1.0));
}

#[test]
fn a_flood_of_paths_stays_within_k_for_each_code() {
    let mut kit = kit(&Params::new().with("k", 100));
    let mut memory_bytes = 0;
    for i in 0..50_000 {
        kit.batch(&[answer("404 /home"), answer(&format!("404 /{i}"))]);
        memory_bytes = memory_bytes.max(kit.delta().memory_bytes());
    }
    assert!(memory_bytes < 64 * 1024, "{memory_bytes}");
    let found = kit.flush();
    assert_eq!(found.number("404,/home"), Some(50_000.0));
    assert!(matches!(found.get("404"), Some(Value::Top(top)) if top.k() == 100 && top.total() == 100_000.0));
}

#[test]
fn long_paths_are_cut() {
    let mut kit = kit(&Params::new());
    let long = format!("/{}", "x".repeat(2_047));
    kit.batch(&[answer(&format!("404 {long}")), answer(&format!("404 {long}y"))]);
    assert_eq!(kit.flush().number(&format!("404,{long}")), Some(2.0));
}

#[test]
fn a_wrong_k_is_refused() {
    for bad in [0, -1, 1_000_001, i64::MAX] {
        let error = PipeKit::<Errors>::new(&Params::new().with("k", bad)).err().unwrap();
        assert!(error.message().contains("\"k\""), "{error}");
    }
    for good in [1, 1_000_000] {
        kit(&Params::new().with("k", good));
    }
}
