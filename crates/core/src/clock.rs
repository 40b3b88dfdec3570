//! The wall clock, handed in so that tests can set it.

use std::time::{SystemTime, UNIX_EPOCH};

/// Tells the time for display. Order and age are never decided by it.
pub trait Clock: Send + Sync + 'static {
    /// Unix seconds in UTC.
    fn now(&self) -> i64;
}

/// The clock of the system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> i64 {
        // A clock set before 1970 gives 0, which is wrong by less than it is itself.
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .ok()
            .and_then(|since| i64::try_from(since.as_secs()).ok())
            .unwrap_or(0)
    }
}
