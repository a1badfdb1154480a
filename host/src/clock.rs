//! The one clock: everything that needs the time is handed this.

use plugin_api::Clock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The system's time, and the time since the daemon began.
#[derive(Clone, Copy, Debug)]
pub struct Timepiece {
    began: Instant,
}

impl Timepiece {
    /// Begins now.
    #[must_use]
    pub fn start() -> Timepiece {
        Timepiece { began: Instant::now() }
    }

    /// When it began: ticks are over at whole multiples of one after that.
    pub(crate) fn began(self) -> Instant {
        self.began
    }

    /// The moment of this call.
    #[must_use]
    pub fn now(self) -> Clock {
        let unix_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
        // A collector may take zero for "never", so the monotonic clock does not begin there.
        Clock::new(unix_ms, 1_000_000_000 + self.began.elapsed().as_nanos() as u64)
    }

    /// Milliseconds since some fixed moment, on a clock that is never set back: for lifetimes.
    #[must_use]
    pub fn monotonic_ms(self) -> i64 {
        i64::try_from(self.now().monotonic().as_millis()).unwrap_or(i64::MAX)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub fn unix_ms(self) -> i64 {
        self.now().unix_ms()
    }
}

/// CPU time that this thread has used.
pub(crate) fn thread_cpu() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}
