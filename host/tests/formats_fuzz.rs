//! A million formats, and a million lines to each kind of parser and to the guess, that are good ones with something wrong, or
//! pieces by chance: all are read or refused. Nothing panics, what is found lies within the line, and a good line is good
//! again for who wants less. `GRAFTD_FUZZ_CASES` and `GRAFTD_FUZZ_SEED` have it try more and others.

use graftd::ingest::format::{Decoded, Format, Guesser, Parser};
use graftd_fuzz::{Random, cases, seed, walked};
use plugin_api::{Access, Field, Fields};
use std::fmt::Write;

fn random() -> (u64, Random) {
    (cases(), Random::new(seed()))
}

/// Pieces that mean something to some format or parser.
const PIECES: &[&str] = &[
    " ",
    "-",
    "\"",
    "\\",
    "\\\"",
    "\\u",
    "\\u00e9",
    "\\ud83d",
    "\\x2",
    "[",
    "]",
    "{",
    "}",
    ":",
    ",",
    "=",
    "/",
    "#",
    "#Fields: ",
    "\t",
    "\r",
    "\n",
    "\0",
    "é",
    "\u{feff}",
    "\u{fffd}",
    "null",
    "0",
    "200",
    "0.001, 0.120 : 0.002",
    "1e9",
    "99999999999999999999",
    "\"status\":",
    "{\"request\":",
    "[[[",
    "::1",
    "GET / HTTP/1.1",
    "17/May/2015:10:05:03 +0000",
    "2015-05-17",
    "10:05:03",
    "+",
    "%20",
    "$",
    "${",
    "%",
    "%{",
    "%>s",
    "%{%Y}t",
    "$status",
    "$request",
    "json:",
    "url=",
    ".",
    "w3c",
    "log_format x escape=json '",
    "LogFormat \"",
    "'",
    ";",
    "sc-status",
];

/// Does something to a text that a bad writer might do; it stays short.
fn mutate(random: &mut Random, text: &mut String) {
    let mut place = |text: &str| {
        let mut at = random.below(text.len() + 1);
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let (a, b) = (place(text), place(text));
    let (from, to) = (a.min(b), a.max(b));
    match random.below(6) {
        0 => text.truncate(a),
        1 => drop(text.drain(from..to)),
        2 if text.len() < 2_000 => {
            let part = text[from..to].to_owned();
            text.insert_str(a, &part);
        }
        3 => {
            if let Some(c) = text[from..].chars().next() {
                text.replace_range(from..from + c.len_utf8(), random.one(PIECES));
            }
        }
        _ => text.insert_str(a, random.one(PIECES)),
    }
}

/// A good text with something wrong, or one of pieces.
fn text(random: &mut Random, good: &[&str], into: &mut String) {
    into.clear();
    if random.below(8) == 0 {
        (0..random.below(12)).for_each(|_| into.push_str(random.one(PIECES)));
        return;
    }
    into.push_str(random.one(good));
    for _ in 0..random.below(4) {
        mutate(random, into);
    }
}

/// What a record says, as far as it can be compared.
fn said<'a>(access: &Access<'a>, field: Field) -> (Option<&'a str>, [u64; 2]) {
    let value = match field {
        Field::Time => access.time_ms().map(|ms| ms as u64),
        Field::Status => access.status().map(u64::from),
        Field::Bytes => access.bytes(),
        Field::RequestTime => access.request_time().map(f64::to_bits),
        Field::UpstreamTime => access.upstream_time().map(f64::to_bits),
        _ => None,
    };
    (access.text(field), [u64::from(value.is_some()), value.unwrap_or_default()])
}

/// The column that an error names, behind some words.
fn column(said: &str, words: &str) -> usize {
    let rest = said.split_once(words).map(|(_, rest)| rest);
    rest.and_then(|rest| rest.split(':').next()?.parse().ok()).unwrap_or_else(|| panic!("no column: {said}"))
}

