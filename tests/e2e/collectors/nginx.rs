//! `nginx` against a real one.

use super::server::Nginx;
use crate::gmond::free_port;
use graftd_tests::{Daemon, Folders, HOST};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

fn servers(port: u16, socket: &Path) -> String {
    format!(
        "server {{\nlisten 127.0.0.1:{port};\nlisten unix:{};\nkeepalive_timeout 60s;\n\
         location = /nginx_status {{ stub_status; }}\nlocation / {{ return 204; }}\n}}",
        socket.display()
    )
}

/// Sends a request on a connection that stays, and reads the answer.
fn ask(stream: &mut TcpStream) {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").expect("sent");
    let (mut answer, mut byte) = (Vec::new(), [0]);
    while !answer.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("an answer");
        answer.push(byte[0]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 204"), "{}", String::from_utf8_lossy(&answer));
}

fn at(key: &str) -> String {
    format!("nginx,{HOST},{key}")
}

fn number(daemon: &Daemon, key: &str) -> Option<f64> {
    daemon.value(&at(key)).as_f64()
}

/// How fast the requests grow, once that is known.
fn rate(daemon: &Daemon) -> Option<f64> {
    let path = at("requests");
    daemon.get(&format!("/get/?key-{path}&as=rate")).good().json()[0][path.as_str()].as_f64()
}

#[test]
fn what_a_real_nginx_counts_is_in_the_tree_and_its_restart_is_no_peak() {
    let folders = Arc::new(Folders::new().plugins(&["nginx"]));
    let (port, socket) = (free_port(), folders.root().join("nginx.sock"));
    let Some(mut nginx) = Nginx::start(&folders, port, &servers(port, &socket)) else { return };
    folders.write_conf(
        "nginx.on",
        &format!("every = \"100ms\"\n[params]\nurl = \"http://127.0.0.1:{port}/nginx_status\"\ntimeout = \"2s\"\n"),
    );
    folders.write_conf(
        "by-socket.on",
        &format!(
            "plugin = \"nginx\"\nevery = \"100ms\"\npath = \"by_socket\"\n[params]\nurl = \"http://status/nginx_status\"\nsocket = {:?}\n",
            socket.display().to_string()
        ),
    );
    let daemon = Daemon::builder().folders(&folders).tick(Duration::from_millis(100)).start();
    daemon.await_value(&at("up"), 1);
    daemon.await_value("by_socket,up", 1);

    // Three that stay and do nothing, and what they asked before.
    let (requests, accepts) = (number(&daemon, "requests").expect("told"), number(&daemon, "accepts").expect("told"));
    let mut idle: Vec<_> = (0..3).map(|_| TcpStream::connect(("127.0.0.1", port)).expect("it listens")).collect();
    for _ in 0..100 {
        idle.iter_mut().for_each(ask);
    }
    daemon.await_change(&at("requests"), |daemon| (number(daemon, "requests")? >= requests + 300.0).then_some(()));
    daemon.await_change(&at("waiting"), |daemon| (number(daemon, "waiting")? == 3.0).then_some(()));
    // The one that asks is active too, and written to.
    assert!(number(&daemon, "active").expect("told") >= 4.0 && number(&daemon, "writing").expect("told") >= 1.0);
    assert!(number(&daemon, "accepts").expect("told") >= accepts + 3.0);
    assert_eq!((number(&daemon, "reading"), number(&daemon, "dropped")), (Some(0.0), Some(0.0)));
    let busy = daemon.await_change(&at("requests"), rate).found;
    let meta = daemon.get(&format!("/api/q/nginx,{HOST}.json?meta=1")).good().json()["meta"].clone();
    assert_eq!((&meta["requests"]["units"], &meta["waiting"]["units"]), (&"requests".into(), &"connections".into()));

    let before = number(&daemon, "requests").expect("told");
    nginx.end();
    daemon.await_value(&at("up"), 0);
    assert_eq!(daemon.value(&at("error")), format!("127.0.0.1:{port}: connection refused"));
    daemon.await_change(&at("active"), |daemon| daemon.value(&at("active")).is_null().then_some(()));
    assert!(number(&daemon, "requests").expect("it stays") >= before);
    assert_eq!((&daemon.module("nginx")["state"], &daemon.module("nginx")["why"]), (&"running".into(), &"".into()));
    drop(idle);

    // A socket is left by one that was killed, and the next could not listen there.
    std::fs::remove_file(&socket).expect("removed");
    nginx.begin();
    daemon.await_value(&at("up"), 1);
    daemon.await_value("by_socket,up", 1);
    assert_eq!(daemon.value(&at("error")), "");
    let began_anew = daemon.await_change(&at("requests"), |daemon| number(daemon, "requests")).found;
    assert!(began_anew < before, "{began_anew} after {before}");
    assert!(number(&daemon, "active").is_some());
    let most = busy.max(300.0 / 0.1);
    let mut rates = 0;
    daemon.await_change(&at("requests"), |daemon| {
        let rate = rate(daemon)?;
        assert!((0.0..=most).contains(&rate), "{rate} requests a second");
        rates += 1;
        (rates > 5).then_some(())
    });
}
