//! Documents by UDP: one a datagram.

use super::{count_drops, may, merge};
use crate::core::Shared;
use crate::ingest::sources::{Figures, Way};
use crate::json::Documents;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use tokio::net::UdpSocket;
use tokio::sync::Notify;

/// The largest datagram there is.
const DATAGRAM_BYTES: usize = 64 * 1024;

/// Takes documents, one a datagram. There is nobody to answer to: faults are counted.
///
/// # Errors
/// The socket is broken.
pub async fn serve_udp(socket: UdpSocket, shared: Arc<Shared>) -> io::Result<()> {
    let (counted, received) = (AtomicU32::new(0), Notify::new());
    tokio::select! {
        ended = datagrams(&socket, &shared, &received) => ended,
        ended = count_drops(&socket, &shared.counters.push_dropped, &counted, &received) => ended,
    }
}

async fn datagrams(socket: &UdpSocket, shared: &Shared, received: &Notify) -> io::Result<()> {
    let mut datagram = vec![0; DATAGRAM_BYTES];
    loop {
        let (length, peer) = match socket.recv_from(&mut datagram).await {
            Ok((length, peer)) => (length, peer.ip()),
            Err(_) => {
                shared.counters.push_dropped.add(1);
                continue;
            }
        };
        received.notify_one();
        let datagram = &datagram[..length];
        let too_fast = shared.sources.wait(peer).is_some();
        if too_fast || may(datagram, shared).is_err() {
            let counters = &shared.counters;
            let counter = if too_fast { &counters.push_throttled } else { &counters.push_refused };
            counter.add(1);
            counters.push_faults.add(1);
            shared.sources.count(Way::Udp, peer, Figures::REFUSED);
            continue;
        }
        let mut documents = Documents::default();
        documents.read(datagram, Some(&shared.tokens));
        merge(documents, length, (Way::Udp, peer), shared).await;
    }
}
