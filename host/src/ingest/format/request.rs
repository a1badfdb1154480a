//! Taking a request line apart.

use memchr::{memchr, memrchr};

/// Where the parts of a request line end and begin, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// The end of the method. One byte after it the target begins.
    pub(super) method: usize,
    /// The end of the target; that of the request where it has no protocol.
    pub(super) url: usize,
    /// Where the protocol begins, which goes to the end of the request.
    pub(super) protocol: usize,
}

/// The bytes a method may have: `tchar` of RFC 9110, section 5.6.2.
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut i = 0;
    while i < 128 {
        table[i] = (i as u8).is_ascii_alphanumeric();
        i += 1;
    }
    let marks = b"!#$%&'*+-.^_`|~";
    let mut i = 0;
    while i < marks.len() {
        table[marks[i] as usize] = true;
        i += 1;
    }
    table
};

/// Splits `GET /x HTTP/1.1`, or says that it is nothing of the kind.
///
/// The target is all that stands between the first space and a last word that begins with `HTTP/`, so
/// one with raw spaces is kept whole. Without a protocol (HTTP/0.9, or a request that was too long and
/// cut) the target must look like one, for what scanners and other protocols send has words too.
#[inline(always)]
pub(super) fn split(text: &[u8]) -> Option<Request> {
    let method = method_end(text)?;
    if method == 0 || text[method] != b' ' {
        return None;
    }
    let target = &text[method + 1..];
    if let Some(at) = protocol(target) {
        // One byte before it is the space that ends the target.
        return (at > 1).then_some(Request { method, url: method + at, protocol: method + 1 + at });
    }
    let bare = target.first() == Some(&b'/') || target == b"*" || has_scheme(target);
    bare.then_some(Request { method, url: text.len(), protocol: text.len() })
}

/// Where the method ends.
#[inline]
fn method_end(text: &[u8]) -> Option<usize> {
    // Those that browsers send, at one look.
    match text {
        [b'G', b'E', b'T', b' ', ..] => Some(3),
        [b'P', b'O', b'S', b'T', b' ', ..] | [b'H', b'E', b'A', b'D', b' ', ..] => Some(4),
        _ => text.iter().position(|&byte| !TOKEN[usize::from(byte)]),
    }
}

/// Where `HTTP/1.1` begins, if the last word is such.
#[inline]
fn protocol(target: &[u8]) -> Option<usize> {
    if let Some((rest, [b' ', b'H', b'T', b'T', b'P', b'/', major, b'.', minor])) = target.split_last_chunk()
        && major.is_ascii_digit()
        && minor.is_ascii_digit()
    {
        return Some(rest.len() + 1);
    }
    let at = memrchr(b' ', target)? + 1;
    target[at..].starts_with(b"HTTP/").then_some(at)
}

fn has_scheme(target: &[u8]) -> bool {
    memchr(b':', target).is_some_and(|at| at > 0 && target[at..].starts_with(b"://"))
}
