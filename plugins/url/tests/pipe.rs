//! What the pipe finds.

use graft_url::Url;
use plugin_api::testkit::{PipeKit, Value};
use plugin_api::{Access, Field, Params, Span};

fn kit(params: &Params) -> PipeKit<Url> {
    PipeKit::new(params).unwrap()
}

/// A record of which only the request's target is known.
fn target(url: &str) -> Access<'_> {
    let mut record = Access::new(url);
    record.set_span(Field::Url, Span::new(0, url.len() as u32));
    record
}

#[test]
fn hits_are_counted_by_path_without_query() {
    let mut kit = kit(&Params::new());
    kit.lines([
        r#"192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET /a?x=1 HTTP/1.1" 200 12 "-" "curl/8""#,
        r#"192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET /a?x=2 HTTP/1.1" 200 12 "-" "curl/8""#,
        r#"192.0.2.1 - - [17/May/2015:10:05:04 +0000] "GET /b,c HTTP/1.1" 404 - "-" "curl/8""#,
    ]);
    let found = kit.flush();
    assert_eq!(found.number("/a"), Some(2.0));
    assert_eq!(found.number("/b,c"), Some(1.0));
    kit.batch(&[]);
    assert!(kit.flush().is_empty());
}

#[test]
fn what_has_no_path_has_a_key_too() {
    let mut kit = kit(&Params::new());
    kit.batch(&[Access::new(""), target("?x=1")]);
    let found = kit.flush();
    assert_eq!(found.number("-"), Some(1.0));
    assert_eq!(found.number("(empty)"), Some(1.0));
}

#[test]
fn a_flood_of_paths_stays_within_k_and_its_total_exact() {
    let mut kit = kit(&Params::new().with("k", 100));
    let mut memory_bytes = 0;
    for i in 0..50_000 {
        kit.batch(&[target("/home"), target(&format!("/{i}"))]);
        memory_bytes = memory_bytes.max(kit.delta().memory_bytes());
    }
    assert!(memory_bytes < 64 * 1024, "{memory_bytes}");
    let found = kit.flush();
    assert_eq!(found.number("/home"), Some(50_000.0));
    assert!(matches!(found.get(""), Some(Value::Top(top)) if top.k() == 100 && top.total() == 100_000.0));
}

#[test]
fn long_paths_are_cut() {
    let mut kit = kit(&Params::new());
    let long = format!("/{}", "x".repeat(2_047));
    kit.batch(&[target(&long), target(&format!("{long}y"))]);
    assert_eq!(kit.flush().number(&long), Some(2.0));
}

#[test]
fn a_wrong_k_is_refused() {
    for bad in [0, -1, 1_000_001, i64::MAX] {
        let error = PipeKit::<Url>::new(&Params::new().with("k", bad)).err().unwrap();
        assert!(error.message().contains("\"k\""), "{error}");
    }
    for good in [1, 1_000_000] {
        kit(&Params::new().with("k", good));
    }
}
