//! Which files are followed, and where each is read from.

use super::file::{Content, FileNumber, Followed, Stage};
use super::names::{matches, rotations};
use super::opened::{FileId, Look, Opened};
use super::position::{FilePosition, Past, Print, Step};
use super::share::Share;
use super::trouble::Trouble;
use std::collections::{HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
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
    /// What is wrong, as far as it was looked at.
    pub(super) trouble: Trouble,
    /// Something is not what it was when it was looked at last.
    pub(super) changed: bool,
}

/// The files of a log.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) patterns: Vec<String>,
    pub(super) from_end: bool,
    pub(super) share: Arc<Share>,
    pub(super) followed: Vec<Followed>,
    /// Those that are there and not followed, as far as something is known of them.
    pub(super) parked: HashMap<FileId, (FileNumber, FilePosition)>,
    pub(super) past: VecDeque<Past>,
    next: FileNumber,
    /// Where files are looked for that are there.
    pub(super) paths: Vec<PathBuf>,
    /// What was wrong when all was looked at last.
    trouble: Trouble,
}

impl Files {
    /// None yet. `from_end`: what is there at the first look has been read, as it were.
    pub(super) fn new(patterns: Vec<String>, from_end: bool, share: &Arc<Share>) -> Files {
        Files {
            patterns,
            from_end,
            share: Arc::clone(share),
            followed: Vec::new(),
            parked: HashMap::new(),
            past: VecDeque::new(),
            next: 0,
            paths: Vec::new(),
            trouble: Trouble::default(),
        }
    }

    /// Looks at all files, and for new ones.
    pub(super) fn look(&mut self) -> Found {
        let mut found = Found::default();
        let (paths, trouble) = matches(&self.patterns);
        if let Some(trouble) = trouble {
            found.trouble.add(trouble);
        }
        let mut there: HashMap<FileId, &PathBuf> = HashMap::with_capacity(paths.len());
        for path in &paths {
            if let Some(id) = id_of(path) {
                there.entry(id).or_insert(path);
            }
        }
        if there.is_empty() {
            found.trouble.add(format_args!("no file is there that {} names", self.patterns.join(", ")));
        }
        let left = self.look_at_places(&there, &mut found);
        self.look_at_contents(|_| true, left, &mut found);
        self.forget_parked(&there, &mut found);
        let known: HashSet<FileId> = self.followed.iter().map(|file| file.seen.id).collect();
        let mut new: Vec<(&FileId, &&PathBuf)> = there.iter().filter(|(id, _)| !known.contains(id)).collect();
        new.sort_unstable_by_key(|(_, path)| **path);
        for (id, path) in new {
            if let Err(why) = self.room() {
                found.trouble.of(path, why);
                if self.from_end && !self.parked.contains_key(id) {
                    self.park_at_its_end(path, &mut found);
                }
                continue;
            }
            match Opened::open(path) {
                // Another may be there by now, even one that is known.
                Ok(opened) if self.is_followed(opened.look.id) => {}
                // It is looked at again when more of it is there.
                Ok(opened) if opened.is_on_its_way && !self.from_end => {}
                Ok(opened) => self.begin(opened, &mut found),
                // It may have gone since.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => {
                    found.trouble.of(path, error);
                    if self.from_end {
                        self.park_at_its_end(path, &mut found);
                    }
                }
            }
        }
        // What comes from now on is new, and read whole.
        self.from_end = false;
        self.let_go(&mut found);
        self.trouble = found.trouble.clone();
        self.paths = paths;
        found
    }

    /// Looks only at what files hold that are followed: at all, or only at those that are not where they are looked for.
    pub(super) fn glance(&mut self, only_left: bool) -> Found {
        let mut found = Found { trouble: self.trouble.clone(), ..Found::default() };
        self.look_at_contents(|file| !only_left || file.stage == Stage::Left, Vec::new(), &mut found);
        found
    }

    /// Looks whether files are where they were; gives the places of those that are not, and when they were changed last.
    fn look_at_places(&mut self, there: &HashMap<FileId, &PathBuf>, found: &mut Found) -> Vec<(PathBuf, i64)> {
        let mut left = Vec::new();
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
                        found.changed = true;
                        left.push((file.path.clone(), file.seen.changed_ms));
                    }
                }
            }
        }
        left
    }

    /// Looks whether files hold what they held, and perhaps more.
    fn look_at_contents(
        &mut self,
        which: impl Fn(&Followed) -> bool,
        mut left: Vec<(PathBuf, i64)>,
        found: &mut Found,
    ) {
        let mut cut = Vec::new();
        let mut filled = Vec::new();
        for file in self.followed.iter_mut().filter(|file| which(file)) {
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
                found.trouble.of(&file.path, error);
            }
            found.changed |= file.seen != was && file.stage == Stage::Live;
        }
        let filled: Vec<Followed> = self.followed.extract_if(.., |file| filled.contains(&file.number)).collect();
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
        // What these are can be seen only now: a log, a copy, an archive.
        for file in filled {
            found.steps.push(Step::Gone(file.number));
            match file.reopened() {
                Ok(opened) => self.begin(opened, found),
                Err((path, error)) => found.trouble.of(&path, error),
            }
        }
        self.check_copies(found);
    }

    /// A file is new: where it is read from.
    fn begin(&mut self, opened: Opened, found: &mut Found) {
        found.commit = true;
        found.changed = true;
        let path = opened.path.clone();
        // What was where this is now, when it was looked at last.
        let before = self.followed.iter().filter(|file| file.path == path).map(|file| file.seen.changed_ms).max();
        if let Some(opened) = self.unpark(opened, found) {
            self.begin_it(opened, found);
        }
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
        let offset = if self.from_end && !opened.packed { opened.look.bytes } else { 0 };
        let in_line = opened.is_in_a_line(offset);
        if self.from_end && opened.packed {
            // An archive of what was written before.
            let past = Past { print: Print::of(&opened.beginning), offset: u64::MAX };
            self.remember(past, found);
            return self.follow(opened, u64::MAX, false, Stage::Live, found);
        }
        self.follow(opened, offset, in_line, Stage::Live, found);
    }

    /// A number that no other file has, nor had.
    pub(super) fn number(&mut self) -> FileNumber {
        let number = self.next;
        self.next += 1;
        number
    }

    /// Follows a file from a place on, as far as there is room for it.
    pub(super) fn follow(&mut self, opened: Opened, offset: u64, in_long_line: bool, stage: Stage, found: &mut Found) {
        let room = self.room().and_then(|()| self.share.take().ok_or_else(|| "there are too many files".to_owned()));
        let descriptor = match room {
            Ok(descriptor) => descriptor,
            Err(why) => return found.trouble.of(&opened.path, why),
        };
        let number = self.number();
        let file = Followed::new(number, (opened, descriptor), offset, in_long_line, stage);
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
        if !self.followed.iter().any(|file| matches!(file.stage, Stage::CopyOf(_))) {
            return;
        }
        let prints: HashMap<FileNumber, Print> = self.followed.iter().map(|file| (file.number, file.print)).collect();
        for file in &mut self.followed {
            let Stage::CopyOf(original) = file.stage else { continue };
            let Some(print) = prints.get(&original) else { continue };
            // Nothing has changed since they were compared.
            if file.compared.replace((file.seen, *print)) == Some((file.seen, *print)) {
                continue;
            }
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

pub(super) fn id_of(path: &Path) -> Option<FileId> {
    Look::at(path).map(|look| look.id)
}
