//! The kernel's counters at a steady pace: what the whole machine does meanwhile is nobody's business here, and two that
//! look at it at different instants see different rates.
//!
//! In the namespace of the tests, copies lie over some files of `/proc`. Their gauges stand still, their counters rise evenly.

use rustix::mount::mount_bind;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Between two moments at which the counters rise.
const PACE: Duration = Duration::from_millis(200);

/// For how long no counter gets a digit more: then what is read while it is written is still whole lines.
const LONGEST: Duration = Duration::from_secs(600);

/// Whether a line holds counters.
type Counts = fn(&str) -> bool;

/// The files, and which of their lines hold counters.
const FILES: [(&str, Counts); 4] = [
    ("meminfo", |_| false),
    ("stat", |line| !line.starts_with("btime") && !line.starts_with("procs_")),
    ("vmstat", |line| !line.starts_with("nr_") || line.starts_with("nr_written") || line.starts_with("nr_dirtied")),
    ("diskstats", |_| true),
];

/// Copies that lie over `/proc`, until the namespace ends; dropping it stops their counters.
#[derive(Debug)]
pub struct Procfs {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A file in pieces: text, and after it a counter with what it rises by in a second.
struct Paced {
    file: File,
    pieces: Vec<(String, Option<(u64, u64)>)>,
}

impl Procfs {
    /// Lays the copies over.
    pub fn lay(folder: &Path) -> Procfs {
        let began = Instant::now();
        let paced: Vec<Paced> = FILES.iter().filter_map(|(name, counts)| Paced::lay(name, *counts, folder)).collect();
        let (stop, stopped) = channel::<()>();
        let thread = thread::spawn(move || {
            while stopped.recv_timeout(PACE) == Err(RecvTimeoutError::Timeout) {
                for paced in &paced {
                    paced.write(began.elapsed());
                }
            }
        });
        Procfs { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Procfs {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Paced {
    fn lay(name: &str, counts: Counts, folder: &Path) -> Option<Paced> {
        let real = Path::new("/proc").join(name);
        let text = fs::read_to_string(&real).ok()?;
        let copy = folder.join(format!("proc-{name}"));
        let paced = Paced { file: File::create(&copy).ok()?, pieces: pieces(&text, counts) };
        paced.write(Duration::ZERO);
        mount_bind(&copy, &real).ok()?;
        Some(paced)
    }

    /// A length stays what it is, so one write replaces the file.
    fn write(&self, since: Duration) {
        let mut text = String::new();
        for (before, counter) in &self.pieces {
            text.push_str(before);
            if let Some((base, pace)) = counter {
                text.push_str(&(base + since.as_millis() as u64 * pace / 1_000).to_string());
            }
        }
        // Should it fail, the counters stand still, and rates are zero for all that look.
        let _ = self.file.write_all_at(text.as_bytes(), 0);
    }
}

fn pieces(text: &str, counts: Counts) -> Vec<(String, Option<(u64, u64)>)> {
    let mut pieces = Vec::new();
    let mut before = String::new();
    for line in text.split_inclusive('\n') {
        // What a number belongs to stands before it.
        let mut named = false;
        for word in line.split_inclusive([' ', '\n']) {
            let (bare, end) = word.split_at(word.trim_end().len());
            match bare.parse::<u64>() {
                // Zero is what does not happen here.
                Ok(value @ 1..) if named && counts(line) => {
                    let pace = 1 + pieces.len() as u64 % 97;
                    pieces.push((std::mem::take(&mut before), Some((with_room(value, pace), pace))));
                }
                number => {
                    named |= number.is_err() && !bare.is_empty();
                    before.push_str(bare);
                }
            }
            before.push_str(end);
        }
    }
    pieces.push((before, None));
    pieces
}

/// The value, or the next power of ten where it would get a digit more before the end.
fn with_room(value: u64, pace: u64) -> u64 {
    let end = value.saturating_add(pace * LONGEST.as_secs());
    if end.ilog10() == value.ilog10() { value } else { 10_u64.pow(end.ilog10()) }
}
