//! Who waits for what: clients that ask the same are one group.
//!
//! When a tick is over each group is looked at once: if anything it touches has changed, the answer is written once and
//! handed to all in the group. Nothing is queued for anybody. A client that comes back after two answers, or that was
//! away, is told by a walk of its own over all that changed since the last tick it knows; so a slow client costs no
//! memory and misses nothing.

use crate::core::Shared;
use crate::json::{View, write_reading, write_string};
use crate::tree::{Pattern, Tree};
use parking_lot::{Mutex, RwLockReadGuard};
use slab::Slab;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::sync::{Notify, watch};
use warp::hyper::body::Bytes;

/// What is waited for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Query {
    /// The paths.
    pub(super) patterns: Vec<Pattern>,
    /// Leaves in an answer at most; what is cut is not told again.
    pub(super) limit: usize,
}

/// What changed.
#[derive(Debug)]
pub(super) struct Delivery {
    /// Counts the group's answers, so that a client sees whether it missed one.
    number: u64,
    /// The last closed tick whose changes are in it.
    pub(super) tick: u64,
    /// The changed leaves.
    pub(super) json: Bytes,
    /// The limit cut it.
    pub(super) truncated: bool,
    /// All that changed after this tick is in it: that of the group's answer before.
    after: u64,
    /// The same as an event; written when the first stream asks for it.
    event: OnceLock<Chunk>,
}

impl Delivery {
    fn new(number: u64, after: u64, tick: u64, (json, truncated): (Vec<u8>, bool)) -> Arc<Delivery> {
        Arc::new(Delivery { number, tick, json: json.into(), truncated, after, event: OnceLock::new() })
    }

    /// As an event of an event stream.
    pub(super) fn event(&self) -> &Chunk {
        self.event.get_or_init(|| {
            // JSON as it is written here has no line ends.
            let head = format!("id: {}\ndata: ", self.tick);
            Chunk::of(&[head.as_bytes(), &self.json, b"\n\n"])
        })
    }
}

/// A piece of an answer without end, with the frame that HTTP/1.1 has around it.
#[derive(Debug)]
pub(super) struct Chunk {
    bytes: Bytes,
    /// Where the text begins; two bytes follow it.
    text: usize,
}

impl Chunk {
    /// Of these parts.
    pub(super) fn of(parts: &[&[u8]]) -> Chunk {
        let head = format!("{:x}\r\n", parts.iter().map(|part| part.len()).sum::<usize>());
        let bytes = [&[head.as_bytes()], parts, &[b"\r\n"]].concat().concat();
        Chunk { bytes: bytes.into(), text: head.len() }
    }

    /// With its frame.
    pub(super) fn framed(&self) -> &[u8] {
        &self.bytes
    }

    /// As it is written.
    pub(super) fn bytes(&self, plain: bool) -> &[u8] {
        if plain { self.text() } else { self.framed() }
    }

    /// Without it.
    pub(super) fn text(&self) -> &[u8] {
        &self.bytes[self.text..self.bytes.len() - 2]
    }

    /// The same, shared.
    pub(super) fn shared(&self) -> Bytes {
        self.bytes.slice_ref(self.text())
    }
}

/// Who is told by the thread that looks.
pub(super) trait Hears: fmt::Debug + Send + Sync {
    /// There is an answer. It does not wait for anything.
    fn told(&self, delivery: &Arc<Delivery>);
}

/// What a client has been told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// The group's answer it saw last.
    number: u64,
    /// The tick up to which it has been told all.
    since: u64,
}

/// What an answer is to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// It knows all that is in it.
    Known,
    /// It is the one that follows what it knows.
    Next,
    /// There was one before that it has not seen.
    Missed,
}

impl Place {
    /// Takes an answer as seen.
    pub(super) fn hear(&mut self, delivery: &Delivery) -> Heard {
        let follows = delivery.number == self.number + 1;
        self.number = delivery.number;
        if delivery.tick <= self.since {
            Heard::Known
        } else if follows {
            self.since = delivery.tick;
            Heard::Next
        } else {
            Heard::Missed
        }
    }
}

/// Clients that wait for the same.
#[derive(Debug)]
struct Group {
    query: Arc<Query>,
    /// The latest answer; who waits watches this.
    latest: watch::Sender<Arc<Delivery>>,
    /// The tick up to which this group has been looked at.
    looked: AtomicU64,
    /// Who is told without being woken.
    seats: Mutex<Slab<Arc<dyn Hears>>>,
}

/// All groups.
#[derive(Debug)]
pub(super) struct Groups {
    shared: Arc<Shared>,
    groups: Mutex<HashMap<Arc<Query>, Arc<Group>>>,
    /// Told when there is a group where there was none.
    first: Notify,
}

impl Groups {
    pub(super) fn new(shared: Arc<Shared>) -> Arc<Groups> {
        Arc::new(Groups { shared, groups: Mutex::default(), first: Notify::new() })
    }

