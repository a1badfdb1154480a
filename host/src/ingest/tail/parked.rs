//! Files that are there and not followed, for want of descriptors or of the right to read them, and from where on they are new.

use super::file::{FileNumber, Stage};
use super::follow::{Files, Found};
use super::opened::{FileId, Look, Opened};
use super::position::{FilePosition, Past, Print, Step};
use super::share::Share;
use crate::limits::LOG_FILES_MAX;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

impl Files {
    /// Whether one more file may be followed; else what keeps it from that.
    pub(super) fn room(&self) -> Result<(), String> {
        if self.followed.len() >= LOG_FILES_MAX {
            return Err(format!("more than {LOG_FILES_MAX} files; the rest is not read"));
        }
        if !self.share.has_room() {
            let most = Share::most();
            return Err(format!(
                "all logs together may hold {most} files open, half of what \"ulimit -n\" lets the daemon have; the rest is not read"
            ));
        }
        Ok(())
    }

    /// Remembers from where on a file is new that cannot be followed now.
    pub(super) fn park(&mut self, position: FilePosition, found: &mut Found) {
        if self.followed.len() + self.parked.len() < LOG_FILES_MAX {
            let number = self.number();
            found.steps.push(Step::File(number, position.clone()));
            self.parked.insert(position.id, (number, position));
        }
    }

    /// Parks a file that is there when the log is looked at for the first time: what it has by now is not to be read.
    pub(super) fn park_at_its_end(&mut self, path: &Path, found: &mut Found) {
        let Some(look) = Look::at(path) else { return };
        let (print, packed) = match Opened::open(path) {
            Ok(opened) if opened.look.id == look.id => (Print::of(&opened.beginning), opened.packed),
            // Known by its number alone.
            _ => (Print::of(&[]), false),
        };
        let position = FilePosition {
            path: path.to_string_lossy().into_owned(),
            id: look.id,
            print,
            offset: if packed { u64::MAX } else { look.bytes },
            changed_ms: look.changed_ms,
            ..FilePosition::default()
        };
        self.park(position, found);
    }

    /// Follows a file that was parked; gives it back where it was not, or holds something else by now.
    pub(super) fn unpark(&mut self, opened: Opened, found: &mut Found) -> Option<Opened> {
        let Some((number, saved)) = self.parked.remove(&opened.look.id) else { return Some(opened) };
        found.steps.push(Step::Gone(number));
        if !opened.holds(saved.print, if saved.offset == u64::MAX { 0 } else { saved.offset }) {
            self.remember(Past { print: saved.print, offset: saved.offset }, found);
            return Some(opened);
        }
        let offset = if opened.packed && saved.print.bytes == 0 { u64::MAX } else { saved.offset };
        let in_line = saved.in_long_line || (!opened.packed && opened.is_in_a_line(offset));
        self.follow(opened, offset, in_line, Stage::Live, found);
        None
    }

    /// Forgets those that are gone, but for what they held.
    pub(super) fn forget_parked(&mut self, there: &HashMap<FileId, &PathBuf>, found: &mut Found) {
        let gone: Vec<(FileNumber, FilePosition)> =
            self.parked.extract_if(|id, _| !there.contains_key(id)).map(|(_, parked)| parked).collect();
        for (number, saved) in gone {
            found.steps.push(Step::Gone(number));
            self.remember(Past { print: saved.print, offset: saved.offset }, found);
        }
    }
}
