//! What has been received, on its way into the tree.

use super::wire::put_place;
use crate::trend::Place;
use plugin_api::delta::wire::{Reader, Writer};
use std::borrow::Cow;
use tokio::sync::oneshot;

/// A frame that a sender has sent.
#[derive(Debug)]
pub(crate) struct Relayed {
    /// Whose it is, as [positions](crate::core::Position) are called.
    pub(crate) source: String,
    /// By what name the sender goes.
    pub(crate) host: String,
    /// Which of its entries it is.
    pub(crate) place: Place,
    pub(crate) frame: Vec<u8>,
    /// Told whether it was merged, or was there already; or why it cannot be.
    pub(crate) reply: oneshot::Sender<Result<bool, String>>,
}

impl Relayed {
    /// How far the sender has been heard when this is merged.
    pub(crate) fn position(&self) -> String {
        format!("{} {}", put_place(self.place), self.host)
    }

    /// Whether it is there already, where so much of the sender is.
    pub(crate) fn is_in(&self, position: &str) -> bool {
        super::wire::place(position).is_some_and(|place| self.place.number <= place.number)
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

/// A frame without what it says of the daemon `host` itself: nobody else knows that. `None` where it is no frame.
pub(super) fn without_own<'f>(frame: &'f [u8], host: &str) -> Option<Cow<'f, [u8]>> {
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
