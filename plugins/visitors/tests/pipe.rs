//! What the pipe finds.

use graft_visitors::Visitors;
use plugin_api::testkit::PipeKit;
use plugin_api::{Access, Field, Params, Span};

fn kit() -> PipeKit<Visitors> {
    PipeKit::new(&Params::new()).unwrap()
}

#[test]
fn an_address_counts_once() {
    let mut kit = kit();
    kit.lines([
        r#"192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 12 "-" "curl/8""#,
        r#"2001:db8::1 - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 12 "-" "curl/8""#,
        r#"192.0.2.1 - - [17/May/2015:10:05:04 +0000] "GET /x HTTP/1.1" 404 - "-" "curl/8""#,
    ]);
    let found = kit.flush();
    assert_eq!(found.distinct("").map(f64::round), Some(2.0));
    assert_eq!(found.iter().count(), 1);
}

#[test]
fn what_has_no_address_is_nobody() {
    let mut kit = kit();
    kit.batch(&[Access::new("")]);
    assert!(kit.flush().is_empty());
}

#[test]
fn a_flood_of_addresses_stays_a_sketch() {
    let mut kit = kit();
    for i in 0..200_000_u32 {
        let addr = std::net::Ipv4Addr::from(i).to_string();
        let mut record = Access::new(&addr);
        record.set_span(Field::Addr, Span::new(0, addr.len() as u32));
        kit.batch(&[record]);
    }
    assert!(kit.delta().memory_bytes() < 256 * 1024, "{}", kit.delta().memory_bytes());
    let estimate = kit.flush().distinct("").unwrap();
    assert!((estimate / 200_000.0 - 1.0).abs() < 0.05, "{estimate}");
}
