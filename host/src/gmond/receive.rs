//! Packets in.

use super::Stop;
use super::ask::Asker;
use super::feed::{Feed, at};
use super::table::Took;
use crate::conf::GmondConf;
use crate::ingest::push::count_drops;
use crate::limits::GMOND_SWEEP_EVERY;
use gmod_compat::xdr::{DecodeError, Packet, decode};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at};

/// The largest datagram there is.
const DATAGRAM_BYTES: usize = 64 * 1024;

/// Datagrams taken at once before others have their turn on the thread.
const AT_ONCE: usize = 64;

/// Takes packets until it is to stop; what was taken by then is sent. What the kernel has `dropped` is known up to there.
///
/// # Errors
/// The socket is broken, or the daemon stops.
pub(super) async fn serve(
    socket: UdpSocket,
    dropped: Arc<AtomicU32>,
    conf: Arc<GmondConf>,
    mut feed: Feed,
    mut stop: Stop,
) -> io::Result<()> {
    let shared = Arc::clone(&feed.shared);
    let mut asker = Asker::new(socket.local_addr()?, conf.ask_port);
    let mut tick = interval(shared.conf.tick);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut datagram = vec![0; DATAGRAM_BYTES];
    let received = Notify::new();
    let taking = async {
        loop {
            tokio::select! {
                ready = socket.readable() => {
                    ready?;
                    received.notify_one();
                    for _ in 0..AT_ONCE {
                        match socket.try_recv_from(&mut datagram) {
                            Ok((length, from)) => {
                                let bytes = datagram.get(..length).unwrap_or_default();
                                if let Some((request, to)) = take(bytes, from, &conf, &mut feed, &mut asker)
                                    && socket.try_send_to(request, to).is_ok()
                                {
                                    shared.counters.gmond_asked.add(1);
                                }
                            }
                            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                            Err(_) => shared.counters.gmond_dropped.add(1),
                        }
                    }
                    feed.send_if_full().await?;
                }
                _ = tick.tick() => feed.tick(&conf).await?,
                () = stop.told() => return feed.tick(&conf).await,
            }
        }
    };
    tokio::select! {
        ended = taking => ended,
        ended = count_drops(&socket, &shared.counters.gmond_dropped, &dropped, &received) => ended,
    }
}

/// Takes a datagram; gives the request that it makes necessary, and where that is to go.
fn take<'a>(
    datagram: &[u8],
    from: SocketAddr,
    conf: &GmondConf,
    feed: &mut Feed,
    asker: &'a mut Asker,
) -> Option<(&'a [u8], SocketAddr)> {
    let counters = &feed.shared.counters;
    if !conf.allows(from.ip()) {
        counters.gmond_refused.add(1);
        return None;
    }
    counters.gmond_packets.add(1);
    let packet = match decode(datagram) {
        Ok(packet) => packet,
        Err(DecodeError::Unknown(_)) => {
            counters.gmond_unknown.add(1);
            return None;
        }
        Err(DecodeError::Malformed { .. }) => {
            counters.gmond_faults.add(1);
            return None;
        }
    };
    match packet {
        Packet::Metadata(_) => counters.gmond_metadata.add(1),
        Packet::Value(_) => counters.gmond_values.add(1),
        Packet::Request(_) => counters.gmond_requests.add(1),
    }
    let now = at(&feed.shared);
    let took = feed.table.lock().packet(&conf.cluster.name, &packet, from.ip(), now, &mut feed.out);
    match took {
        Took::Yes | Took::NotOurs => None,
        Took::Ask => asker.request(packet.id(), from, now),
        Took::Nameless => {
            feed.shared.counters.gmond_faults.add(1);
            None
        }
        Took::NoRoom => {
            feed.shared.counters.gmond_overflowed.add(1);
            None
        }
    }
}

/// Has hosts forgotten whose time is over.
///
/// # Errors
/// The daemon stops.
pub(super) async fn sweep(conf: Arc<GmondConf>, mut feed: Feed, mut stop: Stop) -> io::Result<()> {
    // Not at once: the life before has its last word first.
    let tick = feed.shared.conf.tick;
    let mut every = interval_at(Instant::now() + tick, sweep_every(&conf, tick));
    every.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            _ = every.tick() => {}
            () = stop.told() => return Ok(()),
        }
        let mut round = feed.table.lock().round();
        while !round.is_over() {
            let now = at(&feed.shared);
            let forgotten = feed.table.lock().sweep(&mut round, &conf, now, &mut feed.out);
            feed.shared.counters.gmond_forgotten.add(forgotten as u64);
            feed.send_if_full().await?;
            // Packets wait for the table, and the thread is for all.
            yield_now().await;
        }
        feed.send().await?;
    }
}

/// Hosts that live for less than the usual pause are looked at more often.
fn sweep_every(conf: &GmondConf, tick: Duration) -> Duration {
    if conf.host_dmax.is_zero() { GMOND_SWEEP_EVERY } else { GMOND_SWEEP_EVERY.min(conf.host_dmax).max(tick) }
}
