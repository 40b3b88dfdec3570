//! Keeps the WAL short without slowing commits.
//!
//! A WAL that grows doubles the cost of a commit against one that is reused, and one that is never
//! wholly copied into the database is never reused. So a thread of its own runs PASSIVE checkpoints
//! while there is something to copy, which moves the bulk beside the writer; but under constant
//! writing it never reaches the end (measured: 1.5 GB of WAL in 20 s). So above
//! [`WRITER_CHECKPOINT_PAGES`] the writer itself runs one between two groups, which has only the tail
//! to do, and the next commit begins the WAL anew.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::hooks::Wal;

use super::connection::BUSY_TIMEOUT;
use crate::error::{Result, StoreError};
use crate::health::{Cause, Health};

/// Pages of WAL from which the checkpoint thread starts: 4 MiB. Each checkpoint syncs twice beside the
/// commits, so a lone writer should not cause one every few dozen calls.
const THREAD_CHECKPOINT_PAGES: u32 = 1024;
/// Pages of WAL from which the writer checkpoints by itself: 16 MiB, as measured.
const WRITER_CHECKPOINT_PAGES: u32 = 4096;
/// The checkpoint thread rests this long between two checkpoints.
const REST: Duration = Duration::from_millis(20);
/// How long a truncating checkpoint waits for readers.
const TRUNCATE_WAIT: Duration = Duration::from_secs(2);

thread_local! {
    /// Pages in the WAL after the last commit on this thread. SQLite's hook is a plain function, so
    /// it has no other place to leave the number; only the writer's thread commits.
    static WAL_PAGES: Cell<u32> = const { Cell::new(0) };
}

/// Has SQLite count the pages of the WAL after each commit on this connection. `PRAGMA
/// wal_autocheckpoint`, whatever its value, takes the hook off: it must come before.
pub(crate) fn count_pages(connection: &Connection) {
    connection.wal_hook(Some(|_: &Wal, pages| {
        WAL_PAGES.set(u32::try_from(pages).unwrap_or(0));
        Ok(())
    }));
}

/// What the writer and the checkpoint thread tell each other.
pub(crate) struct WalWatch {
    pages: AtomicU32,
    /// Pages above which a warning stands.
    limit_pages: u32,
    stopped: AtomicBool,
    wanted: Mutex<bool>,
    wake: Condvar,
    /// Held by the thread while it checkpoints.
    running: Mutex<()>,
}

impl WalWatch {
    /// `limit_bytes` is the size of the WAL above which a warning stands.
    pub(crate) fn new(limit_bytes: u64) -> Self {
        Self {
            pages: AtomicU32::new(0),
            limit_pages: u32::try_from(limit_bytes / 4096).unwrap_or(u32::MAX),
            stopped: AtomicBool::new(false),
            wanted: Mutex::new(false),
            wake: Condvar::new(),
            running: Mutex::default(),
        }
    }

    /// Bytes in the WAL after the last commit.
    pub(crate) fn bytes(&self) -> u64 {
        u64::from(self.pages.load(Ordering::Relaxed)) * 4096
    }

    /// Called by the writer between two groups.
    pub(crate) fn after_commit(&self, connection: &Connection, health: &Health) {
        let pages = WAL_PAGES.get();
        self.pages.store(pages, Ordering::Relaxed);
        if pages >= WRITER_CHECKPOINT_PAGES {
            match run(connection, Mode::Passive) {
                // The thread is at it: nothing was done, and nothing is known of what is left.
                Ok(rest) if rest.busy => {}
                Ok(rest) if rest.left == 0 => health.clear(Cause::WalOverLimit),
                Ok(rest) if rest.left > self.limit_pages => {
                    health.note(
                        Cause::WalOverLimit,
                        "the WAL is over its limit: a reader holds it back",
                    );
                    // Without waiting: it only keeps new readers from the old end of the WAL.
                    let _ = connection.busy_timeout(Duration::ZERO);
                    let _ = run(connection, Mode::Restart);
                    let _ = connection.busy_timeout(BUSY_TIMEOUT);
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(%error, "a checkpoint by the writer failed");
                    health.note(
                        Cause::WalOverLimit,
                        "the WAL grows: it can't be copied into the database",
                    );
                }
            }
            return;
        }
        health.clear(Cause::WalOverLimit);
        if pages >= THREAD_CHECKPOINT_PAGES {
            let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
            if !*wanted {
                *wanted = true;
                self.wake.notify_one();
            }
        }
    }

    /// Copies all of the WAL into the database and empties it.
    ///
    /// # Errors
    /// Where it can't, or a reader is in the way for too long.
    pub(crate) fn truncate(&self, connection: &Connection) -> Result<()> {
        if self.try_truncate(connection, TRUNCATE_WAIT)? {
            return Ok(());
        }
        Err(StoreError::Internal("a reader kept the WAL from being emptied".to_owned()))
    }

    /// The same; false where a reader is in the way for longer than `wait`. The writer waits meanwhile.
    ///
    /// # Errors
    /// Where it can't.
    pub(crate) fn try_truncate(&self, connection: &Connection, wait: Duration) -> Result<bool> {
        // Against another checkpoint SQLite does not wait: it would be refused at once.
        let _running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        connection.busy_timeout(wait)?;
        let outcome = run(connection, Mode::Truncate);
        connection.busy_timeout(BUSY_TIMEOUT)?;
        Ok(!outcome?.busy)
    }

    /// Ends the checkpoint thread.
    pub(crate) fn stop(&self) {
        // Under the lock, so that the thread can't miss it between its look and its wait.
        let wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        self.stopped.store(true, Ordering::Relaxed);
        drop(wanted);
        self.wake.notify_one();
    }

    fn wait(&self, rest: Option<Duration>) -> bool {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rest) = rest {
            // Woken early only to stop; a spurious wake-up shortens a rest, which harms nothing.
            wanted = self
                .wake
                .wait_timeout_while(wanted, rest, |_| !self.stopped.load(Ordering::Relaxed))
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        while !*wanted && !self.stopped.load(Ordering::Relaxed) {
            wanted = self.wake.wait(wanted).unwrap_or_else(PoisonError::into_inner);
        }
        *wanted = false;
        !self.stopped.load(Ordering::Relaxed)
    }
}

/// The checkpoint thread: copies the WAL into the database while the writer goes on.
pub(crate) fn thread(connection: &Connection, watch: &Arc<WalWatch>) {
    let mut rest = None;
    while watch.wait(rest) {
        let _running = watch.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = run(connection, Mode::Passive) {
            tracing::warn!(%error, "a checkpoint failed");
        }
        rest = Some(REST);
    }
}

#[derive(Clone, Copy)]
enum Mode {
    Passive,
    Restart,
    Truncate,
}

struct Rest {
    /// Pages of the WAL that are not yet in the database.
    left: u32,
    /// Whether a reader, a writer or another checkpoint kept it from its end.
    busy: bool,
}

fn run(connection: &Connection, mode: Mode) -> rusqlite::Result<Rest> {
    let sql = match mode {
        Mode::Passive => "PRAGMA wal_checkpoint(PASSIVE)",
        Mode::Restart => "PRAGMA wal_checkpoint(RESTART)",
        Mode::Truncate => "PRAGMA wal_checkpoint(TRUNCATE)",
    };
    connection.query_row(sql, [], |row| {
        let (busy, log, done): (bool, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(Rest { left: u32::try_from(log - done).unwrap_or(0), busy })
    })
}
