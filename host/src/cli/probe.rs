//! `graftd probe`: would this plugin be let in?

use super::error::print;
use super::{Failure, sampled};
use crate::conf::read_text;
use crate::module::{DeclaredParam, Probed, inside, probe};
use clap::Args;
use serde_json::{Value, json};
use std::fs::File;
use std::path::{Path, PathBuf};

/// Try a plugin in a process of its own, as the daemon does before it lets one in.
///
/// Looks at the file's header, loads it, checks its layout, makes its module and has it work once (a batch of lines or a
/// collect), all of it within 10 s and 1024 MiB of memory. Ends with 1 when the daemon would refuse it for what
/// it is, and says why; who may write it is not asked (graftd check does).
///
/// A module in Python, or one of gmond's in C, is started as the daemon would start it, and what it samples is shown: its
/// metrics with their values and units, and behind them what it printed.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  graftd probe plugins/cpu.so --conf plugins/cpu/sample.on\n  graftd probe redis.py --conf redis.pyconf"
)]
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
    /// As which module it is to run without a .on, for the child's side
    #[arg(long, hide = true, value_name = "NAME")]
    by_itself: Option<String>,
}

impl Probe {
    pub(super) fn run(self) -> Result<(), Failure> {
        let conf = self.conf.as_deref();
        if let Some(word) = &self.inside {
            inside(word, &self.file, conf, self.by_itself.as_deref());
            return Ok(());
        }
        let file = self.file.display();
        let read = |conf: &Path| {
            let opened = File::open(conf).map_err(|error| format!("{}: {error}", conf.display()));
            opened.and_then(|opened| read_text(&opened, conf))
        };
        let text = conf.map(read).transpose().map_err(Failure::usage)?;
        if let Some(done) = sampled::probe(&self.file, conf.zip(text.as_deref()), self.json) {
            return done;
        }
        match probe(&self.file, conf.zip(text.as_deref()), None) {
            Ok(probed) if self.json => {
                print(&json!({"file": self.file, "ok": true, "plugin": shown(&probed)}).to_string())?;
                Ok(())
            }
            Ok(probed) => {
                print(&format!(
                    "{file}: {} {}, branch {}, action {}",
                    probed.kind, probed.version, probed.path, probed.action
                ))?;
                for DeclaredParam { name, default, help } in &probed.declared.params {
                    let default =
                        if default.is_empty() { "must be given".to_owned() } else { format!("default {default}") };
                    print(&format!("  {name} ({default}): {help}"))?;
                }
                let took = &probed.took;
                print(&format!(
                    "  loaded in {} ms, made in {} ms, worked once in {} ms",
                    took.load_ms, took.new_ms, took.work_ms
                ))?;
                if let Some(why) = &probed.no_data {
                    print(&format!("  no sample now: {why}"))?;
                }
                Ok(())
            }
            Err(why) => {
                if self.json {
                    print(&json!({"file": self.file, "ok": false, "why": why.to_string()}).to_string())?;
                }
                Err(Failure::work(format_args!("{file}: {why}")))
            }
        }
    }
}

/// What a plugin turned out to be, for programs: one module a plugin, with the parameters it takes.
fn shown(probed: &Probed) -> Value {
    json!({
        "version": probed.version,
        "kind": probed.kind,
        "path": probed.path,
        "action": probed.action,
        "params": probed.declared.params,
        "no_data": probed.no_data,
        "took": probed.took,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{PROBE_MEMORY_BYTES, PROBE_TIME_MAX};
    use clap::{Args, Command};

    #[test]
    fn the_help_states_the_limits() {
        let help = Probe::augment_args(Command::new("probe")).render_long_help().to_string();
        let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
        let limits = format!("within {} s and {} MiB", PROBE_TIME_MAX.as_secs(), PROBE_MEMORY_BYTES >> 20);
        assert!(words.contains(&limits), "{limits}: {help}");
    }
}
