//! Documents pushed by TCP (one a line) and by UDP (one a datagram).

use crate::core::Shared;
use crate::json::{Fault, read_documents};
use crate::limits::{PUSH_CONNECTIONS_MAX, PUSH_IDLE_MAX, PUSH_LINE_BYTES_MAX};
use serde::Deserialize;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

/// Bytes read from a connection at once.
const READ_BYTES: usize = 64 * 1024;

/// The largest datagram there is.
const DATAGRAM_BYTES: usize = 64 * 1024;

/// Takes documents, one a line. What is wrong with one is answered with a line, `{"error":…}`; good ones are not answered.
///
/// # Errors
/// The listener is broken.
pub async fn serve_tcp(listener: TcpListener, shared: Arc<Shared>) -> io::Result<()> {
    let room = Arc::new(Semaphore::new(PUSH_CONNECTIONS_MAX));
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
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
            shared.counters.push_connections_refused.add(1);
            continue;
        };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let _permit = permit;
            // A connection that breaks is its client's affair.
            let _ = connection(stream, &shared).await;
        });
    }
}

async fn connection(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut held = Vec::new();
    // With a token set, the first line says it.
    let mut trusted = shared.token.is_none();
    loop {
        held.reserve(READ_BYTES);
        let fresh = held.len();
        let Ok(read) = timeout(PUSH_IDLE_MAX, stream.read_buf(&mut held)).await else {
            return refuse(&mut stream, "nothing was sent for too long").await;
        };
        let last = read? == 0;
        let end = match memchr::memrchr(b'\n', &held[fresh..]) {
            Some(at) => fresh + at + 1,
            None if last => held.len(),
            None if held.len() > PUSH_LINE_BYTES_MAX => {
                shared.counters.push_faults.add(1);
                return refuse(&mut stream, &format!("a line of more than {PUSH_LINE_BYTES_MAX} bytes")).await;
            }
            None => continue,
        };
        let mut lines = held[..end].split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
        if !trusted {
            match lines.next() {
                Some(line) if is_token(line, shared) => trusted = true,
                Some(_) => {
                    return refuse(&mut stream, "the first line must be {\"token\":\"…\"} with this daemon's token")
                        .await;
                }
                None => {}
            }
        }
        let faults = merge(lines, shared).await;
        for fault in &faults {
            say(&mut stream, &fault.to_string()).await?;
        }
        held.drain(..end);
        if last {
            return Ok(());
        }
    }
}

/// Takes documents, one a datagram. There is nobody to answer to: faults are counted.
///
/// # Errors
/// The socket is broken.
pub async fn serve_udp(socket: UdpSocket, shared: Arc<Shared>) -> io::Result<()> {
    let mut datagram = vec![0; DATAGRAM_BYTES];
    loop {
        let length = match socket.recv_from(&mut datagram).await {
            Ok((length, _)) => length,
            Err(_) => {
                shared.counters.push_dropped.add(1);
                continue;
            }
        };
        let document = &datagram[..length];
        if shared.token.is_some() && !is_token(document, &shared) {
            shared.counters.push_faults.add(1);
            continue;
        }
        merge([document].into_iter(), &shared).await;
    }
}

/// Merges each document for itself; gives what is wrong with the others.
async fn merge(lines: impl Iterator<Item = &[u8]>, shared: &Shared) -> Vec<Fault> {
    let mut frames = Vec::new();
    let mut faults = Vec::new();
    for line in lines {
        let documents = read_documents(line);
        frames.extend(documents.frames);
        faults.extend(documents.faults);
    }
    shared.counters.push_faults.add(faults.len() as u64);
    let count = frames.len() as u64;
    if count > 0
        && let Some(pushed) = shared.events.push(frames).await
    {
        shared.counters.push_documents.add(count);
        shared.counters.push_leaves.add(pushed.merged.leaves);
    }
    faults
}

fn is_token(line: &[u8], shared: &Shared) -> bool {
    #[derive(Deserialize)]
    struct Opening {
        token: String,
    }
    let Some(token) = &shared.token else { return true };
    serde_json::from_slice::<Opening>(line).is_ok_and(|opening| same(opening.token.as_bytes(), token.as_bytes()))
}

/// Whether two secrets are the same, in a time that tells nothing but their lengths.
#[must_use]
pub fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

async fn say(stream: &mut TcpStream, why: &str) -> io::Result<()> {
    let mut line = serde_json::json!({ "error": why }).to_string();
    line.push('\n');
    stream.write_all(line.as_bytes()).await
}

async fn refuse(stream: &mut TcpStream, why: &str) -> io::Result<()> {
    say(stream, why).await?;
    stream.shutdown().await
}
