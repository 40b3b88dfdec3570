//! The timer of sweeps: now and then the store deletes what has expired.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::app::App;

/// Sweeps until the daemon stops, the first time at once. A sweep that fails is tried again the next
/// time; until then nothing is seen of what has expired.
pub(super) async fn run(app: Arc<App>, interval: Duration) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = app.stopped() => return,
        }
        let store = Arc::clone(&app.store);
        match tokio::task::spawn_blocking(move || store.sweep()).await {
            Ok(Ok(0)) => {}
            Ok(Ok(swept)) => tracing::debug!(swept, "expired values were deleted"),
            Ok(Err(error)) => {
                app.store.note_error(&error);
                tracing::warn!(%error, "expired values could not be deleted");
            }
            Err(error) => tracing::error!(%error, "a sweep panicked"),
        }
    }
}
