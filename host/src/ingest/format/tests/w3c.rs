//! The W3C's extended format.

use super::*;

const MS: i64 = 1_431_857_103_000;
const HEADER: &str = "#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) sc-status sc-substatus sc-win32-status time-taken";
const LINE: &str = "2015-05-17 10:05:03 10.0.0.9 GET /a/b.aspx x=1&y=2 443 frank 192.0.2.7 Mozilla/5.0+(Windows+NT+10.0) http://e.org/?a=b+c 200 0 0 123";

fn iis() -> Seen {
    Seen {
        addr: some("192.0.2.7"),
        user: some("frank"),
        time: Some(("2015-05-17 10:05:03".to_owned(), MS)),
        method: some("GET"),
        url: some("/a/b.aspx?x=1&y=2"),
        status: Some(200),
        referer: some("http://e.org/?a=b+c"),
        agent: some("Mozilla/5.0 (Windows NT 10.0)"),
        request_time: Some(0.123),
        ..Seen::default()
    }
}

/// The records of lines of which some may be headers.
fn records(wants: Fields, lines: &[&str]) -> Vec<Result<Seen, String>> {
    let mut parser = Format::compile("w3c").unwrap().parser(wants);
    all(&mut parser, lines)
}

fn all(parser: &mut super::super::Parser, lines: &[&str]) -> Vec<Result<Seen, String>> {
    let mut out = Vec::new();
    for line in lines {
        let (mut records, mut decoded) = (Vec::new(), Decoded::default());
        let result = parser.parse(line, &mut records, &mut decoded);
        decoded.settle(&mut records);
        match result {
            Ok(()) => out.extend(records.iter().map(|record| Ok(Seen::of(record)))),
            Err(error) => out.push(Err(error.to_string())),
        }
    }
    out
}

fn one(header: &str, line: &str) -> Seen {
    records(Fields::ALL, &[header, line]).remove(0).unwrap_or_else(|error| panic!("{error}\n{line}"))
}

#[test]
fn iis_and_others() {
    let head = [
        "#Software: Microsoft Internet Information Services 10.0",
        "#Version: 1.0",
        "#Date: 2015-05-17 10:05:03",
        HEADER,
    ];
    let seen = records(Fields::ALL, &[&head[..], &[LINE]].concat());
    assert_eq!(seen, [Ok(iis())]);
    assert_eq!(one(&format!("\u{feff}{HEADER}\r"), &format!("{LINE}\r")), iis());
    let plain = LINE.replace("x=1&y=2", "-").replace("Mozilla/5.0+(Windows+NT+10.0)", "curl/8");
    assert_eq!(one(HEADER, &plain), Seen { url: some("/a/b.aspx"), agent: some("curl/8"), ..iis() });
    let absent = "2015-05-17 10:05:03 - - - - - - - - - - - - -";
    assert_eq!(one(HEADER, absent), Seen { time: iis().time, ..Seen::default() });
    // A query without a target is none.
    assert_eq!(one(HEADER, &LINE.replace("/a/b.aspx", "-")).url, None);

    // CloudFront: tabs, the query elsewhere, blanks as %20, seconds.
    let header = "#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) cs(User-Agent) cs-uri-query time-taken cs-protocol-version";
    let line = "2015-05-17\t10:05:03\tFRA2\t2390\t2001:db8::1\tGET\td.cloudfront.net\t/view\t304\t-\tMozilla/5.0%20(X11;%20a+b%2)%C3%A9\tid=7\t0.042\tHTTP/2.0";
    let expected = Seen {
        addr: some("2001:db8::1"),
        time: Some(("2015-05-17\t10:05:03".to_owned(), MS)),
        method: some("GET"),
        url: some("/view?id=7"),
        protocol: some("HTTP/2.0"),
        status: Some(304),
        bytes: Some(2390),
        agent: some("Mozilla/5.0 (X11; a+b%2)é"),
        request_time: Some(0.042),
        host: some("d.cloudfront.net"),
        ..Seen::default()
    };
    assert_eq!(one(header, line), expected);

    // The columns have no case, times may have decimals, texts quotes.
    let seen = one(
        "#Fields: TIME date CS-URI cs(user-agent) SC-Status time-taken",
        "10:05:03.5 2015-05-17 /x?y \"a \"\"b\"\" c\" 200 1.5",
    );
    assert_eq!((seen.time, seen.url), (Some(("10:05:03.5".to_owned(), MS + 500)), some("/x?y")));
    assert_eq!((seen.agent, seen.status, seen.request_time), (some("a \"\"b\"\" c"), Some(200), Some(1.5)));
    assert_eq!(one("#Fields: time sc-status", "10:05:03 200"), Seen { status: Some(200), ..Seen::default() });
}

