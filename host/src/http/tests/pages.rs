use crate::conf::{Isolation, Role};
use crate::http::testing::{Server, shared};
use crate::http::web::Patience;
use crate::module::{Kind, ModuleStatus, State};
use std::fs;
use std::sync::Arc;

const MANIFEST: &str = r#"{"pages":{"realtime":{"script":"realtime-A.js","parts":["part-B.js"]},"views":{"script":"views-A.js"}},
    "head":{"script":"head-C.js","style":"style-D.css","icon":"icon-E.svg"}}"#;

#[tokio::test]
async fn a_page_names_its_script_and_what_that_needs() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("manifest.json"), MANIFEST).unwrap();
    fs::write(folder.path().join("realtime-A.js"), "export {}").unwrap();
    let server = Server::with_pages(folder.path()).await;
    for target in ["/realtime/", "/realtime/view/my%20view", "/setting/view"] {
        let reply = server.ask("GET", target, "Accept: text/html\r\n", b"").await;
        assert_eq!((reply.status, reply.header("cache-control")), (200, Some("no-cache")), "{target}");
        let policy = reply.header("content-security-policy").unwrap();
        assert!(policy.contains("script-src 'self';") && !policy.contains("unsafe"), "{policy}");
        let script = if target.starts_with("/realtime") { "realtime-A.js" } else { "views-A.js" };
        assert!(reply.body.contains(&format!("<script type=\"module\" src=\"/assets/{script}\">")), "{}", reply.body);
        assert!(reply.body.contains("href=\"/assets/style-D.css\"") && reply.body.contains("data-tick=\"1000\""));
        assert!(!reply.body.contains('{'), "{}", reply.body);
        assert_eq!(reply.body.matches("aria-current").count(), 1);
        assert_eq!(reply.body.contains("modulepreload\" href=\"/assets/part-B.js"), target.starts_with("/realtime"));
    }
    let script = server.get("/assets/realtime-A.js").await;
    assert_eq!((script.status, script.body.as_str()), (200, "export {}"));
    assert_eq!(script.header("content-type"), Some("text/javascript; charset=utf-8"));
    assert_eq!(script.header("cache-control"), Some("public, max-age=31536000, immutable"));
    let known = server.ask("GET", "/assets/realtime-A.js", "If-None-Match: \"x\", \"realtime-A.js\"\r\n", b"").await;
    assert_eq!((known.status, known.body.as_str()), (304, ""));
    for missing in
        ["/assets/", "/assets/part-B.js", "/assets/manifest.json", "/assets/%2e%2e%2fmanifest.json", "/diff/a"]
    {
        assert_eq!(server.get(missing).await.status, 404, "{missing}");
    }
    assert_eq!(server.ask("POST", "/realtime/", "", b"").await.status, 405);
}

#[tokio::test]
async fn what_lies_in_the_program_comes_packed_as_the_browser_takes_it() {
    let server = Server::changed(None, |shared| shared.conf.web = None).await;
    for (accepted, packing, etag, body) in [
        ("", None, "\"tried-0.js\"", "as it is"),
        ("gzip, deflate, br", Some("br"), "\"tried-0.js.br\"", "by brotli"),
        ("gzip", Some("gzip"), "\"tried-0.js.gzip\"", "by gzip"),
        ("br;q=0, *", Some("gzip"), "\"tried-0.js.gzip\"", "by gzip"),
        ("identity", None, "\"tried-0.js\"", "as it is"),
    ] {
        let accepts = format!("Accept-Encoding: {accepted}\r\n");
        let reply = server.ask("GET", "/assets/tried-0.js", &accepts, b"").await;
        assert_eq!((reply.status, reply.body.as_str()), (200, body), "{accepted}");
        assert_eq!((reply.header("content-encoding"), reply.header("etag")), (packing, Some(etag)), "{accepted}");
        assert_eq!(reply.header("vary"), Some("accept-encoding"), "{accepted}");
        let head = server.ask("HEAD", "/assets/tried-0.js", &accepts, b"").await;
        assert_eq!((head.status, head.body.as_str(), head.header("etag")), (200, "", Some(etag)), "{accepted}");
        assert_eq!(head.header("content-length"), Some(body.len().to_string().as_str()), "{accepted}");
        let known = format!("{accepts}If-None-Match: {etag}\r\n");
        let known = server.ask("GET", "/assets/tried-0.js", &known, b"").await;
        assert_eq!((known.status, known.body.as_str(), known.header("etag")), (304, "", Some(etag)), "{accepted}");
        assert_eq!(known.header("content-encoding"), None, "{accepted}");
        // Packed otherwise it is other bytes.
        let other = format!("{accepts}If-None-Match: \"tried-0.js.zstd\"\r\n");
        assert_eq!(server.ask("GET", "/assets/tried-0.js", &other, b"").await.status, 200, "{accepted}");
    }
}

