//! Connections that have not said yet who they are: they have places of their own, and never those of who has.

use super::Source;
use parking_lot::Mutex;
use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Those who are there, each source's in the order in which they came.
#[derive(Debug, Default)]
struct Now {
    waiting: HashMap<Source, VecDeque<(u64, oneshot::Sender<()>)>>,
    count: usize,
    /// How many have come.
    came: u64,
}

/// All who have not said yet who they are. Nobody is refused: where there are too many, the one that has been there longest leaves,
/// of the source that has the most. Who says it at once is not there long enough.
#[derive(Debug)]
pub(crate) struct Strangers {
    most: usize,
    now: Mutex<Now>,
}

/// A connection that has not said yet who it is, as long as this lives.
#[derive(Debug)]
pub(crate) struct Stranger {
    strangers: Arc<Strangers>,
    source: Source,
    number: u64,
    over: oneshot::Receiver<()>,
}

impl Strangers {
    /// With room for so many.
    pub(crate) fn new(most: usize) -> Arc<Strangers> {
        Arc::new(Strangers { most, now: Mutex::default() })
    }

    /// One more. Another may have to leave for it.
    pub(crate) fn meet(self: &Arc<Strangers>, from: IpAddr) -> Stranger {
        let source = Source::from(from);
        let mut now = self.now.lock();
        if now.count >= self.most {
            now.send_away();
        }
        let (leave, over) = oneshot::channel();
        now.came += 1;
        now.count += 1;
        let number = now.came;
        now.waiting.entry(source).or_default().push_back((number, leave));
        Stranger { strangers: Arc::clone(self), source, number, over }
    }
}

impl Now {
    fn send_away(&mut self) {
        let first = |those: &VecDeque<(u64, _)>| those.front().map_or(0, |(number, _)| *number);
        let most = self.waiting.iter().max_by_key(|(_, those)| (those.len(), Reverse(first(those))));
        let Some(source) = most.map(|(source, _)| *source) else { return };
        let number = self.waiting.get(&source).map_or(0, first);
        self.remove(source, number);
    }

    /// Dropping what is in it tells it to leave.
    fn remove(&mut self, source: Source, number: u64) {
        let Some(those) = self.waiting.get_mut(&source) else { return };
        // In the order of their numbers.
        if let Ok(at) = those.binary_search_by_key(&number, |(number, _)| *number) {
            those.remove(at);
            self.count -= 1;
        }
        if those.is_empty() {
            self.waiting.remove(&source);
        }
    }
}

impl Stranger {
    /// Waits until it has to leave.
    pub(crate) async fn sent_away(&mut self) {
        let _ = (&mut self.over).await;
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.strangers.now.lock().remove(self.source, self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(stranger: &mut Stranger) -> bool {
        stranger.over.try_recv() == Err(oneshot::error::TryRecvError::Closed)
    }

    #[test]
    fn who_has_the_most_gives_way_and_then_who_came_first() {
        let strangers = Strangers::new(4);
        let from = |n| strangers.meet([192, 0, 2, n].into());
        // It came before all of the crowd.
        let mut other = from(2);
        let mut crowd = [from(1), from(1), from(1)];
        let third = from(3);
        assert_eq!(crowd.each_mut().map(leaves), [true, false, false]);
        assert!(!leaves(&mut other));
        let mut fourth = from(4);
        assert_eq!(crowd.each_mut().map(leaves), [true, true, false]);
        // One each: the first that came.
        let mut fifth = from(5);
        assert!(leaves(&mut other) && !leaves(&mut crowd[2]) && !leaves(&mut fourth) && !leaves(&mut fifth));
        // Who says who it is makes room.
        drop(third);
        let sixth = from(6);
        assert!(!leaves(&mut crowd[2]) && !leaves(&mut fourth));
        drop((crowd, other, fourth, fifth, sixth));
        assert!(strangers.now.lock().waiting.is_empty() && strangers.now.lock().count == 0);
    }
}
