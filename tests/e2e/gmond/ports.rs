//! A real gmond on the other end: it sends, it is asked, it is polled. And datagrams of all kinds.

use super::peers::{gmond, program, run};
use super::{FREE, daemon, free_port, send, xml};
use graftd_tests::{Daemon, Folders, HOST, PATIENCE};
use serde_json::{Value, json};
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

fn own_host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a name").trim().to_owned()
}

/// The metadata of a host and its metrics, by their names; its own without one.
fn told(daemon: &Daemon, host: &str) -> Value {
    daemon.get(&format!("/api/q/{host}.json?meta=1")).good().json()["meta"].clone()
}

/// Packets of a gmond, and what they say: see the file's head.
fn recorded() -> Vec<(Vec<u8>, Vec<String>)> {
    let lines = include_str!("../../../gmod-compat/tests/recorded/packets.txt").lines();
    let lines = lines.filter(|line| !line.starts_with('#')).map(|line| {
        let mut words = line.split(' ').map(str::to_owned);
        let hex = words.next().expect("bytes");
        let bytes =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect();
        (bytes, words.collect())
    });
    lines.collect()
}

#[test]
fn what_a_gmond_once_sent_arrives_whatever_its_kind() {
    let (daemon, address) = daemon(FREE);
    let recorded = recorded();
    send(address, &recorded.iter().map(|(bytes, _)| bytes.clone()).collect::<Vec<_>>());
    let mut numbers = 0;
    for (_, words) in &recorded {
        let [kind, host, name, _, _, value] = words.as_slice() else { continue };
        let Some(x) = value.parse::<f64>().ok().filter(|_| ["129", "132", "134", "135"].contains(&kind.as_str()))
        else {
            continue;
        };
        if name == "heartbeat" {
            continue;
        }
        let path = format!("ganglia,fleet,{host},{name}");
        daemon.await_change("ganglia", |daemon| (daemon.value(&path).as_f64() == Some(x)).then_some(()));
        numbers += 1;
    }
    assert!(numbers >= 25, "{numbers}");
    // The averages over hosts are there at once.
    assert!(daemon.value("ganglia,,,load_one").is_number());
    let counters = format!("graftd,{HOST},gmond");
    daemon.await_value(&format!("{counters},packets"), recorded.len());
}

#[test]
fn a_gmond_that_was_not_heard_from_the_start_is_asked() {
    let folders = Folders::new();
    // It has told its metadata to nobody when the daemon begins to listen.
    let port = free_port();
    let Some(gmond) = gmond(port, &folders) else { return };
    let conf = format!("udp = \"127.0.0.1:{port}\"\ntcp = \"127.0.0.1:0\"\nask_port = {}\n", gmond.port);
    let (daemon, _) = daemon(&conf);
    let host = format!("ganglia,unspecified,{}", own_host());
    // A text that may be a number, until its metadata says that it is none.
    daemon.await_value(&format!("{host},os_name"), "Linux");
    let load = daemon.await_number(&format!("{host},load_one"));
    assert!((0.0..10_000.0).contains(&load), "{load}");
    let found = daemon.await_change(&host, |daemon| {
        let meta = told(daemon, &host);
        (meta["load_one"]["title"] == "One Minute Load" && meta[""]["gmond_started"].is_string()).then_some(meta)
    });
    let meta = found.found;
    assert_eq!((&meta["load_one"]["type"], &meta["load_one"]["format"]), (&json!("float"), &json!("%.2f")), "{meta}");
    assert_ne!(meta[""]["gmond_started"], "0", "{meta}");
    daemon.await_change(&host, |daemon| {
        let meta = told(daemon, &host);
        (meta[""]["location"] == "1,2,3").then_some(())
    });
    assert!(daemon.await_number(&format!("graftd,{HOST},gmond,asked")) >= 5.0);
}

#[test]
fn a_gmond_is_polled() {
    let folders = Folders::new();
    let Some(gmond) = gmond(free_port(), &folders) else { return };
    let conf = format!("poll = \"127.0.0.1:{}\"\npoll_every = \"1s\"\n", gmond.port);
    let daemon = Daemon::builder().conf("gmond.on", &conf).start();
    assert_eq!(daemon.listens("gmond"), None, "it only polls");
    daemon.await_value(&format!("graftd,{HOST},gmond,poll,127.0.0.1:{}", gmond.port), "ok");
    let cluster = "ganglia,refcluster";
    daemon.await_change(cluster, |daemon| daemon.value(&format!("{cluster},,load_one")).as_f64());
    let cpus = daemon.await_number(&format!("{cluster},,cpu_num"));
    assert!(cpus >= 1.0, "{cpus}");
    let meta = daemon.get("/api/q/ganglia,refcluster.json?meta=1").good().json();
    assert_eq!(meta["meta"][""]["owner"], "refowner", "{meta}");
    drop(gmond);
    daemon.await_change("graftd", |daemon| {
        let poll = daemon.subtree(&format!("graftd,{HOST},gmond,poll"));
        poll.as_object()?.values().any(|how| how.as_str().is_some_and(|how| how != "ok")).then_some(())
    });
    // What was known stays, and grows old.
    assert!(daemon.value(&format!("{cluster},,cpu_num")).is_number());
}

