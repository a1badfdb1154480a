//! The command line: one binary, a mode a file.

mod check;
mod check_format;
mod client;
mod dirs;
mod error;
mod graph;
mod import;
mod ingest;
mod modules;
mod new;
mod probe;
mod push;
mod read;
mod relay;
mod run;
mod sampled;
mod show;
mod tls;
mod tokens;
mod trend;
mod worker;

pub use error::Failure;

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// One live tree of everything a fleet knows, into which modules are grafted while it runs.
#[derive(Debug, Parser)]
#[command(name = "graftd", version, propagate_version = true, max_term_width = 110)]
#[command(after_help = "Begin with `graftd run`, then open http://127.0.0.1:8650/ or ask `graftd get cpu`.\n\
Exit codes: 0 done; 1 it could not be done; 2 it was asked wrongly, or the configuration is wrong.")]
pub struct Cli {
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Debug, Subcommand)]
enum Mode {
    // What each is for stands at its arguments, which is where its own --help takes it from.
    Run(run::Run),
    Ingest(ingest::Ingest),
    Get(client::Get),
    Watch(client::Watch),
    Push(push::Push),
    Trend(trend::Trend),
    Graph(graph::Graph),
    Relay(relay::Relay),
    Tls(tls::Tls),
    Modules(modules::Modules),
    New(new::New),
    Probe(probe::Probe),
    Check(check::Check),
    CheckFormat(check_format::CheckFormat),
    ImportGmond(import::Import),
    #[command(hide = true)]
    Worker(worker::Worker),
}

/// Where the folders are.
#[derive(Args, Clone, Debug, Default)]
struct Dirs {
    /// Folder with NAME.on and NAME.off, and graftd.conf [default: conf/ of the checkout, or /etc/graftd]
    #[arg(long, value_name = "DIR")]
    conf: Option<PathBuf>,
    /// Folder with the plugins [default: plugins/ of the checkout, or /usr/lib/graftd/plugins]
    #[arg(long, value_name = "DIR")]
    plugins: Option<PathBuf>,
    /// Load plugins and read configuration that others than root and this user can write
    #[arg(long)]
    allow_unsafe_permissions: bool,
}

/// Does what the command line says.
///
/// # Errors
/// It could not be done, or was asked wrongly.
pub fn main(cli: Cli) -> Result<(), Failure> {
    match cli.mode {
        Mode::Run(run) => run.run(),
        Mode::Ingest(ingest) => ingest.run(),
        Mode::Get(get) => get.run(),
        Mode::Watch(watch) => watch.run(),
        Mode::Push(push) => push.run(),
        Mode::Trend(trend) => trend.run(),
        Mode::Graph(graph) => graph.run(),
        Mode::Relay(relay) => relay.run(),
        Mode::Tls(tls) => tls.run(),
        Mode::Modules(modules) => modules.run(),
        Mode::Probe(probe) => probe.run(),
        Mode::New(new) => new.run(),
        Mode::Check(check) => check.run(),
        Mode::CheckFormat(check) => check.run(),
        Mode::ImportGmond(import) => import.run(),
        Mode::Worker(worker) => worker.run(),
    }
}
