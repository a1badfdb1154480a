//! Agents at rest: each with its collectors of the machine, every ten seconds, at once. Ours sends what they find to a server, which is
//! not counted: it is on another machine where there is one, so that it runs a copy of the program here. Pages of one file would be in the
//! cache for the other, and the kernel maps what is in the cache around a page that is missed.

use crate::figures::{cpu_of, own_memory_of, resident_of};
use crate::log::workspace;
use crate::peer::{Peer, folder, free_port, program};
use graftd_tests::{Daemon, Folders, binary};
use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

const SPAN: Duration = Duration::from_secs(90);
/// How often node_exporter is asked: what it does, it does then.
const EVERY: Duration = Duration::from_secs(10);
/// Before that an agent is not at rest: ours gives back what starting needed when nothing has been loaded for 20 s, and then what it needed
/// to end the connection by which it was asked whether it runs, which lasts a minute.
const BEFORE: Duration = Duration::from_secs(120);

/// What is wanted of ours.
const RESIDENT_MB: f64 = 8.0;
const PERCENT: f64 = 0.05;

const COLLECTORS: [&str; 5] = ["cpu", "load", "memory", "disk", "network"];

pub(crate) fn run() -> Result<(), String> {
    let folders = Arc::new(Folders::new());
    for collector in COLLECTORS {
        // As they are installed, without symbols: a file's length shows in the memory of who reads it.
        let (name, from) = (format!("{collector}.so"), workspace().join("plugins"));
        let from = from.join(&name);
        fs::copy(&from, folders.plugin(&name)).map_err(|error| format!("{}: {error}", from.display()))?;
    }
    let tick = Duration::from_secs(1);
    let port = free_port()?;
    let elsewhere = folder()?;
    let (from, program) = (binary(), elsewhere.path().join("graftd"));
    fs::copy(&from, &program).map_err(|error| format!("{}: {error}", from.display()))?;
    let listens = format!("relay = \"127.0.0.1:{port}\"");
    let server = Daemon::builder().host("server").tick(tick).settings(&listens).binary(&program).start();
    folders.write_conf("relay.on", &format!("to = \"127.0.0.1:{port}\""));
    let daemon = Daemon::builder().folders(&folders).host("agent").tick(tick).arg("--role").arg("agent").start();
    for collector in COLLECTORS {
        daemon.await_state(collector, "running");
    }
    let (gmond, collectd, exporter) = (gmond()?, collectd()?, exporter()?);
    let mut agents = vec![("graftd, five collectors, relayed", daemon.process())];
    agents.extend(gmond.iter().map(|peer| ("gmond, its defaults", peer.process())));
    agents.extend(collectd.iter().map(|peer| ("collectd, Debian's default plugins", peer.process())));
    agents.extend(exporter.iter().map(|peer| ("node_exporter, asked every 10 s", peer.process())));
    sleep(BEFORE);
    let before: Vec<Duration> = agents.iter().map(|(_, process)| cpu_of(*process)).collect();
    let began = Instant::now();
    while began.elapsed() < SPAN {
        if let Some(peer) = &exporter {
            peer.get("/metrics")?;
        }
        sleep(EVERY);
    }
    let took = began.elapsed().as_secs_f64();
    println!("{:<36} {:>12} {:>8} {:>14}", "agents at rest, every 10 s", "% of a core", "RSS MB", "no file's MB");
    for ((name, process), before) in agents.iter().zip(before) {
        let percent = (cpu_of(*process) - before).as_secs_f64() / took * 100.0;
        let (resident, own) = (resident_of(*process) as f64 / 1e6, own_memory_of(*process) as f64 / 1e6);
        println!("{name:<36} {percent:>12.3} {resident:>8.1} {own:>14.1}");
    }
    for collector in COLLECTORS {
        let module = daemon.module(collector);
        if module["isolation"] != "none" || module["state"] != "running" {
            println!("{collector} does not run in the daemon: {module}");
        }
    }
    let sent = server.value("graftd,server,relayed,agent,entries").as_f64().unwrap_or(0.0);
    if sent < SPAN.as_secs_f64() / EVERY.as_secs_f64() {
        println!("the server has had {sent} entries only");
    }
    println!("wanted of ours: at most {RESIDENT_MB} MB, {PERCENT} %");
    Ok(())
}

fn gmond() -> Result<Option<Peer>, String> {
    let Some(binary) = program("gmond", "ganglia-monitor") else { return Ok(None) };
    let (folder, port) = (folder()?, free_port()?);
    let ran = Command::new(&binary).arg("-t").output().map_err(|error| format!("gmond -t: {error}"))?;
    // Its own defaults, but for where it talks to: itself, on loopback.
    let text = String::from_utf8_lossy(&ran.stdout);
    let mut conf = String::new();
    let mut channel = false;
    for line in text.lines() {
        channel |=
            ["udp_send_channel", "udp_recv_channel", "tcp_accept_channel"].iter().any(|name| line.starts_with(name));
        if !channel {
            conf.push_str(&line.replace("setuid = yes", "setuid = no"));
            conf.push('\n');
        }
        channel &= !line.starts_with('}');
    }
    conf.push_str(&format!(
        "udp_send_channel {{ host = 127.0.0.1 port = {port} }}\nudp_recv_channel {{ bind = 127.0.0.1 port = {port} }}\n\
         tcp_accept_channel {{ bind = 127.0.0.1 port = {port} }}\n"
    ));
    let file = folder.path().join("gmond.conf");
    fs::write(&file, conf).map_err(|error| error.to_string())?;
    let mut command = Command::new(binary);
    command.args(["-f", "-c"]).arg(file);
    Peer::start("gmond", &mut command, port, folder).map(Some)
}

fn collectd() -> Result<Option<Peer>, String> {
    let Some(binary) = program("collectd", "collectd-core") else { return Ok(None) };
    let folder = folder()?;
    let root = folder.path().display();
    let mut conf = format!("BaseDir \"{root}\"\nPIDFile \"{root}/pid\"\nHostname \"bench\"\nInterval 10\n");
    // What Debian's own conf has loaded, and with a log of its own.
    for plugin in
        ["cpu", "df", "disk", "entropy", "interface", "irq", "load", "memory", "processes", "swap", "users", "rrdtool"]
    {
        conf.push_str(&format!("LoadPlugin {plugin}\n"));
    }
    conf.push_str(&format!("<Plugin rrdtool>\nDataDir \"{root}/rrd\"\n</Plugin>\n"));
    let file = folder.path().join("collectd.conf");
    fs::write(&file, conf).map_err(|error| error.to_string())?;
    let mut command = Command::new(binary);
    command.args(["-f", "-C"]).arg(file);
    Peer::silent("collectd", &mut command, folder).map(Some)
}

fn exporter() -> Result<Option<Peer>, String> {
    let Some(binary) = program("prometheus-node-exporter", "prometheus-node-exporter") else { return Ok(None) };
    let (folder, port) = (folder()?, free_port()?);
    let mut command = Command::new(binary);
    command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
    Peer::start("prometheus-node-exporter", &mut command, port, folder).map(Some)
}
