//! Messages that were taken and not acknowledged yet.

use crate::relay::senders::Senders;
use async_nats::Subject;
use std::collections::VecDeque;

/// Which message of a stream it is. In one that was set back, as by a restored backup, the same number has been given out anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lies {
    /// Where.
    pub(super) sequence: u64,
    /// Since when: nanoseconds, Unix.
    pub(super) since: i128,
}

impl Lies {
    /// How it is kept, with the stream's id.
    pub(super) fn text(self, stream: &str) -> String {
        format!("{} {} {stream}", self.sequence, self.since)
    }

    /// What was kept, if it is of this stream.
    pub(super) fn kept(text: &str, stream: &str) -> Option<Lies> {
        let (sequence, rest) = text.split_once(' ')?;
        let (since, _) = rest.split_once(' ').filter(|(_, id)| *id == stream)?;
        Some(Lies { sequence: sequence.parse().ok()?, since: since.parse().ok()? })
    }
}

/// A message that was taken.
#[derive(Debug)]
struct Taken {
    lies: Lies,
    /// Where it is acknowledged.
    reply: Option<Subject>,
    /// Which entry of which source has to be on the disk before; nothing where none of it counts.
    wants: Option<(String, u64)>,
}

/// How many messages a consumer has given out that came here: it numbers them from 1, those that it gives out again as well.
#[derive(Debug, Default)]
pub(super) struct Given(u64);

impl Given {
    /// One has come, with this number of the consumer's.
    ///
    /// # Errors
    /// Some before it did not: the client drops what it has not handed over when a question for messages is older than it thinks it may get.
    pub(super) fn comes(&mut self, number: u64) -> Result<(), String> {
        if number != self.0.saturating_add(1) {
            let last = self.0;
            return Err(format!(
                "the server gave out message {number} behind {last}, and none between came here: they are read again"
            ));
        }
        self.0 = number;
        Ok(())
    }
}

/// All of them, in the order of the stream. There are as many as the server gives out without an answer.
#[derive(Debug, Default)]
pub(super) struct Pending(VecDeque<Taken>);

impl Pending {
    pub(super) fn add(&mut self, lies: Lies, reply: Option<Subject>, wants: Option<(String, u64)>) {
        // One that is given out again lies before the last, and goes with that.
        self.0.push_back(Taken { lies, reply, wants });
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is waited for any more.
    pub(super) fn is_over(&self, senders: &Senders) -> bool {
        self.0.front().is_some_and(|first| is_done(first, senders))
    }

    /// Takes those out that are on the disk, with all before them: the last, where it lies and where it is acknowledged.
    pub(super) fn take(&mut self, senders: &Senders) -> Option<(Lies, Option<Subject>)> {
        let mut last: Option<(Lies, Option<Subject>)> = None;
        while self.0.front().is_some_and(|first| is_done(first, senders)) {
            let Some(first) = self.0.pop_front() else { break };
            if last.as_ref().is_none_or(|(last, _)| last.sequence < first.lies.sequence) {
                last = Some((first.lies, first.reply));
            }
        }
        last
    }
}

fn is_done(taken: &Taken, senders: &Senders) -> bool {
    let Some((source, number)) = &taken.wants else { return true };
    senders.has(source).is_some_and(|place| place.number >= *number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_consumer_gave_out_and_did_not_come_is_noticed() {
        let mut given = Given::default();
        assert_eq!((given.comes(1), given.comes(2)), (Ok(()), Ok(())));
        // The third was in the client's buffer; what comes behind it is not to be taken, however often it comes.
        for number in [4, 5, 2, 1, 0, u64::MAX] {
            assert!(given.comes(number).is_err(), "{number}");
        }
        assert_eq!(given.comes(3), Ok(()));
        assert!(Given::default().comes(2).is_err());
    }

    #[test]
    fn which_message_it_is_is_kept_with_its_stream() {
        let lies = Lies { sequence: 7, since: 1_790_000_000_123_456_789 };
        let text = lies.text("graftd@5");
        assert_eq!(text, "7 1790000000123456789 graftd@5");
        assert_eq!(Lies::kept(&text, "graftd@5"), Some(lies));
        for (text, stream) in
            [(text.as_str(), "graftd@6"), ("7 graftd@5", "graftd@5"), ("7 x graftd@5", "graftd@5"), ("", "")]
        {
            assert_eq!(Lies::kept(text, stream), None, "{text}");
        }
    }

    #[test]
    fn what_is_not_on_the_disk_holds_back_what_came_behind_it() {
        let senders = Senders::default();
        let commit = |source: &str, number: u64| {
            let text = format!("{number} 0000000000000001 host");
            senders.committed([(source, text.as_str())].into_iter());
        };
        let wants = |source: &str, number| Some((source.to_owned(), number));
        let mut pending = Pending::default();
        for (sequence, wants) in
            [(1, None), (2, wants("relay:a", 3)), (3, wants("relay:b", 1)), (4, wants("relay:a", 4)), (5, None)]
        {
            pending.add(Lies { sequence, since: 0 }, Some(Subject::from(format!("ack.{sequence}"))), wants);
        }
        let take = |pending: &mut Pending| {
            pending.take(&senders).map(|(lies, reply)| (lies.sequence, reply.unwrap().to_string()))
        };
        assert_eq!(take(&mut pending), Some((1, "ack.1".to_owned())));
        commit("relay:b", 9);
        commit("relay:a", 2);
        assert_eq!(take(&mut pending), None);
        commit("relay:a", 3);
        assert!(pending.is_over(&senders));
        assert_eq!(take(&mut pending), Some((3, "ack.3".to_owned())));
        assert!(!pending.is_over(&senders));
        commit("relay:a", 7);
        assert_eq!(take(&mut pending), Some((5, "ack.5".to_owned())));
        assert_eq!((pending.len(), take(&mut pending)), (0, None));
    }
}
