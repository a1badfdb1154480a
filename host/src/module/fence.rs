//! Calls into modules that may never come back.
//!
//! A thread cannot be ended from outside, so a call that does not come back costs its thread. What the thread was working
//! on must not be lost with it: while the call is under way it lies on a [`Desk`], where whoever watches can take it and
//! go on with it elsewhere. The thread, should it ever come back, finds the desk empty and ends. Whoever takes it first has
//! it: no work is done twice.

use super::crash::{self, Tag};
use super::stats::ModuleStats;
use parking_lot::Mutex;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// What a module is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    /// Its `new`.
    New,
    /// A batch of a pipe.
    Process,
    /// A pipe's delta.
    Flush,
    /// A sample of a collector.
    Collect,
    /// Being dropped, and its library unloaded.
    Drop,
}

impl Doing {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Doing::New => "new()",
            Doing::Process => "process()",
            Doing::Flush => "flush()",
            Doing::Collect => "collect()",
            Doing::Drop => "drop()",
        }
    }
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which life of which module is called, and what is counted of it.
#[derive(Debug)]
pub(crate) struct Callee {
    pub(crate) module: String,
    /// What is written down of it if a call kills the daemon.
    pub(crate) tag: Tag,
    /// Which of the module's lives.
    pub(crate) generation: u64,
    pub(crate) stats: Arc<ModuleStats>,
    /// How long a call may take.
    pub(crate) time_limit: Duration,
    /// A call that takes longer than this is given up, with its thread. Where the module runs in a process of its own it is
    /// more than the limit, for its end is that process's.
    pub(crate) give_up_after: Duration,
}

/// A call under way, as whoever watches sees it.
#[derive(Clone, Debug)]
pub(crate) struct UnderWay {
    /// Tells it from all other calls made at its desk: a thread that comes back late finds another's work there.
    number: u64,
    pub(crate) callee: Arc<Callee>,
    pub(crate) doing: Doing,
    pub(crate) began: Instant,
}

/// Where a thread leaves what it works on while it calls a module.
#[derive(Debug)]
pub(crate) struct Desk<W> {
    left: Mutex<Option<(Box<W>, UnderWay)>>,
    calls: AtomicU64,
}

impl<W> Default for Desk<W> {
    fn default() -> Desk<W> {
        Desk { left: Mutex::new(None), calls: AtomicU64::new(0) }
    }
}

impl<W> Desk<W> {
    /// Makes a call while `work` lies on the desk. `None`: somebody took it over, for the call did not come back in time;
    /// the thread has nothing to do any more.
    pub(crate) fn call<T>(
        &self,
        work: Box<W>,
        callee: &Arc<Callee>,
        doing: Doing,
        began: Instant,
        call: impl FnOnce() -> T,
    ) -> Option<(Box<W>, T)> {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        *self.left.lock() = Some((work, UnderWay { number, callee: Arc::clone(callee), doing, began }));
        let answer = {
            let _named = crash::enter(&callee.tag, doing);
            call()
        };
        let own = |left: &mut (Box<W>, UnderWay)| left.1.number == number;
        match self.left.lock().take_if(own) {
            Some((work, _)) => Some((work, answer)),
            None => {
                callee.stats.came_back();
                let after = began.elapsed();
                tracing::info!(
                    "module {}: a thread that was left behind in {doing} came back after {after:.1?}",
                    callee.module
                );
                None
            }
        }
    }

    /// The call under way, if there is one.
    pub(crate) fn under_way(&self) -> Option<UnderWay> {
        self.left.lock().as_ref().map(|(_, under_way)| under_way.clone())
    }

    /// Takes over the work of a call, if that very call is still under way. Its thread is left behind.
    pub(crate) fn take_over(&self, of: &UnderWay) -> Option<Box<W>> {
        let mut left = self.left.lock();
        let (work, under_way) = left.take_if(|(_, now)| now.number == of.number)?;
        under_way.callee.stats.abandoned();
        Some(work)
    }
}

