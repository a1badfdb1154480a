//! What connections have sent that is not merged yet: bounded for each, for each source, and for all together.

use crate::ingest::sources::Share;
use crate::limits::{PUSH_LINE_BYTES_MAX, PUSH_OWN_BYTES};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes read from a connection at once.
const READ_BYTES: usize = 64 * 1024;

/// What a connection has sent that is not merged yet, and its share of the room for all of that.
pub(super) struct Held {
    pub(super) bytes: Vec<u8>,
    all: Arc<Semaphore>,
    room: Option<OwnedSemaphorePermit>,
    /// What its source has of that.
    share: Share,
}

impl Held {
    pub(super) fn new(all: &Arc<Semaphore>, share: Share) -> Held {
        Held { bytes: Vec::new(), all: Arc::clone(all), room: None, share }
    }

    /// Holds what has been read elsewhere; `false` when there is no room for it.
    pub(super) fn take_over(&mut self, bytes: Vec<u8>) -> bool {
        if bytes.capacity() > PUSH_OWN_BYTES && !self.claim(bytes.capacity()) {
            return false;
        }
        self.bytes = bytes;
        true
    }

    /// Makes room for a read; `false` when there is none. Nobody waits: half lines would wait for each other.
    pub(super) fn grow(&mut self) -> bool {
        let (length, capacity) = (self.bytes.len(), self.bytes.capacity());
        if length < capacity {
            return true;
        }
        // So much each has of its own: who sends a byte now and then holds nothing that is shared.
        if capacity == 0 {
            self.bytes.reserve_exact(PUSH_OWN_BYTES);
            return true;
        }
        // Doubled, so that a long line is not copied again and again; what is beyond the longest one is never needed.
        let wanted = (2 * capacity).min(PUSH_LINE_BYTES_MAX + READ_BYTES).max(length + READ_BYTES);
        if !self.claim(wanted) {
            return false;
        }
        self.bytes.reserve_exact(wanted - length);
        true
    }

    /// Takes room for so many bytes in all; `false` when there is none.
    fn claim(&mut self, wanted: usize) -> bool {
        let more = wanted.saturating_sub(self.permits());
        if !self.share.grow(more) {
            return false;
        }
        let Some(more) =
            u32::try_from(more).ok().and_then(|more| Arc::clone(&self.all).try_acquire_many_owned(more).ok())
        else {
            self.share.shrink_to(self.permits());
            return false;
        };
        match &mut self.room {
            Some(room) => room.merge(more),
            None => self.room = Some(more),
        }
        true
    }

    /// Gives back the room if nothing is held.
    pub(super) fn rest(&mut self) {
        if self.bytes.is_empty() {
            self.bytes = Vec::new();
            self.settle();
        }
    }

    /// Takes the first bytes out. Their room is kept until [`Held::settle`].
    pub(super) fn split(&mut self, end: usize) -> Vec<u8> {
        let rest = self.bytes[end..].to_vec();
        let mut text = std::mem::replace(&mut self.bytes, rest);
        text.truncate(end);
        text
    }

    /// Gives back the room for what is no longer held.
    pub(super) fn settle(&mut self) {
        if let Some(room) = &mut self.room {
            drop(room.split(room.num_permits().saturating_sub(self.bytes.capacity())));
        }
        self.share.shrink_to(self.permits());
    }

    fn permits(&self) -> usize {
        self.room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::IntakeLimits;
    use crate::ingest::sources::Sources;
    use crate::limits::PUSH_BYTES_MAX;

    fn held(all: &Arc<Semaphore>) -> Held {
        Held::new(all, Sources::new(&IntakeLimits::default()).tcp.share([127, 0, 0, 1].into()))
    }

    #[test]
    fn room_is_bounded_over_all_and_given_back() {
        // What is read first of what is no longer one's own.
        const STEP: usize = PUSH_OWN_BYTES + READ_BYTES;
        let all = Arc::new(Semaphore::new(3 * STEP));
        let (mut one, mut other) = (held(&all), held(&all));
        for held in [&mut one, &mut other] {
            assert!(held.grow());
            held.bytes.resize(PUSH_OWN_BYTES, b'x');
        }
        assert_eq!(all.available_permits(), 3 * STEP, "a few bytes are everybody's own");
        assert!(one.grow() && one.grow(), "what is there is enough");
        assert_eq!(all.available_permits(), 2 * STEP);
        one.bytes.resize(STEP, b'x');
        assert!(one.grow(), "twice as much");
        assert!(other.grow());
        other.bytes.resize(STEP, b'x');
        assert!(!other.grow(), "all is taken");
        assert!(held(&all).take_over(vec![b'x'; PUSH_OWN_BYTES]));
        assert!(!held(&all).take_over(vec![b'x'; PUSH_OWN_BYTES + 1]));
        let text = one.split(STEP - 1);
        assert_eq!((text.len(), one.bytes.as_slice()), (STEP - 1, &b"x"[..]));
        assert_eq!(all.available_permits(), 0, "the text has its room until it is merged");
        one.settle();
        assert!(other.grow());
        other.bytes.clear();
        other.rest();
        assert_eq!(all.available_permits(), 3 * STEP - 1, "one has a byte of a line, the other nothing");
        one.rest();
        assert_eq!(one.bytes, b"x");
        assert_eq!(all.available_permits(), 3 * STEP - 1, "half a line is kept");
        drop((one, other));
        assert_eq!(all.available_permits(), 3 * STEP);
    }

    #[test]
    fn a_connection_never_holds_much_more_than_the_longest_line() {
        let all = Arc::new(Semaphore::new(PUSH_BYTES_MAX));
        let mut held = held(&all);
        while held.bytes.len() <= PUSH_LINE_BYTES_MAX {
            assert!(held.grow());
            held.bytes.resize(held.bytes.capacity(), b'x');
        }
        assert!(PUSH_BYTES_MAX - all.available_permits() <= PUSH_LINE_BYTES_MAX + READ_BYTES);
    }

    #[test]
    fn nobody_takes_all_of_it_alone() {
        let all = Arc::new(Semaphore::new(PUSH_BYTES_MAX));
        let sources = Sources::new(&IntakeLimits::default());
        let held = |n| Held::new(&all, sources.tcp.share([192, 0, 2, n].into()));
        let fill = |n| {
            let mut filled = Vec::new();
            loop {
                let mut held = held(n);
                while held.bytes.len() < PUSH_LINE_BYTES_MAX {
                    if !held.grow() {
                        filled.push(held);
                        return filled;
                    }
                    held.bytes.resize(held.bytes.capacity(), b'x');
                }
                filled.push(held);
            }
        };
        let one = fill(1);
        assert!(all.available_permits() >= PUSH_BYTES_MAX / 2);
        assert!(held(2).grow(), "the other has its own");
        drop(one);
        assert_eq!(all.available_permits(), PUSH_BYTES_MAX);
        assert!(held(1).grow());
    }
}
