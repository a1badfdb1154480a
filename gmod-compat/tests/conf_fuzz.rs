//! A million configurations, of the grammar's shape or cut out of real ones, most with something wrong, are read or refused: nothing
//! panics, stands still or grows, and what is read is printed as what reads the same. `GRAFTD_FUZZ_CASES` and `GRAFTD_FUZZ_SEED`
//! have it try more and others.

use gmod_compat::conf::{Files, Gmond, Item, Tree, limits, load_text, looks_like_gmond, parse};
use graftd_fuzz::{Random, cases, seed, walked};
use std::ffi::OsString;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use std::{fs, io, thread};

/// One case takes some microseconds: one that takes so long stands still.
const STANDS_STILL: Duration = Duration::from_secs(30);

/// Bytes that the process may have had at its largest; it has some 3 MiB.
const MEMORY: u64 = 64 * 1024 * 1024;

const SECTIONS: [&str; 12] = [
    "globals",
    "cluster",
    "CLUSTER",
    "modules",
    "module",
    "param host",
    "collection_group",
    "metric",
    "metric",
    "udp_recv_channel",
    "acl",
    "x",
];
const KEYS: [&str; 16] = [
    "name",
    "name_match",
    "title",
    "value",
    "value_threshold",
    "collect_every",
    "colect_every",
    "collect_once",
    "time_threshold",
    "language",
    "path",
    "params",
    "enabled",
    "port",
    "host_dmax",
    "é",
];
const VALUES: [&str; 20] = [
    "a",
    "python",
    "C/C++",
    "yes",
    "off",
    "10",
    "-1",
    "017",
    "0x1F",
    "1.5",
    "1e400",
    "99999999999999999999",
    "\"\"",
    "\"a b\"",
    "\"\\x41\\101\\n\"",
    "\"\\999\"",
    "'it\\'s'",
    "${A:-b}",
    "\"${A}${\"",
    "http://h/;3",
];
/// What is special in the grammar, and what is special in bytes.
const PIECES: [&str; 24] = [
    "{",
    "}",
    "(",
    ")",
    "=",
    "+=",
    ",",
    "\"",
    "'",
    "\\",
    "${",
    "/*",
    "*/",
    "//",
    "#",
    "\n",
    "\r\n",
    " ",
    "*",
    "\0",
    "é",
    "\u{feff}",
    "include('*')",
    "modules {",
];

/// Items as they should stand.
fn items(random: &mut Random, depth: usize, out: &mut Vec<u8>) {
    for _ in 0..=random.below(3) {
        let parts: [&str; 4] = match random.below(10) {
            0..=3 if depth < 4 => {
                let (section, end) = (random.one(&SECTIONS), random.one(&[" }\n", "}", "\n}\n"]));
                out.extend_from_slice(section.as_bytes());
                out.extend_from_slice(b" {");
                items(random, depth + 1, out);
                [end, "", "", ""]
            }
            0..=7 => {
                [random.one(&KEYS), random.one(&[" = ", "=", " += "]), random.one(&VALUES), random.one(&["\n", " "])]
            }
            8 => ["include (", random.one(&["'a'", "'*'", "\"[a-c]\"", "'/etc/x'", "a, b"]), ")", "\n"],
            _ => [random.one(&["# x\n", "/* x */", "// x\n", " \t"]), "", "", ""],
        };
        parts.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
    }
}

/// Does something to a text that a slip, a full disk or somebody bad might do.
fn mutate(random: &mut Random, text: &mut Vec<u8>) {
    let at = random.below(text.len());
    match random.below(8) {
        0 => text.truncate(at),
        1 => drop(text.drain(at..(at + 1 + random.below(8)).min(text.len()))),
        2 => {
            let end = (at + random.below(40)).min(text.len());
            text.extend_from_within(at..end);
        }
        3 => {
            if let Some(byte) = text.get_mut(at) {
                *byte = random.next() as u8;
            }
        }
        4 => {
            // Many of one kind: what is to be bounded shows.
            let piece = random.one(&PIECES).as_bytes();
            let times = [2, 70, 300][random.below(20) / 9];
            text.splice(at..at, piece.iter().copied().cycle().take(piece.len() * times));
        }
        _ => drop(text.splice(at..at, random.one(&PIECES).bytes())),
    }
}

/// What a case reads.
fn text_of(seed: u64, case: u64, fixtures: &[Vec<u8>], text: &mut Vec<u8>) {
    let random = &mut Random::of(seed, case);
    text.clear();
    let changes = match case % 8 {
        // Now and then a whole one.
        0 if case.is_multiple_of(512) => {
            text.extend_from_slice(&fixtures[random.below(fixtures.len())]);
            random.below(4)
        }
        0..=2 => {
            let fixture = &fixtures[random.below(fixtures.len())];
            let from = random.below(fixture.len());
            let to = (from + random.below(160)).min(fixture.len());
            text.extend_from_slice(&fixture[from..to]);
            1 + random.below(2)
        }
        3 => {
            (0..random.below(24)).for_each(|_| text.extend_from_slice(random.one(&PIECES).as_bytes()));
            0
        }
        4 | 5 => {
            items(random, 0, text);
            0
        }
        _ => {
            items(random, 0, text);
            1 + random.below(3)
        }
    };
    (0..changes).for_each(|_| mutate(random, text));
}

