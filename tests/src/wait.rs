//! Waiting for what is to come true in the tree, woken by `/pull/`.

use crate::{Answer, Daemon, HOST, PATIENCE, encode};
use serde_json::Value;
use std::time::{Duration, Instant};

/// How long a change may stay unnoticed that leaves no trace in the tree: a module that was switched off and on again
/// within one tick is what it was.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// What came true, and how long it took.
#[derive(Clone, Debug)]
pub struct Watched<T> {
    /// What came true.
    pub found: T,
    /// How long it took from the call.
    pub took: Duration,
    /// The tick of the answer that told of it.
    pub tick: u64,
}

impl Daemon {
    /// Asks again each time that something below a path changes, until there is an answer.
    ///
    /// # Panics
    /// There is none in time.
    #[track_caller]
    pub fn await_change<T>(&self, path: &str, mut ask: impl FnMut(&Daemon) -> Option<T>) -> Watched<T> {
        let began = Instant::now();
        let query = format!("key-{}", encode(path));
        let mut answer: Answer = self.get(&format!("/get/?{query}&as=value")).good();
        loop {
            let tick = answer.tick();
            // Asked after the tick was read: what changes from now on wakes the pull.
            if let Some(found) = ask(self) {
                return Watched { found, took: began.elapsed(), tick };
            }
            let left = PATIENCE.saturating_sub(began.elapsed());
            assert!(!left.is_zero(), "{path}: {PATIENCE:?} are over; it is {}", self.subtree(path));
            let wait = left.min(LOOK_AGAIN).as_millis().max(1);
            answer = self.get(&format!("/pull/?{query}&since={tick}&wait={wait}ms")).good();
        }
    }

    /// Waits until the value at a path is this.
    ///
    /// # Panics
    /// It does not become so in time.
    #[track_caller]
    pub fn await_value(&self, path: &str, expected: impl Into<Value>) -> Watched<Value> {
        let expected = expected.into();
        self.await_change(path, |daemon| Some(daemon.value(path)).filter(|value| *value == expected))
    }

    /// Waits until a number stands at a path.
    ///
    /// # Panics
    /// None does in time.
    #[track_caller]
    pub fn await_number(&self, path: &str) -> f64 {
        self.await_change(path, |daemon| daemon.value(path).as_f64()).found
    }

    /// Waits until a module is in a state, and gives what `/modules` then says of it.
    ///
    /// # Panics
    /// It does not get there in time.
    #[track_caller]
    pub fn await_state(&self, name: &str, state: &str) -> Watched<Value> {
        // Every change of a module's state stands in the tree too, and wakes the pull.
        let path = format!("graftd,{HOST},module");
        self.await_change(&path, |daemon| Some(daemon.module(name)).filter(|module| module["state"] == state))
    }

    /// Waits until the tick is over in which all lies that was pushed before, and gives its number. It leaves `closed`
    /// in the tree.
    ///
    /// # Panics
    /// It is not over in time.
    #[track_caller]
    pub fn close_tick(&self) -> u64 {
        let since = self.get("/get/?key-closed").good().tick();
        self.push(&serde_json::json!({"closed": 1}));
        let told = self.get(&format!("/pull/?key-closed&since={since}")).good();
        assert_ne!(told.json(), serde_json::json!([]), "no tick was over");
        told.tick()
    }
}
