//! Whom a receiver has to ask for all that is set: senders that were new to it, or of which it missed something.

use super::link::ASK;
use super::message::token;
use super::{TELL, TOLD};
use crate::limits::NATS_ASK_MAX;
use async_nats::Client;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// After so long a sender that has not answered is asked again, so often; then when it is heard again.
const AGAIN: Duration = Duration::from_secs(10);
const TIMES: u32 = 3;

/// When a sender was asked last, and how often.
#[derive(Debug, Default)]
struct Asked {
    last: Option<Instant>,
    times: u32,
}

/// Senders that are to be asked, and the questions under way.
#[derive(Debug)]
pub(super) struct Asks {
    client: Client,
    subject: String,
    /// By what they are known: no more than there are senders.
    wanted: BTreeMap<String, Asked>,
    under_way: JoinSet<Option<String>>,
}

impl Asks {
    pub(super) fn new(client: &Client, subject: &str) -> Asks {
        Asks { client: client.clone(), subject: subject.to_owned(), wanted: BTreeMap::new(), under_way: JoinSet::new() }
    }

    /// A sender is to be asked, as soon as it is there.
    pub(super) fn want(&mut self, stream: &str) {
        if !self.wanted.contains_key(stream) {
            self.wanted.insert(stream.to_owned(), Asked::default());
        }
    }

    /// Asks some of those that are due.
    pub(super) fn ask(&mut self) {
        let room = NATS_ASK_MAX.saturating_sub(self.under_way.len());
        let now = Instant::now();
        let due = |asked: &Asked| asked.last.is_none_or(|last| now.duration_since(last) >= AGAIN);
        self.wanted.retain(|_, asked| asked.times < TIMES || !due(asked));
        for (stream, asked) in self.wanted.iter_mut().filter(|(_, asked)| due(asked)).take(room) {
            asked.last = Some(now);
            asked.times += 1;
            let (client, stream) = (self.client.clone(), stream.clone());
            let subject = format!("{}.{ASK}.{}", self.subject, token(&stream));
            self.under_way.spawn(async move {
                let answer = client.request(subject, TELL.into()).await.ok()?;
                // A stream that takes this subject too would answer as well.
                (*answer.payload == *TOLD.as_bytes()).then_some(stream)
            });
        }
    }

    /// A sender that will tell all that is set; never if none is asked.
    pub(super) async fn told(&mut self) -> Option<String> {
        let stream = self.under_way.join_next().await?.ok()??;
        self.wanted.remove(&stream);
        Some(stream)
    }
}
