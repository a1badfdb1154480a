//! Ending a worker that is still starting.

use parking_lot::Mutex;
use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

/// Ends a worker's start from another thread: nobody wants it any more, and it may take its time.
#[derive(Debug, Default)]
pub struct Cancel(Mutex<State>);

#[derive(Debug, Default)]
enum State {
    #[default]
    Waiting,
    Starting(End),
    Cancelled,
}

/// How a start is ended.
#[derive(Debug)]
pub(super) enum End {
    /// Its process is, whose keeper hears by this.
    Process(UnixStream),
    /// The module alone is, whose orders come by this: others share the process.
    Module(UnixStream),
}

impl Cancel {
    /// Ends the start that is under way, or the next one.
    pub fn now(&self) {
        if let State::Starting(end) = std::mem::replace(&mut *self.0.lock(), State::Cancelled) {
            end.come();
        }
    }

    /// A start is under way, and so it is ended.
    pub(super) fn watch(&self, end: End) {
        let state = &mut *self.0.lock();
        match state {
            State::Cancelled => end.come(),
            State::Waiting | State::Starting(_) => *state = State::Starting(end),
        }
    }

    /// The start is over: what runs now is ended by whoever has it.
    pub fn over(&self) {
        *self.0.lock() = State::Waiting;
    }
}

impl End {
    /// Who is gone needs no telling.
    fn come(self) {
        match self {
            // A byte is the order to kill.
            End::Process(mut control) => drop(control.write(&[1])),
            End::Module(data) => drop(data.shutdown(Shutdown::Both)),
        }
    }
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
            cancel.watch(End::Process(ours));
            cancel.now();
            let mut byte = [0];
            keepers.read(&mut byte).unwrap() == 1 && byte == [1]
        };
        assert!(told(true) && told(false));
    }

    #[test]
    fn where_others_share_the_process_the_module_alone_is_ended() {
        let cancel = Cancel::default();
        let (ours, mut modules) = UnixStream::pair().unwrap();
        cancel.watch(End::Module(ours));
        cancel.now();
        assert_eq!(modules.read(&mut [0]).unwrap(), 0, "closed without a word");
    }

    #[test]
    fn what_runs_is_not_ended() {
        let cancel = Cancel::default();
        let (ours, mut keepers) = UnixStream::pair().unwrap();
        cancel.watch(End::Process(ours));
        cancel.over();
        cancel.now();
        assert_eq!(keepers.read(&mut [0]).unwrap(), 0, "closed without a word");
    }
}
