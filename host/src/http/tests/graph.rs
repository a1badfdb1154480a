use crate::http::testing::{Server, merge};
use crate::http::web::Patience;
use crate::limits::GRAPHS_AT_ONCE;
use std::time::Duration;

const TREE: &str = r#"{"url":{"/a":30,"/b":20,"/<c>":10},"up":true,"name":"x"}"#;

#[tokio::test]
async fn what_is_there_now_needs_no_history() {
    let server = Server::still(None).await;
    merge(&server.shared, TREE);
    for (target, kind) in [
        ("/graph/url.svg?style=url", "image/svg+xml"),
        ("/graph/url,*.svg?type=top", "image/svg+xml"),
        ("/graph/url.svg?type=bar", "image/svg+xml"),
        ("/graph/url.txt?type=top", "text/plain; charset=utf-8"),
    ] {
        let reply = server.get(target).await;
        assert_eq!((reply.status, reply.header("content-type")), (200, Some(kind)), "{target}: {}", reply.body);
        let policy =
            reply.header("content-security-policy").is_some_and(|policy| policy.starts_with("default-src 'none'"));
        assert_eq!(policy, kind.starts_with("image/svg"), "{target}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        let written = if kind.starts_with("text") { "/<c>" } else { ">/&lt;c&gt;</text>" };
        for part in ["/a", "30", "20", written] {
            assert!(reply.body.contains(part), "{target}: no {part} in {}", reply.body);
        }
        let head = server.ask("HEAD", target, "", b"").await;
        assert_eq!((head.status, head.header("content-length")), (200, reply.header("content-length")), "{target}");
    }
    // A slash and a point are parts of keys, and of a path nothing is decoded twice.
    let reply = server.get("/graph/url,/a.svg?type=top&title=%3Ca%3E+b&theme=dark&size=200x100").await;
    assert!(
        reply.body.contains(">&lt;a&gt; b</text>") && reply.body.contains("width=\"200\" height=\"100\""),
        "{}",
        reply.body
    );
    assert_eq!(server.get("/graph/url,%252Fa.svg?type=top").await.status, 200);
}

#[tokio::test]
async fn what_is_not_known_is_refused_with_all_that_is() {
    let server = Server::still(None).await;
    merge(&server.shared, TREE);
    for (target, status, words) in [
        ("/graph/url.gif", 400, "must end with one of .svg, .png, .jpg, .jpeg, .pdf, .txt"),
        ("/graph/url", 400, "must end with one of .svg"),
        (
            "/graph/url.svg?siz=1",
            400,
            "unknown argument \\\"siz\\\"; did you mean \\\"size\\\"?; known are from, to, step, as, fold, units, markers, size",
        ),
        ("/graph/url.svg?size=1x1", 400, "size=1x1: must be pixels such as 640x240"),
        ("/graph/url.txt?size=640x480", 400, "must be columns and lines such as 80x20, from 20x5 to 400x200"),
        ("/graph/url.svg?style=cpus", 400, "style=cpus: must be one of default, cpu, net, url"),
        ("/graph/url.svg?type=pie", 400, "type=pie: must be one of line, stacked, bar, top"),
        ("/graph/url.svg?theme=pink", 400, "theme=pink: must be one of light, dark"),
        ("/graph/url.svg?as=p51", 400, "as=p51: must be one of value, rate"),
        ("/graph/url.svg?fold=add", 400, "fold=add: must be one of sum, mean"),
        ("/graph/url.svg?from=yesterday", 400, "from=yesterday: must be a time such as -1h"),
        ("/graph/url.svg?from=-9223372036854775s", 400, "from=-9223372036854775s: must be a time such as -1h"),
        (
            "/graph/url.svg?markers=a&markers=b&markers=c&markers=d&markers=e&markers=f&markers=g&markers=h&markers=i",
            400,
            "more than 8 markers",
        ),
        ("/graph/url.svg?step=all", 400, "step=all: must be raw, or a duration from 1s"),
        ("/graph/url.svg?theme=dark&theme=dark", 400, "theme is given twice"),
        ("/graph/url.svg?title=%FF", 400, "do not spell UTF-8"),
        ("/graph/url,%25zz.svg", 400, "a % must be followed by two hexadecimal digits"),
        ("/graph/url.svg?type=top&markers=name", 400, "markers and fold are for pictures over time"),
        ("/graph/nil.svg?type=top", 404, "there is no \\\"nil\\\" in the tree"),
        ("/graph/url.svg", 503, "this daemon keeps no history"),
    ] {
        let reply = server.get(target).await;
        assert_eq!(reply.status, status, "{target}: {}", reply.body);
        assert!(reply.body.contains(words), "{target}: {}", reply.body);
    }
    assert_eq!(server.ask("POST", "/graph/url.svg", "", b"").await.status, 405);
}

#[tokio::test]
async fn who_has_no_turn_in_time_may_come_again() {
    let server = Server::with(Patience { picture: Duration::from_millis(20), ..Patience::default() }).await;
    merge(&server.shared, TREE);
    let turns = server.web.drawing.acquire_many(GRAPHS_AT_ONCE as u32).await.expect("all turns");
    let reply = server.get("/graph/url.svg?type=top").await;
    assert_eq!(reply.status, 503, "{}", reply.body);
    assert!(
        reply.header("retry-after").is_some() && reply.body.contains("/graph/: many are asked for at once"),
        "{}",
        reply.body
    );
    drop(turns);
    assert_eq!(server.get("/graph/url.svg?type=top").await.status, 200);
}

#[tokio::test]
async fn a_picture_has_its_turn_until_it_is_done_whoever_left() {
    let server = Server::still(None).await;
    merge(&server.shared, TREE);
    let turns = || server.web.drawing.available_permits();
    // Nothing is read while somebody writes.
    let (go_on, wait) = std::sync::mpsc::channel::<()>();
    let (begun, begins) = tokio::sync::oneshot::channel();
    let shared = std::sync::Arc::clone(&server.shared);
    let writes = std::thread::spawn(move || {
        let _writing = shared.tree.write();
        let _ = begun.send(());
        let _ = wait.recv();
    });
    begins.await.expect("it writes");
    let client = server.open(b"GET /graph/url.svg?type=top HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    while turns() == GRAPHS_AT_ONCE {
        tokio::task::yield_now().await;
    }
    drop(client);
    server.until_connections(0).await;
    assert_eq!(turns(), GRAPHS_AT_ONCE - 1, "the work is still under way");
    drop(go_on);
    writes.join().expect("written");
    drop(server.web.drawing.acquire_many(GRAPHS_AT_ONCE as u32).await.expect("all turns, when it is done"));
}
