//! What has been received, on its way into the tree.

use super::raw::Piece;
use super::wire::put_place;
use crate::ingest::Frames;
use crate::trend::Place;
use plugin_api::delta::wire::{Reader, Writer};
use std::borrow::Cow;
use std::cmp::Ordering;
use tokio::sync::oneshot;

/// What is in an entry.
#[derive(Debug)]
pub(crate) enum Entry {
    /// A delta's frame.
    Frame(Vec<u8>),
    /// What the pipes here have made of lines.
    Folded(Frames),
    /// Lines that go on as they are.
    Lines(Vec<Piece>),
}

/// An entry that a sender has sent.
#[derive(Debug)]
pub(crate) struct Relayed {
    /// Whose it is, as [positions](crate::core::Position) are called.
    pub(crate) source: String,
    /// By what name the sender goes.
    pub(crate) host: String,
    /// Which of its entries it is.
    pub(crate) place: Place,
    pub(crate) entry: Entry,
    /// Told whether it was merged, or was there already; or why it cannot be.
    pub(crate) reply: oneshot::Sender<Result<Taken, Refusal>>,
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is merged now.
    Merged,
    /// It was there, as the last of its sender.
    Last,
    /// The last of its sender is a later one: whether this one was the same nobody can tell any more.
    Before,
}

/// Why an entry is not merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is none that could be.
    Entry(String),
    /// Another sender's has its number.
    Another,
}

impl Relayed {
    /// How far the sender has been heard when this is merged.
    pub(crate) fn position(&self) -> String {
        format!("{} {}", put_place(self.place), self.host)
    }

    /// What it is where so much of the sender is there; `None` if it is new.
    pub(crate) fn known(&self, position: &str) -> Option<Result<Taken, Refusal>> {
        let last = super::wire::place(position)?;
        match self.place.number.cmp(&last.number) {
            Ordering::Greater => None,
            Ordering::Equal if self.place.tag != last.tag => Some(Err(Refusal::Another)),
            Ordering::Equal => Some(Ok(Taken::Last)),
            Ordering::Less => Some(Ok(Taken::Before)),
        }
    }
}

/// What begins the names of sources that are senders.
const SOURCE: &str = "relay:";

/// A sender's name among the sources.
pub(crate) fn source_of(stream: &str) -> String {
    format!("{SOURCE}{stream}")
}

/// Whether a source is a sender.
pub(crate) fn is_sender(source: &str) -> bool {
    source.starts_with(SOURCE)
}

/// A frame without what it says of the daemon `host` itself: nobody else knows that. `None` where it is seen to be no frame; who
/// merges it looks at all of it.
pub(super) fn without_own<'f>(frame: &'f [u8], host: &str) -> Option<Cow<'f, [u8]>> {
    // Who writes a frame of other hosts names this one nowhere, and then nothing has to be looked at.
    let name: Vec<u8> = [&[host.len().min(0x7f) as u8], host.as_bytes()].concat();
    if host.len() < 0x80 && memchr::memmem::find(frame, &name).is_none() {
        return Reader::new(frame).ok().map(|_| Cow::Borrowed(frame));
    }
    let is_own = |path: &[&str]| matches!(path, ["graftd", of, ..] if *of == host);
    let mut reader = Reader::new(frame).ok()?;
    let mut any = false;
    while let Some(entry) = reader.next_entry().ok()? {
        let _ = entry;
        any |= is_own(reader.path());
    }
    if !any {
        return Some(Cow::Borrowed(frame));
    }
    let mut reader = Reader::new(frame).ok()?;
    let mut writer = Writer::new();
    while let Some(entry) = reader.next_entry().ok()? {
        if !is_own(reader.path()) {
            writer.entry(reader.path(), entry.op);
        }
    }
    Some(Cow::Owned(writer.into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_api::delta::wire::Op;

    #[test]
    fn an_entry_is_known_by_its_number_and_one_of_a_copy_by_its_tag() {
        let relayed = |number, tag| {
            let (source, host, place) = ("relay:x".to_owned(), "web1".to_owned(), Place { number, tag });
            Relayed { source, host, place, entry: Entry::Frame(Vec::new()), reply: oneshot::channel().0 }
        };
        let last = relayed(7, 1).position();
        assert_eq!(relayed(8, 1).known(&last), None);
        assert_eq!(relayed(8, 2).known(&last), None);
        assert_eq!(relayed(7, 1).known(&last), Some(Ok(Taken::Last)));
        assert_eq!(relayed(6, 1).known(&last), Some(Ok(Taken::Before)));
        assert_eq!(relayed(7, 2).known(&last), Some(Err(Refusal::Another)));
    }

    #[test]
    fn what_is_said_of_the_receiver_itself_is_left_out() {
        let mut writer = Writer::new();
        writer.entry(&["graftd", "web1", "rss"], Op::Set(1.0));
        assert!(matches!(without_own(writer.bytes(), "here"), Some(Cow::Borrowed(_))));
        writer.entry(&["graftd", "here", "rss"], Op::Set(1.0));
        writer.entry(&["hits"], Op::Add(2.0));
        let left = without_own(writer.bytes(), "here").unwrap();
        let mut reader = Reader::new(&left).unwrap();
        let mut paths = Vec::new();
        while reader.next_entry().unwrap().is_some() {
            paths.push(reader.path().join(","));
        }
        assert_eq!(paths, ["graftd,web1,rss", "hits"]);
        assert!(without_own(&[7], "here").is_none());
    }
}
