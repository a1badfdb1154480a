//! Fetching XML of other gmonds, and gmetads.

use super::Stop;
use super::feed::{BRANCH, Feed, at};
use super::table::Took;
use crate::conf::GmondConf;
use crate::core::{Delta, Event};
use crate::limits::{GMOND_FRAME_BYTES, GMOND_POLL_TIME_MAX};
use crate::module::Branch;
use gmod_compat::xml::{Cluster, DOCUMENT_BYTES_MAX, Item, ReadError, read};
use plugin_api::delta::wire::{Op, Writer};
use std::io;
use std::sync::Arc;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Fetches one XML again and again until it is to stop.
///
/// # Errors
/// The daemon stops.
pub(super) async fn serve(
    target: (String, u16),
    conf: Arc<GmondConf>,
    mut feed: Feed,
    turns: Arc<Semaphore>,
    mut stop: Stop,
) -> io::Result<()> {
    let name = format!("{}:{}", target.0, target.1);
    let mut every = interval(conf.poll_every);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = String::new();
    loop {
        tokio::select! {
            _ = every.tick() => {}
            () = stop.told() => return Ok(()),
        }
        let document = tokio::select! {
            document = fetch(&target, &turns) => document,
            () = stop.told() => return Ok(()),
        };
        let how = match document {
            // The turn is kept until it is taken: it is large.
            Ok((document, _turn)) => {
                // A large one takes its time, and the threads are for all.
                let taken = spawn_blocking(move || {
                    let taken = take(&document, &mut feed);
                    (feed, taken)
                });
                let Ok((back, taken)) = taken.await else { return Err(io::Error::other("the daemon stops")) };
                feed = back;
                feed.tick(&conf).await?;
                taken.map_err(|error| error.to_string())
            }
            Err(why) => Err(why),
        };
        let how = match how {
            Ok(()) => {
                feed.shared.counters.gmond_polls.add(1);
                "ok".to_owned()
            }
            Err(why) => {
                feed.shared.counters.gmond_poll_faults.add(1);
                why
            }
        };
        if how != told {
            if how == "ok" {
                tracing::info!("gmond: {name} is polled");
            } else {
                tracing::warn!("gmond: {name} cannot be polled: {how}");
            }
            tell(&feed, &name, &how).await?;
            told = how;
        }
    }
}

/// How it went stands at `graftd,HOST,gmond,poll,TARGET`.
async fn tell(feed: &Feed, name: &str, how: &str) -> io::Result<()> {
    let mut out = Writer::new();
    out.entry(&[name], Op::Text(how));
    let keys = ["graftd", &feed.shared.host, "gmond", "poll"].map(str::to_owned);
    let frames = vec![(Branch { keys: keys.into(), action: None }, out.into_bytes())];
    let sent = feed.shared.events.send_async(Event::Delta(Delta { frames, ..Delta::default() })).await;
    sent.then_some(()).ok_or_else(|| io::Error::other("the daemon stops"))
}

/// Fetches a document when it is its turn, which it gives back with it. Who cannot be reached takes nobody's turn.
async fn fetch<'t>(
    (host, port): &(String, u16),
    turns: &'t Semaphore,
) -> Result<(Vec<u8>, SemaphorePermit<'t>), String> {
    let stream = in_time(TcpStream::connect((host.as_str(), *port))).await?;
    let turn = turns.acquire().await.map_err(|error| error.to_string())?;
    let mut document = Vec::new();
    // One byte more than is allowed shows that it was more.
    in_time(stream.take(DOCUMENT_BYTES_MAX as u64 + 1).read_to_end(&mut document)).await?;
    Ok((document, turn))
}

async fn in_time<T>(step: impl Future<Output = io::Result<T>>) -> Result<T, String> {
    match timeout(GMOND_POLL_TIME_MAX, step).await {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(_) => Err(format!("took longer than {GMOND_POLL_TIME_MAX:?}")),
    }
}

/// Takes what a document says. What stood before a fault in it counts.
fn take(document: &[u8], feed: &mut Feed) -> Result<(), ReadError> {
    let shared = Arc::clone(&feed.shared);
    let mut here = (String::new(), String::new());
    let mut written = at(&shared).unix_s;
    read(document, |item| {
        let now = at(&shared);
        let took = match item {
            Item::Cluster(cluster) => {
                let Cluster { name, localtime, owner, latlong, url } = cluster;
                let name = if name.is_empty() { "unspecified" } else { &*name };
                written = if localtime > 0 { localtime } else { now.unix_s };
                here = (name.to_owned(), String::new());
                let mut table = feed.table.lock();
                table.about(name, [&owner, &latlong, &url]);
                Took::Yes
            }
            Item::Host(host) if host.name.is_empty() => {
                here.1.clear();
                Took::Nameless
            }
            Item::Host(host) => {
                here.1 = host.name.to_string();
                let room = feed.table.lock().polled_host(&here.0, &host, written, now);
                if room { Took::Yes } else { Took::NoRoom }
            }
            Item::Metric(_) if here.1.is_empty() => Took::Nameless,
            Item::Metric(metric) => {
                shared.counters.gmond_polled.add(1);
                let took = feed.table.lock().polled(&here.0, &here.1, &metric, written, now, &mut feed.out);
                if feed.out.bytes().len() >= GMOND_FRAME_BYTES {
                    let frame = std::mem::take(&mut feed.out).into_bytes();
                    let branch = Branch { keys: [BRANCH.to_owned()].into(), action: None };
                    shared.events.send(Event::Delta(Delta { frames: vec![(branch, frame)], ..Delta::default() }));
                }
                took
            }
        };
        match took {
            Took::NoRoom => shared.counters.gmond_overflowed.add(1),
            Took::Nameless => shared.counters.gmond_faults.add(1),
            Took::Yes | Took::Ask | Took::NotOurs => {}
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn who_cannot_be_reached_takes_nobodys_turn() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = ("127.0.0.1".to_owned(), listener.local_addr().unwrap().port());
        let turns = Semaphore::new(1);
        let turn = turns.acquire().await.unwrap();
        // It gets as far as the connection while another has the turn.
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            drop(turn);
            stream.write_all(b"<x/>").await.unwrap();
        };
        let (fetched, ()) = tokio::join!(fetch(&target, &turns), serve);
        assert_eq!(fetched.unwrap().0, b"<x/>");
        drop(listener);
        let turn = turns.acquire().await.unwrap();
        assert!(fetch(&target, &turns).await.unwrap_err().contains("refused"), "it fails without a turn");
        drop(turn);
    }
}
