//! Traffic of the disks, per second, and space on the local file systems: `disk,{host},read_bytes` and, of one disk,
//! `disk,{host},read_bytes,sda`; `disk,{host},free` and, of one file system, `disk,{host},free,/home`.

mod mounts;
mod space;

use graft_rates::{Folder, PROCFS, Rates, SYSFS, set_parts};
use plugin_api::{Action, Collector, Delta, Error, ParamDecl, Params, export_collector};
use procfs_core::{DiskStat, DiskStats, FromBufRead as _};
use space::Space;
use std::collections::BTreeMap;

/// Bytes in the kernel's sector, whatever the disk's own is.
const SECTOR: f64 = 512.0;

/// How much of a metric a second is.
type Say = fn(f64) -> f64;
/// How a metric of two disks is one of both.
type Fold = fn(f64, f64) -> f64;

/// What is counted of a disk, in the order of [`counters`].
const METRICS: [(&str, Say, Fold); 5] = [
    ("reads", |n| n, sum),
    ("writes", |n| n, sum),
    ("read_bytes", |sectors| sectors * SECTOR, sum),
    ("write_bytes", |sectors| sectors * SECTOR, sum),
    // Milliseconds in a second, to percent. The kernel counts in its own ticks, which may be a few too many.
    ("busy", |ms| (ms / 10.0).min(100.0), f64::max),
];

/// Rates of the whole disks, and the space of what is mounted from a device.
#[derive(Debug)]
pub struct Disk {
    procfs: Folder,
    sysfs: Folder,
    rates: Rates<{ METRICS.len() }>,
}

impl Collector for Disk {
    const PARAMS: &'static [ParamDecl] = &[PROCFS, SYSFS];

    fn new(params: &Params) -> Result<Disk, Error> {
        let (procfs, sysfs) = (Folder::new(params, &PROCFS)?, Folder::new(params, &SYSFS)?);
        Ok(Disk { procfs, sysfs, rates: Rates::default() })
    }

    fn collect(&mut self, out: &mut Delta) -> Result<(), Error> {
        let stats = self.procfs.parse("diskstats", |text| DiskStats::from_buf_read(text.as_bytes()).ok())?.0;
        let disks: BTreeMap<_, _> =
            stats.into_iter().filter(|disk| self.is_whole(&disk.name)).map(|disk| counters(&disk)).collect();
        let spaces = Space::of_each(&mounts::local(&self.procfs.read("mounts")?), space::statvfs);
        if disks.is_empty() && spaces.is_empty() {
            return Err(Error::no_data("there is no disk and no local file system"));
        }
        let rates = self.rates.sample(out.clock().monotonic(), disks);
        for (i, (metric, say, fold)) in METRICS.into_iter().enumerate() {
            let parts = rates.iter().filter_map(|(name, rates)| Some((name.as_str(), say(rates[i]?))));
            set_parts(out, metric, parts, fold);
        }
        fn each(spaces: &[(String, Space)], of: fn(&Space) -> f64) -> impl Iterator<Item = (&str, f64)> {
            spaces.iter().map(move |(mount, space)| (mount.as_str(), of(space)))
        }
        set_parts(out, "total", each(&spaces, |space| space.total), sum);
        set_parts(out, "free", each(&spaces, |space| space.free), sum);
        set_parts(out, "used_max_percent", each(&spaces, Space::used_percent), f64::max);
        for worst in ["busy", "used_max_percent"] {
            out.action(&[worst], Action::Max);
        }
        Ok(())
    }
}

impl Disk {
    /// Whether it is a disk that stands on hardware, real or a hypervisor's: partitions are no block device of their
    /// own in sysfs, and what lies upon disks (dm, md, loop, zram, nbd) has no `device`. A hidden one is a path to a
    /// disk that is listed too (NVMe multipath).
    fn is_whole(&self, name: &str) -> bool {
        let block = self.sysfs.join("block").join(name.replace('/', "!"));
        let hidden = std::fs::read_to_string(block.join("hidden")).is_ok_and(|hidden| hidden.trim() == "1");
        block.join("device").exists() && !hidden
    }
}

fn counters(disk: &DiskStat) -> (String, [u64; METRICS.len()]) {
    let counters = [disk.reads, disk.writes, disk.sectors_read, disk.sectors_written, disk.time_in_progress];
    (disk.name.clone(), counters)
}

fn sum(a: f64, b: f64) -> f64 {
    a + b
}

export_collector!(Disk, path = "disk,{host}");
