//! The collector against a server on loopback that plays nginx.

use graft_nginx::Nginx;
use plugin_api::delta::wire::{Op, Reader};
use plugin_api::testkit::{CollectorKit, Found};
use plugin_api::{Clock, Collector, Delta, ErrorKind, Params};
use proptest::prelude::*;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::thread::{JoinHandle, spawn};

const PAGE: &str =
    "Active connections: 3 \nserver accepts handled requests\n 70 68 900 \nReading: 0 Writing: 1 Waiting: 2 \n";

fn answer(stream: &mut (impl Read + Write), says: &[u8]) {
    let (mut request, mut byte) = (Vec::new(), [0]);
    while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|length| length > 0) {
        request.push(byte[0]);
    }
    let _ = stream.write_all(says);
}

fn page(text: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{text}", text.len()).into_bytes()
}

/// Says one after the other, one a connection, and is gone then.
fn says(all: Vec<Vec<u8>>) -> SocketAddr {
    begin(all).0
}

fn begin(all: Vec<Vec<u8>>) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = spawn(move || {
        for says in all {
            let (mut stream, _) = listener.accept().unwrap();
            answer(&mut stream, &says);
        }
    });
    (address, server)
}

fn params(server: SocketAddr) -> Params {
    Params::new().with("url", format!("http://{server}/nginx_status").as_str())
}

fn check_good(found: &Found) {
    for (path, number) in [
        ("up", 1.0),
        ("active", 3.0),
        ("reading", 0.0),
        ("writing", 1.0),
        ("waiting", 2.0),
        ("accepts", 70.0),
        ("handled", 68.0),
        ("dropped", 2.0),
        ("requests", 900.0),
    ] {
        assert_eq!(found.number(path), Some(number), "{path}");
    }
    assert_eq!(found.text("error"), Some(""));
    assert_eq!(found.iter().count(), 10);
}

#[test]
fn what_nginx_says_is_told_with_its_units() {
    let found = CollectorKit::<Nginx>::new(&params(says(vec![page(PAGE)]))).unwrap().collect().unwrap();
    check_good(&found);
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert!(found.meta("requests").contains(&pair("units", "requests")));
    assert!(found.meta("active").contains(&pair("units", "connections")));
    assert!(found.meta("error").contains(&pair("title", "What is wrong")));
}

#[test]
fn it_is_asked_by_a_unix_socket() {
    let socket = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("nginx-test.sock");
    let _ = std::fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket).unwrap();
    let server = spawn(move || answer(&mut listener.accept().unwrap().0, &page(PAGE)));
    let params = Params::new().with("url", "http://status/nginx_status").with("socket", socket.to_str().unwrap());
    let mut kit = CollectorKit::<Nginx>::new(&params).unwrap();
    check_good(&kit.collect().unwrap());
    server.join().unwrap();
    let found = kit.collect().unwrap();
    assert!(found.text("error").is_some_and(|why| why.contains("nginx-test.sock: connection refused")), "{found:?}");
}

/// What is said, and which values are to go.
fn said(collector: &mut Nginx) -> (Vec<String>, Vec<String>) {
    let mut out = Delta::new();
    out.set_clock(Clock::new(1_700_000_000_000, 1));
    collector.collect(&mut out).expect("a sample");
    let mut reader = Reader::new(out.flush()).expect("a frame");
    let (mut said, mut gone) = (Vec::new(), Vec::new());
    while let Some(entry) = reader.next_entry().expect("an entry") {
        let path = reader.path().join(",");
        match entry.op {
            Op::Lifetime(life) if !life.is_zero() => gone.push(path),
            Op::Set(n) => said.push(format!("{path} {n}")),
            Op::Total(n) => said.push(format!("{path} total {n}")),
            Op::Text(text) => said.push(format!("{path} {text}")),
            _ => {}
        }
    }
    (said, gone)
}

#[test]
fn one_that_is_down_has_no_gauges_and_comes_back() {
    let (address, server) = begin(vec![
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(),
        page(PAGE),
        page("<html>Welcome to nginx!</html>"),
        page(&PAGE.replace("70 68 900", "2 2 5")),
        Vec::new(),
    ]);
    let mut nginx = Nginx::new(&params(address)).unwrap();
    let gauges = ["active", "reading", "writing", "waiting"];
    let (first, gone) = said(&mut nginx);
    assert_eq!(first, ["up 0", "error status 404 from /nginx_status; is stub_status on there?"]);
    assert_eq!(gone, gauges);
    let (good, gone) = said(&mut nginx);
    assert!(good.contains(&"requests total 900".to_owned()) && good.contains(&"active 3".to_owned()), "{good:?}");
    assert!(gone.is_empty());
    let (other, gone) = said(&mut nginx);
    assert!(other[1].contains("is not stub_status's"), "{other:?}");
    assert_eq!(gone, gauges);
    // Begun anew: told as it stands, for the tree knows what that means.
    assert!(said(&mut nginx).0.contains(&"requests total 5".to_owned()));
    assert_eq!(said(&mut nginx).0[1], "error closed without an answer");
    server.join().unwrap();
    let (down, gone) = said(&mut nginx);
    assert!(down[0] == "up 0" && down[1].ends_with("connection refused"), "{down:?}");
    assert!(gone.is_empty(), "they are gone already: {gone:?}");
}

#[test]
fn a_wrong_parameter_is_named() {
    for (name, value, why) in [
        ("url", "127.0.0.1/nginx_status", "\"url\" has no scheme"),
        ("url", "https://127.0.0.1/", "\"url\" has the scheme \"https\""),
        ("socket", "nginx.sock", "\"socket\" must be a whole path"),
        ("timeout", "1m", "\"timeout\" must be 10ms to 8s, not 60s"),
        ("timeout", "soon", "\"timeout\" must be a duration"),
    ] {
        let error = Nginx::new(&Params::new().with(name, value)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().starts_with(&format!("params: {why}")), "{}", error.message());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn garbage_never_panics(
        garbage in proptest::collection::vec(any::<u8>(), 0..300),
        bites in proptest::collection::vec((any::<proptest::sample::Index>(), any::<char>()), 1..8),
    ) {
        let mut bitten: Vec<char> = PAGE.chars().collect();
        for (at, letter) in bites {
            let at = at.index(bitten.len());
            bitten[at] = letter;
        }
        let bitten: String = bitten.into_iter().collect();
        let server = says(vec![garbage, page(&bitten)]);
        let mut kit = CollectorKit::<Nginx>::new(&params(server)).unwrap();
        for _ in 0..2 {
            let found = kit.collect().unwrap();
            prop_assert_eq!(found.number("up") == Some(1.0), found.text("error") == Some(""));
        }
    }
}
