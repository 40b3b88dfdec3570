//! The components' logs: lines of JSON that are appended, rotated, compressed and searched.
//!
//! Appending puts lines into memory ([`pending`]). A thread, `logs`, writes them within the flush
//! interval and compresses files that were closed; whoever reads a log writes first what waits of it, so
//! that everybody sees what he appended. A crash loses at most the last interval, a clean stop nothing.
//! [`files`] knows names and numbers, [`source`] reads a file from either end, [`search`] goes through a
//! log. Nothing here is in memory as a whole: chunks are at most 512 KiB.

mod files;
mod packed;
mod pending;
mod search;
mod source;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use osnova_storage_api::ApiError;
use osnova_storage_api::components::Direction;
use osnova_storage_api::logs::{
    AppendParams, LogEntry, LogInput, LogPage, LogRotated, LogTail, MAX_LINE_BYTES, QueryParams,
    RotateParams, TailParams,
};
use osnova_storage_api::wire::{Accepted, ComponentId, TimestampMs, UnsignedInteger};

use crate::caller::Caller;
use crate::clock::Clock;
use crate::db::page::Query;
use crate::error::{OpenError, Result, StoreError};
use crate::health::{Cause, Health};
use crate::layout::Layout;
use files::{Closed, Files};
use pending::Pending;
use search::{Filter, Found, Position};

/// When a log's file is closed, and how many closed ones are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLimits {
    /// Once a file has so many bytes.
    pub rotate_bytes: u64,
    /// Once it is so old, and something is to be appended.
    pub rotate_age: Duration,
    /// How many closed files are kept, at least one.
    pub keep_files: usize,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self {
            rotate_bytes: 10 << 20,
            rotate_age: Duration::from_secs(7 * 24 * 3600),
            keep_files: 5,
        }
    }
}

/// The logs of all components. Closed by [`close`](Self::close) or when dropped.
#[derive(Debug)]
pub struct Logs {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What callers and the thread share.
struct Shared {
    files: Files,
    pending: Mutex<Pending>,
    /// Says that something waits, or should not wait longer.
    wake: Condvar,
    /// Held while lines go from memory to a file, so that they go in their order.
    writing: Mutex<()>,
    clock: Arc<dyn Clock>,
    health: Health,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Logs {
    /// Opens the folder, and compresses what a crash has left to compress.
    pub(crate) fn open(
        layout: &Layout,
        limits: LogLimits,
        flush_interval: Duration,
        clock: Arc<dyn Clock>,
        health: Health,
    ) -> std::result::Result<Self, OpenError> {
        let files = Files::open(layout, limits)?;
        let left = files.recover()?;
        let (pending, wake, writing) = Default::default();
        let shared = Arc::new(Shared { files, pending, wake, writing, clock, health });
        let worker = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("logs".to_owned())
            .spawn(move || worker.run(flush_interval, left))
            .map_err(|error| StoreError::Internal(format!("the thread of the logs: {error}")))?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Takes entries to be written soon.
    ///
    /// # Errors
    /// `validation_error` where an entry is too long; `unavailable` where too much waits already.
    pub fn append(&self, caller: &Caller, params: &AppendParams) -> Result<Accepted> {
        let id = caller.own(params.component_id.as_ref(), "component")?;
        let now = TimestampMs(self.shared.clock.now_ms());
        let mut lines = Vec::new();
        for (index, entry) in params.entries.iter().enumerate() {
            let line = line(entry, now)?;
            if line.len() > MAX_LINE_BYTES {
                let why = format!("is longer than {MAX_LINE_BYTES} bytes as JSON");
                return Err(ApiError::field(&format!("entries.{index}"), why).into());
            }
            lines.extend_from_slice(line.as_bytes());
        }
        if !lines.is_empty() {
            let mut pending = self.shared.pending();
            let was_empty = pending.is_empty();
            let urgent = pending.add(id, &lines)?;
            drop(pending);
            if was_empty || urgent {
                self.shared.wake.notify_all();
            }
        }
        Ok(Accepted::YES)
    }

    /// The last entries.
    ///
    /// # Errors
    /// Where the log can't be read.
    pub fn tail(&self, caller: &Caller, params: &TailParams) -> Result<LogTail> {
        let id = caller.own(params.component_id.as_ref(), "component")?;
        self.shared.flush_for_reader(id);
        let files = &self.shared.files;
        let set = files.set(id)?;
        let end = search::end_of(files, &set)?;
        let lines = usize::from(params.lines.unwrap_or_default().0);
        let filter = Filter::default();
        let found = search::search(files, &set, &filter, Direction::Descending, end, lines)?;
        let mut items = found.items;
        items.reverse();
        let position = query(id, &filter, Direction::Ascending, None).cursor(end)?;
        Ok(LogTail { items, position })
    }

    /// Searches a log.
    ///
    /// # Errors
    /// `validation_error` where the cursor is another query's; where the log can't be read.
    pub fn query(&self, caller: &Caller, params: &QueryParams) -> Result<LogPage> {
        let id = caller.own(params.component_id.as_ref(), "component")?;
        let direction = params.direction.unwrap_or(Direction::Descending);
        let filter = Filter::new(params);
        let query = query(id, &filter, direction, params.limit);
        let after: Option<Position> = query.after(params.cursor.as_ref())?;
        self.shared.flush_for_reader(id);
        let files = &self.shared.files;
        let set = files.set(id)?;
        let from = match (after, direction) {
            (Some(position), _) => position,
            (None, Direction::Ascending) => (0, 0),
            (None, Direction::Descending) => search::end_of(files, &set)?,
        };
        let found = search::search(files, &set, &filter, direction, from, query.limit())?;
        let Found { items, position, more } = found;
        let next_cursor = more.then(|| query.cursor(position)).transpose()?;
        let forth = direction == Direction::Ascending;
        let position = forth.then(|| query.cursor(position)).transpose()?;
        Ok(LogPage { items, next_cursor, position })
    }

    /// Closes the present file of a log and compresses it.
    ///
    /// # Errors
    /// Where it can't be closed.
    pub fn rotate(&self, caller: &Caller, params: &RotateParams) -> Result<LogRotated> {
        let id = caller.own(params.component_id.as_ref(), "component")?;
        self.shared.flush(id, &mut |closed| self.shared.files.pack(&closed))?;
        let closed = self.shared.files.close(id)?;
        if let Some(closed) = &closed {
            self.shared.files.pack(closed)?;
        }
        let files = self.shared.files.set(id)?.numbers().count() - 1;
        Ok(LogRotated { rotated: closed.is_some(), files: UnsignedInteger(files as u64) })
    }

    /// Writes what waits, to disk. Later appends are `unavailable`.
    pub fn close(&self) {
        self.shared.pending().closed = true;
        self.shared.wake.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of the logs has failed");
        }
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        self.close();
    }
}

/// The query that a cursor belongs to.
fn query(
    id: &ComponentId,
    filter: &Filter,
    direction: Direction,
    limit: Option<osnova_storage_api::wire::Limit>,
) -> Query {
    let [level, from, to, text] = filter.parts();
    let filter = [id.as_str(), &level, &from, &to, &text, direction.as_str()];
    Query::new("logs.query", &filter, limit)
}

/// An entry as a line.
fn line(entry: &LogInput, now: TimestampMs) -> Result<String> {
    let entry = LogEntry {
        timestamp_ms: entry.timestamp_ms.unwrap_or(now),
        level: entry.level,
        message: entry.message.clone(),
        fields: entry.fields.clone(),
    };
    let line = serde_json::to_string(&entry)
        .map_err(|error| StoreError::Internal(format!("a log entry: {error}")))?;
    // Between the tokens of a caller's JSON there may be line breaks; inside its texts there are none.
    Ok(line.replace(['\n', '\r'], " ") + "\n")
}

impl Shared {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what waits of a component; `closed` is told of a file that was closed by that.
    fn flush(&self, id: &ComponentId, closed: &mut dyn FnMut(Closed) -> Result<()>) -> Result<()> {
        let full = {
            let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(lines) = self.pending().take(id) else { return Ok(()) };
            match self.files.append(id, &lines, self.clock.now()) {
                Ok(full) => full,
                Err(error) => {
                    self.pending().put_back(id.clone(), lines);
                    return Err(error);
                }
            }
        };
        full.map_or(Ok(()), closed)
    }

