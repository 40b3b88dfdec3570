//! What stops the daemon from outside: signals, and the end of whoever started it.

use std::io;
use std::sync::Arc;

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
        // On a thread of its own: the runtime would wait for its stdin when the daemon stops.
        std::thread::Builder::new().name("stdin".to_owned()).spawn(move || {
            // An error ends it as well as its end does.
            let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
            tracing::info!("stopping: stdin ended");
            app.stop();
        })?;
    }
    Ok(())
}
