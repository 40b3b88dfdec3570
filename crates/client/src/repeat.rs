//! When a call is tried again, and how long is waited before.

use std::time::Duration;

use osnova_storage_api::ErrorCode;
use tokio::time::Instant;

use crate::error::{ClientError, Fault};

/// The bounds of trying again.
///
/// ```
/// use std::time::Duration;
/// use osnova_storage_client::Repeat;
///
/// // Patient enough for a daemon that is being updated.
/// let repeat = Repeat { budget: Duration::from_secs(60), attempts: 40, ..Repeat::default() };
/// # let _ = repeat;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repeat {
    /// At most this many tries, the first included.
    pub attempts: u32,
    /// The wait before the second try; it doubles with each.
    pub first_delay: Duration,
    /// The longest wait between two tries.
    pub max_delay: Duration,
    /// No try begins later than this after the first.
    pub budget: Duration,
    /// Whether a call that got no reply in time is repeated too, where that is safe. The first one may
    /// still be running.
    pub after_timeout: bool,
}

impl Default for Repeat {
    /// Eight tries within 15 seconds: 50 ms, 100 ms, ... 2 s apart, about 6 s in all, which is longer
    /// than a restart takes.
    fn default() -> Self {
        Self {
            attempts: 8,
            first_delay: Duration::from_millis(50),
            max_delay: Duration::from_secs(2),
            budget: Duration::from_secs(15),
            after_timeout: false,
        }
    }
}

impl Repeat {
    /// Never try again.
    pub fn never() -> Self {
        Self { attempts: 1, ..Self::default() }
    }
}

/// What is known of the call that failed.
#[derive(Clone, Copy)]
pub(crate) struct Effect {
    /// It may be sent again though a reply to it was lost.
    pub(crate) repeatable: bool,
    /// It changes nothing.
    pub(crate) only_reads: bool,
}

/// The tries of one call.
pub(crate) struct Attempts<'a> {
    repeat: &'a Repeat,
    made: u32,
    began: Instant,
}

impl<'a> Attempts<'a> {
    pub(crate) fn new(repeat: &'a Repeat) -> Self {
        Self { repeat, made: 0, began: Instant::now() }
    }

    /// Waits until the call may be tried again after this fault; an error where it may not.
    pub(crate) async fn wait(
        &mut self,
        fault: Fault,
        method: &str,
        endpoint: &(dyn std::fmt::Display + Sync),
        effect: impl FnOnce() -> Effect,
    ) -> Result<(), ClientError> {
        self.made += 1;
        let safe = match &fault {
            Fault::NotSent(_) => Effect { repeatable: true, only_reads: true },
            Fault::Final(ClientError::Api(error)) if error.code() == ErrorCode::Unavailable => {
                Effect { repeatable: true, only_reads: true }
            }
            Fault::Final(_) => Effect { repeatable: false, only_reads: true },
            Fault::TimedOut(_) if !self.repeat.after_timeout => {
                Effect { repeatable: false, only_reads: true }
            }
            Fault::TimedOut(_) | Fault::Lost(_) | Fault::Unexplained(_) => effect(),
        };
        if safe.repeatable && self.made < self.repeat.attempts {
            let delay = self.delay(&fault);
            if self.began.elapsed() + delay <= self.repeat.budget {
                tokio::time::sleep(delay).await;
                return Ok(());
            }
        }
        Err(Self::end(fault, method, endpoint, safe))
    }

    /// The error that the caller sees where there is no further try.
    pub(crate) fn end(
        fault: Fault,
        method: &str,
        endpoint: &(dyn std::fmt::Display + Sync),
        effect: Effect,
    ) -> ClientError {
        match fault {
            Fault::Final(error) | Fault::Unexplained(error) => error,
            Fault::NotSent(source) => {
                ClientError::Connect { endpoint: endpoint.to_string(), source }
            }
            Fault::TimedOut(after) => ClientError::Timeout { method: method.to_owned(), after },
            Fault::Lost(source) if effect.only_reads => {
                ClientError::Transport { method: method.to_owned(), source }
            }
            Fault::Lost(source) => {
                ClientError::OutcomeUnknown { method: method.to_owned(), source }
            }
        }
    }

    /// The back-off, or what the daemon asked for where that is longer.
    fn delay(&self, fault: &Fault) -> Duration {
        let doubled = self.repeat.first_delay.saturating_mul(1 << (self.made - 1).min(16));
        let back_off = doubled.min(self.repeat.max_delay);
        match fault {
            Fault::Final(ClientError::Api(error)) => {
                let asked = error.data.retry_after_ms.map_or(Duration::ZERO, Duration::from_millis);
                back_off.max(asked)
            }
            _ => back_off,
        }
    }
}
