//! Documents pushed by TCP (one a line) and by UDP (one a datagram).
//!
//! Where a token for writing is set, the first line of a connection and every datagram is an object with the member `token`;
//! what else stands in it is merged. The member itself is taken out wherever it says one of the tokens.

mod drops;
mod held;
mod tcp;
mod udp;

pub(crate) use drops::count_drops;
pub use tcp::serve_tcp;
pub use udp::serve_udp;

use super::sources::{Figures, Way};
use crate::core::Shared;
use crate::json::Documents;
use crate::tokens::Access;
use serde::Deserialize;
use std::net::IpAddr;

/// Merges each document for itself; gives what is wrong with the first of the others, and how many others there are.
async fn merge(documents: Documents, bytes: usize, from: (Way, IpAddr), shared: &Shared) -> (Vec<String>, u64) {
    let mut figures =
        Figures { documents: documents.good, bytes: bytes as u64, errors: documents.rejected, ..Figures::default() };
    shared.counters.push_faults.add(documents.rejected);
    shared.counters.push_documents.add(documents.good);
    if !documents.frames.is_empty()
        && let Some(pushed) = shared.events.push(documents.frames).await
    {
        shared.counters.push_leaves.add(pushed.merged.leaves);
        figures.leaves = pushed.merged.leaves;
    }
    shared.sources.count(from.0, from.1, figures);
    (documents.faults.iter().map(ToString::to_string).collect(), documents.rejected)
}

/// Whether an object may push, by what it says as its member `token`.
///
/// # Errors
/// Why not.
fn may(line: &[u8], shared: &Shared) -> Result<(), &'static str> {
    #[derive(Deserialize)]
    struct Opening {
        token: String,
    }
    if !shared.tokens.ask_for(Access::Write) {
        return Ok(());
    }
    // An array would do for a struct too, but not for a document.
    let is_object = line.trim_ascii_start().starts_with(b"{");
    let opening = if is_object { serde_json::from_slice::<Opening>(line).ok() } else { None };
    match opening.and_then(|opening| shared.tokens.rights(opening.token.as_bytes())) {
        Some(rights) if rights.allow(Access::Write) => Ok(()),
        Some(_) => {
            Err("this token reads, and does not push; say that of write_token_file or token_file in graftd.conf")
        }
        None => Err("the first line must be {\"token\":\"…\"} with this daemon's token"),
    }
}