    /// Looks at every group whenever a tick is over, until nobody closes ticks any more. Where there is none, ticks wake nobody.
    pub(super) async fn follow(self: Arc<Groups>) {
        loop {
            self.first.notified().await;
            let mut ticks = self.shared.live.follow();
            // One may have been closed between the first group's begin and this: what was looked at is looked at again for nothing.
            ticks.mark_changed();
            loop {
                if ticks.changed().await.is_err() {
                    return;
                }
                if self.groups.lock().is_empty() {
                    break;
                }
                let groups = Arc::clone(&self);
                // Ten thousand groups take their time: not on a thread that serves.
                if tokio::task::spawn_blocking(move || groups.look()).await.is_err() {
                    return;
                }
            }
        }
    }

    fn look(&self) {
        let groups: Vec<Arc<Group>> = self.groups.lock().values().cloned().collect();
        let mut tree = self.shared.tree.read();
        for group in groups {
            // Between two groups the core may merge.
            RwLockReadGuard::bump(&mut tree);
            let tick = tree.tick();
            let looked = group.looked.load(Ordering::Acquire);
            if looked >= tick {
                continue;
            }
            if let Some(changes) = changes(&tree, &group.query, looked) {
                RwLockReadGuard::unlocked(&mut tree, || {
                    let (number, after) = {
                        let before = group.latest.borrow();
                        (before.number + 1, before.tick)
                    };
                    let delivery = Delivery::new(number, after, tick, changes);
                    group.latest.send_replace(Arc::clone(&delivery));
                    // Not under the lock: who sits down or stands up meanwhile does not wait for all.
                    let seats: Vec<_> = group.seats.lock().iter().map(|(_, seat)| Arc::clone(seat)).collect();
                    seats.iter().for_each(|seat| seat.told(&delivery));
                });
            }
            // Only now: who sees this tick as looked at sees the answer too.
            group.looked.store(tick, Ordering::Release);
        }
    }

    /// Joins the group of a query. Without `since` only what changes from now on is told.
    pub(super) fn join(self: &Arc<Groups>, query: Query, since: Option<u64>) -> Member {
        let mut groups = self.groups.lock();
        let group = match groups.get(&query) {
            Some(group) => Arc::clone(group),
            None => {
                let query = Arc::new(query);
                let tick = self.shared.tree.read().tick();
                let group = Arc::new(Group {
                    query: Arc::clone(&query),
                    latest: watch::Sender::new(Delivery::new(0, tick, tick, (Vec::new(), false))),
                    looked: AtomicU64::new(tick),
                    seats: Mutex::default(),
                });
                groups.insert(query, Arc::clone(&group));
                if groups.len() == 1 {
                    self.first.notify_one();
                }
                group
            }
        };
        let mut latest = group.latest.subscribe();
        drop(groups);
        // In this order: what was looked at is in the answer that is read then.
        let looked = group.looked.load(Ordering::Acquire);
        let (mut number, told, after) = {
            let latest = latest.borrow_and_update();
            (latest.number, latest.tick, latest.after)
        };
        // Read after joining, so that whatever is closed later is sure to reach this member.
        let tick = self.shared.tree.read().tick();
        // What changed in the tick under way is told when that is closed: only then is it whole.
        let mut behind = since.is_some_and(|since| since != tick);
        if let Some(since) = since.filter(|since| *since < tick && looked >= tick) {
            if since >= told {
                // Nothing has changed after the group's latest answer.
                behind = false;
            } else if since >= after {
                // All it missed is in that.
                behind = false;
                number -= 1;
                latest.mark_changed();
            }
        }
        let place = Place { number, since: since.unwrap_or(tick) };
        Member { groups: Arc::clone(self), group, latest: Some(latest), place, behind }
    }

    #[cfg(test)]
    fn count(&self) -> usize {
        self.groups.lock().len()
    }

    #[cfg(test)]
    pub(super) fn seated(&self) -> usize {
        self.groups.lock().values().map(|group| group.seats.lock().len()).sum()
    }

    #[cfg(test)]
    pub(super) fn members(&self) -> usize {
        self.groups.lock().values().map(|group| group.latest.receiver_count()).sum()
    }
}

/// One client in its group; it leaves when it is dropped.
#[derive(Debug)]
pub(super) struct Member {
    groups: Arc<Groups>,
    group: Arc<Group>,
    /// There until it leaves.
    latest: Option<watch::Receiver<Arc<Delivery>>>,
    place: Place,
    /// There may be changes after its place that no coming answer of the group has.
    behind: bool,
}