/// Starts a thread with some work, which comes back with the error when no thread is to be had.
pub(crate) fn spawn<W: Send + 'static>(
    name: &str,
    work: Box<W>,
    run: impl FnOnce(Box<W>) + Send + 'static,
) -> Started<W> {
    spawn_known(name, work, run).map(drop)
}

/// The same, for who waits for the thread's end.
pub(crate) fn spawn_known<W: Send + 'static>(
    name: &str,
    work: Box<W>,
    run: impl FnOnce(Box<W>) + Send + 'static,
) -> Result<JoinHandle<()>, (io::Error, Option<Box<W>>)> {
    let handed = Arc::new(Mutex::new(Some(work)));
    let taken = Arc::clone(&handed);
    let spawned = thread::Builder::new().name(name.to_owned()).spawn(move || {
        let work = taken.lock().take();
        if let Some(work) = work {
            run(work);
        }
    });
    spawned.map_err(|error| (error, handed.lock().take()))
}

/// A desk under watch, and what could be saved from it.
pub(crate) struct Watched<W> {
    desk: Arc<Desk<W>>,
    seen: Mutex<Seen<W>>,
}

struct Seen<W> {
    age: Age,
    /// Work that was taken over and for which no thread could be started yet.
    stranded: Option<Box<W>>,
}

impl<W> fmt::Debug for Watched<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watched")
    }
}

/// What comes of starting a thread: where there is none to be had, the work comes back.
pub(crate) type Started<W> = Result<(), (io::Error, Option<Box<W>>)>;

/// What a look at a desk shows.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) call: UnderWay,
    /// How long it has been under way.
    pub(crate) age: Duration,
    /// Its thread has been left behind just now.
    pub(crate) given_up: bool,
}

impl<W> Watched<W> {
    pub(crate) fn new(desk: Arc<Desk<W>>) -> Watched<W> {
        Watched { desk, seen: Mutex::new(Seen { age: Age::default(), stranded: None }) }
    }

    /// There is nothing to look at: no call is under way, and no work waits for a thread.
    pub(crate) fn is_idle(&self) -> bool {
        self.seen.lock().stranded.is_none() && self.desk.under_way().is_none()
    }

    /// Looks at the call under way; `apart` is the time between two looks. One that takes longer than `limit` says is given up:
    /// `lose` is told, and `start` has another thread go on with the work.
    pub(crate) fn look(
        &self,
        apart: Duration,
        now: Instant,
        limit: impl Fn(&UnderWay) -> Duration,
        lose: impl FnOnce(&mut W, &UnderWay, Duration),
        start: impl FnOnce(Box<W>, &Arc<Desk<W>>) -> Started<W>,
    ) -> Option<Look> {
        let mut seen = self.seen.lock();
        let call = self.desk.under_way();
        let age = seen.age.look(call.as_ref(), apart, now);
        let mut given_up = false;
        if let Some(call) = call.as_ref().filter(|call| age > limit(call))
            && let Some(mut work) = self.desk.take_over(call)
        {
            lose(&mut work, call, age);
            given_up = true;
            seen.stranded = Some(work);
        }
        if let Some(work) = seen.stranded.take()
            && let Err((error, work)) = start(work, &self.desk)
        {
            tracing::error!("no thread to go on where one was left behind: {error}; it is tried again");
            seen.stranded = work;
        }
        call.map(|call| Look { call, age, given_up })
    }
}

/// How long a call has been under way, as far as it was the call that took long. While the whole process stands still (it
/// was stopped, or its machine was) time passes for every call; so between two looks no more is counted than the looks are
/// apart by plan.
#[derive(Debug, Default)]
pub(crate) struct Age {
    of: Option<u64>,
    age: Duration,
    looked: Option<Instant>,
}

