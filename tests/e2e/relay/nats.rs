//! By a stream of NATS: a real nats-server, and whoever is killed, each line counts once at each receiver.

use super::exact::{Chance, turns};
use super::{Host, LOG, Log, await_lines, figure, lasting, sum};
use crate::gmond::peers::{await_listener, program};
use graftd_tests::{Daemon, Folders, PATIENCE, graftd};
use serde_json::{Map, Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A server, and what it keeps.
struct Bus {
    program: PathBuf,
    folders: Folders,
    port: u16,
    child: Option<Child>,
    args: Vec<String>,
}

impl Bus {
    /// One that runs, with these lines in its conf; none where the package is not installed.
    fn new(conf: &str) -> Option<Bus> {
        let mut bus = Bus::bare(conf)?;
        bus.args.extend(["-js".to_owned(), "-sd".to_owned(), bus.folders.root().join("store").display().to_string()]);
        bus.start();
        Some(bus)
    }

    /// One that does not run yet, and has no JetStream.
    fn bare(conf: &str) -> Option<Bus> {
        let program = program("nats-server")?;
        let folders = Folders::new();
        let file = folders.write("nats.conf", conf);
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
        let args = ["-a", "127.0.0.1", "-p", &port.to_string(), "-c", &file].map(str::to_owned).to_vec();
        Some(Bus { program, folders, port, child: None, args })
    }

    fn start(&mut self) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.folders.root().join("peer.log"));
        let log = log.expect("a log");
        let mut command = Command::new(&self.program);
        command.args(&self.args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn().expect("it starts"));
        await_listener(self.port, &self.folders);
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("killed");
            child.wait().expect("ended");
        }
    }

    fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Has a host send to the stream.
    fn sender(&self, host: Host, more: &str) -> Host {
        host.folders.write_conf("relay.on", &format!("to = {:?}\nevery = \"150ms\"\n{more}", self.url()));
        host
    }

    /// A host that reads from it.
    fn receiver(&self, name: &str, more: &str) -> Host {
        let mut host = Host::bare(name);
        host.settings = "commit = \"400ms\"".to_owned();
        host.folders.write_conf("nats.on", &format!("from = {:?}\n{more}", self.url()));
        host
    }

    /// Asks the server for something.
    fn ask(&self, subject: &str, what: &str) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("connected");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        let length = what.len();
        let asks =
            format!("CONNECT {{\"verbose\":false}}\r\nSUB answer 1\r\nPUB {subject} answer {length}\r\n{what}\r\n");
        stream.write_all(asks.as_bytes()).expect("asked");
        let mut from = BufReader::new(stream);
        let mut line = String::new();
        while !line.starts_with("MSG ") {
            line.clear();
            assert!(from.read_line(&mut line).expect("an answer") > 0, "no answer to {subject}");
        }
        let length = line.split_whitespace().last().and_then(|length| length.parse().ok()).expect("a length");
        let mut answer = vec![0; length];
        from.read_exact(&mut answer).expect("an answer");
        serde_json::from_slice(&answer).expect("JSON")
    }

    /// Drops all that the stream holds, as its limits would.
    fn purge(&self) {
        assert_eq!(self.ask("$JS.API.STREAM.PURGE.graftd", "")["success"], true);
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Counts nothing that is not there, whoever died: waits until all of it is.
#[track_caller]
fn await_all(daemons: &[&Daemon], lines: u64) {
    for daemon in daemons {
        await_lines(daemon, LOG, lines);
    }
}

/// Waits until a sender knows that all it counted so far is in the stream: a message goes out when the one before it is acknowledged.
fn all_acknowledged(sender: &Daemon, receiver: &Daemon) {
    for _ in 0..2 {
        sender.push(&json!({"behind": 1}));
        let all = sender.value("behind");
        receiver.await_change("behind", |receiver| (receiver.value("behind") == all).then_some(()));
    }
}

/// What is said of the reader of a host.
fn why(daemon: &Daemon, module: &str) -> String {
    daemon.module(module)["why"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn what_an_agent_counts_is_counted_at_each_that_reads_the_stream() {
    let Some(bus) = Bus::new("") else { return };
    let agent = bus.sender(Host::agent("leaf"), "");
    let receivers = ["one", "two"].map(|name| bus.receiver(name, ""));
    let leaf = agent.start();
    let [one, two] = [&receivers[0], &receivers[1]].map(Host::start);
    let mut log = Log::of(&agent);
    log.write(1_000);
    leaf.push(&json!([{"gauge": {"temperature": 21.5, "state": "warm"}, "defaultaction": "last"}]));
    await_all(&[&one, &two], 1_000);
    for daemon in [&one, &two] {
        daemon.await_value("gauge,state", "warm");
        assert_eq!(lasting(daemon, LOG), lasting(&leaf, LOG));
    }
    leaf.await_change("graftd,leaf,relay", |daemon| (figure(daemon, "leaf", "acknowledged") > 0.0).then_some(()));
    assert!(leaf.value("graftd,leaf,relay,relay,to").as_str().is_some_and(|to| to.starts_with("the stream graftd (")));
    // What is acknowledged is so after the commit, and nothing is held back for good.
    one.await_change("graftd", |_| {
        let consumers = bus.ask("$JS.API.CONSUMER.LIST.graftd", "");
        let consumers = consumers["consumers"].as_array()?;
        let done =
            |of: &Value| of["num_ack_pending"].as_u64() < Some(8) && of["ack_floor"]["stream_seq"].as_u64() > Some(2);
        (consumers.len() == 2 && consumers.iter().all(done)).then_some(())
    });
    // One that comes later reads what the stream holds.
    let late = bus.receiver("late", "").start();
    await_all(&[&late], 1_000);
    late.await_value("gauge,temperature", 21.5);
    assert_eq!(one.value("graftd,one,nats,missed"), Value::Null);
}

#[test]
fn each_line_counts_once_at_two_receivers_whatever_dies() {
    let Some(mut bus) = Bus::new("") else { return };
    let agent = bus.sender(Host::agent("leaf"), "");
    let hosts = [agent, bus.receiver("one", ""), bus.receiver("two", "")];
    let mut log = Log::of(&hosts[0]);
    let mut daemons = [&hosts[0], &hosts[1], &hosts[2]].map(|host| Some(host.start()));
    let mut chance = Chance(11);
    for _ in 0..turns(30, 400) {
        log.write(1 + chance.below(400));
        match chance.below(10) {
            0..6 => {
                let which = chance.below(3) as usize;
                let daemon = daemons[which].take().expect("it runs");
                assert!(!daemon.stderr().contains("before they were read here"), "{}", daemon.stderr());
                if chance.below(5) == 0 {
                    assert_eq!(daemon.stop().code(), Some(0));
                } else {
                    daemon.kill();
                }
                daemons[which] = Some(hosts[which].start());
            }
            6..8 => {
                bus.kill();
                sleep(Duration::from_millis(chance.below(300)));
                bus.start();
            }
            8 => {
                let daemon = daemons[chance.below(3) as usize].as_ref().expect("it runs");
                daemon.pause();
                sleep(Duration::from_millis(chance.below(600)));
                daemon.resume();
            }
            _ => log.turn_over(),
        }
        // The moment is to be any.
        sleep(Duration::from_millis(chance.below(250)));
    }
    let [leaf, one, two] = daemons.map(|daemon| daemon.expect("it runs"));
    println!("{} lines, the sum of their numbers is {}", log.lines, sum(log.lines));
    await_all(&[&leaf, &one, &two], log.lines);
    for daemon in [&one, &two] {
        assert_eq!(lasting(daemon, LOG), lasting(&leaf, LOG));
    }
    for (name, daemon) in [("one", &one), ("two", &two)] {
        assert_eq!(daemon.value(&format!("graftd,{name},nats,missed")), Value::Null, "{}", daemon.stderr());
        assert_eq!(daemon.value(&format!("graftd,{name},nats,refused")), Value::Null, "{}", daemon.stderr());
    }
    drop((leaf, one, two));
    for host in &hosts {
        graftd(["trend", "check", "--data", &host.folders.root().join("data").display().to_string()]).good();
    }
}

/// Paths that do not pack well.
fn large(round: u64) -> Value {
    let mut chance = Chance(round);
    let keys: Map<_, _> =
        (0..8_000).map(|_| (format!("{:016x}", chance.below(u64::MAX)), json!(chance.below(1_000_000)))).collect();
    json!({"large": keys, "rounds": 1})
}

#[test]
fn an_entry_that_no_message_has_room_for_arrives_whole() {
    let Some(mut bus) = Bus::new("max_payload: 65536") else { return };
    let agent = bus.sender(Host::bare("leaf"), "");
    let receivers = ["one", "two"].map(|name| bus.receiver(name, ""));
    let leaf = agent.start();
    let [one, two] = [&receivers[0], &receivers[1]].map(Host::start);
    for round in 0..4 {
        leaf.push(&large(round));
        if round == 2 {
            bus.kill();
            bus.start();
        }
    }
    for daemon in [&one, &two] {
        daemon.await_value("rounds", 4);
        assert_eq!(daemon.subtree("large"), leaf.subtree("large"));
    }
    let held = bus.ask("$JS.API.STREAM.INFO.graftd", "")["state"].clone();
    let (bytes, messages) = (held["bytes"].as_u64().unwrap_or(0), held["messages"].as_u64().unwrap_or(1));
    assert!(bytes > 4 * 65_536, "nothing was larger than a message: {held}");
    assert!(bytes / messages < 65_536, "{held}");
}

#[test]
fn what_the_stream_dropped_unread_is_counted_and_what_is_set_is_told_anew() {
    let Some(bus) = Bus::new("") else { return };
    let agent = bus.sender(Host::bare("leaf"), "");
    let receiver = bus.receiver("one", "");
    let leaf = agent.start();
    let witness = bus.receiver("witness", "").start();
    let one = receiver.start();
    leaf.push(&json!([{"n": 1}, {"gauge": {"a": 1}, "defaultaction": "last"}]));
    one.await_value("n", 1);
    assert_eq!(one.stop().code(), Some(0));
    for n in 2..=5 {
        leaf.push(&json!([{"n": 1, "m": 1}, {"gauge": {"a": n, "b": n}, "defaultaction": "last"}]));
        let answer = leaf.post("/push?wait=commit", "application/json", b"{\"done\":1}");
        assert_eq!(answer.status, 200);
    }
    all_acknowledged(&leaf, &witness);
    bus.purge();
    let one = receiver.start();
    leaf.push(&json!({"after": 1}));
    one.await_value("after", 1);
    one.await_value("gauge,b", 5);
    assert_eq!(one.value("gauge,a"), 5.0);
    // Nobody has these counts any more.
    assert_eq!(one.value("n"), 1.0);
    assert_eq!(one.value("m"), Value::Null);
    let missed = one.await_number("graftd,one,nats,missed");
    assert!((4.0..=40.0).contains(&missed), "{missed}");
    assert!(one.stderr().contains("were dropped by the stream graftd"), "{}", one.stderr());
    assert!(why(&one, "nats").contains(&format!("; up to {missed} entries were dropped")), "{}", why(&one, "nats"));
    // A new one asks for what is set and not in the stream any more, and has missed nothing.
    all_acknowledged(&leaf, &witness);
    assert_eq!(bus.ask("$JS.API.STREAM.PURGE.graftd", "{\"keep\":1}")["success"], true);
    let two = bus.receiver("two", "").start();
    leaf.push(&json!({"later": 1}));
    two.await_value("later", 1);
    two.await_value("gauge,b", 5);
    assert_eq!(two.value("graftd,two,nats,missed"), Value::Null);
}

#[test]
fn a_stream_that_was_made_anew_gets_what_comes_and_what_is_set() {
    let Some(bus) = Bus::new("") else { return };
    let (agent, receiver) = (bus.sender(Host::bare("leaf"), ""), bus.receiver("one", ""));
    let (leaf, one) = (agent.start(), receiver.start());
    leaf.push(&json!([{"n": 1}, {"gauge": {"a": 1}, "defaultaction": "last"}]));
    one.await_value("n", 1);
    all_acknowledged(&leaf, &one);
    assert_eq!(bus.ask("$JS.API.STREAM.DELETE.graftd", "")["success"], true);
    leaf.push(&json!({"n": 2}));
    one.await_value("n", 3);
    assert_eq!(leaf.value("n"), 3.0);
}

#[test]
fn a_stream_that_was_set_back_is_read_from_its_first_message() {
    let Some(mut bus) = Bus::new("") else { return };
    let (agent, receiver) = (bus.sender(Host::bare("leaf"), ""), bus.receiver("one", ""));
    let witness = bus.receiver("witness", "").start();
    let (leaf, one) = (agent.start(), receiver.start());
    leaf.push(&json!({"n": 1}));
    one.await_value("n", 1);
    all_acknowledged(&leaf, &one);
    let (store, copy) = (bus.folders.root().join("store"), bus.folders.root().join("copy"));
    let copied = |from: &PathBuf, to: &PathBuf| {
        let status = Command::new("cp").arg("-r").args([from, to]).status().expect("cp");
        assert!(status.success());
    };
    bus.kill();
    copied(&store, &copy);
    bus.start();
    let last = |bus: &Bus| bus.ask("$JS.API.STREAM.INFO.graftd", "")["state"]["last_seq"].as_u64().expect("a number");
    let before = last(&bus);
    leaf.push(&json!({"n": 1}));
    for daemon in [&one, &witness] {
        daemon.await_value("n", 2);
    }
    let is_behind = |consumer: &Value| consumer["ack_floor"]["stream_seq"].as_u64() <= Some(before);
    let began = Instant::now();
    while bus.ask("$JS.API.CONSUMER.LIST.graftd", "")["consumers"].as_array().expect("some").iter().any(is_behind) {
        assert!(began.elapsed() < PATIENCE, "{}", one.stderr());
    }
    let read = last(&bus);
    assert_eq!(one.stop().code(), Some(0));
    bus.kill();
    std::fs::remove_dir_all(&store).expect("removed");
    copied(&copy, &store);
    bus.start();
    // It grows past where the reader was, which has none of this yet.
    let mut pushed = 2;
    while last(&bus) < read + 2 {
        leaf.push(&json!({"n": 1}));
        pushed += 1;
        witness.await_value("n", pushed);
    }
    let one = receiver.start();
    one.await_value("n", pushed);
    assert!(one.stderr().contains("was set back"), "{}", one.stderr());
}

#[test]
fn a_server_that_keeps_nothing_or_asks_who_this_is_is_told_of() {
    let Some(mut bus) = Bus::bare("") else { return };
    bus.start();
    let (agent, receiver) = (bus.sender(Host::bare("leaf"), ""), bus.receiver("one", ""));
    let (leaf, one) = (agent.start(), receiver.start());
    leaf.await_change("graftd,leaf,relay", |_| {
        leaf.value("graftd,leaf,relay,relay,error").as_str()?.contains("it has no JetStream").then_some(())
    });
    one.await_change("graftd", |_| why(&one, "nats").contains("it has no JetStream").then_some(()));
    leaf.push(&json!({"n": 1}));

    // The same hosts, and a server that has one and wants a token.
    bus.kill();
    let _conf = bus.folders.write("nats.conf", "authorization { token: secret-of-the-bus }");
    bus.args.extend(["-js".to_owned(), "-sd".to_owned(), bus.folders.root().join("store").display().to_string()]);
    bus.start();
    one.await_change("graftd", |_| why(&one, "nats").contains("it asks who this is").then_some(()));
    let token = bus.folders.write("token", "secret-of-the-bus\n");
    let says = format!("token_file = {token:?}");
    let _agent = bus.sender(agent, &says);
    receiver.folders.write_conf("nats.on", &format!("from = {:?}\n{says}", bus.url()));
    one.await_value("n", 1);
    assert_eq!(why(&one, "nats"), format!("reads the stream graftd ({})", bus.url()));
}

#[test]
fn by_tls_with_an_authority_of_ones_own() {
    let folders = Folders::new();
    let out = folders.root().join("tls").display().to_string();
    graftd(["tls", "self-signed", "--name", "127.0.0.1", "--out", &out]).good();
    let conf = format!("tls {{ cert_file: \"{out}/cert.pem\", key_file: \"{out}/key.pem\" }}");
    let Some(bus) = Bus::new(&conf) else { return };
    let receiver = bus.receiver("one", "");
    let one = receiver.start();
    one.await_change("graftd", |_| why(&one, "nats").contains("not at the moment: ").then_some(()));
    let by = bus.url().replace("nats://", "tls://");
    receiver.folders.write_conf("nats.on", &format!("from = {by:?}\nca = \"{out}/ca.pem\""));
    let agent = Host::bare("leaf");
    agent.folders.write_conf("relay.on", &format!("to = {by:?}\nca = \"{out}/ca.pem\"\nevery = \"150ms\""));
    let leaf = agent.start();
    leaf.push(&json!({"n": 1}));
    one.await_value("n", 1);
}

#[test]
fn deltas_do_not_go_round_in_a_stream_that_two_write_and_read() {
    let Some(bus) = Bus::new("") else { return };
    let hosts = ["a", "b"].map(|name| bus.sender(bus.receiver(name, ""), ""));
    let [a, b] = [&hosts[0], &hosts[1]].map(Host::start);
    a.push(&json!({"n": 1}));
    b.await_value("n", 1);
    b.push(&json!({"m": 1}));
    // What b sends may have in it what a has sent.
    a.await_change("graftd,a,nats", |_| why(&a, "nats").contains("passed over").then_some(()));
    assert!(a.stderr().contains("round for ever"), "{}", a.stderr());
    for _ in 0..3 {
        let answer = a.post("/push?wait=commit", "application/json", b"{\"more\":1}");
        assert_eq!(answer.status, 200);
    }
    for daemon in [&a, &b] {
        assert_eq!(daemon.value("n"), 1.0);
    }
}

#[test]
fn a_copied_data_folder_is_refused() {
    let Some(bus) = Bus::new("") else { return };
    let agent = bus.sender(Host::bare("leaf"), "");
    let one = bus.receiver("one", "").start();
    let leaf = agent.start();
    leaf.push(&json!({"n": 1}));
    one.await_value("n", 1);
    assert_eq!(leaf.stop().code(), Some(0));
    let copy = bus.sender(Host::bare("leaf"), "");
    let data = |host: &Host| host.folders.root().join("data");
    std::fs::create_dir_all(data(&copy)).expect("made");
    std::fs::copy(data(&agent).join("graftd.db"), data(&copy).join("graftd.db")).expect("copied");
    let (leaf, other) = (agent.start(), copy.start());
    let began = Instant::now();
    let refused = |daemon: &Daemon| {
        let error = daemon.value("graftd,leaf,relay,relay,error");
        error.as_str().is_some_and(|why| why.contains("was copied"))
    };
    // Both send; the one that comes second to its next number is told.
    while !refused(&leaf) && !refused(&other) {
        assert!(began.elapsed() < PATIENCE, "{} {}", leaf.stderr(), other.stderr());
        leaf.push(&json!({"n": 1}));
        other.push(&json!({"n": 1}));
        leaf.close_tick();
    }
}
