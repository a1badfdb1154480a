//! What the pipe finds.

use graft_status::Status;
use plugin_api::testkit::PipeKit;
use plugin_api::{Access, Params};

const OK: &str = r#"192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 12 "-" "curl/8""#;
const NOT_FOUND: &str = r#"192.0.2.1 - - [17/May/2015:10:05:04 +0000] "GET /x HTTP/1.1" 404 - "-" "curl/8""#;

fn kit() -> PipeKit<Status> {
    PipeKit::new(&Params::new()).unwrap()
}

#[test]
fn hits_are_counted_by_code() {
    let mut kit = kit();
    kit.lines([OK, NOT_FOUND, OK]);
    kit.line(OK);
    let found = kit.flush();
    assert_eq!(found.number("200"), Some(3.0));
    assert_eq!(found.number("404"), Some(1.0));
    assert_eq!(found.iter().count(), 2);
}

#[test]
fn each_flush_starts_anew() {
    let mut kit = kit();
    assert!(kit.flush().is_empty());
    kit.line(OK);
    kit.flush();
    assert!(kit.flush().is_empty());
    kit.line(NOT_FOUND);
    let found = kit.flush();
    assert_eq!(found.number("404"), Some(1.0));
    assert_eq!(found.iter().count(), 1);
}

#[test]
fn what_has_no_code_is_counted_at_a_dash() {
    let mut kit = kit();
    let mut beyond = Access::new("");
    beyond.set_status(u16::MAX);
    kit.batch(&[Access::new(""), beyond]);
    assert_eq!(kit.flush().number("-"), Some(2.0));
}
