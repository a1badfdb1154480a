//! `graftd modules`: what lives in a running daemon, and the switches.

use super::Failure;
use super::client::{Server, json, text};
use super::error::print;
use super::show::printable;
use crate::conf::nearest;
use crate::limits::SWITCH_WAIT_MAX;
use clap::{Args, Subcommand};
use serde_json::Value;
use std::thread;
use std::time::{Duration, Instant};
use ureq::http::Response;

/// How often it is asked whether a switch has taken effect.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// List a running daemon's modules, or switch one.
///
/// A line a module: its name, state, kind and why. A * behind the kind: it runs in a process of its own.
/// A switch answers when it has taken effect, or after 15 s with how far that is.
#[derive(Args, Debug)]
pub(super) struct Modules {
    #[command(subcommand)]
    switch: Option<SwitchMode>,
    /// Only this module, with the file that it is or that configures it
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Print the answer as the daemon sent it
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Subcommand)]
enum SwitchMode {
    /// Switch a module on: NAME.off becomes NAME.on
    On {
        /// The module's name; it may stand before the switch, too
        name: Option<String>,
    },
    /// Switch a module off: NAME.on becomes NAME.off
    Off {
        /// The module's name; it may stand before the switch, too
        name: Option<String>,
    },
    /// Load a module anew
    Reload {
        /// The module's name; it may stand before the switch, too
        name: Option<String>,
    },
}

impl Modules {
    pub(super) fn run(self) -> Result<(), Failure> {
        let (name, to) = match &self.switch {
            None => return self.list(),
            Some(SwitchMode::On { name }) => (name, "on"),
            Some(SwitchMode::Off { name }) => (name, "off"),
            Some(SwitchMode::Reload { name }) => (name, "reload"),
        };
        let name = match (&self.name, name) {
            (Some(name), None) | (None, Some(name)) => name,
            (None, None) => {
                return Err(Failure::usage(format_args!("which module? Name it: graftd modules {to} NAME")));
            }
            (Some(one), Some(other)) => {
                return Err(Failure::usage(format_args!(
                    "{one:?} or {other:?}? One module is switched at a time: graftd modules {to} {other}"
                )));
            }
        };
        let in_url: String = form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>().replace('+', "%20");
        let mut response = self.server.good(self.server.post(&format!("/modules/{in_url}/{to}"), "", &[])?)?;
        let mut module = json(&text(&mut response)?)?;
        let until = Instant::now() + SWITCH_WAIT_MAX;
        while !has_taken_effect(&module, to) && Instant::now() < until {
            thread::sleep(ASK_EVERY);
            let Some(answer) = self.server.get_if_allowed("/modules", "application/json")? else {
                return if self.json {
                    print(&module.to_string())
                } else {
                    print("switched; this token cannot read how it went")
                };
            };
            // A module that is nothing but its file may be gone.
            let Some(now) = listed(answer)?.into_iter().find(|module| module["name"] == **name) else { break };
            module = now;
        }
        if self.json { print(&module.to_string()) } else { print_module(&module) }
    }

    fn all(&self) -> Result<Vec<Value>, Failure> {
        listed(self.server.get("/modules", "application/json")?)
    }

    fn list(&self) -> Result<(), Failure> {
        let Some(name) = &self.name else {
            let answer = text(&mut self.server.get("/modules", "application/json")?)?;
            if self.json {
                return print(answer.trim_end());
            }
            return json(&answer)?.as_array().into_iter().flatten().try_for_each(print_module);
        };
        let modules = self.all()?;
        let Some(module) = modules.iter().find(|module| module["name"] == **name) else {
            let near = nearest(name, modules.iter().filter_map(|module| module["name"].as_str()));
            let near = near.map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
            return Err(Failure::work(format_args!("there is no module {name:?}{near}")));
        };
        if self.json {
            return print(&module.to_string());
        }
        print_module(module)?;
        let part = |name: &str| printable(module[name].as_str().unwrap_or_default());
        print(&format!("    {} since {}", part("file"), part("since")))
    }
}

/// The modules in an answer.
fn listed(mut answer: Response<ureq::Body>) -> Result<Vec<Value>, Failure> {
    let answer = json(&text(&mut answer)?)?;
    Ok(if let Value::Array(modules) = answer { modules } else { Vec::new() })
}

/// Whether a module is as it is to be, or cannot be so.
fn has_taken_effect(module: &Value, to: &str) -> bool {
    let state = module["state"].as_str().unwrap_or_default();
    // What stands in a .on may keep it off.
    let says_off = module["file"].as_str().is_some_and(|file| file.ends_with(".on"));
    match (to, state) {
        ("off", state) => matches!(state, "off" | "stopped"),
        (_, "probing") => false,
        ("on", "off") => says_off,
        _ => true,
    }
}

fn print_module(module: &Value) -> Result<(), Failure> {
    let part = |name: &str| printable(module.get(name).and_then(Value::as_str).unwrap_or_default());
    let kind = if part("isolation") == "process" { format!("{}*", part("kind")) } else { part("kind") };
    let why = part("why");
    let goes_on = part("state") == "rejected" && module["runs"] == true && !why.ends_with("goes on");
    let why = if goes_on { format!("{why} (the one before goes on)") } else { why };
    let next = part("next");
    let next = if next.is_empty() { next } else { format!(" (next try {next})") };
    let line = format!("{:<16} {:<9} {kind:<10} {}{next}", part("name"), part("state"), why);
    print(line.trim_end())?;
    for line in module.get("traceback").and_then(Value::as_str).unwrap_or_default().lines() {
        print(&format!("    {}", printable(line)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_switch_has_taken_effect_when_nothing_more_is_to_come() {
        for (to, state, file, has) in [
            ("off", "running", "x.off", false),
            ("off", "off", "x.off", true),
            ("on", "off", "x.off", false),
            ("on", "off", "x.on", true),
            ("on", "probing", "x.on", false),
            ("on", "rejected", "x.on", true),
            ("reload", "probing", "x.so", false),
            ("reload", "failing", "x.so", true),
        ] {
            assert_eq!(has_taken_effect(&json!({"state": state, "file": file}), to), has, "{to} {state} {file}");
        }
    }

    #[test]
    fn the_help_states_the_limit() {
        use clap::{Args, Command};
        let help = Modules::augment_args(Command::new("modules")).render_long_help().to_string();
        assert!(help.contains(&format!("after {} s", SWITCH_WAIT_MAX.as_secs())), "{help}");
    }
}
