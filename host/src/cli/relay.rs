//! `graftd relay`: what is done with a sender's data folder while no daemon runs in it.

use super::{Failure, dirs, run};
use crate::trend::{FILE, renew};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Relays: graftd sending its deltas to another graftd.
#[derive(Args, Debug)]
pub(super) struct Relay {
    #[command(subcommand)]
    tool: Tool,
}

#[derive(Debug, Subcommand)]
enum Tool {
    /// Make a copied data folder a sender of its own; what waited to be sent from it is forgotten
    Renew {
        /// Folder with what the daemon keeps [default: data/ of the checkout, or /var/lib/graftd]
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
    },
}

impl Relay {
    pub(super) fn run(self) -> Result<(), Failure> {
        let Tool::Renew { data } = self.tool;
        let data = dirs::data(data.as_deref())?;
        let file = data.join(FILE);
        if !file.exists() {
            return Err(Failure::work(format_args!("{}: there is no such file", file.display())));
        }
        let _lock = run::lock(&data)?;
        let id = renew(&file).map_err(|why| Failure::work(format_args!("{}: {why}", file.display())))?;
        super::error::print(&format!("{} sends as {id} from now on", data.display()))
    }
}
