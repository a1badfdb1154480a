//! The collector against servers on loopback.

mod servers;

use graft_url_check::UrlCheck;
use plugin_api::delta::wire::{Op, Reader};
use plugin_api::testkit::{CollectorKit, Found};
use plugin_api::{Clock, Collector, Delta, Entry, Params, Value};
use servers::{Authority, heard, says, serve};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// One entry of `urls`.
fn table(entries: &[(&str, Value)]) -> Value {
    Value::Table(entries.iter().map(|(name, value)| Entry { name: (*name).into(), value: value.clone() }).collect())
}

fn named(name: &str, url: impl Into<String>, more: &[(&str, Value)]) -> Value {
    table(&[&[("name", name.into()), ("url", url.into().as_str().into())], more].concat())
}

fn at(server: SocketAddr) -> String {
    format!("http://{server}/")
}

fn kit(urls: Vec<Value>) -> CollectorKit<UrlCheck> {
    let params = Params::new().with("urls", urls).with("timeout", "5s");
    CollectorKit::new(&params).unwrap_or_else(|error| panic!("{error}"))
}

fn collect(urls: Vec<Value>) -> Found {
    kit(urls).collect().expect("a sample")
}

#[track_caller]
fn check_up(found: &Found, name: &str, status: f64) {
    assert_eq!(found.text(&format!("{name},error")), Some(""), "{name}");
    assert_eq!(found.number(&format!("{name},up")), Some(1.0), "{name}");
    assert_eq!(found.number(&format!("{name},status")), Some(status), "{name}");
}

#[track_caller]
fn check_down(found: &Found, name: &str, why: &str) {
    let error = found.text(&format!("{name},error")).unwrap_or_else(|| panic!("{name} is not there"));
    assert!(error.contains(why), "{name}: {error}");
    assert_eq!(found.number(&format!("{name},up")), Some(0.0), "{name}");
}

#[test]
fn a_server_that_answers_is_up_and_its_times_are_known() {
    let url = at(says(HELLO));
    let mut kit = kit(vec![url.as_str().into()]);
    let found = kit.collect().unwrap();
    check_up(&found, &url, 200.0);
    let of = |key: &str| found.number(&format!("{url},{key}")).unwrap_or_else(|| panic!("no {key}"));
    assert_eq!((of("bytes"), of("checks"), of("failures")), (5.0, 1.0, 0.0));
    assert!(of("connect_ms") <= of("first_byte_ms") && of("first_byte_ms") <= of("total_ms"));
    assert!(of("connect_ms") > 0.0 && of("total_ms") < 5_000.0);
    let meta = found.meta(&format!("{url},first_byte_ms"));
    assert!(meta.contains(&("units".to_owned(), "ms".to_owned())), "{meta:?}");
    for key in ["tls_ms", "tls_expires_days"] {
        assert!(found.get(&format!("{url},{key}")).is_none(), "{key}");
    }
    assert_eq!(kit.collect().unwrap().number(&format!("{url},checks")), Some(1.0));
}

#[test]
fn ipv6_and_names_are_asked_too() {
    let answer = |mut stream: TcpStream| {
        heard(&mut stream);
        let _ = stream.write_all(HELLO.as_bytes());
    };
    if TcpListener::bind("[::1]:0").is_ok() {
        let server = serve("::1", answer);
        check_up(&collect(vec![named("six", at(server), &[])]), "six", 200.0);
    }
    // Found also where its first address is IPv6 and nobody listens there.
    let port = says(HELLO).port();
    check_up(&collect(vec![named("name", format!("http://localhost:{port}/"), &[])]), "name", 200.0);
    let nobody = format!("http://nobody.invalid:{port}/");
    check_down(&collect(vec![named("nobody", nobody, &[("timeout", "500ms".into())])]), "nobody", "nobody.invalid: ");
}

#[test]
fn what_is_expected_decides() {
    let missing = at(says("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone"));
    let hello = at(says(HELLO));
    let found = collect(vec![
        named("missing", &missing, &[]),
        named("missed", &missing, &[("expect", 404.into())]),
        named("class", &missing, &[("expect", vec![Value::from(200), "4xx".into()].into())]),
        named("other", &hello, &[("expect", vec![Value::from(201), "3xx".into()].into())]),
        named("has", &hello, &[("contains", "ell".into())]),
        named("lacks", &hello, &[("contains", "bye".into())]),
        named("head", at(says("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")), &[("method", "HEAD".into())]),
    ]);
    check_down(&found, "missing", "status 404, not 2xx or 3xx");
    assert_eq!(found.number("missing,status"), Some(404.0));
    assert!(found.number("missing,total_ms").is_some());
    check_up(&found, "missed", 404.0);
    check_up(&found, "class", 404.0);
    check_down(&found, "other", "status 200, not 201 or 3xx");
    check_up(&found, "has", 200.0);
    check_down(&found, "lacks", "\"bye\" is not there");
    check_up(&found, "head", 200.0);
    assert_eq!((found.number("missing,failures"), found.number("has,failures")), (Some(1.0), Some(0.0)));
}

