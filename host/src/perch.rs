//! Where an agent at rest is woken: its collectors and its core all on one CPU.
//!
//! They have one beat, so the kernel would wake each on a CPU of its own, where it finds nothing of what it needs in the caches; most of what
//! an agent at rest takes is that. On one, those behind the first find what that has fetched. They are held there as long as they sleep: once
//! awake a thread may go wherever it could before, and so may what it starts.

use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use std::sync::atomic::{AtomicUsize, Ordering};

/// No CPU is chosen yet.
const NONE: usize = usize::MAX;

/// The CPU that threads wait on for what they have to do at the same time.
#[derive(Debug)]
pub(crate) struct Perch(AtomicUsize);

impl Default for Perch {
    fn default() -> Perch {
        Perch(AtomicUsize::new(NONE))
    }
}

impl Perch {
    /// Sleeps; what it is woken by finds this thread on the one CPU. Where that cannot be, it only sleeps.
    pub(crate) fn sleep<R>(&self, sleep: impl FnOnce() -> R) -> R {
        let held = self.hold();
        let woken = sleep();
        if let Some((before, one)) = held
            // Else somebody has given it other CPUs meanwhile.
            && sched_getaffinity(None).is_ok_and(|now| now == one)
        {
            let _ = sched_setaffinity(None, &before);
        }
        woken
    }

    /// The CPUs that this thread had, and the one that it has now.
    fn hold(&self) -> Option<(CpuSet, CpuSet)> {
        let before = sched_getaffinity(None).ok().filter(|before| before.count() > 1)?;
        let mut cpu = self.0.load(Ordering::Relaxed);
        if cpu >= CpuSet::MAX_CPU || !before.is_set(cpu) {
            cpu = sched_getcpu();
            self.0.store(cpu, Ordering::Relaxed);
        }
        let mut one = CpuSet::new();
        one.set(cpu);
        if sched_setaffinity(None, &one).is_err() {
            // It may be switched off.
            self.0.store(NONE, Ordering::Relaxed);
            return None;
        }
        Some((before, one))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::thread;

    #[test]
    fn who_sleeps_does_so_on_one_cpu_and_has_its_own_again_afterwards() {
        let before = sched_getaffinity(None).unwrap();
        if before.count() < 2 {
            eprintln!("skipped: this machine has one CPU");
            return;
        }
        let perch = Arc::new(Perch::default());
        let asleep = || {
            let perch = Arc::clone(&perch);
            thread::spawn(move || {
                let there = perch.sleep(|| sched_getaffinity(None).unwrap());
                (there, sched_getaffinity(None).unwrap())
            })
        };
        let found: Vec<_> = (0..4).map(|_| asleep()).map(|thread| thread.join().unwrap()).collect();
        for (there, after) in &found {
            assert_eq!((there.count(), *there), (1, found[0].0));
            assert_eq!(*after, before);
        }
    }

    #[test]
    fn who_is_given_other_cpus_meanwhile_keeps_them() {
        let before = sched_getaffinity(None).unwrap();
        if before.count() < 2 {
            eprintln!("skipped: this machine has one CPU");
            return;
        }
        let perch = Perch::default();
        let given = thread::spawn(move || {
            perch.sleep(|| {
                let mut fewer = sched_getaffinity(None).unwrap();
                let one = (0..CpuSet::MAX_CPU).find(|cpu| before.is_set(*cpu) && !fewer.is_set(*cpu)).unwrap();
                fewer.clear();
                fewer.set(one);
                sched_setaffinity(None, &fewer).unwrap();
                assert_eq!(sched_getaffinity(None).unwrap(), fewer);
                fewer
            }) == sched_getaffinity(None).unwrap()
        });
        assert!(given.join().unwrap());
    }
}
