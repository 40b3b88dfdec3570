//! The one thread that writes: many calls, one transaction, one sync.
//!
//! It takes all that waits, runs each call in a savepoint of one transaction, commits, and only then
//! answers (group commit). One failing call undoes only itself. But SQLITE_FULL, IOERR and NOMEM may
//! end the whole transaction under a savepoint; nobody has been answered by then, so the group is
//! rolled back and each call is run again in a transaction of its own, and only the one that can't is
//! refused.
//!
//! A COMMIT that fails at its sync or after it is different: SQLite writes the commit's frames before
//! it syncs them and enters them in the WAL's index, so a commit reported as failed may be there after
//! a crash. All of the group are told that the outcome is unknown, and a checkpoint that truncates the
//! WAL must succeed before the next commit: it replaces whatever the kernel failed to write.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use osnova_storage_api::ApiError;
use rusqlite::{Connection, ErrorCode, ffi};

use super::checkpoint::WalWatch;
use super::deferred::{Deferred, Pending};
use super::queue::{Job, Queue};
use super::recent::Recent;
use super::recorder::Recorder;
use super::search::{self, Notes};
use super::tx::{Environment, Tx};
use super::{feed, meta, requests};
use crate::error::{Result, StoreError};
use crate::health::{Cause, Health};

/// A group that has run for this long is committed; the rest of it waits for the next.
const GROUP_TIME: Duration = Duration::from_millis(20);

/// The writer's thread, before and while it runs.
pub(crate) struct Writer {
    pub(crate) connection: Connection,
    pub(crate) queue: Arc<Queue>,
    pub(crate) deferred: Arc<Deferred>,
    pub(crate) environment: Arc<Environment>,
    pub(crate) health: Health,
    pub(crate) wal: Arc<WalWatch>,
    pub(crate) recorder: Recorder,
    pub(crate) recent: Arc<Recent>,
    pub(crate) feed_pruner: feed::Pruner,
    pub(crate) request_pruner: requests::Pruner,
    /// Which records the transaction changed whose words are not indexed yet.
    pub(crate) search_notes: Notes,
    /// The WAL may hold a commit of unknown outcome: it must be truncated before the next one.
    pub(crate) unsettled: Arc<AtomicBool>,
}

/// Whether what was deferred is in the group that was committed.
struct Flushed(bool);

/// Ends the queue with the writer, however that ends.
struct AbandonOnDrop(Arc<Queue>);

impl Drop for AbandonOnDrop {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// Why a group's transaction did not commit.
enum GroupFailure {
    /// It could not begin: another program holds the database's lock.
    NotBegun,
    /// It was rolled back, whole.
    RolledBack,
    /// It may be durable all the same.
    OutcomeUnknown,
}

impl Writer {
    /// Runs until the queue is closed and empty; then flushes, checkpoints, and ends.
    pub(crate) fn run(mut self) {
        // Should this thread ever panic, callers must not wait for it for ever.
        let _abandon = AbandonOnDrop(Arc::clone(&self.queue));
        while let Some(group) = self.queue.next_group() {
            self.commit_group(group);
            self.wal.after_commit(&self.connection, &self.health);
        }
        self.commit_group(Vec::new());
        if let Err(error) = self.wal.truncate(&self.connection) {
            tracing::warn!(%error, "the last checkpoint failed; the next start recovers from the WAL");
        }
    }

    /// Commits a group and answers its callers.
    fn commit_group(&mut self, mut group: Vec<Job>) {
        if let Err(error) = self.settle() {
            tracing::error!(%error, "the WAL can't be truncated after a commit of unknown outcome");
            self.queue.finished(group.len());
            for mut job in group {
                job.refuse(not_settled(&error));
                job.finish();
            }
            if !self.deferred.is_empty() {
                self.retry_deferred();
            }
            return;
        }
        let first_seq = self.recorder.next();
        let flushed = match self.try_group(&mut group) {
            Ok(Flushed(flushed)) => {
                self.publish();
                flushed
            }
            Err(GroupFailure::OutcomeUnknown) => {
                self.outcome_unknown();
                self.recorder.discard();
                group.iter_mut().for_each(|job| job.refuse(StoreError::OutcomeUnknown));
                false
            }
            Err(GroupFailure::NotBegun) => {
                group.iter_mut().for_each(|job| job.refuse(not_begun()));
                false
            }
            Err(GroupFailure::RolledBack) => {
                self.recorder.rewind(first_seq);
                group.iter_mut().for_each(|job| self.run_alone(job));
                false
            }
        };
        self.note_outcome(&group, flushed);
        self.queue.finished(group.len());
        group.into_iter().for_each(Job::finish);
    }

    /// Notes in the health how a group went. A group that some of went through and none of met
    /// trouble says that the trouble is over; so does one that `flushed` something deferred.
    fn note_outcome(&self, group: &[Job], flushed: bool) {
        let mut trouble = false;
        for error in group.iter().filter_map(Job::error) {
            trouble |= self.note(error);
        }
        if !trouble && (flushed || group.iter().any(|job| job.error().is_none())) {
            self.health.clear(Cause::DatabaseFull);
            self.health.clear(Cause::DatabaseIo);
        }
    }