#[test]
fn headers_change_in_the_middle() {
    let lines = [
        "2015-05-17 200",
        "#Fields: sc-status c-ip",
        "200 ::1",
        "#Version: 1.0",
        "#Fields: c-ip sc-status",
        "::2 404",
        "#Fields:",
        "::3 500",
    ];
    let seen = records(Fields::of(&[Field::Addr, Field::Status]), &lines);
    let record = |addr, status| Ok(Seen { addr: some(addr), status: Some(status), ..Seen::default() });
    let missing = "header, column 1: the header is missing: a line that begins with #Fields: has to come first";
    let bad = "header, column 1: the header names no column, or more than a log may have";
    let error = |text: &str| Err(text.to_owned());
    assert_eq!(seen, [error(missing), record("::1", 200), record("::2", 404), error(bad), error(missing)]);
    let many = format!("#Fields: {}", "x ".repeat(100_000));
    assert_eq!(records(Fields::ALL, &[&many]), [error(bad)]);
}

#[test]
fn a_parser_is_primed_follows_and_goes_back() {
    let format = Format::compile("w3c").unwrap();
    assert!(format.has_header() && !Format::compile("json").unwrap().has_header());
    let mut parser = format.parser(Fields::ALL);
    parser.prime(&format!("#Version: 1.0\r\n{HEADER}\r\n"));
    assert_eq!(all(&mut parser, &[LINE]), [Ok(iis())]);
    // Others want other fields, and go on under the same header.
    let mut other = format.parser(Fields::of(&[Field::Status]));
    other.follow(&parser);
    assert_eq!(all(&mut other, &[LINE]), [Ok(Seen { status: Some(200), ..Seen::default() })]);
    // A batch that changes the header is read twice.
    let batch = [LINE, "#Fields: sc-status", "404", "#Fields: c-ip", "::1"];
    parser.mark();
    let first = all(&mut parser, &batch);
    parser.rewind();
    assert_eq!(all(&mut parser, &batch), first);
    assert!(first.iter().all(Result::is_ok), "{first:?}");
    parser.rewind();
    parser.rewind();
    assert_eq!(all(&mut parser, &batch), first);
    parser.mark();
    parser.rewind();
    assert_eq!(all(&mut parser, &["::2"])[0].as_ref().unwrap().addr, some("::2"));
    parser.begin_file();
    assert!(all(&mut parser, &["::2"])[0].is_err());
    // A file that lacks its header: it is the format.
    let mut parser = Format::compile(&format!(" {HEADER}\n")).unwrap().parser(Fields::ALL);
    assert_eq!(all(&mut parser, &[LINE]), [Ok(iis())]);
    parser.begin_file();
    assert_eq!(all(&mut parser, &[LINE, "#Fields: c-ip", "::1"]).len(), 2);
    let refused = |spec| Format::compile(spec).expect_err(spec).to_string();
    assert_eq!(refused("#Fields: "), "log format, column 9: the header names no column, or more than a log may have");
    assert!(refused(" #Fields: a b").starts_with("log format, column 10: no column of the header is known"));
}

#[test]
fn bad_lines() {
    let error =
        |from: &str, to: &str| records(Fields::ALL, &[HEADER, &LINE.replacen(from, to, 1)]).remove(0).expect_err(to);
    let ends = "the line ends before this field does: it is cut off, or of another format";
    assert_eq!(error(" 123", ""), format!("request_time, column {}: {ends}", LINE.len() - 3));
    assert_eq!(error(" 123", " "), format!("request_time, column {}: {ends}", LINE.len() - 2));
    assert_eq!(error(LINE, "2015-05-17"), format!("time, column 11: {ends}"));
    assert_eq!(
        error(" 200 ", " 2x0 "),
        format!("status, column {}: not a status code, which is three digits from 100 to 999", LINE.len() - 10)
    );
    assert_eq!(error(" 123", " 12s"), format!("request_time, column {}: not a number of seconds", LINE.len() - 2));
    assert_eq!(error("10:05:03", "10:65:03"), "time, column 12: not a time of the form that the format names");
    assert_eq!(error("10:05:03", &"1".repeat(100)), "time, column 12: not a time of the form that the format names");
    assert_eq!(
        records(Fields::ALL, &["#Fields: sc-bytes", "1k"]),
        [Err("bytes, column 1: not a number of bytes".to_owned())]
    );
    // More than the header says is not looked at.
    assert_eq!(one(HEADER, &format!("{LINE} more and more")), iis());
}
