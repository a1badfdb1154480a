//! Logs of an object of JSON a line.

use super::*;

const MS: i64 = 1_431_857_103_000;
const NGINX: &str = r#"{"time_iso8601":"2015-05-17T10:05:03+00:00","remote_addr":"83.149.9.216","remote_user":"frank","request":"GET /a/b.png?x=1 HTTP/1.1","status":"200","body_bytes_sent":"203023","http_referer":"http://semicomplete.com/","http_user_agent":"Mozilla/5.0 (X11)","request_time":"0.123","upstream_response_time":"0.001, 0.120 : 0.002","host":"www.example.org","unknown":{"a":["}",{"b":"]"}]}}"#;

fn nginx() -> Seen {
    Seen {
        addr: some("83.149.9.216"),
        user: some("frank"),
        time: Some(("2015-05-17T10:05:03+00:00".to_owned(), MS)),
        method: some("GET"),
        url: some("/a/b.png?x=1"),
        protocol: some("HTTP/1.1"),
        status: Some(200),
        bytes: Some(203_023),
        referer: some("http://semicomplete.com/"),
        agent: some("Mozilla/5.0 (X11)"),
        request_time: Some(0.123),
        upstream_time: Some(0.001 + 0.120 + 0.002),
        host: some("www.example.org"),
    }
}

#[test]
fn what_servers_write() {
    assert_eq!(good("json", NGINX), nginx());
    assert_eq!(good(" json\n", &format!("\u{feff} {NGINX} \r")), nginx());
    // Numbers as numbers, blanks, another order, and what follows the object.
    let spaced = r#"{ "request_time" : 0.123 , "status" : 200,"body_bytes_sent":203023 ,"request" : "GET /a/b.png?x=1 HTTP/1.1", "upstream_response_time":0.25 } # x"#;
    let seen = good("json", spaced);
    assert_eq!((seen.status, seen.bytes, seen.request_time), (Some(200), Some(203_023), Some(0.123)));
    assert_eq!((seen.url, seen.upstream_time), (some("/a/b.png?x=1"), Some(0.25)));

    let caddy = r#"{"level":"info","ts":1646861401.5241024,"logger":"http.log.access","msg":"handled request","request":{"remote_ip":"127.0.0.1","remote_port":"41342","client_ip":"10.1.1.1","proto":"HTTP/2.0","method":"GET","host":"localhost","uri":"/x?y","headers":{"User-Agent":["curl/7.82.0","other"],"Accept":["*/*"],"Referer":[]},"tls":{"resumed":false}},"bytes_read":0,"user_id":"","duration":9.29675e-05,"size":10900,"status":200,"resp_headers":{"Server":["Caddy"]}}"#;
    let expected = Seen {
        addr: some("10.1.1.1"),
        time: Some(("1646861401.5241024".to_owned(), 1_646_861_401_524)),
        method: some("GET"),
        url: some("/x?y"),
        protocol: some("HTTP/2.0"),
        status: Some(200),
        bytes: Some(10_900),
        agent: some("curl/7.82.0"),
        request_time: Some(9.29675e-05),
        host: some("localhost"),
        ..Seen::default()
    };
    assert_eq!(good("json", caddy), expected);

    let traefik = r#"{"ClientAddr":"10.0.0.9:4711","ClientHost":"10.0.0.9","ClientUsername":"-","DownstreamContentSize":17,"DownstreamStatus":404,"Duration":1500000,"OriginDuration":500000,"RequestHost":"h","RequestMethod":"PUT","RequestPath":"/p","RequestProtocol":"HTTP/1.1","request_User-Agent":"a","StartUTC":"2015-05-17T10:05:03.042Z","time":"2015-05-17T10:05:04Z"}"#;
    let expected = Seen {
        addr: some("10.0.0.9"),
        time: Some(("2015-05-17T10:05:03.042Z".to_owned(), MS + 42)),
        method: some("PUT"),
        url: some("/p"),
        protocol: some("HTTP/1.1"),
        status: Some(404),
        bytes: Some(17),
        agent: some("a"),
        request_time: Some(0.0015),
        upstream_time: Some(0.0005),
        host: some("h"),
        ..Seen::default()
    };
    assert_eq!(good("json", traefik), expected);

    let names = r#"{"ip":"::1","method":"GET","path":"/p","url":"/p?q","duration":"12.5ms","bytes":1.0,"user_agent":"a","referer":"r","time":"17\/May\/2015:10:05:03 +0000","status":200}"#;
    let seen = good("json", names);
    assert_eq!((seen.addr, seen.url, seen.bytes), (some("::1"), some("/p?q"), Some(1)));
    assert_eq!((seen.request_time, seen.time), (Some(0.0125), Some(("17/May/2015:10:05:03 +0000".to_owned(), MS))));
}