/// Parses a line that is wanted whole, and one of which little is wanted; whether it was read.
fn try_line(parsers: &mut [Parser; 2], few: &[Field], line: &str, text: &mut String) -> bool {
    let [whole, less] = parsers;
    let (mut records, mut decoded) = (Vec::with_capacity(1), Decoded::default());
    let read = whole.parse(line, &mut records, &mut decoded);
    decoded.settle(&mut records);
    let (mut again, mut decoded_again) = (Vec::with_capacity(1), Decoded::default());
    let read_again = less.parse(line, &mut again, &mut decoded_again);
    decoded_again.settle(&mut again);
    if let Err(error) = read {
        assert!(records.is_empty(), "{line:?}");
        text.clear();
        write!(text, "{error}").expect("memory");
        assert!((1..=line.len() + 1).contains(&column(text, "column ")), "{text}: {line:?}");
        return false;
    }
    assert!(read_again.is_ok(), "{line:?}");
    assert_eq!(records.len(), again.len(), "{line:?}");
    let (Some(record), Some(again)) = (records.first(), again.first()) else { return false };
    assert!(record.line().len() <= 2 * line.len(), "{line:?}");
    for &field in few {
        assert_eq!(said(record, field), said(again, field), "{field:?} of {line:?}");
    }
    for field in [Field::RequestTime, Field::UpstreamTime] {
        let [there, bits] = said(record, field).1;
        assert!(there == 0 || f64::from_bits(bits) >= 0.0, "{field:?} of {line:?}");
    }
    true
}

/// Feeds lines to parsers of formats that change now and then; tells how many were read.
fn lines(what: &str, formats: &[&str], good: &[&str]) {
    let (cases, mut random) = random();
    let few = [Field::Status, Field::Url, Field::Agent];
    let both = |spec: &str| {
        let format = Format::compile(spec).unwrap_or_else(|error| panic!("{spec}: {error}"));
        [format.parser(Fields::ALL), format.parser(Fields::of(&few))]
    };
    let mut parsers: Vec<[Parser; 2]> = formats.iter().map(|spec| both(spec)).collect();
    let (mut read, mut line, mut said) = (0, String::new(), String::new());
    for case in 0..cases {
        let at = case as usize % parsers.len();
        // Where each format has a line of its own, that more often than those of the others.
        let own = good.get(at..=at).filter(|_| good.len() == formats.len() && random.below(4) > 0);
        text(&mut random, own.unwrap_or(good), &mut line);
        read += u64::from(try_line(&mut parsers[at], &few, &line, &mut said));
    }
    walked(what, read, cases, 5..=95);
}

const COMBINED: &str = r#"83.149.9.216 - frank [17/May/2015:10:05:03 +0000] "GET /a?x=1 HTTP/1.1" 200 17 "http://e.org/" "Mozilla/5.0 \"x\" \x41""#;
const TIMED: &str =
    r#"::1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 17 "-" "curl/8" 0.123 0.001, 0.120 : 0.002"#;
const JSON: &str = r#"{"time_iso8601":"2015-05-17T10:05:03+00:00","remote_addr":"::1","request":"GET /\"x\" HTTP/1.1","status":200,"bytes":"17","duration":1.5e-3,"upstream_response_time":[0.1, 0.2],"user_agent":"a\u00e9\ud83d\ude00"}"#;
const CADDY: &str = r#"{"level":"info","ts":1646861401.52,"request":{"remote_ip":"10.0.0.1:80","method":"GET","uri":"/x","headers":{"User-Agent":["curl/7","x"],"A":[]}},"duration":"12ms","size":10,"status":404,"h":{"S":["C",{"d":1}]}}"#;
const W3C: [&str; 3] = [
    "2015-05-17 10:05:03 10.0.0.9 GET /a/b.aspx x=1&y=2 443 frank 192.0.2.7 Mozilla/5.0+(Windows+NT) - 200 0 123",
    "#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) sc-status sc-bytes time-taken",
    "2015-05-17\t10:05:03\tFRA2\tGET\t/view\tid=7\t443\t-\t::1\tMozilla/5.0%20(X)\t-\t304\t7\t0.042",
];

