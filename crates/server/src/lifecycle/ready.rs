//! Tells whoever started the daemon that it is ready: one JSON line, and systemd's protocol.

use std::fs::{File, OpenOptions};
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
        Some(fd) => writeln!(open_descriptor(fd)?, "{line}")?,
        None => {
            let mut stdout = io::stdout().lock();
            writeln!(stdout, "{line}")?;
            stdout.flush()?;
        }
    }
    notify(NotifyState::Ready);
    Ok(())
}

/// Opens an inherited descriptor by its path, so that no raw number has to be trusted.
fn open_descriptor(fd: u32) -> io::Result<File> {
    let opened = OpenOptions::new().write(true).open(format!("/dev/fd/{fd}"));
    // Linux opens pipes and files so, but no sockets; and what some hosts (Node) call a pipe is one.
    #[cfg(target_os = "linux")]
    if opened.as_ref().is_err_and(|error| {
        rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::NXIO)
    }) {
        use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
        let own = pidfd_open(getpid(), PidfdFlags::empty())?;
        let fd = i32::try_from(fd).map_err(|_| io::ErrorKind::InvalidInput)?;
        return Ok(pidfd_getfd(own, fd, PidfdGetfdFlags::empty())?.into());
    }
    opened
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
