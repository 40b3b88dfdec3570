//! The wall clock, handed in so that tests can set it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Tells the time for display. Order and age are never decided by it.
pub trait Clock: Send + Sync + 'static {
    /// Unix seconds in UTC.
    fn now(&self) -> i64;

    /// Unix milliseconds in UTC.
    fn now_ms(&self) -> i64 {
        self.now().saturating_mul(1000)
    }
}

/// The clock of the system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> i64 {
        since_1970(|since| since.as_secs().into())
    }

    fn now_ms(&self) -> i64 {
        since_1970(|since| since.as_millis())
    }
}

fn since_1970(count: impl FnOnce(Duration) -> u128) -> i64 {
    // A clock set before 1970 gives 0, which is wrong by less than it is itself.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(count(since)).unwrap_or(0)
}
