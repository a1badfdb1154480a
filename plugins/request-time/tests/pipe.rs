//! What the pipe finds.

use graft_request_time::RequestTime;
use plugin_api::testkit::PipeKit;
use plugin_api::{Access, Params};

fn kit() -> PipeKit<RequestTime> {
    PipeKit::new(&Params::new()).unwrap()
}

#[test]
fn seconds_are_observed_by_class() {
    let mut kit = kit();
    kit.lines([
        r#"192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 12 "-" "curl/8" 0.250 0.100"#,
        r#"192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 204 12 "-" "curl/8" 0.750 0.700"#,
        r#"192.0.2.1 - - [17/May/2015:10:05:04 +0000] "GET /x HTTP/1.1" 500 - "-" "curl/8" 0.250 0.100"#,
    ]);
    let found = kit.flush();
    let ok = found.quantiles("2xx").unwrap();
    assert_eq!((ok.count(), ok.sum(), ok.max()), (2, 1.0, Some(0.750)));
    let failed = found.quantiles("5xx").unwrap();
    assert_eq!((failed.count(), failed.sum()), (1, 0.250));
    assert_eq!(found.iter().count(), 2);
}

#[test]
fn a_log_without_the_field_says_nothing() {
    let mut kit = kit();
    kit.line(r#"192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 12 "-" "curl/8""#);
    assert!(kit.flush().is_empty());
}

#[test]
fn what_has_no_status_is_observed_at_a_dash() {
    let mut record = Access::new("");
    record.set_request_time(0.5);
    let mut kit = kit();
    kit.batch(&[record]);
    assert_eq!(kit.flush().quantiles("-").unwrap().count(), 1);
}

#[test]
fn no_number_is_too_odd() {
    let mut kit = kit();
    for seconds in [f64::INFINITY, f64::NEG_INFINITY, f64::MAX, -1.0, 0.0, f64::MIN_POSITIVE] {
        let mut record = Access::new("");
        record.set_status(200);
        record.set_request_time(seconds);
        kit.batch(&[record]);
    }
    kit.flush();
    assert!(kit.delta().memory_bytes() < 64 * 1024, "{}", kit.delta().memory_bytes());
}
