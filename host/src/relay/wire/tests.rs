//! What is said is heard, in any pieces.

use super::*;
use proptest::prelude::*;

fn messages() -> Vec<Message> {
    let said: Said = [("host".to_owned(), "web1".to_owned()), ("id".to_owned(), String::new())].into();
    vec![
        Message::Hello { least: 1, most: 9, said: said.clone() },
        Message::Welcome { version: 1, said },
        Message::Entry { place: Place { number: 7, tag: u64::MAX }, data: vec![1, 2, 3] },
        Message::Entry { place: Place { number: 8, tag: 1 }, data: vec![4; 90_000] },
        Message::Commit,
        Message::Acknowledged { number: 7 },
        Message::Ping,
        Message::Pong,
        Message::Refused { number: 7, why: "no".to_owned() },
        Message::Error("no".to_owned()),
    ]
}

#[test]
fn what_is_written_is_read_in_pieces_too() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let bytes: Vec<u8> = MARK.iter().copied().chain(messages().iter().flat_map(Message::encode)).collect();
        for piece in [1, 3, 1_000] {
            let mut from = tokio_test_pieces(&bytes, piece);
            from.mark().await.unwrap();
            for message in messages() {
                assert_eq!(from.next(100_000).await.unwrap(), message);
            }
            assert!(matches!(from.next(1_000).await, Err(Broken::Ended(_))));
        }
    });
}

fn tokio_test_pieces(bytes: &[u8], piece: usize) -> Reading<impl AsyncRead + Unpin> {
    let (mut to, from) = tokio::io::duplex(piece);
    let bytes = bytes.to_vec();
    tokio::spawn(async move { to.write_all(&bytes).await });
    Reading::new(from)
}

#[test]
fn what_is_no_relay_and_what_is_too_long_is_refused() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let Err(Broken::Wrong(why)) = Reading::new(&b"GET / HTTP/1.1\r\n"[..]).mark().await else { panic!() };
        assert!(why.contains("GET"), "{why}");
        let Err(Broken::Wrong(why)) = Reading::new(&[255, 255, 255, 127, 1][..]).next(99).await else { panic!() };
        assert!(why.contains("99"), "{why}");
    });
}

#[test]
fn who_reads_slowly_is_written_to_and_who_reads_nothing_is_given_up() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let most = Duration::from_millis(250);
        let (mut to, mut from) = tokio::io::duplex(10);
        let reads = async {
            let mut piece = [0; 10];
            for _ in 0..20 {
                tokio::time::sleep(most / 10).await;
                from.read_exact(&mut piece).await.unwrap();
            }
        };
        let began = Instant::now();
        let (written, ()) = tokio::join!(write_within(&mut to, &[7; 200], most), reads);
        assert!(written.is_ok() && began.elapsed() > most);
        let stuck = write_within(&mut to, &[7; 200], most).await;
        assert_eq!(stuck.unwrap_err().kind(), io::ErrorKind::TimedOut);
    });
}

#[test]
fn a_message_that_comes_slowly_is_a_sign_of_life_and_a_few_bytes_are_none() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let (mut to, from) = tokio::io::duplex(1 << 20);
        let mut reading = Reading::new(from);
        let entry = Message::Entry { place: Place { number: 1, tag: 1 }, data: vec![3; 100_000] }.encode();
        let began = reading.heard();
        let mut heard = Vec::new();
        for part in [&entry[..100], &entry[100..50_000]] {
            to.write_all(part).await.unwrap();
            let _ = timeout(Duration::from_millis(50), reading.next(1 << 20)).await.unwrap_err();
            heard.push(reading.heard());
        }
        assert!(heard[0] == began && heard[1] > began);
        to.write_all(&entry[50_000..]).await.unwrap();
        assert!(matches!(reading.next(1 << 20).await, Ok(Message::Entry { data, .. }) if data == vec![3; 100_000]));
        // No more room than for the message.
        assert!(reading.bytes.capacity() < 70_000, "{}", reading.bytes.capacity());
    });
}

