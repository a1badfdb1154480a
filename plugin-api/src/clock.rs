//! The one injected clock: modules are told the time, they do not take it.

use abi_stable::StableAbi;
use core::time::Duration;

/// The moment of a call, as the host has it.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Clock {
    unix_ms: i64,
    monotonic_ns: u64,
}

impl Clock {
    /// A moment: milliseconds since the Unix epoch, and nanoseconds on a clock that is never set back.
    #[must_use]
    pub const fn new(unix_ms: i64, monotonic_ns: u64) -> Clock {
        Clock { unix_ms, monotonic_ns }
    }

    /// Milliseconds since the Unix epoch. An operator may set this clock: take [`Clock::monotonic`] for rates.
    #[must_use]
    pub const fn unix_ms(self) -> i64 {
        self.unix_ms
    }

    /// The time since some fixed moment, on a clock that is never set back.
    #[must_use]
    pub const fn monotonic(self) -> Duration {
        Duration::from_nanos(self.monotonic_ns)
    }
}
