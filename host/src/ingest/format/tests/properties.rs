//! What holds for any line and any format.

use super::*;
use proptest::prelude::*;

/// Formats of every kind of value and of every way to end one.
const FORMATS: [&str; 9] = [
    "combined",
    "common",
    "timed",
    "vhost_combined",
    "$remote_addr:$remote_port|$host|$msec $upstream_addr $upstream_response_time $request_time",
    r#"$time_iso8601 "$request_method" "$request_uri" "$server_protocol" $status $bytes_sent $http_user_agent"#,
    r#"log_format j escape=json '{"a":"$remote_addr","u":"$remote_user","r":"$request","s":$status}';"#,
    r#"%{%d/%b/%Y %T}t.%{usec_frac}t %a %U%q %{ms}T "%{Referer}i" %b"#,
    r#"log_format n escape=none '$remote_user "$http_user_agent" $request_time';"#,
];

/// Pieces that lines are made of, so that chance finds its way past the first field.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => prop::sample::select(vec![
            " ", "-", "\"", "\\", "\\\"", "\\x", "\\x2", "\\xe2\\x82\\xac", "\\u001f", "[", "]", "] \"", "\" ", "\" \"", ", ", " : ", ":", "|", "é",
            "17/May/2015:10:05:03 +0000", "2015-05-17T10:05:03+00:00", "1431857103.123", "GET / HTTP/1.1", " HTTP/", "200", "0", "12345678", "0.123",
            "999999999999999999999999", "::1", "10.0.0.1", "\r", "\u{feff}",
        ]).prop_map(str::to_owned),
        1 => ".{0,12}",
    ]
}

fn any_line() -> impl Strategy<Value = String> {
    prop::collection::vec(piece(), 0..40).prop_map(|pieces| pieces.concat())
}

fn any_fields() -> impl Strategy<Value = Fields> {
    prop::collection::vec(prop::sample::select(Field::ALL.to_vec()), 0..6).prop_map(|fields| Fields::of(&fields))
}

/// A text as nginx and Apache write it.
fn escaped(text: &str, apache: bool) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '"' | '\\' if apache => out.extend(['\\', c]),
            '"' | '\\' => out.push_str(&format!("\\x{:02X}", u32::from(c))),
            c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            // Bytes past ASCII are escaped one by one, or not at all.
            c if !c.is_ascii() && apache => c.to_string().bytes().for_each(|b| out.push_str(&format!("\\x{b:02x}"))),
            c => out.push(c),
        }
    }
    out
}

fn text() -> impl Strategy<Value = Option<String>> {
    let text = prop_oneof![3 => "[ -~]{2,120}", 1 => "\\PC{1,60}", 1 => "[\"\\\\x \\n\\t]{1,20}"];
    prop::option::of(text).prop_map(|text| text.filter(|text| text != "-"))
}

prop_compose! {
    fn access()(
        addr in prop_oneof!["[0-9]{1,3}(\\.[0-9]{1,3}){3}", "[0-9a-f]{1,4}(:[0-9a-f]{0,4}){2,7}"],
        user in prop::option::of("[a-z]{1,20}"),
        second in 0i64..4_000_000_000,
        url in "/[!-~é]{0,150}",
        method in "[A-Z]{3,8}",
        status in prop::option::of(100u16..=999),
        bytes in prop::option::of(any::<u64>().prop_map(|n| n >> (n % 64)).prop_filter("reserved", |&n| n != u64::MAX)),
        referer in text(),
        agent in text(),
        millis in prop::option::of(0u32..10_000_000),
        upstreams in prop::collection::vec(0u32..100_000, 0..3),
    ) -> (Seen, i64, Vec<u32>, Option<u32>) {
        let seen = Seen {
            addr: Some(addr), user, time: None, method: Some(method), url: Some(url), protocol: some("HTTP/1.1"), status, bytes, referer, agent,
            request_time: millis.map(|ms| f64::from(ms) / 1000.0),
            upstream_time: (!upstreams.is_empty()).then(|| upstreams.iter().map(|&ms| f64::from(ms) / 1000.0).sum()),
            host: None,
        };
        (seen, second, upstreams, millis)
    }
}

/// `17/May/2015:10:05:03 +0000`, by counting days up from 1970.
fn written(second: i64) -> String {
    let (mut day, second) = (second / 86_400, second % 86_400);
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let mut year = 1970;
    while day >= 365 + i64::from(leap(year)) {
        day -= 365 + i64::from(leap(year));
        year += 1;
    }
    let names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let lengths = [31, 28 + i64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while day >= lengths[month] {
        day -= lengths[month];
        month += 1;
    }
    format!(
        "{:02}/{}/{year}:{:02}:{:02}:{:02} +0000",
        day + 1,
        names[month],
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

proptest! {
    #[test]
    fn any_format_is_compiled_or_refused(spec in "[ -~]{0,40}|(%|\\$|log_format |LogFormat |[a-zA-Z_{}<>:'\" ,\\\\0-9;]|é){0,30}") {
        if let Ok(format) = Format::compile(&spec) {
            let _ = format.parser(Fields::ALL).parse("10.0.0.1 - - \"x\"", &mut Vec::new(), &mut Decoded::default());
        }
    }

    #[test]
    fn any_line_is_read_or_refused(lines in prop::collection::vec(any_line(), 1..4), wants in any_fields()) {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        for spec in FORMATS {
            let all = read_all(spec, Fields::ALL, &lines);
            let some = read_all(spec, wants, &lines);
            for (all, some) in all.into_iter().zip(some) {
                // Wanting less never refuses a line, and finds the same.
                if let Ok(all) = all {
                    let some = some.expect("a line that was good with all fields");
                    let kept = |field, same: bool| !wants.has(field) || same;
                    prop_assert!(kept(Field::Agent, all.agent == some.agent));
                    prop_assert!(kept(Field::Url, all.url == some.url));
                    prop_assert!(kept(Field::Status, all.status == some.status));
                    prop_assert!(kept(Field::Bytes, all.bytes == some.bytes));
                    prop_assert!(kept(Field::Referer, all.referer == some.referer));
                }
            }
        }
    }

    #[test]
    fn a_written_record_is_read_back((mut seen, second, upstreams, millis) in access(), apache: bool) {
        let dash = |text: Option<String>| text.unwrap_or("-".to_owned());
        let quoted = |text: &Option<String>| dash(text.as_ref().map(|text| escaped(text, apache)));
        let time = written(second);
        let combined = format!(
            r#"{} - {} [{time}] "{} {} HTTP/1.1" {} {} "{}" "{}""#,
            dash(seen.addr.clone()), dash(seen.user.clone()), dash(seen.method.clone()), quoted(&seen.url),
            dash(seen.status.map(|n| n.to_string())), dash(seen.bytes.map(|n| n.to_string())), quoted(&seen.referer), quoted(&seen.agent),
        );
        seen.time = Some((time, second * 1000));
        let upstream: Vec<String> = upstreams.iter().map(|ms| format!("{}.{:03}", ms / 1000, ms % 1000)).collect();
        let millis = millis.map(|ms| format!("{}.{:03}", ms / 1000, ms % 1000));
        let timed = format!("{combined} {} {}", dash(millis), if upstream.is_empty() { "-".to_owned() } else { upstream.join(", ") });
        prop_assert_eq!(read("timed", &timed), Ok(seen.clone()));
        seen.request_time = None;
        seen.upstream_time = None;
        prop_assert_eq!(read("combined", &combined), Ok(seen.clone()));
        seen.host = some("h.example");
        prop_assert_eq!(read("vhost_combined", &format!("h.example:80 {combined}")), Ok(seen));
    }
}
