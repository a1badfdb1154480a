//! The child's side of a probe.

use super::{Probed, Refusal, Said, Step, Took, death, refusal, sample};
use crate::clock::Timepiece;
use crate::conf::ModuleConf;
use crate::limits::{PROBE_MEMORY_BYTES, PROBE_TIME_MAX};
use crate::module::branch::Branch;
use crate::module::library::Library;
use crate::module::load::check_conf;
use plugin_api::ErrorKind;
use rustix::io::fcntl_getfd;
use rustix::process::{Resource, Rlimit, Signal, getrlimit, set_parent_process_death_signal, setrlimit};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::LazyLock;
use std::time::Instant;

/// The child's side. What it has come to goes to standard output behind `word`.
pub fn inside(word: &str, file: &Path, conf: Option<&Path>, by_itself: Option<&str>) {
    limit(Resource::As, PROBE_MEMORY_BYTES);
    limit(Resource::Core, 0);
    limit(Resource::Cpu, PROBE_TIME_MAX.as_secs());
    // A daemon that is killed leaves no probe behind that never ends.
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        eprintln!("graftd: the probe cannot be tied to its parent: {error}");
    }
    let said = match try_once(word, file, conf, by_itself) {
        Ok(probed) => Said::Is(Box::new(probed)),
        Err(Refusal { why, again, off }) => Said::Wrong { why, again, off },
    };
    say(word, &said);
    // The standard library takes a closed output for one that nobody wants to read: nothing of the above was heard.
    if fcntl_getfd(std::io::stdout()).is_err() {
        std::process::exit(death::OUTPUT_CLOSED);
    }
}

/// A limit can only be lowered: one that is lower already holds.
fn limit(resource: Resource, most: u64) {
    let now = getrlimit(resource);
    let most = now.maximum.map_or(most, |maximum| maximum.min(most));
    if let Err(error) = setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) }) {
        eprintln!("graftd: a limit of the probe cannot be set: {error}");
    }
}

fn say(word: &str, said: &Said) {
    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let us = BEGAN.elapsed().as_micros();
    if let Ok(json) = serde_json::to_string(said) {
        // On a line of its own, whatever the plugin has printed.
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "\n{word}{us} {json}");
        let _ = out.flush();
    }
}

/// What stands in the `.on`, from standard input, which is the plugin's and empty from then on.
fn handed_over() -> io::Result<String> {
    let mut text = String::new();
    io::stdin().lock().read_to_string(&mut text)?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    Ok(text)
}

fn try_once(word: &str, file: &Path, conf: Option<&Path>, by_itself: Option<&str>) -> Result<Probed, Refusal> {
    let conf = match conf {
        Some(path) => {
            let text = handed_over().map_err(|error| format!("{}: {error}", path.display()))?;
            ModuleConf::parse(path, &text).map_err(|error| error.to_string())?
        }
        None => ModuleConf::default(),
    };
    say(word, &Said::At(Step::Load));
    let library = Library::load(file)?;
    let declared = library.declared();
    check_conf(&declared, &conf)?;
    if let Some(name) = by_itself {
        Refusal::unless_it_runs_by_itself(&declared, name)?;
    }
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    let name = name.strip_prefix("lib").unwrap_or(&name);
    let branch = Branch::of(name, &conf, &declared, "{host}")?;
    let mut probed = Probed {
        version: library.version().to_owned(),
        kind: if library.is_pipe() { "pipe" } else { "collector" }.to_owned(),
        path: crate::tree::encode_path(branch.keys.iter().map(String::as_str)),
        action: branch.action.map_or_else(|| "add".to_owned(), |(_, action)| action.to_string()),
        declared,
        no_data: None,
        took: Took::default(),
    };
    say(word, &Said::At(Step::New));
    let clock = Timepiece::start().now();
    let mut frame = Vec::new();
    if library.is_pipe() {
        let mut pipe = library.pipe(&conf.params).map_err(|error| refusal(&error, &conf))?;
        say(word, &Said::At(Step::Work));
        sample::with(library.wants(), |records| pipe.process(clock, records))
            .map_err(|error| refusal(&error, &conf))?;
        pipe.flush(clock, &mut frame).map_err(|error| refusal(&error, &conf))?;
        say(word, &Said::At(Step::Drop));
    } else {
        let mut collector = library.collector(&conf.params).map_err(|error| refusal(&error, &conf))?;
        say(word, &Said::At(Step::Work));
        match collector.collect(clock, &mut frame) {
            Ok(()) => {}
            // It failed this once: the daemon shows it as failing, and tries it again.
            Err(error) if matches!(error.kind(), ErrorKind::NoData | ErrorKind::Failed) => {
                probed.no_data = Some(error.to_string());
            }
            Err(error) => return Err(refusal(&error, &conf)),
        }
        say(word, &Said::At(Step::Drop));
    }
    if !frame.is_empty() {
        plugin_api::delta::wire::Reader::new(&frame)
            .and_then(|reader| reader.check())
            .map_err(|error| error.to_string())?;
    }
    drop(library);
    Ok(probed)
}
