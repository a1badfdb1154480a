//! The daemon and its peers on the net: what a request costs, a pushed value, a client that waits, and an agent at rest.
//!
//! Where there are two cores, servers run on one and clients on the other. What is told is the CPU time of the server's
//! processes, whatever the clients take.

pub(crate) mod agent;
pub(crate) mod bare;
pub(crate) mod fanout;
pub(crate) mod get;
pub(crate) mod idle;
pub(crate) mod peers;
pub(crate) mod push;
pub(crate) mod relay;
pub(crate) mod tls;

use crate::figures::{load_average, pin_self};
use crate::peer::Peer;
use graftd_tests::{Builder, Daemon};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::net::SocketAddr;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

/// Clients that wait, and connections that are only open.
const CLIENTS: usize = 10_000;

/// A server that is measured.
#[derive(Clone, Copy, Debug)]
struct Server {
    address: SocketAddr,
    process: u32,
}

impl From<&Peer> for Server {
    fn from(peer: &Peer) -> Server {
        Server { address: peer.address(), process: peer.process() }
    }
}

impl From<&Daemon> for Server {
    fn from(daemon: &Daemon) -> Server {
        Server { address: daemon.http(), process: daemon.process() }
    }
}

/// Whether clients and servers have a core each; this process goes to its own.
fn apart() -> bool {
    static APART: OnceLock<bool> = OnceLock::new();
    *APART.get_or_init(|| {
        let apart = pin_self();
        let where_ = if apart { "servers on one core, clients on the other" } else { "all on the same cores" };
        println!("net: {where_}; load average before: {}", load_average());
        apart
    })
}

/// A daemon with its defaults, on the servers' core.
fn daemon() -> Builder {
    let builder = Daemon::builder().tick(Duration::from_secs(1));
    if apart() { builder.through(&["taskset", "-c", "1"]) } else { builder }
}

/// A command that runs on the servers' core.
fn command(program: &std::path::Path) -> Command {
    if !apart() {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["-c", "1"]).arg(program);
    command
}

/// Lets this process, and what it starts, hold as many connections as the system allows; enough, or why not.
fn descriptors(wanted: usize) -> Result<(), String> {
    let most = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most }).map_err(|error| error.to_string())?;
    match most {
        Some(most) if (most as usize) < wanted + 200 => {
            Err(format!("only {most} descriptors are allowed (ulimit -n), and {wanted} connections are wanted"))
        }
        _ => Ok(()),
    }
}
