//! Traffic of the disks, per second, and space on the local file systems: `disk,{host},read_bytes` and, of one disk,
//! `disk,{host},read_bytes,sda`; `disk,{host},free` and, of one file system, `disk,{host},free,/home`.

mod mounts;
mod space;

use graft_rates::{Fold, Folder, PROCFS, Rates, SYSFS, set_parts};
use plugin_api::{Collector, Delta, Error, ParamDecl, Params, export_collector};
use procfs_core::{DiskStat, DiskStats, FromBufRead as _};
use space::Space;
use std::collections::BTreeMap;

/// Bytes in the kernel's sector, whatever the disk's own is.
const SECTOR: f64 = 512.0;

/// Milliseconds in a second: in these the kernel counts the time in which a disk was busy.
const MS: f64 = 1_000.0;

/// What is counted of a disk, in the order of [`counters`]; how much one of it is; how disks fold.
const METRICS: [(&str, f64, Fold); 5] = [
    ("reads", 1.0, Fold::Sum),
    ("writes", 1.0, Fold::Sum),
    ("read_bytes", SECTOR, Fold::Sum),
    ("write_bytes", SECTOR, Fold::Sum),
    ("busy", 100.0 / MS, Fold::Max),
];

/// Rates of the whole disks, and the space of what is mounted from a device.
#[derive(Debug)]
pub struct Disk {
    procfs: Folder,
    sysfs: Folder,
    rates: Rates<{ METRICS.len() }>,
    /// The block devices that there were at the last sample, by their numbers and names, and which are whole disks. What a device stands
    /// on does not change as long as it is there.
    known: Vec<(Device, bool)>,
    /// Samples for which that is believed.
    believed: u32,
}

/// It may have been asked when sysfs could not be read: after so many samples it is asked again.
const BELIEVED: u32 = 30;

/// Major and minor number, and name.
type Device = (i32, i32, String);

impl Collector for Disk {
    const PARAMS: &'static [ParamDecl] = &[PROCFS, SYSFS];

    fn new(params: &Params) -> Result<Disk, Error> {
        let (procfs, sysfs) = (Folder::new(params, &PROCFS)?, Folder::new(params, &SYSFS)?);
        Ok(Disk { procfs, sysfs, rates: Rates::default(), known: Vec::new(), believed: 0 })
    }

    fn collect(&mut self, out: &mut Delta) -> Result<(), Error> {
        let stats = self.procfs.parse("diskstats", |text| DiskStats::from_buf_read(text.as_bytes()).ok())?.0;
        self.know(&stats);
        let whole = stats.iter().zip(&self.known).filter(|(_, (_, whole))| *whole);
        let disks: BTreeMap<_, _> = whole.map(|(disk, _)| counters(disk)).collect();
        let spaces = Space::of_each(&mounts::local(&self.procfs.read("mounts")?), space::statvfs);
        if disks.is_empty() && spaces.is_empty() {
            return Err(Error::no_data("there is no disk and no local file system"));
        }
        let rates = self.rates.sample(out.clock().monotonic(), disks);
        for (i, (metric, unit, fold)) in METRICS.into_iter().enumerate() {
            // By the kernel's own ticks a disk may be busy for a little longer than there was time.
            let most = if fold == Fold::Max { 100.0 } else { f64::INFINITY };
            let parts = rates.iter().filter_map(|(name, rates)| Some((name.as_str(), (rates[i]? * unit).min(most))));
            set_parts(out, metric, fold, parts);
        }
        set_parts(out, "total", Fold::Sum, each(&spaces, |space| space.total));
        set_parts(out, "free", Fold::Sum, each(&spaces, |space| space.free));
        set_parts(out, "used_max_percent", Fold::Max, each(&spaces, Space::used_percent));
        Ok(())
    }
}

impl Disk {
    /// Asks which are whole disks, where there are other devices than at the last sample.
    fn know(&mut self, stats: &[DiskStat]) {
        let same = |(stat, (device, _)): (&DiskStat, &(Device, bool))| {
            (stat.major, stat.minor, &stat.name) == (device.0, device.1, &device.2)
        };
        let there = self.believed > 0 && self.known.iter().any(|(_, whole)| *whole);
        if there && stats.len() == self.known.len() && stats.iter().zip(&self.known).all(same) {
            self.believed -= 1;
            return;
        }
        self.believed = BELIEVED;
        let known = |stat: &DiskStat| ((stat.major, stat.minor, stat.name.clone()), self.is_whole(&stat.name));
        self.known = stats.iter().map(known).collect();
    }

    /// Whether it is a disk that stands on hardware, real or a hypervisor's: partitions are no block device of their
    /// own in sysfs, and what lies upon disks (dm, md, loop, zram, nbd) has no `device`. A hidden one is a path to a
    /// disk that is listed too (NVMe multipath).
    fn is_whole(&self, name: &str) -> bool {
        // As sysfs spells `cciss/c0d0`.
        let block = format!("block/{}", name.replace('/', "!"));
        let is_hidden = || self.sysfs.read(&format!("{block}/hidden")).is_ok_and(|hidden| hidden.starts_with(b"1"));
        self.sysfs.join(format!("{block}/device")).exists() && !is_hidden()
    }
}

fn counters(disk: &DiskStat) -> (String, [u64; METRICS.len()]) {
    let counters = [disk.reads, disk.writes, disk.sectors_read, disk.sectors_written, disk.time_in_progress];
    (disk.name.clone(), counters)
}

fn each(spaces: &[(String, Space)], of: fn(&Space) -> f64) -> impl Iterator<Item = (&str, f64)> {
    spaces.iter().map(move |(mount, space)| (mount.as_str(), of(space)))
}

export_collector!(Disk, path = "disk,{host}");
