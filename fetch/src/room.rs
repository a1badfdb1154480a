//! Many requests at a time on one thread: whoever has to wait says for what, and all wait together.
//!
//! Threads would be dear in a plugin: std keeps a note in the process for each copy of a plugin that has used any, and the
//! process has room for a thousand.

use crate::stream::left;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::cell::Cell;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::mem::{replace, take};
use std::os::fd::{AsFd as _, OwnedFd};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// Something under way, on the caller's thread.
pub type Task<'t, T> = Pin<Box<dyn Future<Output = T> + 't>>;

/// Where what is under way waits.
#[derive(Default)]
pub struct Room {
    /// What the task that was just asked waits for.
    wish: Cell<Option<Wish>>,
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room").finish_non_exhaustive()
    }
}

/// A socket, what it is to be ready for, and how long that is waited for.
struct Wish {
    socket: Rc<OwnedFd>,
    ready: PollFlags,
    until: Instant,
}

impl Room {
    /// Goes on with a task until it is done. It waits for nothing but sockets of this room.
    pub fn finish<T>(&self, task: impl Future<Output = T>) -> T {
        let mut task = pin!(task);
        let mut context = Context::from_waker(Waker::noop());
        loop {
            match task.as_mut().poll(&mut context) {
                Poll::Ready(done) => return done,
                Poll::Pending => drop(await_any(self.wish.take().as_slice())),
            }
        }
    }

    /// Goes on with all tasks that `next` gives, at most so many at a time, and hands over what came of each when it is done. `next`
    /// is asked whenever there is room for one more.
    pub fn run<'t, T>(&self, most: usize, mut next: impl FnMut() -> Option<Task<'t, T>>, mut done: impl FnMut(T)) {
        let mut context = Context::from_waker(Waker::noop());
        let (mut ready, mut waiting, mut wishes) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            while ready.len() + waiting.len() < most.max(1) {
                let Some(task) = next() else { break };
                ready.push(task);
            }
            if ready.is_empty() {
                if waiting.is_empty() {
                    return;
                }
                let come = await_any(&wishes);
                let before = take(&mut waiting).into_iter().zip(take(&mut wishes));
                for ((task, wish), come) in before.zip(come) {
                    if come {
                        ready.push(task);
                    } else {
                        waiting.push(task);
                        wishes.push(wish);
                    }
                }
            }
            for mut task in ready.drain(..) {
                match task.as_mut().poll(&mut context) {
                    Poll::Ready(result) => done(result),
                    // One that waits for anything else would wait for ever.
                    Poll::Pending => {
                        if let Some(wish) = self.wish.take() {
                            waiting.push(task);
                            wishes.push(wish);
                        }
                    }
                }
            }
        }
    }

    /// Waits until a socket is ready. It may be said to be when it is not.
    pub(crate) async fn wait(&self, socket: &Rc<OwnedFd>, ready: PollFlags, until: Instant) -> io::Result<()> {
        left(until)?;
        let mut asked = false;
        poll_fn(|_| {
            if replace(&mut asked, true) {
                return Poll::Ready(());
            }
            self.wish.set(Some(Wish { socket: Rc::clone(socket), ready, until }));
            Poll::Pending
        })
        .await;
        left(until).map(|_| ())
    }
}

/// Waits until one or more are ready or out of time, and says which.
fn await_any(wishes: &[Wish]) -> Vec<bool> {
    let first = wishes.iter().map(|wish| wish.until).min();
    let left = first.map_or(Duration::ZERO, |first| first.saturating_duration_since(Instant::now()));
    let mut sockets: Vec<_> =
        wishes.iter().map(|wish| PollFd::from_borrowed_fd(wish.socket.as_fd(), wish.ready)).collect();
    let failed = match poll(&mut sockets, Timespec::try_from(left).ok().as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => false,
        // Each finds out for itself.
        Err(_) => true,
    };
    let now = Instant::now();
    let come = |(socket, wish): (&PollFd<'_>, &Wish)| failed || !socket.revents().is_empty() || wish.until <= now;
    sockets.iter().zip(wishes).map(come).collect()
}
