//! Who is no relay, or not one that may send, is told so; others do not notice.

use super::{Host, LOG, Log, await_lines};
use graftd_tests::PATIENCE;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const MARK: &[u8] = b"graftd-relay\n";

/// What is answered to bytes until the connection is closed, and how long that took.
fn answer(to: SocketAddr, bytes: &[u8]) -> (String, Duration) {
    let began = Instant::now();
    let mut stream = TcpStream::connect(to).expect("connected");
    stream.set_read_timeout(Some(PATIENCE * 2)).expect("set");
    let _ = stream.write_all(bytes);
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    (String::from_utf8_lossy(&said).into_owned(), began.elapsed())
}

/// An entry of a sender's.
pub(super) fn entry(number: u64, tag: u64, data: &[u8]) -> Vec<u8> {
    message(3, &[&number.to_le_bytes()[..], &tag.to_le_bytes(), data].concat())
}

/// What adds to a counter, as it is in an entry: a frame, in one raw block of zstd.
pub(super) fn packed(key: &str, n: f64) -> Vec<u8> {
    let frame = [&[1, 2, 0, 1, key.len() as u8][..], key.as_bytes(), &n.to_le_bytes()].concat();
    let block = (frame.len() as u32) << 3 | 1;
    [&[0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38][..], &block.to_le_bytes()[..3], &frame].concat()
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32 + 1).to_le_bytes()[..], &[kind], body].concat()
}

pub(super) fn hello(versions: (u64, u64), said: &[(&str, &str)]) -> Vec<u8> {
    let mut body = [versions.0.to_le_bytes(), versions.1.to_le_bytes()].concat();
    for text in said.iter().flat_map(|(name, is)| [name, is]) {
        body.extend((text.len() as u32).to_le_bytes());
        body.extend(text.as_bytes());
    }
    [MARK, &message(1, &body)].concat()
}

pub(super) const SENDER: [(&str, &str); 3] = [("stream", "x.relay"), ("host", "x"), ("life", "1")];

#[test]
fn who_is_no_relay_is_told_so_and_neighbours_go_on() {
    let server = Host::server("top");
    let agent = Host::agent("leaf").sends_to(&[&server], "");
    let (top, _leaf) = (server.start(), agent.start());
    let to = top.listens("relay").expect("it listens");
    let mut log = Log::of(&agent);
    let good = hello((1, 1), &SENDER);
    let entry = |data: &[u8]| entry(1, 7, data);
    let endless = [&good[..], &u32::MAX.to_le_bytes(), &vec![0; 100_000]].concat();
    // 200 MB of zeros, packed: a raw block and one that repeats a byte, again and again.
    let mut bomb = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38];
    for i in 0..1_600u32 {
        let block = 0x2_0000 << 3 | 1 << 1 | u32::from(i == 1_599);
        bomb.extend(&block.to_le_bytes()[..3]);
        bomb.push(0);
    }
    let rows: [(&str, Vec<u8>, &str); 11] = [
        ("http", b"GET / HTTP/1.1\r\n\r\n".to_vec(), "this is no relay of graftd's"),
        ("garbage", vec![0xff; 50_000], "this is no relay of graftd's"),
        ("a later version", hello((9, 12), &SENDER), "it speaks versions 9 to 12"),
        ("no name", hello((1, 1), &SENDER[1..]), "names of a sender"),
        ("a long hello", [MARK, &(1u32 << 20).to_le_bytes(), &[1; 100_000]].concat(), "a message of 1048576 bytes"),
        ("an entry first", [MARK, &entry(b"x")].concat(), "begins with a hello"),
        ("endless", endless, "a message of 4294967295 bytes"),
        ("no kind", [&good[..], &message(99, b"")].concat(), "no kind"),
        ("no zstd", [&good[..], &entry(b"nonsense")].concat(), "cannot be unpacked"),
        ("a bomb", [&good[..], &entry(&bomb)].concat(), "unpacks to more than"),
        ("an answer", [&good[..], &message(5, &[0; 8])].concat(), "only a receiver may say"),
    ];
    for (what, bytes, want) in rows {
        log.write(100);
        let (said, took) = answer(to, &bytes);
        assert!(said.contains(want), "{what}: {said:?}");
        assert!(took < Duration::from_secs(10), "{what}: {took:?}");
    }
    await_lines(&top, LOG, log.lines);
    assert!(top.value("graftd,top,relay,refused").as_f64() >= Some(11.0));
}

