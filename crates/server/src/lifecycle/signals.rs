//! What stops the daemon from outside: signals, and the end of whoever started it.

use std::io;
use std::sync::Arc;

use tokio::io::AsyncReadExt;
use tokio::signal::unix::{SignalKind, signal};

use crate::app::App;

/// Watches SIGTERM and SIGINT and, where asked, the end of stdin.
pub(super) fn watch(app: &Arc<App>, exit_with_parent: bool) -> io::Result<()> {
    for (kind, name) in [(SignalKind::terminate(), "SIGTERM"), (SignalKind::interrupt(), "SIGINT")]
    {
        let mut signals = signal(kind)?;
        let app = Arc::clone(app);
        tokio::spawn(async move {
            if signals.recv().await.is_some() {
                tracing::info!("stopping: {name}");
                app.stop();
            }
        });
    }
    if exit_with_parent {
        let app = Arc::clone(app);
        tokio::spawn(async move {
            let mut stdin = tokio::io::stdin();
            let mut ignored = [0; 256];
            while stdin.read(&mut ignored).await.is_ok_and(|count| count > 0) {}
            tracing::info!("stopping: stdin ended");
            app.stop();
        });
    }
    Ok(())
}
