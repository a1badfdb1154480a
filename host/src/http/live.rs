//! Who waits for what: clients that ask the same are one group.
//!
//! When a tick is over each group is looked at once: if anything it touches has changed, the answer is written once and
//! handed to all in the group. Nothing is queued for anybody. A client that comes back after two answers, or that was
//! away, is told by a walk of its own over all that changed since the last tick it knows; so a slow client costs no
//! memory and misses nothing.

mod told;

pub(super) use told::{Chunk, Delivery, Event, Heard, Place};

use super::seats::{Seat, Seats, Sitting, Unsaid, Words};
use crate::core::Shared;
use crate::json::{View, write_reading, write_string};
use crate::tree::{Pattern, Tree};
use parking_lot::{Mutex, RwLockReadGuard};
use std::collections::HashMap;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};

/// How often is looked for streams that have been silent for long, when no tick ends.
const QUIET_LOOK: Duration = Duration::from_secs(1);

/// What is waited for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Query {
    /// The paths.
    pub(super) patterns: Vec<Pattern>,
    /// Leaves in an answer at most; what is cut is not told again.
    pub(super) limit: usize,
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
    seats: Seats,
    /// Some in them have still to be told the latest.
    telling: AtomicBool,
}

/// What streams that sit have still to be told: each group some, and then the next, so that none waits for a large one.
#[derive(Debug, Default)]
struct Telling {
    /// Each with the last socket that was written to.
    groups: Vec<(Arc<Group>, Words, RawFd)>,
    /// One of them was not looked at for that.
    again: bool,
}

impl Telling {
    fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Tells the first streams of a group; the others have their turn.
    fn begin(&mut self, group: &Arc<Group>, words: Words) {
        if let Some(last) = group.seats.tell(&words, None) {
            group.telling.store(true, Ordering::Relaxed);
            self.groups.push((Arc::clone(group), words, last));
        }
    }

    /// Tells some more of each group.
    fn go_on(&mut self) {
        self.groups.retain_mut(|(group, words, last)| match group.seats.tell(words, Some(*last)) {
            Some(later) => {
                *last = later;
                true
            }
            None => {
                group.telling.store(false, Ordering::Relaxed);
                false
            }
        });
    }
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
        let mut telling = Telling::default();
        loop {
            self.first.notified().await;
            let mut ticks = self.shared.follow_ticks().await;
            // One may have been closed between the first group's begin and this: what was looked at is looked at again for nothing.
            ticks.mark_changed();
            loop {
                if telling.is_empty() && !telling.again {
                    // With long ticks, or none for a while, streams are told that nothing has happened.
                    if let Ok(Err(_)) = timeout(QUIET_LOOK, ticks.changed()).await {
                        return;
                    }
                    if self.groups.lock().is_empty() {
                        break;
                    }
                } else if ticks.has_changed().is_err() {
                    return;
                }
                let groups = Arc::clone(&self);
                // Ten thousand groups take their time: not on a thread that serves.
                let looking = tokio::task::spawn_blocking(move || {
                    ticks.mark_unchanged();
                    groups.look(&mut telling, Instant::now());
                    // A look at the groups whose streams are all told does not wait for the large ones.
                    while !telling.is_empty() && ticks.has_changed().is_ok_and(|changed| !changed) {
                        telling.go_on();
                    }
                    (ticks, telling)
                });
                match looking.await {
                    Ok(looked) => (ticks, telling) = looked,
                    Err(_) => return,
                }
            }
        }
    }

    fn look(&self, telling: &mut Telling, now: Instant) {
        // So that those who are told bit by bit come to an end, however often ticks are closed.
        telling.go_on();
        telling.again = false;
        let groups: Vec<Arc<Group>> = self.groups.lock().values().cloned().collect();
        let mut tree = self.shared.tree.read();
        for group in groups {
            if group.telling.load(Ordering::Relaxed) {
                // What changes meanwhile is told when it is done.
                telling.again = true;
                continue;
            }
            // Between two groups the core may merge.
            RwLockReadGuard::bump(&mut tree);
            let tick = tree.tick();
            let looked = group.looked.load(Ordering::Acquire);
            let changes = if looked < tick { changes(&tree, &group.query, looked) } else { None };
            if let Some(changes) = changes {
                RwLockReadGuard::unlocked(&mut tree, || {
                    let (number, after) = {
                        let before = group.latest.borrow();
                        (before.number + 1, before.tick)
                    };
                    let delivery = Delivery::new(number, after, tick, changes);
                    group.latest.send_replace(Arc::clone(&delivery));
                    telling.begin(&group, Words::News(delivery));
                });
            } else if group.seats.is_silent(now) {
                RwLockReadGuard::unlocked(&mut tree, || telling.begin(&group, Words::Silence(now)));
            }
            // Only now: who sees this tick as looked at sees the answer too.
            group.looked.fetch_max(tick, Ordering::Release);
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
                    seats: Seats::default(),
                    telling: AtomicBool::new(false),
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

    /// Looks at all groups, and tells all.
    #[cfg(test)]
    pub(super) fn look_at(&self, now: Instant) {
        let mut telling = Telling::default();
        self.look(&mut telling, now);
        while !telling.is_empty() {
            telling.go_on();
        }
    }

    #[cfg(test)]
    fn count(&self) -> usize {
        self.groups.lock().len()
    }

    #[cfg(test)]
    pub(super) fn seated(&self) -> usize {
        self.groups.lock().values().map(|group| group.seats.len()).sum()
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

    #[cfg(test)]
    pub(super) fn place(&self) -> (u64, u64) {
        (self.place.number, self.place.since)
    }

    /// It has been told so much while it [sat](Member::sit), and may have missed something.
    pub(super) fn stood(&mut self, sitting: &Sitting) {
        self.place = sitting.place;
        self.behind |= matches!(sitting.unsaid, Some(Unsaid::Missed));
    }

    /// From now on a stream is told what comes where it sits, until it stands up; this is when it was told something last.
    pub(super) fn sit(&self, seat: &Arc<Seat>, plain: bool, said: Instant) -> Sat {
        let sitting = Sitting { plain, place: self.place, said, sent: 0, unsaid: None };
        self.group.seats.sit(seat, sitting);
        // In this order: what came before it sat is seen here, and what comes later is told to the seat.
        Sat { group: Arc::clone(&self.group), seat: Arc::clone(seat), is_quiet: !self.has_changed() }
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

/// A stream that sits in a group; it stands up when this is dropped.
#[derive(Debug)]
pub(super) struct Sat {
    group: Arc<Group>,
    seat: Arc<Seat>,
    is_quiet: bool,
}

impl Sat {
    /// Whether nothing came before it sat.
    pub(super) fn is_quiet(&self) -> bool {
        self.is_quiet
    }

    /// It stands up, and knows what it was told.
    pub(super) fn stand(self) -> Option<Sitting> {
        self.group.seats.stand(&self.seat)
    }
}

impl Drop for Sat {
    fn drop(&mut self) {
        // For a stream that ends where it sits; one that has stood up is not there.
        self.group.seats.stand(&self.seat);
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
