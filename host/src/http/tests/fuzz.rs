//! Whatever is pushed: no decoder panics, and none makes more of it than its limit. `GRAFTD_SOAK` has it try a million cases each.

use crate::conf::IntakeLimits;
use crate::http::body::Body;
use crate::http::push::{Kind, kind, parts};
use crate::ingest::sources::Sources;
use crate::json::Documents;
use crate::limits::{BODY_BYTES_MAX, HTTP_BODIES_BYTES_MAX, PUSH_FAULTS_MAX};
use crate::tokens::Tokens;
use crate::tree::{Limits, Tree};
use graftd_fuzz::{Random, cases, seed, walked};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use warp::http::HeaderMap;
use warp::http::header::{CONTENT_TYPE, HeaderValue};

/// Cases unless all are asked for.
const FEW: u64 = 5_000;

fn tries() -> u64 {
    if std::env::var_os("GRAFTD_SOAK").is_some() { cases() } else { cases().min(FEW) }
}

/// Pieces that mean something to some decoder.
const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "\"a\":",
    "\"b\":{",
    "\"\":",
    "\"defaultaction\":",
    "\"add\"",
    "\"quantiles\"",
    "\"token\":\"0123456789abcdef\"",
    "1",
    "-0",
    "1e308",
    "1e999",
    "0.1",
    "18446744073709551616",
    "true",
    "null",
    "\\u0000",
    "\\ud800",
    "\u{0}",
    "\u{fffd}",
    "ü",
    "(other)",
    "\n",
    " ",
    "&",
    "=",
    "json=",
    "accesslog=",
    "%7B",
    "%",
    "%zz",
    "+",
    "--x",
    "--x--",
    "\r\n",
    "Content-Disposition: form-data; name=\"json\"\r\n\r\n",
    "Content-Type: text/plain\r\n",
    "; boundary=x",
    "multipart/form-data",
    "application/json",
    "charset=",
    "192.0.2.1 - - [",
];

/// Bodies that are good.
fn good(random: &mut Random) -> Vec<u8> {
    let documents = [
        r#"{"cpu":{"10.3.1.12":{"idle":32,"user":900,"marker":"wrong"}},"defaultaction":"average"}"#,
        r#"[{"a":1},{"b":[8,{"c":{"d":2}},{"7":[1,2,3]}]},{"t":"x","":3}]"#,
        r#"{"token":"0123456789abcdef","n":1}"#,
        r#"{"q":{"defaultaction":"quantiles","":0.25},"e":"\u00e9\ud83d\ude00","f":false}"#,
    ];
    let document = random.one(&documents);
    match random.below(4) {
        0 => format!("json={}&accesslog=x", document.replace('"', "%22")).into_bytes(),
        1 => {
            format!("--x\r\nContent-Disposition: form-data; name=\"json\"\r\n\r\n{document}\r\n--x--\r\n").into_bytes()
        }
        _ => document.as_bytes().to_vec(),
    }
}

/// The same with some of it changed, or something else altogether.
fn mutated(random: &mut Random) -> Vec<u8> {
    let mut bytes = good(random);
    for _ in 0..random.below(4) {
        let at = random.below(bytes.len() + 1);
        match random.below(6) {
            0 => bytes.truncate(at),
            1 => bytes.extend_from_within(..at),
            2 if at < bytes.len() => bytes[at] = random.next() as u8,
            3 => drop(bytes.drain(at..(at + random.below(8)).min(bytes.len()))),
            4 => {
                // Deeper than anything goes.
                let deep = random.one(&["[", "{\"k\":", "[{\"k\":"]).repeat(random.below(400));
                bytes.splice(at..at, deep.into_bytes());
            }
            _ => {
                let piece = random.one(PIECES);
                bytes.splice(at..at, piece.bytes());
            }
        }
    }
    bytes
}

