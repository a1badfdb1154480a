//! What the processors spend their time on, in percent: `cpu,{host},idle`.

mod times;

use graft_rates::{Folder, PROCFS};
use plugin_api::{Collector, Delta, Error, ParamDecl, Params, export_collector};
use procfs_core::{ExplicitSystemInfo, FromBufReadSI as _, KernelStats};
use times::Times;

/// procfs-core asks for the length of a tick to turn ticks into time. Only their shares are used here, so that any
/// length but zero will do.
const ANY_TICK: ExplicitSystemInfo =
    ExplicitSystemInfo { boot_time_secs: 0, ticks_per_second: 100, page_size: 4_096, is_little_endian: true };

/// Shares of the time since the last sample, over all processors.
#[derive(Debug)]
pub struct Cpu {
    procfs: Folder,
    last: Option<Times>,
}

impl Collector for Cpu {
    const PARAMS: &'static [ParamDecl] = &[PROCFS];

    fn new(params: &Params) -> Result<Cpu, Error> {
        Ok(Cpu { procfs: Folder::new(params, &PROCFS)?, last: None })
    }

    fn collect(&mut self, out: &mut Delta) -> Result<(), Error> {
        let stat = self.procfs.parse("stat", |text| KernelStats::from_buf_read(text.as_bytes(), &ANY_TICK).ok())?;
        out.set(&["count"], stat.cpu_time.len() as f64);
        let now = Times::from(&stat.total);
        if let Some(last) = self.last.replace(now) {
            for (name, percent) in now.percents_since(&last).into_iter().flatten() {
                out.set(&[name], percent);
            }
        }
        Ok(())
    }
}

export_collector!(Cpu, path = "cpu,{host}");
