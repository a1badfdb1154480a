//! Pictures: what their four forms have in common, from history and from the tree, by HTTP and on the command line.

use graftd_tests::{Answer, Daemon, Folders, encode, graftd, graftd_with_input};
use serde_json::json;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// 2026-01-05T00:00:00Z, and an hour of it.
const MONDAY: i64 = 1_767_571_200;
const HOUR: &str = "from=1767571200&to=1767574800";

/// A daemon with an hour of history.
fn daemon() -> Daemon {
    let folders = Arc::new(Folders::new());
    let mut csv = String::new();
    for step in 0..360 {
        for (place, key) in ["user", "system", "idle", "count"].iter().enumerate() {
            let value = [20 + step / 18, 10, 70 - step / 18, 4][place];
            let _ = writeln!(csv, "\"cpu,h1,{key}\",{},{value}", MONDAY + i64::from(step) * 10);
        }
        if step % 120 == 60 {
            let _ = writeln!(csv, "\"app,version\",{},\"1.{step}\"", MONDAY + i64::from(step) * 10);
        }
    }
    let data = folders.root().join("data").display().to_string();
    graftd_with_input(["trend", "import", "--data", &data, "-"], csv.as_bytes()).good();
    Daemon::builder().folders(&folders).settings("commit = \"200ms\"").start()
}

/// The bytes of an answer, which a text would not hold.
fn bytes(daemon: &Daemon, target: &str, file: &str) -> Vec<u8> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let to = daemon.folders().root().join(file);
    let mut args = vec!["graph".to_owned(), path.to_owned(), "--out".to_owned(), to.display().to_string()];
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        args.extend([format!("--{name}"), value.into_owned()]);
    }
    daemon.cli(&args.iter().map(String::as_str).collect::<Vec<_>>()).good();
    fs::read(to).expect("a picture")
}

/// The texts of an SVG.
fn texts(svg: &str) -> Vec<String> {
    let unescape = |text: &str| {
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")]
            .iter()
            .fold(text.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain))
    };
    let parts = svg.split("<text ").skip(1).filter_map(|part| part.split_once('>')?.1.split_once("</text>"));
    parts.map(|(text, _)| unescape(text)).collect()
}