    /// Runs the group in one transaction. Jobs over the time bound go back to the queue. Says whether
    /// anything deferred was written with it.
    fn try_group(&mut self, group: &mut Vec<Job>) -> std::result::Result<Flushed, GroupFailure> {
        let pending = self.deferred.take();
        let was_pending = pending.is_some();
        let outcome = self.run_group(group, pending.as_ref());
        if !matches!(outcome, Ok(Flushed(true)))
            && let Some(pending) = pending
        {
            self.deferred.put_back(pending);
            self.retry_deferred();
        }
        outcome.map(|Flushed(flushed)| Flushed(flushed && was_pending))
    }

    /// Has what is deferred tried again after its interval.
    fn retry_deferred(&self) {
        // While closing there is no later group, and what could not be written is lost.
        if self.queue.deferred_is_pending().is_err() {
            tracing::error!("deferred writes could not be flushed and are dropped");
        }
    }

    fn run_group(
        &mut self,
        group: &mut Vec<Job>,
        pending: Option<&Pending>,
    ) -> std::result::Result<Flushed, GroupFailure> {
        let started = Instant::now();
        let first_seq = self.recorder.next();
        let now = self.environment.clock.now();
        self.search_notes.take();
        self.execute("BEGIN IMMEDIATE").map_err(|error| match error.sqlite_error_code() {
            // Another program holds the lock, and was waited for; to try each call alone would wait
            // as long for every one of them.
            Some(ErrorCode::DatabaseBusy) => GroupFailure::NotBegun,
            _ => self.roll_back(),
        })?;
        let flushed = match pending {
            None => true,
            Some(pending) => self.in_savepoint(now, |tx| {
                pending.flush(tx).inspect_err(|error| self.note_flush(error)).is_ok()
            })?,
        };
        for index in 0..group.len() {
            if started.elapsed() > GROUP_TIME && index > 0 {
                self.queue.put_back(group.split_off(index));
                break;
            }
            let job = &mut group[index];
            self.in_savepoint(now, |tx| job.run(tx))?;
        }
        self.write_search().map_err(|_| self.roll_back())?;
        self.feed_pruner
            .prune(&self.connection, self.recorder.next() - first_seq)
            .map_err(|_| self.roll_back())?;
        self.request_pruner
            .prune(&self.connection, now, group.len())
            .map_err(|_| self.roll_back())?;
        self.commit()?;
        Ok(Flushed(flushed))
    }

    /// Runs an operation in a savepoint; undoes it where it fails. An error where the transaction
    /// itself was ended under it.
    fn in_savepoint(
        &self,
        now: i64,
        operation: impl FnOnce(&Tx<'_>) -> bool,
    ) -> std::result::Result<bool, GroupFailure> {
        let seq = self.recorder.next();
        let notes = self.search_notes.count();
        self.execute("SAVEPOINT call").map_err(|_| self.roll_back())?;
        let succeeded = operation(&self.tx(now));
        // SQLITE_FULL, IOERR and NOMEM may have ended the transaction, the released savepoints of
        // earlier calls included; "ROLLBACK TO" would then say "no such savepoint".
        if self.connection.is_autocommit() {
            return Err(GroupFailure::RolledBack);
        }
        if !succeeded {
            self.recorder.rewind(seq);
            self.search_notes.truncate(notes);
            self.execute("ROLLBACK TO call").map_err(|_| self.roll_back())?;
        }
        self.execute("RELEASE call").map_err(|_| self.roll_back())?;
        Ok(succeeded)
    }

    fn tx(&self, now: i64) -> Tx<'_> {
        Tx::new(&self.connection, &self.recorder, &self.environment, &self.search_notes, now)
    }

    /// Indexes the words of the records that the transaction changed: once, before its COMMIT.
    ///
    /// An index that can't be written is left as it was, marked as stale and built anew later; the records
    /// are stored all the same. An error only where the transaction must be rolled back.
    fn write_search(&self) -> rusqlite::Result<()> {
        let notes = self.search_notes.take();
        if notes.is_empty() {
            return Ok(());
        }
        if self.environment.search.is_broken() {
            // It is made anew from all records; until then the mark must not be missing.
            return meta::mark_search_stale(&self.connection);
        }
        self.execute("SAVEPOINT search")?;
        let written = notes
            .iter()
            .try_for_each(|(what, key)| {
                search::index::write(&self.connection, *what, key).map(|_| ())
            })
            .and_then(|()| search::index::flush(&self.connection));
        let Err(error) = written else { return self.execute("RELEASE search") };
        if error.sqlite_error_code() == Some(ErrorCode::DiskFull) {
            // Nothing is wrong with the index, and the records would find no space either.
            return Err(error);
        }
        tracing::error!(%error, "the search index can't be written");
        search::rebuild::note_stale(&self.health);
        self.environment.search.report_broken();
        if self.connection.is_autocommit() {
            return Err(error);
        }
        self.execute("ROLLBACK TO search")?;
        self.execute("RELEASE search")?;
        meta::mark_search_stale(&self.connection)
    }

