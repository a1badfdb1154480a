//! The first line of a connection that has to say a token. Until it is there, the connection has no part in the room for lines.

use super::may;
use super::rooms::Rooms;
use super::tcp::{Ended, NO_DOCUMENT, is_begin, lines};
use crate::core::Shared;
use crate::limits::{PUSH_OPENING_BYTES_MAX, PUSH_OPENINGS_BYTES_MAX, PUSH_OWN_BYTES};
use crate::tls::Stream;
use std::io;
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};

/// Reads until the first line is there, and looks whether it says a token with which may be pushed. Gives what was read, that line
/// included; or why the connection ends.
pub(super) async fn opening(
    stream: &mut Stream,
    until: Instant,
    shared: &Shared,
    rooms: &Rooms,
) -> io::Result<Result<Vec<u8>, Ended>> {
    let mut bytes = Vec::with_capacity(PUSH_OWN_BYTES);
    let mut room = None;
    loop {
        // Over all of it, however its bytes come.
        match timeout_at(until, stream.ready()).await {
            Ok(ready) => ready?,
            Err(_) => return Ok(Err(Ended::Late("the first line, with the token, was not there in time"))),
        }
        if bytes.len() == bytes.capacity() {
            if room.is_some() {
                let why = format!("a first line of more than {PUSH_OPENING_BYTES_MAX} bytes");
                return Ok(Err(Ended::Broken(why)));
            }
            let Ok(more) = Arc::clone(&rooms.openings).try_acquire_many_owned(PUSH_OPENING_BYTES_MAX as u32) else {
                let why = format!(
                    "more than {PUSH_OPENINGS_BYTES_MAX} bytes of first lines are under way; say the token in a line of its own, \
                     or try again later"
                );
                return Ok(Err(Ended::Refused(why)));
            };
            room = Some(more);
            bytes.reserve_exact(PUSH_OPENING_BYTES_MAX - bytes.len());
        }
        let before = bytes.len();
        let last = match stream.try_read(&mut bytes) {
            Ok(read) => read == 0,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        };
        if !is_begin(&bytes) {
            return Ok(Err(Ended::Broken(NO_DOCUMENT.to_owned())));
        }
        // All of it is looked at when a line may have ended, or whoever sends byte by byte would have much done for little.
        if !last && memchr::memchr(b'\n', &bytes[before..]).is_none() {
            continue;
        }
        let line = lines(&bytes).next();
        match line {
            None if last => return Ok(Err(Ended::Closed)),
            Some(line) if last || line.as_ptr_range().end < bytes.as_ptr_range().end => {
                if let Err(why) = may(line, shared) {
                    shared.counters.push_refused.add(1);
                    return Ok(Err(Ended::Refused(why.to_owned())));
                }
                return Ok(Ok(bytes));
            }
            _ => {}
        }
    }
}
