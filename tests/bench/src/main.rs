//! `make bench`: the figures that graftd is held to, measured on this machine, now.
//!
//! Machines are noisy, so figures are CPU time (user and system), medians of several runs, and where two things are
//! compared they take turns in one run.

mod boundary;
mod figures;
mod gmod;
mod graph;
mod ingest;
mod live;
mod log;
mod net;
mod peer;
mod tail;
mod tree;
mod trend;
mod wire;
mod worker;

use std::process::ExitCode;

/// A part of the bench.
type Part = (&'static str, fn() -> Result<(), String>);

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    // A peer of ours that no package has.
    if let Some((_, ports)) = wanted.split_first().filter(|(role, _)| *role == net::bare::ROLE) {
        return net::bare::run(ports).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
    }
    let parts: [Part; 16] = [
        ("ingest", ingest::run),
        ("tree", tree::run),
        ("boundary", boundary::run),
        ("worker", worker::run),
        ("gmod", gmod::run),
        ("live", live::run),
        ("tail", tail::run),
        ("trend", trend::run),
        ("graph", graph::run),
        ("net/get", net::get::run),
        ("net/tls", net::tls::run),
        ("net/push", net::push::run),
        ("net/relay", net::relay::run),
        ("net/fanout", net::fanout::run),
        ("net/idle", net::idle::run),
        // The last: it is done by itself, and the others keep its cores busy.
        ("net/agent", net::agent::run),
    ];
    // `net` means all of its parts.
    let meant =
        |name: &str, part: &str| part.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if let Some(unknown) = wanted.iter().find(|name| !parts.iter().any(|(part, _)| meant(name, part))) {
        let known = parts.map(|(part, _)| part).join(", ");
        eprintln!("no part {unknown:?}; known are {known}");
        return ExitCode::from(2);
    }
    for (name, run) in parts.iter().filter(|(part, _)| wanted.is_empty() || wanted.iter().any(|name| meant(name, part)))
    {
        println!("# {name}");
        if let Err(why) = run() {
            eprintln!("{name}: {why}");
            return ExitCode::FAILURE;
        }
        println!();
    }
    ExitCode::SUCCESS
}
