//! `graftd check`: would it run?

use super::error::print;
use super::{Dirs, Failure, dirs};
use crate::conf::{ModuleConf, lie_elsewhere};
use crate::module::{BuiltInConf, Folders, Once, Plan, Planned, Refusal, Unread, look, once, plan, probe};
use clap::Args;
use serde_json::json;
use std::path::Path;

/// Check the configuration and the plugins without running them.
///
/// Reads graftd.conf and every NAME.on, and probes every plugin that would run, each in a process of its own. Ends with 2 when
/// something would be rejected, or a file that graftd.conf or a relay's .on names is not there.
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
        let conf = dirs::daemon_conf(&folders)?;
        let seen = look(&folders).map_err(Failure::usage)?;
        let mut rejected = 0;
        let mut findings = Vec::new();
        let mut lacking = lacks(folders.conf.as_deref(), "graftd.conf", &conf.files());
        for (name, plan) in plan(&seen) {
            let file = plan.file.clone();
            let files = match &plan.what {
                Planned::BuiltIn(BuiltInConf::Relay(relay)) => relay.files(),
                Planned::BuiltIn(BuiltInConf::Nats(nats)) => nats.files(),
                _ => Vec::new(),
            };
            lacking.extend(lacks(file.parent(), &name, &files));
            let (state, what) = found(&name, plan, &folders);
            rejected += usize::from(state == "rejected");
            if self.json {
                findings.push(json!({"name": name, "file": file, "state": state, "what": what}));
            } else {
                print(format!("{state:<9} {name:<16} {what}").trim_end())?;
            }
        }
        for Unread { path, name, why } in &seen.unread {
            if self.json {
                findings.push(json!({"name": name, "file": path, "state": "unread", "what": why}));
            } else {
                print(&format!("{:<9} {name:<16} {why}", "unread"))?;
            }
        }
        for (name, what) in &lacking {
            if self.json {
                findings.push(json!({"name": name, "file": null, "state": "lacks", "what": what}));
            } else {
                print(&format!("{:<9} {name:<16} {what}", "lacks"))?;
            }
        }
        if self.json {
            print(&serde_json::Value::from(findings).to_string())?;
        } else if seen.plugins.is_empty() && seen.confs.is_empty() && seen.unread.is_empty() {
            print("no plugins and no configuration found")?;
        }
        let rejected = match rejected {
            0 => None,
            1 => Some("one module would be rejected".to_owned()),
            n => Some(format!("{n} modules would be rejected")),
        };
        let lacking = match lacking.len() {
            0 => None,
            1 => Some("one file that is named is not there".to_owned()),
            n => Some(format!("{n} files that are named are not there")),
        };
        let wrong: Vec<String> = rejected.into_iter().chain(lacking).collect();
        if wrong.is_empty() { Ok(()) } else { Err(Failure::usage(wrong.join("; "))) }
    }
}

/// Which files are not there that the configuration in a folder names.
fn lacks(folder: Option<&Path>, who: &str, files: &[(&'static str, &Path)]) -> Vec<(String, String)> {
    let missing = files.iter().filter_map(|(key, file)| {
        let error = file.metadata().err()?;
        let hint = folder.map_or_else(String::new, |folder| lie_elsewhere([*file], folder));
        Some((who.to_owned(), format!("{key} {}: {error}{hint}", file.display())))
    });
    missing.collect()
}

/// What would become of a module, and why.
fn found(name: &str, plan: Plan, folders: &Folders) -> (&'static str, String) {
    let (plugin, conf) = match plan.what {
        Planned::Off(why) => return ("off", why),
        Planned::Rejected(why) => return ("rejected", why),
        Planned::BuiltIn(conf) => return ("ok", format!("built-in {}", conf.plugin())),
        Planned::Run { plugin, conf } => (plugin, conf),
    };
    let tried = tried(name, &plugin.path, &conf, folders.plugins.as_deref()).unwrap_or_else(|| {
        probe(&plugin.path, conf.source(), (plan.file == plugin.path).then_some(name))
            .map(|found| format!("{} at {} ({} {})", found.kind, found.path, plugin.path.display(), found.version))
    });
    match tried {
        Ok(what) => ("ok", what),
        Err(Refusal { why, off: true, .. }) => ("off", why),
        Err(why) => ("rejected", format!("{}: {why}", plan.file.display())),
    }
}

/// What came of a module that another program runs; none where it is a plugin of graftd's own kind.
fn tried(name: &str, file: &Path, conf: &ModuleConf, folder: Option<&Path>) -> Option<Result<String, Refusal>> {
    let shown = |once: Once| {
        let kind = if once.is_pipe { "pipe" } else { "collector" };
        let mut what = format!("{kind} at {} ({})", once.branch.keys.join(","), file.display());
        for remark in &once.remarks {
            let line = remark.lines().next().unwrap_or_default();
            what.push_str("; ");
            what.push_str(line);
        }
        what
    };
    once(name, file, conf, folder, HOST, None).map(|found| found.map(shown)).transpose()
}

/// Stands for the host's name, which plays no part.
const HOST: &str = "localhost";
