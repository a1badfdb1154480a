//! What rotations left beside a log, and what a file is a copy of.

use super::file::{FileNumber, Followed, Stage};
use super::follow::{Files, Found};
use super::names::rotations;
use super::opened::{FileId, Look, Opened};
use super::position::{PAST_MAX, Past, Step};
use std::path::{Path, PathBuf};

impl Files {
    /// What is being read and begins as this does. It was opened before what is being read is looked at: so a copy of what came
    /// into an empty file just now is known, as long as the file holds it.
    pub(super) fn original_of(&mut self, opened: &Opened, found: &mut Found) -> Option<FileNumber> {
        for file in &mut self.followed {
            match file.learn() {
                Ok(true) => found.steps.push(Step::File(file.number, file.position())),
                Ok(false) => {}
                Err(error) => found.trouble.of(&file.path, error),
            }
        }
        let is = |file: &&Followed| {
            !matches!(file.stage, Stage::CopyOf(_)) && file.print.tells() && file.print.fits(&opened.beginning)
        };
        self.followed.iter().find(is).map(|file| file.number)
    }

    pub(super) fn past_of(&self, opened: &Opened) -> Option<Past> {
        self.past.iter().rev().find(|past| past.print.tells() && past.print.fits(&opened.beginning)).copied()
    }

    pub(super) fn remember(&mut self, past: Past, found: &mut Found) {
        if past.print.bytes > 0 {
            self.past.retain(|other| other.print != past.print);
            self.past.push_back(past);
            if self.past.len() > PAST_MAX {
                self.past.pop_front();
            }
            found.steps.push(Step::Past(past));
        }
    }

    pub(super) fn is_followed(&self, id: FileId) -> bool {
        self.followed.iter().any(|file| file.seen.id == id)
    }

    /// A content is gone from `log`: it may have been copied beside it, and the copy have more than was read.
    pub(super) fn find_copy(&mut self, past: Past, log: &Path, beside: &[PathBuf], found: &mut Found) {
        if !past.print.tells() {
            return;
        }
        for path in beside {
            let Ok(mut opened) = Opened::open(path) else { continue };
            if !self.is_followed(opened.look.id) && opened.holds(past.print, past.offset) {
                log.clone_into(&mut opened.path);
                return self.follow(opened, past.offset, false, Stage::Left, found);
            }
        }
    }

    /// Between two looks a log may have been rotated twice: then there is one beside it that nobody has seen, and that was written
    /// after what was read last.
    pub(super) fn find_missed(&mut self, log: &Path, after_ms: i64, found: &mut Found) {
        for path in rotations(log) {
            // Most are old, and need not be opened.
            let is_new = |look: &Look| look.bytes > 0 && look.changed_ms >= after_ms && !self.is_followed(look.id);
            if !Look::at(&path).is_some_and(|look| is_new(&look)) {
                continue;
            }
            let Ok(mut opened) = Opened::open(&path) else { continue };
            let is_known = self.is_followed(opened.look.id)
                || self.original_of(&opened, found).is_some()
                || self.past_of(&opened).is_some();
            if opened.look.bytes > 0 && !is_known {
                found.commit = true;
                log.clone_into(&mut opened.path);
                self.follow(opened, 0, false, Stage::Left, found);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::position::Print;
    use super::*;

    #[test]
    fn what_is_remembered_of_files_that_are_gone_is_bounded() {
        let mut files = Files::new(Vec::new(), false, &std::sync::Arc::default());
        let past = |n: usize| Past { print: Print::of(n.to_string().repeat(40).as_bytes()), offset: n as u64 };
        for n in 0..PAST_MAX + 500 {
            files.remember(past(n), &mut Found::default());
            // Of one that comes again the newest is kept, once.
            files.remember(past(n), &mut Found::default());
        }
        assert_eq!(files.past.len(), PAST_MAX);
        assert_eq!(files.past.front(), Some(&past(500)));
    }
}
