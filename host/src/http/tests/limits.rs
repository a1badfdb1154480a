use crate::http::testing::{Reply, Server};
use crate::limits::{HTTP_HEAD_MAX, HTTP_IDLE_MAX};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

/// How long the server keeps a connection on which this was sent, with the clock turned on.
async fn kept(request: &[u8]) -> u64 {
    let server = Server::still(None).await;
    let mut stream = server.open(request).await;
    // What is answered is read; then only the clock can end it.
    let mut bytes = Vec::new();
    if request.ends_with(b"\r\n\r\n") {
        while !bytes.ends_with(b"ok") {
            assert!(stream.read_buf(&mut bytes).await.unwrap() > 0);
        }
    }
    tokio::time::pause();
    let begin = Instant::now();
    // A reset is an end as well.
    let _ = stream.read_to_end(&mut bytes).await;
    begin.elapsed().as_secs()
}

#[tokio::test]
async fn a_head_has_seconds_and_a_kept_connection_a_minute() {
    let head = HTTP_HEAD_MAX.as_secs();
    assert!((head - 1..=head + 1).contains(&kept(b"").await));
    assert!((head - 1..=head + 1).contains(&kept(b"GET /healthz HTTP/1.1\r\nHost: loc").await));
    let idle = HTTP_IDLE_MAX.as_secs();
    assert!((idle - 1..=idle + 1).contains(&kept(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await));
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let server = Server::still(None).await;
    let mut stream = server.open(b"POST /push HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{").await;
    stream.flush().await.unwrap();
    tokio::time::pause();
    let reply = Reply::read(stream).await;
    assert_eq!(reply.status, 408, "{}", reply.body);
}
