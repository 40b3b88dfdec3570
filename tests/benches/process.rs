//! Finding programs, and ending the processes that the benchmark started, and no others: signals go
//! only to children that have not been waited for, whose ids therefore are still their own.

use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Sends `signal` to `child`.
pub(crate) fn signal(child: &Child, signal: Signal) -> Result<(), String> {
    let id = i32::try_from(child.id()).map_err(|error| error.to_string())?;
    let pid = Pid::from_raw(id).ok_or("no process id")?;
    kill_process(pid, signal).map_err(|error| error.to_string())
}

/// Waits at most `limit` for `child` to end.
pub(crate) fn wait(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>, String> {
    let deadline = Instant::now() + limit;
    loop {
        let status = child.try_wait().map_err(|error| error.to_string())?;
        if status.is_some() || Instant::now() > deadline {
            return Ok(status);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Ends `child`: politely with `first`, and after `limit` for good.
pub(crate) fn end(child: &mut Child, first: Signal, limit: Duration) {
    let asked = signal(child, first);
    if asked.is_err() || !matches!(wait(child, limit), Ok(Some(_))) {
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// A program in the search path.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|program| program.is_file())
}
