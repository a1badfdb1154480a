//! Relays by TLS: who is believed, who is not and is told so, and nothing of it costs a line.

use super::{Host, LOG, Log, await_lines, figure};
use graftd_tests::{Daemon, graftd};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use serde_json::json;
use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Makes an authority and a certificate by it.
fn made(folder: &Path, name: &str) {
    graftd(["tls", "self-signed", "--name", name, "--out", &folder.display().to_string()]).good();
}

/// Where the certificate of a receiver lies.
fn tls_of(host: &Host) -> PathBuf {
    host.folders.root().join("tls")
}

/// One that receives with a certificate for `web.example` and this host.
fn secure(host: Host) -> Host {
    made(&tls_of(&host), "web.example");
    shows(host, "")
}

/// One that receives with the certificate that lies in its folder.
fn shows(mut host: Host, more: &str) -> Host {
    let tls = tls_of(&host);
    host.settings.push_str(&format!(
        "\n[tls]\ncert = {:?}\nkey = {:?}\n{more}",
        tls.join("cert.pem"),
        tls.join("key.pem")
    ));
    host
}

/// What a sender writes that believes a receiver.
fn believes(host: &Host) -> String {
    format!("tls = true\nca = {:?}\n", tls_of(host).join("ca.pem"))
}

/// Waits until the agent says why it does not send.
#[track_caller]
fn await_error(leaf: &Daemon, words: &[&str]) {
    leaf.await_change("graftd,leaf", |leaf| {
        let error = leaf.value("graftd,leaf,relay,relay,error");
        words.iter().all(|word| error.as_str().is_some_and(|error| error.contains(word))).then_some(())
    });
}

/// Waits until the receiver's log says whom it does not let in, and why.
#[track_caller]
fn await_said(top: &Daemon, words: &str) {
    top.await_change("graftd,top", |top| top.stderr().contains(words).then_some(()));
    assert!(top.stderr().contains("a relay from "), "{}", top.stderr());
}

/// Nothing was lost that waited.
#[track_caller]
fn await_all(leaf: &Daemon, top: &Daemon, lines: u64) {
    await_lines(top, LOG, lines);
    assert_eq!((figure(leaf, "leaf", "dropped"), figure(leaf, "leaf", "lost")), (0.0, 0.0));
}

#[test]
fn what_an_agent_counts_is_counted_at_the_other_end_by_tls() {
    let server = secure(Host::server("top"));
    let middle = secure(Host::server("middle")).sends_to(&[&server], &believes(&server));
    let agent = Host::agent("leaf").sends_to(&[&middle], &believes(&middle));
    let [top, between, leaf] = [&server, &middle, &agent].map(Host::start);
    let mut log = Log::of(&agent);
    log.write(1_000);
    await_lines(&top, LOG, log.lines);
    assert!(leaf.module("relay").to_string().contains("by TLS"), "{}", leaf.module("relay"));
    // A path that needs many records.
    let many: serde_json::Map<_, _> = (0..20_000).map(|n| (format!("key-{n}"), json!(n))).collect();
    leaf.push(&json!({"many": many}));
    top.await_value("many,key-19999", 19_999);
    for wire in [&server, &middle].into_iter().filter_map(|host| host.wire.as_ref()) {
        log.write(500);
        wire.snap();
        log.write(500);
        await_lines(&top, LOG, log.lines);
    }
    between.kill();
    log.write(500);
    let _between = middle.start();
    await_all(&leaf, &top, log.lines);
    assert_eq!(
        top.subtree("many").as_object().map(serde_json::Map::len),
        leaf.subtree("many").as_object().map(serde_json::Map::len)
    );
}

#[test]
fn who_does_not_believe_says_so_and_loses_nothing() {
    let server = secure(Host::server("top"));
    let other = tls_of(&server).with_file_name("other");
    made(&other, "web.example");
    let stranger = format!("tls = true\nca = {:?}\n", other.join("ca.pem"));
    let agent = Host::agent("leaf").sends_to(&[&server], &stranger);
    let (top, leaf) = (server.start(), agent.start());
    let mut log = Log::of(&agent);
    log.write(300);
    await_error(&leaf, &["authority", "other/ca.pem", "ca = \"FILE\""]);
    await_said(&top, "ca in its relay.on has to name that");
    // What is believed by the system is not that either.
    let agent = agent.sends_to(&[&server], "tls = true");
    await_error(&leaf, &["ca = \"FILE\""]);
    leaf.await_change("graftd,leaf", |leaf| {
        let error = leaf.value("graftd,leaf,relay,relay,error");
        error.as_str().is_some_and(|error| !error.contains("other/ca.pem")).then_some(())
    });
    log.write(300);
    let agent = agent.sends_to(&[&server], &(believes(&server) + "server_name = \"other.example\""));
    await_error(&leaf, &["not for other.example", "server_name"]);
    await_said(&top, "set server_name in its relay.on");
    log.write(300);
    assert_eq!(top.value(LOG), serde_json::Value::Null, "nobody was let in");
    let _agent = agent.sends_to(&[&server], &(believes(&server) + "server_name = \"web.example\""));
    await_all(&leaf, &top, log.lines);
    // What cannot be is not taken up; the relay goes on.
    agent_writes_nonsense(&leaf);
    log.write(100);
    await_all(&leaf, &top, log.lines);
}

