//! Who pushes too much, too slowly, or nonsense: it is refused with a reason, and costs its neighbours nothing.

use flate2::Compression;
use flate2::write::GzEncoder;
use graftd_tests::{Answer, Daemon, Folders, HOST, PATIENCE};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

fn connect(address: std::net::SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("connected");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// Everything that a connection says until it ends.
fn said(mut stream: TcpStream) -> String {
    let mut said = Vec::new();
    // It may be reset at its end: what it said before counts.
    let _ = stream.read_to_end(&mut said);
    String::from_utf8_lossy(&said).into_owned()
}

/// What was counted at `graftd,HOST,push,…`, as far as it is told.
fn counted(daemon: &Daemon, path: &str) -> Value {
    daemon.value(&format!("graftd,{HOST},push,{path}"))
}

#[test]
fn it_is_counted_by_way_and_by_source() {
    let daemon = Daemon::builder().start();
    daemon.push(&json!({"n": {"a": 1, "b": 1}}));
    daemon.post("/push", "application/json", b"{\"n\":null}").refused(400, &["n"]);
    daemon.post("/push", "text/x-unknown", b"x").refused(415, &["Content-Type"]);
    let mut stream = connect(daemon.push_address());
    stream.write_all(b"{\"n\":{\"a\":1}}\n{\"n\":null}\n{\"n\":{\"c\":1}}").expect("sent");
    stream.shutdown(Shutdown::Write).expect("told");
    assert!(said(stream).contains("null"));
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.send_to(b"{\"u\":1}", daemon.push_address()).expect("sent");
    daemon.await_value("u", 1);
    // By way: documents, leaves, bytes, errors, refused.
    for (way, want) in [
        ("http", [json!(1), json!(2), json!(29), json!(1), json!(1)]),
        ("tcp", [json!(2), json!(2), json!(38), json!(1), Value::Null]),
        ("udp", [json!(1), json!(1), json!(7), Value::Null, Value::Null]),
    ] {
        daemon.await_value(&format!("graftd,{HOST},push,{way},documents"), want[0].clone());
        let found =
            ["documents", "leaves", "bytes", "errors", "refused"].map(|key| counted(&daemon, &format!("{way},{key}")));
        assert_eq!(found, want, "{way}");
    }
    let found = ["documents", "leaves", "bytes", "errors", "refused"]
        .map(|key| counted(&daemon, &format!("source,127.0.0.1,{key}")));
    assert_eq!(found, [json!(4), json!(5), json!(74), json!(2), json!(1)]);
}

#[test]
fn a_source_has_its_rate() {
    let daemon = Daemon::builder().settings("[limits]\npush_per_source = 20_000").start();
    let document = json!({"n": 1, "filler": "x".repeat(4_000)}).to_string();
    let mut taken = 0_u64;
    let refused = (0..1_000).find_map(|_| {
        let answer = daemon.post("/push", "application/json", document.as_bytes());
        taken += u64::from(answer.status == 200);
        (answer.status != 200).then_some(answer)
    });
    let refused: Answer = refused.expect("it is too fast");
    refused.refused(429, &["push_per_source", "try again later"]);
    let after: u64 = refused.header("retry-after").parse().expect("seconds");
    assert!((1..=10).contains(&after), "{refused:?}");
    assert!(taken >= 10, "two seconds' worth may come at once: {taken}");
    // UDP is dropped, and counted.
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let before = counted(&daemon, "udp,refused");
    assert_eq!(before, Value::Null);
    for _ in 0..50 {
        socket.send_to(document.as_bytes(), daemon.push_address()).expect("sent");
    }
    assert!(daemon.await_number(&format!("graftd,{HOST},push,udp,refused")) > 0.0);
    // TCP is not read for so long, and nothing is lost.
    let began = Instant::now();
    let n = daemon.value("n").as_u64().expect("a number");
    let mut stream = connect(daemon.push_address());
    for _ in 0..20 {
        stream.write_all(format!("{document}\n").as_bytes()).expect("sent");
    }
    stream.shutdown(Shutdown::Write).expect("told");
    assert_eq!(said(stream), "");
    let now = daemon.value("n").as_u64().expect("a number");
    assert!(now - n >= 20, "{n} {now}");
    assert!(began.elapsed() >= Duration::from_secs(1), "80 KB at 20 KB a second: {:?}", began.elapsed());
    // The command line comes again when it is told to.
    let file = daemon.folders().write("lines", format!("{document}\n").repeat(20));
    assert_eq!(daemon.cli(&["push", &file]).good().stdout, "merged 40\n");
}

#[test]
fn a_source_has_its_connections() {
    let daemon = Daemon::builder().settings("[limits]\nconnections_per_source = 20").start();
    daemon.push(&json!({"n": 1}));
    let held: Vec<_> = (0..19).map(|_| connect(daemon.http())).collect();
    let answer = said(connect(daemon.http()));
    assert!(answer.starts_with("HTTP/1.1 429 ") && answer.contains("your address has 20"), "{answer}");
    let held_tcp: Vec<_> = (0..20).map(|_| connect(daemon.push_address())).collect();
    let answer = said(connect(daemon.push_address()));
    assert!(answer.contains("your address has 20") && answer.ends_with("}\n"), "{answer}");
    // Those that it has go on.
    assert_eq!(daemon.value("n"), 1);
    (&held_tcp[0]).write_all(b"{\"n\":1}\n").expect("sent");
    daemon.await_value("n", 2);
    daemon.await_value(&format!("graftd,{HOST},http,connections_refused"), 1);
    daemon.await_value(&format!("graftd,{HOST},push,connections_refused"), 1);
    drop((held, held_tcp));
    // And when they are gone there is room again.
    let until = Instant::now() + PATIENCE;
    loop {
        let mut stream = connect(daemon.push_address());
        stream.write_all(b"{\"n\":1}\n").expect("sent");
        stream.shutdown(Shutdown::Write).expect("told");
        if said(stream).is_empty() {
            break;
        }
        assert!(Instant::now() < until, "they are still counted");
    }
}

#[test]
fn who_says_no_token_is_not_waited_for() {
    let folders = Arc::new(Folders::new());
    let file = folders.write("token", "correct-horse-battery-staple");
    let daemon = Daemon::builder().folders(&folders).settings(&format!("token_file = {file:?}")).start();
    let silent = connect(daemon.push_address());
    let mut slow = connect(daemon.push_address());
    slow.write_all(b"{\"tok").expect("sent");
    let began = Instant::now();
    for stream in [silent, slow] {
        let said = said(stream);
        assert!(said.contains("not there in time") && said.ends_with("}\n"), "{said}");
    }
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
}

/// Latencies of a neighbour that asks and pushes, sorted.
fn neighbour(daemon: &Daemon, rounds: usize) -> Vec<Duration> {
    let mut took = Vec::with_capacity(2 * rounds);
    for _ in 0..rounds {
        let began = Instant::now();
        daemon.push(&json!({"neighbour": 1}));
        took.push(began.elapsed());
        let began = Instant::now();
        daemon.get("/get/?key-neighbour").good();
        took.push(began.elapsed());
    }
    took.sort();
    took
}

#[test]
fn with_500_hostile_connections_neighbours_notice_nothing() {
    let daemon = Daemon::builder().start();
    let alone = neighbour(&daemon, 200);
    let (http, push) = (daemon.http(), daemon.push_address());
    let bomb = {
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        packed.write_all(&vec![b' '; 64 << 20]).expect("packed");
        packed.finish().expect("packed")
    };
    let head = |more: &str| format!("POST /push HTTP/1.1\r\nHost: {http}\r\nContent-Type: application/json\r\n{more}");
    let mut drips: Vec<TcpStream> = Vec::new();
    let mut held: Vec<TcpStream> = Vec::new();
    let open = |address, bytes: &[u8]| {
        let mut stream = connect(address);
        stream.write_all(bytes).expect("sent");
        stream
    };
    for _ in 0..100 {
        // A head that never ends, a body that never ends, half a line.
        drips.push(open(http, format!("GET /get/?key-n HTTP/1.1\r\nHost: {http}\r\nX-Slow: ").as_bytes()));
        drips.push(open(http, head("Content-Length: 1000000\r\n\r\n{\"a\":\"").as_bytes()));
        drips.push(open(push, format!("{{\"a\":\"{}", "x".repeat(40_000)).as_bytes()));
    }
    for _ in 0..40 {
        // Silent ones; many requests whose answers nobody takes; a bomb; chunks without end, announced or not.
        held.push(open(http, b""));
        held.push(open(push, b""));
        let flood = format!("GET /api/q/graftd HTTP/1.1\r\nHost: {http}\r\n\r\n").repeat(500);
        held.push(open(http, flood.as_bytes()));
        let length = bomb.len();
        let packed = head(&format!("Content-Encoding: gzip\r\nContent-Length: {length}\r\n\r\n"));
        held.push(open(http, &[packed.as_bytes(), &bomb].concat()));
        let chunked = head("Transfer-Encoding: chunked\r\n\r\n1000\r\n");
        held.push(open(http, &[chunked.as_bytes(), &[b' '; 0x1000]].concat()));
    }
    assert_eq!(drips.len() + held.len(), 500);
    let stop = AtomicBool::new(false);
    let under_attack = thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                drips.iter().for_each(|stream| drop((&*stream).write(b"x")));
                thread::park_timeout(Duration::from_millis(20));
            }
        });
        // Who sends as fast as it can, for ever, what is too long.
        for address in [http, push] {
            let endless = head("Content-Length: 1000000000000\r\n\r\n");
            let stop = &stop;
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let mut stream = connect(address);
                    let begins: &[u8] = if address == http { endless.as_bytes() } else { b"{\"a\":\"" };
                    let mut more = stream.write_all(begins).is_ok();
                    while more && !stop.load(Ordering::Relaxed) {
                        more = stream.write_all(&[b'x'; 64 << 10]).is_ok();
                    }
                }
            });
        }
        let took = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| neighbour(&daemon, 500)));
        stop.store(true, Ordering::Relaxed);
        took
    });
    let under_attack = under_attack.expect("every request of the neighbour is answered");
    let p = |took: &[Duration], percent: usize| took[took.len() * percent / 100];
    let (before, now) = (p(&alone, 99), p(&under_attack, 99));
    println!(
        "a neighbour alone: p50 {:?} p99 {before:?}; beside 500 hostile connections: p50 {:?} p99 {now:?}",
        p(&alone, 50),
        p(&under_attack, 50)
    );
    assert!(now < Duration::from_millis(500), "{before:?} {now:?}");
    assert_eq!(daemon.value("neighbour"), 700);
    let rss = daemon.await_number(&format!("graftd,{HOST},process,rss"));
    println!("the daemon has {} MB", rss / 1e6);
    assert!(rss < 600e6, "{rss}");
    assert!(daemon.get("/readyz").good().body.contains("true"));
}

#[test]
fn what_is_pipelined_is_answered_in_its_order() {
    let daemon = Daemon::builder().start();
    let http = daemon.http();
    let mut stream = connect(http);
    let one = |n: usize| {
        let body = format!("{{\"n\":{n}}}");
        format!(
            "POST /push HTTP/1.1\r\nHost: {http}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let last = format!("GET /get/?key-n HTTP/1.1\r\nHost: {http}\r\nConnection: close\r\n\r\n");
    let all: String = (0..2_000).map(|_| one(1)).chain([last]).collect();
    let reads = stream.try_clone().expect("cloned");
    let writes = thread::spawn(move || stream.write_all(all.as_bytes()).expect("sent"));
    let said = said(reads);
    writes.join().expect("sent");
    assert_eq!(said.matches("HTTP/1.1 200 OK").count(), 2_001);
    assert!(said.ends_with("[{\"n\":2000}]"), "{}", &said[said.len() - 100..]);
}
