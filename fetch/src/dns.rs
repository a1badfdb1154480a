//! Asking servers of names.

use crate::dial::open;
use crate::limits::{DATAGRAM_BYTES_MAX, NAMES_PATIENCE};
use crate::room::Room;
use crate::stream::{Connection as _, Stream, left, why};
use rustix::net::AddressFamily;
use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, Question, RCODE, TYPE};
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::rc::Rc;
use std::time::Instant;

/// How often each server is asked: packets are lost.
const ROUNDS: u32 = 3;

/// What is asked for, each in a question of its own.
const KINDS: [TYPE; 2] = [TYPE::A, TYPE::AAAA];

/// Any address and port of this host.
const ANY_V4: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
const ANY_V6: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0);

/// Why no address came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Miss {
    /// There is no such name.
    NoName,
    /// There is, and it has no address.
    NoAddress,
    /// No server could tell.
    Failed(String),
}

/// What a server says of one kind of address.
type Answer = Result<Vec<IpAddr>, Miss>;

/// Asks one server after the other for the addresses of a name; at least one is found.
pub(crate) async fn ask(room: &Room, servers: &[SocketAddr], name: &str, until: Instant) -> Answer {
    let mut failed = "no server of names".to_owned();
    for round in 0..ROUNDS {
        for server in servers {
            let soon = Instant::now() + NAMES_PATIENCE * (1 << round);
            match ask_one(room, *server, name, until.min(soon)).await {
                Ok(Err(Miss::Failed(said))) => failed = format!("the server of names {server} {said}"),
                Ok(answer) => return answer,
                Err(error) => failed = format!("the server of names {server}: {}", why(&error, "looking it up")),
            }
            if left(until).is_err() {
                return Err(Miss::Failed(failed));
            }
        }
    }
    Err(Miss::Failed(failed))
}

/// Asks for both kinds at once. What has come when the time is over counts, where it is an address.
async fn ask_one(room: &Room, server: SocketAddr, name: &str, until: Instant) -> io::Result<Answer> {
    let socket = UdpSocket::bind(if server.is_ipv4() { ANY_V4 } else { ANY_V6 })?;
    socket.connect(server)?;
    socket.set_nonblocking(true)?;
    let mut stream = Stream { room, socket: Rc::new(socket.into()), until };
    // Not to be guessed by whoever would answer in the server's stead; the port is not either.
    let first = RandomState::new().hash_one(0_u8) as u16;
    let ids = [first, first.wrapping_add(1)];
    let mut questions = Vec::new();
    for (id, kind) in ids.into_iter().zip(KINDS) {
        let Some(question) = question(id, name, kind) else { return Ok(Err(Miss::NoName)) };
        stream.write_all(&question).await?;
        questions.push(question);
    }
    let mut answers: [Option<Answer>; 2] = [None, None];
    let mut datagram = [0; DATAGRAM_BYTES_MAX];
    while answers.iter().any(Option::is_none) {
        let length = match stream.read(&mut datagram).await {
            Ok(length) => length,
            Err(error) if answers.iter().flatten().all(|answer| answer.is_err()) => return Err(error),
            Err(_) => break,
        };
        let Some(which) = answered(&datagram[..length], ids, name) else { continue };
        let short = simple_dns::header_buffer::has_flags(&datagram[..length], PacketFlag::TRUNCATION);
        answers[which] = Some(match short {
            Ok(true) => said(&by_tcp(room, server, &questions[which], until).await?),
            _ => said(&datagram[..length]),
        });
    }
    Ok(together(answers.into_iter().flatten()))
}

/// What the answers for both kinds come to.
fn together(answers: impl Iterator<Item = Answer>) -> Answer {
    let (mut found, mut missed) = (Vec::new(), Miss::NoAddress);
    for answer in answers {
        match answer {
            Ok(addresses) => found.extend(addresses),
            Err(Miss::NoAddress) => {}
            Err(miss) => missed = miss,
        }
    }
    if found.is_empty() { Err(missed) } else { Ok(found) }
}

/// A question as it is sent; none if that can be no name.
fn question(id: u16, name: &str, kind: TYPE) -> Option<Vec<u8>> {
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    packet.questions.push(Question::new(Name::new(name).ok()?, kind.into(), CLASS::IN.into(), false));
    packet.build_bytes_vec().ok()
}

/// Which of the questions a packet answers, if any.
fn answered(packet: &[u8], ids: [u16; 2], name: &str) -> Option<usize> {
    let packet = Packet::parse(packet).ok().filter(|packet| packet.has_flags(PacketFlag::RESPONSE))?;
    let which = ids.iter().position(|id| *id == packet.id())?;
    // Some servers leave the question out where they fail.
    let same = |question: &Question<'_>| {
        question.qname.to_string().eq_ignore_ascii_case(name) && question.qtype == KINDS[which].into()
    };
    packet.questions.iter().all(same).then_some(which)
}

/// What an answer says.
fn said(packet: &[u8]) -> Answer {
    let packet = Packet::parse(packet).map_err(|_| Miss::Failed("answered nonsense".to_owned()))?;
    match packet.rcode() {
        RCODE::NoError => {}
        RCODE::NameError => return Err(Miss::NoName),
        other => return Err(Miss::Failed(format!("answered {other:?}"))),
    }
    // Other names that lead to the address are in the same answer, and so is nothing that does not belong to it.
    let addresses = packet.answers.iter().filter_map(|record| match &record.rdata {
        RData::A(found) => Some(IpAddr::V4(found.address.into())),
        RData::AAAA(found) => Some(IpAddr::V6(found.address.into())),
        _ => None,
    });
    let found: Vec<IpAddr> = addresses.collect();
    if found.is_empty() { Err(Miss::NoAddress) } else { Ok(found) }
}

/// Asks again by TCP, where an answer is too long for a datagram.
async fn by_tcp(room: &Room, server: SocketAddr, question: &[u8], until: Instant) -> io::Result<Vec<u8>> {
    let family = if server.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let mut stream = open(room, family, &server, until, until).await?;
    let length = u16::try_from(question.len()).unwrap_or_default().to_be_bytes();
    stream.write_all(&[&length[..], question].concat()).await?;
    let mut length = [0; 2];
    read_exact(&mut stream, &mut length).await?;
    let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
    read_exact(&mut stream, &mut reply).await?;
    Ok(reply)
}

async fn read_exact(stream: &mut Stream<'_>, mut into: &mut [u8]) -> io::Result<()> {
    while !into.is_empty() {
        match stream.read(into).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => into = into.get_mut(read..).unwrap_or_default(),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