#[test]
fn documents() {
    let tokens = Tokens::one(Some("0123456789abcdef"));
    let limits = Limits { nodes_max: 2_000, branch_nodes_max: 2_000, ..Limits::default() };
    let mut tree = Tree::new(limits, Duration::from_secs(1), 0);
    let (all, mut fine) = (tries(), 0);
    for case in 0..all {
        let text = mutated(&mut Random::of(seed(), case));
        let mut documents = Documents::default();
        documents.read(&text, Some(&tokens));
        assert!(documents.faults.len() <= PUSH_FAULTS_MAX && documents.faults.len() as u64 <= documents.rejected);
        let frames: usize = documents.frames.iter().map(Vec::len).sum();
        assert!(frames <= 32 * text.len() + 1_024, "case {case}: {frames} bytes of {}", text.len());
        for frame in &documents.frames {
            tree.merge(&[], frame, case as i64).unwrap_or_else(|error| panic!("case {case}: {error}"));
        }
        fine += u64::from(documents.rejected == 0);
    }
    assert!(tree.nodes() <= 2_000 + 2, "{}", tree.nodes());
    walked("documents", fine, all, 10..=60);
}

#[tokio::test]
async fn forms_and_multiparts() {
    let bodies = Arc::new(Semaphore::new(HTTP_BODIES_BYTES_MAX));
    let callers = Arc::clone(&Sources::new(&IntakeLimits::default()).http);
    let (all, mut fine) = (tries(), 0);
    for case in 0..all {
        let mut random = Random::of(seed() ^ 1, case);
        let bytes = mutated(&mut random);
        let length = bytes.len();
        let mut headers = HeaderMap::new();
        let written =
            ["multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "application/json", "text/plain"];
        let mut written = random.one(&written).as_bytes().to_vec();
        if random.below(8) == 0 {
            let at = random.below(written.len());
            written.splice(at..at, random.one(PIECES).bytes());
        }
        let Ok(value) = HeaderValue::from_bytes(&written) else { continue };
        headers.insert(CONTENT_TYPE, value);
        let Ok(kind) = kind(&headers) else { continue };
        let is_form = matches!(kind, Kind::Form | Kind::Multipart(_));
        let body = Body::of(bytes, &bodies, callers.share([192, 0, 2, 1].into()));
        if let Ok((parts, _)) = parts(kind, body).await {
            let all: usize = parts.documents.iter().chain(&parts.lines).map(Vec::len).sum();
            assert!(all <= length, "case {case}: {all} bytes of {length}");
            fine += u64::from(is_form);
        }
    }
    assert_eq!(bodies.available_permits(), HTTP_BODIES_BYTES_MAX);
    walked("forms", fine, all, 5..=60);
}

#[test]
fn what_is_packed() {
    let bodies = Arc::new(Semaphore::new(HTTP_BODIES_BYTES_MAX));
    let callers = Arc::clone(&Sources::new(&IntakeLimits::default()).http);
    let pack = |bytes: &[u8]| {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
    };
    let bomb = pack(&vec![b' '; BODY_BYTES_MAX + 1]);
    let (all, mut fine) = (tries(), 0);
    for case in 0..all {
        let mut random = Random::of(seed() ^ 2, case);
        // Some are many of them behind each other; unpacked all are too much.
        let mut packed = if case % 2_000 == 0 { bomb.clone() } else { pack(&mutated(&mut random)) };
        for _ in 0..random.below(3) {
            let at = random.below(packed.len());
            match random.below(3) {
                0 if packed.is_empty() => {}
                0 => packed[at] ^= 1 << random.below(8),
                1 => packed.truncate(at),
                _ => packed.extend_from_within(..),
            }
        }
        let body = Body::of(packed, &bodies, callers.share([192, 0, 2, 1].into()));
        if let Ok(body) = body.gunzip() {
            assert!(body.bytes.len() <= BODY_BYTES_MAX, "case {case}");
            fine += 1;
        }
    }
    assert_eq!(bodies.available_permits(), HTTP_BODIES_BYTES_MAX);
    walked("packed bodies", fine, all, 10..=80);
}
