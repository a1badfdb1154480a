//! Reading from who may pause, such as a program that writes now and then: whoever reads is told, and need not wait with what it has.

use crate::limits::{BLOCK_BYTES, PUSH_PAUSE};
use std::fmt;
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;

/// Blocks that are read ahead.
const AHEAD: usize = 2;

/// What the error of a pause has in it: nothing is lost, and what is read next follows.
#[derive(Debug)]
struct Pause;

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing comes at the moment")
    }
}

impl std::error::Error for Pause {}

/// Whether an error says that nothing comes at the moment.
pub(in crate::cli) fn is_pause(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Pause>())
}

/// Reads on a thread of its own. After something was read and nothing more comes, a read fails once with an error that is a
/// [pause](is_pause).
pub(super) struct Pausing {
    from: Receiver<io::Result<Vec<u8>>>,
    block: Vec<u8>,
    /// Of the block, what has been given out.
    given: usize,
    /// Something was given out since the last pause.
    fresh: bool,
}

impl Pausing {
    /// Reads what this opens.
    ///
    /// # Errors
    /// It cannot be opened, or there is no thread.
    pub(super) fn new(open: impl FnOnce() -> io::Result<Box<dyn Read>> + Send + 'static) -> io::Result<Pausing> {
        let (to, from) = sync_channel(AHEAD);
        // What fails to open is told by the first read.
        thread::Builder::new().name("graftd-reads".to_owned()).spawn(move || match open() {
            Ok(opened) => hand_on(opened, &to),
            Err(error) => drop(to.send(Err(error))),
        })?;
        Ok(Pausing { from, block: Vec::new(), given: 0, fresh: false })
    }
}

/// Hands on what is read, until that ends or nobody wants it.
fn hand_on(mut from: Box<dyn Read>, to: &SyncSender<io::Result<Vec<u8>>>) {
    loop {
        let mut block = vec![0; BLOCK_BYTES];
        let read = match from.read(&mut block) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Ok(0) => return,
            Ok(read) => {
                block.truncate(read);
                block.shrink_to_fit();
                Ok(block)
            }
            Err(error) => Err(error),
        };
        let ends = read.is_err();
        if to.send(read).is_err() || ends {
            return;
        }
    }
}

impl Read for Pausing {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.given == self.block.len() {
            let next = if self.fresh {
                match self.from.recv_timeout(PUSH_PAUSE) {
                    Err(RecvTimeoutError::Timeout) => {
                        self.fresh = false;
                        return Err(io::Error::new(io::ErrorKind::WouldBlock, Pause));
                    }
                    Err(RecvTimeoutError::Disconnected) => None,
                    Ok(next) => Some(next),
                }
            } else {
                self.from.recv().ok()
            };
            let Some(next) = next else { return Ok(0) };
            self.block = next?;
            self.given = 0;
        }
        let read = into.len().min(self.block.len() - self.given);
        into[..read].copy_from_slice(&self.block[self.given..self.given + read]);
        self.given += read;
        self.fresh = true;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn who_pauses_is_waited_for_once_it_was_told() {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut pausing = Pausing::new(move || Ok(Box::new(reader))).unwrap();
        let mut into = [0; 4];
        for text in [&b"one"[..], b"twotwo"] {
            writer.write_all(text).unwrap();
            let mut read = Vec::new();
            // However it comes, and before the next is written.
            while read.len() < text.len() {
                let bytes = pausing.read(&mut into).unwrap();
                read.extend_from_slice(&into[..bytes]);
            }
            assert_eq!(read, text);
            assert!(is_pause(&pausing.read(&mut into).unwrap_err()));
        }
        drop(writer);
        assert_eq!(pausing.read(&mut into).unwrap(), 0);
        assert_eq!(pausing.read(&mut into).unwrap(), 0);
        let mut none = Pausing::new(|| Err(io::ErrorKind::NotFound.into())).unwrap();
        let error = none.read(&mut into).unwrap_err();
        assert!(error.kind() == io::ErrorKind::NotFound && !is_pause(&error));
    }
}
