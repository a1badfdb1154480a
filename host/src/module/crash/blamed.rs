//! Which modules have killed the daemon, remembered in the data folder.

use super::handler::OWN_THREAD;
use super::tag::Tag;
use crate::module::fence::Doing;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Where the dying process writes.
const DIED: &str = "died";
/// Names modules that do not come back from a call, as long as they do not: two lines each.
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
    /// How often it has died: once with the daemon, the second time in a process of its own. Zero: it is only suspected.
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
        let mut written = true;
        // What died in a call is to blame rather than what was late meanwhile.
        match died.as_deref().and_then(|text| died_of(text, now)) {
            Some(((plugin, module), why)) => {
                tracing::error!("the last daemon here died in the module {module}: {why}");
                written &= blamed.add(module, plugin, &why, 1);
            }
            None => {
                let lines: Vec<&str> = late.as_deref().unwrap_or_default().lines().collect();
                for pair in lines.chunks_exact(2) {
                    let Some((plugin, module)) = Tag::parse(pair[1]) else { continue };
                    let why =
                        format!("had not come back from its {} when the daemon was killed (found at {now})", pair[0]);
                    tracing::warn!("the module {module} {why}");
                    written &= blamed.add(module, plugin, &why, 0);
                }
            }
        }
        // What could not be remembered is read again at the next start.
        for name in [DIED, LATE].iter().filter(|_| written) {
            let _ = fs::remove_file(data.join(name));
        }
        blamed
    }

    /// What a module with this plugin is to blame for.
    pub(crate) fn of(&self, module: &str, plugin: u64) -> Option<Blame> {
        self.list.lock().iter().find(|blame| blame.module == module && blame.plugin == plugin).cloned()
    }

    /// It has died so often more.
    fn add(&self, module: &str, plugin: u64, why: &str, deaths: u32) -> bool {
        let mut list = self.list.lock();
        let before = list.iter().find(|blame| blame.module == module && blame.plugin == plugin);
        let deaths = before.map_or(0, |blame| blame.deaths) + deaths;
        // Another build of it is history.
        list.retain(|blame| blame.module != module);
        list.push(Blame { module: module.to_owned(), plugin, why: why.to_owned(), deaths });
        if list.len() > BLAMED_MAX {
            list.remove(0);
        }
        self.write(&list)
    }

    /// It has died in a process of its own: whether it has killed the daemon before.
    pub(crate) fn again(&self, tag: &Tag, why: &str) -> bool {
        let Some((plugin, module)) = Tag::parse(tag.text()) else { return false };
        let Some(blame) = self.of(module, plugin).filter(|blame| blame.deaths > 0) else { return false };
        self.add(module, plugin, &format!("{} and died again: {why}", blame.why), 1);
        true
    }

    /// Somebody wants a module to be tried again: nothing is held against it any more.
    pub(crate) fn forgive(&self, module: &str) {
        let mut list = self.list.lock();
        let before = list.len();
        list.retain(|blame| blame.module != module);
        if list.len() < before {
            let _ = self.write(&list);
        }
    }

    /// Whether it could be.
    fn write(&self, list: &[Blame]) -> bool {
        let written = || -> io::Result<()> {
            let (new, file) = (self.folder.join(format!(".{BLAMED}.new")), self.folder.join(BLAMED));
            let _ = fs::remove_file(&new);
            let mut made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
            made.write_all(&serde_json::to_vec_pretty(list)?)?;
            fs::rename(new, file)
        };
        if let Err(error) = written() {
            tracing::warn!("{}: {error}; who killed the daemon cannot be written down", self.folder.display());
            return false;
        }
        true
    }

    /// Notes the modules that do not come back from a call: if the daemon is killed meanwhile (by the kernel for want of
    /// memory, by somebody who sees it hang), the next one knows of them.
    pub(crate) fn late<'t>(&self, late: impl Iterator<Item = (&'t Tag, Doing)>) {
        // A name with a line's end in it would be two.
        let named = late.filter(|(tag, _)| !tag.text().contains('\n'));
        let text: String = named.map(|(tag, doing)| format!("{doing}\n{}\n", tag.text())).collect();
        let file = self.folder.join(LATE);
        // Never through a link that somebody left there.
        let _ = fs::remove_file(&file);
        if !text.is_empty() {
            let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
            let _ = made.and_then(|mut made| made.write_all(text.as_bytes()));
        }
    }

    /// The daemon ends in order: nobody is to blame for anything.
    pub(crate) fn all_well(&self) {
        for name in [DIED, LATE] {
            let _ = fs::remove_file(self.folder.join(name));
        }
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
    Some((Tag::parse(tag.strip_suffix('\n')?)?, format!("killed the daemon (found at {now}): {how}")))
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
        assert_eq!(
            (blame.deaths, blame.why.as_str()),
            (1, "killed the daemon (found at noon): SIGSEGV in its process()")
        );
        assert_eq!(blamed.of("odd name\n", 8), None, "another build");
        assert!(!data.join(DIED).exists());

        let blamed = Blamed::read(&data, "night");
        assert!(blamed.again(&tag, "crashed"));
        assert_eq!(Blamed::read(&data, "later").of("odd name\n", 7).map(|blame| blame.deaths), Some(2));
        blamed.forgive("odd name\n");
        assert_eq!(Blamed::read(&data, "later").of("odd name\n", 7), None);
        fs::remove_dir_all(data).unwrap();
    }

    #[test]
    fn who_was_late_when_the_daemon_was_killed_is_suspected() {
        let data = folder("late");
        let blamed = Blamed::read(&data, "noon");
        let tags = ["m", "n"].map(|name| Tag::new(name, 1));
        blamed.late(tags.iter().map(|tag| (tag, Doing::Collect)));
        let next = Blamed::read(&data, "noon");
        for name in ["m", "n"] {
            let blame = next.of(name, 1).unwrap();
            assert!(blame.deaths == 0 && blame.why.contains("collect()"), "{blame:?}");
        }
        // It was no death, so the first is not the second.
        assert!(!next.again(&tags[0], "crashed"));
        blamed.late([(&Tag::new("o", 1), Doing::Collect)].into_iter());
        blamed.late(std::iter::empty());
        assert_eq!(Blamed::read(&data, "noon").of("o", 1), None);
        blamed.late([(&Tag::new("o", 1), Doing::Collect)].into_iter());
        blamed.all_well();
        assert_eq!(Blamed::read(&data, "noon").of("o", 1), None);
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