impl Age {
    /// Looks at the call under way; `apart` is the time between two looks when all is well.
    pub(crate) fn look(&mut self, call: Option<&UnderWay>, apart: Duration, now: Instant) -> Duration {
        let Some(call) = call else {
            *self = Age::default();
            return Duration::ZERO;
        };
        let since = match (self.of, self.looked) {
            (Some(of), Some(looked)) if of == call.number => looked,
            _ => {
                *self = Age { of: Some(call.number), ..Age::default() };
                call.began
            }
        };
        // Twice: a tick may come late.
        self.age += now.saturating_duration_since(since).min(2 * apart);
        self.looked = Some(now);
        self.age
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::thread;

    fn callee() -> Arc<Callee> {
        Arc::new(Callee {
            module: "m".into(),
            tag: Tag::new("m", 0),
            generation: 1,
            stats: Arc::default(),
            time_limit: Duration::from_secs(1),
            give_up_after: Duration::from_secs(1),
        })
    }

    #[test]
    fn work_is_done_by_one_alone() {
        let desk = Arc::new(Desk::default());
        let (begun, has_begun) = channel();
        let (go_on, may_go_on) = channel::<()>();
        let at_desk = Arc::clone(&desk);
        let callee = callee();
        let stats = Arc::clone(&callee.stats);
        let stuck = thread::spawn(move || {
            let work = Box::new(vec![1, 2, 3]);
            at_desk.call(work, &callee, Doing::Process, Instant::now(), || {
                begun.send(()).unwrap();
                may_go_on.recv().unwrap();
            })
        });
        has_begun.recv().unwrap();
        let call = desk.under_way().unwrap();
        assert_eq!(desk.take_over(&call).as_deref(), Some(&vec![1, 2, 3]));
        assert_eq!(stats.counts().abandoned, 1);
        assert!(desk.take_over(&call).is_none());
        go_on.send(()).unwrap();
        assert!(stuck.join().unwrap().is_none());
        assert_eq!(stats.counts().abandoned, 0);
    }

    #[test]
    fn who_comes_back_late_takes_no_others_work() {
        let desk = Arc::new(Desk::default());
        let (begun, has_begun) = channel();
        let (go_on, may_go_on) = channel::<()>();
        let at_desk = Arc::clone(&desk);
        let stuck = thread::spawn(move || {
            at_desk.call(Box::new(1), &callee(), Doing::Process, Instant::now(), || {
                begun.send(()).unwrap();
                may_go_on.recv().unwrap();
            })
        });
        has_begun.recv().unwrap();
        let work = desk.take_over(&desk.under_way().unwrap()).unwrap();
        // Another thread is in a call with the same work when the first comes back.
        let done = desk.call(work, &callee(), Doing::Process, Instant::now(), || {
            go_on.send(()).unwrap();
            stuck.join().unwrap()
        });
        assert_eq!(done, Some((Box::new(1), None)));
    }

    #[test]
    fn a_call_that_comes_back_keeps_its_work() {
        let desk = Desk::default();
        let done = desk.call(Box::new(7), &callee(), Doing::Flush, Instant::now(), || "done");
        assert_eq!(done, Some((Box::new(7), "done")));
        assert!(desk.under_way().is_none());
    }

    #[test]
    fn a_process_that_stood_still_is_not_held_against_a_call() {
        let tick = Duration::from_secs(1);
        let start = Instant::now();
        let began = start;
        let call =
            |began| UnderWay { number: u64::from(began != start), callee: callee(), doing: Doing::Collect, began };
        let mut age = Age::default();
        assert_eq!(age.look(Some(&call(began)), tick, began + tick), tick);
        assert_eq!(age.look(Some(&call(began)), tick, began + 2 * tick), 2 * tick);
        // An hour in which nobody ran.
        assert_eq!(age.look(Some(&call(began)), tick, began + 3_602 * tick), 4 * tick);
        // Another call begins anew.
        let next = began + 3_602 * tick;
        assert_eq!(age.look(Some(&call(next)), tick, next + tick), tick);
        assert_eq!(age.look(None, tick, next + 2 * tick), Duration::ZERO);
    }
}
