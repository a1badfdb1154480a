//! The thread that looks and reads.

use super::ears::{Ears, Heard};
use super::file::{FileNumber, Stage};
use super::follow::{Files, Found, LINE_PATIENCE};
use super::position::{LogPosition, Step};
use super::tell::Told;
use super::trouble::Trouble;
use super::{Beginning, Ending, guessed, said_of, source};
use crate::core::{Event, Position, Shared};
use crate::ingest::log::{LogHandle, LogMessage, Read, ReadLines};
use crate::limits::{LOG_DEAF, LOG_LOOK_SELDOM};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The longest time between two looks at a log's files.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The shortest.
const LOOK_EVERY_MIN: Duration = Duration::from_millis(20);

/// How often a log that waits for the one before looks whether it is to end itself.
const HANDOVER_LOOK: Duration = Duration::from_millis(100);

/// What the thread works on.
#[derive(Debug)]
pub(super) struct Tailing {
    pub(super) files: Files,
    pub(super) log: LogHandle,
    /// The log of the same name that is ending.
    pub(super) before: Option<LogHandle>,
    pub(super) shared: Arc<Shared>,
    pub(super) ending: Arc<Ending>,
    pub(super) told: Told,
    /// Lines are understood by a header further up in their file.
    pub(super) has_header: bool,
    /// The format is to be told from the first lines.
    pub(super) guesses: bool,
    /// What is said of that.
    pub(super) remark: Arc<Mutex<String>>,
    /// There was no line to tell it from when the log began: each line tells it for itself.
    pub(super) untold: bool,
    /// Until it has looked for the first time.
    pub(super) beginning: Option<Beginning>,
    /// What is wrong, as far as looking tells.
    pub(super) trouble: Trouble,
    pub(super) ears: Option<Ears>,
    /// What was heard and has not been looked at.
    pub(super) heard: Heard,
    /// Until then what changes may not be heard.
    pub(super) deaf_until: Option<Instant>,
    pub(super) looked_at_all: Option<Instant>,
    /// The file whose lines were handed over last.
    pub(super) last_read: Option<FileNumber>,
}

impl Tailing {
    /// Tells the format and looks for the first time: what is written from now on is read. Whether there is a log to hand it to.
    fn begin(&mut self) -> bool {
        if !self.tell_format() {
            return false;
        }
        let is_known = self.shared.positions.lock().contains_key(&source(&self.log.name));
        if !self.resume() {
            return false;
        }
        let Found { steps, commit, trouble, .. } = self.look();
        self.trouble = trouble;
        if !is_known {
            let mut position = LogPosition::new();
            steps.iter().for_each(|step| position.apply(step.clone()));
            let position = Position { source: source(&self.log.name), text: position.text().into() };
            // The core has it written down before a line of the log enters the tree.
            self.shared.begun.lock().push(position);
        }
        self.beginning = None;
        self.hand_over(steps, commit)
    }

    /// Where the format is to be told from the first lines, they are looked at; whether there is a log to tell it to.
    fn tell_format(&mut self) -> bool {
        if !self.guesses {
            return true;
        }
        let (format, remark) = guessed(&self.files.patterns);
        *self.remark.lock() = remark;
        let Some(format) = format else {
            self.untold = true;
            return true;
        };
        self.has_header = format.has_header();
        self.log.send(LogMessage::Read(Read { format: Some(Box::new(format)), ..Read::default() }))
    }

    pub(super) fn run(mut self) {
        if let Some(before) = self.before.take() {
            // Not before all of it is in the tree: lines would be counted twice.
            while !before.wait_for_end(HANDOVER_LOOK) {
                if self.ending.is_told() {
                    return;
                }
            }
        }
        if !self.begin() {
            return;
        }
        let every = (self.shared.conf.tick / 4).clamp(LOOK_EVERY_MIN, LOOK_EVERY);
        let mut looked = Instant::now();
        while !self.ending.is_told() {
            if looked.elapsed() >= every {
                looked = Instant::now();
                let Found { steps, commit, trouble, .. } = self.look();
                self.trouble = trouble;
                if !self.hand_over(steps, commit) {
                    return;
                }
            }
            let Some(read_any) = self.read_round() else { return };
            self.told.tell(&self.log.name, &self.files, &self.trouble, &self.shared);
            if !read_any {
                self.ending.wait(every.saturating_sub(looked.elapsed()));
            }
        }
    }

