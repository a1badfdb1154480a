use super::super::rooms::Patience;
use super::*;
use crate::http::testing::shared;
use crate::ingest::sources::Strangers;
use tokio::sync::Semaphore;

const SHORT: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_secs(30);

/// What a client hears that sends this, and then drips a byte now and then.
async fn heard(token: Option<&str>, patience: Patience, sends: &[u8], drips: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (stream, peer) = listener.accept().await.unwrap();
    let rooms = Rooms { patience, ..Rooms::new(PUSH_BYTES_MAX) };
    let shared = shared(token);
    let guest = rooms.meet(peer.ip(), token.is_some(), &shared).unwrap();
    client.write_all(sends).await.unwrap();
    let (mut reads, mut writes) = client.split();
    let drip = async {
        while drips && writes.write_all(b"x").await.is_ok() {
            sleep(SHORT / 10).await;
        }
        std::future::pending::<()>().await;
    };
    let mut said = String::new();
    tokio::select! {
        (served, read) = async { tokio::join!(connection(stream, peer.ip(), guest, &shared, &rooms), reads.read_to_string(&mut said)) } => {
            assert!(served.is_ok() && read.is_ok(), "{served:?} {read:?}");
        }
        () = drip => {}
    }
    assert_eq!(rooms.bytes.available_permits(), PUSH_BYTES_MAX);
    said
}

#[tokio::test]
async fn nobody_is_waited_for_for_ever() {
    let patience = Patience { opening: LONG, line: LONG, idle: LONG };
    for drips in [false, true] {
        let line = Patience { line: SHORT, ..patience };
        let said = heard(None, line, b"{\"a\":\"", drips).await;
        assert!(said.contains("a line was not whole in time"), "{said}");
        let opening = Patience { opening: SHORT, ..patience };
        let said = heard(Some("0123456789abcdef"), opening, b"{\"token\":\"", drips).await;
        assert!(said.contains("the first line, with the token, was not there in time"), "{said}");
    }
    let idle = Patience { idle: SHORT, ..patience };
    let said = heard(None, idle, b"", false).await;
    assert!(said.contains("nothing was sent for too long"), "{said}");
}

const TOKEN: &str = "0123456789abcdef";

/// What a daemon that asks for a token says to a client that sends this, and nothing more.
async fn answered(rooms: &Rooms, sends: &[u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (stream, peer) = listener.accept().await.unwrap();
    let shared = shared(Some(TOKEN));
    let guest = rooms.meet(peer.ip(), true, &shared).unwrap();
    client.write_all(sends).await.unwrap();
    client.shutdown().await.unwrap();
    let mut said = String::new();
    let (served, read) =
        tokio::join!(connection(stream, peer.ip(), guest, &shared, rooms), client.read_to_string(&mut said));
    assert!(served.is_ok() && read.is_ok(), "{served:?} {read:?}");
    said
}

#[tokio::test]
async fn a_first_line_takes_nothing_of_the_room_for_lines() {
    // There is none: all others have it.
    let rooms = Rooms::new(0);
    let token = format!("{{\"token\":\"{TOKEN}\"}}\n");
    assert_eq!(answered(&rooms, token.as_bytes()).await, "");
    let wrong = answered(&rooms, b"{\"token\":\"another\"}\n").await;
    assert!(wrong.contains("the first line must be {"), "{wrong}");
    let half = answered(&rooms, b"{\"token\"").await;
    assert!(half.contains("the first line must be {"), "{half}");
    // One that says more may be longer, as long as not too many are. Nobody is there to merge a document.
    let rooms = Rooms::new(PUSH_BYTES_MAX);
    let line = |bytes| format!("{{\"token\":\"{TOKEN}\"{}}}\nx\n", " ".repeat(bytes));
    let said = answered(&rooms, line(60_000).as_bytes()).await;
    assert!(said.starts_with("{\"error\":\"line 1 column 1") && !said.contains("\"end\""), "{said}");
    let said = answered(&rooms, line(70_000).as_bytes()).await;
    assert!(said.contains("a first line of more than 65536 bytes"), "{said}");
    rooms.openings.close();
    let said = answered(&rooms, line(1_000).as_bytes()).await;
    assert!(said.contains("say the token in a line of its own"), "{said}");
    assert_eq!(answered(&rooms, token.as_bytes()).await, "");
    assert_eq!(rooms.bytes.available_permits(), PUSH_BYTES_MAX);
}

#[tokio::test]
async fn who_has_no_token_takes_no_place_of_who_has() {
    let mut rooms = Rooms::new(PUSH_BYTES_MAX);
    rooms.connections = Arc::new(Semaphore::new(2));
    rooms.strangers = Strangers::new(4);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shared = shared(Some(TOKEN));
    let served = tokio::spawn(serve(listener, Arc::clone(&shared), Arc::new(rooms)));
    let said = async |stream: &mut TcpStream| {
        let mut said = vec![0; 1_000];
        let read = stream.read(&mut said).await.unwrap_or(0);
        String::from_utf8_lossy(&said[..read]).into_owned()
    };
    let push = async || {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("{{\"token\":\"{TOKEN}\"}}\nx\n").as_bytes()).await.unwrap();
        let said = said(&mut stream).await;
        (stream, said)
    };
    let (mut first, answer) = push().await;
    assert!(answer.contains("line 1 column 1"), "{answer}");
    let mut crowd = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"{").await.unwrap();
        crowd.push(stream);
    }
    // Those that came first are away, without a word; those that are there hold nobody back.
    for stream in &mut crowd[..16] {
        assert_eq!(said(stream).await, "");
    }
    let (_second, answer) = push().await;
    assert!(answer.contains("line 1 column 1"), "{answer}");
    first.write_all(b"x\n").await.unwrap();
    assert!(said(&mut first).await.contains("line 1 column 1"));
    // As many as may are there now.
    let (_third, answer) = push().await;
    assert!(answer.contains("connections already") && answer.contains("\"end\":true"), "{answer}");
    assert!(shared.counters.push_connections_refused.growth() >= 17);
    served.abort();
}

#[tokio::test]
async fn who_takes_nothing_is_not_turned_away_for_ever() {
    let sides = crate::tls::testing::Sides::new();
    let (client, mut server) = sides.stuck().await;
    let told = timeout(LONG, turn_away(&mut server, "why")).await.expect("it has ended");
    assert_eq!(told.unwrap_err().kind(), io::ErrorKind::TimedOut);
    drop(client);
    let (mut client, mut server) = sides.pair().await;
    let mut said = String::new();
    let (told, read) = tokio::join!(turn_away(&mut server, "why"), client.read_to_string(&mut said));
    assert!(told.is_ok() && read.is_ok(), "{told:?} {read:?}");
    assert_eq!(said, "{\"end\":true,\"error\":\"why\"}\n");
}
