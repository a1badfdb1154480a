//! The built-in module is switched and told of as all others are.

use super::{FREE, daemon, send, xml};
use graftd_tests::{Daemon, HOST, graftd};
use serde_json::json;
use std::fs;
use std::net::{SocketAddr, TcpStream, UdpSocket};

#[test]
fn it_is_a_module_among_others() {
    let (daemon, address) = daemon(FREE);
    let module = daemon.await_state("gmond", "running").found;
    assert_eq!(
        (&module["kind"], &module["isolation"], &module["runs"]),
        (&json!("built-in"), &json!("none"), &json!(true))
    );
    assert!(module["why"].as_str().is_some_and(|why| why.contains(&address.to_string())), "{module}");
    daemon.request("POST", "/modules/gmond/off", &[], b"").good();
    daemon.await_state("gmond", "off");
    daemon.await_change(&format!("graftd,{HOST}"), |_| TcpStream::connect(address).is_err().then_some(()));
    daemon.request("POST", "/modules/gmond/on", &[], b"").good();
    assert_eq!(daemon.await_state("gmond", "running").found["runs"], true);
}

#[test]
fn a_changed_file_keeps_the_port_and_what_is_known() {
    let (daemon, address) = daemon(FREE);
    fs::write(daemon.conf("gmond.on"), format!("{FREE}url = \"http://ops/\"\n")).expect("written");
    daemon.await_change(&format!("graftd,{HOST}"), |_| xml(address).contains("URL=\"http://ops/\"").then_some(()));
    // A slip costs nothing but its message.
    fs::write(daemon.conf("gmond.on"), format!("{FREE}ulr = \"http://ops/\"\n")).expect("written");
    let rejected = daemon.await_state("gmond", "rejected").found;
    assert!(rejected["why"].as_str().is_some_and(|why| why.contains("did you mean \"url\"?")), "{rejected}");
    assert!(xml(address).contains("URL=\"http://ops/\""), "it goes on");
    send(address, &[vec![1, 2, 3, 4]]);
    daemon.await_value(&format!("graftd,{HOST},gmond,unknown"), 1);
}

#[test]
fn an_edited_address_takes_effect_on_the_same_port() {
    let (daemon, address) = daemon(FREE);
    let port = address.port();
    let file = |host: &str| format!("udp = \"{host}:{port}\"\ntcp = \"{host}:{port}\"\nallow = [\"127.0.0.0/8\"]\n");
    // An address that is of this host, and not the one before.
    let other = SocketAddr::from(([127, 0, 0, 2], port));
    assert!(TcpStream::connect(other).is_err(), "nobody listens there");
    for (host, expected) in [("127.0.0.1", false), ("0.0.0.0", true), ("127.0.0.1", false)] {
        fs::write(daemon.conf("gmond.on"), file(host)).expect("written");
        let why = format!("packets at {host}:{port}");
        daemon.await_change(&format!("graftd,{HOST}"), |daemon| {
            let module = daemon.await_state("gmond", "running").found;
            module["why"].as_str().is_some_and(|said| said.contains(&why)).then_some(())
        });
        assert!(xml(address).contains("</GANGLIA_XML>"), "it answers where it always has");
        // What is no longer listened to is let go a moment after.
        daemon
            .await_change(&format!("graftd,{HOST}"), |_| (TcpStream::connect(other).is_ok() == expected).then_some(()));
    }
}

#[test]
fn a_port_that_is_taken_is_tried_again() {
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address");
    let daemon = Daemon::builder().conf("gmond.on", &format!("udp = \"{address}\"\n")).start();
    assert_eq!(daemon.listens("gmond"), None);
    let failing = daemon.await_state("gmond", "failing").found;
    let why = failing["why"].as_str().unwrap_or_default();
    assert!(why.contains("gmond.on") && why.contains(&address.to_string()) && failing["next"].is_string(), "{failing}");
    drop(taken);
    daemon.await_state("gmond", "running");
}

#[test]
fn who_may_speak_has_to_be_said_off_loopback() {
    let daemon = Daemon::builder().conf("gmond.on", "udp = \"0.0.0.0:0\"\n").start();
    let rejected = daemon.await_state("gmond", "rejected").found;
    assert!(
        rejected["why"].as_str().is_some_and(|why| why.contains("allow = ") && why.contains("open = true")),
        "{rejected}"
    );
    let args = daemon.folders().args();
    let checked = graftd(["check"].into_iter().chain(args.iter().map(String::as_str)));
    assert_eq!(checked.code, 2, "{checked:?}");
    fs::write(daemon.conf("gmond.on"), "udp = \"0.0.0.0:0\"\nallow = [\"127.0.0.0/8\"]\n").expect("written");
    daemon.await_state("gmond", "running");
    let checked = graftd(["check"].into_iter().chain(args.iter().map(String::as_str))).good();
    assert!(checked.stdout.contains("built-in gmond"), "{checked:?}");
}

#[test]
fn plugins_metrics_are_shown_as_ganglias() {
    let (daemon, address) = daemon(FREE);
    let beat = Daemon::builder().plugins(&["beat"]).conf("beat.on", "every = \"1s\"\n").conf("gmond.on", FREE).start();
    drop((daemon, address));
    let address = beat.listens("gmond").expect("it listens");
    beat.await_number(&format!("beat,{HOST},uptime"));
    let said = xml(address);
    // Its module gave it a type; those without one are nothing of ganglia's.
    assert!(said.contains(&format!("<HOST NAME=\"{HOST}\" IP=\"127.0.0.1\"")), "{said}");
    assert!(said.contains("<METRIC NAME=\"uptime\" VAL=\"") && said.contains("TYPE=\"double\" UNITS=\"s\""), "{said}");
    assert!(!said.contains("NAME=\"beats\""), "{said}");
}
