//! Lines that are handed to a running daemon.

use graftd_tests::{Daemon, Folders, Ran, binary, fixture, graftd, graftd_with_input, real_log};
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::sync::Arc;
use std::thread;

fn line(n: usize) -> String {
    format!("192.0.2.1 - - [01/May/2025:00:00:00 +0000] \"GET /{n} HTTP/1.1\" {} 1 \"-\" \"curl/8\"\n", 200 + n % 2)
}

fn push(daemon: &Daemon, args: &[&str], input: &[u8]) -> Ran {
    let url = format!("http://{}", daemon.http());
    graftd_with_input(["ingest", "--push", &url].into_iter().chain(args.iter().copied()), input)
}

#[test]
fn a_daemon_takes_all_lines_and_says_which_are_bad() {
    let daemon = Daemon::builder().plugins(&["status", "url", "visitors", "request-time"]).start();
    for module in ["status", "url", "visitors", "request-time"] {
        daemon.await_state(module, "running");
    }
    // More than one block, so that lines are counted across them.
    let mut text: String = (0..60_000).map(line).collect();
    text.push_str("\nnonsense\n");
    text.push_str(line(7).trim_end());
    let ran = push(&daemon, &["-"], text.as_bytes()).good();
    assert_eq!(ran.stdout, "pushed 60001, 1 did not parse\n");
    assert!(ran.stderr.contains("graftd: -: line 60002: "), "{}", ran.stderr);
    assert_eq!(daemon.subtree("status"), json!({"200": 30_000, "201": 30_001}));
    // A sketch is folded where it is kept.
    let timed = line(0).trim_end().to_owned() + " 0.250 -\n";
    let folders = Folders::new();
    let log = folders.write("timed.log", timed.repeat(3));
    push(&daemon, &["--format", "timed", &log, &log], b"").good();
    assert_eq!(daemon.subtree("request_time")["2xx"][""]["count"], json!(6));
}

#[test]
fn a_real_log_is_the_same_pushed_as_read() {
    let log = real_log().unwrap_or_else(|| fixture("access.log")).display().to_string();
    let daemon = Daemon::builder().plugins(&["status", "bytes"]).start();
    daemon.await_state("status", "running");
    daemon.await_state("bytes", "running");
    push(&daemon, &[&log], b"").good();
    let folders = Arc::clone(daemon.folders());
    let here = folders.args();
    let read = graftd(["ingest", "--json", &log].into_iter().chain(here.iter().map(String::as_str))).good().json();
    assert_eq!(daemon.subtree("status"), read["status"]);
    assert_eq!(daemon.subtree("bytes"), read["bytes"]);
}

#[test]
fn what_a_daemon_refuses_ends_it_with_its_words() {
    let folders = Arc::new(Folders::new().plugins(&["status"]));
    let token = "correct-horse-battery-staple";
    let file = folders.write("token", format!("{token}\n"));
    let daemon = Daemon::builder().folders(&folders).settings(&format!("token_file = {file:?}\n")).start();
    let ran = push(&daemon, &["-"], line(1).as_bytes());
    ran.failed(1, &["token", "0 lines were taken before"]);
    push(&daemon, &["--token-file", &file, "-"], line(1).as_bytes()).good();
    let log = folders.write("a.log", line(1));
    let url = format!("http://{}", daemon.http());
    let ran = Command::new(binary()).args(["ingest", "--push", &url, &log]).env("GRAFTD_TOKEN", token).output();
    assert!(ran.expect("graftd").status.success());
}

#[test]
fn an_answer_of_5xx_stops_after_what_was_taken() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let serving = thread::spawn(move || {
        let mut asked = 0;
        for answer in [
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: 41\r\n\r\n\
             {\"merged\":5,\"rejected\":0,\"errors\":[]}    ",
            "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 27\r\n\r\n{\"error\":\"come again soon\"}",
        ] {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") {
                stream.read_exact(&mut byte).expect("a head");
                head.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&head).to_lowercase();
            let length = head.split("content-length:").nth(1).and_then(|rest| rest.lines().next());
            let length: u64 = length.and_then(|text| text.trim().parse().ok()).expect("a length");
            assert!(length < 16 << 20, "{length}");
            std::io::copy(&mut (&mut stream).take(length), &mut std::io::sink()).expect("a body");
            asked += 1;
            stream.write_all(answer.as_bytes()).expect("an answer");
        }
        asked
    });
    let text: String = (0..200_000).map(line).collect();
    let ran = graftd_with_input(["ingest", "--push", &url, "-"], text.as_bytes());
    ran.failed(1, &["come again soon", "5 lines were taken before"]);
    assert_eq!(serving.join().expect("no panic"), 2, "nothing is sent after it");
}

#[test]
fn what_cannot_be_pushed_is_said() {
    let daemon = Daemon::builder().plugins(&["status"]).start();
    daemon.await_state("status", "running");
    let json = "{\"ip\":\"192.0.2.1\",\"status\":200}\n";
    let ran = push(&daemon, &["-"], json.as_bytes());
    ran.failed(1, &["is in the format \"json\"", "combined and timed"]);
    push(&daemon, &["--format", "json", "-"], json.as_bytes()).failed(2, &["\"json\""]);
    push(&daemon, &["/nowhere/a.log"], b"").failed(1, &["/nowhere/a.log: "]);
    push(&daemon, &["--threads", "2", "-"], b"").failed(2, &["--threads"]);
    push(&daemon, &["--json", "-"], b"").failed(2, &["--json"]);
    for (url, why) in [
        ("notaurl", "that begins with http://"),
        ("127.0.0.1:8650", "that begins with http://"),
        ("http://", "that begins with http://"),
        ("http://:80", "it names no host"),
        ("http://a b", "invalid uri character"),
        ("", "that begins with http://"),
    ] {
        // Also where there is nothing to push.
        let ran = graftd_with_input(["ingest", "--push", url, "-"], b"");
        ran.failed(2, &["is no address of a daemon: ", why, "write it as http://127.0.0.1:8650"]);
    }
    graftd(["get", "--url", "notaurl", "status"]).failed(2, &["\"notaurl\" is no address of a daemon"]);
    let ran = graftd_with_input(["ingest", "--push", "http://127.0.0.1:9", "-"], line(1).as_bytes());
    ran.failed(1, &["does not answer"]);
}
