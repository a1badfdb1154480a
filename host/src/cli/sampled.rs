//! What a module that another program runs has sampled, for people and for programs.

use super::Failure;
use super::error::print;
use super::show::printable;
use crate::conf::ModuleConf;
use crate::limits::WORKER_LAST_WORDS_BYTES;
use crate::module::{Once, once};
use plugin_api::delta::wire::{Op, Reader};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Stands for the host's name.
const HOST: &str = "localhost";

/// Tries such a module once and shows what came of it; none where the file is a plugin of graftd's own kind.
pub(super) fn probe(file: &Path, conf: Option<(&Path, &str)>, as_json: bool) -> Option<Result<(), Failure>> {
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    let read = conf.map(|(path, text)| ModuleConf::parse(path, text)).transpose();
    let conf = match read {
        Ok(conf) => conf.unwrap_or_default(),
        Err(error) => return Some(Err(Failure::usage(error))),
    };
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).or(Some(Path::new(".")));
    let printed = Arc::default();
    let found = once(&name, file, &conf, folder, HOST, Some(&printed)).transpose()?;
    let printed = printed.lock();
    Some(match found {
        Ok(once) => show(file, &once, &printed, as_json),
        Err(refusal) => {
            let told = if as_json {
                print(&json!({"file": file, "ok": false, "why": refusal.why, "printed": *printed}).to_string())
            } else {
                show_printed(&printed)
            };
            told.and_then(|()| Err(Failure::work(refusal)))
        }
    })
}

fn show(file: &Path, once: &Once, printed: &str, as_json: bool) -> Result<(), Failure> {
    let leaves = leaves(&once.frame);
    let kind = if once.is_pipe { "pipe" } else { "collector" };
    let branch = once.branch.keys.join(",");
    if as_json {
        let leaves: Map<String, Value> = leaves.iter().map(|(path, leaf)| (path.clone(), leaf.json())).collect();
        let shown = json!({
            "file": file, "ok": true, "printed": printed,
            "plugin": {"kind": kind, "path": branch, "every_ms": once.every.as_millis() as u64, "leaves": leaves, "remarks": once.remarks},
        });
        return print(&shown.to_string());
    }
    let every = if once.is_pipe { String::new() } else { format!(", every {:?}", once.every) };
    print(&format!("{}: {kind}, branch {branch}{every}", file.display()))?;
    for (path, leaf) in &leaves {
        let units = leaf
            .units
            .as_deref()
            .filter(|units| !units.is_empty())
            .map_or_else(String::new, |units| format!(" {units}"));
        print(&format!("  {path} = {}{units}", leaf.value))?;
    }
    let [start, work] = once.took.map(|took| took.as_millis());
    print(&format!("  started in {start} ms, worked once in {work} ms"))?;
    once.remarks.iter().try_for_each(|remark| {
        remark
            .lines()
            .enumerate()
            .try_for_each(|(nth, line)| print(&format!("  {}{line}", if nth == 0 { "" } else { "  " })))
    })?;
    show_printed(printed)
}

/// Shows what a module printed, so that nobody takes it for graftd's words.
fn show_printed(printed: &str) -> Result<(), Failure> {
    if printed.is_empty() {
        return Ok(());
    }
    let cut = if printed.len() < WORKER_LAST_WORDS_BYTES { "" } else { " (the end of it)" };
    print(&format!("  the module printed{cut}:"))?;
    printed.lines().try_for_each(|line| print(&format!("    | {}", printable(line))))
}

/// What was said at one path.
#[derive(Debug, Default)]
struct Leaf {
    value: Value,
    units: Option<String>,
    meta: Map<String, Value>,
}

impl Leaf {
    fn json(&self) -> Value {
        json!({"value": self.value, "meta": self.meta})
    }
}

fn leaves(frame: &[u8]) -> BTreeMap<String, Leaf> {
    let mut leaves: BTreeMap<String, Leaf> = BTreeMap::new();
    // Nothing to say is no frame, and a worker's frames are checked.
    let Ok(mut reader) = Reader::new(frame) else { return leaves };
    while let Ok(Some(entry)) = reader.next_entry() {
        let path = crate::tree::encode_path(reader.path().iter().copied());
        let value = match entry.op {
            Op::Number(x) | Op::Add(x) | Op::Set(x) | Op::Total(x) => json!(x),
            Op::Text(text) => json!(text),
            Op::Bool(flag) => json!(flag),
            Op::Quantiles(_) | Op::Distinct(_) | Op::Top(_) => json!("(a sketch)"),
            Op::Meta(pairs) => {
                let leaf = leaves.entry(path).or_default();
                leaf.units = pairs.get("units").map(str::to_owned);
                leaf.meta = pairs.iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
                continue;
            }
            Op::Action(_) | Op::Lifetime(_) => continue,
        };
        leaves.entry(path).or_default().value = value;
    }
    leaves
}
