//! `graftd check`: would it run?

use super::error::print;
use super::{Dirs, Failure, dirs};
use crate::module::{Planned, look, plan, probe};
use clap::Args;
use serde_json::json;

/// Check the configuration and the plugins without running them.
///
/// Reads graftd.conf and every NAME.on, and probes every plugin that would run, each in a process of its own. Ends with 2 when
/// something would be rejected.
#[derive(Args, Debug)]
pub(super) struct Check {
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    dirs: Dirs,
}

impl Check {
    pub(super) fn run(self) -> Result<(), Failure> {
        let folders = self.dirs.folders()?;
        dirs::daemon_conf(&folders)?;
        let seen = look(&folders).map_err(Failure::usage)?;
        let mut rejected = 0;
        let mut findings = Vec::new();
        for (name, plan) in plan(&seen) {
            let (state, what) = match plan.what {
                Planned::Off => ("off", String::new()),
                Planned::Rejected(why) => ("rejected", why),
                Planned::Run { plugin, conf } => match probe(&plugin.path, conf.source()) {
                    Ok(found) => (
                        "ok",
                        format!("{} at {} ({} {})", found.kind, found.path, plugin.path.display(), found.version),
                    ),
                    Err(why) => ("rejected", format!("{}: {why}", plan.file.display())),
                },
            };
            rejected += usize::from(state == "rejected");
            if self.json {
                findings.push(json!({"name": name, "file": plan.file, "state": state, "what": what}));
            } else {
                print(format!("{state:<9} {name:<16} {what}").trim_end())?;
            }
        }
        if self.json {
            print(&serde_json::Value::from(findings).to_string())?;
        } else if seen.plugins.is_empty() && seen.confs.is_empty() {
            print("no plugins and no configuration found")?;
        }
        match rejected {
            0 => Ok(()),
            1 => Err(Failure::usage("one module would be rejected")),
            n => Err(Failure::usage(format_args!("{n} modules would be rejected"))),
        }
    }
}