/// A file with an authority for a relay that speaks without TLS is a mistake: it is said, and what ran goes on.
fn agent_writes_nonsense(leaf: &Daemon) {
    let text = fs::read_to_string(leaf.conf("relay.on")).expect("a relay");
    leaf.folders().write_conf("relay.on", &text.replace("tls = true", "tls = false"));
    leaf.await_change("graftd,leaf", |leaf| {
        leaf.module("relay").to_string().contains("is for tls = true").then_some(())
    });
}

/// Makes an authority; its certificate lies in that folder.
fn authority(tls: &Path) -> Issuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    fs::create_dir_all(tls).expect("a folder");
    fs::write(tls.join("ca.pem"), params.self_signed(&key).expect("signed").pem()).expect("written");
    Issuer::new(params, key)
}

/// Makes a certificate for this host that is good from the begin of a year to that of another.
fn signed(authority: &Issuer<'static, KeyPair>, tls: &Path, years: Range<i32>) {
    let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).expect("a name");
    (params.not_before, params.not_after) = (date_time_ymd(years.start, 1, 1), date_time_ymd(years.end, 1, 1));
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, authority).expect("signed");
    let file = tls.join("key.pem");
    fs::write(&file, key.serialize_pem()).expect("written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("a secret");
    fs::write(tls.join("cert.pem"), certificate.pem()).expect("written");
}

#[test]
fn an_expired_certificate_is_told_and_a_renewed_one_is_taken_up() {
    let server = Host::server("top");
    let tls = tls_of(&server);
    let authority = authority(&tls);
    signed(&authority, &tls, 2001..2002);
    let server = shows(server, "");
    let agent = Host::agent("leaf").sends_to(&[&server], &believes(&server));
    let (top, leaf) = (server.start(), agent.start());
    let mut log = Log::of(&agent);
    log.write(300);
    await_error(&leaf, &["its certificate has expired"]);
    await_said(&top, "this daemon's certificate has expired");
    signed(&authority, &tls, 2001..4000);
    await_all(&leaf, &top, log.lines);
}

#[test]
fn a_receiver_may_ask_for_a_certificate_too() {
    let server = Host::server("top");
    let clients = tls_of(&server).with_file_name("clients");
    made(&tls_of(&server), "web.example");
    made(&clients, "leaf.example");
    let server = shows(server, &format!("client_ca = {:?}", clients.join("ca.pem")));
    let agent = Host::agent("leaf").sends_to(&[&server], &believes(&server));
    let (top, leaf) = (server.start(), agent.start());
    let mut log = Log::of(&agent);
    log.write(300);
    await_error(&leaf, &["it asks for a certificate", "cert = "]);
    await_said(&top, "client_ca in graftd.conf asks for one");
    let with = |folder: &Path| {
        let files = format!("cert = {:?}\nkey = {:?}\n", folder.join("cert.pem"), folder.join("key.pem"));
        believes(&server) + &files
    };
    let agent = agent.sends_to(&[&server], &with(&tls_of(&server)));
    await_error(&leaf, &["client_ca"]);
    await_said(&top, "its certificate is not good, by client_ca");
    let _agent = agent.sends_to(&[&server], &with(&clients));
    await_all(&leaf, &top, log.lines);
}

#[test]
fn who_speaks_tls_to_one_without_is_told_so_on_both_sides() {
    let server = Host::server("top");
    made(&tls_of(&server), "web.example");
    let agent = Host::agent("leaf").sends_to(&[&server], &believes(&server));
    let (top, leaf) = (server.start(), agent.start());
    let mut log = Log::of(&agent);
    log.write(300);
    await_error(&leaf, &["it speaks no TLS", "[tls]", "relay.on"]);
    await_said(&top, "it speaks TLS, and this daemon has no certificate");
    let _agent = agent.sends_to(&[&server], "");
    await_all(&leaf, &top, log.lines);
}

/// An address of this host that is not loopback; from there a relay is heard by others.
fn other_address() -> Option<std::net::IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent.
    socket.connect("192.0.2.1:9").ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(|ip| !ip.is_loopback() && !ip.is_unspecified())
}

#[test]
fn who_speaks_without_tls_to_one_with_it_is_told_so_on_both_sides() {
    let Some(ip) = other_address() else {
        graftd_tests::skipped("this host has no address but loopback");
        return;
    };
    let mut server = Host::server("top");
    server.settings = server.settings.replace("127.0.0.1:0", "0.0.0.0:0");
    let token = server.folders.write("token", "a-token-for-what-writes\n");
    server.settings.push_str(&format!("\nwrite_token_file = {token:?}"));
    let server = secure(server);
    let says = format!("token_file = {token:?}\n");
    let agent = Host::agent("leaf").sends_to(&[&server], &says);
    let top = server.start();
    let port = top.listens("relay").expect("it listens").port();
    server.wire.as_ref().expect("it receives").leads_to(Some(SocketAddr::new(ip, port)));
    let leaf = agent.start();
    let mut log = Log::of(&agent);
    log.write(300);
    await_error(&leaf, &["refused: ", "by TLS alone", "tls = true"]);
    await_said(&top, "by TLS alone");
    let agent = agent.sends_to(&[&server], &(believes(&server) + &says));
    await_all(&leaf, &top, log.lines);
    // From this very host it is taken as it is: nobody else hears it.
    let _agent = agent.sends_to(&[&server], &says);
    server.wire.as_ref().expect("it receives").leads_to(Some(SocketAddr::from(([127, 0, 0, 1], port))));
    server.wire.as_ref().expect("it receives").snap();
    log.write(300);
    await_all(&leaf, &top, log.lines);
}
