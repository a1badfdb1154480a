//! What the pipe finds.

use graft_bytes::Bytes;
use plugin_api::testkit::PipeKit;
use plugin_api::{Access, Delta, Params, Pipe};

fn kit() -> PipeKit<Bytes> {
    PipeKit::new(&Params::new()).unwrap()
}

fn record(status: u16, bytes: u64) -> Access<'static> {
    let mut record = Access::new("");
    record.set_status(status);
    record.set_bytes(bytes);
    record
}

#[test]
fn bytes_are_summed_by_class() {
    let mut kit = kit();
    kit.lines([
        r#"192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 203023 "-" "curl/8""#,
        r#"192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET /part HTTP/1.1" 206 100 "-" "curl/8""#,
        r#"192.0.2.1 - - [17/May/2015:10:05:04 +0000] "GET /x HTTP/1.1" 404 7 "-" "curl/8""#,
    ]);
    let found = kit.flush();
    assert_eq!(found.number("2xx"), Some(203_123.0));
    assert_eq!(found.number("4xx"), Some(7.0));
    assert_eq!(found.iter().count(), 2);
}

#[test]
fn a_dash_adds_nothing() {
    let mut kit = kit();
    kit.line(r#"192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 304 - "-" "curl/8""#);
    assert!(kit.flush().is_empty());
}

#[test]
fn what_has_no_status_is_summed_at_a_dash() {
    let mut kit = kit();
    let mut no_status = Access::new("");
    no_status.set_bytes(5);
    kit.batch(&[record(200, 3), no_status, record(u16::MAX, 1)]);
    let found = kit.flush();
    assert_eq!(found.number("-"), Some(5.0));
    assert_eq!(found.number("9xx"), Some(1.0));
}

#[test]
fn slots_are_made_anew_when_the_delta_forgets_them() {
    let mut pipe = Bytes::new(&Params::new()).unwrap();
    let mut out = Delta::new();
    pipe.process(&[record(200, 1)], &mut out);
    let before = out.epoch();
    for i in 0..plugin_api::limits::DELTA_PATHS_MAX / 2 + 1 {
        out.add(&[&i.to_string()], 1.0);
    }
    out.flush();
    assert_ne!(out.epoch(), before);
    pipe.process(&[record(200, 1)], &mut out);
    assert_eq!(out.overflowed(), 0);
}