/// Four small files that include each other, wherever they are looked for.
struct Few<'a>(&'a [u8]);

impl Files for Few<'_> {
    fn read(&self, path: &Path, at_most: usize) -> io::Result<Vec<u8>> {
        let text: &[u8] = match path.file_name().and_then(|name| name.to_str()) {
            Some("a") => self.0,
            Some("b") => b"include('c') modules { module { name = b } }",
            Some("c") => b"include('[cd]')",
            Some("d") => b"\xff = \xfe",
            _ => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(text.iter().copied().take(at_most).collect())
    }
    fn exists(&self, path: &Path) -> bool {
        path.as_os_str().len() < 12
    }
    fn names(&self, _: &Path) -> io::Result<Vec<OsString>> {
        Ok(["a", "b", "c", "d"].map(OsString::from).into())
    }
    fn var(&self, name: &str) -> Option<String> {
        Some(name.to_owned())
    }
}

fn count(items: &[Item]) -> usize {
    let below = items.iter().map(|item| if let Item::Section(section) = item { count(&section.items) } else { 0 });
    items.len() + below.sum::<usize>()
}

fn check_tree(tree: &Tree, bytes: usize) {
    assert!(count(&tree.items) <= bytes, "more items than bytes");
    assert!(tree.warnings.list().len() <= limits::MAX_WARNINGS);
    if let Ok(gmond) = Gmond::from_tree(tree) {
        assert!(gmond.warnings.list().len() <= limits::MAX_WARNINGS);
    }
}

/// Whether it was read.
fn try_one(case: u64, text: &[u8]) -> bool {
    looks_like_gmond(text);
    let set = case.is_multiple_of(2);
    let parsed = parse("t", text, &|name| set.then(|| name.to_owned()));
    if case.is_multiple_of(32)
        && let Ok(loaded) = load_text(&Few(text), Path::new("/x/t"), text)
    {
        assert!(loaded.files.len() <= limits::MAX_FILES);
        check_tree(&loaded.tree, usize::MAX);
    }
    match parsed {
        Ok(tree) => {
            check_tree(&tree, text.len());
            if case.is_multiple_of(4) {
                let printed = tree.to_string();
                let back =
                    parse("t", printed.as_bytes(), &|_| Some("SLIPPED".to_owned())).expect("what was printed reads");
                assert_eq!(back.to_string(), printed);
            }
            true
        }
        Err(error) => {
            let lines = text.iter().filter(|byte| **byte == b'\n').count() + 1;
            assert!((1..=lines).contains(&(error.line as usize)), "{error}");
            assert!(!error.what.is_empty() && !error.hint.is_empty());
            false
        }
    }
}

fn fixtures() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let found = ["gmond.conf", "redis.pyconf", "conf.d/mysql.pyconf", "conf.d/multi_interface.pyconf"];
    found.map(|name| fs::read(folder.join(name)).expect("a fixture")).into()
}

/// The most memory that this process had, in bytes.
fn most_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

#[test]
fn a_million_configurations_are_read_or_refused() {
    let (cases, seed) = (cases(), seed());
    let under_way = Arc::new(AtomicU64::new(0));
    let told = Arc::clone(&under_way);
    let (done, ended) = mpsc::channel();
    let tries = thread::spawn(move || {
        let _done: mpsc::Sender<()> = done;
        let (fixtures, mut text, mut read) = (fixtures(), Vec::new(), 0u64);
        for case in 0..cases {
            told.store(case, Ordering::Relaxed);
            text_of(seed, case, &fixtures, &mut text);
            read += u64::from(try_one(case, &text));
        }
        read
    });
    let show = || {
        let (case, mut text) = (under_way.load(Ordering::Relaxed), Vec::new());
        text_of(seed, case, &fixtures(), &mut text);
        format!("case {case} of seed {seed}: {}", text.escape_ascii())
    };
    let mut before = None;
    // Whether it works or panics, its end of the channel goes with it.
    while ended.recv_timeout(STANDS_STILL) == Err(mpsc::RecvTimeoutError::Timeout) {
        let case = under_way.load(Ordering::Relaxed);
        assert!(before != Some(case), "stands still at {}", show());
        before = Some(case);
    }
    let read = tries.join().unwrap_or_else(|_| panic!("{}", show()));
    walked("configurations", read, cases, 20..=80);
    assert!(most_memory() < MEMORY, "{} bytes", most_memory());
}
