//! What a small daemon does not hold on to: heaps of its own for each thread, and code that only starting needs, neither in its own
//! memory nor in the kernel's cache of files.
//!
//! A server's threads allocate side by side, and its memory is the tree's; an agent is to take little beside what it watches.

#![allow(unsafe_code)] // Calls of libc and the kernel for which there are no safe ones.

use crate::limits::SETTLED;
use rustix::fs::{Advice as FileAdvice, fadvise};
use rustix::mm::{Advice, madvise};
use std::ffi::c_void;
use std::fs::{self, File};
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::Instant;

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

/// What gives back what only starting needed, when modules have been loaded and nothing more comes.
#[derive(Debug)]
pub(crate) struct Settling {
    program: Program,
    due: Option<Instant>,
}

impl Settling {
    /// The daemon has just begun.
    pub(crate) fn new(program: Program) -> Settling {
        Settling { program, due: Some(Instant::now() + SETTLED) }
    }

    /// Something was loaded.
    pub(crate) fn stir(&mut self, now: Instant) {
        self.due = Some(now + SETTLED);
    }

    /// Gives back, if it is time; whether it was.
    pub(crate) fn settle(&mut self, now: Instant) -> bool {
        let due = self.due.take_if(|due| *due <= now).is_some();
        if due {
            trim();
            self.program.let_go();
        }
        due
    }
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
