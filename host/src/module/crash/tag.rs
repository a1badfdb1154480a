//! What is written down of a module that killed the daemon.

/// What is written down of a module: `FINGERPRINT NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tag(Box<str>);

impl Tag {
    /// Of a module's name and its plugin's [`fingerprint`](super::fingerprint).
    pub(crate) fn new(module: &str, fingerprint: u64) -> Tag {
        Tag(format!("{fingerprint:016x} {module}").into())
    }

    /// The fingerprint and the name that it was made of.
    pub(super) fn parse(text: &str) -> Option<(u64, &str)> {
        let (fingerprint, name) = text.split_once(' ')?;
        Some((u64::from_str_radix(fingerprint, 16).ok()?, name))
    }

    /// As it is written down.
    pub(super) fn text(&self) -> &str {
        &self.0
    }
}
