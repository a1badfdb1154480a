//! Where modules end: dropping one runs its code, and unloading its library runs destructors. Nobody else waits for that.

use super::fence::{Callee, Desk, Doing, Started, Watched, spawn};
use crate::limits::DROP_TIME_MAX;
use std::any::Any;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Something that is to be dropped.
enum Job {
    /// Behind the end of a thread, if there is one.
    Drop(Option<JoinHandle<()>>, Arc<Callee>, Box<dyn Any + Send>),
    /// Tells when all before it is dropped.
    Tell(Sender<()>),
}

type Inbox = Receiver<Job>;

/// Drops what modules leave, on a thread of its own; one that does not come back is left behind.
#[derive(Clone, Debug)]
pub(crate) struct Disposer {
    jobs: Sender<Job>,
    watched: Arc<Watched<Inbox>>,
}

impl Disposer {
    /// # Errors
    /// The thread cannot be started.
    pub(crate) fn start() -> io::Result<Disposer> {
        let (jobs, inbox) = channel();
        let desk = Arc::new(Desk::default());
        start(Box::new(inbox), &desk).map_err(|(error, _)| error)?;
        Ok(Disposer { jobs, watched: Arc::new(Watched::new(desk)) })
    }

    /// Has something of a module dropped. Never waits.
    pub(crate) fn dispose(&self, of: Arc<Callee>, what: impl Any + Send) {
        self.dispose_after(None, of, what);
    }

    /// Has something of a module dropped when a thread that made its calls is over. Never waits.
    pub(crate) fn dispose_after(&self, thread: Option<JoinHandle<()>>, of: Arc<Callee>, what: impl Any + Send) {
        // The thread ends only when this end is dropped.
        let _ = self.jobs.send(Job::Drop(thread, of, Box::new(what)));
    }

    /// Waits until all that was to be dropped is, or the time is over.
    pub(crate) fn finish(&self, within: Duration) {
        let (told, tell) = channel();
        let _ = self.jobs.send(Job::Tell(told));
        let _ = tell.recv_timeout(within);
    }

    /// Nothing is being dropped.
    pub(crate) fn is_idle(&self) -> bool {
        self.watched.is_idle()
    }

    /// Gives up what does not come back; `apart` is the time between two looks. What was given up, if anything was.
    pub(crate) fn watch(&self, apart: Duration, now: Instant) -> Option<Arc<Callee>> {
        let look = self.watched.look(apart, now, |_| DROP_TIME_MAX, |_, _, _| {}, start)?;
        look.given_up.then_some(look.call.callee)
    }
}

fn start(inbox: Box<Inbox>, desk: &Arc<Desk<Inbox>>) -> Started<Inbox> {
    let desk = Arc::clone(desk);
    spawn("graftd-drop", inbox, move |inbox| run(inbox, &desk))
}

fn run(mut inbox: Box<Inbox>, desk: &Desk<Inbox>) {
    while let Ok(job) = inbox.recv() {
        match job {
            Job::Tell(told) => drop(told.send(())),
            Job::Drop(thread, callee, what) => match desk.call(inbox, &callee, Doing::Drop, Instant::now(), || {
                // It ends with code of the module's, as what is dropped does. One that panicked has ended too.
                let _ = thread.map(JoinHandle::join);
                drop(what);
            }) {
                Some((back, ())) => inbox = back,
                None => return,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::crash::Tag;
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    /// Tells whether a thread was over when it was dropped.
    struct Noting(Arc<AtomicBool>, Sender<bool>);

    impl Drop for Noting {
        fn drop(&mut self) {
            let _ = self.1.send(self.0.load(Ordering::Acquire));
        }
    }

    #[test]
    fn what_a_thread_may_still_need_is_dropped_when_it_is_over() {
        let disposer = Disposer::start().unwrap();
        let callee = Arc::new(Callee {
            module: "m".into(),
            tag: Tag::new("m", 0),
            generation: 1,
            stats: Arc::default(),
            time_limit: Duration::from_secs(1),
            give_up_after: Duration::from_secs(1),
        });
        let (go_on, may_go_on) = channel::<()>();
        let over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&over);
        let thread = thread::spawn(move || {
            may_go_on.recv().unwrap();
            ends.store(true, Ordering::Release);
        });
        let (told, tell) = channel();
        disposer.dispose_after(Some(thread), callee, Noting(over, told));
        tell.recv_timeout(Duration::from_millis(200)).expect_err("the thread is not over");
        go_on.send(()).unwrap();
        assert_eq!(tell.recv_timeout(Duration::from_secs(10)), Ok(true));
    }
}
