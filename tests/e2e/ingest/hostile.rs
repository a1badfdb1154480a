//! Logs that mean no good, end to end.

use super::{PIPES, ingest, sum};
use graftd_tests::{Folders, binary};
use serde_json::json;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::process::{Command, Stdio};

const LINE: &str = "192.0.2.1 - - [01/May/2025:00:00:00 +0000] \"GET / HTTP/1.1\" 200 1 \"-\" \"-\"\n";

/// The greatest RSS of a run that is fed so, in MiB; `graftd` must end with this code.
fn peak(folders: &Folders, args: &[&str], code: i32, mut feed: impl FnMut(&mut dyn Write)) -> (f64, String) {
    // `time` of the shell knows no RSS; the kernel's mark is asked for once all is fed, before the last of it.
    let mut child = Command::new(binary())
        .arg("ingest")
        .args(folders.args())
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("graftd");
    let mut into = BufWriter::with_capacity(1 << 20, child.stdin.take().expect("its input"));
    feed(&mut into);
    into.flush().expect("it reads");
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).expect("it still waits for more");
    let mark = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a mark");
    let kib: f64 = mark.trim().trim_end_matches(" kB").parse().expect("a number");
    drop(into);
    let ran = child.wait_with_output().expect("it ends");
    let printed = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert_eq!(ran.status.code(), Some(code), "{printed}");
    (kib / 1024.0, printed)
}

#[test]
fn a_hundred_megabytes_without_a_line_end_take_no_memory() {
    let folders = Folders::new().plugins(&PIPES);
    let few = |out: &mut dyn Write| out.write_all(LINE.as_bytes()).expect("it reads");
    // More than a pipe holds: a process that has not read it yet has no peak to speak of.
    let some = |out: &mut dyn Write| (0..10_000).for_each(|_| few(out));
    let (small, _) = peak(&folders, &["--json", "-"], 0, some);
    let (large, printed) = peak(&folders, &["--json", "-"], 0, |out| {
        few(out);
        let block = vec![b'x'; 1 << 20];
        (0..100).for_each(|_| out.write_all(&block).expect("it reads"));
        out.write_all(b"\n").expect("it reads");
        few(out);
    });
    let tree: serde_json::Value = serde_json::from_str(&printed).expect("a tree");
    assert_eq!(tree["status"], json!({"200": 2}));
    assert!(large < small + 6.0, "{large} MiB, {small} MiB of a small log");
}

#[test]
fn a_bomb_is_unpacked_in_little_memory() {
    let folders = Folders::new().plugins(&PIPES);
    // A gigabyte of line feeds and of nothing, in a megabyte.
    let bomb = folders.root().join("bomb.gz");
    let shell = format!("(head -c 300000000 /dev/zero; yes '' | head -c 300000000) | gzip -1 > {}", bomb.display());
    assert!(Command::new("sh").args(["-c", &shell]).status().expect("sh").success());
    let bytes = fs::read(&bomb).expect("the bomb");
    let (mib, printed) = peak(&folders, &["--json", "--format", "combined", "-"], 1, |out| {
        out.write_all(&bytes).expect("it reads");
    });
    assert_eq!(printed, "", "nothing was read");
    assert!(mib < 100.0, "{mib} MiB");
}

#[test]
fn long_agents_cost_microseconds_each() {
    let folders = Folders::new().plugins(&PIPES);
    let lines = 2_000;
    let log = folders.root().join("agents.log");
    let mut out = BufWriter::new(File::create(&log).expect("a file"));
    for n in 0..lines {
        // Each another, so that none is known; words of browsers in it, and what looks like versions.
        let agent = format!("Mozilla/5.0 ({n}; ").repeat(100_000 / 18);
        out.write_all(LINE.replace("\"-\"\n", &format!("\"{agent}\"\n")).as_bytes()).expect("a disk");
    }
    out.into_inner().expect("a disk");
    let began = cpu_of_children();
    let ran = ingest(&folders, &["--json", &log.display().to_string()]).good();
    let each = (cpu_of_children() - began) / f64::from(lines) * 1e6;
    assert_eq!(ran.json()["status"], json!({"200": lines}));
    assert_eq!(sum(&ran.json()["br"]), f64::from(lines));
    println!("{each:.0} µs a line of 100 kB");
    // 100 kB are read, checked to be text and looked through for quotes at gigabytes a second.
    assert!(each < 500.0, "{each} µs a line");
}

/// CPU seconds of the children that have ended. Other tests' are among them where several run in one process.
fn cpu_of_children() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").expect("/proc");
    let after = stat.rsplit(')').next().expect("a name");
    let ticks: f64 = after.split_whitespace().skip(13).take(2).map(|field| field.parse().unwrap_or(0.0)).sum();
    ticks / 100.0
}

#[test]
fn zeros_and_bytes_that_are_no_text_are_kept_and_shown_replaced() {
    let folders = Folders::new().plugins(&PIPES);
    let line =
        |url: &[u8]| [b"::1 - - [01/May/2025:00:00:00 +0000] \"GET ", url, b" HTTP/1.1\" 200 1 \"-\" \"-\"\n"].concat();
    let text = [line(b"/a\xff\xfeb"), line(b"/nul\0byte"), line(b"/\xc3\xa4"), line(b"/\xed\xa0\x80")].concat();
    let log = folders.write("bytes.log", &text);
    let ran = ingest(&folders, &["--json", &log]).good();
    let tree = ran.json();
    assert_eq!(tree["status"], json!({"200": 4}), "{}", ran.stderr);
    for key in ["/a\u{fffd}\u{fffd}b", "/nul\0byte", "/ä", "/\u{fffd}\u{fffd}\u{fffd}"] {
        assert_eq!(tree["url"][key], json!(1), "{key:?}: {}", tree["url"]);
    }
    let shown = ingest(&folders, &[&log]).good().stdout;
    assert!(shown.contains("/nul\\u{0}byte") && shown.contains("/a\u{fffd}\u{fffd}b"), "{shown}");
    assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{shown:?}");
}

#[test]
fn mixed_line_ends_and_noise_among_lines_stop_nothing() {
    let folders = Folders::new().plugins(&PIPES);
    let line = LINE.trim_end();
    let mut noise: Vec<u8> = (0..200_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    noise.retain(|byte| *byte != b'\n');
    let mut text = format!("{line}\r\n{line}\n\r\n\n{line}\r\r\n{line}\n").into_bytes();
    text.extend_from_slice(&noise);
    text.extend_from_slice(format!("\n{line}\0\n{line}\r\nhalf of a li\n{line}").as_bytes());
    let log = folders.write("mixed.log", &text);
    for threads in ["1", "2"] {
        let ran = ingest(&folders, &["--json", "--threads", threads, "--format", "combined", &log]).good();
        assert_eq!(ran.json()["status"], json!({"200": 7}), "{}", ran.stderr);
        assert!(ran.stderr.contains("line 9: ") || ran.stderr.contains("line 7: "), "{}", ran.stderr);
        assert!(ran.stderr.contains("2 of 9 lines did not parse"), "{}", ran.stderr);
        assert!(ran.stderr.chars().all(|c| c == '\n' || !c.is_control()), "{:?}", ran.stderr);
    }
    let shown = ingest(&folders, &["--format", "combined", &log]).good().stdout;
    assert!(shown.contains("errors       2 (22.2 % of the lines)"), "{shown}");
}
