//! Documents pushed by TCP (one a line) and by UDP (one a datagram).
//!
//! With a token set, the first line of a connection and every datagram is an object with the member `token`; what else
//! stands in it is merged. The member itself is taken out wherever it says the token.

use crate::core::{Counter, Shared};
use crate::json::Documents;
use crate::limits::{
    BODY_BYTES_SHORT, PUSH_BYTES_MAX, PUSH_CONNECTIONS_MAX, PUSH_DROPS_EVERY, PUSH_IDLE_MAX, PUSH_LINE_BYTES_MAX,
    PUSH_LINGER_MAX, PUSH_MERGE_BYTES_MAX, PUSH_OPENING_BYTES_MAX, PUSH_WRITE_MAX,
};
pub use crate::tokens::same;
use crate::tokens::{Access, Rights};
use serde::Deserialize;
use serde_json::json;
use std::future::pending;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::{interval, sleep, timeout};

/// Bytes read from a connection at once.
const READ_BYTES: usize = 64 * 1024;

/// The largest datagram there is.
const DATAGRAM_BYTES: usize = 64 * 1024;

/// What all connections share.
#[derive(Debug)]
struct Rooms {
    /// For bytes that are held.
    bytes: Arc<Semaphore>,
    /// For bytes that are read and merged.
    merging: Semaphore,
}

impl Rooms {
    fn new(bytes: usize) -> Rooms {
        Rooms { bytes: Arc::new(Semaphore::new(bytes)), merging: Semaphore::new(PUSH_MERGE_BYTES_MAX) }
    }
}

/// Takes documents, one a line. What is wrong with one is answered with a line, `{"error":…}`; good ones are not answered.
///
/// # Errors
/// The listener is broken.
pub async fn serve_tcp(listener: TcpListener, shared: Arc<Shared>) -> io::Result<()> {
    let connections = Arc::new(Semaphore::new(PUSH_CONNECTIONS_MAX));
    let rooms = Arc::new(Rooms::new(PUSH_BYTES_MAX));
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, mostly: some will be given back.
                tracing::warn!("push: a connection cannot be accepted: {error}");
                sleep(std::time::Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&connections).try_acquire_owned() else {
            shared.counters.push_connections_refused.add(1);
            continue;
        };
        let (shared, rooms) = (Arc::clone(&shared), Arc::clone(&rooms));
        tokio::spawn(async move {
            let _permit = permit;
            // A connection that breaks is its client's affair.
            let _ = connection(stream, &shared, &rooms).await;
        });
    }
}

async fn connection(mut stream: TcpStream, shared: &Arc<Shared>, rooms: &Rooms) -> io::Result<()> {
    let why = match take(&mut stream, shared, rooms).await? {
        Ended::Closed => return Ok(()),
        Ended::Idle => "nothing was sent for too long".to_owned(),
        Ended::Refused(why) => {
            shared.counters.push_faults.add(1);
            why
        }
    };
    say(&mut stream, &[json!({ "error": why })]).await?;
    stream.shutdown().await?;
    // Closing while the client sends would reset the connection, and it might never see the answer.
    let mut dropped = vec![0; 4 * 1024];
    let drain = async { while matches!(stream.read(&mut dropped).await, Ok(1..)) {} };
    let _ = timeout(PUSH_LINGER_MAX, drain).await;
    Ok(())
}

/// How a connection ended.
enum Ended {
    Closed,
    Idle,
    Refused(String),
}

