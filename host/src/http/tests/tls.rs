use crate::http::testing::{Server, merge, tick};
use crate::http::web::Patience;
use crate::tls::Stream;
use crate::tls::testing::Sides;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const LONG: Duration = Duration::from_secs(20);

/// A client that has asked for a stream of events.
async fn asked(sides: &Sides, server: &Server) -> Stream {
    let socket = TcpStream::connect(server.address).await.unwrap();
    let mut client = sides.connector.connect(socket, "localhost").await.unwrap();
    let head = b"GET /pull/?key-a HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n";
    client.write_all(head).await.unwrap();
    client.flush().await.unwrap();
    server.until_waiting(1).await;
    client
}

async fn until(client: &mut Stream, end: &str) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(end.as_bytes()) {
        assert!(client.read_buf(&mut bytes).await.unwrap() > 0, "closed");
    }
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn a_stream_is_told_and_ended_in_order() {
    let sides = Sides::new();
    let server = Server::secure(Arc::clone(&sides.acceptor), Patience::default()).await;
    let mut client = asked(&sides, &server).await;
    for n in 1..=3 {
        merge(&server.shared, r#"{"a":1}"#);
        let over = tick(&server.shared);
        let told = format!("id: {over}\ndata: [{{\"a\":{n}}}]\n\n\r\n");
        until(&mut client, &told).await;
    }
    let mut rest = Vec::new();
    let (read, ()) = tokio::join!(client.read_to_end(&mut rest), server.stop());
    // Without the word of TLS that nothing more comes this would be an error.
    read.unwrap();
    assert_eq!(String::from_utf8_lossy(&rest), "0\r\n\r\n");
}

#[tokio::test]
async fn a_stream_whose_client_takes_nothing_is_let_go() {
    let sides = Sides::new();
    let patience = Patience { write: Duration::from_millis(50), ..Patience::default() };
    let server = Server::secure(Arc::clone(&sides.acceptor), patience).await;
    let client = asked(&sides, &server).await;
    let telling = async {
        for n in 0.. {
            if server.web.groups.members() == 0 {
                break;
            }
            merge(&server.shared, &format!("{{\"a\":\"{n}-{}\"}}", "x".repeat(60_000)));
            tick(&server.shared);
            tokio::task::yield_now().await;
        }
        server.until_connections(0).await;
    };
    timeout(LONG, telling).await.expect("it is let go");
    drop(client);
}