#[test]
fn places_are_read_again() {
    let at = Place { number: 12, tag: 0xab };
    assert_eq!(place(&put_place(at)), Some(at));
    assert_eq!(place(&format!("{} web 1", put_place(at))), Some(at));
    assert_eq!((place(""), place("1"), place("1 x")), (None, None, None));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..60), which in 0usize..10, cut in 0usize..80) {
        let _ = Message::decode(&bytes);
        let good = messages()[which].encode();
        let _ = Message::decode(&good[4..good.len().min(4 + cut)]);
        prop_assert_eq!(Message::decode(&good[4..]).unwrap(), messages().swap_remove(which));
    }
}

#[tokio::test]
async fn who_waits_for_room_keeps_its_place_and_is_not_dead() {
    let room = Room::new(100_000);
    let first = room.ask(100_000).await.unwrap();
    let entry = |number| Message::Entry { place: Place { number, tag: 1 }, data: vec![3; 99_000] };
    let mut ends = Vec::new();
    for number in 0..2 {
        let (mut to, from) = tokio::io::duplex(1 << 20);
        to.write_all(&entry(number).encode()).await.unwrap();
        let mut reading = Reading::new(from);
        reading.share(&room);
        ends.push((to, reading));
    }
    let [(_, one), (_, other)] = &mut ends[..] else { panic!() };
    let began = Instant::now();
    // Each is broken off again and again, as by a commit.
    for _ in 0..5 {
        for reading in [&mut *one, &mut *other] {
            let _ = timeout(Duration::from_millis(10), reading.next(1 << 20)).await.unwrap_err();
            assert!(reading.waits() && reading.heard() > began);
        }
    }
    drop(first);
    // The one that asked first has it, though the other one is asked for first now.
    let _ = timeout(Duration::from_millis(10), other.next(1 << 20)).await.unwrap_err();
    let soon = Duration::from_secs(10);
    assert_eq!(timeout(soon, one.next(1 << 20)).await.unwrap().unwrap(), entry(0));
    assert!(!one.waits() && other.waits());
    let _ = timeout(Duration::from_millis(10), one.next(1 << 20)).await.unwrap_err();
    assert_eq!(timeout(soon, other.next(1 << 20)).await.unwrap().unwrap(), entry(1));
}

#[tokio::test]
async fn an_entry_that_gives_way_ends_its_connection() {
    let room = Room::new(100_000);
    let (mut to, from) = tokio::io::duplex(1 << 20);
    let mut reading = Reading::new(from);
    reading.share(&room);
    let entry = Message::Entry { place: Place { number: 1, tag: 1 }, data: vec![3; 99_000] }.encode();
    to.write_all(&entry[..20_000]).await.unwrap();
    let _ = timeout(Duration::from_millis(10), reading.next(1 << 20)).await.unwrap_err();
    room.let_go();
    let ended = timeout(Duration::from_secs(10), reading.next(1 << 20)).await.unwrap();
    let Err(Broken::Wrong(why)) = ended else { panic!() };
    assert!(why.contains("while others wait for room"), "{why}");
}

#[tokio::test]
async fn who_reads_nothing_but_says_that_it_is_alive_is_waited_for() {
    const MOST: Duration = Duration::from_millis(150);
    let (here, there) = tokio::io::duplex(100);
    let (from, mut to) = tokio::io::split(here);
    let (mut reads, mut says) = tokio::io::split(there);
    let mut reading = Reading::new(from);
    let bytes = vec![7; 10_000];
    let peer = async {
        for _ in 0..10 {
            tokio::time::sleep(MOST / 3).await;
            says.write_all(&Message::Ping.encode()).await.unwrap();
        }
        let mut read = vec![0; bytes.len()];
        reads.read_exact(&mut read).await.unwrap();
        read
    };
    let mut heard = Vec::new();
    let hear = |message| {
        heard.push(message);
        Ok(())
    };
    let (written, read) = tokio::join!(write_listening(&mut to, &bytes, &mut reading, MOST, hear), peer);
    written.unwrap();
    assert!(read == bytes && heard.len() == 10, "{}", heard.len());
    let silent = write_listening(&mut to, &bytes, &mut reading, MOST, |_| Ok(())).await;
    let Err(Broken::Wrong(why)) = silent else { panic!() };
    assert!(why.contains("says nothing"), "{why}");
}
