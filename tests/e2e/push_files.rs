//! `graftd push`: files of documents, packed and not, by HTTP and by TCP; what is wrong in them is told with its line.

use flate2::Compression;
use flate2::write::GzEncoder;
use graftd_tests::{Daemon, Folders, binary, graftd, graftd_with_input};
use serde_json::json;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;

#[test]
fn files_of_every_form() {
    let daemon = Daemon::builder().start();
    let folders = daemon.folders();
    let lines = "{\"n\":1}\n".repeat(1_000);
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(lines.as_bytes()).expect("packed");
    let one = folders.write("one.jsonl", &lines);
    let two = folders.write("two.jsonl.gz", packed.finish().expect("packed"));
    let array = folders.write("array.json", "[\n  {\n    \"n\": 1\n  },\n  {\"n\": 1, \"m\": \"}{\"}\n]\n");
    // Literal documents and files stand beside each other.
    assert_eq!(daemon.cli(&["push", &one, &two, &array, "{\"n\":1}"]).good().stdout, "merged 2004\n");
    assert_eq!(daemon.value("n"), 2_003);
    let url = format!("http://{}", daemon.http());
    let ran = graftd_with_input(["push", "-", "--json", "--url", &url], lines.as_bytes()).good();
    assert_eq!(ran.json(), json!({"documents": 1000, "merged": 1000, "rejected": 0}));
    // What is produced is read without a word, and what is not read here has a way.
    let ran = graftd_with_input(["push", "--url", &url], lines.as_bytes()).good();
    assert_eq!(ran.stdout, "merged 1000\n");
    let packed = folders.write("v.jsonl.xz", b"\xfd7zXZ\0\0\x04");
    daemon.cli(&["push", &packed]).failed(1, &["is packed by xz", "xz -dc FILE | graftd push -"]);
    // A block is four megabytes: this is several.
    let many = folders.write("many.jsonl", format!("{{\"n\":1,\"text\":\"{}\"}}\n", "x".repeat(4_000)).repeat(3_000));
    assert_eq!(daemon.cli(&["push", &many]).good().stdout, "merged 6000\n");
    assert_eq!(daemon.value("n"), 7_003);
}

#[test]
fn what_is_wrong_has_its_place_and_costs_no_other() {
    let daemon = Daemon::builder().start();
    let broken = "{\"n\":1}\n{\"n\":\n{\"n\":1}\n{\"a\":{\"b\":null}}\nnonsense\n[{\"n\":1},\n{\"n\":1e999}]\n{\"n\":1";
    let file = daemon.folders().write("broken", broken);
    for to in [None, Some(daemon.push_address().to_string())] {
        let before = daemon.value("n").as_u64().unwrap_or_default();
        let to: Vec<&str> = to.iter().flat_map(|to| ["--to", to.as_str()]).collect();
        let ran = daemon.cli(&[&["push", &file][..], &to].concat());
        ran.failed(
            1,
            &[
                &format!("{file}: line 2: expected"),
                &format!("{file}: line 4, a,b: null is no value"),
                &format!("{file}: line 5: a document must be an object"),
                &format!("{file}: line 7"),
                &format!("{file}: line 8: EOF"),
                "5 rejected",
            ],
        );
        daemon.await_value("n", before + 3);
    }
    let ran = daemon.cli(&["push", "/no/such/file", &file]);
    ran.failed(1, &["/no/such/file", "merged 3, 5 rejected; not every file could be read"]);
    // As many are named as anybody reads.
    let many = daemon.folders().write("many", "x\n".repeat(100));
    daemon.cli(&["push", &many]).failed(1, &["line 10:", "90 more are not named", "100 rejected"]);
}

#[test]
fn by_tcp_with_a_token() {
    let folders = Arc::new(Folders::new());
    let (file, other) =
        (folders.write("token", "correct-horse-battery-staple"), folders.write("other", "some-other-horses-staple"));
    let daemon = Daemon::builder().folders(&folders).settings(&format!("write_token_file = {file:?}")).start();
    let to = daemon.push_address().to_string();
    let push = |token: &[&str]| graftd(["push", "--to", &to, "{\"n\":1}", "{\"n\":2}"].iter().chain(token));
    assert_eq!(push(&["--token-file", &file]).good().stdout, "sent 2 documents\n");
    daemon.await_value("n", 3);
    push(&["--token-file", &other]).failed(1, &["token"]);
    push(&[]).failed(1, &["token"]);
    assert_eq!(daemon.value("n"), 3);
    let one = graftd(["push", "--to", &to, "{\"m\":1}", "--token-file", &file]);
    assert_eq!(one.good().stdout, "sent 1 document\n");
    // What is refused with its connection is not told as sent but for one.
    push(&[]).failed(1, &["how many of them were taken is not known"]);
    graftd(["push", "--to", "127.0.0.1", "{}"]).failed(2, &["HOST:PORT"]);
    graftd(["push", "--to", "http://127.0.0.1:1", "{}"]).failed(2, &["tcp://"]);
    graftd(["push", "--to", "127.0.0.1:1", "{}"]).failed(1, &["does not answer", "graftd run"]);
}

/// What a program writes now and then is there before it goes on.
#[test]
fn what_is_there_goes_when_the_input_pauses() {
    let daemon = Daemon::builder().plugins(&["status"]).start();
    let url = format!("http://{}", daemon.http());
    let line = "192.0.2.1 - - [26/Nov/2026:10:20:30 +0000] \"GET / HTTP/1.1\" 200 5 \"-\" \"test\"\n";
    for (args, text, path) in [
        (&["push", "-"][..], "{\"n\":1}\n{\"n\":1}\n{\"n\":", "n"),
        (&["push", "--accesslog", "-"], &line.repeat(2)[..], "status,200"),
    ] {
        let mut child = Command::new(binary())
            .args(args)
            .args(["--url", &url])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("graftd starts");
        let mut input = child.stdin.take().expect("piped");
        for round in 1..=3 {
            // The end of what is half there comes with the next.
            let text = if round > 1 && path == "n" { format!("0}}\n{text}") } else { text.to_owned() };
            input.write_all(text.as_bytes()).expect("written");
            daemon.await_value(path, 2 * round);
        }
        input.write_all(if path == "n" { b"0}" } else { b"" }).expect("written");
        drop(input);
        let ended = child.wait_with_output().expect("it ends");
        assert!(ended.status.success(), "{ended:?}");
        assert!(
            String::from_utf8_lossy(&ended.stdout).starts_with(if path == "n" { "merged 9" } else { "merged 6" }),
            "{ended:?}"
        );
    }
}

#[test]
fn a_document_that_is_too_long_costs_no_other() {
    const MOST: usize = 16 * 1024 * 1024;
    let daemon = Daemon::builder().start();
    // The second is as long as one may be, the third is not; the text is one that is kept.
    let pad = |bytes: usize| " ".repeat(bytes - "{\"n\":1}".len());
    let text = format!("{{\"n\":1}}\n{{\"n\":{}1}}\n{{\"n\":{}1}}\n{{\"n\":1}}\n", pad(MOST), pad(MOST + 1));
    let file = daemon.folders().write("long", &text);
    let ran = daemon.cli(&["push", &file]);
    ran.failed(1, &[&format!("{file}: line 3: a document of more than 16777216 bytes"), "merged 3, 1 rejected"]);
    assert_eq!(daemon.value("n"), 3);
}
