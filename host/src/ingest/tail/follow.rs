//! Which files are followed, and where each is read from.

use super::file::{FileId, FileNumber, Followed, Look, Opened, Stage};
use super::names::{matches, rotations};
use super::position::{LogPosition, Past, Print, Step};
use crate::limits::LOG_FILES_MAX;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a file that was left behind must say nothing until the line that it does not end is taken for whole.
pub(super) const LINE_PATIENCE: Duration = Duration::from_secs(2);

/// How long a file that was left behind must say nothing until it is followed no more: whoever writes it may go on for long, until
/// it is told that there is a new one.
const LEFT_PATIENCE: Duration = Duration::from_secs(600);

/// What looking came to.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) steps: Vec<Step>,
    /// What happened is to be kept at once.
    pub(super) commit: bool,
    /// What went wrong; empty if nothing did.
    pub(super) trouble: String,
}

/// The files of a log.
#[derive(Debug)]
pub(super) struct Files {
    patterns: Vec<String>,
    from_end: bool,
    pub(super) followed: Vec<Followed>,
    past: Vec<Past>,
    next: FileNumber,
}

impl Files {
    /// None yet. `from_end`: what is there at the first look has been read, as it were.
    pub(super) fn new(patterns: Vec<String>, from_end: bool) -> Files {
        Files { patterns, from_end, followed: Vec::new(), past: Vec::new(), next: 0 }
    }

    /// Goes on where files were read to, wherever they are now.
    pub(super) fn resume(&mut self, position: &LogPosition) -> Found {
        let mut found = Found::default();
        let paths = matches(&self.patterns).0;
        let is_matched = |path: &str| paths.iter().any(|other| other.as_os_str() == path);
        for past in position.past() {
            self.remember(*past, &mut found);
        }
        if !position.files().any(|file| is_matched(&file.path)) {
            // Other files than ever before: they are new to it.
            return found;
        }
        self.from_end = false;
        let (mut lost, mut beside) = (Vec::new(), Vec::new());
        for saved in position.files() {
            let rotated = rotations(Path::new(&saved.path));
            let candidates =
                paths.iter().map(|path| (path, Stage::Live)).chain(rotated.iter().map(|path| (path, Stage::Left)));
            let same = candidates.filter(|(path, _)| id_of(path) == Some(saved.id)).find_map(|(path, stage)| {
                let opened = Opened::open(path).ok()?;
                (opened.look.id == saved.id && opened.holds(saved.print, saved.offset)).then_some((opened, stage))
            });
            match same {
                Some((opened, stage)) => {
                    let stage = if rotated.contains(&opened.path) && !paths.contains(&opened.path) {
                        Stage::Left
                    } else {
                        stage
                    };
                    self.follow(opened, saved.offset, saved.in_long_line, stage, &mut found);
                }
                None => lost.push(saved),
            }
            beside.push((rotated, saved));
        }
        for saved in lost {
            found.commit = true;
            let past = Past { print: saved.print, offset: saved.offset };
            self.remember(past, &mut found);
            self.find_copy(past, Path::new(&saved.path), &mut found);
        }
        for (rotated, saved) in beside {
            self.find_missed(&rotated, saved.changed_ms, &mut found);
        }
        found
    }

    /// Looks at all files, and for new ones.
    pub(super) fn look(&mut self) -> Found {
        let mut found = Found::default();
        let (paths, trouble) = matches(&self.patterns);
        found.trouble = trouble.unwrap_or_default();
        let mut there: HashMap<FileId, &PathBuf> = HashMap::with_capacity(paths.len());
        for path in &paths {
            if let Some(id) = id_of(path) {
                there.entry(id).or_insert(path);
            }
        }
        if there.is_empty() {
            found.trouble = format!("no file is there that {} names", self.patterns.join(", "));
        }
        self.look_at_known(&there, &mut found);
        let known: Vec<FileId> = self.followed.iter().map(|file| file.seen.id).collect();
        let mut new: Vec<(&FileId, &&PathBuf)> = there.iter().filter(|(id, _)| !known.contains(id)).collect();
        new.sort_unstable_by_key(|(_, path)| **path);
        for (_, path) in new {
            match Opened::open(path) {
                Ok(opened) => self.begin(opened, &mut found),
                // It may have gone since.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => found.trouble = format!("{}: {error}", path.display()),
            }
        }
        // What comes from now on is new, and read whole.
        self.from_end = false;
        self.let_go(&mut found);
        found
    }