#[test]
fn rubbish_is_counted_and_harms_nothing() {
    let (daemon, address) = daemon(FREE);
    let mut datagrams = vec![vec![0, 0, 0, 7], b"not a packet".to_vec(), vec![], vec![0xff; 9_000]];
    for (bytes, _) in recorded().into_iter().take(50) {
        datagrams.push(bytes[..bytes.len() - 4].to_vec());
    }
    let sent = datagrams.len();
    send(address, &datagrams);
    let counters = format!("graftd,{HOST},gmond");
    daemon.await_change(&counters, |daemon| {
        let count = |name: &str| daemon.value(&format!("{counters},{name}")).as_f64().unwrap_or(0.0);
        // The kernel may drop some where it has little room.
        (count("faults") + count("unknown") + count("dropped") >= sent as f64).then_some(())
    });
    send(address, &recorded().into_iter().map(|(bytes, _)| bytes).take(2).collect::<Vec<_>>());
    daemon.await_value("ganglia,fleet,vm,m_string", "hello world");
}

#[test]
fn xml_is_there_without_a_host_and_is_xml() {
    let (daemon, address) = daemon(FREE);
    let empty = xml(address);
    assert!(empty.contains("<CLUSTER NAME=\"fleet\" LOCALTIME=\"") && empty.contains("OWNER=\"ops\""), "{empty}");
    assert!(empty.ends_with("</CLUSTER>\n</GANGLIA_XML>\n"), "{empty}");
    send(address, &recorded().into_iter().map(|(bytes, _)| bytes).collect::<Vec<_>>());
    daemon.await_number("ganglia,fleet,vm,load_one");
    let script = daemon.folders().write(
        "read.py",
        "import socket, sys, xml.etree.ElementTree as tree\nsock = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\n\
         text = b''.join(iter(lambda: sock.recv(65536), b''))\nfor host in tree.fromstring(text).iter('HOST'):\n    \
         print(host.get('NAME'), host.get('IP'), host.get('TN'), len(host.findall('METRIC')))\n",
    );
    let (code, said) = run(Path::new("python3"), &[&script, &address.port().to_string()]);
    assert_eq!(code, 0, "{said}");
    assert!(said.lines().any(|line| line.starts_with("vm 127.0.0.1 ")), "{said}");
}

#[test]
fn readers_that_stand_still_shut_nobody_out() {
    // More than lies in a connection's buffers.
    let module = "
def metric_init(params):
    base = {'value_type': 'uint', 'call_back': lambda name: 1, 'description': 'x' * 500}
    return [dict(base, name='m%d' % n, title='t' * 500) for n in range(6000)]
";
    let (daemon, address) = daemon(FREE);
    let file = daemon.folders().write("many.new", module);
    daemon.put_plugin("many.py", Path::new(&file));
    daemon.await_number(&format!("many,{HOST},m5999"));
    let whole = |text: &str| text.ends_with("</GANGLIA_XML>\n") && text.contains("\"m5999\"");
    assert!(whole(&xml(address)));
    let still: Vec<TcpStream> = (0..64)
        .map(|_| {
            let mut stream = TcpStream::connect(address).expect("it listens");
            stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
            stream.read_exact(&mut [0]).expect("it has a place");
            stream
        })
        .collect();
    // As soon as the first of them has stood still for long enough, and long before any has to go by itself.
    let began = Instant::now();
    while !whole(&read_all(address)) {
        assert!(began.elapsed() < Duration::from_secs(20), "shut out");
        thread::sleep(Duration::from_millis(50));
    }
    // All at once, so that none has to wait for the others.
    let drain = |mut stream: TcpStream| {
        let mut text = Vec::new();
        let _ = stream.read_to_end(&mut text);
        text.ends_with(b"</GANGLIA_XML>\n")
    };
    let whole: Vec<_> = still.into_iter().map(|stream| thread::spawn(move || drain(stream))).collect();
    let cut = whole.into_iter().map(thread::JoinHandle::join).filter(|whole| matches!(whole, Ok(false)));
    assert_eq!(cut.count(), 1, "one gives way, and the others read on");
    assert!(daemon.value(&format!("graftd,{HOST},gmond,connections_refused")).as_f64() >= Some(1.0));
}

/// What is given out, though the connection may be reset.
fn read_all(address: SocketAddr) -> String {
    let mut bytes = Vec::new();
    let read = TcpStream::connect(address).and_then(|mut stream| stream.read_to_end(&mut bytes));
    if read.is_err() {
        return String::new();
    }
    String::from_utf8(bytes).unwrap_or_default()
}

#[test]
fn a_group_is_joined_and_heard() {
    let Some(gmetric) = program("gmetric") else { return };
    let port = free_port();
    let conf = format!("udp = \"239.2.11.71:{port}\"\ntcp = \"127.0.0.1:0\"\nopen = true\ninterface = \"lo\"\n");
    let (daemon, _) = daemon(&conf);
    let file = daemon.folders().write(
        "group.conf",
        format!("udp_send_channel {{ mcast_join = 239.2.11.71 mcast_if = lo port = {port} ttl = 1 }}\n"),
    );
    let (code, said) = run(&gmetric, &["-c", &file, "-n", "m", "-v", "7", "-t", "int32"]);
    assert_eq!(code, 0, "{said}");
    daemon.await_value(&format!("ganglia,unspecified,{},m", own_host()), 7);
}

#[test]
fn who_is_not_allowed_is_not_heard_and_told_nothing() {
    let conf = format!("{FREE}allow = [\"192.0.2.0/24\"]\n");
    let (daemon, address) = daemon(&conf);
    send(address, &recorded().into_iter().map(|(bytes, _)| bytes).take(2).collect::<Vec<_>>());
    assert_eq!(xml(address), "");
    daemon.await_value(&format!("graftd,{HOST},gmond,refused"), 3);
    assert_eq!(daemon.value("ganglia"), Value::Null);
}
