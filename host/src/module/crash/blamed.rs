//! Which modules have killed the daemon, remembered in the data folder.

use super::handler::{OWN_THREAD, Tag};
use crate::module::fence::Doing;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::path::{Path, PathBuf};

/// Where the dying process writes.
const DIED: &str = "died";
/// Names the module that does not come back from a call, as long as it does not.
const LATE: &str = "late";
/// What is remembered.
const BLAMED: &str = "blamed.json";

/// Modules that are remembered; the oldest are forgotten first.
const BLAMED_MAX: usize = 1_024;

/// A module that has killed the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Blame {
    /// The module's name.
    module: String,
    /// Its plugin's fingerprint: another build is not to blame.
    plugin: u64,
    /// What happened, in one line.
    pub(crate) why: String,
    /// How often it has died: once with the daemon, the second time in a process of its own.
    pub(crate) deaths: u32,
}

/// All that have.
#[derive(Debug)]
pub(crate) struct Blamed {
    folder: PathBuf,
    list: Mutex<Vec<Blame>>,
}

/// Tells builds of a plugin apart by what is in the file.
pub(crate) fn fingerprint(bytes: &[u8]) -> u64 {
    let mut hasher = foldhash::fast::FixedState::with_seed(0).build_hasher();
    hasher.write(bytes);
    hasher.finish()
}

impl Blamed {
    /// Where a dying process is to write.
    pub(crate) fn died_file(data: &Path) -> PathBuf {
        data.join(DIED)
    }

    /// Reads what is remembered, and what the last process wrote when it died.
    pub(crate) fn read(data: &Path, now: &str) -> Blamed {
        let text = fs::read_to_string(data.join(BLAMED)).unwrap_or_default();
        let list = if text.is_empty() { Vec::new() } else { parse(&text, &data.join(BLAMED)) };
        let blamed = Blamed { folder: data.to_owned(), list: Mutex::new(list) };
        let died = fs::read_to_string(data.join(DIED)).ok();
        let late = fs::read_to_string(data.join(LATE)).ok();
        // What died in a call is to blame rather than what was late meanwhile.
        let found = died.as_deref().and_then(|text| died_of(text, now)).or_else(|| {
            let (doing, tag) = late.as_deref()?.split_once('\n')?;
            let why = format!("had not come back from its {doing} when the daemon was killed before {now}");
            Some((Tag::parse(tag)?, why))
        });
        if let Some(((plugin, module), why)) = found {
            tracing::error!("the last daemon here died in the module {module}: {why}");
            blamed.add(module, plugin, &why);
        }
        for name in [DIED, LATE] {
            let _ = fs::remove_file(data.join(name));
        }
        blamed
    }

    /// What a module with this plugin is to blame for.
    pub(crate) fn of(&self, module: &str, plugin: u64) -> Option<Blame> {
        self.list.lock().iter().find(|blame| blame.module == module && blame.plugin == plugin).cloned()
    }

    /// It has died (again).
    pub(crate) fn add(&self, module: &str, plugin: u64, why: &str) {
        let mut list = self.list.lock();
        let deaths = list.iter().find(|blame| blame.module == module && blame.plugin == plugin);
        let deaths = deaths.map_or(0, |blame| blame.deaths) + 1;
        // Another build of it is history.
        list.retain(|blame| blame.module != module);
        list.push(Blame { module: module.to_owned(), plugin, why: why.to_owned(), deaths });
        if list.len() > BLAMED_MAX {
            list.remove(0);
        }
        self.write(&list);
    }

    /// It has died in a process of its own: whether that is its second death.
    pub(crate) fn again(&self, tag: &Tag, why: &str) -> bool {
        let Some((plugin, module)) = Tag::parse(tag.text()) else { return false };
        let Some(blame) = self.of(module, plugin) else { return false };
        self.add(module, plugin, &format!("{} and died again: {why}", blame.why));
        true
    }

    /// Somebody wants a module to be tried again: it is let off all but its first death.
    pub(crate) fn forgive(&self, module: &str) {
        let mut list = self.list.lock();
        for blame in list.iter_mut().filter(|blame| blame.module == module) {
            blame.deaths = 1;
        }
        self.write(&list);
    }

