//! Real lines of each format, and what is in them.

use super::*;

const COMBINED: &str = r#"83.149.9.216 - frank [17/May/2015:10:05:03 +0000] "GET /a/b.png?x=1 HTTP/1.1" 200 203023 "http://semicomplete.com/" "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_9_1)""#;
/// 2015-05-17 10:05:03 UTC.
const MS: i64 = 1_431_857_103_000;

fn combined() -> Seen {
    Seen {
        addr: some("83.149.9.216"),
        user: some("frank"),
        time: Some(("17/May/2015:10:05:03 +0000".to_owned(), MS)),
        method: some("GET"),
        url: some("/a/b.png?x=1"),
        protocol: some("HTTP/1.1"),
        status: Some(200),
        bytes: Some(203_023),
        referer: some("http://semicomplete.com/"),
        agent: some("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_9_1)"),
        ..Seen::default()
    }
}

#[test]
fn the_named_formats() {
    assert_eq!(good("combined", COMBINED), combined());
    assert_eq!(good(" combined\n", &format!("{COMBINED}\r")), combined());
    let common = Seen { referer: None, agent: None, ..combined() };
    assert_eq!(good("common", &COMBINED[..COMBINED.find(r#" "http"#).unwrap()]), common);
    assert_eq!(good("common", COMBINED), common, "fields after the end are passed over");
    let timed = Seen { request_time: Some(0.123), upstream_time: Some(0.12), ..combined() };
    assert_eq!(good("timed", &format!("{COMBINED} 0.123 0.120")), timed);
    assert_eq!(good("combined", &format!("{COMBINED} 0.123 0.120")), combined());
    let vhost = Seen { host: some("www.example.org"), ..combined() };
    assert_eq!(good("vhost_combined", &format!("www.example.org:443 {COMBINED}")), vhost);
    assert_eq!(good("vhost_combined", &format!("[2001:db8::1]:443 {COMBINED}")).host, some("[2001:db8::1]"));
}

#[test]
fn a_directive_as_it_stands_in_the_configuration() {
    let nginx = r#"
        log_format  main  '$remote_addr - $remote_user [$time_local] "$request" '
                          '$status $body_bytes_sent "$http_referer" '
                          '"$http_user_agent" "$http_x_forwarded_for"';
    "#;
    let apache = r#"LogFormat "%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\"" combined"#;
    let bare = r#"%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-agent}i""#;
    let quoted = r#""%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-agent}i\"""#;
    let braced = r#"${remote_addr} - $remote_user [$time_local] "$request" ${status} $bytes_sent "$http_referer" "$http_user_agent""#;
    for spec in [nginx, apache, bare, quoted, braced] {
        assert_eq!(good(spec, &format!("{COMBINED} \"10.1.2.3, 10.1.2.4\"")), combined(), "{spec}");
    }
    assert_eq!(good(nginx, &format!("{COMBINED} \"-\"")), combined());
    assert_eq!(read(nginx, COMBINED).unwrap_err().field, "skipped field");
}

#[test]
fn what_is_absent() {
    let line = r#"::1 - - [17/May/2015:10:05:03 +0000] "-" - - "-" """#;
    let absent = Seen { addr: some("::1"), time: combined().time, ..Seen::default() };
    assert_eq!(good("combined", line), absent);
    let line = r#"- - - [-] "-" 408 - "-" "-" - -"#;
    assert_eq!(good("timed", line), Seen { addr: some("-"), status: Some(408), ..Seen::default() });
    // Each alone, between neighbours that are there.
    for (from, to) in [("frank", "-"), (r#""http://semicomplete.com/""#, r#""-""#), (" 203023", " -")] {
        let seen = good("combined", &COMBINED.replace(from, to));
        let full = combined();
        let mut expected = full.clone();
        match from {
            "frank" => expected.user = None,
            " 203023" => expected.bytes = None,
            _ => expected.referer = None,
        }
        assert_eq!(seen, expected, "{from}");
    }
    assert_eq!(good("combined", &COMBINED.replace("- frank", "ident -")).user, None);
    assert_eq!(good("combined", &COMBINED.replace("frank", "John Q. Public")).user, some("John Q. Public"));
    assert_eq!(good("combined", &COMBINED.replace("frank", "-frank")).user, some("-frank"));
}

#[test]
fn addresses() {
    for (written, addr) in [
        ("2001:db8::ff00:42:8329", "2001:db8::ff00:42:8329"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[10.0.0.1]", "10.0.0.1"),
        ("host.example.org", "host.example.org"),
        ("unix:", "unix:"),
        ("2001:0db8:85a3:0000:0000:8a2e:0370:7334", "2001:0db8:85a3:0000:0000:8a2e:0370:7334"),
    ] {
        assert_eq!(good("combined", &COMBINED.replace("83.149.9.216", written)).addr, some(addr));
    }
    let spec = "$remote_addr:$remote_port $status";
    assert_eq!(good(spec, "2001:db8::1:4711 200").addr, some("2001:db8::1"));
    assert_eq!(good(spec, "10.0.0.1:4711 200").addr, some("10.0.0.1"));
    assert_eq!(good("[$remote_addr] $status", "[2001:db8::1] 404").addr, some("2001:db8::1"));
}

#[test]
fn requests() {
    let split = |request: &str| {
        let seen = good("\"$request\" $status", &format!("\"{request}\" 200"));
        (seen.method, seen.url, seen.protocol)
    };
    let full = |m: &str, u: &str, p: &str| (some(m), some(u), some(p));
    assert_eq!(split("GET / HTTP/1.1"), full("GET", "/", "HTTP/1.1"));
    assert_eq!(split("PROPFIND /x HTTP/2.0"), full("PROPFIND", "/x", "HTTP/2.0"));
    assert_eq!(split("GET /x HTTP/3"), full("GET", "/x", "HTTP/3"));
    assert_eq!(split("GET /a b  c HTTP/1.0"), full("GET", "/a b  c", "HTTP/1.0"));
    assert_eq!(split("GET HTTP/1.1 HTTP/1.1"), full("GET", "HTTP/1.1", "HTTP/1.1"));
    assert_eq!(split("CONNECT a.b:443 HTTP/1.1"), full("CONNECT", "a.b:443", "HTTP/1.1"));
    assert_eq!(split("GET /"), (some("GET"), some("/"), None));
    assert_eq!(split("GET http://a/b c"), (some("GET"), some("http://a/b c"), None));
    assert_eq!(split("OPTIONS *"), (some("OPTIONS"), some("*"), None));
    let none = (None, None, None);
    let garbage = [
        "-",
        "",
        "GET",
        "GET ",
        " / HTTP/1.1",
        "GET HTTP/1.1",
        "quit",
        "t3 12.1.2",
        "SSH-2.0-OpenSSH_8.9 x",
        "\\x16\\x03\\x01",
        "\\x16\\x03 / HTTP/1.1",
        "\u{1}\u{2} x",
        "GÉT / HTTP/1.1",
        "GET  HTTP/1.1",
    ];
    for text in garbage {
        assert_eq!(split(text), none, "{text:?}");
    }
    let parts = good("$request_method $uri$is_args$args $server_protocol $status", "GET /x?a=b HTTP/1.1 200");
    assert_eq!((parts.method, parts.url, parts.protocol), full("GET", "/x?a=b", "HTTP/1.1"));
    let parts = good("%m %U%q %H %s", "GET /x?a=b HTTP/1.1 200");
    assert_eq!((parts.method, parts.url, parts.protocol), full("GET", "/x?a=b", "HTTP/1.1"));
}

#[test]
fn escapes() {
    let agents = [
        (r#"a \"b\" c"#, r#"a "b" c"#),
        (r"ends in \\", r"ends in \"),
        (r#"\x22\x5C\x22"#, r#""\""#),
        (r"tab\tline\nbell\x07", "tab\tline\nbell\u{7}"),
        (r"caf\xc3\xa9", "café"),
        (r"caf\xe9 ol\xE9", "caf\u{fffd} ol\u{fffd}"),
        (r"C:\dir \xzz \x4", r"C:\dir \xzz \x4"),
        (r#"ü\"ß"#, r#"ü"ß"#),
        (r#"\" \"-\" \""#, r#"" "-" ""#),
        (r"\\\\", r"\\"),
    ];
    for (written, agent) in agents {
        let line = format!(r#"::1 - - [17/May/2015:10:05:03 +0000] "GET /\"q\" HTTP/1.1" 200 5 "\x22r" "{written}" 7"#);
        let seen = good("combined", &line);
        assert_eq!(seen.agent, some(agent));
        assert_eq!((seen.url, seen.referer, seen.bytes), (some("/\"q\""), some("\"r"), Some(5)));
        // Whoever wants none of these is not told of them, and loses nothing.
        let status = read_all("combined", Fields::of(&[Field::Status, Field::Bytes]), &[&line]).remove(0);
        assert_eq!(status, Ok(Seen { status: Some(200), bytes: Some(5), ..Seen::default() }));
    }
    // The line is written anew with them.
    let mut parser = Format::compile("combined").unwrap().parser(Fields::of(&[Field::Url, Field::Agent]));
    let (mut records, mut decoded) = (Vec::new(), Decoded::default());
    let line = r#"::1 - - [17/May/2015:10:05:03 +0000] "GET /\"q\" HTTP/1.1" 200 5 "\x22r" "\\" 7"#;
    parser.parse(line, &mut records, &mut decoded).unwrap();
    decoded.settle(&mut records);
    let clean = r#"::1 - - [17/May/2015:10:05:03 +0000] "GET /"q" HTTP/1.1" 200 5 "\x22r" "\" 7"#;
    assert_eq!((records[0].line(), decoded.count()), (clean, 1));
    // A quote that the server did not escape belongs to the value if nothing of the format follows it.
    let seen = good("\"$http_referer\" \"$http_user_agent\" $status", r#""a"b" "c"d" 200"#);
    assert_eq!((seen.referer, seen.agent), (some("a\"b"), some("c\"d")));
    // Values without quotes are escaped too.
    assert_eq!(good("$remote_user|$status", r"a\x7Cb|200").user, some("a|b"));
}

#[test]
fn the_order_of_a_batch_outlives_escapes() {
    let line = |agent: &str| COMBINED.replace("Mozilla/5.0", agent);
    let lines = [line("a"), line(r"b\x21"), line("c"), "bad".to_owned(), line(r"d\x21"), line("e")];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let agents: Vec<Option<String>> = read_all("combined", Fields::of(&[Field::Agent]), &lines)
        .into_iter()
        .map(|seen| seen.ok().and_then(|seen| Some(seen.agent?.split(' ').next()?.to_owned())))
        .collect();
    assert_eq!(agents, [some("a"), some("b!"), some("c"), None, some("d!"), some("e")]);
}

#[test]
fn json_and_no_escapes() {
    let json = r#"log_format j escape=json '{"ip":"$remote_addr","agent":"$http_user_agent","up":"$upstream_response_time"}';"#;
    let seen = good(json, r#"{"ip":"::1","agent":"a \"b\" \\ \u0007 \/ caf\x","up":""}"#);
    assert_eq!((seen.addr, seen.agent, seen.upstream_time), (some("::1"), some("a \"b\" \\ \u{7} / caf\\x"), None));
    let none = r#"log_format n escape=none '"$http_user_agent" $status';"#;
    assert_eq!(good(none, r#""a\"b \x22" 200"#).agent, some(r#"a\"b \x22"#));
}

#[test]
fn times() {
    let time = |spec: &str, line: &str| good(spec, line).time.map(|(_, ms)| ms);
    let local = |text: &str| time("%t", &format!("[{text}]"));
    assert_eq!(local("17/May/2015:10:05:03 +0000"), Some(MS));
    assert_eq!(local("17/May/2015:12:05:03 +0200"), Some(MS));
    assert_eq!(local("17/May/2015:04:35:03 -0530"), Some(MS));
    assert_eq!(local("31/Dec/1969:23:59:59 +0000"), Some(-1000));
    assert_eq!(local("29/Feb/2024:00:00:00 +0000"), Some(1_709_164_800_000));
    assert_eq!(local("31/Dec/2016:23:59:60 +0000"), Some(1_483_228_800_000));
    assert_eq!(time("$time_iso8601 $status", "2015-05-17T12:05:03+02:00 200"), Some(MS));
    assert_eq!(time("$time_iso8601", "2015-05-17T12:05:03+02:00"), Some(MS));
    assert_eq!(time("$time_local|$status", "17/May/2015:10:05:03 +0000|200"), Some(MS));
    assert_eq!(time("$time_local $status", "17/May/2015:10:05:03 +0000 200"), Some(MS));
    assert_eq!(time("$msec $status", "1431857103.042 200"), Some(MS + 42));
    assert_eq!(time("$msec", "1431857103"), Some(MS));
    assert_eq!(time("%{sec}t %s", "1431857103 200"), Some(MS));
    assert_eq!(time("%{msec}t %s", "1431857103042 200"), Some(MS + 42));
    assert_eq!(time("%{usec}t %s", "1431857103042999 200"), Some(MS + 42));
    assert_eq!(time("%{%Y-%m-%dT%T%z}t %s", "2015-05-17T12:05:03+0200 200"), Some(MS));
    assert_eq!(time("%{begin:%d %B %y %I:%M:%S %p}t|%s", "17 May 15 10:05:03 AM|200"), Some(MS));
    assert_eq!(time("%{end:%a %e/%b/%Y %R}t|%s", "Sun 17/May/2015 10:05|200"), Some(MS - 3000));
    let split = "[%{%d/%b/%Y:%H:%M:%S}t.%{msec_frac}t %{%z}t] %s";
    assert_eq!(time(split, "[17/May/2015:10:05:03.042 +0000] 200"), Some(MS + 42));
    assert_eq!(time("%{%F %T}t.%{usec_frac}t %s", "2015-05-17 10:05:03.042999 200"), Some(MS + 42));
    let half = "%{%F %I:%M %p}t %s";
    assert_eq!(time(half, "2015-05-17 12:05 AM 200"), Some(MS - 3000 - 10 * 3_600_000));
    assert_eq!(time(half, "2015-05-17 12:05 pm 200"), Some(MS - 3000 + 2 * 3_600_000));
    // A time of day alone says nothing, but its space is no border either.
    let seen = good("%{%H %M}t %s", "10 05 200");
    assert_eq!((seen.time, seen.status), (None, Some(200)));
    // Of several times the most exact one is taken, and a space in a time nobody wants is no border.
    let both = good("$time_local $msec $status", "17/May/2015:10:05:04 +0000 1431857103.042 200");
    assert_eq!((both.time.map(|(_, ms)| ms), both.status), (Some(MS + 42), Some(200)));
}

#[test]
fn the_remembered_minute_is_not_taken_for_another() {
    let lines = [
        ("17/May/2015:10:05:03 +0000", MS),
        ("17/May/2015:10:05:59 +0000", MS + 56_000),
        ("17/May/2015:10:06:00 +0000", MS + 57_000),
        ("17/May/2015:10:06:00 +0100", MS + 57_000 - 3_600_000),
        ("18/May/2015:10:06:00 +0100", MS + 57_000 + 23 * 3_600_000),
        ("17/May/2015:10:05:03 +0000", MS),
    ];
    let texts: Vec<String> = lines.iter().map(|(time, _)| format!("[{time}]")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let seen = read_all("%t", Fields::ALL, &texts);
    for ((time, ms), seen) in lines.iter().zip(seen) {
        assert_eq!(seen.unwrap().time, Some(((*time).to_owned(), *ms)));
    }
    let lines = ["2015-05-17T10:05:03+00:00", "2015-05-17T10:05:04+00:00", "2015-05-17T10:05:04+01:00"];
    let seen = read_all("$time_iso8601", Fields::ALL, &lines);
    let ms: Vec<i64> = seen.into_iter().map(|seen| seen.unwrap().time.unwrap().1).collect();
    assert_eq!(ms, [MS, MS + 1000, MS + 1000 - 3_600_000]);
    let lines = ["02 10:05:03 200", "02 10:05:03 200", "02 10:05:04 200"];
    let seen = read_all("%{%d %T}t %s", Fields::ALL, &lines);
    let ms: Vec<i64> = seen.into_iter().map(|seen| seen.unwrap().time.unwrap().1).collect();
    assert_eq!(ms, [122_703_000, 122_703_000, 122_704_000]);
}

#[test]
fn durations() {
    for (spec, text, seconds) in [
        ("%D %s", "1500", 0.0015),
        ("%T %s", "2", 2.0),
        ("%{us}T %s", "1500", 0.0015),
        ("%{ms}T %s", "15", 0.015),
        ("%{s}T %s", "3", 3.0),
        ("$request_time $status", "0.042", 0.042),
        ("$request_time $status", "12", 12.0),
    ] {
        assert_eq!(good(spec, &format!("{text} 200")).request_time, Some(seconds), "{spec}");
    }
    // The finest one is taken.
    assert_eq!(good("%T %D %s", "0 1500 200").request_time, Some(0.0015));
    let upstream = |text: &str| good("$upstream_addr $upstream_response_time $status", &format!("{text} {text} 200"));
    for (text, seconds) in [
        ("0.001, 0.120 : 0.004", Some(0.125)),
        ("0.001, - : -", Some(0.001)),
        ("0.001 : 0.004", Some(0.005)),
        ("-", None),
        ("-, -", None),
        ("0.250", Some(0.25)),
    ] {
        let seen = upstream(text);
        assert_eq!((seen.upstream_time, seen.status), (seconds, Some(200)), "{text}");
        assert_eq!(good("timed", &format!("{COMBINED} 0.123 {text}")).upstream_time, seconds, "{text}");
    }
}

#[test]
fn the_better_source_gives_the_field() {
    let seen = good("$server_name $host $bytes_sent $body_bytes_sent $status", "a b 10 9 200");
    assert_eq!((seen.host, seen.bytes), (some("b"), Some(9)));
    let seen = good("%s %>s %O %B %v %V", "301 200 10 9 a b");
    assert_eq!((seen.status, seen.bytes, seen.host), (Some(200), Some(9), some("b")));
    assert_eq!(good("%400,501{User-agent}i|%!200{Referer}i|%%|%s", "a b|c|%|200").agent, some("a b"));
}

#[test]
fn what_a_format_says_of_itself() {
    let format = Format::compile("[$time_local] $foo \"$request\"").unwrap();
    assert_eq!((format.lead(), format.spec()), ("[", "[$time_local] $foo \"$request\""));
    let items: Vec<(&str, &str)> = format.items().iter().map(|i| (i.name.as_str(), i.literal.as_str())).collect();
    assert_eq!(items, [("$time_local", "] "), ("$foo", " \""), ("$request", "\"")]);
    assert_eq!(format.fields(), Fields::of(&[Field::Time, Field::Method, Field::Url, Field::Protocol]));
}

#[test]
fn long_values() {
    // Across the words of the marks, and past them.
    for len in [1, 15, 16, 17, 63, 64, 65, 127, 128, 129, 500, 5_000] {
        let text = "é".repeat(len / 2) + &"x".repeat(len % 2);
        let seen = good("combined", &COMBINED.replace("/a/b.png", &format!("/{text}")).replace("Mozilla", &text));
        assert_eq!(seen.url, Some(format!("/{text}?x=1")));
        assert!(seen.agent.unwrap().starts_with(&text));
        let seen = good("$status \"$http_user_agent\"", &format!("200 \"{text}\""));
        assert_eq!(seen.agent, Some(text));
    }
    assert_eq!(good("$body_bytes_sent $status", "18446744073709551614 200").bytes, Some(u64::MAX - 1));
    assert_eq!(good("$body_bytes_sent", "00000012345678").bytes, Some(12_345_678));
}