async fn take(stream: &mut TcpStream, shared: &Arc<Shared>, rooms: &Rooms) -> io::Result<Ended> {
    let mut held = Held::new(&rooms.bytes);
    let mut begun = false;
    // With a token set, the first line says it.
    let mut trusted = !shared.tokens.ask_for(Access::Write);
    loop {
        // Room is taken when there is something to read: a connection that is only open holds none.
        match timeout(PUSH_IDLE_MAX, stream.readable()).await {
            Ok(ready) => ready?,
            Err(_) => return Ok(Ended::Idle),
        }
        if !held.grow() {
            let why = format!("more than {PUSH_BYTES_MAX} bytes are being pushed at once; come again");
            return Ok(Ended::Refused(why));
        }
        let fresh = held.bytes.len();
        let last = match stream.try_read_buf(&mut held.bytes) {
            Ok(read) => read == 0,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                // What was readable has been read before; from here on the connection is only open.
                held.rest();
                continue;
            }
            Err(error) => return Err(error),
        };
        if !begun && let Some(first) = held.bytes.trim_ascii_start().first() {
            // A web page can send an HTTP request here whose body is lines, with no leave asked. Its head gives it away.
            if !matches!(first, b'{' | b'[') {
                let why = "the first line must be a document, such as {\"hits\": 1}; HTTP has a port of its own";
                return Ok(Ended::Refused(why.to_owned()));
            }
            begun = true;
        }
        let longest = if trusted { PUSH_LINE_BYTES_MAX } else { PUSH_OPENING_BYTES_MAX };
        let end = match memchr::memrchr(b'\n', &held.bytes[fresh..]) {
            Some(at) => fresh + at + 1,
            None if last => held.bytes.len(),
            None if held.bytes.len() > longest => {
                return Ok(Ended::Refused(format!("a line of more than {longest} bytes")));
            }
            None => continue,
        };
        let text = held.split(end);
        if !trusted && let Some(line) = lines(&text).next() {
            let rights = rights(line, shared);
            if !rights.is_some_and(|rights| rights.allow(Access::Write)) {
                shared.counters.push_refused.add(1);
                let why = match rights {
                    None => "the first line must be {\"token\":\"…\"} with this daemon's token",
                    Some(_) => {
                        "this token reads, and does not push; say that of write_token_file or token_file in graftd.conf"
                    }
                };
                return Ok(Ended::Refused(why.to_owned()));
            }
            trusted = true;
        }
        let (faults, rejected) = merge_text(text, shared, rooms).await;
        held.settle();
        let more = rejected - faults.len() as u64;
        let mut answers: Vec<_> = faults.iter().map(|fault| json!({ "error": fault })).collect();
        if more > 0 {
            answers.push(json!({ "error": format!("{more} more documents were refused"), "more": more }));
        }
        if !answers.is_empty() {
            say(stream, &answers).await?;
        }
        if last {
            return Ok(Ended::Closed);
        }
    }
}

/// What a connection has sent that is not merged yet, and its share of the room for all of that.
struct Held {
    bytes: Vec<u8>,
    all: Arc<Semaphore>,
    room: Option<OwnedSemaphorePermit>,
}

impl Held {
    fn new(all: &Arc<Semaphore>) -> Held {
        Held { bytes: Vec::new(), all: Arc::clone(all), room: None }
    }

    /// Makes room for a read; `false` when there is none. Nobody waits: half lines would wait for each other.
    fn grow(&mut self) -> bool {
        let (length, capacity) = (self.bytes.len(), self.bytes.capacity());
        if length < capacity {
            return true;
        }
        // Doubled, so that a long line is not copied again and again; what is beyond the longest one is never needed.
        let wanted = (2 * capacity).min(PUSH_LINE_BYTES_MAX + READ_BYTES).max(length + READ_BYTES);
        let more = wanted - self.room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let Some(more) =
            u32::try_from(more).ok().and_then(|more| Arc::clone(&self.all).try_acquire_many_owned(more).ok())
        else {
            return false;
        };
        match &mut self.room {
            Some(room) => room.merge(more),
            None => self.room = Some(more),
        }
        self.bytes.reserve_exact(wanted - length);
        true
    }

    /// Gives back the room if nothing is held.
    fn rest(&mut self) {
        if self.bytes.is_empty() {
            self.bytes = Vec::new();
            self.settle();
        }
    }

    /// Takes the first bytes out. Their room is kept until [`Held::settle`].
    fn split(&mut self, end: usize) -> Vec<u8> {
        let rest = self.bytes[end..].to_vec();
        let mut text = std::mem::replace(&mut self.bytes, rest);
        text.truncate(end);
        text
    }

    /// Gives back the room for what is no longer held.
    fn settle(&mut self) {
        if let Some(room) = &mut self.room {
            drop(room.split(room.num_permits().saturating_sub(self.bytes.capacity())));
        }
    }
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty())
}