    fn look_at_known(&mut self, there: &HashMap<FileId, &PathBuf>, found: &mut Found) {
        let mut left = Vec::new();
        let mut cut = Vec::new();
        for file in &mut self.followed {
            match there.get(&file.seen.id) {
                Some(path) if file.stage == Stage::Left || file.path != **path => {
                    if file.stage == Stage::Left {
                        file.stage = Stage::Live;
                    }
                    file.path = (*path).clone();
                    found.steps.push(Step::File(file.number, file.position()));
                }
                Some(_) => {}
                None => {
                    if file.stage == Stage::Live {
                        file.stage = Stage::Left;
                        left.push((file.path.clone(), file.seen.changed_ms));
                    }
                }
            }
            let before = Past { print: file.print, offset: file.offset };
            let was = file.seen;
            let looked = match file.look() {
                Ok(true) => {
                    if file.seen != was && file.seen.bytes == 0 && !file.is_packed() {
                        // It may have been filled and cut since.
                        left.push((file.path.clone(), was.changed_ms));
                    }
                    Ok(())
                }
                Ok(false) => file.begin_anew().map(|()| {
                    found.steps.push(Step::File(file.number, file.position()));
                    cut.push((file.number, file.path.clone(), before));
                }),
                Err(error) => Err(error),
            };
            if let Err(error) = looked {
                found.trouble = format!("{}: {error}", file.path.display());
            }
        }
        for (number, path, past) in cut {
            found.commit = true;
            self.remember(past, found);
            self.release_copies(number, past.offset, found);
            self.find_copy(past, &path, found);
        }
        for (path, changed_ms) in left {
            found.commit = true;
            self.find_missed(&rotations(&path), changed_ms, found);
        }
        self.check_copies(found);
    }

    /// A file is new: where it is read from.
    fn begin(&mut self, opened: Opened, found: &mut Found) {
        found.commit = true;
        if self.followed.len() >= LOG_FILES_MAX {
            found.trouble = format!("more than {LOG_FILES_MAX} files; the rest is not read");
            return;
        }
        if let Some(original) = self.original_of(&opened) {
            return self.follow(opened, 0, false, Stage::CopyOf(original), found);
        }
        if let Some(past) = self.past_of(&opened) {
            let offset = if opened.packed { past.offset } else { past.offset.min(opened.look.bytes) };
            return self.follow(opened, offset, false, Stage::Live, found);
        }
        let (offset, in_line) = if self.from_end && !opened.packed { Followed::end_of(&opened) } else { (0, false) };
        if self.from_end && opened.packed {
            // An archive of what was written before.
            let past = Past { print: Print::of(&opened.beginning), offset: u64::MAX };
            self.remember(past, found);
            return self.follow(opened, u64::MAX, false, Stage::Live, found);
        }
        self.follow(opened, offset, in_line, Stage::Live, found);
    }

    fn follow(&mut self, opened: Opened, offset: u64, in_long_line: bool, stage: Stage, found: &mut Found) {
        let number = self.next;
        self.next += 1;
        let file = Followed::new(number, opened, offset, in_long_line, stage);
        found.steps.push(Step::File(number, file.position()));
        self.followed.push(file);
    }

    /// What is being read and begins as this does.
    fn original_of(&self, opened: &Opened) -> Option<FileNumber> {
        let is = |file: &&Followed| {
            !matches!(file.stage, Stage::CopyOf(_)) && file.print.tells() && file.print.fits(&opened.beginning)
        };
        self.followed.iter().find(is).map(|file| file.number)
    }

