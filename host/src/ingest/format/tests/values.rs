//! Lists and odd values, as servers write them.

use super::*;

const MS: i64 = 1_431_857_103_000;
const COMBINED: &str = r#"83.149.9.216 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 17 "-" "curl/8""#;

#[test]
fn lists_of_upstreams() {
    for (text, seconds) in [
        ("0.001, 0.120 : 0.002", Some(0.001 + 0.120 + 0.002)),
        ("0.001, 0.120", Some(0.001 + 0.120)),
        ("0.001 : 0.120", Some(0.001 + 0.120)),
        ("-, 0.120 : -", Some(0.120)),
        ("0.001, -", Some(0.001)),
        ("- : 0.002", Some(0.002)),
        ("-, - : -", None),
        ("0.000", Some(0.0)),
        ("-", None),
    ] {
        assert_eq!(good("timed", &format!("{COMBINED} 0.123 {text}")).upstream_time, seconds, "{text}");
        for (spec, line) in [
            ("$upstream_response_time $status", format!("{text} 200")),
            ("\"$upstream_response_time\" $status", format!("\"{text}\" 200")),
            ("[$upstream_response_time] $status", format!("[{text}] 200")),
            ("urt=$upstream_response_time s=$status", format!("urt={text} s=200")),
            (
                "$upstream_addr $upstream_status $upstream_response_time|$status",
                format!("unix:/s, [::1]:80 : 10.0.0.1:80 502, 200 {text}|200"),
            ),
        ] {
            let seen = good(spec, &line);
            assert_eq!((seen.upstream_time, seen.status), (seconds, Some(200)), "{line}");
        }
    }
    assert!(read("timed", &format!("{COMBINED} 0.123 0.001, x")).is_err());
}

#[test]
fn addresses_with_and_without_brackets() {
    for (spec, line, addr) in [
        ("%h %s", "2001:db8::1 200", "2001:db8::1"),
        ("%h %s", "[2001:db8::1] 200", "2001:db8::1"),
        ("[%a]:%{remote}p %s", "[2001:db8::1]:4711 200", "2001:db8::1"),
        ("%a:%{remote}p %s", "[2001:db8::1]:4711 200", "2001:db8::1"),
        ("%a:%{remote}p %s", "2001:db8::1:4711 200", "2001:db8::1"),
        ("$remote_addr:$remote_port $status", "::ffff:10.0.0.1:4711 200", "::ffff:10.0.0.1"),
        ("$remote_addr $status", "fe80::1%eth0 200", "fe80::1%eth0"),
        ("$remote_addr,$status", "10.0.0.1,200", "10.0.0.1"),
    ] {
        assert_eq!(good(spec, line).addr, some(addr), "{line}");
    }
}

#[test]
fn times_with_zones_and_milliseconds() {
    for (spec, line) in [
        ("%{%Y-%m-%dT%H:%M:%S}t.%{msec_frac}t%{%z}t %s", "2015-05-17T12:05:03.042+0200 200"),
        ("[%{%d/%b/%Y:%T}t.%{usec_frac}t %{%z}t] %s", "[17/May/2015:04:35:03.042999 -0530] 200"),
        ("[%{begin:%d/%b/%Y:%T}t.%{begin:msec_frac}t %{begin:%z}t] %s", "[17/May/2015:10:05:03.042 +0000] 200"),
        ("%{sec}t.%{msec_frac}t %s", "1431857103.042 200"),
        ("%{msec}t %s", "1431857103042 200"),
        ("%{%s}t.%{msec_frac}t %s", "1431857103.042 200"),
        ("$msec $status", "1431857103.042 200"),
    ] {
        assert_eq!(good(spec, line).time.map(|(_, ms)| ms), Some(MS + 42), "{spec}");
    }
    for (written, ms) in
        [("2015-05-17T10:05:03+00:00", MS), ("2015-05-17T15:50:03+05:45", MS), ("2015-05-17T00:05:03-10:00", MS)]
    {
        assert_eq!(good("[$time_iso8601] $status", &format!("[{written}] 200")).time, Some((written.to_owned(), ms)));
    }
}

#[test]
fn headers_of_proxies_and_bytes_of_both_ways() {
    let combinedio = r#"%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i" %I %O"#;
    let seen = good(combinedio, &format!("{COMBINED} 512 1024"));
    assert_eq!((seen.bytes, seen.agent), (Some(17), some("curl/8")));
    assert_eq!(good("%h %I %O %s", "::1 512 1024 200").bytes, Some(1024));
    assert_eq!(good("%h %I %O %s", "::1 - - 200").bytes, None);
    for (spec, forwarded) in [
        ("%{X-Forwarded-For}i %h %s", "10.1.1.1, 2001:db8::7, unknown"),
        ("%{X-Forwarded-For}i %h %s", "-"),
        ("%{x-forwarded-for}i %h %s", "10.1.1.1"),
        ("\"%{X-Forwarded-For}i\" %h %s", "\"10.1.1.1, 10.1.1.2\""),
        ("$http_x_forwarded_for $remote_addr $status", "10.1.1.1, 10.1.1.2"),
        ("$proxy_add_x_forwarded_for $remote_addr $status", "10.1.1.1, 10.1.1.2"),
    ] {
        let seen = good(spec, &format!("{forwarded} 10.0.0.1 200"));
        assert_eq!((seen.addr, seen.status), (some("10.0.0.1"), Some(200)), "{spec}");
    }
    for (spec, text, seconds) in [
        ("%D|%s", "1234567", 1.234567),
        ("%{ms}T|%s", "1234", 1.234),
        ("%{us}T|%s", "1234567", 1.234567),
        ("%T|%s", "0", 0.0),
        ("%{ms}T/%D|%s", "1234/1234567", 1.234567),
    ] {
        assert_eq!(good(spec, &format!("{text}|200")).request_time, Some(seconds), "{spec}");
    }
}

#[test]
fn texts_as_nginx_and_apache_escape_them() {
    let agent = |text: &str| good("combined", &COMBINED.replace("curl/8", text)).agent;
    assert_eq!(agent(r"\x22quoted\x22 \x5C"), some("\"quoted\" \\"));
    assert_eq!(agent(r#"\"quoted\" \\"#), some("\"quoted\" \\"));
    assert_eq!(agent(r"\xD0\xBF"), some("п"));
    let seen = good("combined", &COMBINED.replace("GET / HTTP/1.1", r"GET /\x22\x3Cx\x3E?a=\xD0\xBF HTTP/1.1"));
    assert_eq!((seen.method, seen.url), (some("GET"), some("/\"<x>?a=п")));
    // What speaks no HTTP is a line, and no request.
    let seen = good("combined", &COMBINED.replace("GET / HTTP/1.1", r"\x16\x03\x01\x02\x00"));
    assert_eq!((seen.method, seen.url, seen.status), (None, None, Some(200)));
    let seen = good("combined", &COMBINED.replace("GET / HTTP/1.1", ""));
    assert_eq!((seen.method, seen.url, seen.status), (None, None, Some(200)));
}

#[test]
fn a_status_that_was_never_sent_is_absent() {
    for status in ["000", "009", "-"] {
        let seen = good("combined", &COMBINED.replace(" 200 ", &format!(" {status} ")));
        assert_eq!((seen.status, seen.bytes), (None, Some(17)), "{status}");
    }
    for status in ["001", "099", "00", "0000", "1000", "2OO"] {
        assert!(read("combined", &COMBINED.replace(" 200 ", &format!(" {status} "))).is_err(), "{status}");
    }
}