/// Merges lines when it is their turn; gives what [`merge`] gives.
async fn merge_text(text: Vec<u8>, shared: &Arc<Shared>, rooms: &Rooms) -> (Vec<String>, u64) {
    let turn = u32::try_from(text.len()).unwrap_or(u32::MAX).min(PUSH_MERGE_BYTES_MAX as u32);
    let _turn = rooms.merging.acquire_many(turn).await;
    let read = |text: Vec<u8>, shared: &Shared| {
        let mut documents = Documents::default();
        lines(&text).for_each(|line| documents.read(line, Some(&shared.tokens)));
        documents
    };
    let documents = if text.len() <= BODY_BYTES_SHORT {
        read(text, shared)
    } else {
        let shared = Arc::clone(shared);
        // It fails when the daemon stops.
        spawn_blocking(move || read(text, &shared)).await.unwrap_or_default()
    };
    merge(documents, shared).await
}

/// Merges each document for itself; gives what is wrong with the first of the others, and how many others there are.
async fn merge(documents: Documents, shared: &Shared) -> (Vec<String>, u64) {
    shared.counters.push_faults.add(documents.rejected);
    shared.counters.push_documents.add(documents.good);
    if !documents.frames.is_empty()
        && let Some(pushed) = shared.events.push(documents.frames).await
    {
        shared.counters.push_leaves.add(pushed.merged.leaves);
    }
    (documents.faults.iter().map(ToString::to_string).collect(), documents.rejected)
}

/// Takes documents, one a datagram. There is nobody to answer to: faults are counted.
///
/// # Errors
/// The socket is broken.
pub async fn serve_udp(socket: UdpSocket, shared: Arc<Shared>) -> io::Result<()> {
    let counted = AtomicU32::new(0);
    tokio::select! {
        ended = datagrams(&socket, &shared) => ended,
        ended = count_drops(&socket, &shared.counters.push_dropped, &counted) => ended,
    }
}

async fn datagrams(socket: &UdpSocket, shared: &Shared) -> io::Result<()> {
    let mut datagram = vec![0; DATAGRAM_BYTES];
    loop {
        let length = match socket.recv_from(&mut datagram).await {
            Ok((length, _)) => length,
            Err(_) => {
                shared.counters.push_dropped.add(1);
                continue;
            }
        };
        let datagram = &datagram[..length];
        let may = || rights(datagram, shared).is_some_and(|rights| rights.allow(Access::Write));
        if shared.tokens.ask_for(Access::Write) && !may() {
            shared.counters.push_refused.add(1);
            shared.counters.push_faults.add(1);
            continue;
        }
        let mut documents = Documents::default();
        documents.read(datagram, Some(&shared.tokens));
        merge(documents, shared).await;
    }
}

/// Counts what the kernel dropped before it could be received. Where it does not tell, nothing is counted. What has been
/// `counted` stays with the socket: it may be handed on.
pub(crate) async fn count_drops<T>(socket: &UdpSocket, counter: &Counter, counted: &AtomicU32) -> io::Result<T> {
    let Some(inode) = inode(socket) else { return pending().await };
    let mut every = interval(PUSH_DROPS_EVERY);
    loop {
        every.tick().await;
        let Ok(Some(drops)) = spawn_blocking(move || drops(inode)).await else { continue };
        // The kernel's figure has 32 bits and begins anew.
        counter.add(u64::from(drops.wrapping_sub(counted.swap(drops, Ordering::Relaxed))));
    }
}

/// The number of a socket in the kernel's lists.
fn inode(socket: &impl AsRawFd) -> Option<u64> {
    let link = std::fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).ok()?;
    link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// How many datagrams the kernel dropped for a socket since it was opened.
fn drops(inode: u64) -> Option<u32> {
    ["/proc/self/net/udp", "/proc/self/net/udp6"]
        .iter()
        .find_map(|list| listed_drops(&std::fs::read_to_string(list).ok()?, inode))
}

