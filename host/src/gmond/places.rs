//! The places of those who read XML: where all are taken, who stands still gives way.

use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// All places of a listener.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    /// How long who gives way must have stood still.
    still_min: Duration,
    taken: Mutex<Vec<Arc<Reader>>>,
}

#[derive(Debug)]
struct Reader {
    /// When something of the XML was last taken by it.
    moved: Mutex<Instant>,
    gives_way: Notify,
}

/// One that is taken, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    reader: Arc<Reader>,
}

impl Places {
    pub(super) fn new(most: usize, still_min: Duration) -> Places {
        Places { most, still_min, taken: Mutex::default() }
    }

    /// Takes a place, and says whether another had to give way for it; none where all are taken by such as read.
    pub(super) fn take(self: &Arc<Places>, now: Instant) -> Option<(Place, bool)> {
        let mut taken = self.taken.lock();
        let is_full = taken.len() >= self.most;
        if is_full {
            let stillest = (0..taken.len()).min_by_key(|at| taken.get(*at).map(|reader| *reader.moved.lock()))?;
            let since = *taken.get(stillest)?.moved.lock();
            if now.saturating_duration_since(since) < self.still_min {
                return None;
            }
            taken.swap_remove(stillest).gives_way.notify_one();
        }
        let reader = Arc::new(Reader { moved: Mutex::new(now), gives_way: Notify::new() });
        taken.push(Arc::clone(&reader));
        Some((Place { places: Arc::clone(self), reader }, is_full))
    }
}

impl Place {
    /// Something was taken by its reader.
    pub(super) fn moves(&self, now: Instant) {
        *self.reader.moved.lock() = now;
    }

    /// Waits until its reader is to give way.
    pub(super) async fn gives_way(&self) {
        self.reader.gives_way.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken.lock().retain(|reader| !Arc::ptr_eq(reader, &self.reader));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_stands_still_for_longest_gives_way() {
        let second = Duration::from_secs(1);
        let places = Arc::new(Places::new(2, second));
        let start = Instant::now();
        let (first, _) = places.take(start).unwrap();
        let (other, gave_way) = places.take(start + second / 2).unwrap();
        assert!(!gave_way);
        // All have just read something.
        assert!(places.take(start + second / 2).is_none());
        first.moves(start + second);
        assert!(places.take(start + second).is_none());
        let (third, gave_way) = places.take(start + second * 2).unwrap();
        assert!(gave_way);
        // At once, and only that one.
        other.gives_way().await;
        for reads in [&first, &third] {
            tokio::select! {
                biased;
                () = reads.gives_way() => panic!("it was to stay"),
                () = std::future::ready(()) => {}
            }
        }
        // Its place is another's already: nobody's is given back twice.
        drop(other);
        assert_eq!(places.taken.lock().len(), 2);
        drop((first, third));
        assert_eq!(places.taken.lock().len(), 0);
    }
}
