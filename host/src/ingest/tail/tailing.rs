//! The thread that looks and reads.

use super::file::{FileNumber, Stage};
use super::follow::{Files, Found, LINE_PATIENCE};
use super::position::{LogPosition, Step};
use super::{Ending, source};
use crate::core::{Delta, Event, Position, Shared};
use crate::ingest::log::{LogHandle, LogMessage, Read};
use crate::module::Branch;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The longest time between two looks at a log's files.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The shortest.
const LOOK_EVERY_MIN: Duration = Duration::from_millis(20);

/// How often a log that waits for the one before looks whether it is to end itself.
const HANDOVER_LOOK: Duration = Duration::from_millis(100);

/// How long a file that cannot be read is left alone.
const READ_PAUSE: Duration = Duration::from_secs(1);

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
    /// What went wrong at the first look.
    pub(super) trouble: String,
    /// The file whose lines were handed over last.
    pub(super) last_read: Option<FileNumber>,
}

/// What has been told of the log in the tree.
#[derive(Debug)]
pub(super) struct Told {
    out: plugin_api::Delta,
    at: Instant,
    /// When everything had been read.
    caught_up: Instant,
    files: usize,
    lag_bytes: u64,
    lag_seconds: f64,
    trouble: String,
    is_first: bool,
}

impl Told {
    pub(super) fn new() -> Told {
        let now = Instant::now();
        Told {
            out: plugin_api::Delta::new(),
            at: now,
            caught_up: now,
            files: 0,
            lag_bytes: 0,
            lag_seconds: 0.0,
            trouble: String::new(),
            is_first: true,
        }
    }
}

impl Tailing {
    /// Looks for the first time: what is written from now on is read. Whether there is a log to hand it to. `from_core`: it is the
    /// core's thread that calls, which takes it from there where a log begins that was never read before.
    pub(super) fn begin(&mut self, from_core: bool) -> bool {
        let is_known = self.shared.positions.lock().contains_key(&source(&self.log.name));
        if !self.resume() {
            return false;
        }
        let Found { steps, commit, trouble } = self.files.look();
        self.trouble = trouble;
        if from_core && !is_known {
            let mut position = LogPosition::new();
            steps.iter().for_each(|step| position.apply(step.clone()));
            let position = Position { source: source(&self.log.name), text: position.text().into() };
            self.shared.begun.lock().push(position);
        }
        self.hand_over(steps, commit)
    }

    pub(super) fn run(mut self) {
        if let Some(before) = self.before.take() {
            // Not before all of it is in the tree: lines would be counted twice.
            while !before.wait_for_end(HANDOVER_LOOK) {
                if self.ending.is_told() {
                    return;
                }
            }
            if !self.begin(false) {
                return;
            }
        }
        let every = (self.shared.conf.tick / 4).clamp(LOOK_EVERY_MIN, LOOK_EVERY);
        let mut trouble = std::mem::take(&mut self.trouble);
        let mut looked = Instant::now();
        while !self.ending.is_told() {
            if looked.elapsed() >= every {
                looked = Instant::now();
                let Found { steps, commit, trouble: found } = self.files.look();
                trouble = found;
                if !self.hand_over(steps, commit) {
                    return;
                }
            }
            let Some(read_any) = self.read_round(&mut trouble) else { return };
            self.tell(&trouble);
            if !read_any {
                self.ending.wait(every.saturating_sub(looked.elapsed()));
            }
        }
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
    fn read_round(&mut self, trouble: &mut String) -> Option<bool> {
        let mut any = false;
        for file in &mut self.files.followed {
            if file.at_end && !(file.stage == Stage::Left && file.behind() > 0)
                || matches!(file.stage, Stage::CopyOf(_))
                || file.is_paused(READ_PAUSE)
            {
                continue;
            }
            let last = file.stage == Stage::Left && file.grew.elapsed() > LINE_PATIENCE;
            let (before, print) = (file.offset, file.print);
            let switches = self.has_header && self.last_read != Some(file.number);
            let header = if switches { file.header().map(Some) } else { Ok(None) };
            let (header, lines) = match header.and_then(|header| Ok((header, file.read(last)?))) {
                Ok(read) => read,
                // The others are none the worse for it.
                Err(error) => {
                    *trouble = format!("{}: {error}", file.path.display());
                    file.pause();
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
            let read = Read { lines, header, steps: vec![step], commit: false };
            if self.ending.is_told() || !self.log.send(LogMessage::Read(read)) {
                return None;
            }
        }
        Some(any)
    }

    /// Tells, once a tick, how far behind it is and what is wrong.
    fn tell(&mut self, trouble: &str) {
        let now = Instant::now();
        let lag_bytes = self.files.followed.iter().map(super::file::Followed::behind).sum();
        if lag_bytes == 0 {
            self.told.caught_up = now;
        }
        let told = &mut self.told;
        if now - told.at < self.shared.conf.tick && !told.is_first {
            return;
        }
        told.at = now;
        let lag_seconds = (told.caught_up.elapsed().as_secs_f64() * 10.0).round() / 10.0;
        let files = self.files.followed.len();
        let first = std::mem::take(&mut told.is_first);
        if first || told.files != files {
            told.files = files;
            told.out.set(&["files"], files as f64);
        }
        if first || told.lag_bytes != lag_bytes {
            told.lag_bytes = lag_bytes;
            told.out.set(&["lag_bytes"], lag_bytes as f64);
        }
        if first || told.lag_seconds != lag_seconds {
            told.lag_seconds = lag_seconds;
            told.out.set(&["lag_seconds"], lag_seconds);
        }
        if told.trouble != trouble {
            if !trouble.is_empty() {
                tracing::warn!("log {}: {trouble}", self.log.name);
            }
            trouble.clone_into(&mut told.trouble);
            told.out.set_text(&["trouble"], trouble);
        }
        let frame = told.out.flush();
        if !frame.is_empty() {
            let keys = ["graftd", &self.shared.host, "log", &self.log.name].map(str::to_owned);
            let branch = Branch { keys: keys.as_slice().into(), action: None };
            let frames = vec![(branch, frame.to_vec())];
            let _ = self.shared.events.send(Event::Delta(Delta { frames, ..Delta::default() }));
        }
    }
}
