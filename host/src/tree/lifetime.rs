//! Leaves that end when they are not renewed.

use super::Tree;
use super::store::{Marks, NodeId};
use super::value::Value;
use hashbrown::HashMap;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// Stale entries that the queue may hold beside one for each that is good: few lifetimes are not queued anew
/// all the time.
const STALE_SLACK: usize = 64;

#[derive(Clone, Copy, Debug)]
struct Lifetime {
    life_ms: i64,
    ends_ms: i64,
    /// When the queue has it looked at; entries of other times are stale. So renewing is only a write here.
    look_ms: i64,
}

/// The lifetimes of all nodes that have one, and which may end first.
#[derive(Debug, Default)]
pub(super) struct Lifetimes {
    of: HashMap<NodeId, Lifetime>,
    /// When to look at a node again: never later than its end.
    queue: BinaryHeap<Reverse<(i64, NodeId)>>,
}

impl Lifetimes {
    pub(super) fn set(&mut self, id: NodeId, life: Duration, now_ms: i64) {
        let life_ms = i64::try_from(life.as_millis()).unwrap_or(i64::MAX);
        let ends_ms = now_ms.saturating_add(life_ms);
        let lifetime = self.of.entry(id).or_insert(Lifetime { life_ms, ends_ms, look_ms: i64::MAX });
        lifetime.life_ms = life_ms;
        lifetime.ends_ms = ends_ms;
        // Not queued yet, or with a longer life than it has now.
        if ends_ms < lifetime.look_ms {
            lifetime.look_ms = ends_ms;
            self.queue.push(Reverse((ends_ms, id)));
            self.drop_stale();
        }
    }

    /// Makes the queue anew when most of it is stale. A leaf whose lifetime is set and taken back in turn would
    /// leave an entry behind each time.
    fn drop_stale(&mut self) {
        if self.queue.len() > 2 * self.of.len() + STALE_SLACK {
            self.queue = self.of.iter().map(|(id, lifetime)| Reverse((lifetime.look_ms, *id))).collect();
        }
    }

    pub(super) fn renew(&mut self, id: NodeId, now_ms: i64) {
        if let Some(lifetime) = self.of.get_mut(&id) {
            lifetime.ends_ms = now_ms.saturating_add(lifetime.life_ms);
        }
    }

    /// How long a node's value lasts.
    pub(super) fn life(&self, id: NodeId) -> Option<Duration> {
        let life_ms = self.of.get(&id)?.life_ms;
        Some(Duration::from_millis(u64::try_from(life_ms).unwrap_or(0)))
    }

    pub(super) fn forget(&mut self, id: NodeId) {
        self.of.remove(&id);
    }

    /// A node whose life is over at `now_ms`, if there is one.
    fn pop_ended(&mut self, now_ms: i64) -> Option<NodeId> {
        while let Some(&Reverse((look_ms, id))) = self.queue.peek() {
            if look_ms > now_ms {
                return None;
            }
            self.queue.pop();
            let Some(lifetime) = self.of.get_mut(&id).filter(|lifetime| lifetime.look_ms == look_ms) else { continue };
            if lifetime.ends_ms <= now_ms {
                self.of.remove(&id);
                return Some(id);
            }
            // Renewed since it was queued.
            lifetime.look_ms = lifetime.ends_ms;
            self.queue.push(Reverse((lifetime.ends_ms, id)));
        }
        None
    }

    /// When one may end next, in milliseconds of the clock they are set by.
    fn next_ms(&self) -> Option<i64> {
        self.queue.peek().map(|Reverse((look_ms, _))| *look_ms)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.of.allocation_size() + self.queue.capacity() * size_of::<(i64, NodeId)>()
    }
}

impl Tree {
    /// How long no leaf ends for want of being renewed, seen from `now_ms`.
    pub(crate) fn lives_for(&self, now_ms: i64) -> Duration {
        let next = self.lifetimes.next_ms().map(|next_ms| next_ms.saturating_sub(now_ms));
        next.map_or(Duration::MAX, |ms| Duration::from_millis(ms.try_into().unwrap_or(0)))
    }

    pub(super) fn expire(&mut self, now_ms: i64) -> usize {
        let mut expired = 0;
        while let Some(id) = self.lifetimes.pop_ended(now_ms) {
            self.store.node_mut(id).marks.clear(Marks::LIFETIME);
            expired += 1;
            if self.store.node(id).children == 0 {
                self.remove(id);
            } else {
                self.gone.push(self.now, super::encode_path(self.store.keys(id)));
                self.store.change(id, |value| *value = Value::None);
                self.store.node_mut(id).changed = self.now;
                self.touch_above(id);
            }
        }
        expired
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_does_not_grow_with_lifetimes_that_are_taken_back() {
        let mut lifetimes = Lifetimes::default();
        for now_ms in 0..10_000 {
            lifetimes.set(NodeId::ROOT, Duration::from_secs(60), now_ms);
            lifetimes.forget(NodeId::ROOT);
            lifetimes.set(NodeId::ROOT, Duration::from_secs(60), now_ms);
            lifetimes.set(NodeId::ROOT, Duration::from_secs(30), now_ms);
        }
        assert!(lifetimes.queue.len() <= 2 + STALE_SLACK, "{}", lifetimes.queue.len());
        assert_eq!(lifetimes.pop_ended(9_999 + 29_999), None);
        assert_eq!(lifetimes.pop_ended(9_999 + 30_000), Some(NodeId::ROOT));
    }
}
