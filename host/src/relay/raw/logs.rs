//! The logs here of lines that others have sent: one for all that are read in the same way and hang at the same place.

use super::piece::{Piece, RawOrigin};
use crate::core::{Event, Shared};
use crate::ingest::format::Format;
use crate::ingest::{Frames, LogHandle, LogMessage, LogParts, RawAsked, Remember};
use crate::limits::{RAW_LOG_IDLE, RAW_LOGS_MAX, RAW_LOGS_PER_SENDER};
use crate::module::Disposer;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::Instant;
use tokio::sync::oneshot;

/// What logs have in common that are one log here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Kind {
    log: String,
    prefix: Vec<String>,
    vhost: Option<usize>,
    vhosts_max: usize,
    formats: Vec<String>,
}

impl Kind {
    fn of(origin: &RawOrigin) -> Kind {
        let RawOrigin { log, prefix, vhost, vhosts_max, formats, .. } = origin.clone();
        Kind { log, prefix, vhost, vhosts_max, formats }
    }
}

#[derive(Debug)]
struct Log {
    handle: LogHandle,
    has_header: bool,
    used: Instant,
    /// The sender for which it was made.
    made_for: String,
}

/// The logs of lines that others have sent.
#[derive(Debug, Default)]
pub(crate) struct RawLogs {
    logs: Mutex<HashMap<Kind, Log>>,
    disposer: OnceLock<Disposer>,
    /// How many have been made.
    made: Mutex<u64>,
}

impl RawLogs {
    /// What pipes leave goes there.
    pub(crate) fn dispose_by(&self, disposer: &Disposer) {
        // It is set once.
        let _ = self.disposer.set(disposer.clone());
    }

    /// Folds lines through the pipes here; what they made of them is not in the tree yet. It waits for the pipes, so it is for a
    /// thread that may.
    ///
    /// # Errors
    /// There is no such log, or there are too many, or the daemon ends.
    pub(crate) fn fold(&self, pieces: Vec<Piece>, sender: &str, shared: &Shared) -> Result<Frames, String> {
        let mut frames = Frames::new();
        for Piece { origin, header, lines } in pieces {
            let (log, has_header) = self.log(&origin, sender, shared)?;
            let (reply, folded) = oneshot::channel();
            let header = has_header.then(|| header.unwrap_or_default());
            let ends = || "this daemon ends".to_owned();
            if !log.send(LogMessage::Raw(RawAsked { lines, header, reply })) {
                return Err(ends());
            }
            frames.extend(folded.blocking_recv().map_err(|_| ends())?);
        }
        Ok(frames)
    }

    /// The log of some lines; whether it is one that has headers.
    fn log(&self, origin: &RawOrigin, sender: &str, shared: &Shared) -> Result<(LogHandle, bool), String> {
        let kind = Kind::of(origin);
        let mut logs = self.logs.lock();
        if let Some(log) = logs.get_mut(&kind) {
            log.used = Instant::now();
            return Ok((log.handle.clone(), log.has_header));
        }
        let own = |logs: &HashMap<Kind, Log>| logs.values().filter(|log| log.made_for == sender).count();
        if logs.len() >= RAW_LOGS_MAX || own(&logs) >= RAW_LOGS_PER_SENDER {
            logs.retain(|_, log| {
                let idle = log.used.elapsed() > RAW_LOG_IDLE;
                if idle {
                    shared.logs.leave(&log.handle);
                    log.handle.end();
                }
                !idle
            });
        }
        if own(&logs) >= RAW_LOGS_PER_SENDER {
            return Err(format!(
                "it sends lines of more than {RAW_LOGS_PER_SENDER} logs that differ in name, prefix or format; give logs that are \
                 read alike the same name and prefix"
            ));
        }
        if logs.len() >= RAW_LOGS_MAX {
            return Err(format!("lines of {RAW_LOGS_MAX} different logs are folded here already"));
        }
        let compile = |text: &String| Format::compile(text).map_err(|error| format!("the log {}: {error}", origin.log));
        let formats = origin.formats.iter().map(compile).collect::<Result<Vec<_>, _>>()?;
        let has_header = formats.iter().any(Format::has_header);
        let Some(disposer) = self.disposer.get() else { return Err("this daemon begins yet".to_owned()) };
        let mut made = self.made.lock();
        *made += 1;
        let same = logs.keys().filter(|other| other.log == kind.log).count();
        // The daemon's own logs have names of files.
        let name = if same == 0 { format!("relayed:{}", kind.log) } else { format!("relayed:{}:{made}", kind.log) };
        let parts = LogParts {
            name,
            prefix: origin.place(),
            formats,
            tick: shared.conf.tick,
            clock: shared.clock,
            remember: Remember::Last,
            events: shared.events.clone(),
            disposer: disposer.clone(),
            position: None,
            forwards: None,
        };
        let handle = LogHandle::start(parts).map_err(|error| format!("a thread cannot be started: {error}"))?;
        // The core has pipes put into it before it lets it begin: nobody else may see it before.
        shared.events.send(Event::LogCame(handle.clone()));
        let log = Log { handle: handle.clone(), has_header, used: Instant::now(), made_for: sender.to_owned() };
        logs.insert(kind, log);
        Ok((handle, has_header))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::shared;

    #[test]
    fn a_sender_makes_no_more_logs_than_it_may_and_what_is_alike_is_one() {
        let (logs, shared) = (RawLogs::default(), shared(None));
        logs.dispose_by(&Disposer::start().unwrap());
        let origin = |host: &str, n: usize| RawOrigin {
            host: host.to_owned(),
            log: "shop".to_owned(),
            prefix: vec![n.to_string()],
            formats: vec!["timed".to_owned()],
            ..RawOrigin::default()
        };
        let mut names = Vec::new();
        for n in 0..RAW_LOGS_PER_SENDER {
            let (log, has_header) = logs.log(&origin("web1", n), "one", &shared).unwrap();
            assert!(!has_header && log.prefix.keys == [n.to_string()]);
            let (same, _) = logs.log(&origin("web2", n), "other", &shared).unwrap();
            assert_eq!(same.serial(), log.serial());
            names.push(log.name);
        }
        assert_eq!((names[0].as_str(), logs.logs.lock().len()), ("relayed:shop", RAW_LOGS_PER_SENDER));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), RAW_LOGS_PER_SENDER);
        let bad = RawOrigin { formats: vec!["%>s %>".to_owned()], ..origin("web1", 1) };
        assert!(logs.log(&bad, "third", &shared).unwrap_err().contains("the log shop"));
        let why = logs.log(&origin("web1", 1_000), "one", &shared).unwrap_err();
        assert!(why.contains("more than 64 logs"), "{why}");
        for n in 0..RAW_LOGS_MAX - RAW_LOGS_PER_SENDER {
            let sender = (n / RAW_LOGS_PER_SENDER).to_string();
            logs.log(&origin("web1", 2_000 + n), &sender, &shared).unwrap();
        }
        let why = logs.log(&origin("web1", 3_000), "third", &shared).unwrap_err();
        assert!(why.contains("256 different logs"), "{why}");
        // One that has been idle makes room.
        let kind = Kind::of(&origin("web1", 0));
        let long_ago = Instant::now().checked_sub(RAW_LOG_IDLE * 2).unwrap();
        logs.logs.lock().get_mut(&kind).unwrap().used = long_ago;
        logs.log(&origin("web1", 3_000), "third", &shared).unwrap();
        assert!(!logs.logs.lock().contains_key(&kind) && logs.logs.lock().len() == RAW_LOGS_MAX);
        logs.logs.lock().values().for_each(|log| log.handle.end());
    }
}