fn big_endian(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Width and height, as a JPEG's start of frame says them (ITU T.81, B.2.2).
fn jpeg_size(jpeg: &[u8]) -> (u64, u64) {
    let mut at = 2;
    while !matches!(jpeg[at + 1], 0xc0..=0xc2) {
        at += 2 + big_endian(&jpeg[at + 2..at + 4]) as usize;
    }
    (big_endian(&jpeg[at + 7..at + 9]), big_endian(&jpeg[at + 5..at + 7]))
}

/// What one of poppler's programs says of a file; none where there is no such program.
fn poppler(program: &str, args: &[&str], file: &Path) -> Option<String> {
    let mut command = Command::new(program);
    command.args(args).arg(file);
    if program == "pdftotext" {
        command.arg("-");
    }
    match command.output() {
        Ok(output) => Some(String::from_utf8_lossy(&output.stdout).into_owned()),
        Err(error) => {
            graftd_tests::skipped(format_args!("{program} (Debian's poppler-utils) cannot be run: {error}"));
            None
        }
    }
}

#[test]
fn four_forms_of_one_picture_agree() {
    let daemon = daemon();
    for target in [
        format!("cpu,h1?style=cpu&size=700x260&title=Zeit%20%3Cund%3E%20%D0%B2%D1%80%D0%B5%D0%BC%D1%8F&{HOUR}"),
        format!("cpu,*,user?size=700x260&theme=dark&markers=app,version&{HOUR}"),
    ] {
        let svg = String::from_utf8(bytes(&daemon, &target, "g.svg")).expect("text");
        let png = bytes(&daemon, &target, "g.png");
        let jpeg = bytes(&daemon, &target, "g.jpg");
        bytes(&daemon, &target, "g.pdf");
        assert!(svg.contains("width=\"700\" height=\"260\""), "{}", &svg[..200]);
        assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"));
        assert_eq!((big_endian(&png[16..20]), big_endian(&png[20..24])), (700, 260));
        assert!(jpeg.starts_with(b"\xff\xd8\xff"));
        assert_eq!(jpeg_size(&jpeg), (700, 260));
        let texts = texts(&svg);
        assert!(texts.len() > 8, "{texts:?}");
        let pdf = daemon.folders().root().join("g.pdf");
        if let Some(said) = poppler("pdfinfo", &[], &pdf) {
            assert!(said.contains("Page size:       700 x 260 pts") && said.contains("Pages:           1"), "{said}");
        }
        if let Some(said) = poppler("pdftotext", &["-layout"], &pdf) {
            // Blanks are where letters lie.
            let bare = |text: &str| text.split_whitespace().collect::<String>();
            let said = bare(&said);
            for text in &texts {
                assert!(said.contains(&bare(text)), "{text:?} is not in the PDF: {said}");
            }
        }
    }
}

#[test]
fn history_is_drawn_also_of_what_is_there_no_more() {
    let daemon = daemon();
    let get = |target: &str| daemon.get(&format!("/graph/{target}")).good();
    let svg = get(&format!("cpu,h1.svg?style=cpu&{HOUR}")).body;
    let found = texts(&svg);
    for text in ["cpu,h1", "user", "system", "idle", "100\u{a0}%", "00:30", "UTC"] {
        assert!(found.iter().any(|found| found == text), "no {text:?} in {found:?}");
    }
    assert!(!found.iter().any(|text| text == "count"), "the style leaves it out: {found:?}");
    let svg = get(&format!("cpu,h1,user.svg?markers=app,version&{HOUR}")).body;
    let found = texts(&svg);
    assert!(["1.60", "1.180", "1.300"].iter().all(|text| found.iter().any(|found| found == text)), "{found:?}");
    assert_eq!(svg.matches("stroke-dasharray").count(), 3);
    let svg = get(&format!("cpu,h1.svg?type=top&as=max&{HOUR}")).body;
    let found = texts(&svg);
    assert_eq!(
        found.iter().filter_map(|text| text.parse().ok()).collect::<Vec<f64>>(),
        [70.0, 39.0, 10.0, 4.0],
        "{found:?}"
    );
    daemon.push(&json!({"new": 1}));
    let empty = get("new.svg?from=2026-03-01&to=2026-03-02");
    assert!(texts(&empty.body).iter().any(|text| text == "nothing in this time"), "{}", empty.body);
    daemon.get("/graph/cpu,h1,user.svg?from=2026-03-01&to=2026-03-02").refused(404, &["none in this time"]);
    daemon.get(&format!("/graph/cpu,h2.svg?{HOUR}")).refused(404, &["there is no", "cpu,h2"]);
    daemon.get("/graph/cpu,h1,user.svg?from=-1h&to=-2h").refused(400, &["from must be before to"]);
    daemon.get("/graph/cpu,h1,user.svg?from=2000-01-01&step=1s").refused(400, &["steps", "longer step"]);
}

#[test]
fn hostile_keys_are_texts_in_every_form() {
    let daemon = daemon();
    let long = "k".repeat(10_240);
    let keys = ["<script>alert(1)</script>", "\u{202e}evil", "مرحبا بالعالم", "中文", "👩\u{200d}💻", &long, "a,b*%"];
    let numbers: serde_json::Map<_, _> =
        keys.iter().enumerate().map(|(i, key)| ((*key).to_owned(), json!(i + 1))).collect();
    daemon.post("/push?wait=commit", "application/json", json!({"hostile": numbers}).to_string().as_bytes()).good();
    let all = daemon.get("/graph/hostile.svg?type=top&size=800x300").good();
    assert!(!all.body.contains("<script") && !all.body.contains('\u{202e}'), "{}", all.body);
    let found = texts(&all.body);
    for text in [keys[0], keys[2], keys[3], keys[4], "\u{fffd}evil", "a,b*%"] {
        assert!(found.iter().any(|found| found == text), "no {text:?} in {found:?}");
    }
    for form in ["png", "jpg", "pdf"] {
        let answer: Answer = daemon.get(&format!("/graph/hostile.{form}?type=top"));
        assert_eq!(answer.status, 200, "{form}");
    }
    for key in keys {
        let path = format!("hostile,{}", key.replace('%', "%25").replace(',', "%2C").replace('*', "%2A"));
        let answer = daemon.get(&format!("/graph/{}.svg?from=-5m&as=value", encode(&path))).good();
        assert!(answer.header("content-type").starts_with("image/svg+xml") && !answer.body.contains("<script"));
    }
}

#[test]
fn on_the_command_line() {
    let daemon = daemon();
    let shown =
        daemon.cli(&["graph", "cpu,h1,user", "--from", "1767571200", "--to", "1767574800", "--size", "60x12"]).good();
    let lines: Vec<&str> = shown.stdout.lines().collect();
    assert_eq!(lines.len(), 12, "{}", shown.stdout);
    assert!(lines[0].starts_with("cpu,h1,user") && lines[0].ends_with("39"), "{}", shown.stdout);
    assert!(shown.stdout.contains(|c| ('\u{2801}'..='\u{28ff}').contains(&c)), "{}", shown.stdout);
    assert!(!shown.stdout.contains('\u{1b}'), "no colours where there is no terminal");
    daemon.cli(&["graph", "cpu,h1", "--type", "pie"]).failed(1, &["type=pie", "line, stacked, bar, top"]);
    daemon.cli(&["graph", "cpu,h1", "--out", "/tmp/x.gif"]).failed(2, &["x.gif", "svg, png, jpg"]);
    daemon.cli(&["graph", "cpu,h2"]).failed(1, &["there is no", "cpu,h2"]);
    let there = daemon.folders().root().join("no/such/folder.png").display().to_string();
    daemon
        .cli(&["graph", "cpu,h1", "--from", "1767571200", "--to", "1767574800", "--out", &there])
        .failed(1, &["folder.png"]);
    graftd(["graph", "--help"]).good();
}
