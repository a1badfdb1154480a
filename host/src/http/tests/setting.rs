use crate::http::testing::{Reply, Server};
use crate::http::web::Patience;
use crate::limits::{HTTP_BODIES_BYTES_MAX, VIEW_BYTES_MAX, VIEWS_BYTES_MAX, VIEWS_WAITING_MAX};
use crate::module::State;
use crate::views::Views;
use std::time::Duration;

/// A server that keeps its views in a folder of its own.
async fn server(token: Option<&str>) -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let views = Views::of(folder.path());
    (Server::changed(token, |shared| shared.views = views).await, folder)
}

async fn ask(server: &Server, method: &str, target: &str, body: &str) -> Reply {
    server.ask(method, target, "Content-Type: application/json\r\nAccept: application/json\r\n", body.as_bytes()).await
}

#[tokio::test]
async fn views_are_kept_shown_renamed_and_removed() {
    let (server, folder) = server(None).await;
    assert_eq!(ask(&server, "GET", "/setting/view", "").await.body, "[]");
    let made = ask(&server, "PUT", "/setting/view/my%2Fweb", r#"{"charts":[{"key":"cpu,,idle","x":1}]}"#).await;
    let web = r#"{"charts":[{"key":"cpu,,idle","x":1}],"name":"my/web"}"#;
    assert_eq!((made.status, made.body.as_str()), (201, web));
    assert_eq!(ask(&server, "PUT", "/setting/view/b", r#"{"charts":[]}"#).await.status, 201);
    assert_eq!(server.get("/setting/view/my%2Fweb").await.body, web);
    let renamed = ask(&server, "PUT", "/setting/view/b", r#"{"name":"c","charts":[]}"#).await;
    assert_eq!((renamed.status, renamed.body.as_str()), (200, r#"{"charts":[],"name":"c"}"#));
    assert_eq!(ask(&server, "PUT", "/setting/view/c", r#"{"name":"my/web","charts":[]}"#).await.status, 409);
    let list = ask(&server, "GET", "/setting/view/", "").await.body;
    assert_eq!(list, format!(r#"[{web},{{"charts":[],"name":"c"}}]"#));
    let ordered = ask(&server, "POST", "/setting/view", &format!(r#"[{{"charts":[],"name":"c"}},{web}]"#)).await;
    assert_eq!((ordered.status, ordered.body), (200, format!(r#"[{{"charts":[],"name":"c"}},{web}]"#)));
    let removed = ask(&server, "DELETE", "/setting/view/c", "").await;
    assert_eq!((removed.status, removed.body.as_str()), (200, r#"{"removed":"c"}"#));
    assert_eq!(ask(&server, "GET", "/setting/view", "").await.body, format!("[{web}]"));
    let kept = std::fs::read_to_string(folder.path().join("views.json")).unwrap();
    assert!(kept.contains("my/web") && kept.contains("\"version\": 1"), "{kept}");
}

#[tokio::test]
async fn what_somebody_else_changed_meanwhile_is_not_replaced() {
    let (server, _folder) = server(None).await;
    let at = |tag: &str| format!("Accept: application/json\r\nIf-Match: {tag}\r\n");
    let tag = |reply: &Reply| reply.header("etag").unwrap().to_owned();
    let seen = tag(&ask(&server, "GET", "/setting/view", "").await);
    let put = server.ask("PUT", "/setting/view/a", &at(&seen), br#"{"charts":[]}"#).await;
    assert_eq!(put.status, 201);
    for (method, target, body) in [
        ("PUT", "/setting/view/a", r#"{"charts":[{"key":"x"}]}"#),
        ("POST", "/setting/view", "[]"),
        ("DELETE", "/setting/view/a", ""),
    ] {
        let reply = server.ask(method, target, &at(&seen), body.as_bytes()).await;
        assert_eq!(reply.status, 412, "{method}: {}", reply.body);
        assert!(reply.body.contains("changed meanwhile"), "{}", reply.body);
    }
    let shown = ask(&server, "GET", "/setting/view/a", "").await;
    assert_eq!((shown.body.as_str(), tag(&shown)), (r#"{"charts":[],"name":"a"}"#, tag(&put)));
    let list = ask(&server, "GET", "/setting/view", "").await;
    assert_eq!(tag(&list), tag(&put));
    let ordered = server.ask("POST", "/setting/view", &at(&tag(&list)), list.body.as_bytes()).await;
    assert_eq!((ordered.status, tag(&ordered)), (200, tag(&list)));
    // One of several, in a line of its own.
    let several = format!("{}If-Match: {}\r\n", at(&seen), tag(&ordered));
    let removed = server.ask("DELETE", "/setting/view/a", &several, b"").await;
    assert_eq!(removed.status, 200, "{}", removed.body);
    assert_ne!(tag(&removed), tag(&ordered));
}

#[tokio::test]
async fn views_are_looked_at_by_one_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut shared = crate::http::testing::shared(None);
    std::sync::Arc::get_mut(&mut shared).unwrap().views = Views::of(folder.path());
    let patience = Patience { turn: Duration::from_millis(20), ..Patience::default() };
    let server = Server::of(shared, patience).await;
    let turn = std::sync::Arc::clone(&server.web.keeping).acquire_owned().await;
    for (method, target, body) in [
        ("GET", "/setting/view", ""),
        ("GET", "/setting/view/a", ""),
        ("PUT", "/setting/view/a", r#"{"charts":[]}"#),
        ("POST", "/setting/view", "[]"),
        ("DELETE", "/setting/view/a", ""),
    ] {
        let reply = ask(&server, method, target, body).await;
        assert_eq!(reply.status, 503, "{method} {target}: {}", reply.body);
        assert!(reply.header("retry-after").is_some(), "{}", reply.head);
    }
    drop(turn);
    assert_eq!(ask(&server, "GET", "/setting/view", "").await.body, "[]");
}

#[tokio::test]
async fn few_bodies_wait_and_each_leaves_its_room_when_it_is_read() {
    let (server, folder) = server(None).await;
    let turn = std::sync::Arc::clone(&server.web.keeping).acquire_owned().await.unwrap();
    let body = r#"{"charts":[]}"#;
    let head = format!("Host: localhost\r\nContent-Length: {}\r\n", body.len());
    let mut waiting = Vec::new();
    for n in 0..VIEWS_WAITING_MAX {
        waiting.push(server.open(format!("PUT /setting/view/{n} HTTP/1.1\r\n{head}\r\n{body}").as_bytes()).await);
    }
    while server.web.bringing.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    let held = || HTTP_BODIES_BYTES_MAX - server.web.bodies.available_permits();
    assert_eq!(held(), VIEWS_WAITING_MAX * body.len());
    let reply = ask(&server, "PUT", "/setting/view/x", body).await;
    assert_eq!(reply.status, 503, "{}", reply.body);
    assert!(reply.body.contains("wait already") && reply.header("retry-after").is_some(), "{}", reply.body);
    assert_eq!(held(), VIEWS_WAITING_MAX * body.len(), "what is refused has no room");
    // Who leaves has none either.
    drop(waiting.pop());
    while server.web.bringing.available_permits() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(held(), waiting.len() * body.len());
    drop(turn);
    while server.web.bringing.available_permits() < VIEWS_WAITING_MAX {
        tokio::task::yield_now().await;
    }
    assert_eq!(held(), 0);
    assert_eq!(ask(&server, "PUT", "/setting/view/x", body).await.status, 201);
    let kept = Views::of(folder.path()).kept().unwrap().views;
    assert_eq!(kept.len(), VIEWS_WAITING_MAX);
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused() {
    let (server, folder) = server(None).await;
    let large = format!("\"{}\"", "x".repeat(VIEWS_BYTES_MAX));
    for (method, target, body, status, why) in [
        ("PUT", "/setting/view/a", "{", 400, "not JSON"),
        ("PUT", "/setting/view/a", "{}", 400, "no charts"),
        ("PUT", "/setting/view/%20", r#"{"name":"a","charts":[]}"#, 400, "space"),
        ("PUT", "/setting/view/%FF", r#"{"charts":[]}"#, 400, "UTF-8"),
        ("POST", "/setting/view", "{}", 400, "a list"),
        ("POST", "/setting/view", &large, 413, "bytes"),
        ("PUT", "/setting/view/a", &large[..VIEW_BYTES_MAX + 1], 413, "bytes"),
        ("GET", "/setting/view/a", "", 404, "no view"),
        ("DELETE", "/setting/view/a", "", 404, "no view"),
        ("DELETE", "/setting/view", "", 405, "DELETE"),
        ("POST", "/setting/view/a", "{}", 405, "POST"),
    ] {
        let reply = ask(&server, method, target, body).await;
        assert_eq!(reply.status, status, "{method} {target}: {}", reply.body);
        assert!(reply.body.contains(why), "{method} {target}: {}", reply.body);
    }
    let file = folder.path().join("views.json");
    std::fs::write(&file, "something else").unwrap();
    for (method, body) in [("GET", ""), ("POST", "[]")] {
        let reply = ask(&server, method, "/setting/view", body).await;
        assert_eq!(reply.status, 409, "{}", reply.body);
        assert!(reply.body.contains("views.json: is not JSON"), "{}", reply.body);
    }
    assert_eq!(ask(&server, "PUT", "/setting/view/a", r#"{"charts":[]}"#).await.status, 409);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "something else");
}

#[tokio::test]
async fn only_who_may_write_changes_views() {
    let token = "0123456789abcdef";
    let (server, _folder) = server(Some(token)).await;
    for (method, target) in [
        ("GET", "/setting/view"),
        ("POST", "/setting/view"),
        ("PUT", "/setting/view/a"),
        ("DELETE", "/setting/view/a"),
        ("GET", "/api/ls/"),
        ("GET", "/api/find?q=a"),
        ("GET", "/modules/log"),
    ] {
        assert_eq!(ask(&server, method, target, "[]").await.status, 401, "{method} {target}");
    }
    let tokens = crate::tokens::Tokens {
        read: Some(token.to_owned()),
        ..crate::tokens::Tokens::one(Some("another one that is long"))
    };
    let views = Views::of(_folder.path());
    let server = Server::changed(None, |shared| (shared.tokens, shared.views) = (tokens, views)).await;
    let bearer = format!("Accept: application/json\r\nAuthorization: Bearer {token}\r\n");
    for (method, target, status) in [
        ("GET", "/setting/view", 200),
        ("POST", "/setting/view", 403),
        ("PUT", "/setting/view/a", 403),
        ("DELETE", "/setting/view/a", 403),
        ("GET", "/api/ls/", 200),
        ("GET", "/api/find?q=a", 200),
    ] {
        assert_eq!(server.ask(method, target, &bearer, b"[]").await.status, status, "{method} {target}");
    }
}

#[tokio::test]
async fn no_other_sites_page_changes_views() {
    let (server, _folder) = server(None).await;
    for said in ["Origin: http://evil.example\r\n", "Sec-Fetch-Site: cross-site\r\n"] {
        for (method, target) in [("POST", "/setting/view"), ("PUT", "/setting/view/a"), ("DELETE", "/setting/view/a")] {
            assert_eq!(server.ask(method, target, said, b"[]").await.status, 403, "{method} {target} {said}");
        }
    }
}

#[tokio::test]
async fn changes_of_modules_are_told_the_newest_first() {
    let server = Server::still(None).await;
    assert_eq!(server.get("/modules/log").await.body, "[]");
    let push = |at_ms, state, why: &str| {
        server.shared.module_changes.push(at_ms, "c\"pu", state, why);
    };
    push(1_000, State::Probing, "");
    push(2_000, State::Failing, "no data");
    let want = r#"[{"at":"1970-01-01T00:00:02.000Z","name":"c\"pu","state":"failing","why":"no data"},{"at":"1970-01-01T00:00:01.000Z","name":"c\"pu","state":"probing","why":""}]"#;
    assert_eq!(server.get("/modules/log").await.body, want);
}
