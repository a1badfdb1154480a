//! What a small daemon does not hold on to: heaps of its own for each thread, and code that only starting needs, neither in its own
//! memory nor in the kernel's cache of files.
//!
//! A server's threads allocate side by side, and its memory is the tree's; an agent is to take little beside what it watches.

#![allow(unsafe_code)] // Calls of libc and the kernel for which there are no safe ones.

use crate::limits::{SETTLED, SETTLED_PAUSE_MAX, VISIT_BYTES, VISIT_PAGES};
use rustix::fs::{Advice as FileAdvice, fadvise};
use rustix::mm::{Advice, madvise};
use std::ffi::c_void;
use std::fs::{self, File};
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// All threads allocate from one heap: for each other one, what it had at its largest stays. To be called before there are threads.
pub(crate) fn one_heap() {
    #[cfg(target_env = "gnu")]
    // Safety: it sets a number. Where it is not taken, heaps are as they were.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Gives back what was freed.
fn trim() {
    #[cfg(target_env = "gnu")]
    // Safety: it gives back what nobody has, under the heap's own lock.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Where the kernel says what is mapped, and how much of it was written to.
const MAPS: &str = "/proc/self/smaps";

/// The same in one, for all that is mapped.
const ROLLUP: &str = "/proc/self/smaps_rollup";

/// The program's own file, also when another has taken its path.
const PROGRAM: &str = "/proc/self/exe";

/// Code and constants that were there before any plugin was: the program and its libraries, which are never unloaded.
#[derive(Debug, Default)]
pub(crate) struct Program(Vec<Range<usize>>);

impl Program {
    /// What is mapped now. To be called before anything is loaded that may be unloaded.
    pub(crate) fn now() -> Program {
        Program(fs::read_to_string(MAPS).map(|maps| unwritten(&maps, |_| true)).unwrap_or_default())
    }

    /// Lets go of it: what is needed is mapped again at its next use, from the same file.
    fn let_go(&self) {
        let file = File::open(PROGRAM).ok();
        // Threads that run meanwhile have what they need mapped again, and what lies around it while that is in the cache.
        for _ in 0..2 {
            self.0.iter().for_each(let_go);
            file.iter().for_each(uncache);
        }
    }
}

/// What gives back what only starting needed, when modules have been loaded and nothing more comes; and later what only somebody's
/// visit needed, as of who looked at a page.
#[derive(Debug)]
pub(crate) struct Settling {
    program: Program,
    /// When it is looked at next.
    due: Instant,
    /// What was loaded has not been given back.
    loaded: bool,
    /// Pages that had been missed at the last look, and how many since it was found out how much is mapped.
    missed: u64,
    since: u64,
    /// How much of files is mapped at rest, in KiB; not known before the first look after something was loaded.
    at_rest: Option<u64>,
    /// Not before then is anything given back again, and how much later than that the next time.
    earliest: Instant,
    pause: Duration,
}

impl Settling {
    /// The daemon has just begun.
    pub(crate) fn new(program: Program, now: Instant) -> Settling {
        let due = now + SETTLED;
        Settling { program, due, loaded: true, missed: 0, since: 0, at_rest: None, earliest: due, pause: SETTLED }
    }

    /// Something was loaded.
    pub(crate) fn stir(&mut self, now: Instant) {
        self.due = now + SETTLED;
        (self.loaded, self.at_rest) = (true, None);
        (self.earliest, self.pause) = (self.due, SETTLED);
    }

    /// Gives back, if it is time; whether it was.
    pub(crate) fn settle(&mut self, now: Instant) -> bool {
        if now < self.due {
            return false;
        }
        self.due = now + SETTLED;
        let mapped = || fs::read_to_string(ROLLUP).map_or(0, |rollup| of_files(&rollup));
        let given = self.look(missed(), mapped, now);
        if given {
            trim();
            self.program.let_go();
        }
        given
    }

    /// Whether it is time, when so many pages have been missed.
    fn look(&mut self, missed: u64, mapped: impl FnOnce() -> u64, now: Instant) -> bool {
        let fresh = missed.saturating_sub(std::mem::replace(&mut self.missed, missed));
        self.since += fresh;
        if std::mem::take(&mut self.loaded) {
            self.earliest = now + self.pause;
            return true;
        }
        let Some(at_rest) = self.at_rest else {
            self.since = 0;
            self.at_rest = Some(mapped());
            return false;
        };
        // To find out how much is mapped takes longer than all else that is done at rest, and is worth it when that may have grown.
        // Who is still there would have it read anew.
        if self.since < VISIT_PAGES || fresh >= VISIT_PAGES || now < self.earliest {
            return false;
        }
        self.since = 0;
        let mapped = mapped();
        self.at_rest = Some(at_rest.min(mapped));
        let grown = mapped > at_rest.saturating_add(VISIT_BYTES / 1_024);
        if grown {
            // Somebody comes again and again, it seems: what is given back has to be read again.
            self.pause = (self.pause * 2).min(SETTLED_PAUSE_MAX);
            self.earliest = now + self.pause;
        }
        grown
    }
}

/// Pages that the process has missed so far.
fn missed() -> u64 {
    // Safety: all zeroes are a value of it, and it is written to alone.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage
    };
    [usage.ru_minflt, usage.ru_majflt].into_iter().map(|n| u64::try_from(n).unwrap_or(0)).sum()
}

/// How much is mapped of files, in KiB: all but what is the process's own (proc_pid_smaps(5)).
fn of_files(rollup: &str) -> u64 {
    let (mut all, mut own) = (0, 0);
    for line in rollup.lines() {
        let mut words = line.split_ascii_whitespace();
        let figure = match words.next() {
            Some("Rss:") => &mut all,
            Some("Anonymous:") => &mut own,
            _ => continue,
        };
        *figure = words.next().and_then(|kib| kib.parse().ok()).unwrap_or(0);
    }
    u64::saturating_sub(all, own)
}

/// Lets go of a loaded object's code, as after a plugin's start. The object must stay loaded meanwhile.
pub(crate) fn let_go_of(object: &Path) {
    let Ok(object) = fs::canonicalize(object) else { return };
    let Ok(maps) = fs::read_to_string(MAPS) else { return };
    unwritten(&maps, |path| Path::new(path) == object).iter().for_each(let_go);
    if let Ok(file) = File::open(object) {
        write_out(&file);
        uncache(&file);
    }
}

fn let_go(range: &Range<usize>) {
    let start = range.start as *mut c_void;
    // Safety: it changes how much is read at a time, and nothing else: what is missed, page by page, and not what lies around it.
    let _ = unsafe { madvise(start, range.len(), Advice::Random) };
    // Safety: it is a private mapping of a file that was never writable and stays mapped (the callers see to both), so what is
    // dropped is what the file has, and comes back from there.
    let _ = unsafe { madvise(start, range.len(), Advice::LinuxDontNeed) };
}

/// Has the kernel drop of a file what nobody has mapped: a page that is missed brings those around it along, as far as they are
/// in the cache.
fn uncache(file: &File) {
    let _ = fadvise(file, 0, None, FileAdvice::DontNeed);
}

/// Waits until what was written to a file is on its disk, but for the file's place in its folder: only then can it leave the cache.
fn write_out(file: &File) {
    let all = libc::SYNC_FILE_RANGE_WAIT_BEFORE | libc::SYNC_FILE_RANGE_WRITE | libc::SYNC_FILE_RANGE_WAIT_AFTER;
    // Safety: it takes a descriptor that is open, and numbers.
    let _ = unsafe { libc::sync_file_range(file.as_raw_fd(), 0, 0, all) };
}

/// Private mappings of files that cannot be written to, and were not: none has a page that is the process's own, as what a loader has
/// filled in, in memory or swapped out (proc_pid_smaps(5); the one is not among the other).
fn unwritten(maps: &str, wanted: impl Fn(&str) -> bool) -> Vec<Range<usize>> {
    let head = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let number = |text| usize::from_str_radix(text, 16).ok();
        let range = number(start)?..number(end)?;
        let kept = matches!(fields.next()?, "r-xp" | "r--p");
        let path = line.find('/').map_or("", |at| line[at..].trim_end());
        Some((range, kept && !path.is_empty() && wanted(path)))
    };
    let (mut found, mut at) = (Vec::new(), None);
    // What is said of the mapping so far: that it has nothing of its own in memory, nor elsewhere.
    let (mut present, mut away) = (false, false);
    for line in maps.lines() {
        if let Some(own) = line.strip_prefix("Anonymous:") {
            present = own.trim() == "0 kB";
        } else if let Some(own) = line.strip_prefix("Swap:") {
            away = own.trim() == "0 kB";
        } else if let Some((range, kept)) = head(line) {
            at = Some(range).filter(|_| kept);
            (present, away) = (false, false);
            continue;
        }
        // Where the kernel does not say both, nothing is let go.
        if present && away {
            found.extend(at.take());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_never_written_to_is_let_go() {
        let maps = [
            ("5000-6000 r--p 00000000 fe:00 7    /opt/my graftd/bin", 0),
            ("6000-8000 r-xp 00001000 fe:00 7    /opt/my graftd/bin", 0),
            ("8000-9000 r--p 00003000 fe:00 7    /opt/my graftd/bin", 4),
            ("9000-a000 rw-p 00004000 fe:00 7    /opt/my graftd/bin", 0),
            ("a000-b000 rw-p 00000000 00:00 0    [heap]", 4),
            ("b000-c000 r-xp 00000000 00:00 0    [vdso]", 0),
            ("c000-d000 rwxp 00000000 fe:00 8    /lib/rwx.so", 0),
            ("d000-e000 r--s 00000000 fe:00 9    /data/shared", 0),
            ("e000-f000 r-xp 00001000 fe:00 10   /lib/libc.so.6", 0),
            ("f000-10000 r-xp 00001000 fe:00 11   /lib/patched.so", 8),
        ];
        let of = |head, own, away| {
            format!(
                "{head}\nSize: 4 kB\nAnonymous:             {own} kB\nSwap:            {away} kB\nSwapPss: 0 kB\nVmFlags: rd ex mr\n"
            )
        };
        let away = of("10000-11000 r--p 00001000 fe:00 11   /lib/relocated.so", 0, 120);
        let maps: String = maps.iter().map(|(head, own)| of(head, *own, 0)).chain([away]).collect();
        assert_eq!(unwritten(&maps, |_| true), [0x5000..0x6000, 0x6000..0x8000, 0xe000..0xf000]);
        assert_eq!(unwritten(&maps, |path| path == "/opt/my graftd/bin").len(), 2);
        let none = |maps| assert!(unwritten(maps, |_| true).is_empty(), "{maps}");
        none("x\n5000-6000\n5000-zz r-xp 0 0 0 /a\nAnonymous: 0 kB\nSwap: 0 kB\n");
        none("5000-6000 r-xp 0 0 0 /a\n6000-7000 rw-p 0 0 0 /a\nAnonymous: 0 kB\nSwap: 0 kB\n");
        none("5000-6000 r-xp 0 0 0 /a\nAnonymous: 0 kB\n");
        none("5000-6000 r-xp 0 0 0 /a\nAnonymous: 0 kB\n6000-7000 r-xp 0 0 0 /a\nSwap: 0 kB\n");
    }

    #[test]
    fn what_a_visit_needed_is_given_back_when_it_is_over_and_ever_more_seldom() {
        let began = Instant::now();
        let at = |seconds: u64| began + Duration::from_secs(seconds);
        let mut settling = Settling::new(Program::default(), began);
        let mut missed = 1_000;
        let mut look = |settling: &mut Settling, seconds, more, mapped| {
            missed += more;
            settling.look(missed, || mapped, at(seconds))
        };
        assert!(look(&mut settling, 20, 500, 20_000), "what was loaded");
        assert!(!look(&mut settling, 40, 300, 6_000), "nothing has come since");
        assert!(!look(&mut settling, 60, 2, 6_100) && !look(&mut settling, 80, 2, 6_100), "some has");
        assert!(!look(&mut settling, 100, 40, 9_000), "somebody is here");
        assert!(look(&mut settling, 120, 0, 9_000), "nobody any more");
        assert!(!look(&mut settling, 140, 40, 6_100), "what is at rest is there again");
        assert!(!look(&mut settling, 160, 0, 6_100) && !look(&mut settling, 180, 0, 6_100));
        // Somebody who comes each time, and takes more once what there was is given back.
        let mut before = false;
        let mut each = |seconds: &u64| {
            before = look(&mut settling, *seconds, if before { 40 } else { 1 }, 9_000);
            before
        };
        let given: Vec<u64> = (200..25_000).step_by(20).filter(|seconds| each(seconds)).collect();
        assert_eq!(given, [340, 420, 580, 900, 1_540, 2_820, 5_380, 8_980, 12_580, 16_180, 19_780, 23_380]);
        settling.stir(at(30_000));
        assert!(look(&mut settling, 30_020, 500, 30_000), "a plugin was loaded");
        assert!(!look(&mut settling, 30_040, 500, 29_000) && !look(&mut settling, 30_060, 0, 29_000), "it needs more");
    }

    #[test]
    fn pages_that_are_missed_are_counted() {
        let before = missed();
        let fresh = vec![1_u8; 1_024 * 4_096];
        assert_ne!(fresh.iter().map(|byte| u64::from(*byte)).sum::<u64>(), 0);
        assert!(missed() > before);
    }

    #[test]
    fn a_rollup_tells_what_is_of_files() {
        let rollup = "1000-7000 ---p 00000000 00:00 0    [rollup]\nRss:                1780 kB\nPss:  9 kB\nAnonymous:            116 kB\n";
        assert_eq!(of_files(rollup), 1_664);
        assert_eq!(of_files(""), 0);
        assert_ne!(of_files(&fs::read_to_string(ROLLUP).unwrap()), 0);
    }

    #[test]
    fn what_was_let_go_is_there_again() {
        let resident = || {
            let statm = fs::read_to_string("/proc/self/statm").unwrap();
            statm.split(' ').nth(2).unwrap().parse::<u64>().unwrap()
        };
        let program = Program::now();
        assert!(!program.0.is_empty());
        // All of it is there, so that what is let go shows.
        let sum = |range: &Range<usize>| {
            // Safety: it is mapped and readable, and nobody writes to it.
            let bytes = unsafe { std::slice::from_raw_parts(range.start as *const u8, range.len()) };
            bytes.iter().step_by(4_096).map(|byte| u64::from(*byte)).sum::<u64>()
        };
        let own = program.0.iter().max_by_key(|range| range.len()).unwrap();
        let (before, held) = (sum(own), resident());
        program.let_go();
        assert!(resident() < held, "{held}");
        assert_eq!(sum(own), before);
    }
}
