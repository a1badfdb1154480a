//! Packed logs, patterns and folders.

use super::{ingest, ingest_input};
use flate2::Compression;
use flate2::write::GzEncoder;
use graftd_tests::Folders;
use serde_json::json;
use std::io::Write;
use std::process::{Command, Stdio};

fn log(lines: usize) -> String {
    let line = |n: usize| {
        format!("192.0.2.{} - - [01/May/2025:00:00:00 +0000] \"GET /{n} HTTP/1.1\" 200 {n} \"-\" \"-\"\n", n % 256)
    };
    (0..lines).map(line).collect()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(text.as_bytes()).expect("memory");
    packer.finish().expect("memory")
}

/// Packs with a command of the system's.
fn pack(command: &[&str], text: &str) -> Vec<u8> {
    let mut child = Command::new(command[0])
        .args(&command[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut into = child.stdin.take().expect("its input");
    let text = text.to_owned();
    let writing = std::thread::spawn(move || into.write_all(text.as_bytes()));
    let packed = child.wait_with_output().expect("it ends");
    writing.join().expect("no panic").expect("it reads");
    assert!(packed.status.success(), "{command:?}");
    packed.stdout
}

/// The ways that logs are packed in.
const WAYS: [&[&str]; 6] = [
    &["gzip", "-c"],
    &["bzip2", "-c"],
    &["zstd", "-c", "-q"],
    &["zstd", "-c", "-q", "-19", "--long=27"],
    &["zstd", "-c", "-q", "--no-check"],
    &["bzip2", "-1", "-c"],
];

#[test]
fn packed_logs_are_read_whatever_their_names() {
    let folders = Folders::new().plugins(&["status"]);
    let text = log(20_000);
    for way in WAYS {
        let packed = pack(way, &text);
        assert!(packed.len() < text.len() / 2);
        let file = folders.write("access.log", &packed);
        let ran = ingest(&folders, &["--json", &file]).good();
        assert_eq!(ran.json()["status"], json!({"200": 20_000}), "{way:?}");
        let ran = ingest_input(&folders, &["--json", "-"], &packed).good();
        assert_eq!(ran.json()["status"], json!({"200": 20_000}), "{way:?}");
        // Rotations are put together by `cat`, and a piece may hold nothing.
        let twice = [packed.clone(), pack(way, ""), packed].concat();
        let ran = ingest_input(&folders, &["--json", "-"], &twice).good();
        assert_eq!(ran.json()["status"], json!({"200": 40_000}), "{way:?}");
        let nothing = folders.write("nothing.log", pack(way, ""));
        ingest(&folders, &["--json", &nothing]).good();
    }
    let plain = folders.write("plain.log.gz", log(3));
    assert_eq!(ingest(&folders, &["--json", &plain]).good().json()["status"], json!({"200": 3}));
}

#[test]
fn several_threads_read_packed_and_plain_logs() {
    let folders = Folders::new().plugins(&["status"]);
    // Large enough to be cut, if it were plain.
    let noise = pack(&["gzip", "-1", "-c"], &log(200_000));
    let mut large = b"\x28\xb5\x2f\xfd".to_vec();
    large.resize(40_000_000, 0);
    let damaged = folders.write("large.zst", large);
    let logs =
        [folders.write("a.gz", noise), folders.write("b", log(5)), folders.write("c.zst", pack(WAYS[2], &log(7)))];
    let ran = ingest(&folders, &["--json", "--threads", "3", &logs[0], &damaged, &logs[1], &logs[2]]);
    ran.failed(1, &["large.zst: is packed, and "]);
    assert_eq!(ran.json()["status"], json!({"200": 200_012}), "{}", ran.stderr);
}

#[test]
fn what_stands_before_a_cut_or_damage_is_counted() {
    let folders = Folders::new().plugins(&["status"]);
    for way in WAYS {
        let packed = pack(way, &log(20_000));
        let cut = folders.write("cut", &packed[..packed.len() - 7]);
        let ran = ingest(&folders, &["--json", &cut]);
        ran.failed(1, &["cut: is packed, and cut off; the lines before that were read"]);
        if way.contains(&"--no-check") {
            // Its last bytes are text.
            continue;
        }
        let mut damaged = packed;
        let end = damaged.len() - 2;
        damaged[end] ^= 0x55;
        let damaged = folders.write("damaged", damaged);
        let ran = ingest(&folders, &["--json", &damaged]);
        ran.failed(1, &["damaged: is packed, and "]);
    }
    let xz = folders.write("log.xz", b"\xfd7zXZ\0\0\x04");
    ingest(&folders, &[&xz]).failed(1, &["log.xz: is packed by xz", "xz -dc"]);
}

#[test]
fn a_small_log_that_is_cut_off_keeps_its_lines() {
    let folders = Folders::new().plugins(&["status"]);
    // Less than a format is told from.
    let packed = pack(&["gzip", "-c"], &log(300));
    let cut = folders.write("cut.gz", &packed[..packed.len() / 2]);
    for more in [&["--format", "combined"][..], &[]] {
        let ran = ingest(&folders, &[&["--json", &cut], more].concat());
        ran.failed(1, &["cut.gz: is packed, and cut off; the lines before that were read"]);
        let lines = ran.json()["status"]["200"].as_f64().unwrap_or_default();
        assert!((100.0..300.0).contains(&lines), "{more:?}: {lines}");
    }
    // Several blocks of zstd, each of which a later one could refer to.
    let packed = pack(&["zstd", "-c", "-q"], &log(4_000));
    let cut = folders.write("cut.zst", &packed[..packed.len() - 9]);
    let ran = ingest(&folders, &["--json", &cut]);
    ran.failed(1, &["cut.zst: is packed, and cut off"]);
    let lines = ran.json()["status"]["200"].as_f64().unwrap_or_default();
    assert!((1_000.0..4_000.0).contains(&lines), "{lines}");
}

#[test]
fn what_stands_behind_a_packed_log_is_passed_over_and_said() {
    let folders = Folders::new().plugins(&["status"]);
    for way in [WAYS[0], WAYS[1], WAYS[2]] {
        let file = folders.write("log", [pack(way, &log(30)), b"garbage".to_vec()].concat());
        let ran = ingest(&folders, &["--json", &file]).good();
        assert_eq!(ran.json()["status"], json!({"200": 30}), "{way:?}");
        let said =
            "log: behind what is packed stand 7 bytes of something else, which are passed over; all lines were read";
        assert!(ran.stderr.contains(said), "{way:?}: {}", ran.stderr);
    }
}

#[test]
fn patterns_name_files() {
    let folders = Folders::new().plugins(&["status"]);
    let _ = folders.write("access.log", log(1));
    let _ = folders.write("access.log.1", log(10));
    let _ = folders.write("access.log.2.gz", gzip(&log(100)));
    let odd = folders.write("odd[1]*.log", log(1_000));
    let root = folders.root().display();
    let count = |files: &[&str]| {
        let args = ["--json"].into_iter().chain(files.iter().copied());
        ingest(&folders, &args.collect::<Vec<_>>()).good().json()["status"]["200"].clone()
    };
    let (all, rotated) = (format!("{root}/access.log*"), format!("{root}/access.log.?*"));
    assert_eq!(count(&[&all]), json!(111));
    assert_eq!(count(&[&rotated]), json!(110));
    // Named before, so not once more.
    assert_eq!(count(&[&format!("{root}/access.log"), &all]), json!(111));
    // There is a file of that very name.
    assert_eq!(count(&[&odd]), json!(1_000));
    ingest(&folders, &[&format!("{root}/none*.log")]).failed(2, &["none*.log: matches no file"]);
    ingest(&folders, &[&format!("{root}/[.log")]).failed(2, &["[.log: is no pattern"]);
    ingest(&folders, &[&format!("{root}/**a")]).failed(2, &["is no pattern"]);
}

#[test]
fn a_folder_says_what_to_do() {
    let folders = Folders::new().plugins(&["status"]);
    let _ = folders.write("a.log", log(2));
    let root = folders.root().display().to_string();
    let ran = ingest(&folders, &["--json", &root, &format!("{root}/a.log")]);
    ran.failed(1, &["is a folder", &format!("graftd ingest '{root}/*.log*'")]);
    assert_eq!(ran.json()["status"], json!({"200": 2}));
}
