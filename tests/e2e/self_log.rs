//! The daemon's own access log runs through the pipes like any other.

use graftd_tests::Daemon;
use serde_json::json;
use std::time::Duration;

/// Ticks until a request is counted: one until its line is flushed and one until the tick of the tree is over. The tick
/// under way when it was made comes on top.
const TICKS: u64 = 2 + 1;

#[test]
fn a_request_is_counted_within_two_ticks() {
    let daemon =
        Daemon::builder().plugins(&["status", "url", "bytes", "browser"]).tick(Duration::from_millis(200)).start();
    for name in ["status", "url", "bytes", "browser"] {
        daemon.await_state(name, "running");
    }
    for (request, path, value) in [
        ("/healthz?some=query", "self,url,/healthz", 1),
        ("/no/such/page", "self,url,/no/such/page", 1),
        ("/no/such/page", "self,status,404", 2),
    ] {
        let before = daemon.get("/get/?key-none").tick();
        daemon.get(request);
        let counted = daemon.await_value(path, json!(value)).tick;
        assert!(counted - before <= TICKS, "{path}: asked in tick {before}, counted in tick {counted}");
    }
    let answers = daemon.await_number("self,status,200");
    assert!(answers >= 1.0, "{answers}");
    let sent = daemon.await_number("self,bytes,2xx");
    assert!(sent >= answers, "{sent} bytes in {answers} answers");
    // Its own client is what asked most.
    assert!(daemon.subtree("self,br").as_object().is_some_and(|families| !families.is_empty()));
    // The self log is the daemon's, not the site's.
    assert_eq!(daemon.tree(), json!({}));
}

#[test]
fn a_hostile_request_is_a_line_like_any_other() {
    let daemon = Daemon::builder().plugins(&["status", "url"]).start();
    daemon.await_state("url", "running");
    let head = format!(
        "GET /a%22%20b\"c\\d HTTP/1.1\r\nHost: {}\r\nUser-Agent: \"quoted\\\" \\x22 agent\r\nReferer: \" 999 \"\r\nConnection: close\r\n\r\n",
        daemon.http()
    );
    let answer = daemon.raw(&head, b"", 0);
    // Whether such a request is understood is another matter: it does not spoil the log.
    assert!((400..500).contains(&answer.status), "{answer:?}");
    daemon.get("/after");
    daemon.await_value("self,url,/after", 1);
    assert_eq!(
        daemon.value("graftd,testhost,log,self,errors"),
        json!(null),
        "{}",
        daemon.subtree("graftd,testhost,log")
    );
    assert_eq!(daemon.value("self,status,999"), json!(null));
}