impl Member {
    /// Catches up with what changed before it came; `None` when there is nothing.
    pub(super) async fn catch_up(&mut self) -> Option<Arc<Delivery>> {
        if !self.behind {
            return None;
        }
        let (shared, query) = (Arc::clone(&self.groups.shared), Arc::clone(&self.group.query));
        let since = self.place.since;
        let walked = tokio::task::spawn_blocking(move || {
            let tree = shared.tree.read();
            let tick = tree.tick();
            let changes = if since == tick { None } else { changes(&tree, &query, since) };
            (tick, changes)
        });
        // The only way to fail is that the daemon stops.
        let (tick, changes) = walked.await.ok()?;
        self.place.since = tick;
        self.behind = false;
        Some(Delivery::new(0, since, tick, changes?))
    }

    /// Waits for the next change. Nothing is lost when the wait is given up.
    pub(super) async fn next(&mut self) -> Arc<Delivery> {
        loop {
            if let Some(delivery) = self.catch_up().await {
                return delivery;
            }
            // The group's sender lives as long as this member does, so this is told of changes alone.
            if let Some(latest) = &mut self.latest
                && latest.changed().await.is_err()
            {
                std::future::pending::<()>().await;
            }
            if let Some(delivery) = self.take() {
                return delivery;
            }
        }
    }

    /// The next change, if there has been one.
    pub(super) async fn at_once(&mut self) -> Option<Arc<Delivery>> {
        loop {
            if let Some(delivery) = self.catch_up().await {
                return Some(delivery);
            }
            if !self.has_changed() {
                return None;
            }
            if let Some(delivery) = self.take() {
                return Some(delivery);
            }
        }
    }

    fn has_changed(&self) -> bool {
        self.latest.as_ref().is_some_and(|latest| latest.has_changed().unwrap_or(false))
    }

    /// The group's latest answer, if it is the one that follows what this member knows.
    fn take(&mut self) -> Option<Arc<Delivery>> {
        let delivery = Arc::clone(&self.latest.as_mut()?.borrow_and_update());
        match self.place.hear(&delivery) {
            Heard::Known => None,
            Heard::Next => Some(delivery),
            Heard::Missed => {
                self.behind = true;
                None
            }
        }
    }

    /// What it has been told.
    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// It has been told so much while it [sat](Member::sit), and may have missed something.
    pub(super) fn stood(&mut self, place: Place, missed: bool) {
        self.place = place;
        self.behind |= missed;
    }

    /// From now on a seat is told what comes, until it is left.
    pub(super) fn sit(&self, seat: &Arc<dyn Hears>) -> Sat {
        let key = self.group.seats.lock().insert(Arc::clone(seat));
        // In this order: what came before it sat is seen here, and what comes later is told to the seat.
        Sat { group: Arc::clone(&self.group), key, is_quiet: !self.has_changed() }
    }

    /// Gives up waiting: an answer that has just come, or the tick up to which nothing happened.
    pub(super) fn give_up(&mut self) -> Result<Arc<Delivery>, u64> {
        // In this order: an answer about a tick that was looked at is there.
        let looked = self.group.looked.load(Ordering::Acquire);
        if self.behind {
            return Err(self.place.since);
        }
        if self.has_changed()
            && let Some(delivery) = self.take()
        {
            return Ok(delivery);
        }
        Err(if self.behind { self.place.since } else { self.place.since.max(looked) })
    }
}

/// A seat in a group, which is left when this is dropped.
#[derive(Debug)]
pub(super) struct Sat {
    group: Arc<Group>,
    key: usize,
    is_quiet: bool,
}

impl Sat {
    /// Whether nothing came before it sat.
    pub(super) fn is_quiet(&self) -> bool {
        self.is_quiet
    }
}

impl Drop for Sat {
    fn drop(&mut self) {
        self.group.seats.lock().try_remove(self.key);
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut groups = self.groups.groups.lock();
        // Let go under the lock: of two that leave at once, the second sees that it is the last.
        self.latest = None;
        if self.group.latest.receiver_count() == 0 {
            groups.remove(&self.group.query);
        }
    }
}

/// Writes what changed after a tick, an object a leaf; `None` when nothing did. And whether the limit cut it.
fn changes(tree: &Tree, query: &Query, since: u64) -> Option<(Vec<u8>, bool)> {
    let mut out = Vec::new();
    let mut left = query.limit;
    let mut truncated = false;
    for pattern in &query.patterns {
        if !tree.changed(pattern, since) {
            continue;
        }
        // One more than there is room for tells that there is more.
        for change in tree.changes(pattern, since, left.saturating_add(1)) {
            if left == 0 {
                truncated = true;
                break;
            }
            left -= 1;
            out.extend_from_slice(if out.is_empty() { b"[{" } else { b",{" });
            write_string(&mut out, &change.path);
            out.push(b':');
            match &change.value {
                Some(reading) => write_reading(&mut out, reading, View::Whole),
                None => out.extend_from_slice(b"null"),
            }
            out.push(b'}');
        }
    }
    if out.is_empty() {
        return None;
    }
    out.push(b']');
    Some((out, truncated))
}

#[cfg(test)]
mod tests;
