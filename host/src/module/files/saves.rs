//! Which files are being saved just now. It is told from what is heard of them; pure, time is an argument.
//!
//! A file that was closed after writing, or renamed into place, is whole. One that was written and not closed is not, and
//! one that vanished may be back in a moment: many editors move the old one away before they write the new. Until then
//! nothing that is seen of such a file counts.

use crate::limits::{FILES_REST, FILES_WRITTEN_MAX, SETTLE, WRITE_SILENCE_MAX};
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What is heard of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// It is there, and perhaps nobody writes to it: so it is after link(2), symlink(2) and mkfifo(2).
    Created,
    /// Somebody has opened it.
    Opened,
    /// Something was written to it, or it was cut.
    Written,
    /// Whoever wrote it has closed it.
    Closed,
    /// It was renamed to this name.
    Arrived,
    /// It was renamed to another name.
    Left,
    /// It is no more.
    Removed,
    /// Its mode or owner changed.
    Touched,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// It was made; whether somebody writes to it will be heard at once.
    Made,
    Written,
    /// It is not there; `written`: somebody was still writing to it.
    Gone {
        written: bool,
    },
}

#[derive(Clone, Copy, Debug)]
struct Held {
    how: How,
    until: Instant,
}

/// The files that are being saved.
#[derive(Debug, Default)]
pub(super) struct Saves {
    files: HashMap<PathBuf, Held>,
}

impl Saves {
    /// Something is heard of a file. Whether it is to be looked at now.
    pub(super) fn hear(&mut self, what: What, file: &Path, now: Instant) -> bool {
        let how = self.files.get(file).map(|held| held.how);
        match what {
            What::Created => self.hold(file, How::Made, now + FILES_REST),
            What::Opened if how == Some(How::Made) => self.hold(file, How::Written, now + WRITE_SILENCE_MAX),
            What::Opened => false,
            What::Touched if how.is_none() => true,
            What::Touched if how == Some(How::Written) => self.hold(file, How::Written, now + WRITE_SILENCE_MAX),
            What::Touched => false,
            What::Written => self.hold(file, How::Written, now + WRITE_SILENCE_MAX),
            What::Closed | What::Arrived => {
                self.files.remove(file);
                true
            }
            What::Left => {
                let written = matches!(how, Some(How::Written | How::Gone { written: true }));
                self.hold(file, How::Gone { written }, now + SETTLE)
            }
            What::Removed => self.hold(file, How::Gone { written: false }, now + SETTLE),
        }
    }

    /// A file has another name now; both were heard of before. Whoever was writing to it still is. `same`: both names say
    /// something of a module, so the old one was not moved away to be written anew. Whether it is to be looked at now.
    pub(super) fn renamed(&mut self, from: &Path, to: &[PathBuf], same: bool, now: Instant) -> bool {
        let left = self.files.get(from).map(|held| held.how);
        if same {
            self.files.remove(from);
        }
        if left != Some(How::Gone { written: true }) {
            return same;
        }
        let mut look = false;
        for to in to {
            look |= self.hold(to, How::Written, now + WRITE_SILENCE_MAX);
        }
        look
    }

    /// A file was seen to have changed where nothing is heard: it is waited for until it has been the same for so long.
    pub(super) fn glimpsed(&mut self, file: &Path, now: Instant, rest: Duration) -> bool {
        self.hold(file, How::Written, now + rest)
    }

    fn hold(&mut self, file: &Path, how: How, until: Instant) -> bool {
        if self.files.len() >= FILES_WRITTEN_MAX && !self.files.contains_key(file) {
            self.files.clear();
            return true;
        }
        self.files.insert(file.to_owned(), Held { how, until });
        false
    }

    /// Somebody is saving this file.
    pub(super) fn holds(&self, file: &Path) -> bool {
        self.files.contains_key(file)
    }

    /// Gives up waiting where it has been long enough; whether one of those counts, so that it is to be looked at now.
    pub(super) fn expire(&mut self, now: Instant, counts: impl Fn(&Path) -> bool) -> bool {
        let mut look = false;
        self.files.retain(|file, held| {
            let waits = held.until > now;
            look |= !waits && counts(file);
            waits
        });
        look
    }

