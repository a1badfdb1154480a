//! The faults.

/// What becomes of a module with a fault. The daemon lives, and its other modules do not notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It never runs, and is not tried again before its file changes.
    Rejected,
    /// It never runs, and is tried again.
    NeverStarts,
    /// Nothing: it runs, or is off when it was switched off.
    Unharmed,
    /// Its calls fail; its process goes on, and is asked again.
    Fails,
    /// Its process ends; it is made anew.
    Dies,
}

impl Fate {
    /// What the daemon did, for a person.
    pub fn did(self) -> &'static str {
        match self {
            Fate::Rejected => "did not let it in",
            Fate::NeverStarts => "did not let it in, and tries again with a pause that doubles",
            Fate::Unharmed => "went on",
            Fate::Fails => "shows it as failing, and asks it again with a pause that doubles",
            Fate::Dies => "ended its process, and made it anew after a pause",
        }
    }
}

/// A fault and what is to come of it.
#[derive(Clone, Debug)]
pub struct Row {
    /// What the module does.
    pub what: String,
    /// Where it does that.
    pub place: &'static str,
    /// Its source, a file of `tests/fixtures/python`.
    pub file: &'static str,
    /// What stands in the place of `DEED` in it.
    pub deed: &'static str,
    /// Its `.on`.
    pub conf: String,
    pub fate: Fate,
}

const IMPORT: &str = "import";
const INIT: &str = "metric_init";
const CALLBACK: &str = "callback";
const CLEANUP: &str = "metric_cleanup";

/// How long a call, or its start, may take in these tests. What takes its time and comes back may have it, on a machine
/// that does much else too.
fn limits(does: &str) -> &'static str {
    match does {
        "loop" | "loop_with_gil" | "sleep_for_ever" | "stop_itself" | "fork_bomb" | "start_threads" => {
            "time_limit = \"1s\"\ninit_timeout = \"3s\"\n"
        }
        _ => "time_limit = \"1m\"\ninit_timeout = \"1m\"\n",
    }
}

fn unruly(place: &'static str, what: &str, does: &'static str, fate: Fate) -> Row {
    let memory = if does == "allocate" { "memory_limit = \"128MiB\"\n" } else { "" };
    // Several times in a row, so that it is to be seen.
    let times = if fate == Fate::Fails { 3 } else { 1 };
    let limits = limits(does);
    let params = format!("[params]\nat = \"{place}\"\ndoes = \"{does}\"\ntimes = \"{times}\"\n");
    let conf = format!("every = \"100ms\"\n{memory}{limits}{params}");
    Row { what: what.to_owned(), place, file: "unruly.py", deed: "", conf, fate }
}

fn import(what: &str, file: &'static str, deed: &'static str, fate: Fate) -> Row {
    let conf = format!("every = \"100ms\"\n{}", limits(deed));
    Row { what: what.to_owned(), place: IMPORT, file, deed, conf, fate }
}

/// All of them, in the order of the table.
pub fn all() -> Vec<Row> {
    use Fate::{Dies, Fails, NeverStarts, Rejected, Unharmed};
    let mut rows = vec![
        import("is no Python", "unparsable.py", "", Rejected),
        import("raises an exception", "at_import.py", "raise_error", NeverStarts),
        import("sys.exit(3)", "at_import.py", "exit_system", NeverStarts),
        import("os._exit(3)", "at_import.py", "exit_at_once", NeverStarts),
        import("a segfault by ctypes", "at_import.py", "segfault", NeverStarts),
        import("an endless loop", "at_import.py", "loop", NeverStarts),
    ];
    rows.push(Row { place: INIT, ..import("returns None for its metrics", "without.py", "", NeverStarts) });
    for (what, does, fate) in [
        ("raises an exception", "raise_error", NeverStarts),
        ("sys.exit(3)", "exit_system", NeverStarts),
        ("os._exit(3)", "exit_at_once", NeverStarts),
        ("os.abort()", "abort", NeverStarts),
        ("an endless loop", "loop", NeverStarts),
        ("blocks for ever, holding the GIL", "loop_with_gil", NeverStarts),
        ("allocates without end", "allocate", NeverStarts),
        ("sleeps for 30 s", "sleep_30_s", Unharmed),
        ("changes its folder and its umask", "change_folder", Unharmed),
        ("starts 20 threads that never end", "thread_for_ever", Unharmed),
        ("handles each signal that it can, by nothing", "own_signals", Unharmed),
    ] {
        rows.push(unruly(INIT, what, does, fate));
    }
    rows.push(Row { place: CALLBACK, ..import("raises an exception, in the source of Python 2", "old.py", "", Fails) });
    for (what, does, fate) in [
        ("raises an exception", "raise_error", Fails),
        ("sys.exit(3)", "exit_system", Fails),
        ("raises KeyboardInterrupt", "interrupt", Fails),
        ("returns None", "return_none", Fails),
        ("returns a list", "return_a_list", Fails),
        ("returns 64 MB of text for a number", "return_much", Fails),
        ("os._exit(3)", "exit_at_once", Dies),
        ("os.abort()", "abort", Dies),
        ("a segfault by ctypes", "segfault", Dies),
        ("a segfault on a thread that it started", "thread_segfault", Dies),
        ("an exception on a thread that it started", "thread_raises", Unharmed),
        ("its stack overflows", "overflow", Dies),
        ("an endless loop", "loop", Dies),
        ("blocks for ever, holding the GIL", "loop_with_gil", Dies),
        ("sleeps for ever", "sleep_for_ever", Dies),
        ("allocates without end", "allocate", Fails),
        ("starts threads without end", "start_threads", Fails),
        ("opens files without end", "open_files", Fails),
        ("a fork bomb", "fork_bomb", Dies),
        ("leaves children behind", "leave_children", Unharmed),
        ("prints three megabytes", "print_much", Unharmed),
        ("prints twelve megabytes from four threads", "print_from_threads", Unharmed),
        ("closes its standard output", "close_stdout", Unharmed),
        ("closes descriptors that are not its own", "close_all", Dies),
        ("kills itself", "kill_itself", Dies),
        ("stops itself by SIGSTOP", "stop_itself", Dies),
        ("kills its parent", "kill_parent", Fails),
        ("kills all that it may", "kill_all", Unharmed),
    ] {
        rows.push(unruly(CALLBACK, what, does, fate));
    }
    for (what, does) in [
        ("raises an exception", "raise_error"),
        ("os._exit(3)", "exit_at_once"),
        ("a segfault by ctypes", "segfault"),
        ("an endless loop", "loop"),
    ] {
        rows.push(unruly(CLEANUP, what, does, Unharmed));
    }
    rows
}

/// Whether it does it when it is switched off.
pub fn at_the_end(row: &Row) -> bool {
    row.place == CLEANUP
}

/// Whether it does it when it is asked.
pub fn when_asked(row: &Row) -> bool {
    row.place == CALLBACK
}
