//! Where modules end: dropping one runs its code, and unloading its library runs destructors. Nobody else waits for that.

use super::fence::{Age, Callee, Desk, Doing};
use parking_lot::Mutex;
use std::any::Any;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// Something that is to be dropped.
enum Job {
    Drop(Arc<Callee>, Box<dyn Any + Send>),
    /// Tells when all before it is dropped.
    Tell(Sender<()>),
}

type Inbox = Receiver<Job>;

/// Drops what modules leave, on a thread of its own; one that does not come back is left behind.
#[derive(Clone)]
pub(crate) struct Disposer {
    jobs: Sender<Job>,
    desk: Arc<Desk<Inbox>>,
    watched: Arc<Mutex<Watched>>,
}

#[derive(Default)]
struct Watched {
    age: Age,
    /// What no thread could be started for yet.
    stranded: Option<Box<Inbox>>,
}

impl fmt::Debug for Disposer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Disposer")
    }
}

impl Disposer {
    /// # Errors
    /// The thread cannot be started.
    pub(crate) fn start() -> io::Result<Disposer> {
        let (jobs, inbox) = channel();
        let desk = Arc::new(Desk::default());
        start(Box::new(inbox), &desk).map_err(|(error, _)| error)?;
        Ok(Disposer { jobs, desk, watched: Arc::default() })
    }

    /// Has something of a module dropped. Never waits.
    pub(crate) fn dispose(&self, of: Arc<Callee>, what: impl Any + Send) {
        // The thread ends only when this end is dropped.
        let _ = self.jobs.send(Job::Drop(of, Box::new(what)));
    }

    /// Waits until all that was to be dropped is, or the time is over.
    pub(crate) fn finish(&self, within: Duration) {
        let (told, tell) = channel();
        let _ = self.jobs.send(Job::Tell(told));
        let _ = tell.recv_timeout(within);
    }

    /// Gives up what does not come back; `apart` is the time between two looks. What was given up, if anything was.
    pub(crate) fn watch(&self, apart: Duration, now: Instant) -> Option<Arc<Callee>> {
        let mut watched = self.watched.lock();
        let mut given_up = None;
        let call = self.desk.under_way();
        let age = watched.age.look(call.as_ref(), apart, now);
        if let Some(call) = call.filter(|call| age > call.callee.give_up_after)
            && let Some(inbox) = self.desk.take_over(&call)
        {
            given_up = Some(call.callee);
            watched.stranded = Some(inbox);
        }
        if let Some(inbox) = watched.stranded.take()
            && let Err((error, inbox)) = start(inbox, &self.desk)
        {
            tracing::error!("modules that are done with cannot be dropped: {error}");
            watched.stranded = inbox;
        }
        given_up
    }
}

fn start(inbox: Box<Inbox>, desk: &Arc<Desk<Inbox>>) -> Result<(), (io::Error, Option<Box<Inbox>>)> {
    let desk = Arc::clone(desk);
    super::fence::spawn("graftd-drop", inbox, move |inbox| run(inbox, &desk))
}

fn run(mut inbox: Box<Inbox>, desk: &Desk<Inbox>) {
    while let Ok(job) = inbox.recv() {
        match job {
            Job::Tell(told) => drop(told.send(())),
            Job::Drop(callee, what) => match desk.call(inbox, &callee, Doing::Drop, Instant::now(), || drop(what)) {
                Some((back, ())) => inbox = back,
                None => return,
            },
        }
    }
}