#[tokio::test]
async fn a_page_that_is_not_built_says_how_to_build_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_pages(folder.path()).await;
    let reply = server.get("/realtime/").await;
    assert_eq!((reply.status, reply.header("content-type")), (503, Some("text/html; charset=utf-8")));
    assert!(reply.body.contains("<code>make build</code>"), "{}", reply.body);
}

#[tokio::test]
async fn an_agent_has_no_pages() {
    let mut shared = shared(None);
    Arc::get_mut(&mut shared).unwrap().conf.role = Role::Agent;
    let server = Server::of(shared, Patience::default()).await;
    for target in ["/realtime/", "/assets/realtime-A.js", "/setting/view"] {
        let reply = server.get(target).await;
        assert_eq!(reply.status, 404, "{target}");
        assert!(reply.body.contains("is an agent, and has no pages"), "{}", reply.body);
    }
    for (method, target) in [
        ("GET", "/setting/view"),
        ("POST", "/setting/view"),
        ("GET", "/setting/view/a"),
        ("PUT", "/setting/view/a"),
        ("DELETE", "/setting/view/a"),
    ] {
        let reply = server.ask(method, target, "Accept: application/json\r\n", b"[]").await;
        assert_eq!(reply.status, 404, "{method} {target}: {}", reply.body);
        assert!(reply.body.contains("is an agent"), "{}", reply.body);
    }
}

#[tokio::test]
async fn what_the_daemon_draws_is_in_the_frame_as_text() {
    let folder = tempfile::tempdir().unwrap();
    let manifest =
        MANIFEST.replace("\"views\":{\"script\":\"views-A.js\"}", "\"modules\":{\"script\":\"modules-A.js\"}");
    fs::write(folder.path().join("manifest.json"), manifest).unwrap();
    let server = Server::with_pages(folder.path()).await;
    let status = ModuleStatus {
        name: "<b>{host}".to_owned(),
        kind: Kind::Collector,
        file: "a.on".into(),
        state: State::Off,
        since_ms: 0,
        why: "{script}".to_owned(),
        detail: String::new(),
        next_ms: None,
        isolation: Isolation::None,
        runs: false,
        branch: None,
        stats: Arc::default(),
    };
    *server.shared.modules.write() = Arc::new(vec![status]);
    let page = server.ask("GET", "/modules", "Accept: text/html\r\n", b"").await;
    assert_eq!((page.status, page.header("cache-control")), (200, Some("no-cache")));
    assert!(page.body.contains("src=\"/assets/modules-A.js\""), "{}", page.body);
    // Nothing of it is taken for a place of the frame's, or for markup.
    assert!(page.body.contains(">&lt;b&gt;{host}</th>") && page.body.contains("<td>{script}</td>"), "{}", page.body);
    assert!(page.body.contains("action=\"/modules/%3Cb%3E%7Bhost%7D/on\""), "{}", page.body);
    assert!(!page.body.contains("is being drawn"), "{}", page.body);
}