#[test]
fn a_million_formats_are_compiled_or_refused() {
    let good = [
        "combined",
        "timed",
        r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent $request_time"#,
        r#"LogFormat "%v:%p %h %l %u %{%d/%b/%Y:%T}t.%{msec_frac}t \"%r\" %>s %O \"%{User-Agent}i\" %{ms}T" x"#,
        "log_format x escape=json '{\"a\":\"$remote_addr\",' '\"s\":$status}';",
        r"json:addr=client.ip,url=req\.path.x,request_time=dur/1000,user=",
        "#Fields: date time cs-uri-stem sc-status c-ip",
    ];
    let (cases, mut random) = random();
    let (mut compiled, mut spec, mut said) = (0, String::new(), String::new());
    for case in 0..cases {
        text(&mut random, &good, &mut spec);
        match Format::compile(&spec) {
            Ok(format) => {
                compiled += 1;
                if case % 8 == 0 {
                    let mut parser = format.parser(Fields::ALL);
                    for line in [COMBINED, JSON, W3C[0]] {
                        let (mut records, mut decoded) = (Vec::new(), Decoded::default());
                        let _ = parser.parse(line, &mut records, &mut decoded);
                        decoded.settle(&mut records);
                    }
                }
            }
            Err(error) => {
                said.clear();
                write!(said, "{error}").expect("memory");
                let column = column(&said, "log format, column ");
                assert!((1..=spec.chars().count() + 1).contains(&column), "{said}: {spec:?}");
            }
        }
    }
    walked("formats", compiled, cases, 10..=90);
}

#[test]
fn a_million_lines_of_steps() {
    let formats = [
        "combined",
        "timed",
        "vhost_combined",
        "$remote_addr:$remote_port|$host|$msec $upstream_addr $upstream_response_time $request_time",
        r#"log_format x escape=json '{"a":"$remote_addr","r":"$request","s":$status}';"#,
        r#"%{%d/%b/%Y %T}t.%{usec_frac}t %a %U%q %{ms}T "%{Referer}i" %b"#,
    ];
    let good = [
        COMBINED,
        TIMED,
        "www.example.org:443 ::1 - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 17 \"-\" \"-\"",
        "::1:80|h|1431857103.042 unix:/x, 10.0.0.1:80 0.001, 0.002 0.003",
        r#"{"a":"::1","r":"GET /\"\u0041 HTTP/1.1","s":200}"#,
        "17/May/2015 10:05:03.000042 ::1 /x?y 15 \"-\" 17",
    ];
    lines("lines of steps", &formats, &good);
}

#[test]
fn a_million_lines_of_json() {
    lines(
        "lines of JSON",
        &["json", r"json:addr=request.remote_ip,agent=h.S,request_time=duration/1000,url="],
        &[JSON, CADDY],
    );
}

#[test]
fn a_million_lines_of_w3c() {
    lines("lines of W3C", &["w3c", "#Fields: cs-uri-query date time cs(User-Agent) cs-uri-stem sc-status"], &W3C);
}

#[test]
fn a_million_guesses() {
    let (cases, mut random) = random();
    let good = [COMBINED, TIMED, JSON, W3C[0], W3C[1]];
    let mut guesser = Guesser::default();
    let (mut fitting, mut texts) = (0, [String::new(), String::new()]);
    for _ in 0..cases {
        texts.iter_mut().for_each(|into| text(&mut random, &good, into));
        let lines = [texts[0].as_str(), &texts[1]];
        let guess = guesser.guess(&lines[..=random.below(2)]);
        assert!((0.0..=1.0).contains(&guess.share) && guess.lines <= 2, "{texts:?}");
        fitting += u64::from(guess.share > 0.0);
    }
    walked("guesses", fitting, cases, 5..=95);
}