    /// Looks as far as there is a reason to: at everything where names came or went, and now and then; at what files hold where
    /// something was written; and always at those that were left behind, which may be where nobody listens.
    fn look(&mut self) -> Found {
        let mut found = self.look_at_files();
        if self.log.forwards() && !self.shared.relays.takes_raw() {
            found
                .trouble
                .add("forward = \"raw\", and no relay runs here that takes its lines: they wait in their files");
        }
        found
    }

    fn look_at_files(&mut self) -> Found {
        let now = Instant::now();
        let heard = self
            .ears
            .as_ref()
            .map_or(Heard::Names, Ears::heard)
            .max(std::mem::replace(&mut self.heard, Heard::Nothing));
        let seldom = self.looked_at_all.is_none_or(|at| now - at >= LOG_LOOK_SELDOM);
        let is_deaf = self.deaf_until.is_some_and(|until| now < until);
        if heard != Heard::Names && !seldom && !is_deaf {
            return self.files.glance(heard == Heard::Nothing);
        }
        let is_first = self.looked_at_all.replace(now).is_none();
        let found = self.files.look();
        let Some(ears) = &mut self.ears else { return found };
        if (heard == Heard::Names || found.changed || is_first) && ears.turn_to(&self.files.paths) {
            // What came between the look and the listening was not heard.
            self.heard = Heard::Names;
        } else if found.changed && heard == Heard::Nothing && !is_deaf {
            // Unless it happened just now.
            self.heard = ears.heard();
            if self.heard == Heard::Nothing {
                self.deaf_until = Some(now + LOG_DEAF);
            }
        }
        found
    }

    /// Goes on where the log was read to; whether there is a log to hand it to.
    fn resume(&mut self) -> bool {
        let known = self.shared.positions.lock().get(&source(&self.log.name)).cloned();
        let Some(text) = known else { return true };
        match LogPosition::parse(&text) {
            Ok(position) => {
                let Found { steps, commit, .. } = self.files.resume(&position);
                self.hand_over(steps, commit)
            }
            Err(why) => {
                tracing::error!(
                    "log {}: how far it was read is not known any more ({why}); it is read as one never seen before",
                    self.log.name
                );
                true
            }
        }
    }

    fn hand_over(&self, steps: Vec<Step>, commit: bool) -> bool {
        steps.is_empty() || self.log.send(LogMessage::Read(Read { steps, commit, ..Read::default() }))
    }

    /// Reads a block of each file that has more, so that no backlog holds up what is being written; whether any had. `None`: the
    /// log has ended.
    fn read_round(&mut self) -> Option<bool> {
        let mut any = false;
        for file in &mut self.files.followed {
            if file.at_end && !(file.stage == Stage::Left && file.behind() > 0)
                || matches!(file.stage, Stage::CopyOf(_))
                || file.is_paused()
            {
                continue;
            }
            let last = file.stage == Stage::Left && file.is_silent(LINE_PATIENCE);
            let (before, print) = (file.offset, file.print);
            let switches = self.has_header && self.last_read != Some(file.number);
            let header = if switches { file.header().map(Some) } else { Ok(None) };
            let (header, lines) = match header.and_then(|header| Ok((header, file.read(last)?))) {
                Ok(read) => read,
                // The others are none the worse for it.
                Err(error) => {
                    file.fail(&error);
                    continue;
                }
            };
            if file.offset == before {
                continue;
            }
            any = true;
            let step = if file.print == print {
                Step::Offset {
                    file: file.number,
                    offset: file.offset,
                    in_long_line: file.in_long_line(),
                    changed_ms: file.seen.changed_ms,
                }
            } else {
                Step::File(file.number, file.position())
            };
            self.last_read = Some(file.number);
            if self.untold
                && let ReadLines::Whole(lines) = &lines
                && let Some(said) = said_of(lines)
            {
                self.untold = false;
                *self.remark.lock() = said;
                // When the core is gone nobody asks.
                let _ = self.shared.events.send(Event::Remark);
            }
            let read = Read { lines, header, steps: vec![step], ..Read::default() };
            if self.ending.is_told() || !self.log.send(LogMessage::Read(read)) {
                return None;
            }
        }
        Some(any)
    }
}
