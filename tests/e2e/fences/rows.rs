//! The faults.

use super::fate::Fate;
use graftd_tests::fixtures::{C_LIBRARIES, ODD_FILES};

/// How long a call may take in these tests.
pub const LIMIT: &str = "300ms";

/// What is dropped into `plugins/`.
#[derive(Clone, Debug)]
pub enum File {
    /// A plugin that was built, by its name.
    Plugin(&'static str),
    /// One of [`ODD_FILES`].
    Odd(usize),
    /// One of [`C_LIBRARIES`].
    C(&'static str),
}

/// What brings the fault about, once the module runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Nothing: it is there from the beginning, or comes by itself.
    Nothing,
    /// A request for `/bad`.
    Line,
    /// Switching it off.
    Off,
}

/// A fault and what is to come of it.
#[derive(Clone, Debug)]
pub struct Row {
    /// What the plugin does.
    pub what: String,
    /// Where that is.
    pub place: &'static str,
    pub file: File,
    /// Its `.on`.
    pub conf: String,
    pub trigger: Trigger,
    pub fate: Fate,
    /// The daemon may have that much address space, in bytes.
    pub memory: Option<u64>,
}

const PROBE: &str = "probe";
const DAEMON: &str = "daemon";
const ISOLATED: &str = "isolated";

/// A pipe that does something at a place.
fn pipe(place: &'static str, what: &str, at: &str, does: &str, trigger: Trigger, fate: Fate) -> Row {
    let mut conf = String::new();
    if place == ISOLATED {
        conf.push_str("isolation = \"process\"\n");
    }
    if does == "allocate" {
        conf.push_str("memory_limit = \"64MiB\"\n");
    }
    if place != PROBE {
        // What takes its time and comes back may have it, on a machine that does much else too.
        let limit = if ["bigframe", "allocate"].contains(&does) { "1m" } else { LIMIT };
        conf.push_str(&format!("time_limit = \"{limit}\"\n"));
    }
    conf.push_str(&format!("[params]\nat = \"{at}\"\ndoes = \"{does}\"\n"));
    if trigger == Trigger::Line {
        conf.push_str("on = \"/bad\"\n");
    } else if place != PROBE {
        conf.push_str("spare_probe = true\n");
    }
    Row { what: what.to_owned(), place, file: File::Plugin("unruly"), conf, trigger, fate, memory: None }
}

/// A collector that does something in its third collect, where it is not told to do it elsewhere.
fn collector(place: &'static str, what: &str, at: &str, does: &str, fate: Fate) -> Row {
    let mut conf = format!("every = \"100ms\"\ntime_limit = \"{LIMIT}\"\n");
    if place == ISOLATED {
        conf.push_str("isolation = \"process\"\n");
    }
    conf.push_str(&format!("[params]\nat = \"{at}\"\ndoes = \"{does}\"\n"));
    let trigger = if at == "drop" { Trigger::Off } else { Trigger::Nothing };
    conf.push_str(if at == "collect" { "after = 3\n" } else { "spare_probe = true\n" });
    Row { what: what.to_owned(), place, file: File::Plugin("unruly-collector"), conf, trigger, fate, memory: None }
}

fn file(what: &str, file: File, fate: Fate) -> Row {
    Row {
        what: what.to_owned(),
        place: PROBE,
        file,
        conf: String::new(),
        trigger: Trigger::Nothing,
        fate,
        memory: None,
    }
}

/// All of them, in the order of the table.
pub fn all() -> Vec<Row> {
    use Fate::{Answered, Broke, GivenUp, Killed, NotLetIn, Unharmed};
    use Trigger::{Line, Nothing, Off};
    let mut rows = Vec::new();
    for (index, odd) in ODD_FILES.iter().enumerate() {
        rows.push(file(odd.what, File::Odd(index), NotLetIn));
    }
    for (name, what) in C_LIBRARIES {
        rows.push(file(what, File::C(name), NotLetIn));
    }
    rows.push(file("a plugin of an older plugin-api", File::Plugin("older-api"), NotLetIn));
    rows.push(file("a plugin of a newer, compatible plugin-api", File::Plugin("newer-api"), Unharmed));
    rows.push(file("a plugin of a newer plugin-api", File::Plugin("newest-api"), NotLetIn));
    rows.push(file("a plugin whose types are laid out otherwise", File::Plugin("other-layout"), NotLetIn));
    rows.push(file("a plugin of quite another program", File::Plugin("foreign"), NotLetIn));
    for (what, at, does) in [
        ("panics in new()", "new", "panic"),
        ("an endless loop in new()", "new", "loop"),
        ("a segfault in new()", "new", "segfault"),
        ("abort() in new()", "new", "abort"),
        ("exit(0) in new()", "new", "exit"),
        ("allocates without end in new()", "new", "allocate"),
        ("panics in its first process()", "process", "panic"),
        ("a segfault in its first process()", "process", "segfault"),
        ("panics in its first flush()", "flush", "panic"),
    ] {
        rows.push(pipe(PROBE, what, at, does, Nothing, NotLetIn));
    }
    for (what, at, does, trigger, fate) in [
        ("panics in new()", "new", "panic", Nothing, NotLetIn),
        ("an endless loop in new()", "new", "loop", Nothing, GivenUp),
        ("panics in process()", "process", "panic", Line, Broke),
        ("an endless loop in process()", "process", "loop", Line, GivenUp),
        ("sleeps for ever in process()", "process", "sleep", Line, GivenUp),
        ("panics in flush()", "flush", "panic", Line, Broke),
        ("an endless loop in flush()", "flush", "loop", Line, GivenUp),
        ("panics while it is dropped", "drop", "panic", Off, Unharmed),
        ("an endless loop while it is dropped", "drop", "loop", Off, Unharmed),
        ("leaves a thread behind", "process", "thread", Line, Unharmed),
        ("prints a megabyte", "process", "print", Line, Unharmed),
        ("folds 200,000 keys of a kilobyte each", "process", "bigframe", Line, Unharmed),
        ("a segfault in new()", "new", "segfault", Nothing, Killed),
        ("a segfault in process()", "process", "segfault", Line, Killed),
        ("its stack overflows in process()", "process", "overflow", Line, Killed),
        ("abort() in process()", "process", "abort", Line, Killed),
        ("exit(0) in process()", "process", "exit", Line, Killed),
        ("a segfault in flush()", "flush", "segfault", Line, Killed),
        ("a segfault on a thread that it started", "process", "thread-segfault", Line, Killed),
    ] {
        rows.push(pipe(DAEMON, what, at, does, trigger, fate));
    }
    let allocates = pipe(DAEMON, "allocates without end in process()", "process", "allocate", Line, Killed);
    rows.push(Row { memory: Some(3 << 30), ..allocates });
    for (what, at, does, fate) in [
        ("fails in collect()", "collect", "error", Answered),
        ("panics in collect()", "collect", "panic", Broke),
        ("an endless loop in collect()", "collect", "loop", GivenUp),
        ("sleeps for ever in collect()", "collect", "sleep", GivenUp),
        ("an endless loop while it is dropped", "drop", "loop", Unharmed),
        ("a segfault in collect()", "collect", "segfault", Killed),
    ] {
        rows.push(collector(DAEMON, what, at, does, fate));
    }
    for (what, does) in [
        ("panics in process()", "panic"),
        ("a segfault in process()", "segfault"),
        ("its stack overflows in process()", "overflow"),
        ("abort() in process()", "abort"),
        ("exit(0) in process()", "exit"),
        ("_exit(0) in process()", "_exit"),
        ("an endless loop in process()", "loop"),
        ("sleeps for ever in process()", "sleep"),
        ("allocates without end in process()", "allocate"),
        ("a fork bomb in process()", "fork"),
        ("starts threads without end in process()", "threads"),
        ("opens files without end in process()", "descriptors"),
        ("closes descriptors that are not its own in process()", "close"),
    ] {
        rows.push(pipe(ISOLATED, what, "process", does, Line, Broke));
    }
    rows.push(pipe(ISOLATED, "prints a megabyte", "process", "print", Line, Unharmed));
    rows.push(pipe(ISOLATED, "leaves a thread behind", "process", "thread", Line, Unharmed));
    for (what, does) in [("a segfault in collect()", "segfault"), ("an endless loop in collect()", "loop")] {
        rows.push(collector(ISOLATED, what, "collect", does, Broke));
    }
    rows
}
