//! Who means harm at a relay's port holds back none of the others.

use super::Host;
use graftd_tests::PATIENCE;
use serde_json::json;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Entries of all senders together that a receiver has room for, in bytes.
const ROOM: u32 = 96 * 1024 * 1024;

fn message(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    [&(body.len() as u32 + 1).to_le_bytes()[..], &[kind], &body].concat()
}

/// A sender that a receiver has agreed to.
fn sender(to: SocketAddr, name: &str) -> TcpStream {
    let mut stream = TcpStream::connect(to).expect("connected");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    let said: Vec<u8> = ["host", name, "stream", name]
        .iter()
        .flat_map(|text| [&(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat())
        .collect();
    let hello = message(1, &[&1u64.to_le_bytes(), &2u64.to_le_bytes(), &said]);
    stream.write_all(&[b"graftd-relay\n", &hello[..]].concat()).expect("written");
    let mut head = [0; 13 + 5];
    stream.read_exact(&mut head).expect("an answer");
    assert_eq!(head[17], 2, "a welcome");
    stream
}

#[test]
fn large_entries_that_drip_give_way_to_those_who_wait() {
    let server = Host::server("top");
    let agent = Host::bare("leaf").sends_to(&[&server], "");
    let top = server.start();
    let to = top.listens("relay").expect("it receives");
    // Two that take all the room there is, and then send next to nothing.
    let mut held: Vec<TcpStream> = ["one", "two"].map(|name| sender(to, name)).into();
    for stream in &mut held {
        let head = [&(ROOM / 2).to_le_bytes()[..], &[3], &1u64.to_le_bytes(), &1u64.to_le_bytes()].concat();
        stream.write_all(&head).expect("written");
        stream.write_all(&[0; 20_000]).expect("written");
    }
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                for stream in &mut held {
                    // It may have been let go.
                    let _ = stream.write_all(&[0; 64]);
                }
                thread::sleep(Duration::from_millis(50));
            }
        });
        let leaf = agent.start();
        // Nothing that packs well: its entry is a large one.
        let mut chance = super::exact::Chance(1);
        let texts: serde_json::Map<String, serde_json::Value> = (0..60)
            .map(|n| {
                (n.to_string(), (0..100).map(|_| format!("{:016x}", chance.below(u64::MAX))).collect::<String>().into())
            })
            .collect();
        leaf.push(&json!([{ "texts": texts }]));
        leaf.push(&json!([{ "last": 1 }]));
        let began = Instant::now();
        top.await_value("last", 1);
        println!("its entries had to wait for {:?}", began.elapsed());
        done.store(true, Ordering::Relaxed);
    });
    assert!(top.stderr().contains("while others wait for room"), "{}", top.stderr());
}

#[test]
fn who_says_no_hello_leaves_for_those_who_come() {
    let server = Host::server("top");
    let agent = Host::bare("leaf").sends_to(&[&server], "");
    let top = server.start();
    let to = top.listens("relay").expect("it receives");
    let came = Instant::now();
    let mut crowd: Vec<TcpStream> = (0..1_200).map(|_| TcpStream::connect(to).expect("connected")).collect();
    for stream in &mut crowd[..100] {
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("set");
        let read = stream.read(&mut [0]);
        // Long before their time is over.
        assert!(
            matches!(&read, Ok(0)) || read.as_ref().is_err_and(|e| e.kind() == ErrorKind::ConnectionReset),
            "{read:?}"
        );
    }
    assert!(came.elapsed() < Duration::from_secs(9), "{:?}", came.elapsed());
    let leaf = agent.start();
    leaf.push(&json!([{ "hits": 1 }]));
    top.await_value("hits", 1);
    let mut last = crowd.pop().expect("the last");
    last.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
    let mut said = String::new();
    last.read_to_string(&mut said).expect("told why");
    assert!(said.contains("no hello within 10s") || said.is_empty(), "{said}");
    // Whoever is there is looked after: what the kernel counts down is a sign of life (the timer 02 of proc(5)).
    let sockets = fs::read_to_string("/proc/net/tcp").expect("the kernel's list");
    let port = format!(":{:04X}", to.port());
    let timers: Vec<&str> = sockets
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|words| words.get(1).is_some_and(|local| local.ends_with(&port)) && words[3] == "01")
        .map(|words| if words[5].starts_with("02") { "02" } else { "none" })
        .collect();
    assert!(!timers.is_empty() && timers.iter().all(|timer| *timer == "02"), "{timers:?}");
}