    fn past_of(&self, opened: &Opened) -> Option<Past> {
        self.past.iter().rev().find(|past| past.print.tells() && past.print.fits(&opened.beginning)).copied()
    }

    fn remember(&mut self, past: Past, found: &mut Found) {
        if past.print.bytes > 0 {
            self.past.retain(|other| other.print != past.print);
            self.past.push(past);
            found.steps.push(Step::Past(past));
        }
    }

    fn is_followed(&self, id: FileId) -> bool {
        self.followed.iter().any(|file| file.seen.id == id)
    }

    /// A content is gone from where it was: it may have been copied beside it, and the copy have more than was read.
    fn find_copy(&mut self, past: Past, path: &Path, found: &mut Found) {
        if !past.print.tells() {
            return;
        }
        for path in rotations(path) {
            let Ok(opened) = Opened::open(&path) else { continue };
            if !self.is_followed(opened.look.id) && opened.holds(past.print, past.offset) {
                return self.follow(opened, past.offset, false, Stage::Left, found);
            }
        }
    }

    /// Between two looks a log may have been rotated twice: then there is one beside it that nobody has seen, and that was written
    /// after what was read last.
    fn find_missed(&mut self, rotated: &[PathBuf], after_ms: i64, found: &mut Found) {
        for path in rotated {
            let Ok(opened) = Opened::open(path) else { continue };
            let Look { id, bytes, changed_ms } = opened.look;
            let is_known =
                self.is_followed(id) || self.original_of(&opened).is_some() || self.past_of(&opened).is_some();
            if bytes > 0 && changed_ms >= after_ms && !is_known {
                found.commit = true;
                self.follow(opened, 0, false, Stage::Left, found);
            }
        }
    }

    /// What a file held that others are copies of is gone from it: what they have beyond is read from them.
    fn release_copies(&mut self, original: FileNumber, offset: u64, found: &mut Found) {
        for file in self.followed.iter_mut().filter(|file| file.stage == Stage::CopyOf(original)) {
            file.stage = Stage::Live;
            file.begin_at(offset.min(file.seen.bytes));
            found.steps.push(Step::File(file.number, file.position()));
        }
    }

    /// Files that began alike and do not go on alike are no copies.
    fn check_copies(&mut self, found: &mut Found) {
        let prints: HashMap<FileNumber, Print> = self.followed.iter().map(|file| (file.number, file.print)).collect();
        for file in &mut self.followed {
            let Stage::CopyOf(original) = file.stage else { continue };
            let Some(print) = prints.get(&original) else { continue };
            let differs = Opened::open(&file.path).is_ok_and(|opened| {
                opened.look.id == file.seen.id
                    && opened.beginning.len() as u64 >= print.bytes
                    && !print.fits(&opened.beginning)
            });
            if differs {
                file.stage = Stage::Live;
                file.begin_at(0);
                found.steps.push(Step::File(file.number, file.position()));
            }
        }
    }

    /// Files that were left behind, and say nothing any more.
    fn let_go(&mut self, found: &mut Found) {
        let is_over = |file: &Followed| file.stage == Stage::Left && file.at_end && file.grew.elapsed() > LEFT_PATIENCE;
        let over: Vec<(FileNumber, Past)> = self
            .followed
            .iter()
            .filter(|file| is_over(file))
            .map(|file| (file.number, Past { print: file.print, offset: file.offset }))
            .collect();
        for (number, past) in over {
            self.followed.retain(|file| file.number != number);
            found.steps.push(Step::Gone(number));
            self.remember(past, found);
            self.release_copies(number, past.offset, found);
        }
        // A copy that is gone itself is no copy of anything.
        self.followed.retain(|file| {
            let gone = matches!(file.stage, Stage::CopyOf(_)) && id_of(&file.path) != Some(file.seen.id);
            if gone {
                found.steps.push(Step::Gone(file.number));
            }
            !gone
        });
    }
}

fn id_of(path: &Path) -> Option<FileId> {
    std::fs::metadata(path).ok().map(|meta| Look::of(&meta).id)
}
