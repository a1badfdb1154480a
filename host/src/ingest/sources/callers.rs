//! How much of the room for all each source may have: connections, and bytes that are under way.

use super::Source;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

#[derive(Debug, Default)]
struct Caller {
    connections: usize,
    bytes: usize,
}

/// Who is connected. There are no more than there are connections.
#[derive(Debug)]
pub(crate) struct Callers {
    /// Connections of a source; of this host's own any number, unless it is configured.
    connections: usize,
    configured: bool,
    bytes: usize,
    now: Mutex<HashMap<Source, Caller>>,
}

impl Callers {
    pub(super) fn new(configured: Option<usize>, connections: usize, bytes: usize) -> Callers {
        let now = Mutex::default();
        Callers { connections: configured.unwrap_or(connections), configured: configured.is_some(), bytes, now }
    }

    /// A connection more; `None` when its source has too many.
    pub(crate) fn call(self: &Arc<Callers>, from: IpAddr) -> Option<Call> {
        let source = Source::from(from);
        let mut now = self.now.lock();
        let caller = now.entry(source).or_default();
        // Its own pages, proxies and tunnels all come from there.
        let bounded = self.configured || !source.is_loopback();
        if bounded && caller.connections >= self.connections {
            return None;
        }
        caller.connections += 1;
        Some(Call { callers: Arc::clone(self), source })
    }

    /// A share, with nothing in it yet, of the bytes that a source may have under way.
    pub(crate) fn share(self: &Arc<Callers>, from: IpAddr) -> Share {
        Share { callers: Arc::clone(self), source: from.into(), bytes: 0 }
    }

    /// How many connections a source may have.
    pub(crate) fn connections_max(&self) -> usize {
        self.connections
    }

    fn change(&self, source: Source, change: impl FnOnce(&mut Caller)) {
        let mut now = self.now.lock();
        let caller = now.entry(source).or_default();
        change(caller);
        if caller.connections == 0 && caller.bytes == 0 {
            now.remove(&source);
        }
    }
}

/// A connection of a source, as long as this lives.
#[derive(Debug)]
pub(crate) struct Call {
    callers: Arc<Callers>,
    source: Source,
}

impl Drop for Call {
    fn drop(&mut self) {
        self.callers.change(self.source, |caller| caller.connections -= 1);
    }
}

/// Bytes that a source has under way, as long as this lives.
#[derive(Debug)]
pub(crate) struct Share {
    callers: Arc<Callers>,
    source: Source,
    bytes: usize,
}

impl Share {
    /// So many bytes more; `false` when the source would have too many.
    pub(crate) fn grow(&mut self, more: usize) -> bool {
        let mut fits = false;
        self.callers.change(self.source, |caller| {
            fits = caller.bytes + more <= self.callers.bytes;
            if fits {
                caller.bytes += more;
            }
        });
        self.bytes += if fits { more } else { 0 };
        fits
    }

    /// No more than so many are under way any more.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        let less = self.bytes.saturating_sub(bytes);
        if less > 0 {
            self.callers.change(self.source, |caller| caller.bytes -= less);
            self.bytes -= less;
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_source_has_its_share_and_nothing_is_left_of_it() {
        let callers = Arc::new(Callers::new(None, 2, 100));
        let (one, other): (IpAddr, IpAddr) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        let calls = [callers.call(one).unwrap(), callers.call(one).unwrap()];
        assert!(callers.call(one).is_none());
        assert!(callers.call(other).is_some());
        let own = [127, 0, 0, 1].into();
        let own: Vec<_> = (0..10).map(|_| callers.call(own).unwrap()).collect();
        let (mut first, mut second) = (callers.share(one), callers.share(one));
        assert!(first.grow(60) && !second.grow(41) && second.grow(40) && !first.grow(1));
        assert!(callers.share(other).grow(100));
        first.shrink_to(50);
        assert!(second.grow(10) && !second.grow(1));
        drop((calls, own, first, second));
        assert!(callers.now.lock().is_empty());
        let configured = Arc::new(Callers::new(Some(1), 2, 100));
        let call = configured.call([127, 0, 0, 1].into());
        assert!(call.is_some() && configured.call([127, 0, 0, 1].into()).is_none());
    }
}
