//! Tells whoever started the daemon that it is ready: one JSON line, and systemd's protocol.

use std::fs::OpenOptions;
use std::io::{self, Write};

use sd_notify::NotifyState;
use serde_json::json;

/// Writes the ready line to the descriptor, or to stdout, and notifies systemd.
pub(super) fn announce(endpoints: &[String], fd: Option<u32>) -> io::Result<()> {
    let line = json!({
        "event": "ready",
        "endpoints": endpoints,
        "pid": std::process::id(),
        "version": env!("CARGO_PKG_VERSION"),
    });
    match fd {
        // By its path the descriptor can be used without taking ownership of a raw number.
        Some(fd) => {
            let mut file = OpenOptions::new().write(true).open(format!("/dev/fd/{fd}"))?;
            writeln!(file, "{line}")?;
        }
        None => {
            let mut stdout = io::stdout().lock();
            writeln!(stdout, "{line}")?;
            stdout.flush()?;
        }
    }
    notify(NotifyState::Ready);
    Ok(())
}

/// Tells systemd that the daemon stops.
pub(super) fn stopping() {
    notify(NotifyState::Stopping);
}

fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "systemd could not be notified");
    }
}
