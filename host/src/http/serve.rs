//! The listener and its connections.

use super::pace::{Overdue, Pace, Paced};
use super::route;
use super::wait::{self, Desk, HandedOn};
use super::web::{Arrival, Web};
use crate::core::Shared;
use crate::limits::{HTTP_CONNECTIONS_MAX, HTTP_HEAD_BYTES_MAX};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::sleep;
use warp::hyper::Request;
use warp::hyper::body::Bytes;
use warp::hyper::server::conn::http1;
use warp::hyper::service::{Service, service_fn};

/// Serves until `shutdown`, and then until the requests under way are answered; who waits in a `/pull/` is answered at
/// once.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>, shutdown: impl Future<Output = ()>) {
    let (stop, stopping) = watch::channel(false);
    let address = listener.local_addr().unwrap_or(shared.conf.http);
    serve_web(listener, Arc::new(Web::new(shared, address, stopping)), stop, shutdown).await;
}

/// As [`serve`], with what handlers share already made.
pub(super) async fn serve_web(
    listener: TcpListener,
    web: Arc<Web>,
    stop: watch::Sender<bool>,
    shutdown: impl Future<Output = ()>,
) {
    let followers = [tokio::spawn(Arc::clone(&web.groups).follow()), tokio::spawn(Arc::clone(&web.log).follow())];
    tokio::select! {
        () = accept(&listener, &web) => {}
        () = shutdown => {}
    }
    drop(listener);
    let _ = stop.send(true);
    // All permits are back when all connections have ended.
    let _ = web.connections.acquire_many(HTTP_CONNECTIONS_MAX as u32).await;
    for follower in followers {
        follower.abort();
    }
    web.log.hand_over();
}

async fn accept(listener: &TcpListener, web: &Arc<Web>) {
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, mostly: some will be given back.
                tracing::warn!("http: a connection cannot be accepted: {error}");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        match Arc::clone(&web.connections).try_acquire_owned() {
            Ok(permit) => {
                tokio::spawn(connection(stream, peer, Arc::clone(web), permit));
            }
            Err(_) => web.shared.counters.http_connections_refused.add(1),
        }
    }
}

async fn connection(mut stream: TcpStream, peer: SocketAddr, web: Arc<Web>, permit: OwnedSemaphorePermit) {
    let _permit = permit;
    // An answer is written at once, so there is nothing to gather.
    let _ = stream.set_nodelay(true);
    let mut before = Bytes::new();
    let mut pace = Pace::new(web.patience);
    // Until the connection ends: hyper has it, or a request that waits.
    while let Some((kept, read, handed_on)) = requests(stream, before, peer, pace, &web).await {
        let goes_on = wait::answer(&kept, *handed_on, &web).await;
        (stream, before) = (kept, read);
        if !goes_on {
            let _ = stream.shutdown().await;
            return;
        }
        pace = Pace::resumed(web.patience);
    }
}

/// Answers requests, until one waits: then it is handed on, with the connection and what has been read of the next request.
async fn requests(
    stream: TcpStream,
    before: Bytes,
    peer: SocketAddr,
    pace: Arc<Pace>,
    web: &Arc<Web>,
) -> Option<(TcpStream, Bytes, Box<HandedOn>)> {
    let mut stopping = web.stopping.clone();
    let io = TokioIo::new(Paced::new(stream, before, Arc::clone(&pace)));
    let mut overdue = Overdue::new(Arc::clone(&pace));
    let routes = TowerToHyperService::new(warp::service(route::filter(Arc::clone(web))));
    let desk = Desk::default();
    let laid = Arc::clone(&desk);
    let asked = Arc::clone(&pace);
    let service = service_fn(move |mut request: Request<_>| {
        asked.asked();
        let arrival = Arrival { peer, secure: false, version: request.version(), at: Instant::now() };
        request.extensions_mut().insert(arrival);
        let answering = routes.call(request);
        let (pace, desk) = (Arc::clone(&asked), Arc::clone(&laid));
        async move {
            let answer = wait::lay_down(answering.await, &desk).await;
            pace.answered();
            answer
        }
    });
    let mut http = http1::Builder::new();
    http.max_buf_size(HTTP_HEAD_BYTES_MAX);
    let mut connection = http.serve_connection(io, service);
    let mut stopped = false;
    let handed_on = loop {
        tokio::select! {
            // In this order: what has just happened on the connection may move the deadline.
            biased;
            handed_on = served(&mut connection, &desk, &pace) => break handed_on?,
            () = &mut overdue => return None,
            _ = stopping.wait_for(|stop| *stop), if !stopped => {
                stopped = true;
                Pin::new(&mut connection).graceful_shutdown();
            }
        }
    };
    let parts = connection.into_parts();
    let (stream, before) = parts.io.into_inner().into_inner();
    let before = if before.is_empty() { parts.read_buf } else { [parts.read_buf, before].concat().into() };
    // A buffer is not kept for what it does not hold.
    Some((stream, if before.is_empty() { Bytes::new() } else { before }, handed_on))
}

/// Serves until the connection has ended (none), or a request has been handed on and all answers before it are written.
async fn served(connection: &mut (impl Future + Unpin), desk: &Desk, pace: &Pace) -> Option<Box<HandedOn>> {
    poll_fn(|cx| {
        if Pin::new(&mut *connection).poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        // What hyper could not write it writes later, and then this is asked again.
        match if pace.is_flushed() { desk.lock().take() } else { None } {
            Some(handed_on) => Poll::Ready(Some(handed_on)),
            None => Poll::Pending,
        }
    })
    .await
}
