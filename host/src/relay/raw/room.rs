//! Whether there is room for more lines of logs on their way.

use crate::limits::RAW_WAITING_BYTES_MAX;
use parking_lot::{Condvar, Mutex};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Lines that are in no spool yet, over all relays, and who waits for them to be.
#[derive(Debug, Default)]
pub(crate) struct RawRoom {
    /// Bytes that logs have taken of their files, or others have sent, and that are not on the disk.
    waiting: AtomicU64,
    changed: (Mutex<()>, Condvar),
}

impl RawRoom {
    /// Takes room for so many bytes, if there is any where no more than `most` are to wait. The last to find some may take more than there
    /// is, so that none is too large; one alone does.
    pub(crate) fn take(&self, bytes: u64, most: u64) -> bool {
        let most = most.min(RAW_WAITING_BYTES_MAX);
        let taken = |waiting: u64| (bytes == 0 || waiting < most).then_some(waiting + bytes);
        self.waiting.fetch_update(Ordering::AcqRel, Ordering::Acquire, taken).is_ok()
    }

    /// So many are on the disk, or nowhere.
    pub(crate) fn written(&self, bytes: u64) {
        if bytes > 0 {
            self.waiting.fetch_sub(bytes, Ordering::AcqRel);
            self.changed.1.notify_all();
        }
    }

    /// Whether more may come, where no more than so many bytes are to wait.
    pub(crate) fn has_any(&self, most: u64) -> bool {
        self.waiting.load(Ordering::Acquire) < most.min(RAW_WAITING_BYTES_MAX)
    }

    /// Waits until something was written, or for a while.
    pub(crate) fn wait(&self, most: Duration) {
        self.changed.1.wait_for(&mut self.changed.0.lock(), most);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Outgoing, Piece, RawLines, RawOrigin};
    use super::*;
    use crate::relay::{Line, Outbox, RelayConf, Relays};
    use std::path::Path;
    use std::sync::Arc;
    use std::thread;

    fn line(name: &str) -> Arc<Line> {
        let text = format!("to = \"a\"\nprefix = \"below-{name}\"");
        let conf = RelayConf::parse(Path::new("relay.on"), &text).unwrap();
        let mut outbox = Outbox::default();
        outbox.follow(&conf);
        Arc::new(Line {
            name: name.to_owned(),
            outbox: outbox.into(),
            takes_raw: true.into(),
            limit: AtomicU64::new(9),
            owners: 1.into(),
            ..Line::default()
        })
    }

    #[test]
    fn lines_that_come_when_nobody_takes_them_any_more_are_of_who_took_the_last() {
        let relays = Relays::default();
        assert!(!relays.take_raw_room(1));
        let (first, other) = (line("first"), line("other"));
        relays.lines.lock().extend([Arc::clone(&first), Arc::clone(&other)]);
        let lines = || {
            let origin = Arc::new(RawOrigin::default());
            vec![Piece { origin, header: None, lines: RawLines::Whole(b"a line\n".to_vec()) }]
        };
        let taken = || -> Vec<_> {
            let named = |(name, Outgoing { prefix, pieces }): (String, _)| (name, prefix.join(","), pieces.len());
            relays.take_raw().0.into_iter().map(named).collect()
        };
        let of = |name: &str| (name.to_owned(), format!("below-{name}"), 1);
        assert!(relays.take_raw_room(7) && relays.take_raw_room(7) && !relays.take_raw_room(7));
        relays.forward(lines());
        assert_eq!(taken(), [of("first"), of("other")]);
        other.takes_raw.store(false, Ordering::Release);
        relays.forward(lines());
        assert_eq!(taken(), [of("first")]);
        first.takes_raw.store(false, Ordering::Release);
        relays.forward(lines());
        assert_eq!(taken(), [of("first")]);
        assert!(!relays.take_raw_room(0));
    }

    #[test]
    fn however_many_take_room_at_once_one_alone_takes_more_than_there_is() {
        let room = RawRoom::default();
        let taken = AtomicU64::new(0);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        taken.fetch_add(u64::from(room.take(300, 1_000)), Ordering::AcqRel);
                    }
                });
            }
        });
        assert_eq!(taken.into_inner(), 4);
        assert!(!room.has_any(1_200) && room.has_any(1_201) && room.take(0, 0));
        room.written(300);
        assert!(room.take(RAW_WAITING_BYTES_MAX, 1_000) && !room.take(1, u64::MAX));
    }
}
