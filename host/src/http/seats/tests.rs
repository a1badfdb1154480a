use super::*;
use futures_util::FutureExt;
use std::time::Duration;
use tokio::net::TcpListener;

/// The answer that follows so many others.
fn answer(number: u64, json: &str) -> Arc<Delivery> {
    Delivery::new(number, number - 1, number, (json.as_bytes().to_vec(), false))
}

/// Sits down, knowing the answers up to a number; and its client.
async fn sit(seats: &Seats, plain: bool, number: u64, said: Instant) -> (TcpStream, Arc<Seat>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (client, accepted) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    let socket = accepted.unwrap().0;
    socket.set_nodelay(true).unwrap();
    let seat = Arc::new(Seat { socket, up: Notify::new() });
    let place = Place { number, since: number };
    seats.sit(&seat, Sitting { plain, place, said, sent: 0, unsaid: None });
    (client.unwrap(), seat)
}

/// What has come to a client.
fn came(client: &TcpStream) -> String {
    let mut bytes = vec![0; 1 << 20];
    // Past the runtime, which has not heard of it yet: on loopback what was sent is there.
    let read = rustix::net::recv(client, &mut bytes[..], rustix::net::RecvFlags::DONTWAIT).map_or(0, |(_, read)| read);
    String::from_utf8(bytes[..read].to_vec()).unwrap()
}

fn is_up(seat: &Seat) -> bool {
    seat.up.notified().now_or_never().is_some()
}

#[tokio::test]
async fn all_are_told_once_however_many_they_are() {
    for streams in [0, 1, BATCH - 1, BATCH, BATCH + 1, AT_ONCE, AT_ONCE + 1, 2 * AT_ONCE + BATCH + 1] {
        let (seats, began) = (Seats::default(), Instant::now());
        let mut all = Vec::new();
        for n in 0..streams {
            all.push(sit(&seats, n % 3 == 0, 0, began).await);
        }
        let delivery = answer(1, "[]");
        let (mut after, mut turns) = (None, 0);
        loop {
            turns += 1;
            after = seats.tell(&Words::News(Arc::clone(&delivery)), after);
            if after.is_none() {
                break;
            }
            let told = all.iter().filter(|(client, _)| client_has(client)).count();
            assert_eq!(told, turns * AT_ONCE, "of {streams}");
        }
        assert_eq!(turns, streams / AT_ONCE + 1, "of {streams}");
        for (n, (client, seat)) in all.iter().enumerate() {
            assert_eq!(came(client).as_bytes(), delivery.event().bytes(n % 3 == 0), "{n} of {streams}");
            let sitting = seats.stand(seat).expect("it sat");
            assert_eq!((sitting.place.number, sitting.place.since), (1, 1));
            assert_eq!((sitting.sent, sitting.said), (delivery.event().text().len(), delivery.at));
            assert!(sitting.unsaid.is_none() && !is_up(seat));
            assert!(seats.stand(seat).is_none());
        }
        assert_eq!(seats.len(), 0);
    }
}

/// Whether something has come.
fn client_has(client: &TcpStream) -> bool {
    let flags = rustix::net::RecvFlags::DONTWAIT | rustix::net::RecvFlags::PEEK;
    rustix::net::recv(client, &mut [0; 1][..], flags).is_ok_and(|(_, read)| read > 0)
}

