//! The pauses after failed attempts to unlock the vault, so that nobody tries phrases by the thousand.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use osnova_storage_api::ApiError;

use crate::config::UnlockBackoff;

/// So many attempts in a row may fail before the first pause: people mistype.
const FREE_ATTEMPTS: u32 = 3;

/// Counts failed attempts. Pauses are counted on the monotonic clock.
pub(crate) struct UnlockGuard {
    backoff: UnlockBackoff,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    failures: u32,
    closed_until: Option<Instant>,
}

impl UnlockGuard {
    /// No attempt has failed yet.
    pub(crate) fn new(backoff: UnlockBackoff) -> Self {
        Self { backoff, state: Mutex::default() }
    }

    /// Runs an attempt, unless there is a pause. `failed` says of its outcome whether the key was wrong.
    ///
    /// # Errors
    /// `unavailable` during a pause; else the attempt's own.
    pub(crate) fn attempt<T, E: From<ApiError>>(
        &self,
        attempt: impl FnOnce() -> Result<T, E>,
        failed: impl FnOnce(&E) -> bool,
    ) -> Result<T, E> {
        // Held while the attempt runs, so that many at once are not many free ones.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some(left) = state.closed_until.and_then(|time| time.checked_duration_since(now))
            && !left.is_zero()
        {
            let message = "too many wrong keys: vault.unlock pauses";
            let millis = u64::try_from(left.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
            return Err(ApiError::unavailable(message, millis).into());
        }
        let outcome = attempt();
        match &outcome {
            Ok(_) => *state = State::default(),
            Err(error) if failed(error) => {
                state.failures = state.failures.saturating_add(1);
                state.closed_until = Some(Instant::now() + self.pause(state.failures));
            }
            Err(_) => {}
        }
        outcome
    }

    fn pause(&self, failures: u32) -> Duration {
        match failures.checked_sub(FREE_ATTEMPTS) {
            None => Duration::ZERO,
            Some(beyond) => {
                let factor = 2_u32.saturating_pow(beyond);
                self.backoff.pause.saturating_mul(factor).min(self.backoff.limit)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use osnova_storage_api::ErrorCode;

    use super::*;

    fn code(outcome: Result<(), ApiError>) -> Option<ErrorCode> {
        outcome.err().map(|error| error.code())
    }

    #[test]
    fn pauses_grow_and_a_success_ends_them() {
        let limit = Duration::from_secs(60);
        let guard = UnlockGuard::new(UnlockBackoff { pause: Duration::from_secs(20), limit });
        let seconds: Vec<u64> =
            [1, 2, 3, 4, 5, 40].iter().map(|failures| guard.pause(*failures).as_secs()).collect();
        assert_eq!(seconds, [0, 0, 20, 40, 60, 60]);
        let wrong = || {
            let error = ApiError::new(ErrorCode::WrongKey, "wrong");
            code(guard.attempt(|| Err(error), |_| true))
        };
        let right = || code(guard.attempt(|| Ok(()), |_| true));
        assert_eq!((wrong(), wrong()), (Some(ErrorCode::WrongKey), Some(ErrorCode::WrongKey)));
        assert_eq!(right(), None);
        // The count began anew.
        assert_eq!((wrong(), wrong()), (Some(ErrorCode::WrongKey), Some(ErrorCode::WrongKey)));
        assert_eq!(wrong(), Some(ErrorCode::WrongKey));
        // The right key is refused too: else the pause would tell it.
        assert_eq!(
            (wrong(), right()),
            (Some(ErrorCode::Unavailable), Some(ErrorCode::Unavailable))
        );
    }

    #[test]
    fn a_failure_that_is_no_wrong_key_does_not_count() {
        let guard = UnlockGuard::new(UnlockBackoff::default());
        for _ in 0..10 {
            let outcome = guard.attempt(|| Err(ApiError::unavailable("busy", 1)), |_| false);
            assert_eq!(code(outcome), Some(ErrorCode::Unavailable));
        }
        assert_eq!(code(guard.attempt(|| Ok(()), |_: &ApiError| true)), None);
    }
}
