//! Lines of a log on their way, and the form of them in an entry of a spool.
//!
//! ```text
//! entry   = "raw" 1 zstd(pieces)
//! pieces  = (length:u32 head kind:u8 length:u32 bytes)*      numbers are little endian
//! head    = JSON: of which log they are, and how that is read
//! kind    = 0: whole lines | 1: the beginning of one that is too long
//! ```
//!
//! What a head has that is not known is passed over. No delta's entry begins so, for that is zstd alone.

use super::super::pack::{Packed, Unpacking, compress, unpack_within};
use crate::conf::{OWN_BRANCH, Prefix};
use crate::ingest::format::Format;
use crate::limits::{
    GROUPS_MAX, HEADER_BYTES_MAX, RAW_ENTRY_BYTES, RAW_FORMAT_BYTES_MAX, RAW_FORMATS_MAX, RAW_HEAD_BYTES_MAX,
    RAW_PIECES_MAX, RELAY_SMALL_FRAME_BYTES,
};
use plugin_api::limits::{DEPTH_MAX, KEY_BYTES_MAX};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::sync::Arc;

/// How an entry begins that has lines.
const MARK: &[u8; 4] = b"raw\x01";

/// The longest name of a host or a log, in bytes.
const NAME_BYTES_MAX: usize = 255;

const WHOLE: u8 = 0;
const TOO_LONG: u8 = 1;

/// Of which log lines are, and how they are read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct RawOrigin {
    /// The host that has the log, and the log's name there.
    pub(crate) host: String,
    pub(crate) log: String,
    /// What the branches of pipes hang below.
    pub(crate) prefix: Vec<String>,
    /// Where among these keys that of the virtual host belongs, if there is one, and how many are kept apart.
    pub(crate) vhost: Option<usize>,
    pub(crate) vhosts_max: usize,
    /// The formats that they may be in; a line is in the first that it fits.
    pub(crate) formats: Vec<String>,
}

impl RawOrigin {
    /// Of a log here.
    pub(crate) fn new(host: &str, log: &str, prefix: &Prefix, formats: Vec<String>) -> RawOrigin {
        let Prefix { keys, vhost, max } = prefix.clone();
        RawOrigin { host: host.to_owned(), log: log.to_owned(), prefix: keys, vhost, vhosts_max: max, formats }
    }

    /// As a log has it.
    pub(super) fn place(&self) -> Prefix {
        Prefix { keys: self.prefix.clone(), vhost: self.vhost, max: self.vhosts_max }
    }
}

/// Lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RawLines {
    /// Whole ones.
    Whole(Vec<u8>),
    /// The beginning of one that is too long.
    TooLong(Vec<u8>),
}

impl RawLines {
    fn parts(&self) -> (u8, &[u8]) {
        match self {
            RawLines::Whole(bytes) => (WHOLE, bytes),
            RawLines::TooLong(bytes) => (TOO_LONG, bytes),
        }
    }
}

/// Lines of one log that follow each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) origin: Arc<RawOrigin>,
    /// The header that holds where they begin, where the format has one.
    pub(crate) header: Option<String>,
    pub(crate) lines: RawLines,
}

impl Piece {
    /// Bytes of its lines.
    pub(crate) fn bytes(&self) -> usize {
        self.lines.parts().1.len()
    }
}

/// What a relay is to send.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outgoing {
    pub(crate) pieces: Vec<Arc<Piece>>,
    /// What all of it hangs below where it arrives.
    pub(crate) prefix: Vec<String>,
}

/// What stands before lines.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    host: String,
    log: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    prefix: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vhost: Option<usize>,
    #[serde(default)]
    vhosts_max: usize,
    formats: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    header: Option<String>,
}

/// Whether an entry has lines.
pub(crate) fn is_raw(data: &[u8]) -> bool {
    data.starts_with(MARK)
}

/// Entries of lines, in their order.
pub(crate) fn pack_raw(outgoing: &Outgoing) -> Vec<Packed> {
    let mut packed = Vec::new();
    let (mut payload, mut pieces) = (Vec::new(), 0);
    let mut done = |payload: &mut Vec<u8>| {
        let mut data = MARK.to_vec();
        data.append(&mut compress(std::mem::take(payload)));
        packed.push(Packed { folded: 1, data });
    };
    for piece in &outgoing.pieces {
        if pieces > 0 && (payload.len() + piece.bytes() > RAW_ENTRY_BYTES || pieces == RAW_PIECES_MAX) {
            done(&mut payload);
            pieces = 0;
        }
        put(&mut payload, piece, &outgoing.prefix);
        pieces += 1;
    }
    if pieces > 0 {
        done(&mut payload);
    }
    packed
}

