use crate::conf::Isolation;
use crate::http::testing::{Reply, Server, merge};
use crate::module::{Kind, ModuleStatus, State};
use std::sync::Arc;

#[tokio::test]
async fn every_route_answers_and_has_its_headers() {
    let server = Server::still(None).await;
    merge(&server.shared, r#"{"a":1}"#);
    for (target, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/page.css", "text/css; charset=utf-8"),
        ("/page.js", "text/javascript; charset=utf-8"),
        ("/get/?key-a", "application/json"),
        ("/get?key-a", "application/json"),
        ("/pull/?key-a&wait=0s", "application/json"),
        ("/api/q/a.json", "application/json"),
        ("/modules", "text/html; charset=utf-8"),
        ("/metrics", "text/plain; version=0.0.4; charset=utf-8"),
        ("/healthz", "text/plain; charset=utf-8"),
        ("/readyz", "application/json"),
    ] {
        let reply = server.get(target).await;
        assert_eq!((reply.status, reply.header("content-type")), (200, Some(kind)), "{target}");
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{target}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{target}");
        let html = kind.starts_with("text/html");
        let policy =
            reply.header("content-security-policy").is_some_and(|policy| policy.starts_with("default-src 'none'"));
        assert_eq!(policy, html, "{target}");
        let head = server.ask("HEAD", target, "", b"").await;
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{target}");
        assert_eq!(head.header("content-length"), reply.header("content-length"), "{target}");
    }
    assert_eq!(server.get("/healthz").await.body, "ok");
    assert_eq!(server.get("/readyz").await.body, r#"{"ready":true,"tick":1000}"#);
}

#[tokio::test]
async fn an_unknown_path_names_the_near_one_and_a_wrong_method_the_right_one() {
    let server = Server::still(None).await;
    let reply = server.get("/gett/?key-a").await;
    assert_eq!(reply.status, 404);
    assert!(
        reply.body.starts_with(r#"{"error":"there is no /gett/; did you mean /get/?; there are /, /push,"#),
        "{}",
        reply.body
    );
    for (method, target, allow) in [
        ("POST", "/get/", "get, head"),
        ("DELETE", "/api/q/a", "get, head"),
        ("GET", "/push", "post"),
        ("GET", "/modules/a/off", "post"),
        ("OPTIONS", "/push", "post"),
    ] {
        let reply = server.ask(method, target, "", b"").await;
        assert_eq!((reply.status, reply.header("allow")), (405, Some(allow)), "{method} {target}");
        assert!(reply.body.starts_with("{\"error\":\""), "{}", reply.body);
    }
}

#[tokio::test]
async fn who_may_not_ask_is_refused_and_counted() {
    let server = Server::still(Some("0123456789abcdef")).await;
    let reply = server.ask("GET", "/get/?key-a", "Host: evil.example\r\n", b"").await;
    assert_eq!(reply.status, 403);
    let reply = server.ask("POST", "/push", "Content-Type: application/json\r\n", b"{\"a\":1}").await;
    assert_eq!((reply.status, reply.header("www-authenticate")), (401, Some("bearer")));
    assert_eq!(server.shared.counters.http_refused.growth(), 2);
    let reply = server.ask("GET", "/get/?key-a", "Authorization: Bearer 0123456789abcdef\r\n", b"").await;
    assert_eq!(reply.status, 200);
    assert_eq!(server.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn modules_are_listed_and_switched() {
    // A core would tell of its own modules meanwhile.
    let server = Server::still(None).await;
    let json = "Accept: application/json\r\n";
    assert_eq!(server.ask("GET", "/modules", json, b"").await.body, "[]");
    let status = ModuleStatus {
        name: "cpu".to_owned(),
        kind: Kind::Collector,
        file: "conf/cpu.on".into(),
        state: State::Failing,
        since_ms: 1_000,
        detail: String::new(),
        why: "no data".to_owned(),
        next_ms: Some(2_000),
        isolation: Isolation::None,
        runs: false,
        branch: Some(vec!["cpu".to_owned(), "a,b".to_owned()].into()),
        stats: Arc::default(),
    };
    *server.shared.modules.write() = Arc::new(vec![status]);
    let want = r#"[{"branch":"cpu,a%2Cb","calls":0,"cpu":0.0,"errors":0,"file":"conf/cpu.on","isolation":"none","kind":"collector","late":0,"lateness":0.0,"name":"cpu","next":"1970-01-01T00:00:02.000Z","restarts":0,"runs":false,"since":"1970-01-01T00:00:01.000Z","state":"failing","why":"no data"}]"#;
    assert_eq!(server.ask("GET", "/modules", json, b"").await.body, want);
    let page = server.ask("GET", "/modules", "Accept: text/html,*/*;q=0.8\r\n", b"").await.body;
    assert!(page.contains("<td class=\"state failing\">failing</td>"), "{page}");
    let server = Server::with_core().await;
    let reply = server.ask("POST", "/modules/c%20pu/off", "", b"").await;
    assert_eq!(reply.status, 404);
    assert!(reply.body.contains("module \\\"c pu\\\": there is no such module"), "{}", reply.body);
}

#[tokio::test]
async fn one_connection_serves_many_requests_and_pipelines() {
    let server = Server::still(None).await;
    merge(&server.shared, r#"{"a":1}"#);
    let ask = "GET /get/?key-a HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let last = "GET /get/?key-a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let reply = Reply::read(server.open(format!("{ask}{ask}{last}").as_bytes()).await).await;
    assert_eq!(reply.body.matches(r#"[{"a":1}]"#).count(), 3);
    assert_eq!(server.shared.counters.http_requests.growth(), 3);
}

#[tokio::test]
async fn a_body_that_is_read_whole_says_how_long_it_is() {
    let server = Server::still(None).await;
    for (method, target) in [("POST", "/login"), ("POST", "/setting/view"), ("PUT", "/setting/view/a")] {
        let head = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        let sent = format!("{head}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
        let reply = Reply::read(server.open(sent.as_bytes()).await).await;
        assert_eq!(reply.status, 411, "{method} {target}: {}", reply.body);
        assert!(reply.body.contains("send Content-Length"), "{}", reply.body);
    }
}
