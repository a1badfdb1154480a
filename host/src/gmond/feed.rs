//! From the table to the tree.

use super::table::{Now, Table};
use crate::conf::GmondConf;
use crate::core::{Delta, Event, Shared};
use crate::limits::GMOND_FRAME_BYTES;
use crate::module::Branch;
use parking_lot::Mutex;
use plugin_api::Action;
use plugin_api::delta::wire::Writer;
use std::io;
use std::sync::Arc;

/// The branch of all that ganglia says.
pub(super) const BRANCH: &str = "ganglia";

/// What one task has for the tree.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) shared: Arc<Shared>,
    pub(super) table: Arc<Mutex<Table>>,
    pub(super) out: Writer,
}

/// This moment.
pub(super) fn at(shared: &Shared) -> Now {
    let now = shared.clock.now();
    Now { mono_ms: shared.clock.monotonic_ms(), unix_s: now.unix_ms().div_euclid(1_000) }
}

impl Feed {
    pub(super) fn new(shared: &Arc<Shared>, table: &Arc<Mutex<Table>>) -> Feed {
        Feed { shared: Arc::clone(shared), table: Arc::clone(table), out: Writer::new() }
    }

    /// Sends what there is, and what is to be told of hosts.
    ///
    /// # Errors
    /// The daemon stops.
    pub(super) async fn tick(&mut self, conf: &GmondConf) -> io::Result<()> {
        {
            let mut table = self.table.lock();
            let about = &conf.cluster;
            table.about_own(&about.name, [&about.owner, &about.latlong, &about.url]);
            table.tell_hosts(conf.host_dmax, &mut self.out);
        }
        self.send().await
    }

    /// Sends what there is if it is much.
    ///
    /// # Errors
    /// The daemon stops.
    pub(super) async fn send_if_full(&mut self) -> io::Result<()> {
        if self.out.bytes().len() < GMOND_FRAME_BYTES { Ok(()) } else { self.send().await }
    }

    /// Sends what there is.
    ///
    /// # Errors
    /// The daemon stops.
    pub(super) async fn send(&mut self) -> io::Result<()> {
        if self.out.entries() == 0 {
            return Ok(());
        }
        let frame = std::mem::take(&mut self.out).into_bytes();
        // A gauge over hosts folds to its mean; counters have an action of their own.
        let branch = Branch { keys: [BRANCH.to_owned()].into(), action: Some((1, Action::Average)) };
        let delta = Delta { frames: vec![(branch, frame)], ..Delta::default() };
        let sent = self.shared.events.send_async(Event::Delta(delta)).await;
        sent.then_some(()).ok_or_else(|| io::Error::other("the daemon stops"))
    }
}