fn put(payload: &mut Vec<u8>, piece: &Piece, below: &[String]) {
    let RawOrigin { host, log, prefix, vhost, vhosts_max, formats } = &*piece.origin;
    let head = Head {
        host: host.clone(),
        log: log.clone(),
        prefix: below.iter().chain(prefix).cloned().collect(),
        vhost: vhost.map(|at| at + below.len()),
        vhosts_max: *vhosts_max,
        formats: formats.clone(),
        header: piece.header.clone(),
    };
    // It has nothing that JSON cannot say.
    let head = serde_json::to_vec(&head).unwrap_or_default();
    let (kind, lines) = piece.lines.parts();
    payload.extend_from_slice(&(head.len() as u32).to_le_bytes());
    payload.extend_from_slice(&head);
    payload.push(kind);
    payload.extend_from_slice(&(lines.len() as u32).to_le_bytes());
    payload.extend_from_slice(lines);
}

/// The lines in an entry.
///
/// # Errors
/// It has none, or more than may be sent, or they are of no log that could be.
pub(in crate::relay) fn unpack_raw(data: &[u8]) -> Result<Vec<Piece>, String> {
    let packed = data.strip_prefix(MARK).ok_or("an entry has no lines")?;
    let payload = unpack_within(packed, RELAY_SMALL_FRAME_BYTES).map_err(|why| match why {
        Unpacking::Large(most) => format!("an entry of lines unpacks to more than {most} bytes"),
        Unpacking::Wrong(why) => why,
    })?;
    let mut rest = payload.as_slice();
    let mut pieces = Vec::new();
    let mut formats = HashSet::new();
    while !rest.is_empty() {
        if pieces.len() == RAW_PIECES_MAX {
            return Err(format!("an entry has lines at more than {RAW_PIECES_MAX} places"));
        }
        pieces.push(take(&mut rest, &mut formats)?);
    }
    Ok(pieces)
}

fn take(rest: &mut &[u8], known: &mut HashSet<String>) -> Result<Piece, String> {
    let head = block(rest)?;
    if head.len() > RAW_HEAD_BYTES_MAX {
        return Err(format!("what is said of lines has more than {RAW_HEAD_BYTES_MAX} bytes"));
    }
    let head: Head = serde_json::from_slice(head).map_err(|error| format!("what is said of lines: {error}"))?;
    let (kind, left) = rest.split_first().ok_or(CUT)?;
    *rest = left;
    let bytes = block(rest)?.to_vec();
    let lines = match *kind {
        WHOLE => RawLines::Whole(bytes),
        TOO_LONG => RawLines::TooLong(bytes),
        _ => return Err("lines of no kind that is known".to_owned()),
    };
    check(&head)?;
    compile(&head, known)?;
    let Head { host, log, prefix, vhost, vhosts_max, formats, header } = head;
    let origin = Arc::new(RawOrigin { host, log, prefix, vhost, vhosts_max, formats });
    Ok(Piece { origin, header, lines })
}

/// Whether a log could be so.
fn check(head: &Head) -> Result<(), String> {
    let names = [&head.host, &head.log];
    if names.iter().any(|name| name.is_empty() || name.len() > NAME_BYTES_MAX) {
        return Err(format!("the names of a log and its host have 1 to {NAME_BYTES_MAX} bytes"));
    }
    // Threads have names of logs, and no file and no thread can be called so.
    if names.iter().any(|name| name.contains('\0')) {
        return Err("the name of a log or its host has a NUL".to_owned());
    }
    let is_key = |key: &String| !key.is_empty() && key.len() <= KEY_BYTES_MAX;
    if head.prefix.len() >= DEPTH_MAX || !head.prefix.iter().all(is_key) {
        return Err("a log's prefix is none".to_owned());
    }
    if head.prefix.first().is_some_and(|key| key == OWN_BRANCH) && head.vhost != Some(0) {
        return Err(format!("a log's prefix is below {OWN_BRANCH}, where daemons tell of themselves"));
    }
    if head.vhost.is_some_and(|at| at > head.prefix.len()) || head.vhosts_max > GROUPS_MAX {
        return Err("a log's virtual hosts are none".to_owned());
    }
    let is_format = |format: &String| format.len() <= RAW_FORMAT_BYTES_MAX;
    if head.formats.is_empty() || head.formats.len() > RAW_FORMATS_MAX || !head.formats.iter().all(is_format) {
        return Err(format!("a log has 1 to {RAW_FORMATS_MAX} formats of at most {RAW_FORMAT_BYTES_MAX} bytes"));
    }
    if head.header.as_ref().is_some_and(|header| header.len() > HEADER_BYTES_MAX) {
        return Err(format!("a log's header has more than {HEADER_BYTES_MAX} bytes"));
    }
    Ok(())
}

/// Whether its formats are some: said here, where lines first arrive, for behind it they could not be folded ever. Those that are
/// `known` to be are not read again.
fn compile(head: &Head, known: &mut HashSet<String>) -> Result<(), String> {
    for format in &head.formats {
        if !known.contains(format) {
            Format::compile(format).map_err(|error| format!("a format of the log {}: {error}", head.log))?;
            known.insert(format.clone());
        }
    }
    Ok(())
}

const CUT: &str = "an entry of lines is cut off";