    /// Writes what waits of a component before it is read. Where that fails what is on disk is read all
    /// the same: a log is most wanted when something is wrong. The thread tries again, and says so.
    fn flush_for_reader(&self, id: &ComponentId) {
        drop(self.flush(id, &mut |closed| self.files.pack(&closed)));
    }

    /// Writes and compresses until the store closes.
    fn run(&self, interval: Duration, mut to_pack: Vec<Closed>) {
        loop {
            let mut failed = None;
            to_pack.retain(|closed| match self.files.pack(closed) {
                Ok(()) => false,
                Err(error) => {
                    failed = Some(error);
                    true
                }
            });
            let (closing, waiting) = self.wait(interval);
            for id in waiting {
                let mut written = self.flush(&id, &mut |closed| {
                    to_pack.push(closed);
                    Ok(())
                });
                if closing && written.is_ok() {
                    written = self.files.sync(&id);
                }
                failed = written.err().or(failed);
            }
            self.note(failed.as_ref());
            if closing {
                return;
            }
        }
    }

    /// Notes in the status whether writing fails. Its cause is logged once, not at each try.
    fn note(&self, failed: Option<&StoreError>) {
        let Some(error) = failed else { return self.health.clear(Cause::LogsIo) };
        if !self.health.causes().iter().any(|(cause, _)| *cause == Cause::LogsIo) {
            tracing::warn!(%error, "writing the logs of components failed");
            self.health.note(Cause::LogsIo, "logs of components can't be written");
        }
    }

    /// Waits until something is to be written: for the interval from its coming, less where much has
    /// come or the store closes. Whether it closes, and who has something waiting.
    fn wait(&self, interval: Duration) -> (bool, Vec<ComponentId>) {
        let mut pending = self.pending();
        while pending.is_empty() && !pending.closed {
            pending = self.wake.wait(pending).unwrap_or_else(PoisonError::into_inner);
        }
        let until = Instant::now() + interval;
        while !pending.closed && !pending.is_pressing() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.wake.wait_timeout(pending, left);
            pending = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        (pending.closed, pending.waiting())
    }
}
