//! When the core has something written down, and what.

use super::event::Position;
use super::shared::Shared;
use crate::tree::Mark;
use crate::trend::{Commit, Keeper};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Who waits to hear of a commit.
type Reply = oneshot::Sender<Result<(), String>>;

/// What has been committed, and what waits for it.
#[derive(Debug)]
pub(super) struct Commits {
    /// None where nothing is kept.
    keeper: Option<Keeper>,
    every: Duration,
    /// When the last one began.
    began: Instant,
    /// Up to when the tree's changes have been handed over.
    mark: Mark,
    /// Sources that have been read on since.
    sources: BTreeMap<String, Option<Arc<str>>>,
    /// One is being written.
    under_way: bool,
    /// Somebody does not want to wait for the next one that is due.
    wanted: bool,
    replies: Vec<Reply>,
    pub(super) told: CommitFigures,
}

/// What is told of commits in the tree.
#[derive(Clone, Debug, Default)]
pub(super) struct CommitFigures {
    pub(super) written: u64,
    pub(super) failed: u64,
    /// How long the last one took to collect and to write, in milliseconds.
    pub(super) ms: f64,
    /// Nodes in it.
    pub(super) nodes: usize,
    /// Why the last one could not be written; empty if it could.
    pub(super) error: String,
}

impl Commits {
    pub(super) fn new(keeper: Option<Keeper>, every: Duration, mark: Mark) -> Commits {
        Commits {
            keeper,
            every,
            began: Instant::now(),
            mark,
            sources: BTreeMap::new(),
            under_way: false,
            wanted: false,
            replies: Vec::new(),
            told: CommitFigures::default(),
        }
    }

    /// Whether there is anything to wait for.
    pub(super) fn is_kept(&self) -> bool {
        self.keeper.is_some()
    }

    /// A source has been read on, and what was read is in the tree.
    pub(super) fn read_on(&mut self, position: Position, shared: &Shared) {
        let Position { source, text } = position;
        shared.positions.lock().insert(source.clone(), Arc::clone(&text));
        if self.keeper.is_some() {
            self.sources.insert(source, Some(text));
        }
    }

    /// Somebody wants a commit soon.
    pub(super) fn want(&mut self, reply: Option<Reply>) {
        match (&self.keeper, reply) {
            (None, Some(reply)) => {
                let why = "this daemon keeps nothing: its database could not be opened; see its log";
                let _ = reply.send(Err(why.to_owned()));
            }
            (_, reply) => {
                self.wanted = true;
                self.replies.extend(reply);
            }
        }
    }

    /// Whether one is to begin now.
    pub(super) fn is_due(&self) -> bool {
        self.keeper.is_some() && !self.under_way && (self.wanted || self.began.elapsed() >= self.every)
    }

    /// Hands over what changed. What the tree and the sources say of each other is in step at this moment.
    pub(super) fn begin(&mut self, shared: &Shared) {
        let Some(keeper) = &self.keeper else { return };
        self.began = Instant::now();
        // All of the daemon's own branch but what it has read of logs begins anew with each daemon.
        let own = |keys: &[&str]| matches!(keys, ["graftd", host, rest] if *host == shared.host && *rest != "log");
        let rows = shared.tree.write().changed_rows(self.mark, own);
        self.mark = rows.next;
        let nothing = rows.changed.is_empty() && rows.gone.is_empty() && self.sources.is_empty();
        if nothing && self.replies.is_empty() && self.told.error.is_empty() {
            self.wanted = false;
            return;
        }
        self.told.nodes = rows.changed.len();
        self.under_way = true;
        self.wanted = false;
        keeper.commit(Commit {
            rows,
            sources: std::mem::take(&mut self.sources).into_iter().collect(),
            unix_ms: shared.clock.unix_ms(),
            replies: std::mem::take(&mut self.replies),
        });
    }

    /// What came of it.
    pub(super) fn done(&mut self, written: Result<(), String>, shared: &Shared) {
        self.under_way = false;
        self.told.ms = (self.began.elapsed().as_secs_f64() * 1e6).round() / 1e3;
        match written {
            Ok(()) => {
                self.told.written += 1;
                if !self.told.error.is_empty() {
                    tracing::info!("commits are written again");
                }
                self.told.error.clear();
            }
            Err(why) => {
                self.told.failed += 1;
                if self.told.error != why {
                    tracing::error!(
                        "a commit cannot be written: {why}; what it holds waits in memory for the next one"
                    );
                }
                self.told.error = why;
            }
        }
        *shared.commit_error.lock() = Some(self.told.error.clone()).filter(|why| !why.is_empty());
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.under_way
    }

    /// Waits for the thread that writes.
    pub(super) fn finish(&mut self) {
        if let Some(keeper) = self.keeper.take() {
            keeper.finish();
        }
    }
}