#[test]
fn a_server_that_breaks_off_is_down() {
    let refused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    // What was sent and not read makes the end of a connection a reset.
    let resets = serve("127.0.0.1", |stream| drop(stream.peek(&mut [0])));
    let plain = serve("127.0.0.1", |mut stream| {
        let _ = stream.read(&mut [0; 4_096]).and_then(|_| stream.write_all(HELLO.as_bytes()));
    });
    let found = collect(vec![
        named("refused", at(refused), &[]),
        named("resets", at(resets), &[]),
        named("closes", at(says("")), &[]),
        named("half", at(says("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello")), &[]),
        named("ssh", at(says("SSH-2.0-OpenSSH_9.2\r\n\r\n")), &[]),
        named("tls", format!("https://{plain}/"), &[("insecure", true.into())]),
    ]);
    check_down(&found, "refused", "connection refused");
    assert!(found.get("refused,status").is_none() && found.get("refused,total_ms").is_none());
    check_down(&found, "resets", "connection reset");
    check_down(&found, "closes", "closed without an answer");
    check_down(&found, "half", "closed within the body, after 5 bytes");
    assert_eq!(found.number("half,status"), Some(200.0));
    check_down(&found, "ssh", "no HTTP");
    check_down(&found, "tls", "TLS: received corrupt message");
}

#[test]
fn what_hangs_or_never_ends_is_over_in_time() {
    let silent = serve("127.0.0.1", |stream| {
        let _ = stream.peek(&mut [0; 1]);
        std::thread::park();
    });
    let drips = serve("127.0.0.1", |mut stream| {
        heard(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
        while stream.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    let endless = |first: &'static str| {
        serve("127.0.0.1", move |mut stream| {
            heard(&mut stream);
            let _ = stream.write_all(first.as_bytes());
            while stream.write_all(&[b'x'; 10_000]).is_ok() {}
        })
    };
    let short: &[(&str, Value)] = &[("timeout", "300ms".into())];
    let began = Instant::now();
    let found = collect(vec![
        named("silent", at(silent), short),
        named("handshake", format!("https://{silent}/"), &[("insecure", true.into()), ("timeout", "300ms".into())]),
        named("drips", at(drips), short),
        named("head", at(endless("HTTP/1.1 200 OK\r\nX: ")), &[]),
        named("body", at(endless("HTTP/1.1 200 OK\r\n\r\n")), &[]),
        named("lacks", at(endless("HTTP/1.1 200 OK\r\n\r\n")), &[("contains", "hello".into())]),
    ]);
    let took = began.elapsed();
    check_down(&found, "silent", "out of time waiting for an answer");
    assert!(found.number("silent,connect_ms").is_some() && found.get("silent,first_byte_ms").is_none());
    check_down(&found, "handshake", "out of time shaking hands");
    check_down(&found, "drips", "out of time reading the body");
    assert!(found.number("drips,status") == Some(200.0) && found.number("drips,first_byte_ms").is_some());
    check_down(&found, "head", "header has more than");
    check_up(&found, "body", 200.0);
    assert_eq!(found.number("body,bytes"), Some(1024.0 * 1024.0));
    check_down(&found, "lacks", "\"hello\" is not in its first 1048576 bytes");
    assert!((Duration::from_millis(300)..Duration::from_secs(5)).contains(&took), "{took:?}");
}

#[test]
fn no_more_than_told_are_asked_at_a_time() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&most);
    let server = serve("127.0.0.1", move |mut stream| {
        heard(&mut stream);
        seen.fetch_max(now.fetch_add(1, Ordering::AcqRel) + 1, Ordering::AcqRel);
        std::thread::sleep(Duration::from_millis(20));
        now.fetch_sub(1, Ordering::AcqRel);
        let _ = stream.write_all(HELLO.as_bytes());
    });
    let urls: Vec<Value> = (0..12).map(|n| format!("{}{n}", at(server)).as_str().into()).collect();
    let params = Params::new().with("urls", urls).with("parallel", 3);
    let found = CollectorKit::<UrlCheck>::new(&params).unwrap().collect().unwrap();
    assert_eq!(found.iter().filter(|(path, _)| path.ends_with(",up")).count(), 12);
    let most = most.load(Ordering::Acquire);
    assert!((2..=3).contains(&most), "{most} at a time");
}

