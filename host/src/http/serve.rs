//! The listener and its connections.

use super::pace::{Overdue, Pace, Paced};
use super::route;
use super::web::{Arrival, Web};
use crate::core::Shared;
use crate::limits::{HTTP_CONNECTIONS_MAX, HTTP_HEAD_BYTES_MAX};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::sleep;
use warp::hyper::Request;
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

async fn connection(stream: TcpStream, peer: SocketAddr, web: Arc<Web>, permit: OwnedSemaphorePermit) {
    let _permit = permit;
    // An answer is written at once, so there is nothing to gather.
    let _ = stream.set_nodelay(true);
    let mut stopping = web.stopping.clone();
    let pace = Pace::new(web.patience);
    let io = TokioIo::new(Paced::new(stream, Arc::clone(&pace)));
    let mut overdue = Overdue::new(Arc::clone(&pace));
    let routes = TowerToHyperService::new(warp::service(route::filter(web)));
    let service = service_fn(move |mut request: Request<_>| {
        pace.asked();
        let arrival = Arrival { peer, version: request.version(), at: Instant::now() };
        request.extensions_mut().insert(arrival);
        let answering = routes.call(request);
        let pace = Arc::clone(&pace);
        async move {
            let answer = answering.await;
            pace.answered();
            answer
        }
    });
    let mut http = http1::Builder::new();
    http.max_buf_size(HTTP_HEAD_BYTES_MAX);
    let mut connection = pin!(http.serve_connection(io, service));
    // A connection that breaks is its client's affair.
    tokio::select! {
        // In this order: what has just happened on the connection may move the deadline.
        biased;
        _ = connection.as_mut() => return,
        () = &mut overdue => return,
        _ = stopping.wait_for(|stop| *stop) => {}
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        biased;
        _ = connection => {}
        () = overdue => {}
    }
}
