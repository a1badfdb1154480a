//! The logs here of lines that others have sent: one for all that are read in the same way and hang at the same place.

use super::piece::{Piece, RawOrigin};
use crate::core::{Event, Shared};
use crate::ingest::format::Format;
use crate::ingest::{Frames, LogHandle, LogMessage, LogParts, RawAsked, Remember};
use crate::limits::{RAW_LOG_IDLE, RAW_LOGS_MAX, RAW_LOGS_PER_HOST};
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
    /// The host for whose log it was made, whoever sends for it: a relay may send for many.
    made_for: String,
}

/// Why lines cannot be folded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unfolded {
    /// Nor can they ever be.
    Never(String),
    /// There is no room, or no thread, for one more log; or the daemon ends. They may come again.
    NotNow(String),
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
    /// thread that may. Where a log is missing, no pipe sees any of the lines.
    ///
    /// # Errors
    /// There is no such log, or there are too many, or the daemon ends.
    pub(crate) fn fold(&self, pieces: Vec<Piece>, shared: &Shared) -> Result<Frames, Unfolded> {
        let found = pieces.iter().map(|piece| self.log(&piece.origin, shared)).collect::<Result<Vec<_>, _>>()?;
        let mut frames = Frames::new();
        for (Piece { header, lines, .. }, (log, has_header)) in pieces.into_iter().zip(found) {
            let (reply, folded) = oneshot::channel();
            let header = has_header.then(|| header.unwrap_or_default());
            let ends = || Unfolded::NotNow("this daemon ends".to_owned());
            if !log.send(LogMessage::Raw(RawAsked { lines, header, reply })) {
                return Err(ends());
            }
            frames.extend(folded.blocking_recv().map_err(|_| ends())?);
        }
        Ok(frames)
    }

    /// The log of some lines; whether it is one that has headers.
    fn log(&self, origin: &RawOrigin, shared: &Shared) -> Result<(LogHandle, bool), Unfolded> {
        let (kind, host) = (Kind::of(origin), &origin.host);
        let mut logs = self.logs.lock();
        if let Some(log) = logs.get_mut(&kind) {
            log.used = Instant::now();
            return Ok((log.handle.clone(), log.has_header));
        }
        let own = |logs: &HashMap<Kind, Log>| logs.values().filter(|log| log.made_for == *host).count();
        if logs.len() >= RAW_LOGS_MAX || own(&logs) >= RAW_LOGS_PER_HOST {
            logs.retain(|_, log| {
                let idle = log.used.elapsed() > RAW_LOG_IDLE;
                if idle {
                    shared.logs.leave(&log.handle);
                    log.handle.end();
                }
                !idle
            });
        }
        if own(&logs) >= RAW_LOGS_PER_HOST {
            return Err(Unfolded::NotNow(format!(
                "{host} sends lines of more than {RAW_LOGS_PER_HOST} logs that differ in name, prefix or format; give logs that are \
                 read alike the same name and prefix"
            )));
        }
        if logs.len() >= RAW_LOGS_MAX {
            return Err(Unfolded::NotNow(format!("lines of {RAW_LOGS_MAX} different logs are folded here already")));
        }
        let never = |error| Unfolded::Never(format!("the log {}: {error}", origin.log));
        let compile = |text: &String| Format::compile(text).map_err(never);
        let formats = origin.formats.iter().map(compile).collect::<Result<Vec<_>, _>>()?;
        let has_header = formats.iter().any(Format::has_header);
        let Some(disposer) = self.disposer.get() else {
            return Err(Unfolded::NotNow("this daemon begins yet".to_owned()));
        };
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
        let handle = LogHandle::start(parts)
            .map_err(|error| Unfolded::NotNow(format!("a thread cannot be started: {error}")))?;
        // The core has pipes put into it before it lets it begin: nobody else may see it before.
        shared.events.send(Event::LogCame(handle.clone()));
        let log = Log { handle: handle.clone(), has_header, used: Instant::now(), made_for: host.clone() };
        logs.insert(kind, log);
        Ok((handle, has_header))
    }
}

#[cfg(test)]
mod tests {
    use super::super::piece::RawLines;
    use super::*;
    use crate::http::testing::shared;

    #[test]
    fn a_host_has_no_more_logs_than_it_may_whoever_sends_and_what_is_alike_is_one() {
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
        for n in 0..RAW_LOGS_PER_HOST {
            let (log, has_header) = logs.log(&origin("web1", n), &shared).unwrap();
            assert!(!has_header && log.prefix.keys == [n.to_string()]);
            let (same, _) = logs.log(&origin("web2", n), &shared).unwrap();
            assert_eq!(same.serial(), log.serial());
            names.push(log.name);
        }
        assert_eq!((names[0].as_str(), logs.logs.lock().len()), ("relayed:shop", RAW_LOGS_PER_HOST));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), RAW_LOGS_PER_HOST);
        let bad = RawOrigin { formats: vec!["%>s %>".to_owned()], ..origin("web1", 1) };
        let bad = RawOrigin { host: "web3".to_owned(), ..bad };
        assert!(matches!(logs.log(&bad, &shared), Err(Unfolded::Never(why)) if why.contains("the log shop")));
        let not_now = |host: &str, n| match logs.log(&origin(host, n), &shared) {
            Err(Unfolded::NotNow(why)) => why,
            other => panic!("{other:?}"),
        };
        let why = not_now("web1", 1_000);
        assert!(why.contains("web1 sends lines of more than 64 logs"), "{why}");
        // No pipe sees any of what comes beside it.
        let lines = RawLines::Whole(b"x\n".to_vec());
        let beside = [0, 1_000].map(|n| Piece { origin: origin("web1", n).into(), header: None, lines: lines.clone() });
        assert_eq!(logs.fold(beside.to_vec(), &shared), Err(Unfolded::NotNow(why)));
        for n in 0..RAW_LOGS_MAX - RAW_LOGS_PER_HOST {
            let host = (n / RAW_LOGS_PER_HOST).to_string();
            logs.log(&origin(&host, 2_000 + n), &shared).unwrap();
        }
        let why = not_now("web4", 3_000);
        assert!(why.contains("256 different logs"), "{why}");
        // One that has been idle makes room.
        let kind = Kind::of(&origin("web1", 0));
        let long_ago = Instant::now().checked_sub(RAW_LOG_IDLE * 2).unwrap();
        logs.logs.lock().get_mut(&kind).unwrap().used = long_ago;
        logs.log(&origin("web4", 3_000), &shared).unwrap();
        assert!(!logs.logs.lock().contains_key(&kind) && logs.logs.lock().len() == RAW_LOGS_MAX);
        logs.logs.lock().values().for_each(|log| log.handle.end());
    }
}
