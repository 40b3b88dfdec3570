//! Going on where the daemon goes away and comes back, for commands that run until Ctrl-C.
//!
//! A restart is over before anyone notices it; a daemon that is being updated, or a machine that is being
//! repaired, is away for longer, and whoever follows a log over night wants to find it followed.

use std::time::Duration;

use osnova_storage_client::{ClientError, ErrorCode};

use super::failure::{Failure, complain};

/// The pause after the first attempt that failed; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause: a daemon that is back is met that soon.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Follows a daemon over its absences, which it tells of once as they begin and once as they end.
#[derive(Default)]
pub(super) struct Patience {
    /// How often it was tried since the daemon went away.
    failed: u32,
}

impl Patience {
    /// Waits where the daemon is away and may come back.
    ///
    /// # Errors
    /// The failure of what can't get better by waiting.
    pub(super) async fn wait(
        &mut self,
        error: ClientError,
        explain: impl FnOnce(ClientError) -> Failure,
    ) -> Result<(), Failure> {
        if !is_absence(&error) {
            return Err(explain(error));
        }
        if self.failed == 0 {
            complain(&format!("the connection is lost, trying until it is back ({error})"));
        }
        tokio::time::sleep(pause(self.failed)).await;
        self.failed = self.failed.saturating_add(1);
        Ok(())
    }

    /// Notes that the daemon answers.
    pub(super) fn reached(&mut self) {
        if std::mem::take(&mut self.failed) > 0 {
            complain("the connection is back");
        }
    }
}

fn pause(failed: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(failed)).min(LONGEST_PAUSE)
}

/// Whether an error says no more than that the daemon is not there just now.
fn is_absence(error: &ClientError) -> bool {
    match error {
        // It listens, and this user may not come in: that stays so.
        ClientError::Connect { source, .. } => {
            source.kind() != std::io::ErrorKind::PermissionDenied
        }
        ClientError::Transport { .. } | ClientError::Timeout { .. } => true,
        ClientError::Api(error) => error.code() == ErrorCode::Unavailable,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use osnova_storage_client::ApiError;

    use super::*;

    #[test]
    fn pauses_grow_and_are_bounded() {
        assert_eq!(pause(0), FIRST_PAUSE);
        assert_eq!(pause(1), FIRST_PAUSE * 2);
        assert_eq!(pause(5), LONGEST_PAUSE);
        assert_eq!(pause(u32::MAX), LONGEST_PAUSE);
    }

    #[test]
    fn what_stays_as_it_is_is_not_waited_for() {
        let connect = |kind: io::ErrorKind| ClientError::Connect {
            endpoint: "unix:/s".to_owned(),
            source: kind.into(),
        };
        assert!(is_absence(&connect(io::ErrorKind::ConnectionRefused)));
        assert!(is_absence(&connect(io::ErrorKind::NotFound)));
        assert!(!is_absence(&connect(io::ErrorKind::PermissionDenied)));
        assert!(is_absence(&ApiError::unavailable("it stops", 100).into()));
        for code in [ErrorCode::Unauthorized, ErrorCode::Gone] {
            assert!(!is_absence(&ApiError::new(code, "no").into()));
        }
    }
}