#[tokio::test]
async fn what_a_socket_does_not_take_is_left_to_its_stream_and_nothing_follows() {
    let seats = Seats::default();
    let (client, seat) = sit(&seats, false, 0, Instant::now()).await;
    let (other, _seat) = sit(&seats, false, 0, Instant::now()).await;
    let (mut number, mut all, mut others) = (0, String::new(), 0);
    let last = loop {
        number += 1;
        let delivery = answer(number, &format!("[\"{}\"]", "x".repeat(50_000)));
        assert!(seats.tell(&Words::News(Arc::clone(&delivery)), None).is_none());
        others += came(&other).len();
        all.push_str(std::str::from_utf8(delivery.event().framed()).unwrap());
        if is_up(&seat) {
            break delivery;
        }
        assert!(number < 10_000, "it takes everything");
    };
    // One that has to stand up is told no more and rung no more, and the others are.
    assert!(seats.tell(&Words::News(answer(number + 1, "[]")), None).is_none());
    assert!(seats.tell(&Words::Silence(Instant::now() + 3 * STREAM_QUIET_MAX), None).is_none());
    assert!(!is_up(&seat));
    others += came(&other).len();
    assert_eq!(
        others,
        all.len() + answer(number + 1, "[]").event().framed().len() + Event::silent().chunk().framed().len()
    );
    let sitting = seats.stand(&seat).unwrap();
    assert_eq!((sitting.place.number, sitting.said), (number, last.at));
    let Some(Unsaid::Rest(event, from)) = sitting.unsaid else { panic!("{:?}", sitting.unsaid) };
    // What is there and what is left are all of it.
    let mut text = String::new();
    loop {
        match came(&client) {
            more if more.is_empty() => break,
            more => text.push_str(&more),
        }
    }
    text.push_str(std::str::from_utf8(&event.chunk().framed()[from..]).unwrap());
    assert!(text == all, "{} of {}", text.len(), all.len());
}

#[tokio::test]
async fn who_missed_something_stands_up_and_who_knows_it_does_not() {
    let seats = Seats::default();
    let (missed, missed_seat) = sit(&seats, false, 0, Instant::now()).await;
    let (knows, knows_seat) = sit(&seats, false, 2, Instant::now()).await;
    seats.tell(&Words::News(answer(2, "[]")), None);
    assert!(is_up(&missed_seat) && !is_up(&knows_seat));
    assert!(!client_has(&missed) && !client_has(&knows));
    assert!(matches!(seats.stand(&missed_seat).unwrap().unsaid, Some(Unsaid::Missed)));
    seats.tell(&Words::News(answer(3, "[]")), None);
    assert!(client_has(&knows) && !client_has(&missed));
    assert_eq!(seats.stand(&knows_seat).unwrap().place.number, 3);
}

#[tokio::test]
async fn a_client_that_is_gone_is_its_streams_affair() {
    let seats = Seats::default();
    let (client, seat) = sit(&seats, false, 0, Instant::now()).await;
    drop(client);
    for number in 1..10 {
        seats.tell(&Words::News(answer(number, "[]")), None);
    }
    assert!(is_up(&seat));
    assert!(matches!(seats.stand(&seat).unwrap().unsaid, Some(Unsaid::Failed(_))));
}

#[tokio::test]
async fn silence_is_told_to_those_who_have_heard_nothing_for_long() {
    let (seats, began) = (Seats::default(), Instant::now());
    let (first, _first) = sit(&seats, false, 0, began).await;
    let later = Duration::from_secs(5);
    let (second, second_seat) = sit(&seats, true, 0, began + later).await;
    let (tick, silent) = (Duration::from_millis(1), ": nothing new\n\n");
    let due = began + STREAM_QUIET_MAX;
    assert!(!seats.is_silent(due - tick) && seats.is_silent(due));
    assert!(seats.tell(&Words::Silence(due), None).is_none());
    assert_eq!((came(&first), client_has(&second)), (format!("f\r\n{silent}\r\n"), false));
    assert!(!seats.is_silent(due + later - tick) && seats.is_silent(due + later));
    assert!(seats.tell(&Words::Silence(due + later), None).is_none());
    assert_eq!((client_has(&first), came(&second)), (false, silent.to_owned()));
    // It is no news, and it is counted.
    let news = answer(1, "[]");
    seats.tell(&Words::News(Arc::clone(&news)), None);
    assert!(client_has(&first) && client_has(&second));
    assert_eq!(seats.stand(&second_seat).unwrap().sent, silent.len() + news.event().text().len());
    // What is said meanwhile puts it off.
    assert!(seats.is_silent(due + STREAM_QUIET_MAX));
    came(&first);
    seats.tell(&Words::Silence(news.at + STREAM_QUIET_MAX - tick), None);
    assert!(!client_has(&first) && !seats.is_silent(news.at + STREAM_QUIET_MAX - tick));
    assert!(seats.is_silent(news.at + STREAM_QUIET_MAX));
    seats.stand(&_first);
    assert!(!seats.is_silent(news.at + 9 * STREAM_QUIET_MAX), "nobody sits");
}