/// Reads the list of UDP sockets as udp4_format_sock of the kernel's net/ipv4/udp.c writes it: the inode is the tenth
/// column, the drops are the thirteenth.
fn listed_drops(list: &str, inode: u64) -> Option<u32> {
    list.lines().skip(1).find_map(|line| {
        let mut columns = line.split_ascii_whitespace().skip(9);
        let listed: u64 = columns.next()?.parse().ok()?;
        (listed == inode).then(|| columns.nth(2)?.parse().ok())?
    })
}

/// What the token allows that an object says as its member `token`.
fn rights(line: &[u8], shared: &Shared) -> Option<Rights> {
    #[derive(Deserialize)]
    struct Opening {
        token: String,
    }
    // An array would do for a struct too, but not for a document.
    let is_object = line.trim_ascii_start().starts_with(b"{");
    let opening = is_object.then(|| serde_json::from_slice::<Opening>(line).ok())??;
    shared.tokens.rights(opening.token.as_bytes())
}

/// Writes lines. Who does not read them is let go.
async fn say(stream: &mut TcpStream, answers: &[serde_json::Value]) -> io::Result<()> {
    let text: String = answers.iter().map(|answer| format!("{answer}\n")).collect();
    timeout(PUSH_WRITE_MAX, stream.write_all(text.as_bytes())).await.map_err(|_| io::ErrorKind::TimedOut)?
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn room_is_bounded_over_all_and_given_back() {
        let all = Arc::new(Semaphore::new(3 * READ_BYTES));
        let (mut one, mut other) = (Held::new(&all), Held::new(&all));
        assert!(one.grow() && one.grow(), "what is there is enough");
        assert_eq!(all.available_permits(), 2 * READ_BYTES);
        one.bytes.resize(READ_BYTES, b'x');
        assert!(one.grow(), "twice as much");
        assert!(other.grow());
        other.bytes.resize(READ_BYTES, b'x');
        assert!(!other.grow(), "all is taken");
        let text = one.split(READ_BYTES - 1);
        assert_eq!((text.len(), one.bytes.as_slice()), (READ_BYTES - 1, &b"x"[..]));
        assert_eq!(all.available_permits(), 0, "the text has its room until it is merged");
        one.settle();
        assert!(other.grow());
        other.bytes.clear();
        other.rest();
        assert_eq!(all.available_permits(), 3 * READ_BYTES - 1, "one has a byte of a line, the other nothing");
        one.rest();
        assert_eq!(one.bytes, b"x");
        assert_eq!(all.available_permits(), 3 * READ_BYTES - 1, "half a line is kept");
        drop((one, other));
        assert_eq!(all.available_permits(), 3 * READ_BYTES);
    }

    #[test]
    fn a_connection_never_holds_much_more_than_the_longest_line() {
        let all = Arc::new(Semaphore::new(PUSH_BYTES_MAX));
        let mut held = Held::new(&all);
        while held.bytes.len() <= PUSH_LINE_BYTES_MAX {
            assert!(held.grow());
            held.bytes.resize(held.bytes.capacity(), b'x');
        }
        assert!(PUSH_BYTES_MAX - all.available_permits() <= PUSH_LINE_BYTES_MAX + READ_BYTES);
    }

    #[test]
    fn what_the_kernel_dropped_is_found() {
        let (to, from) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        let inode = inode(&to).unwrap();
        assert_eq!(drops(inode), Some(0));
        // Nobody receives; 64 MiB are more than any socket's usual room.
        let address = to.local_addr().unwrap();
        let datagram = [0; 32 * 1024];
        for _ in 0..2_048 {
            from.send_to(&datagram, address).unwrap();
        }
        assert!(drops(inode).unwrap() > 0);
        assert_eq!(drops(u64::MAX), None);
    }

    #[test]
    fn a_list_that_is_cut_off_is_no_list() {
        let list = "  sl  local_address\n 7: 0100007F:21CB 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 42 2 0 9\n";
        assert_eq!(listed_drops(list, 42), Some(9));
        assert_eq!(listed_drops(list, 4), None);
        for end in 0..list.len() - 2 {
            assert_eq!(listed_drops(&list[..end], 42), None, "{end}");
        }
    }
}