#[test]
fn redirects_are_followed_where_that_is_asked() {
    let other_heard = Arc::new(Mutex::new(String::new()));
    let kept = Arc::clone(&other_heard);
    let other = serve("127.0.0.1", move |mut stream| {
        *kept.lock().unwrap() = heard(&mut stream);
        let _ = stream.write_all(HELLO.as_bytes());
    });
    let server = serve("127.0.0.1", move |mut stream| {
        let request = heard(&mut stream);
        let path = request.split(' ').nth(1).unwrap_or_default();
        let to = match path {
            "/here" => "/there".to_owned(),
            "/there" if request.contains("x-key: secret") => format!("http://{other}/x"),
            "/ftp" => "ftp://x/".to_owned(),
            _ => "/loop".to_owned(),
        };
        let _ = write!(stream, "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 2\r\n\r\nhi");
    });
    let key = table(&[("X-Key", "secret".into())]);
    let follow = |name, path: &str| {
        named(name, format!("http://{server}{path}"), &[("follow", true.into()), ("headers", key.clone())])
    };
    let found = collect(vec![
        follow("follows", "/here"),
        follow("loops", "/loop"),
        follow("leaves", "/ftp"),
        named("stays", format!("http://{server}/here"), &[]),
    ]);
    check_up(&found, "follows", 200.0);
    assert_eq!(found.number("follows,bytes"), Some(5.0));
    let heard = other_heard.lock().unwrap();
    assert!(heard.starts_with("GET /x ") && !heard.contains("secret"), "{heard}");
    check_down(&found, "loops", "more than 5 redirects");
    check_down(&found, "leaves", "the scheme \"ftp\"");
    check_up(&found, "stays", 302.0);
}

#[test]
fn certificates_are_judged_and_their_end_is_known_all_the_same() {
    let (authority, stranger) = (Authority::new("one"), Authority::new("another"));
    let ca = authority.file("authority.pem").display().to_string();
    let good = authority.says("localhost", 2099, HELLO).port();
    let ended = authority.says("localhost", 2020, HELLO).port();
    let other = authority.says("other.example", 2099, HELLO).port();
    let strange = stranger.says("127.0.0.1", 2099, HELLO).port();
    let by = |name, port: u16, more: (&str, Value)| named(name, format!("https://localhost:{port}/"), &[more]);
    let trust = || ("ca", ca.as_str().into());
    let found = collect(vec![
        by("good", good, trust()),
        by("ended", ended, trust()),
        by("other", other, trust()),
        by("strange", strange, trust()),
        by("system", strange, ("method", "GET".into())),
        by("anyone", ended, ("insecure", true.into())),
        named("address", format!("https://127.0.0.1:{strange}/"), &[("insecure", true.into())]),
    ]);
    check_up(&found, "good", 200.0);
    assert!(found.number("good,tls_ms").is_some_and(|ms| ms > 0.0));
    // The kit's clock stands at 2023-11-14, 22:30 UTC.
    let days = found.number("good,tls_expires_days").unwrap();
    assert!((days - 27_805.06).abs() < 0.1, "{days}");
    check_down(&found, "ended", "TLS: invalid peer certificate: certificate expired");
    assert!(found.number("ended,tls_expires_days").is_some_and(|days| days < -1_000.0));
    check_down(&found, "other", "TLS: invalid peer certificate: certificate not valid for name \"localhost\"");
    assert!(found.get("other,status").is_none() && found.number("other,connect_ms").is_some());
    check_down(&found, "strange", "TLS: invalid peer certificate: UnknownIssuer");
    check_down(&found, "system", "TLS: invalid peer certificate: UnknownIssuer");
    check_up(&found, "anyone", 200.0);
    assert!(found.number("anyone,tls_expires_days").is_some_and(|days| days < -1_000.0));
    check_up(&found, "address", 200.0);
}

/// What is said of each path besides values: for how long it lives, in milliseconds.
fn lives(collector: &mut UrlCheck) -> Vec<(String, u128)> {
    let mut out = Delta::new();
    out.set_clock(Clock::new(1_700_000_000_000, 1));
    collector.collect(&mut out).expect("a sample");
    let mut reader = Reader::new(out.flush()).expect("a frame");
    let mut lives = Vec::new();
    while let Some(entry) = reader.next_entry().expect("an entry") {
        if let Op::Lifetime(life) = entry.op {
            lives.push((reader.path().join(","), life.as_millis()));
        }
    }
    lives
}

#[test]
fn what_no_longer_holds_is_taken_away_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        heard(&mut stream);
        stream.write_all(HELLO.as_bytes()).unwrap();
    });
    let params = Params::new().with("urls", vec![named("x", at(address), &[])]);
    let mut collector = UrlCheck::new(&params).unwrap();
    let ended = |lives: &[(String, u128)]| -> Vec<String> {
        let ended = lives.iter().filter(|(_, life)| *life < 1_000).map(|(path, _)| path.clone());
        ended.collect()
    };
    // Also what another life of the module may have said.
    let first = lives(&mut collector);
    assert_eq!(ended(&first), ["x,tls_ms", "x,tls_expires_days"]);
    assert!(first.contains(&("x,status".to_owned(), 3_600_000)));
    server.join().unwrap();
    let gone = ["x,status", "x,resolve_ms", "x,connect_ms", "x,first_byte_ms", "x,total_ms", "x,bytes"];
    let second = ended(&lives(&mut collector));
    assert!(gone.iter().all(|path| second.contains(&(*path).to_owned())), "{second:?}");
    assert_eq!(ended(&lives(&mut collector)), Vec::<String>::new());
}
