//! The listener and its connections.

use super::answer::{Answer, Refusal};
use super::pace::{Overdue, Pace, Paced};
use super::route;
use super::wait::{self, Desk, HandedOn};
use super::web::{Arrival, Web};
use crate::core::Shared;
use crate::ingest::keep_alive;
use crate::ingest::sources::Call;
use crate::limits::{HTTP_CONNECTIONS_MAX, HTTP_HEAD_BYTES_MAX};
use crate::tls::{NotTaken, Stream};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{sleep, timeout};
use warp::http::StatusCode;
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
        keep_alive(&stream);
        let permit = Arc::clone(&web.connections).try_acquire_owned().ok();
        let callers = &web.shared.sources.http;
        let why = match permit.map(|permit| (permit, callers.call(peer.ip()))) {
            Some((permit, Some(call))) => {
                tokio::spawn(connection(stream, peer, Arc::clone(web), (permit, call)));
                continue;
            }
            Some((_, None)) => {
                let most = callers.connections_max();
                format!(
                    "your address has {most} connections here already; close some, or keep connections open and use them again"
                )
            }
            None => format!("there are {HTTP_CONNECTIONS_MAX} connections already; try again later"),
        };
        web.shared.counters.http_connections_refused.add(1);
        // A crowd is not answered: that would take what it is refused for. Nor is TLS, which would take more.
        if let (Ok(permit), None) = (Arc::clone(&web.turned_away).try_acquire_owned(), &web.shared.tls) {
            let refused = web.patience.refused;
            tokio::spawn(async move {
                let _permit = permit;
                let refusal = Refusal::later(StatusCode::TOO_MANY_REQUESTS, Duration::from_secs(1), why);
                turn_away(stream, refusal, refused).await;
            });
        }
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, web: Arc<Web>, here: (OwnedSemaphorePermit, Call)) {
    let _here = here;
    // An answer is written at once, so there is nothing to gather.
    let _ = stream.set_nodelay(true);
    let secured = match web.shared.tls {
        None => Some(Stream::Plain(stream)),
        // What a connection needs for a while has a place of its own, and gives it back: a task is as large as the most that it ever
        // holds in itself.
        Some(_) => Box::pin(secured(stream, peer, &web)).await,
    };
    let Some(mut stream) = secured else { return };
    let mut before = Bytes::new();
    let mut pace = Pace::new(web.patience);
    // Until the connection ends: hyper has it, or a request that waits.
    while let Some((kept, read, handed_on)) = Box::pin(requests(stream, before, peer, pace, &web)).await {
        let Some(kept) = Box::pin(wait::answer(kept, *handed_on, &web)).await else { return };
        (stream, before) = (kept, read);
        pace = Pace::resumed(web.patience);
    }
}

/// With TLS, where there is a certificate; `None` when that is refused, or does not come about before the daemon stops.
async fn secured(stream: TcpStream, peer: SocketAddr, web: &Web) -> Option<Stream> {
    let Some(acceptor) = &web.shared.tls else { return Some(Stream::Plain(stream)) };
    let mut stopping = web.stopping.clone();
    let taken = tokio::select! {
        taken = acceptor.take(stream, peer.ip(), web.patience.head) => taken,
        // Nobody has asked anything yet.
        _ = stopping.wait_for(|stop| *stop) => return None,
    };
    match taken {
        Ok(stream) => Some(stream),
        Err(refused) => {
            web.shared.counters.tls_refused.add(1);
            match refused {
                NotTaken::Plain(stream) => {
                    let why = "this daemon speaks TLS: ask for https://, not http://";
                    turn_away(stream, Refusal::bad(why), web.patience.refused).await;
                }
                NotTaken::Failed(error) => tracing::debug!("http: no TLS with {peer}: {error}"),
            }
            None
        }
    }
}

/// Answers whoever is not let in, and lets it read that: what it sends is dropped for a moment.
async fn turn_away(mut stream: TcpStream, refusal: Refusal, patience: Duration) {
    let (bytes, _) = Answer::from(refusal).into_bytes(true);
    let told = async {
        stream.write_all(&bytes).await?;
        stream.shutdown().await?;
        let mut dropped = [0; 4 * 1024];
        while stream.read(&mut dropped).await? > 0 {}
        std::io::Result::Ok(())
    };
    let _ = timeout(patience, told).await;
}

/// Answers requests, until one waits: then it is handed on, with the connection and what has been read of the next request.
async fn requests(
    stream: Stream,
    before: Bytes,
    peer: SocketAddr,
    pace: Arc<Pace>,
    web: &Arc<Web>,
) -> Option<(Stream, Bytes, Box<HandedOn>)> {
    let secure = stream.is_secure();
    let mut stopping = web.stopping.clone();
    let io = TokioIo::new(Paced::new(stream, before, Arc::clone(&pace)));
    let mut overdue = Overdue::new(Arc::clone(&pace));
    let routes = TowerToHyperService::new(warp::service(route::filter(Arc::clone(web))));
    let desk = Desk::default();
    let laid = Arc::clone(&desk);
    let asked = Arc::clone(&pace);
    let service = service_fn(move |mut request: Request<_>| {
        asked.asked();
        let arrival = Arrival { peer, secure, version: request.version(), at: Instant::now() };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::shared;

    #[tokio::test]
    async fn a_connection_keeps_nothing_that_it_needs_for_a_while() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = shared(None);
        let web = Arc::new(Web::new(Arc::clone(&shared), address, watch::channel(false).1));
        let here = (
            Arc::clone(&web.connections).try_acquire_owned().unwrap(),
            shared.sources.http.call(address.ip()).unwrap(),
        );
        let stream = TcpStream::connect(address).await.unwrap();
        let bytes = size_of_val(&connection(stream, address, Arc::clone(&web), here));
        // With a handshake's room in it there were five thousand.
        assert!(bytes <= 512, "{bytes}");
    }
}
