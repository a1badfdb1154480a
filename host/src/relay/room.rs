//! The room for large entries that are under way. Each waits until there is room for the whole of it, for halves would wait for each
//! other; and one that takes much too long gives way to those who wait.

use crate::limits::{RELAY_ENTRY_PATIENCE, RELAY_ENTRY_TIME_MAX, RELAY_ROOM_LOOK_EVERY};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, interval_at};

/// An entry that is under way.
#[derive(Debug)]
struct UnderWay {
    since: Instant,
    /// Bytes in all.
    whole: usize,
    progress: Arc<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    came: AtomicUsize,
    /// It has to give way.
    leave: Notify,
}

#[derive(Debug, Default)]
struct Now {
    under_way: HashMap<u64, UnderWay>,
    number: u64,
    /// When somebody had to give way last.
    pressed: Option<Instant>,
}

/// The room for entries of all senders.
#[derive(Debug)]
pub(super) struct Room {
    bytes: Arc<Semaphore>,
    now: Mutex<Now>,
    patience: Patience,
}

/// How long entries may take while others wait.
#[derive(Clone, Copy, Debug)]
struct Patience {
    /// Until it is looked at how fast they come.
    first: Duration,
    /// In all, at the rate at which they come.
    whole: Duration,
    /// How often it is looked.
    every: Duration,
}

/// The room of one entry, as long as this lives.
#[derive(Debug)]
pub(super) struct Held {
    room: Arc<Room>,
    number: u64,
    progress: Arc<Progress>,
    _bytes: OwnedSemaphorePermit,
}

/// Room that is waited for: whoever drops this loses the place in the queue. None when the daemon ends.
pub(super) type Asked = Pin<Box<dyn Future<Output = Option<Held>> + Send>>;

impl Room {
    /// With room for so many bytes.
    pub(super) fn new(bytes: usize) -> Arc<Room> {
        let patience =
            Patience { first: RELAY_ENTRY_PATIENCE, whole: RELAY_ENTRY_TIME_MAX, every: RELAY_ROOM_LOOK_EVERY };
        Arc::new(Room { bytes: Arc::new(Semaphore::new(bytes)), now: Mutex::default(), patience })
    }

    /// Asks for room for an entry of so many bytes.
    pub(super) fn ask(self: &Arc<Room>, bytes: usize) -> Asked {
        let room = Arc::clone(self);
        Box::pin(async move {
            let wanted = u32::try_from(bytes).ok()?;
            let acquire = Arc::clone(&room.bytes).acquire_many_owned(wanted);
            tokio::pin!(acquire);
            let every = room.patience.every;
            let mut looks = interval_at(Instant::now() + every, every);
            let permit = loop {
                tokio::select! {
                    biased;
                    permit = &mut acquire => break permit.ok()?,
                    _ = looks.tick() => room.press(bytes),
                }
            };
            Some(room.hold(bytes, permit))
        })
    }

    fn hold(self: &Arc<Room>, whole: usize, bytes: OwnedSemaphorePermit) -> Held {
        let progress = Arc::new(Progress::default());
        let mut now = self.now.lock();
        now.number += 1;
        let number = now.number;
        let entry = UnderWay { since: Instant::now(), whole, progress: Arc::clone(&progress) };
        now.under_way.insert(number, entry);
        Held { room: Arc::clone(self), number, progress, _bytes: bytes }
    }

    /// Lets go of the slowest, so many that there is room for so many bytes; of none that is fast enough.
    fn press(&self, wanted: usize) {
        let at = Instant::now();
        let mut now = self.now.lock();
        // All who wait look; what one of them has freed is not there yet.
        if now.pressed.is_some_and(|last| at < last + self.patience.every) {
            return;
        }
        now.pressed = Some(at);
        let mut slow: Vec<(Duration, u64, usize)> = now
            .under_way
            .iter()
            .filter_map(|(number, entry)| {
                let taken = at.saturating_duration_since(entry.since);
                let in_all = entry.in_all(taken);
                (taken >= self.patience.first && in_all > self.patience.whole).then_some((in_all, *number, entry.whole))
            })
            .collect();
        slow.sort_unstable();
        let mut free = self.bytes.available_permits();
        while free < wanted
            && let Some((_, number, whole)) = slow.pop()
        {
            if let Some(entry) = now.under_way.remove(&number) {
                entry.progress.leave.notify_one();
            }
            free += whole;
        }
    }

