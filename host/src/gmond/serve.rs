//! XML out, to whoever connects: the connection itself is the question.

use super::Stop;
use super::places::{Place, Places};
use super::render::Rendering;
use crate::conf::GmondConf;
use crate::core::Shared;
use crate::limits::{GMOND_XML_CONNECTIONS_MAX, GMOND_XML_STILL_MIN, GMOND_XML_WRITE_MAX};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

/// Gives XML out until it is to stop.
///
/// # Errors
/// None as long as the listener lives.
pub(super) async fn serve(
    listener: TcpListener,
    conf: Arc<GmondConf>,
    shared: Arc<Shared>,
    mut stop: Stop,
) -> io::Result<()> {
    let places = Arc::new(Places::new(GMOND_XML_CONNECTIONS_MAX, GMOND_XML_STILL_MIN));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.told() => return Ok(()),
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, mostly: some will be given back.
                tracing::warn!("gmond: a connection cannot be accepted: {error}");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        if !conf.allows(peer.ip()) {
            shared.counters.gmond_refused.add(1);
            continue;
        }
        let taken = places.take(Instant::now());
        // It, or who gives way to it.
        if taken.as_ref().is_none_or(|(_, gave_way)| *gave_way) {
            shared.counters.gmond_connections_refused.add(1);
        }
        let Some((place, _)) = taken else { continue };
        let (conf, shared) = (Arc::clone(&conf), Arc::clone(&shared));
        tokio::spawn(async move {
            let written = tokio::select! {
                written = write(stream, conf, Arc::clone(&shared), &place) => written,
                () = place.gives_way() => return,
            };
            // A connection that breaks is its client's affair.
            if written.is_ok() {
                shared.counters.gmond_served.add(1);
            }
        });
    }
}

async fn write(mut stream: TcpStream, conf: Arc<GmondConf>, shared: Arc<Shared>, place: &Place) -> io::Result<()> {
    let own_ip = stream.local_addr()?.ip();
    let mut rendering = apart(move || Rendering::new(shared, conf, own_ip)).await?;
    loop {
        // A fleet's XML is long, and the threads here are for all.
        let (back, piece) = apart(move || {
            let piece = rendering.next();
            (rendering, piece)
        })
        .await?;
        rendering = back;
        let Some(piece) = piece else { break };
        let mut rest = piece.as_bytes();
        // Who reads slowly reads: it is the standing still that is bounded.
        while !rest.is_empty() {
            let written =
                timeout(GMOND_XML_WRITE_MAX, stream.write(rest)).await.map_err(|_| io::ErrorKind::TimedOut)??;
            place.moves(Instant::now());
            rest = match rest.get(written..) {
                Some(rest) if written > 0 => rest,
                _ => return Err(io::ErrorKind::WriteZero.into()),
            };
        }
    }
    stream.shutdown().await
}

/// Does what takes its time on a thread for such.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)
}
