use crate::conf::TlsFiles;
use crate::http::testing::{Reply, Server};
use crate::http::web::Patience;
use crate::limits::{HTTP_CONNECTIONS_MAX, HTTP_HEAD_MAX, HTTP_IDLE_MAX, TLS_HANDSHAKE_MAX};
use crate::module::Folders;
use crate::tls::{Acceptor, make};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SHORT: Duration = Duration::from_millis(40);
const LONG: Duration = Duration::from_secs(60);

/// How long a server without patience in one thing keeps a connection on which this was sent, and what it answers.
async fn kept(patience: Patience, request: &[u8]) -> (Duration, String) {
    let server = Server::with(patience).await;
    let begin = Instant::now();
    let mut stream = server.open(request).await;
    let mut bytes = Vec::new();
    // A reset is an end as well.
    let _ = stream.read_to_end(&mut bytes).await;
    (begin.elapsed(), String::from_utf8_lossy(&bytes).into_owned())
}

#[tokio::test]
async fn a_head_and_a_next_request_have_their_time() {
    let whole = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let no_head =
        Patience { head: SHORT, idle: LONG, body: LONG, write: LONG, refused: SHORT, turn: LONG, picture: LONG };
    let no_next = Patience { head: LONG, idle: SHORT, ..no_head };
    for (patience, request, answered) in
        [(no_head, &b""[..], false), (no_head, b"GET /healthz HTTP/1.1\r\nHo", false), (no_next, whole, true)]
    {
        let (time, text) = kept(patience, request).await;
        assert!((SHORT..LONG).contains(&time), "{time:?} {text}");
        assert_eq!(text.starts_with("HTTP/1.1 200"), answered, "{text}");
    }
    // The head of a second request is a head again, though the first came in time.
    let server = Server::with(no_head).await;
    let mut stream = server.open(whole).await;
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"ok") {
        assert!(stream.read_buf(&mut bytes).await.unwrap() > 0);
    }
    stream.write_all(b"GET /hea").await.unwrap();
    let _ = stream.read_to_end(&mut bytes).await;
    assert!(bytes.ends_with(b"ok"));
    assert!(HTTP_HEAD_MAX < HTTP_IDLE_MAX);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let patience =
        Patience { head: LONG, idle: LONG, body: SHORT, write: LONG, refused: SHORT, turn: LONG, picture: LONG };
    let request = b"POST /push HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{";
    let (time, text) = kept(patience, request).await;
    assert!((SHORT..LONG).contains(&time), "{time:?} {text}");
    assert!(text.starts_with("HTTP/1.1 408") && text.contains("send it in smaller parts"), "{text}");
}

#[tokio::test]
async fn an_answer_that_is_not_taken_is_given_up() {
    let patience =
        Patience { head: LONG, idle: LONG, body: LONG, write: SHORT, refused: SHORT, turn: LONG, picture: LONG };
    let server = Server::with(patience).await;
    let long = format!(
        "{{\"a\":{{{}}}}}",
        (0..100_000).map(|i| format!("\"key number {i}\":1")).collect::<Vec<_>>().join(",")
    );
    crate::http::testing::merge(&server.shared, &long);
    // Enough answers for any socket's buffers.
    let ask = "GET /api/q/a HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(20);
    let stream = server.open(ask.as_bytes()).await;
    server.until_connections(1).await;
    server.until_connections(0).await;
    drop(stream);
}

#[tokio::test]
async fn too_many_connections_are_told_so_and_counted() {
    let server = Server::still(None).await;
    // All but one are taken, without making them.
    let taken = std::sync::Arc::clone(&server.web.connections)
        .acquire_many_owned(HTTP_CONNECTIONS_MAX as u32 - 1)
        .await
        .unwrap();
    let first = server.open(b"").await;
    server.until_connections(HTTP_CONNECTIONS_MAX).await;
    let reply = Reply::read(server.open(b"").await).await;
    assert_eq!((reply.status, server.shared.counters.http_connections_refused.growth()), (429, 1));
    drop((first, taken));
    server.until_connections(0).await;
    assert_eq!(server.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn who_does_not_come_to_speak_tls_does_not_hold_up_the_stop() {
    let folder = tempfile::tempdir().unwrap();
    let now = crate::clock::Timepiece::start().unix_ms();
    let made = make(&["127.0.0.1".to_owned()], folder.path(), now).unwrap();
    let files = TlsFiles { cert: made.cert, key: made.key, client_ca: None };
    let patience =
        Patience { head: LONG, idle: LONG, body: LONG, write: LONG, refused: LONG, turn: LONG, picture: LONG };
    // Nothing, and the beginning of a handshake.
    for said in [&b""[..], &[0x16, 3, 1, 0, 200, 1, 0]] {
        let server = Server::secure(Acceptor::open(&files, &Folders::default()).unwrap(), patience).await;
        let mut stream = server.open(said).await;
        while server.web.connections.available_permits() == HTTP_CONNECTIONS_MAX {
            tokio::task::yield_now().await;
        }
        tokio::time::timeout(TLS_HANDSHAKE_MAX / 2, server.stop()).await.expect("it stops");
        assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);
    }
}
