//! The clocks, handed in so that tests can set them: the wall clock, which may be set by anyone, and one
//! that only runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Tells the time. Order is never decided by it.
pub trait Clock: Send + Sync + 'static {
    /// Unix seconds in UTC.
    fn now(&self) -> i64;

    /// Milliseconds since some moment, the boot on Linux: they never go back and never jump, and stand
    /// still while the machine sleeps.
    fn monotonic_ms(&self) -> u64;

    /// Unix milliseconds in UTC.
    fn now_ms(&self) -> i64 {
        self.now().saturating_mul(1000)
    }
}

/// The clocks of the system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> i64 {
        since_1970(|since| since.as_secs().into())
    }

    fn now_ms(&self) -> i64 {
        since_1970(|since| since.as_millis())
    }

    fn monotonic_ms(&self) -> u64 {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        // Neither is ever negative, nor beyond what fits.
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        seconds * 1000 + u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000_000
    }
}

/// For how long a data root has been up, over all its starts. What a crash forgets of it makes it shorter,
/// never longer.
pub(crate) struct Uptime {
    clock: Arc<dyn Clock>,
    started_ms: u64,
    /// What the starts before came to.
    before_ms: AtomicU64,
}

impl Uptime {
    /// Counts from now on.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let started_ms = clock.monotonic_ms();
        Self { clock, started_ms, before_ms: AtomicU64::new(0) }
    }

    /// Adds what the starts before came to, in milliseconds.
    pub(crate) fn add_before(&self, ms: u64) {
        self.before_ms.fetch_add(ms, Ordering::Relaxed);
    }

    /// What it comes to, in milliseconds.
    pub(crate) fn now_ms(&self) -> u64 {
        let since = self.clock.monotonic_ms().saturating_sub(self.started_ms);
        self.before_ms.load(Ordering::Relaxed).saturating_add(since)
    }
}

/// By how many seconds the wall clock may move against the other between two looks.
const JUMP_SECONDS: i64 = 60 * 60;
/// For how long a new time must stand to be believed, in milliseconds.
const BELIEVED_AFTER_MS: u64 = 60 * 60 * 1000;

/// What both clocks said at a look.
#[derive(Debug, Clone, Copy)]
struct Look {
    now: i64,
    monotonic_ms: u64,
}

impl Look {
    /// By how many seconds the wall clock has moved since, beyond what has passed.
    fn drift_until(self, later: Look) -> i64 {
        let passed = later.monotonic_ms.saturating_sub(self.monotonic_ms) / 1000;
        later.now.saturating_sub(self.now).saturating_sub_unsigned(passed)
    }
}

/// Finds out where the wall clock jumps. Whoever deletes by the time looks at it first, and deletes
/// nothing where it has jumped: a clock that is wrong for a moment must not cost anything.
///
/// A jump is over when the clock is back where it would be without it, or when the new time has stood
/// for an hour: then it is the old one that was wrong, or the machine has slept.
#[derive(Debug, Default)]
pub struct JumpWatch {
    /// The last look at which all was well.
    trusted: Option<Look>,
    /// Where a jump led to.
    jumped_to: Option<Look>,
}

impl JumpWatch {
    /// Looks at the clocks. `None` where the time can be trusted; else by how many seconds it jumped.
    pub fn look(&mut self, clock: &dyn Clock) -> Option<i64> {
        let look = Look { now: clock.now(), monotonic_ms: clock.monotonic_ms() };
        let jumped =
            |since: Look| since.drift_until(look).unsigned_abs() > JUMP_SECONDS.unsigned_abs();
        let Some(trusted) = self.trusted.filter(|trusted| jumped(*trusted)) else {
            return self.trust(look);
        };
        match self.jumped_to {
            Some(since) if !jumped(since) => {
                if look.monotonic_ms.saturating_sub(since.monotonic_ms) >= BELIEVED_AFTER_MS {
                    return self.trust(look);
                }
            }
            // The first look at it, or it has jumped on.
            _ => self.jumped_to = Some(look),
        }
        Some(trusted.drift_until(look))
    }

    fn trust(&mut self, look: Look) -> Option<i64> {
        *self = Self { trusted: Some(look), jumped_to: None };
        None
    }
}

fn since_1970(count: impl FnOnce(Duration) -> u128) -> i64 {
    // A clock set before 1970 gives 0, which is wrong by less than it is itself.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(count(since)).unwrap_or(0)
}
