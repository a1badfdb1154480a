//! Streams whose clients are told by the thread that looks.
//!
//! To wake a task for each of ten thousand clients costs as much as to write to them. So a stream that has said all there is
//! to say sits down in its group: what the group is told next is written to its socket on the spot ([`Seats`](super::seats)), and
//! its task sleeps. It stands up when its socket takes no more or when it missed something; and then it goes on by itself until it
//! may sit again. A socket is written to by one of both alone: who sits has a row there.

use super::ownlog::Waited;
use super::pull::Feed;
use super::seats::{Seat, Unsaid};
use super::wait::{Patient, gone_from};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// Tells a client event after event, until it is gone or the daemon stops.
///
/// # Errors
/// Its connection's; it took nothing for too long.
pub(super) async fn events(
    socket: TcpStream,
    mut feed: Feed,
    entry: &mut Waited,
    plain: bool,
    head: &[u8],
    patience: Duration,
) -> io::Result<()> {
    let seat = Arc::new(Seat { socket, up: Notify::new() });
    let socket = &seat.socket;
    socket.write_patiently(head, patience).await?;
    let mut gone = pin!(gone_from(socket));
    let mut stopped = pin!(feed.stopped());
    loop {
        while let Some(event) = feed.now().await {
            let chunk = event.chunk();
            entry.sent(chunk.text().len());
            socket.write_patiently(chunk.bytes(plain), patience).await?;
        }
        let sat = feed.sit(&seat, plain);
        let (mut is_gone, mut is_over) = (false, false);
        if sat.is_quiet() {
            tokio::select! {
                () = seat.up.notified() => {}
                () = &mut gone => is_gone = true,
                () = &mut stopped => is_over = true,
            }
        }
        let Some(sitting) = sat.stand() else { return Ok(()) };
        entry.sent(sitting.sent);
        feed.stood(&sitting);
        match sitting.unsaid {
            _ if is_gone => return Ok(()),
            Some(Unsaid::Failed(error)) => return Err(error),
            Some(Unsaid::Rest(event, from)) => {
                socket.write_patiently(&event.chunk().bytes(plain)[from..], patience).await?;
            }
            Some(Unsaid::Missed) | None => {}
        }
        if is_over {
            return if plain { Ok(()) } else { socket.write_patiently(b"0\r\n\r\n", patience).await };
        }
    }
}
