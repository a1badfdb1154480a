use crate::http::testing::{Reply, Server};
use std::io::Write;

const JSON: &str = "Content-Type: application/json\r\n";
const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";
const LINE: &str = "127.0.0.1 - - [22/Nov/2026:16:31:08 +0000] \"GET / HTTP/1.1\" 200 5 \"-\" \"curl\" 0.001 -\n";

async fn push(server: &Server, headers: &str, body: impl AsRef<[u8]>) -> (u16, String) {
    let Reply { status, body, .. } = server.ask("POST", "/push", headers, body.as_ref()).await;
    (status, body)
}

fn merged(n: u64) -> (u16, String) {
    (200, format!(r#"{{"errors":[],"merged":{n},"rejected":0}}"#))
}

/// There is no pipe here, so lines are taken, counted and given back: what becomes of them with pipes is tested from
/// outside, with real plugins.
fn taken(lines: u64) -> (u16, String) {
    let fault = r#"{"at":"line 1","why":"no pipe runs, so nobody reads the lines; see /modules"}"#;
    (400, format!(r#"{{"errors":[{fault}],"merged":0,"rejected":{lines}}}"#))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

#[tokio::test]
async fn every_shape_of_a_push_is_merged() {
    let server = Server::with_core().await;
    assert_eq!(push(&server, JSON, r#"{"a":{"raw":1,"b":2}}"#).await, merged(2));
    assert_eq!(push(&server, "", r#" [{"a":{"bare":1}}]"#).await, merged(1));
    assert_eq!(push(&server, FORM, "x=1&json=%7B%22a%22%3A%7B%22form+ed%22%3A1%7D%7D").await, merged(1));
    assert_eq!(push(&server, "Content-Type: text/plain; charset=utf-8\r\n", LINE.repeat(3)).await, taken(3));
    assert_eq!(push(&server, "", LINE).await, taken(1));
    let escaped: String = form_urlencoded::byte_serialize(LINE.as_bytes()).collect();
    assert_eq!(push(&server, FORM, format!("accesslog={escaped}")).await, taken(1));
    let multipart = format!(
        "--XX\r\nContent-Disposition: form-data; name=\"json\"\r\n\r\n{{\"a\":{{\"multi\":1}}}}\r\n\
         --XX\r\nContent-Disposition: form-data; name=\"accesslog\"; filename=\"a.log\"\r\n\r\n{LINE}\r\n--XX--\r\n"
    );
    let headers = "Content-Type: multipart/form-data; boundary=XX\r\n";
    let (status, body) = push(&server, headers, multipart).await;
    assert!(status == 200 && body.contains(r#""merged":1,"rejected":1"#), "{status} {body}");
    let headers = format!("{JSON}Content-Encoding: gzip\r\n");
    assert_eq!(push(&server, &headers, gzip(br#"{"a":{"zip":1}}"#)).await, merged(1));
    let there = server.get("/get/?key-a").await.body;
    assert_eq!(there, r#"[{"a":{"raw":1,"b":2,"bare":1,"form ed":1,"multi":1,"zip":1}}]"#);
}

#[tokio::test]
async fn an_empty_log_is_no_fault() {
    let server = Server::with_core().await;
    for headers in ["Content-Type: text/plain\r\n", ""] {
        assert_eq!(push(&server, headers, "").await, merged(0));
    }
    assert_eq!(push(&server, FORM, "accesslog=").await, merged(0));
    assert_eq!(push(&server, JSON, "{}").await, merged(0));
}

#[tokio::test]
async fn the_good_ones_merge_and_the_others_are_named() {
    let server = Server::with_core().await;
    let (status, body) = push(&server, JSON, r#"[{"a":1},{"b":null},{"c":2}]"#).await;
    let fault = r#"{"at":"document 2, b","why":"null is no value; leave the key out"}"#;
    assert_eq!((status, body.as_str()), (200, format!(r#"{{"errors":[{fault}],"merged":2,"rejected":1}}"#).as_str()));
    let (status, body) = push(&server, JSON, r#"{"b":null}"#).await;
    assert_eq!(status, 400, "{body}");
    let (status, body) = push(&server, JSON, format!(r#"[{{"d":1}}{}]"#, r#",{"b":null}"#.repeat(20))).await;
    assert!(status == 200 && body.contains(r#""merged":1,"rejected":20"#), "{status} {body}");
    assert_eq!(body.matches("\"at\"").count(), 10, "{body}");
}

#[tokio::test]
async fn what_cannot_be_taken_is_refused_with_a_way_out() {
    let server = Server::with_core().await;
    let gz = "Content-Encoding: gzip\r\n";
    for (target, headers, body, status, want) in [
        ("/push", FORM, "jsn=1", 400, "none of the fields it may have: json (documents) and accesslog (lines"),
        ("/push", FORM, r#"{"a":1}"#, 400, "Content-Type: application/json"),
        ("/push", "Content-Type: multipart/form-data\r\n", "x", 400, "has no boundary"),
        ("/push", "Content-Type: multipart/form-data; boundary=X\r\n", "x", 400, "multipart body is broken"),
        (
            "/push",
            "Content-Type: image/png\r\n",
            "x",
            415,
            "known are application/json, application/x-ndjson, text/plain",
        ),
        ("/push", "Content-Encoding: br\r\n", "x", 415, "or gzip"),
        ("/push", gz, "not gzip", 400, "Content-Encoding is gzip, but the body is not"),
        ("/push?wiat=commit", JSON, "{}", 400, "unknown argument \\\"wiat=commit\\\""),
    ] {
        let reply = server.ask("POST", target, headers, body.as_bytes()).await;
        assert_eq!(reply.status, status, "{}", reply.body);
        assert!(reply.body.starts_with("{\"error\":\"") && reply.body.contains(want), "{}", reply.body);
    }
}

#[tokio::test]
async fn nothing_grows_without_bound() {
    let server = Server::with_core().await;
    // A bomb: 20 MB of blanks in 20 kB.
    let bomb = gzip(&vec![b' '; 20 * 1024 * 1024]);
    let (status, body) = push(&server, &format!("{JSON}Content-Encoding: gzip\r\n"), bomb).await;
    assert!(status == 413 && body.contains("unpacked"), "{status} {body}");
    let large = vec![b' '; 16 * 1024 * 1024 + 1];
    assert_eq!(push(&server, JSON, &large).await.0, 413);
    let reply = server.ask("POST", "/push", "Content-Type: image/png\r\n", &large).await;
    assert_eq!((reply.status, reply.header("connection")), (415, Some("close")));
    // Chunked, so that no length warns of it; the answer comes through although the client goes on sending.
    let mut chunked = b"POST /push HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..40 {
        chunked.extend_from_slice(b"100000\r\n");
        chunked.extend(std::iter::repeat_n(b' ', 0x10_0000));
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let reply = Reply::read(server.open(&chunked).await).await;
    assert_eq!((reply.status, reply.header("connection")), (413, Some("close")));
}

#[tokio::test]
async fn a_form_has_no_more_fields_than_some() {
    let server = Server::with_core().await;
    let fields = |n: usize| vec!["json=%7B%22a%22%3A1%7D"; n].join("&");
    // What is neither documents nor lines counts for none.
    for other in ["", "&", "&what=1"] {
        let reply = server.ask("POST", "/push", FORM, format!("{}{other}", fields(1_000)).as_bytes()).await;
        assert_eq!(reply.status, 200, "{other:?}: {}", reply.body);
    }
    let reply = server.ask("POST", "/push", FORM, fields(1_001).as_bytes()).await;
    assert!(reply.status == 400 && reply.body.contains("more than 1000 fields"), "{}", reply.body);
    let multipart = |n: usize| {
        let field = |name: &str| format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{{}}\r\n");
        format!("{}{}--x--\r\n", field("json").repeat(n), field("what"))
    };
    let header = "Content-Type: multipart/form-data; boundary=x\r\n";
    let reply = server.ask("POST", "/push", header, multipart(1_000).as_bytes()).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let reply = server.ask("POST", "/push", header, multipart(1_001).as_bytes()).await;
    assert!(reply.status == 400 && reply.body.contains("more than 1000 fields"), "{}", reply.body);
}
