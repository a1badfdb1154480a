//! Bytes of unknown encoding as text.

use std::borrow::Cow;

/// Bytes as text: UTF-8 where it is some, and else every byte that is none as Latin-1, which no byte fails to be. gmond sends
/// what its modules gave it, in any encoding.
#[must_use]
pub fn text(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(bytes.len() + bytes.len() / 2);
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(chunk.invalid().iter().map(|byte| char::from(*byte)));
    }
    Cow::Owned(out)
}
