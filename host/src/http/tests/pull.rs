use crate::http::testing::{Reply, Server, TICK_BASE, merge, tick};
use crate::limits::STREAM_QUIET_MAX;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// Sends a pull and gives the connection, once the server has it waiting.
async fn waiting(server: &Server, query: &str, headers: &str) -> TcpStream {
    let head = format!("GET /pull/?{query} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
    let stream = server.open(head.as_bytes()).await;
    server.until_waiting(1).await;
    stream
}

#[tokio::test]
async fn a_pull_waits_for_the_tick_to_be_over() {
    let server = Server::still(None).await;
    let stream = waiting(&server, "key-br,ie", "").await;
    merge(&server.shared, r#"{"br":{"ie":{"7":2328,"sogou":{"3":323}},"ff":1}}"#);
    let over = tick(&server.shared);
    let reply = Reply::read(stream).await;
    assert_eq!(reply.body, r#"[{"br,ie,7":2328},{"br,ie,sogou,3":323}]"#);
    assert_eq!(reply.tick(), over);
}

#[tokio::test]
async fn since_answers_at_once_and_continues_without_a_gap() {
    let server = Server::still(None).await;
    merge(&server.shared, r#"{"a":1,"b":1}"#);
    let first = tick(&server.shared);
    // A tick under way is not told half: `first` is over, and what comes now belongs to the next.
    merge(&server.shared, r#"{"a":1}"#);
    let reply = server.get(&format!("/pull/?key-a&key-b&since={}", first - 1)).await;
    assert_eq!((reply.body.as_str(), reply.tick()), (r#"[{"a":2},{"b":1}]"#, first));
    let reply = server.get(&format!("/pull/?key-a&key-b&since={first}&wait=0s")).await;
    assert_eq!((reply.body.as_str(), reply.tick()), ("[]", first));
    merge(&server.shared, r#"{"a":1}"#);
    let second = tick(&server.shared);
    let reply = server.get(&format!("/pull/?key-a&key-b&since={first}")).await;
    assert_eq!((reply.body.as_str(), reply.tick()), (r#"[{"a":3}]"#, second));
}

#[tokio::test]
async fn a_tick_of_the_future_is_one_of_another_life() {
    let server = Server::still(None).await;
    merge(&server.shared, r#"{"a":1}"#);
    let over = tick(&server.shared);
    let reply = server.get("/pull/?key-a&since=99999999").await;
    assert_eq!((reply.body.as_str(), reply.tick()), (r#"[{"a":1}]"#, over));
}

#[tokio::test]
async fn nothing_is_an_empty_list_and_the_tick_it_is_known_for() {
    let server = Server::still(None).await;
    let reply = server.get("/pull/?key-nil&wait=10ms").await;
    assert_eq!((reply.status, reply.body.as_str(), reply.tick()), (200, "[]", TICK_BASE));
}

#[tokio::test]
async fn folds_and_stars_are_told_as_they_were_asked() {
    let server = Server::still(None).await;
    merge(&server.shared, r#"{"cpu":{"a":{"idle":1},"b":{"idle":2}}}"#);
    let first = tick(&server.shared);
    merge(&server.shared, r#"{"cpu":{"b":{"idle":5}}}"#);
    tick(&server.shared);
    let pull = async |path: &str| server.get(&format!("/pull/?key-{path}&since={first}")).await.body;
    assert_eq!(pull("cpu,,idle").await, r#"[{"cpu,,idle":8}]"#);
    assert_eq!(pull("cpu,*,idle").await, r#"[{"cpu,b,idle":7}]"#);
    assert_eq!(pull("cpu&limit=1").await, r#"[{"cpu,b,idle":7}]"#);
}

#[tokio::test]
async fn a_stream_goes_on_from_the_last_event() {
    let server = Server::still(None).await;
    merge(&server.shared, r#"{"a":1}"#);
    let first = tick(&server.shared);
    let headers = format!("Accept: text/event-stream\r\nLast-Event-ID: {}\r\n", first - 1);
    let mut stream = waiting(&server, "key-a&since=1", &headers).await;
    let text = read_until(&mut stream, "\n\n\r\n", 2).await;
    assert!(text.contains("content-type: text/event-stream"), "{text}");
    assert!(text.contains(&format!("id: {first}\ndata: [{{\"a\":1}}]\n\n")), "{text}");
    merge(&server.shared, r#"{"a":1}"#);
    let second = tick(&server.shared);
    let text = read_until(&mut stream, "\n\n\r\n", 1).await;
    assert!(text.contains(&format!("id: {second}\ndata: [{{\"a\":2}}]\n\n")), "{text}");
}

#[tokio::test]
async fn one_answer_goes_on_from_the_last_event_too() {
    let server = Server::still(None).await;
    merge(&server.shared, r#"{"a":1}"#);
    let first = tick(&server.shared);
    let after = |event: &str| format!("Last-Event-ID: {event}\r\n");
    let reply = server.ask("GET", "/pull/?key-a&wait=1ms", &after(&(first - 1).to_string()), b"").await;
    assert_eq!((reply.status, reply.body.as_str()), (200, r#"[{"a":1}]"#));
    let reply = server.ask("GET", "/pull/?key-a&since=1&wait=1ms", &after(&first.to_string()), b"").await;
    assert_eq!((reply.status, reply.body.as_str()), (200, "[]"));
    for none in ["18446744073709551616", "x"] {
        let reply = server.ask("GET", "/pull/?key-a&since=1&wait=1ms", &after(none), b"").await;
        assert_eq!(reply.status, 400, "{}", reply.body);
        assert!(reply.body.contains("is no tick"), "{}", reply.body);
    }
}

/// The ticks of the events in a text, and what the last of them says.
fn events(text: &str) -> (Vec<u64>, &str) {
    let ticks = text.lines().filter_map(|line| line.strip_prefix("id: ")).map(|tick| tick.parse().unwrap()).collect();
    (ticks, text.lines().filter_map(|line| line.strip_prefix("data: ")).next_back().unwrap_or_default())
}

#[tokio::test]
async fn a_stream_that_has_said_all_is_told_where_it_sits() {
    let server = Server::still(None).await;
    let mut stream = waiting(&server, "key-a", "Accept: text/event-stream\r\n").await;
    let mut sent = "retry: 2000\n\n".len();
    for n in 1..=3 {
        server.until_seated(1).await;
        merge(&server.shared, r#"{"a":1}"#);
        let over = tick(&server.shared);
        sent += format!("id: {over}\ndata: [{{\"a\":{n}}}]\n\n").len();
        let text = read_until(&mut stream, "\n\n\r\n", if n == 1 { 2 } else { 1 }).await;
        assert_eq!(events(&text), (vec![over], &*format!("[{{\"a\":{n}}}]")), "{text}");
        // It did not have to stand up for that.
        assert_eq!(server.web.groups.seated(), 1);
    }
    drop(stream);
    server.until_seated(0).await;
    server.until_waiting(0).await;
    let line = server.web.log.gathered();
    assert!(line.contains(&format!("\"GET /pull/?key-a HTTP/1.1\" 200 {sent} ")), "{line} ({sent})");
}

#[tokio::test]
async fn a_stream_that_sits_is_told_when_nothing_happens_for_long() {
    let server = Server::still(None).await;
    let mut stream = waiting(&server, "key-a", "Accept: text/event-stream\r\n").await;
    server.until_seated(1).await;
    for n in 1..=2 {
        server.web.groups.look_at(tokio::time::Instant::now() + n * STREAM_QUIET_MAX);
        read_until(&mut stream, ": nothing new\n\n\r\n", 1).await;
    }
    // It goes on as before.
    merge(&server.shared, r#"{"a":1}"#);
    let over = tick(&server.shared);
    let text = read_until(&mut stream, "\n\n\r\n", 1).await;
    assert_eq!(events(&text), (vec![over], r#"[{"a":1}]"#), "{text}");
    assert_eq!(server.web.groups.seated(), 1);
}

#[tokio::test]
async fn a_stream_that_takes_nothing_for_a_while_misses_nothing() {
    let server = Server::still(None).await;
    let mut stream = waiting(&server, "key-a", "Accept: text/event-stream\r\n").await;
    server.until_seated(1).await;
    // More than sockets hold; it stands up in the middle of one.
    let (mut value, mut last) = (String::new(), 0);
    let mut told = 0;
    while told < 200 || server.web.groups.seated() == 1 {
        told += 1;
        value = format!("{told}-{}", "x".repeat(60_000));
        merge(&server.shared, &format!(r#"{{"a":"{value}"}}"#));
        last = tick(&server.shared);
        tokio::task::yield_now().await;
        assert!(told < 100_000, "it takes everything");
    }
    let mut text = String::new();
    let mut bytes = vec![0; 1 << 20];
    while !text.ends_with(&format!("id: {last}\ndata: [{{\"a\":\"{value}\"}}]\n\n\r\n")) {
        let read = stream.read(&mut bytes).await.unwrap();
        assert!(read > 0, "it was let go");
        text.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
    }
    // Each is whole, and none comes twice.
    let (ticks, _) = events(&text);
    assert!(ticks.is_sorted_by(|a, b| a < b), "{ticks:?}");
    let whole = text.matches("data: ").count();
    assert_eq!(text.matches(&format!("{}\"}}]\n\n\r\n", "x".repeat(1_000))).count(), whole);
    // And it is told as before.
    server.until_seated(1).await;
    merge(&server.shared, r#"{"a":"end"}"#);
    let over = tick(&server.shared);
    let text = read_until(&mut stream, "\n\n\r\n", 1).await;
    assert_eq!(events(&text), (vec![over], r#"[{"a":"end"}]"#));
}

#[tokio::test]
async fn a_stop_answers_who_waits() {
    let server = Server::still(None).await;
    let pull = waiting(&server, "key-a", "").await;
    let head = b"GET /pull/?key-b HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n";
    let mut events = server.open(head).await;
    server.until_waiting(2).await;
    let (reply, ()) = tokio::join!(Reply::read(pull), server.stop());
    assert_eq!((reply.status, reply.body.as_str()), (200, "[]"));
    let mut rest = Vec::new();
    events.read_to_end(&mut rest).await.unwrap();
    assert!(rest.ends_with(b"0\r\n\r\n"), "{}", String::from_utf8_lossy(&rest));
}

#[tokio::test]
async fn a_client_that_goes_leaves_its_group() {
    let server = Server::still(None).await;
    let stream = waiting(&server, "key-a", "").await;
    drop(stream);
    server.until_waiting(0).await;
}

#[tokio::test]
async fn a_connection_goes_on_after_a_wait() {
    let server = Server::still(None).await;
    // The next two requests are sent before the first is answered, and one of them waits again.
    let head = |target: &str, more: &str| format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n");
    let requests =
        head("/pull/?key-a", "") + &head("/pull/?key-b&wait=1ms", "") + &head("/get/?key-a", "Connection: close\r\n");
    let mut stream = server.open(requests.as_bytes()).await;
    server.until_waiting(1).await;
    merge(&server.shared, r#"{"a":1}"#);
    let over = tick(&server.shared);
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let answers: Vec<&str> = text.split("HTTP/1.1 200 OK\r\n").collect();
    assert_eq!(answers.len(), 4, "{text}");
    for (answer, body) in answers[1..].iter().zip([r#"[{"a":1}]"#, "[]", r#"[{"a":1}]"#]) {
        let (head, said) = answer.split_once("\r\n\r\n").unwrap();
        assert_eq!(said, body);
        for header in [
            &format!("x-tick: {over}"),
            &format!("content-length: {}", body.len()),
            "cache-control: no-store",
            "date: ",
        ] {
            assert!(head.contains(header), "{header}: {head}");
        }
    }
    assert!(!answers[1].contains("connection:") && answers[3].contains("connection: close"), "{text}");
}

#[tokio::test]
async fn what_hyper_has_to_finish_waits_there() {
    let server = Server::still(None).await;
    merge(&server.shared, r#"{"a":1}"#);
    tick(&server.shared);
    let reply = server.ask("HEAD", "/pull/?key-b&wait=1ms", "", b"").await;
    assert_eq!((reply.status, reply.body.as_str()), (200, ""));
    let reply = server.ask("HEAD", "/pull/?key-b", "Accept: text/event-stream\r\n", b"").await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/event-stream")));
    let reply = server.ask("GET", "/pull/?key-b&wait=1ms", "", b"a body").await;
    assert_eq!((reply.status, reply.body.as_str()), (200, "[]"));
}

#[tokio::test]
async fn an_old_client_is_given_no_chunks() {
    let server = Server::still(None).await;
    let mut stream =
        server.open(b"GET /pull/?key-a HTTP/1.0\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n").await;
    server.until_waiting(1).await;
    merge(&server.shared, r#"{"a":1}"#);
    let over = tick(&server.shared);
    let text = read_until(&mut stream, "\n\n", 2).await;
    assert!(text.contains("connection: close") && !text.contains("transfer-encoding"), "{text}");
    assert!(text.ends_with(&format!("\r\n\r\nretry: 2000\n\nid: {over}\ndata: [{{\"a\":1}}]\n\n")), "{text}");
    let mut rest = Vec::new();
    let (read, ()) = tokio::join!(stream.read_to_end(&mut rest), server.stop());
    assert_eq!((read.unwrap(), rest), (0, Vec::new()));
}

/// Reads until a text has come so many times.
async fn read_until(stream: &mut TcpStream, end: &str, times: usize) -> String {
    let mut bytes = Vec::new();
    loop {
        assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "closed");
        let text = String::from_utf8_lossy(&bytes);
        if text.matches(end).count() >= times {
            return text.to_ascii_lowercase();
        }
    }
}