    fn commit(&self) -> std::result::Result<(), GroupFailure> {
        match self.execute("COMMIT") {
            Ok(()) => Ok(()),
            Err(error) if may_be_durable(&error) => {
                tracing::error!(%error, "a commit failed at its sync or after it");
                self.roll_back();
                Err(GroupFailure::OutcomeUnknown)
            }
            Err(_) => Err(self.roll_back()),
        }
    }

    /// Runs a call in a transaction of its own, after its group's was rolled back.
    fn run_alone(&mut self, job: &mut Job) {
        let seq = self.recorder.next();
        let outcome = match self.settle() {
            Ok(()) => self.try_alone(job),
            Err(error) => Err(not_settled(&error)),
        };
        match outcome {
            Ok(true) => self.publish(),
            // The operation's own error is its result.
            Ok(false) => self.recorder.rewind(seq),
            Err(error) => {
                self.recorder.rewind(seq);
                job.refuse(error);
            }
        }
    }

    /// Whether the call was committed; false where its operation failed and was rolled back.
    fn try_alone(&mut self, job: &mut Job) -> Result<bool> {
        self.search_notes.take();
        self.execute("BEGIN IMMEDIATE")?;
        let tx = self.tx(self.environment.clock.now());
        if !job.run(&tx) {
            self.roll_back();
            return Ok(false);
        }
        let index_was_broken = self.environment.search.is_broken();
        if let Err(error) = self.write_search() {
            self.roll_back();
            if !index_was_broken && self.environment.search.is_broken() {
                // The index took the transaction along; it is left alone now.
                return self.try_alone(job);
            }
            return Err(error.into());
        }
        match self.execute("COMMIT") {
            Ok(()) => Ok(true),
            Err(error) if may_be_durable(&error) => {
                tracing::error!(%error, "a commit failed at its sync or after it");
                self.roll_back();
                self.outcome_unknown();
                Err(StoreError::OutcomeUnknown)
            }
            Err(error) => {
                self.roll_back();
                Err(error.into())
            }
        }
    }

    /// Tells those who follow the feed of what was committed, before whoever wrote it is answered: a
    /// revision that is known to anyone is a position that may be asked for.
    fn publish(&self) {
        if let Some(committed) = self.recorder.take() {
            self.recent.publish(committed);
        }
    }

    /// Callers hear of it only after this: whoever then asks finds the WAL unsettled.
    fn outcome_unknown(&self) {
        self.unsettled.store(true, Ordering::Release);
        self.health.note(Cause::DatabaseIo, "a commit could not be finished");
    }

    /// After a commit of unknown outcome: replaces what the kernel may have failed to write, and drops
    /// what nobody was told is there, before anything more is committed.
    fn settle(&self) -> Result<()> {
        if self.unsettled.load(Ordering::Acquire) {
            self.wal.truncate(&self.connection)?;
            self.unsettled.store(false, Ordering::Release);
        }
        Ok(())
    }

    /// Ends the transaction, where SQLite has not done so itself.
    fn roll_back(&self) -> GroupFailure {
        if !self.connection.is_autocommit()
            && let Err(error) = self.execute("ROLLBACK")
        {
            tracing::error!(%error, "a transaction could not be rolled back");
        }
        GroupFailure::RolledBack
    }

    /// Notes what an error says of the database; true where it says anything.
    fn note(&self, error: &StoreError) -> bool {
        let cause = match error {
            StoreError::Database(cause) => cause,
            // Noted where it happened.
            StoreError::OutcomeUnknown => return true,
            _ => return false,
        };
        let (cause, message) = match cause.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => {
                (Cause::DatabaseFull, "the database can't grow: the disk is full")
            }
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::ReadOnly) => {
                (Cause::DatabaseIo, "writing the database failed")
            }
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                (Cause::DatabaseDamaged, "the database is damaged")
            }
            _ => return false,
        };
        self.health.note(cause, message);
        true
    }

    fn note_flush(&self, error: &StoreError) {
        tracing::warn!(%error, "deferred writes could not be flushed; they are kept");
        self.note(error);
    }

    fn execute(&self, sql: &'static str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute([])?;
        Ok(())
    }
}

/// Whether a COMMIT that failed may be durable all the same. SQLite writes its frames, syncs them, and
/// then enters them in the WAL's index, which may fail for want of space or memory (`walFrames` in its
/// source). Certain is only what fails before the last frame stands: a write, to a disk that is full or
/// that fails.
fn may_be_durable(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => match failure.code {
            ErrorCode::SystemIoFailure => failure.extended_code != ffi::SQLITE_IOERR_WRITE,
            ErrorCode::OutOfMemory => true,
            _ => false,
        },
        _ => false,
    }
}

/// What callers are told whose calls are not begun because the WAL is not settled.
fn not_begun() -> StoreError {
    StoreError::Refused(ApiError::unavailable("another program writes to the database", 1000))
}

fn not_settled(why: &StoreError) -> StoreError {
    let what = "emptying the log of the database".to_owned();
    if why.is_disk_full() {
        return StoreError::DiskFull(what);
    }
    StoreError::Io { what, source: std::io::Error::other(why.to_string()) }
}