#[test]
fn a_map_gives_fields_keys_of_their_own() {
    let line = r#"{"client":{"ip":"10.0.0.1"},"req":{"path":"/x","a.b":"u"},"dur":1500,"status":"7","code":404,"ip":"192.0.2.1"}"#;
    let map = r"json:addr=client.ip, url = req.path ,request_time=dur/1000,user=req.a\.b,status=code";
    let seen = good(map, line);
    let expected = Seen {
        addr: some("10.0.0.1"),
        user: some("u"),
        url: some("/x"),
        status: Some(404),
        request_time: Some(1.5),
        ..Seen::default()
    };
    assert_eq!(seen, expected);
    // The first that is there; without a key from nowhere; a key that is given is no other field's.
    let seen = good("json:addr=a,addr=b,status=", r#"{"a":"-","b":"10.0.0.1:80","ip":"::1","status":200}"#);
    assert_eq!((seen.addr, seen.status), (some("10.0.0.1"), None));
    let seen = good("json:agent=ip", r#"{"ip":"curl","remote_addr":"::1"}"#);
    assert_eq!((seen.addr, seen.agent), (some("::1"), some("curl")));
    // A given key is enough for a line to be one.
    assert_eq!(good("json:host=h", r#"{"h":"x","uri":"/"}"#).host, some("x"));
    let seen = good("json:time=at/1000000,request=line", r#"{"at":1431857103042000,"line":"GET /"}"#);
    assert_eq!((seen.time.map(|(_, ms)| ms), seen.url), (Some(MS + 42), some("/")));
    assert_eq!(good(r"json:url=a\,b\=d\/e", r#"{"a,b=d/e":"/yes","status":200}"#).url, some("/yes"));
}

#[test]
fn a_pasted_directive_of_nginx() {
    let template = r#"{"a":"$remote_addr","t":"$time_iso8601","r":"$request","s":$status,"b":$body_bytes_sent,"u":"$http_user_agent","d":$request_time,"up":"$upstream_response_time"}"#;
    let directive = format!("log_format x escape=json\n  '{}'\n  '{}';", &template[..40], &template[40..]);
    let line = r#"{"a":"10.0.0.1","t":"2015-05-17T10:05:03+00:00","r":"GET /\"q\"\\ HTTP/1.1","s":200,"b":7,"u":"a\u001fb\u00e9\ud83d\ude00\n","d":0.042,"up":"0.001, 0.120 : 0.002"}"#;
    for spec in [directive.as_str(), template, &format!("'{template}'")] {
        let seen = good(spec, line);
        let expected = Seen {
            addr: some("10.0.0.1"),
            time: Some(("2015-05-17T10:05:03+00:00".to_owned(), MS)),
            method: some("GET"),
            url: some("/\"q\"\\"),
            protocol: some("HTTP/1.1"),
            status: Some(200),
            bytes: Some(7),
            agent: some("a\u{1f}bé😀\n"),
            request_time: Some(0.042),
            upstream_time: Some(0.001 + 0.120 + 0.002),
            ..Seen::default()
        };
        assert_eq!(seen, expected, "{spec}");
    }
}

#[test]
fn escapes() {
    for (written, agent) in [
        (r#"a \"b\" c"#, "a \"b\" c"),
        (r"ends in \\", r"ends in \"),
        (r#"\\\\\"\\"#, r#"\\"\"#),
        (r"\/\b\f\n\r\t", "/\u{8}\u{c}\n\r\t"),
        (r"\u0041\u00e9\u20AC", "Aé€"),
        (r"\ud83d\ude00", "😀"),
        (r"\ud83d \ude00 \ud83d\u0041", "\u{fffd} \u{fffd} \u{fffd}A"),
        (r"\u12 \u12g4 \q", r"\u12 \u12g4 \q"),
        (r"caf\xc3\xa9 caf\xe9", "café caf\u{fffd}"),
        ("tab\there", "tab\there"),
    ] {
        let line = format!(r#"{{"x":"\\","http_user_agent":"{written}","uri":"\/p","status":200}}"#);
        let seen = good("json", &line);
        assert_eq!((seen.agent, seen.url, seen.status), (some(agent), some("/p"), Some(200)), "{written}");
    }
    // Who wants none of them pays nothing.
    let mut parser = Format::compile("json").unwrap().parser(Fields::of(&[Field::Status]));
    let (mut records, mut decoded) = (Vec::new(), Decoded::default());
    parser.parse(r#"{"http_user_agent":"\"","status":200}"#, &mut records, &mut decoded).unwrap();
    assert_eq!((records.len(), decoded.count()), (1, 0));
}

#[test]
fn what_is_absent() {
    for value in [r#""""#, r#""-""#, "null", "-", "", " ", "{}", r#"{"a":1}"#, "[]", "[null]", r#"[{"a":1}]"#, "false"]
    {
        let line = format!(
            r#"{{"remote_addr":{value},"remote_user":{value},"time_local":{value},"request":{value},"uri":{value},"status":{value},"bytes":{value},"request_time":{value},"upstream_response_time":{value},"host":{value}}}"#
        );
        assert_eq!(good("json", &line), Seen::default(), "{value}");
    }
    assert_eq!(good("json", r#"{"status":0}"#).status, None);
    // Another key says it.
    let seen = good("json", r#"{"remote_addr":"-","ip":"::1","time":"soon","msec":1431857103.000,"msec":"x"}"#);
    assert_eq!((seen.addr, seen.time.map(|(_, ms)| ms)), (some("::1"), Some(MS)));
    let seen = good("json", r#"{"status":200,"status":404}"#);
    assert_eq!(seen.status, Some(200));
}

#[test]
fn upstream_times_and_addresses() {
    for (value, seconds) in [
        (r#""0.001, 0.120 : 0.002""#, Some(0.001 + 0.120 + 0.002)),
        ("0.001, 0.120 : 0.002", Some(0.001 + 0.120 + 0.002)),
        (r#""0.001, - : -""#, Some(0.001)),
        (r#""-, -""#, None),
        ("[0.25, 0.5]", Some(0.75)),
        ("[ 0.25 ]", Some(0.25)),
        (r#"["0.25", "0.5"]"#, Some(0.25)),
        ("0.25", Some(0.25)),
    ] {
        let line = format!(r#"{{"upstream_response_time":{value},"status":200}}"#);
        let seen = good("json", &line);
        assert_eq!((seen.upstream_time, seen.status), (seconds, Some(200)), "{value}");
    }
    for (written, addr) in [
        ("10.0.0.1", "10.0.0.1"),
        ("10.0.0.1:80", "10.0.0.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]:80", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("unix:", "unix"),
        (":80", ":80"),
        ("[]", "[]"),
        ("[", "["),
    ] {
        assert_eq!(good("json", &format!(r#"{{"ip":"{written}"}}"#)).addr, some(addr));
    }
}

#[test]
fn bad_lines() {
    let ends = "the line ends before this field does: it is cut off, or of another format";
    let json = "not JSON from here on: an object has \"key\": value, with commas between them";
    let key = "no key that tells of a request, such as status, uri or remote_addr; see json: in the formats";
    for (line, error) in [
        ("", "object, column 1: no JSON object, which begins with {".to_owned()),
        ("[1]", "object, column 1: no JSON object, which begins with {".to_owned()),
        ("10.0.0.1 - -", "object, column 1: no JSON object, which begins with {".to_owned()),
        ("{", format!("object, column 2: {ends}")),
        ("{}", format!("object, column 1: {key}")),
        (r#"{"level":"info","time":1,"host":"h"}"#, format!("object, column 1: {key}")),
        (r#"{"a"#, format!("object, column 2: {ends}")),
        (r#"{"a" "b"}"#, format!("object, column 6: {json}")),
        (r#"{"a":1 b"#, format!("object, column 9: {ends}")),
        ("{a:1}", format!("object, column 2: {json}")),
        (r#"{"status":200"#, format!("object, column 14: {ends}")),
        (r#"{"http_user_agent":"curl"#, format!("agent, column 20: {ends}")),
        (r#"{"http_user_agent":"curl\""#, format!("agent, column 20: {ends}")),
        (r#"{"a":{"b":[1}"#, format!("object, column 6: {ends}")),
        (r#"{"status":20}"#, "status, column 11: not a status code, which is three digits from 100 to 999".to_owned()),
        (
            r#"{"status":"2000"}"#,
            "status, column 12: not a status code, which is three digits from 100 to 999".to_owned(),
        ),
        (r#"{"bytes":-1,"status":200}"#, "bytes, column 10: not a number of bytes".to_owned()),
        (r#"{"bytes":1.5,"status":200}"#, "bytes, column 10: not a number of bytes".to_owned()),
        (r#"{"bytes":18446744073709551615}"#, "bytes, column 10: not a number of bytes".to_owned()),
        (r#"{"time":"soon","status":200}"#, "time, column 10: not a time of the form that the format names".to_owned()),
        (r#"{"duration":"1 m","status":200}"#, "request_time, column 14: not a number of seconds".to_owned()),
        (r#"{"duration":inf,"status":200}"#, "request_time, column 13: not a number of seconds".to_owned()),
        (r#"{"request_time":-0.1}"#, "request_time, column 17: not a number of seconds".to_owned()),
    ] {
        assert_eq!(read("json", line).expect_err(line).to_string(), error, "{line}");
    }
    // What nobody wants is not judged.
    let odd = r#"{"status":200,"time":"soon","bytes":1.5,"x":nonsense}"#;
    assert!(read_all("json", Fields::of(&[Field::Status]), &[odd])[0].is_ok());
}

#[test]
fn bad_maps() {
    for (spec, error) in [
        (
            "json:adr=x",
            "column 6: unknown field \"adr\": known are addr, user, time, method, url, protocol, status, bytes, referer, agent, request_time, upstream_time, host, request; did you mean \"addr\"?",
        ),
        (" json:url=x, ip", "column 14: \"ip\" is no FIELD=KEY, such as addr=client.ip"),
        ("json:url=a..b", "column 10: a key of \"a..b\" is empty; a dot in a key is written \\."),
        (
            "json:url=x/1000",
            "column 11: /1000 says how many are a second, of request_time, upstream_time and time only: /1000; a slash in a key is written \\/",
        ),
        (
            "json:request_time=x/s",
            "column 20: /s says how many are a second, of request_time, upstream_time and time only: /1000; a slash in a key is written \\/",
        ),
        ("json:addr=ip,host=ip", "column 19: \"ip\" is addr already, and a key gives one field"),
        ("json:addr=a.b.c.d.e.f.g.h.i", "column 11: more than 8 objects inside each other"),
    ] {
        assert_eq!(Format::compile(spec).expect_err(spec).to_string(), format!("log format, {error}"));
    }
    let format = Format::compile(" json:addr=a ").unwrap();
    assert_eq!((format.spec(), format.fields(), format.items().len()), ("json:addr=a", Fields::ALL, 0));
    assert_eq!(Format::compile("jsn").unwrap_err().to_string().split("; did").nth(1), Some(" you mean \"json\"?"));
}

#[test]
fn a_batch_keeps_its_order_and_allocates_nothing_new() {
    let escaped = NGINX.replace("Mozilla", r"\u004d");
    let lines = [NGINX, &escaped, "{}", NGINX];
    let seen = read_all("json", Fields::ALL, &lines);
    let agents: Vec<_> = seen.iter().map(|seen| seen.as_ref().ok().and_then(|seen| seen.agent.clone())).collect();
    assert_eq!(agents, [some("Mozilla/5.0 (X11)"), some("M/5.0 (X11)"), None, some("Mozilla/5.0 (X11)")]);
}
