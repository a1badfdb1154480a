use super::*;
use crate::names::Names;
use proptest::prelude::*;
use simple_dns::rdata::{A, AAAA, CNAME};
use simple_dns::{OPCODE, ResourceRecord};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

/// What a server of these tests answers: packets, for a question of a kind.
type Says = fn(&Packet<'_>, TYPE) -> Vec<Vec<u8>>;

/// A server of names on loopback.
struct Server {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(says: Says) -> Server {
        Server::at(UdpSocket::bind("127.0.0.1:0").unwrap(), says)
    }

    fn at(socket: UdpSocket, says: Says) -> Server {
        let address = socket.local_addr().unwrap();
        let (asked, end) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, ended) = (Arc::clone(&asked), Arc::clone(&end));
        let thread = spawn(move || {
            let mut datagram = [0; 1_500];
            while let Ok((length, from)) = socket.recv_from(&mut datagram) {
                if ended.load(Ordering::Acquire) {
                    return;
                }
                counted.fetch_add(1, Ordering::AcqRel);
                let question = Packet::parse(&datagram[..length]).unwrap();
                let kind = if question.questions[0].qtype == TYPE::A.into() { TYPE::A } else { TYPE::AAAA };
                for packet in says(&question, kind) {
                    socket.send_to(&packet, from).unwrap();
                }
            }
        });
        Server { address, asked, end, thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Release);
        UdpSocket::bind("127.0.0.1:0").unwrap().send_to(&[], self.address).unwrap();
        self.thread.take().unwrap().join().unwrap();
    }
}

fn reply(question: &Packet<'_>, rcode: RCODE, records: Vec<RData<'static>>) -> Vec<u8> {
    let mut packet = Packet::new_reply(question.id());
    *packet.rcode_mut() = rcode;
    *packet.opcode_mut() = OPCODE::StandardQuery;
    packet.questions = question.questions.clone();
    let name = || Name::new_unchecked("a.example");
    packet.answers = records.into_iter().map(|data| ResourceRecord::new(name(), CLASS::IN, 60, data)).collect();
    packet.build_bytes_vec().unwrap()
}

fn good(question: &Packet<'_>, kind: TYPE) -> Vec<Vec<u8>> {
    let alias = RData::CNAME(CNAME(Name::new_unchecked("b.example")));
    let found = match kind {
        TYPE::A => RData::A(A { address: 0x0a00_0001 }),
        _ => RData::AAAA(AAAA { address: 1 }),
    };
    vec![reply(question, RCODE::NoError, vec![alias, found])]
}

fn found(servers: &[SocketAddr], name: &str, until: Instant) -> Answer {
    let room = Room::default();
    room.finish(ask(&room, servers, name, until))
}