    /// When waiting for the next one is given up.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.files.values().map(|held| held.until).min()
    }

    /// Nothing is known any more.
    pub(super) fn clear(&mut self) {
        self.files.clear();
    }

    /// The files that are not to be looked at.
    pub(super) fn files(&self) -> BTreeSet<PathBuf> {
        self.files.keys().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder in which things are heard one after another, a millisecond apart.
    struct Heard {
        saves: Saves,
        now: Instant,
        looks: Vec<bool>,
    }

    impl Heard {
        fn new() -> Heard {
            Heard { saves: Saves::default(), now: Instant::now(), looks: Vec::new() }
        }

        fn hear(mut self, what: What, file: &str) -> Heard {
            self.now += Duration::from_millis(1);
            self.looks.push(self.saves.hear(what, Path::new(file), self.now));
            self
        }

        fn renamed(mut self, from: &str, to: &str, same: bool) -> Heard {
            self = self.hear(What::Left, from).hear(What::Arrived, to);
            self.looks.push(self.saves.renamed(Path::new(from), &[PathBuf::from(to)], same, self.now));
            self
        }

        fn held(&self) -> Vec<String> {
            self.saves.files().iter().map(|file| file.display().to_string()).collect()
        }

        fn after(&mut self, pause: Duration) -> bool {
            self.now += pause;
            self.saves.expire(self.now, |file| !file.ends_with("4913"))
        }
    }

    use What::{Arrived, Closed, Created, Left, Opened, Removed, Touched, Written};

    #[test]
    fn a_copy_is_whole_when_it_is_closed() {
        let heard = Heard::new().hear(Created, "x").hear(Opened, "x").hear(Written, "x").hear(Touched, "x");
        assert_eq!(heard.held(), ["x"]);
        let heard = heard.hear(Closed, "x");
        assert_eq!((heard.held(), heard.looks), (vec![], vec![false, false, false, false, true]));
    }

    #[test]
    fn a_pause_while_writing_is_waited_for_but_not_for_ever() {
        let mut heard = Heard::new().hear(Created, "x").hear(Opened, "x");
        assert!(!heard.after(WRITE_SILENCE_MAX / 2));
        let mut heard = heard.hear(Written, "x");
        assert!(!heard.after(WRITE_SILENCE_MAX - Duration::from_millis(1)));
        assert!(heard.after(Duration::from_millis(1)));
        assert_eq!((heard.held(), heard.saves.deadline()), (vec![], None));
        // If it goes on after all, it is waited for again.
        assert_eq!(heard.hear(Written, "x").held(), ["x"]);
    }

    #[test]
    fn what_is_made_and_never_opened_is_whole_at_once() {
        let mut heard = Heard::new().hear(Created, "x");
        assert!(heard.after(FILES_REST));
        assert_eq!(heard.held(), Vec::<String>::new());
    }

    #[test]
    fn an_editor_that_moves_the_old_one_away_has_it_looked_at_once() {
        // As vim saves: a trial file, the old one becomes a backup, the new one is written, the backup goes.
        let heard = Heard::new().hear(Created, "4913").hear(Opened, "4913").hear(Closed, "4913").hear(Removed, "4913");
        let heard = heard.renamed("x.on", "x.on~", false);
        assert_eq!(heard.held(), ["4913", "x.on"]);
        let heard = heard.hear(Created, "x.on").hear(Opened, "x.on").hear(Written, "x.on");
        assert_eq!(heard.held(), ["4913", "x.on"]);
        let heard = heard.hear(Closed, "x.on").hear(Removed, "x.on~");
        assert!(!heard.saves.holds(Path::new("x.on")));
    }

    #[test]
    fn a_switch_is_no_save() {
        let heard = Heard::new().renamed("x.on", "x.off", true);
        assert_eq!((heard.held(), heard.looks.last()), (vec![], Some(&true)));
    }

    #[test]
    fn what_is_renamed_while_it_is_written_is_not_whole() {
        let heard = Heard::new().hear(Created, ".x").hear(Opened, ".x").hear(Written, ".x").renamed(".x", "x", false);
        assert!(heard.saves.holds(Path::new("x")));
        let heard = heard.hear(Closed, "x");
        assert!(!heard.saves.holds(Path::new("x")));
    }

    #[test]
    fn what_is_removed_is_gone_after_a_while() {
        let mut heard = Heard::new().hear(Written, "x").hear(Removed, "x");
        assert_eq!(heard.held(), ["x"]);
        assert!(heard.after(SETTLE));
        assert_eq!(heard.held(), Vec::<String>::new());
        let mut heard = Heard::new().hear(Left, "x");
        assert!(heard.after(SETTLE));
        assert_eq!(Heard::new().hear(Touched, "x").looks, [true]);
        assert_eq!(Heard::new().hear(Left, "x").hear(Arrived, "x").held(), Vec::<String>::new());
    }

    #[test]
    fn as_many_as_there_may_be() {
        let mut saves = Saves::default();
        let now = Instant::now();
        for n in 0..FILES_WRITTEN_MAX {
            assert!(!saves.hear(Written, Path::new(&n.to_string()), now));
        }
        assert!(saves.hear(Written, Path::new("more"), now), "all are to be looked at");
        assert_eq!(saves.files().len(), 0);
    }
}
