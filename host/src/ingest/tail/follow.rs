//! Which files are followed, and where each is read from.

use super::file::{Content, FileId, FileNumber, Followed, Look, Opened, Stage};
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
    pub(super) past: Vec<Past>,
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
        let mut lost = Vec::new();
        // What is a copy is found again by the first look, and of what.
        for saved in position.files().filter(|saved| !saved.is_copy) {
            let candidates =
                paths.iter().map(|path| (path, Stage::Live)).chain(beside.iter().map(|path| (path, Stage::Left)));
            let same = candidates.filter(|(path, _)| id_of(path) == Some(saved.id)).find_map(|(path, stage)| {
                let opened = Opened::open(path).ok()?;
                (opened.look.id == saved.id && opened.holds(saved.print, saved.offset)).then_some((opened, stage))
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
                // Another may be there by now, even one that is known.
                Ok(opened) if self.is_followed(opened.look.id) => {}
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
        let mut filled = Vec::new();
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
                Ok(Content::Same) => Ok(()),
                // It may have been filled, copied and cut before.
                Ok(Content::First) => {
                    left.push((file.path.clone(), was.changed_ms));
                    if file.offset == 0 && file.stage == Stage::Live {
                        filled.push(file.number);
                    }
                    Ok(())
                }
                Ok(Content::Another) => file.begin_anew().map(|()| {
                    found.steps.push(Step::File(file.number, file.position()));
                    cut.push((file.number, file.path.clone(), before, was.changed_ms));
                }),
                Err(error) => Err(error),
            };
            if let Err(error) = looked {
                found.trouble = format!("{}: {error}", file.path.display());
            }
        }
        // What these are can be seen only now: a log, a copy, an archive.
        for number in filled {
            self.followed.retain(|file| file.number != number);
            found.steps.push(Step::Gone(number));
        }
        for (number, path, past, changed_ms) in cut {
            found.commit = true;
            self.remember(past, found);
            self.release_copies(number, past.offset, found);
            self.find_copy(past, &path, &rotations(&path), found);
            // It may have been filled, copied and cut again since.
            left.push((path, changed_ms));
        }
        for (path, changed_ms) in left {
            found.commit = true;
            self.find_missed(&path, changed_ms, found);
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
        let path = opened.path.clone();
        // What was where this is now, when it was looked at last.
        let before = self.followed.iter().filter(|file| file.path == path).map(|file| file.seen.changed_ms).max();
        self.begin_it(opened, found);
        if let Some(after_ms) = before {
            // Another may have come and gone between the two.
            self.find_missed(&path, after_ms, found);
        }
    }

    fn begin_it(&mut self, opened: Opened, found: &mut Found) {
        if let Some(original) = self.original_of(&opened, found) {
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

    pub(super) fn follow(&mut self, opened: Opened, offset: u64, in_long_line: bool, stage: Stage, found: &mut Found) {
        let number = self.next;
        self.next += 1;
        let file = Followed::new(number, opened, offset, in_long_line, stage);
        found.steps.push(Step::File(number, file.position()));
        self.followed.push(file);
    }

    /// What a file held that others are copies of is gone from it: what they have beyond is read from them.
    fn release_copies(&mut self, original: FileNumber, offset: u64, found: &mut Found) {
        for file in self.followed.iter_mut().filter(|file| file.stage == Stage::CopyOf(original)) {
            file.stage = Stage::Live;
            // Of a packed file, bytes of what is in it are counted.
            file.begin_at(if file.is_packed() { offset } else { offset.min(file.seen.bytes) });
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