fn look_up(names: &Names, host: &str, until: Instant) -> Result<Vec<IpAddr>, String> {
    let room = Room::default();
    room.finish(names.look_up(&room, host, until))
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn both_kinds_of_address_are_found() {
    let server = Server::start(good);
    assert_eq!(found(&[server.address], "a.example", soon()), Ok(addresses(&["10.0.0.1", "::1"])));
    assert_eq!(server.asked.load(Ordering::Acquire), 2);
}

#[test]
fn what_there_is_not_is_told_apart() {
    let nobody = Server::start(|question, _| vec![reply(question, RCODE::NameError, Vec::new())]);
    assert_eq!(found(&[nobody.address], "a.example", soon()), Err(Miss::NoName));
    let nothing = Server::start(|question, _| vec![reply(question, RCODE::NoError, Vec::new())]);
    assert_eq!(found(&[nothing.address], "a.example", soon()), Err(Miss::NoAddress));
    let half = Server::start(|question, kind| match kind {
        TYPE::A => good(question, kind),
        _ => vec![reply(question, RCODE::NoError, Vec::new())],
    });
    assert_eq!(found(&[half.address], "a.example", soon()), Ok(addresses(&["10.0.0.1"])));
    assert_eq!(found(&[half.address], &"a".repeat(70), soon()), Err(Miss::NoName));
}

#[test]
fn the_next_server_is_asked_where_one_fails() {
    let fails = Server::start(|question, _| vec![reply(question, RCODE::ServerFailure, Vec::new())]);
    let nonsense = Server::start(|_, _| vec![b"nonsense".to_vec()]);
    let server = Server::start(good);
    let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let all = [closed, fails.address, nonsense.address, server.address];
    assert_eq!(found(&all, "a.example", soon()).map(|found| found.len()), Ok(2));
    let Err(Miss::Failed(why)) = found(&[fails.address], "a.example", soon()) else { panic!("found") };
    assert!(why.contains("answered ServerFailure"), "{why}");
}

#[test]
fn it_ends_when_it_is_told_to() {
    let silent = Server::start(|_, _| Vec::new());
    let until = Instant::now() + Duration::from_millis(300);
    let Err(Miss::Failed(why)) = found(&[silent.address], "a.example", until) else { panic!("found") };
    assert!(why.contains("out of time"), "{why}");
    let late = until.elapsed();
    assert!(Instant::now() >= until && late < Duration::from_secs(2), "{late:?} too late");
}

#[test]
fn what_was_not_asked_is_no_answer() {
    let server = Server::start(|question, kind| {
        let mut other = question.clone();
        other.set_id(question.id().wrapping_add(7));
        let mut name = question.clone();
        name.questions[0].qname = Name::new_unchecked("evil.example");
        let evil = RData::A(A { address: 0x0666_0666 });
        let mut packets: Vec<_> =
            [other, name].iter().map(|packet| reply(packet, RCODE::NoError, vec![evil.clone()])).collect();
        packets.extend(good(question, kind));
        packets
    });
    assert_eq!(found(&[server.address], "a.example", soon()), Ok(addresses(&["10.0.0.1", "::1"])));
}

#[test]
fn a_long_answer_comes_by_tcp() {
    // The same port must be free for both.
    let ports = || TcpListener::bind("127.0.0.1:0").and_then(|tcp| Ok((UdpSocket::bind(tcp.local_addr()?)?, tcp)));
    let (udp, listener) = (0..100).find_map(|_| ports().ok()).expect("a port");
    let server = Server::at(udp, |question, _| {
        let mut packet = Packet::new_reply(question.id());
        packet.set_flags(PacketFlag::TRUNCATION);
        packet.questions = question.questions.clone();
        vec![packet.build_bytes_vec().unwrap()]
    });
    let tcp = spawn(move || {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().unwrap();
            let mut length = [0; 2];
            stream.read_exact(&mut length).unwrap();
            let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut question).unwrap();
            let question = Packet::parse(&question).unwrap();
            let many = (0..300).map(|n| RData::A(A { address: n })).collect();
            let reply = reply(&question, RCODE::NoError, many);
            stream.write_all(&(reply.len() as u16).to_be_bytes()).unwrap();
            stream.write_all(&reply).unwrap();
        }
    });
    assert_eq!(found(&[server.address], "a.example", soon()).map(|found| found.len()), Ok(600));
    tcp.join().unwrap();
}

#[test]
fn names_are_looked_up_in_hosts_first_and_then_by_dns() {
    let server = Server::start(|question, kind| match question.questions[0].qname.to_string().as_str() {
        "a.example" => good(question, kind),
        _ => vec![reply(question, RCODE::NameError, Vec::new())],
    });
    let folder = tempfile::tempdir().unwrap();
    let [hosts, resolv_conf] = ["hosts", "resolv.conf"].map(|name| folder.path().join(name));
    fs::write(&hosts, "10.9.9.9 here.example\n").unwrap();
    fs::write(&resolv_conf, "nameserver 127.0.0.1\nsearch nowhere.example example\n").unwrap();
    let names = Names { hosts, resolv_conf, port: server.address.port() };
    assert_eq!(look_up(&names, "Here.Example", soon()), Ok(addresses(&["10.9.9.9"])));
    assert_eq!(look_up(&names, "192.0.2.1", soon()), Ok(addresses(&["192.0.2.1"])));
    assert_eq!(look_up(&names, "x.localhost", soon()), Ok(addresses(&["127.0.0.1", "::1"])));
    assert_eq!(server.asked.load(Ordering::Acquire), 0);
    assert_eq!(look_up(&names, "a", soon()), Ok(addresses(&["10.0.0.1", "::1"])));
    assert_eq!(look_up(&names, "a.example.", soon()).map(|found| found.len()), Ok(2));
    assert_eq!(look_up(&names, "a.", soon()), Err("a: no such name".to_owned()));
    assert_eq!(look_up(&names, "b.example", soon()), Err("b.example: no such name".to_owned()));
}

proptest! {
    #[test]
    fn garbage_never_panics(
        garbage in proptest::collection::vec(any::<u8>(), 0..100),
        bites in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let asked = Packet::parse(&question(7, "a.example", TYPE::A).unwrap()).map(|packet| good(&packet, TYPE::A)).unwrap();
        let mut bitten = asked[0].clone();
        for (at, byte) in bites {
            let at = at.index(bitten.len());
            bitten[at] = byte;
        }
        for packet in [garbage, bitten] {
            let _ = answered(&packet, [7, 8], "a.example");
            let _ = said(&packet);
        }
    }
}
