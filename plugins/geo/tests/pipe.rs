//! What the pipe finds. `test.mmdb` is made by `make_db.py`.

use graft_geo::Geo;
use plugin_api::testkit::PipeKit;
use plugin_api::{Access, ErrorKind, Field, Params, Span};

const DATABASE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/test.mmdb");

fn kit() -> PipeKit<Geo> {
    PipeKit::new(&Params::new().with("database", DATABASE)).unwrap()
}

/// A record of which only the client's address is known.
fn client(addr: &str) -> Access<'_> {
    let mut record = Access::new(addr);
    record.set_span(Field::Addr, Span::new(0, addr.len() as u32));
    record
}

#[test]
fn hits_are_counted_by_country() {
    let mut kit = kit();
    kit.lines([
        r#"192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 12 "-" "curl/8""#,
        r#"192.0.2.255 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 12 "-" "curl/8""#,
        r#"2001:db8:1::7 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 12 "-" "curl/8""#,
    ]);
    kit.batch(&["198.51.100.127", "198.51.100.128", "::ffff:192.0.2.3", "2001:db8:2:ffff::"].map(client));
    let found = kit.flush();
    for (country, hits) in [("DE", 3.0), ("BR", 1.0), ("FR", 1.0), ("JP", 1.0), ("IN", 1.0)] {
        assert_eq!(found.number(country), Some(hits), "{country}");
    }
    assert_eq!(found.iter().count(), 5);
}

#[test]
fn what_has_no_country_is_unknown() {
    let mut kit = kit();
    kit.batch(&[Access::new("")]);
    kit.batch(&["203.0.113.1", "10.0.0.1", "::1", "client.example", "", "192.0.2.1.9"].map(client));
    let found = kit.flush();
    assert_eq!(found.number("(unknown)"), Some(7.0));
    assert_eq!(found.iter().count(), 1);
}

#[test]
fn a_flood_of_addresses_is_counted_in_full() {
    let mut kit = kit();
    for i in 0..200_000_u32 {
        kit.batch(&[client(&std::net::Ipv4Addr::from(i + 0x0a00_0000).to_string()), client("192.0.2.1")]);
    }
    assert!(kit.delta().memory_bytes() < 64 * 1024, "{}", kit.delta().memory_bytes());
    let found = kit.flush();
    assert_eq!(found.number("(unknown)"), Some(200_000.0));
    assert_eq!(found.number("DE"), Some(200_000.0));
}

#[test]
fn a_database_that_cannot_be_read_is_named() {
    let refuse = |params: &Params| {
        let error = PipeKit::<Geo>::new(params).err().expect("no such database");
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(!error.message().contains('\n'));
        error.message().to_owned()
    };
    assert!(refuse(&Params::new()).contains("\"database\" is missing"));
    assert!(refuse(&Params::new().with("database", 1)).contains("must be text"));
    for file in ["/no/such/file.mmdb", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"), env!("CARGO_MANIFEST_DIR")] {
        let message = refuse(&Params::new().with("database", file));
        assert!(message.contains(file), "{message}");
    }
}

#[test]
fn a_damaged_database_is_refused_or_knows_less() {
    let whole = std::fs::read(DATABASE).unwrap();
    let file = std::env::temp_dir().join(format!("graft-geo-{}.mmdb", std::process::id()));
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0xff;
        std::fs::write(&file, &damaged).unwrap();
        let Ok(mut kit) = PipeKit::<Geo>::new(&Params::new().with("database", file.to_str().unwrap())) else {
            continue;
        };
        kit.batch(&["192.0.2.1", "198.51.100.1", "2001:db8:2::1"].map(client));
        let found = kit.flush();
        let hits: f64 = found.iter().filter_map(|(path, _)| found.number(path)).sum();
        assert_eq!(hits, 3.0, "byte {at}");
    }
    std::fs::remove_file(&file).unwrap();
}