#[test]
fn who_says_nothing_is_let_go() {
    let server = Host::server("top");
    let top = server.start();
    let to = top.listens("relay").expect("it listens");
    let (said, took) = answer(to, MARK);
    assert!(said.contains("no hello within"), "{said:?}");
    assert!(took < Duration::from_secs(19), "{took:?}");
}

#[test]
fn a_token_is_asked_for() {
    let mut server = Host::server("top");
    let token = server.folders.write("token", "a-token-of-some-length\n");
    let reads = server.folders.write("reads", "a-token-for-reading\n");
    let writes = server.folders.write("writes", "a-token-for-writing\n");
    let more = format!("read_token_file = {reads:?}\nwrite_token_file = {writes:?}");
    server.settings.push_str(&format!("\ntoken_file = {token:?}\n{more}"));
    let daemon = server.builder().start();
    let to = daemon.listens("relay").expect("it listens");
    for (token, want) in [
        (None, "asks for its token"),
        (Some("a-token-of-some-lengti"), "the token is another"),
        (Some("a-token-for-reading"), "the token is one for reading"),
    ] {
        let said: Vec<(&str, &str)> = SENDER.into_iter().chain(token.map(|token| ("token", token))).collect();
        let (said, _) = answer(to, &hello((1, 1), &said));
        assert!(said.contains(want) && said.contains("token_file"), "{said}");
        assert!(!said.contains("a-token-of"), "{said}");
    }
    // That is let in, and what it says then is none of a relay's.
    let said: Vec<(&str, &str)> = SENDER.into_iter().chain([("token", "a-token-for-writing")]).collect();
    let (said, _) = answer(to, &[hello((1, 1), &said), message(5, &[0; 8])].concat());
    assert!(said.contains("only a receiver may say"), "{said}");
    server.wire.as_ref().expect("a wire").leads_to(Some(to));
    let agent = Host::agent("leaf").sends_to(&[&server], "");
    let leaf = agent.start();
    leaf.await_change("graftd,leaf", |leaf| {
        let error = leaf.value("graftd,leaf,relay,relay,error");
        error.as_str().filter(|why| why.contains("refused: this daemon asks for its token")).map(drop)
    });
    let mut log = Log::of(&agent);
    log.write(10);
    std::fs::write(agent.folders.conf("secret"), "a-token-of-some-length\n").expect("written");
    // What was counted while it was refused is not lost by the change.
    let _agent = agent.sends_to(&[&server], "token_file = \"secret\"");
    leaf.await_change("graftd,leaf", |leaf| (super::figure(leaf, "leaf", "since") > 0.0).then_some(()));
    let asked = daemon.request(
        "GET",
        "/get/?key-shop,status,200&as=value",
        &[("Authorization", "Bearer a-token-of-some-length")],
        b"",
    );
    assert_eq!(asked.status, 200);
    let began = Instant::now();
    loop {
        let asked = daemon.request(
            "GET",
            "/pull/?key-shop,status,200&wait=500ms",
            &[("Authorization", "Bearer a-token-of-some-length")],
            b"",
        );
        let now = daemon.request(
            "GET",
            "/get/?key-shop,status,200&as=value",
            &[("Authorization", "Bearer a-token-of-some-length")],
            b"",
        );
        if now.json()[0]["shop,status,200"] == 10.0 {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{asked:?} {now:?}");
    }
}
