//! `graftd worker`: a plugin's process, and its keeper's.

use super::Failure;
use crate::worker::{Fence, Inside, Keeping, inside, keep, kill_all_of};
use clap::Args;
use std::path::PathBuf;

/// Run one plugin's module in a process of its own. The daemon starts this by itself; it is no command for people.
///
/// A module whose .on says `isolation = "process"` runs here, behind limits of memory, processes, descriptors and time, and
/// as a user of its own where the daemon is root. Two processes are started for each: a keeper, which touches no plugin and
/// ends all that the other has started, and the worker, in which the plugin's code runs. They talk to the daemon by sockets
/// that they are handed as standard input and output.
#[derive(Args, Debug)]
pub(super) struct Worker {
    /// The plugin
    #[arg(value_name = "FILE", required_unless_present_any = ["kill_all_of", "shared"])]
    plugin: Option<PathBuf>,
    /// Bytes of memory beyond what the bare process needs
    #[arg(long, value_name = "N", default_value_t = 0)]
    memory_bytes: u64,
    /// The program that runs the module, where it is one of gmond's or a pipe in Python
    #[arg(long, hide = true, value_name = "FILE")]
    gmod: Option<PathBuf>,
    /// The folder of the module's helpers
    #[arg(long, hide = true, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Several modules share it, and come by its standard input
    #[arg(long, hide = true, requires = "gmod", conflicts_with = "plugin")]
    shared: bool,
    /// It may read every file that there is
    #[arg(long, hide = true)]
    reads_all: bool,
    /// The worker's own side, started by the keeper with this process id
    #[arg(long, hide = true, value_name = "PID")]
    inside: Option<i32>,
    /// The user that the worker becomes
    #[arg(long, hide = true, value_name = "UID", requires = "inside")]
    user: Option<u32>,
    /// Kill every process of a worker's user
    #[arg(long, hide = true, value_name = "UID", conflicts_with = "plugin")]
    kill_all_of: Option<u32>,
}

impl Worker {
    pub(super) fn run(self) -> Result<(), Failure> {
        let Worker {
            plugin,
            memory_bytes,
            gmod,
            folder,
            shared: _,
            reads_all,
            inside: keeper,
            user,
            kill_all_of: killed,
        } = self;
        let done = match (killed, keeper) {
            (Some(uid), _) => kill_all_of(uid),
            (None, Some(keeper)) => {
                let fence = Fence { keeper, user, reads_all, memory_bytes };
                inside(&Inside { plugin, gmod, folder, fence })
            }
            (None, None) => keep(&Keeping { plugin, memory_bytes, gmod, folder, reads_all }),
        };
        done.map_err(Failure::work)
    }
}
