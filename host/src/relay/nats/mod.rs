//! Relays by NATS: a sender publishes its entries to a stream (JetStream), and any number of receivers read that.
//!
//! ```text
//! spool ── send.rs ──► the stream: SUBJECT.entry.ID.RELAY ──► receive.rs ── the tree ── commit
//!   ▲ dropped            │                        one durable consumer a host ◄── acknowledged │
//!   └──── acknowledged ──┘
//! ```
//!
//! To the spool the stream is the receiver. A sender publishes one message at a time, each behind the last of its subject: so entries lie
//! there in their order and none between them is missing, whoever dies. A receiver reads from where its own commit says, in order, and
//! knows entries again by their numbers, as it does those that come by TCP.

mod asks;
mod link;
mod message;
mod pending;
mod receive;
mod send;

use crate::conf::NatsConf;
pub(crate) use receive::Nats;
pub(super) use send::NatsSender;

/// What a receiver asks a sender for, and what that answers.
const TELL: &str = "tell all";
const TOLD: &str = "it is told";

/// By what a spool knows where a stream is: whichever of the servers answers.
pub(super) fn address(conf: &NatsConf) -> String {
    format!("nats:{}/{}", conf.stream, conf.subject)
}

/// Where a stream is, in words.
pub(super) fn place(conf: &NatsConf) -> String {
    format!("the stream {} ({})", conf.stream, link::addresses(conf).join(", "))
}
