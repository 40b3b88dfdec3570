//! The database as a file: how large it is, kept small and whole, and looked into by its owner.
//!
//! What takes long is a job ([`crate::jobs`]); what changes the file goes through the writer in small
//! steps, each a write among the others, so that calls go on meanwhile.

mod analyze;
mod check;
mod forbidden;
mod keeper;
mod query;
mod search;
mod stats;
mod vacuum;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use osnova_storage_api::jobs::Job;
use osnova_storage_api::maintenance::{
    CheckMode, CheckParams, CheckpointOutcome, DatabaseStats, NoParams, QueryParams, QueryResult,
};
use osnova_storage_api::wire::UnsignedInteger;

use crate::background::Background;
use crate::caller::Caller;
use crate::db::Database;
use crate::error::{OpenError, Result};
use crate::health::Health;
use crate::jobs::{Jobs, answer};

/// How long a checkpoint that was asked for waits for readers.
const CHECKPOINT_WAIT: Duration = Duration::from_secs(2);

/// When the daemon vacuums by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaintenanceOptions {
    /// Where this share of the pages is free, in percent, and nobody writes; `None`: not for that.
    pub free_percent: Option<u8>,
    /// But not for so few pages.
    pub least_free_pages: u64,
    /// For how long nobody must have written.
    pub idle: Duration,
    /// Whatever is free, once in this time, counted from the start; `None`: not for that.
    pub interval: Option<Duration>,
}

impl Default for MaintenanceOptions {
    fn default() -> Self {
        Self {
            free_percent: Some(20),
            least_free_pages: 1000,
            idle: Duration::from_secs(5),
            interval: None,
        }
    }
}

/// The maintenance of a store's database.
pub struct Maintenance {
    db: Arc<Database>,
    jobs: Arc<Jobs>,
    health: Health,
    /// Queries that run.
    queries: AtomicUsize,
    keeper: Background,
    search: search::SearchKeeper,
}

impl Maintenance {
    /// Begins to look after the database.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub(crate) fn start(
        db: &Arc<Database>,
        jobs: &Arc<Jobs>,
        health: Health,
        options: MaintenanceOptions,
    ) -> std::result::Result<Self, OpenError> {
        let search = search::SearchKeeper::start(Arc::clone(db), Arc::clone(jobs), health.clone())?;
        Ok(Self {
            db: Arc::clone(db),
            jobs: Arc::clone(jobs),
            search,
            health,
            queries: AtomicUsize::new(0),
            keeper: keeper::start(Arc::clone(db), Arc::clone(jobs), options)?,
        })
    }

    /// How large the database is, table by table, and how busy.
    ///
    /// # Errors
    /// Where it can't be read.
    pub fn stats(&self, _caller: &Caller, _params: &NoParams) -> Result<DatabaseStats> {
        stats::stats(&self.db, &self.jobs)
    }

    /// Copies the WAL into the database and empties it.
    ///
    /// # Errors
    /// Where it can't be written.
    pub fn checkpoint(&self, _caller: &Caller, _params: &NoParams) -> Result<CheckpointOutcome> {
        let before = self.db.wal_file_bytes();
        let complete = self.db.checkpoint(CHECKPOINT_WAIT)?;
        Ok(CheckpointOutcome {
            wal_bytes_before: UnsignedInteger(before),
            wal_bytes_after: UnsignedInteger(self.db.wal_file_bytes()),
            complete,
        })
    }

    /// Begins to give free pages back to the disk.
    ///
    /// # Errors
    /// As [`Jobs::start`].
    pub fn vacuum(&self, caller: &Caller, _params: &NoParams) -> Result<Job> {
        vacuum::start(&self.db, &self.jobs, caller)
    }

    /// Begins to look at samples of every table.
    ///
    /// # Errors
    /// As [`Jobs::start`].
    pub fn analyze(&self, caller: &Caller, _params: &NoParams) -> Result<Job> {
        let db = Arc::clone(&self.db);
        let body = move |progress: &_| answer(&analyze::run(&db, progress)?);
        self.jobs.start("analyze", caller, "tables", body)
    }

    /// Begins to check whether the database is whole.
    ///
    /// # Errors
    /// As [`Jobs::start`].
    pub fn integrity_check(&self, caller: &Caller, params: &CheckParams) -> Result<Job> {
        let (db, health) = (Arc::clone(&self.db), self.health.clone());
        let mode = params.mode.unwrap_or(CheckMode::Quick);
        let body = move |progress: &_| answer(&check::run(&db, &health, progress, mode)?);
        self.jobs.start("integrityCheck", caller, "steps", body)
    }

    /// Asks the database in SQL, to read only.
    ///
    /// # Errors
    /// `validation_error` where the statement is none that is permitted, or fails, or takes too long;
    /// `unavailable` where too many run.
    pub fn query(&self, _caller: &Caller, params: &QueryParams) -> Result<QueryResult> {
        query::query(&self.db, &self.queries, params)
    }

    /// Begins nothing more by itself.
    pub(crate) fn close(&self) {
        self.search.stop();
        self.keeper.stop();
    }
}