    fn write(&self, list: &[Blame]) {
        let written = || -> io::Result<()> {
            let (new, file) = (self.folder.join(format!(".{BLAMED}.new")), self.folder.join(BLAMED));
            fs::write(&new, serde_json::to_string_pretty(list)?)?;
            fs::rename(new, file)
        };
        if let Err(error) = written() {
            tracing::warn!("{}: {error}; who killed the daemon is forgotten at the next start", self.folder.display());
        }
    }

    /// Notes a module that does not come back from a call: if the daemon is killed meanwhile (by the kernel for want of
    /// memory, by somebody who sees it hang), the next one knows of it.
    pub(crate) fn late(&self, tag: &Tag, doing: Doing) {
        let _ = fs::write(self.folder.join(LATE), format!("{doing}\n{}", tag.text()));
    }

    /// Nobody is late any more.
    pub(crate) fn nobody_late(&self) {
        let _ = fs::remove_file(self.folder.join(LATE));
    }
}

fn parse(text: &str, file: &Path) -> Vec<Blame> {
    serde_json::from_str(text).unwrap_or_else(|error| {
        tracing::warn!("{}: {error}; it is made anew", file.display());
        Vec::new()
    })
}

/// Reads the three lines of a dying process.
fn died_of<'t>(text: &'t str, now: &str) -> Option<((u64, &'t str), String)> {
    let (what, rest) = text.split_once('\n')?;
    let (doing, tag) = rest.split_once('\n')?;
    let place = if doing == OWN_THREAD { "in a thread that it started".to_owned() } else { format!("in its {doing}") };
    let how = if what == "exit" { format!("called exit() {place}") } else { format!("{what} {place}") };
    Some((Tag::parse(tag.strip_suffix('\n')?)?, format!("killed the daemon before {now}: {how}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("graftd-blamed-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn what_a_dying_process_wrote_is_remembered() {
        let data = folder("died");
        let tag = Tag::new("odd name\n", 7);
        fs::write(data.join(DIED), format!("SIGSEGV\nprocess()\n{}\n", tag.text())).unwrap();
        let blamed = Blamed::read(&data, "noon");
        let blame = blamed.of("odd name\n", 7).unwrap();
        assert_eq!((blame.deaths, blame.why.as_str()), (1, "killed the daemon before noon: SIGSEGV in its process()"));
        assert_eq!(blamed.of("odd name\n", 8), None, "another build");
        assert!(!data.join(DIED).exists());

        let blamed = Blamed::read(&data, "night");
        blamed.add("odd name\n", 7, "crashed");
        assert_eq!(Blamed::read(&data, "later").of("odd name\n", 7).map(|blame| blame.deaths), Some(2));
        blamed.forgive("odd name\n");
        assert_eq!(Blamed::read(&data, "later").of("odd name\n", 7).map(|blame| blame.deaths), Some(1));
        fs::remove_dir_all(data).unwrap();
    }

    #[test]
    fn who_was_late_when_the_daemon_was_killed_is_suspected() {
        let data = folder("late");
        let blamed = Blamed::read(&data, "noon");
        blamed.late(&Tag::new("m", 1), Doing::Collect);
        assert!(Blamed::read(&data, "noon").of("m", 1).unwrap().why.contains("collect()"));
        blamed.late(&Tag::new("n", 1), Doing::Collect);
        blamed.nobody_late();
        assert_eq!(Blamed::read(&data, "noon").of("n", 1), None);
        fs::remove_dir_all(data).unwrap();
    }

    #[test]
    fn what_makes_no_sense_is_left_out() {
        let data = folder("odd");
        for text in ["", "SIGSEGV", "SIGSEGV\nx\n", "SIGSEGV\nx\ny\n", "\n\n\n\n"] {
            fs::write(data.join(DIED), text).unwrap();
            fs::write(data.join(BLAMED), "no json").unwrap();
            assert!(Blamed::read(&data, "noon").list.lock().is_empty(), "{text:?}");
        }
        fs::remove_dir_all(data).unwrap();
    }
}