    /// Lets go of all.
    #[cfg(test)]
    pub(super) fn let_go(&self) {
        self.now.lock().under_way.values().for_each(|entry| entry.progress.leave.notify_one());
    }

    /// Bytes that nobody holds.
    #[cfg(test)]
    pub(super) fn free(&self) -> usize {
        self.bytes.available_permits()
    }
}

impl UnderWay {
    /// How long it takes in all at the rate at which it has come so far.
    fn in_all(&self, taken: Duration) -> Duration {
        let came = self.progress.came.load(Ordering::Relaxed).max(1);
        Duration::try_from_secs_f64(taken.as_secs_f64() * self.whole as f64 / came as f64).unwrap_or(Duration::MAX)
    }
}

impl Held {
    /// So many bytes of it have come in all.
    pub(super) fn came(&self, bytes: usize) {
        self.progress.came.store(bytes, Ordering::Relaxed);
    }

    /// All of it is here: it gives way to nobody any more.
    pub(super) fn is_whole(&self) {
        self.room.now.lock().under_way.remove(&self.number);
    }

    /// Waits until it has to give way.
    pub(super) async fn gives_way(&self) {
        self.progress.leave.notified().await;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.is_whole();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    const SHORT: Duration = Duration::from_millis(20);

    fn room(bytes: usize, patience: Patience) -> Arc<Room> {
        Arc::new(Room { bytes: Arc::new(Semaphore::new(bytes)), now: Mutex::default(), patience })
    }

    fn gives_way(held: &Held) -> bool {
        held.gives_way().now_or_never().is_some()
    }

    #[tokio::test]
    async fn the_slowest_give_way_to_who_waits_and_no_more_of_them_than_it_takes() {
        let room = room(100, Patience { first: SHORT, whole: 10 * SHORT, every: SHORT });
        let mut held = Vec::new();
        for came in [25, 2, 0, 20] {
            let one = room.ask(25).await.unwrap();
            one.came(came);
            held.push(one);
        }
        held[0].is_whole();
        // Nobody waits: they may take as long as they like.
        tokio::time::sleep(2 * SHORT).await;
        assert!(!held.iter().any(gives_way));
        let waits = tokio::spawn(room.ask(25));
        held[2].gives_way().await;
        held.remove(2);
        let third = waits.await.unwrap().unwrap();
        assert!(!gives_way(&held[0]) && !gives_way(&held[1]) && !gives_way(&held[2]));
        // The next slowest; the one that is fast enough stays, and who is whole does.
        drop(third);
        let waits = tokio::spawn(room.ask(50));
        held[1].gives_way().await;
        held.remove(1);
        let fourth = waits.await.unwrap().unwrap();
        assert!(!gives_way(&held[0]) && !gives_way(&held[1]));
        drop((held, fourth));
        assert_eq!((room.free(), room.now.lock().under_way.len()), (100, 0));
    }

    #[tokio::test]
    async fn who_is_fast_enough_is_waited_for() {
        let patience = Patience { first: SHORT, whole: Duration::from_secs(60), every: SHORT };
        let room = room(10, patience);
        let held = room.ask(10).await.unwrap();
        held.came(1);
        let mut waits = room.ask(1);
        tokio::time::timeout(4 * SHORT, &mut waits).await.unwrap_err();
        assert!(!gives_way(&held));
        drop(held);
        assert!(waits.await.is_some());
    }
}
