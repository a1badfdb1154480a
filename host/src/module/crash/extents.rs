//! Where plugins' code lies in memory: who dies on a thread that the plugin itself started is known by its address.
//!
//! A table of fixed size, for a signal handler looks into it: no lock, no allocation. A plugin that was unloaded is
//! remembered until its place is needed, for a thread that it left behind dies after it is gone.

use super::tag::Tag;
use parking_lot::Mutex;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

/// Plugins that are known by their addresses at a time, those that were unloaded lately among them.
const EXTENTS_MAX: usize = 512;

/// Bytes of a tag that are kept.
const TAG_BYTES_MAX: usize = 128;

struct Extent {
    start: AtomicUsize,
    /// Zero while the place is empty or being changed.
    end: AtomicUsize,
    tag: [AtomicU8; TAG_BYTES_MAX],
    tag_bytes: AtomicUsize,
}

static TABLE: [Extent; EXTENTS_MAX] = [const {
    Extent {
        start: AtomicUsize::new(0),
        end: AtomicUsize::new(0),
        tag: [const { AtomicU8::new(0) }; TAG_BYTES_MAX],
        tag_bytes: AtomicUsize::new(0),
    }
}; EXTENTS_MAX];

/// For each place, when it was let go; those in use have none. Whoever writes the table holds this.
static FREED: Mutex<Freed> = Mutex::new(Freed { at: [Some(0); EXTENTS_MAX], clock: 0 });

struct Freed {
    at: [Option<u64>; EXTENTS_MAX],
    clock: u64,
}

/// A plugin's place in the table, as long as it is loaded.
#[derive(Debug)]
pub(crate) struct Noted(usize);

impl Drop for Noted {
    fn drop(&mut self) {
        let mut freed = FREED.lock();
        freed.clock += 1;
        let now = freed.clock;
        freed.at[self.0] = Some(now);
    }
}

/// Notes where the object in a file was mapped, and whose it is. `None` where that cannot be told, or too many are.
pub(crate) fn note(object: &Path, tag: &Tag) -> Option<Noted> {
    let object = fs::canonicalize(object).ok()?;
    let (start, end) = mapped(&fs::read_to_string("/proc/self/maps").ok()?, object.to_str()?)?;
    let mut freed = FREED.lock();
    let free = |(place, at): (usize, &Option<u64>)| at.map(|at| (at, place));
    let (_, place) = freed.at.iter().enumerate().filter_map(free).min()?;
    freed.at[place] = None;
    // Whoever lay there before does not any more.
    for (extent, _) in TABLE.iter().zip(&freed.at).filter(|(_, at)| at.is_some()) {
        if extent.start.load(Ordering::Relaxed) < end && extent.end.load(Ordering::Relaxed) > start {
            extent.end.store(0, Ordering::Release);
        }
    }
    let extent = &TABLE[place];
    extent.end.store(0, Ordering::Release);
    let bytes = &tag.text().as_bytes()[..tag.text().len().min(TAG_BYTES_MAX)];
    for (to, from) in extent.tag.iter().zip(bytes) {
        to.store(*from, Ordering::Relaxed);
    }
    extent.tag_bytes.store(bytes.len(), Ordering::Relaxed);
    extent.start.store(start, Ordering::Relaxed);
    extent.end.store(end, Ordering::Release);
    Some(Noted(place))
}

/// From where to where an object is mapped (proc_pid_maps(5)).
fn mapped(maps: &str, object: &str) -> Option<(usize, usize)> {
    let ranges = maps.lines().filter(|line| line.split_once('/').is_some_and(|(_, path)| path == &object[1..]));
    let ends = ranges.filter_map(|line| {
        let (start, end) = line.split(' ').next()?.split_once('-')?;
        Some((usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?))
    });
    ends.reduce(|(start, end), (other, other_end)| (start.min(other), end.max(other_end)))
}

/// Whose code is at an address: its tag is copied out. Async-signal-safe.
pub(super) fn whose(address: usize, tag: &mut [u8; TAG_BYTES_MAX]) -> Option<usize> {
    let extent = TABLE.iter().find(|extent| {
        let end = extent.end.load(Ordering::Acquire);
        address < end && address >= extent.start.load(Ordering::Relaxed)
    })?;
    for (to, from) in tag.iter_mut().zip(&extent.tag) {
        *to = from.load(Ordering::Relaxed);
    }
    Some(extent.tag_bytes.load(Ordering::Relaxed).min(TAG_BYTES_MAX))
}

/// Room for a tag.
pub(super) const fn no_tag() -> [u8; TAG_BYTES_MAX] {
    [0; TAG_BYTES_MAX]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_found_among_the_maps() {
        let maps = "7f0010000000-7f0010002000 r--p 00000000 fe:00 7  /data/loaded-1/x-2.so\n\
                    7f0010002000-7f0010009000 r-xp 00002000 fe:00 7  /data/loaded-1/x-2.so\n\
                    7f0020000000-7f0020009000 r-xp 00002000 fe:00 8  /data/loaded-1/x-20.so\n\
                    7ffd00000000-7ffd00001000 rw-p 00000000 00:00 0  [stack]\n";
        assert_eq!(mapped(maps, "/data/loaded-1/x-2.so"), Some((0x7f00_1000_0000, 0x7f00_1000_9000)));
        assert_eq!(mapped(maps, "/data/loaded-1/x.so"), None);
    }

    #[test]
    fn an_address_is_somebodys_until_its_place_is_needed() {
        let own = std::env::current_exe().unwrap();
        let noted = note(&own, &Tag::new("own", 7)).unwrap();
        let mut tag = no_tag();
        let address = an_object_is_found_among_the_maps as fn() as usize;
        let bytes = whose(address, &mut tag).unwrap();
        assert_eq!(&tag[..bytes], Tag::new("own", 7).text().as_bytes());
        drop(noted);
        assert!(whose(address, &mut tag).is_some(), "it may have left a thread behind");
        let _noted = note(&own, &Tag::new("next", 8)).unwrap();
        let bytes = whose(address, &mut tag).unwrap();
        assert_eq!(&tag[..bytes], Tag::new("next", 8).text().as_bytes(), "what lies there now");
        assert_eq!(whose(1, &mut tag), None);
    }
}
