//! XML out, to whoever connects: the connection itself is the question.

use super::Stop;
use super::render::Rendering;
use crate::conf::GmondConf;
use crate::core::Shared;
use crate::limits::{GMOND_XML_CONNECTIONS_MAX, GMOND_XML_WRITE_MAX};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
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
    let connections = Arc::new(Semaphore::new(GMOND_XML_CONNECTIONS_MAX));
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
        let Ok(permit) = Arc::clone(&connections).try_acquire_owned() else {
            shared.counters.gmond_connections_refused.add(1);
            continue;
        };
        let (conf, shared) = (Arc::clone(&conf), Arc::clone(&shared));
        tokio::spawn(async move {
            let _permit = permit;
            // A connection that breaks is its client's affair.
            if write(stream, conf, Arc::clone(&shared)).await.is_ok() {
                shared.counters.gmond_served.add(1);
            }
        });
    }
}

async fn write(mut stream: TcpStream, conf: Arc<GmondConf>, shared: Arc<Shared>) -> io::Result<()> {
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
