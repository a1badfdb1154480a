//! Ending a worker that is still starting.

use parking_lot::Mutex;
use std::io::Write;
use std::os::unix::net::UnixStream;

/// Ends a worker's start from another thread: nobody wants it any more, and it may take its time.
#[derive(Debug, Default)]
pub struct Cancel(Mutex<State>);

#[derive(Debug, Default)]
enum State {
    #[default]
    Waiting,
    /// By this its keeper is told.
    Starting(UnixStream),
    Cancelled,
}

impl Cancel {
    /// Ends the start that is under way, or the next one.
    pub fn now(&self) {
        if let State::Starting(control) = std::mem::replace(&mut *self.0.lock(), State::Cancelled) {
            kill(control);
        }
    }

    /// A start is under way, whose keeper hears by this.
    pub(super) fn watch(&self, control: UnixStream) {
        let state = &mut *self.0.lock();
        match state {
            State::Cancelled => kill(control),
            State::Waiting | State::Starting(_) => *state = State::Starting(control),
        }
    }

    /// The start is over: what runs now is ended by whoever has it.
    pub fn over(&self) {
        *self.0.lock() = State::Waiting;
    }
}

/// A byte is the order to kill. A keeper that is gone needs no telling.
fn kill(mut control: UnixStream) {
    let _ = control.write(&[1]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn whoever_starts_is_told_whether_before_or_after() {
        let told = |early: bool| {
            let cancel = Cancel::default();
            let (ours, mut keepers) = UnixStream::pair().unwrap();
            if early {
                cancel.now();
            }
            cancel.watch(ours);
            cancel.now();
            let mut byte = [0];
            keepers.read(&mut byte).unwrap() == 1 && byte == [1]
        };
        assert!(told(true) && told(false));
    }

    #[test]
    fn what_runs_is_not_ended() {
        let cancel = Cancel::default();
        let (ours, mut keepers) = UnixStream::pair().unwrap();
        cancel.watch(ours);
        cancel.over();
        cancel.now();
        assert_eq!(keepers.read(&mut [0]).unwrap(), 0, "closed without a word");
    }
}
