//! How a log goes on whose files were read by another life of it, or by a daemon before this one.

use super::file::Stage;
use super::follow::{Files, Found};
use super::names::{matches, rotations};
use super::opened::{FileId, Look, Opened};
use super::position::{LogPosition, Past};
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

impl Files {
    /// Goes on where files were read to, wherever they are now.
    pub(super) fn resume(&mut self, position: &LogPosition) -> Found {
        let mut found = Found::default();
        let paths = matches(&self.patterns).0;
        // Whether or not it is there at the moment.
        let is_matched = |path: &str| {
            let matches =
                |pattern: &String| pattern == path || glob::Pattern::new(pattern).is_ok_and(|p| p.matches(path));
            self.patterns.iter().any(matches)
        };
        let is_known = position.files().any(|file| is_matched(&file.path));
        for past in position.past() {
            self.remember(*past, &mut found);
        }
        if !is_known {
            // Other files than ever before: they are new to it.
            return found;
        }
        self.from_end = false;
        // Where they may be now, if not where they were.
        let mut beside: Vec<PathBuf> = Vec::new();
        for path in position.files().map(|file| Path::new(&file.path)).chain(paths.iter().map(PathBuf::as_path)) {
            beside.extend(rotations(path).into_iter().chain([path.to_owned()]));
        }
        beside.retain(|path| !paths.contains(path));
        beside.sort_unstable();
        beside.dedup();
        let mut by_id: HashMap<FileId, Vec<(&Path, Stage)>> = HashMap::new();
        let live = paths.iter().map(|path| (path, Stage::Live));
        for (path, stage) in live.chain(beside.iter().map(|path| (path, Stage::Left))) {
            if let Some(look) = Look::at(path) {
                by_id.entry(look.id).or_default().push((path, stage));
            }
        }
        let mut lost = Vec::new();
        // What is a copy is found again by the first look, and of what.
        for saved in position.files().filter(|saved| !saved.is_copy) {
            let candidates = by_id.get(&saved.id).map(Vec::as_slice).unwrap_or_default();
            if candidates.iter().any(|(path, stage)| *stage == Stage::Live && self.must_wait(path)) {
                self.park(saved.clone(), &mut found);
                continue;
            }
            let same = candidates.iter().find_map(|(path, stage)| {
                let opened = Opened::open(path).ok()?;
                (opened.look.id == saved.id && opened.holds(saved.print, saved.offset)).then_some((opened, *stage))
            });
            match same {
                Some((mut opened, stage)) => {
                    if stage == Stage::Left {
                        // Of which log it is matters from then on, as if it had been left behind just now.
                        opened.path = PathBuf::from(&saved.path);
                    }
                    self.follow(opened, saved.offset, saved.in_long_line, stage, &mut found);
                }
                None => lost.push(saved),
            }
        }
        for saved in lost {
            found.commit = true;
            let past = Past { print: saved.print, offset: saved.offset };
            self.remember(past, &mut found);
            self.find_copy(past, Path::new(&saved.path), &beside, &mut found);
        }
        // Of each log what came after the newest of it that was seen.
        let mut newest: HashMap<&str, i64> = HashMap::new();
        for saved in position.files() {
            let at = newest.entry(&saved.path).or_insert(saved.changed_ms);
            *at = saved.changed_ms.max(*at);
        }
        for (path, after_ms) in newest {
            self.find_missed(Path::new(path), after_ms, &mut found);
        }
        found
    }

    /// Whether a file that is there cannot be followed at the moment.
    fn must_wait(&self, path: &Path) -> bool {
        self.room().is_err() || Opened::open(path).is_err_and(|error| error.kind() != io::ErrorKind::NotFound)
    }
}
