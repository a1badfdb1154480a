//! Documents pushed by TCP (one a line) and by UDP (one a datagram).
//!
//! Where a token for writing is set, the first line of a connection and every datagram is an object with the member `token`;
//! what else stands in it is merged. The member itself is taken out wherever it says one of the tokens.

mod drops;
mod held;
mod opening;
mod rooms;
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

/// Merges each document for itself; gives what is wrong with the first of the others, and how many others there are. None where the
/// daemon is stopping: none is merged then, and none counted.
async fn merge(documents: Documents, bytes: usize, from: (Way, IpAddr), shared: &Shared) -> Option<(Vec<String>, u64)> {
    let Documents { frames, good, faults, rejected } = documents;
    let leaves = if frames.is_empty() { 0 } else { shared.events.push(frames).await?.merged.leaves };
    shared.counters.push_faults.add(rejected);
    shared.counters.push_documents.add(good);
    shared.counters.push_leaves.add(leaves);
    let figures = Figures { documents: good, bytes: bytes as u64, leaves, errors: rejected, ..Figures::default() };
    shared.sources.count(from.0, from.1, figures);
    Some((faults.iter().map(ToString::to_string).collect(), rejected))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::shared;
    use crate::limits::BODY_BYTES_SHORT;
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    #[tokio::test]
    async fn who_pushes_while_the_daemon_stops_is_told_so_and_nothing_is_counted() {
        // There is no core any more.
        let shared = shared(None);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(serve_tcp(listener, Arc::clone(&shared)));
        for text in ["{\"a\":1}\n".to_owned(), format!("{{\"a\":\"{}\"}}\n", "x".repeat(BODY_BYTES_SHORT))] {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(text.as_bytes()).await.unwrap();
            let mut said = String::new();
            // Else the connection would go on.
            let heard = tokio::time::timeout(Duration::from_secs(20), client.read_to_string(&mut said)).await;
            heard.expect("it ends").unwrap();
            assert_eq!(said, "{\"end\":true,\"error\":\"this daemon is stopping\"}\n");
        }
        assert_eq!((shared.counters.push_documents.growth(), shared.counters.push_faults.growth()), (0, 0));
        serving.abort();
    }
}
