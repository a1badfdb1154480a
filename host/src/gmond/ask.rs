//! Asking for metadata: gmond tells it once, so who begins to listen later has to ask.
//!
//! A gmond's socket for sending does not listen, so a request goes where its own packets go in such a cluster: to the group,
//! or to the port at which the sender takes packets, if it does. The address of a packet can be forged, so what is sent
//! there is hardly larger than the packet was, and bounded in all.

use super::table::Now;
use crate::limits::GMOND_ASKS_A_SECOND;
use gmod_compat::xdr::{MetricId, Packet, encode};
use std::net::SocketAddr;

/// Makes requests, so many a second.
#[derive(Debug)]
pub(super) struct Asker {
    /// The group that is listened to; none for a single address.
    group: Option<SocketAddr>,
    /// Where senders listen; 0 asks nobody.
    port: u16,
    second: i64,
    asked: u32,
    packet: Vec<u8>,
}

impl Asker {
    pub(super) fn new(own: SocketAddr, port: u16) -> Asker {
        let group = Some(own).filter(|own| own.ip().is_multicast());
        Asker { group, port, second: 0, asked: 0, packet: Vec::new() }
    }

    /// The request for the metadata of a metric that was told from there, and where it is to go, if there is to be one now.
    pub(super) fn request(&mut self, id: MetricId<'_>, from: SocketAddr, now: Now) -> Option<(&[u8], SocketAddr)> {
        let second = now.mono_ms / 1_000;
        if second != self.second {
            (self.second, self.asked) = (second, 0);
        }
        if self.port == 0 || self.asked >= GMOND_ASKS_A_SECOND {
            return None;
        }
        self.asked += 1;
        self.packet.clear();
        encode(&Packet::Request(id), &mut self.packet);
        let to = self.group.unwrap_or_else(|| SocketAddr::new(from.ip(), self.port));
        Some((&self.packet, to))
    }
}