fn block<'b>(rest: &mut &'b [u8]) -> Result<&'b [u8], String> {
    let (length, left) = rest.split_first_chunk().ok_or(CUT)?;
    let (block, left) = left.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or(CUT)?;
    *rest = left;
    Ok(block)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    fn piece(log: &str, lines: RawLines) -> Piece {
        let prefix = Prefix { keys: vec!["web".to_owned(), "x".to_owned()], vhost: Some(1), max: 7 };
        let origin = RawOrigin::new("web1", log, &prefix, vec!["timed".to_owned(), "json".to_owned()]);
        Piece { origin: Arc::new(origin), header: Some("#Fields: date".to_owned()), lines }
    }

    fn outgoing(pieces: Vec<Piece>, prefix: &[&str]) -> Outgoing {
        let prefix = prefix.iter().map(|key| (*key).to_owned()).collect();
        Outgoing { pieces: pieces.into_iter().map(Arc::new).collect(), prefix }
    }

    #[test]
    fn what_is_packed_is_unpacked_in_its_order_and_below_the_relays_prefix() {
        let block = RawLines::Whole(b"a line\n".repeat(40_000));
        let all: Vec<Piece> = (0..9).map(|n| piece(&n.to_string(), block.clone())).collect();
        let all = [all, vec![piece("long", RawLines::TooLong(vec![0xff; 9]))]].concat();
        let packed = pack_raw(&outgoing(all.clone(), &["site"]));
        assert!(packed.len() > 2 && packed.len() < 9 && packed.iter().all(|packed| is_raw(&packed.data)));
        let mut found: Vec<Piece> = packed.iter().flat_map(|packed| unpack_raw(&packed.data).unwrap()).collect();
        for piece in &mut found {
            assert_eq!(
                (&piece.origin.prefix[..], piece.origin.vhost),
                (&["site", "web", "x"].map(str::to_owned)[..], Some(2))
            );
            let origin = Arc::make_mut(&mut piece.origin);
            origin.prefix.remove(0);
            origin.vhost = Some(1);
        }
        assert!(found == all);
        assert!(pack_raw(&Outgoing::default()).is_empty());
        let many: Vec<Piece> = (0..RAW_PIECES_MAX + 1).map(|_| piece("x", RawLines::Whole(b"\n".to_vec()))).collect();
        assert_eq!(pack_raw(&outgoing(many, &[])).len(), 2);
    }

    #[test]
    fn what_no_log_could_be_is_refused() {
        let refused = |change: &dyn Fn(&mut RawOrigin)| {
            let mut piece = piece("x", RawLines::Whole(Vec::new()));
            change(Arc::make_mut(&mut piece.origin));
            unpack_raw(&pack_raw(&outgoing(vec![piece], &[]))[0].data).unwrap_err()
        };
        assert!(refused(&|origin| origin.host.clear()).contains("names of a log"));
        assert!(refused(&|origin| origin.log = "x".repeat(256)).contains("names of a log"));
        assert!(refused(&|origin| origin.prefix = vec![OWN_BRANCH.to_owned()]).contains("tell of themselves"));
        assert!(refused(&|origin| origin.prefix = vec![String::new()]).contains("prefix"));
        assert!(refused(&|origin| origin.vhost = Some(3)).contains("virtual hosts"));
        assert!(refused(&|origin| origin.vhosts_max = GROUPS_MAX + 1).contains("virtual hosts"));
        assert!(refused(&|origin| origin.formats.clear()).contains("formats"));
        assert!(refused(&|origin| origin.formats[0] = "x".repeat(RAW_FORMAT_BYTES_MAX + 1)).contains("formats"));
        assert!(refused(&|origin| origin.formats[1] = "%>s %>".to_owned()).contains("a format of the log x"));
        assert!(refused(&|origin| origin.log = "x\0".to_owned()).contains("NUL"));
        assert!(refused(&|origin| origin.host = "\0".to_owned()).contains("NUL"));
        let bomb = Piece {
            lines: RawLines::Whole(vec![b'\n'; RELAY_SMALL_FRAME_BYTES]),
            ..piece("x", RawLines::Whole(vec![]))
        };
        assert!(unpack_raw(&pack_raw(&outgoing(vec![bomb], &[]))[0].data).unwrap_err().contains("more than"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80), at in 0usize..200, cut in 0usize..300) {
            let packed = |payload: &[u8]| [&MARK[..], &compress_to_vec(payload, CompressionLevel::Fastest)].concat();
            let _ = unpack_raw(&bytes);
            let _ = unpack_raw(&packed(&bytes));
            let mut good = Vec::new();
            put(&mut good, &piece("x", RawLines::Whole(b"a line\n".to_vec())), &[]);
            prop_assert!(unpack_raw(&packed(&good)).is_ok());
            let mut bad = good.clone();
            bad.truncate(cut);
            let place = at.min(good.len() - 1);
            good[place] = good[place].wrapping_add(bytes.first().copied().unwrap_or(1));
            for payload in [bad, good] {
                let _ = unpack_raw(&packed(&payload));
            }
        }
    }
}
