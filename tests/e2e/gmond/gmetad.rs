//! Those who poll: gmetad keeps what it polls as RRDs, gstat shows the hosts.

use super::peers::{Peer, await_listener, program, run};
use super::{FREE, daemon, free_port, send};
use gmod_compat::xdr::{Datum, Metadata, MetricId, Packet, Value, encode};
use graftd_tests::{Daemon, Folders, HOST, PATIENCE};
use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Instant;

fn datagram(packet: &Packet<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(packet, &mut bytes);
    bytes
}

/// A host that has all of this.
fn tell(address: SocketAddr, host: &str, metrics: &[(&str, f64)]) {
    let mut datagrams = Vec::new();
    for (name, x) in metrics {
        let id = MetricId { host: host.as_bytes(), name: name.as_bytes(), spoof: true };
        let extra = vec![(&b"TITLE"[..], name.as_bytes()), (b"GROUP", b"load")];
        datagrams.push(datagram(&Packet::Metadata(Metadata {
            id,
            kind: b"double",
            name: name.as_bytes(),
            units: b"x",
            slope: 3,
            tmax: 60,
            dmax: 0,
            extra,
        })));
        datagrams.push(datagram(&Packet::Value(Value { id, format: b"%.3f", datum: Datum::Double(*x) })));
    }
    send(address, &datagrams);
}

const METRICS: [(&str, f64); 4] =
    [("load_one", 1.25), ("load_five", 0.5), ("load_fifteen", 0.125), ("widgets", 1234.5)];

/// Waits until gmetad has kept a value; each time that XML was given out there may be one.
fn await_kept(daemon: &Daemon, rrdtool: &std::path::Path, file: &std::path::Path, x: f64, folders: &Folders) {
    let began = Instant::now();
    daemon.await_change(&format!("graftd,{HOST},gmond"), |_| {
        let (code, said) = run(rrdtool, &["lastupdate", &file.display().to_string()]);
        let last = said.lines().last().and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
        let log = || fs::read_to_string(folders.root().join("peer.log")).unwrap_or_default();
        assert!(began.elapsed() < PATIENCE, "{}: {code} {said}: {}", file.display(), log());
        (last == Some(x)).then_some(())
    });
}

#[test]
fn gmetad_polls_it_and_keeps_what_the_tree_has() {
    let (Some(gmetad), Some(rrdtool)) = (program("gmetad"), program("rrdtool")) else { return };
    let folders = Folders::new();
    let (daemon, address) = daemon(FREE);
    for host in ["10.1.2.3:web1", "10.1.2.4:web2"] {
        tell(address, host, &METRICS);
    }
    for (name, x) in METRICS {
        daemon.await_value(&format!("ganglia,fleet,web2,{name}"), x);
    }
    let (xml_port, query_port) = (free_port(), free_port());
    let rrds = folders.root().join("rrds");
    fs::create_dir(&rrds).expect("a folder");
    let conf = format!(
        "data_source \"fleet\" 1 127.0.0.1:{}\nsetuid off\nrrd_rootdir \"{}\"\nxml_port {xml_port}\ninteractive_port {query_port}\n\
         gridname \"g\"\ncase_sensitive_hostnames 1\n",
        address.port(),
        rrds.display()
    );
    let file = folders.write("gmetad.conf", conf);
    let _gmetad = Peer::start(Command::new(gmetad).args(["-d", "1", "-c", &file]), &folders);
    await_listener(xml_port, &folders);
    for host in ["web1", "web2"] {
        for (name, x) in METRICS {
            await_kept(&daemon, &rrdtool, &rrds.join(format!("fleet/{host}/{name}.rrd")), x, &folders);
        }
    }
    // What changes in the tree changes there.
    tell(address, "10.1.2.3:web1", &[("widgets", 99.5)]);
    daemon.await_value("ganglia,fleet,web1,widgets", 99.5);
    await_kept(&daemon, &rrdtool, &rrds.join("fleet/web1/widgets.rrd"), 99.5, &folders);
}

#[test]
fn a_gmetad_is_polled_in_turn() {
    let Some(gmetad) = program("gmetad") else { return };
    let folders = Folders::new();
    let (first, address) = daemon(FREE);
    tell(address, "10.1.2.3:web1", &METRICS);
    first.await_value("ganglia,fleet,web1,widgets", 1234.5);
    let (xml_port, query_port) = (free_port(), free_port());
    let conf = format!(
        "data_source \"fleet\" 1 127.0.0.1:{}\nsetuid off\nwrite_rrds off\nrrd_rootdir \"{}\"\nxml_port {xml_port}\n\
         interactive_port {query_port}\ntrusted_hosts 127.0.0.1\n",
        address.port(),
        folders.root().display()
    );
    let file = folders.write("gmetad.conf", conf);
    let _gmetad = Peer::start(Command::new(gmetad).args(["-d", "1", "-c", &file]), &folders);
    await_listener(xml_port, &folders);
    let conf = format!("poll = \"127.0.0.1:{xml_port}\"\npoll_every = \"1s\"\n");
    let second = Daemon::builder().conf("gmond.on", &conf).start();
    second.await_value("ganglia,fleet,web1,widgets", 1234.5);
}

#[test]
fn gstat_lists_the_hosts() {
    let Some(gstat) = program("gstat") else { return };
    let (daemon, address) = daemon(FREE);
    for host in ["10.1.2.3:web1", "10.1.2.4:web2"] {
        let more = [
            ("cpu_num", 4.0),
            ("proc_run", 1.0),
            ("proc_total", 90.0),
            ("cpu_user", 1.0),
            ("cpu_nice", 0.0),
            ("cpu_system", 2.0),
            ("cpu_idle", 97.0),
        ];
        tell(address, host, &[&METRICS[..], &more].concat());
    }
    daemon.await_value("ganglia,fleet,web2,cpu_idle", 97);
    let (code, said) = run(&gstat, &["-a", "-i", "127.0.0.1", "-p", &address.port().to_string()]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("fleet") && said.contains("web1") && said.contains("web2"), "{said}");
}
