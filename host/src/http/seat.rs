//! Streams whose clients are told by the thread that looks.
//!
//! To wake a task for each of ten thousand clients costs as much as to write to them. So a stream that has said all there is
//! to say sits down in its group: what the group is told next is written to its socket on the spot ([`Hears`]), and its task
//! sleeps. It stands up when its socket takes no more, when it missed something, or when nothing has happened for long; and then
//! it goes on by itself until it may sit again. A socket is written to by one of both alone: who is seated is in [`Sitting`].

use super::live::{Delivery, Heard, Hears, Place};
use super::ownlog::Waited;
use super::pull::Feed;
use super::wait::{Patient, gone_from};
use parking_lot::Mutex;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Where a stream sits.
#[derive(Debug)]
pub(super) struct Seat {
    socket: TcpStream,
    /// Without the frames of HTTP/1.1.
    plain: bool,
    sitting: Mutex<Option<Sitting>>,
    /// It has to stand up.
    up: Notify,
}

/// What is known of a stream that sits.
#[derive(Debug)]
pub(super) struct Sitting {
    /// What its client has been told.
    pub(super) place: Place,
    /// When it was told something last.
    pub(super) said: Instant,
    /// Bytes of text that were told.
    sent: usize,
    /// How the last one could not be told, if it could not: by whom nothing more is written.
    unsaid: Option<Unsaid>,
}

#[derive(Debug)]
enum Unsaid {
    /// From a byte on, what its socket did not take.
    Rest(Arc<Delivery>, usize),
    Failed(io::Error),
    /// It missed something.
    Missed,
}

impl Hears for Seat {
    fn told(&self, delivery: &Arc<Delivery>) {
        let mut seated = self.sitting.lock();
        let Some(sitting) = seated.as_mut().filter(|sitting| sitting.unsaid.is_none()) else { return };
        match sitting.place.hear(delivery) {
            Heard::Known => return,
            Heard::Missed => sitting.unsaid = Some(Unsaid::Missed),
            Heard::Next => {
                let chunk = delivery.event();
                let bytes = chunk.bytes(self.plain);
                sitting.said = Instant::now();
                sitting.sent += chunk.text().len();
                let written = match self.socket.try_write(bytes) {
                    Ok(written) => written,
                    Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => 0,
                    Err(error) => {
                        sitting.unsaid = Some(Unsaid::Failed(error));
                        return self.up.notify_one();
                    }
                };
                if written == bytes.len() {
                    return;
                }
                sitting.unsaid = Some(Unsaid::Rest(Arc::clone(delivery), written));
            }
        }
        self.up.notify_one();
    }
}

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
    let seat = Arc::new(Seat { socket, plain, sitting: Mutex::default(), up: Notify::new() });
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
        *seat.sitting.lock() = Some(Sitting { place: feed.place(), said: feed.said(), sent: 0, unsaid: None });
        let sat = feed.sit(&(Arc::clone(&seat) as Arc<dyn Hears>));
        let (mut is_gone, mut is_over) = (false, false);
        if sat.is_quiet() {
            tokio::select! {
                () = seat.up.notified() => {}
                () = feed.quiet() => {}
                () = &mut gone => is_gone = true,
                () = &mut stopped => is_over = true,
            }
        }
        drop(sat);
        let Some(Sitting { place, said, sent, unsaid }) = seat.sitting.lock().take() else { return Ok(()) };
        feed.stood(place, said, matches!(unsaid, Some(Unsaid::Missed)));
        entry.sent(sent);
        match unsaid {
            _ if is_gone => return Ok(()),
            Some(Unsaid::Failed(error)) => return Err(error),
            Some(Unsaid::Rest(delivery, from)) => {
                socket.write_patiently(&delivery.event().bytes(plain)[from..], patience).await?;
            }
            Some(Unsaid::Missed) | None => {}
        }
        if is_over {
            return if plain { Ok(()) } else { socket.write_patiently(b"0\r\n\r\n", patience).await };
        }
    }
}
