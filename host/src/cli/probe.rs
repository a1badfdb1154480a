//! `graftd probe`: would this plugin be let in?

use super::Failure;
use crate::module::{DeclaredParam, inside, probe};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

/// Try a plugin in a process of its own, as the daemon does before it lets one in.
///
/// Looks at the file's header, loads it, checks its layout, makes its module and has it work once, under limits of time and
/// memory. Ends with 1 when the daemon would refuse it.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  graftd probe target/release/libcpu.so --conf conf/cpu.on")]
pub(super) struct Probe {
    /// The plugin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The .on whose parameters it is to get
    #[arg(long, value_name = "FILE")]
    conf: Option<PathBuf>,
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
    /// The child's side of a probe
    #[arg(long, hide = true, value_name = "WORD")]
    inside: Option<String>,
}

impl Probe {
    pub(super) fn run(self) -> Result<(), Failure> {
        let conf = self.conf.as_deref();
        if let Some(word) = &self.inside {
            inside(word, &self.file, conf);
            return Ok(());
        }
        let file = self.file.display();
        match probe(&self.file, conf) {
            Ok(probed) if self.json => {
                println!("{}", json!({"file": self.file, "ok": true, "plugin": probed}));
                Ok(())
            }
            Ok(probed) => {
                println!(
                    "{file}: {} {}, branch {}, action {}",
                    probed.kind, probed.version, probed.path, probed.action
                );
                for DeclaredParam { name, default, help } in &probed.declared.params {
                    let default =
                        if default.is_empty() { "must be given".to_owned() } else { format!("default {default}") };
                    println!("  {name} ({default}): {help}");
                }
                if let Some(why) = &probed.no_data {
                    println!("  no sample now: {why}");
                }
                Ok(())
            }
            Err(why) => {
                if self.json {
                    println!("{}", json!({"file": self.file, "ok": false, "why": why.to_string()}));
                }
                Err(Failure::work(format_args!("{file}: {why}")))
            }
        }
    }
}
