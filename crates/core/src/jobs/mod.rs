//! Long work beside the calls: each job has a thread, a row that says how it began and how it ended, and
//! its progress in memory.
//!
//! A few run at once, of each kind one. A job ends by itself, by being cancelled, or with the store:
//! what a stop interrupts is failed, and so is what a crash left running, at the next start.
//!
//! What a body does is not known here; it is handed a [`Progress`] and answers JSON.

mod progress;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use osnova_storage_api::jobs::{Job, JobError, JobPage, JobParams, JobState, ListParams};
use osnova_storage_api::wire::{JsonText, Name, Timestamp};
use osnova_storage_api::{ApiError, ErrorCode};

pub use progress::Progress;
use serde::Serialize;

use crate::caller::Caller;
use crate::clock::Clock;
use crate::db::{Database, jobs as table};
use crate::error::{OpenError, Result, StoreError};
use crate::health::Health;

/// How many jobs run at once: each reads or writes as fast as the disk goes.
pub const MAX_RUNNING: usize = 4;
/// When a job that was refused may be asked for again.
const RETRY_AFTER_MS: u64 = 1000;
/// About how many bytes the row of a job takes in the database, beside its result.
const ROW_WEIGHT: usize = 1024;

/// The jobs of a store.
pub struct Jobs {
    shared: Arc<Shared>,
    /// Held while a job is begun or cancelled, so that one is never between its row and its place here.
    beginning: Mutex<()>,
}

struct Shared {
    db: Arc<Database>,
    clock: Arc<dyn Clock>,
    health: Health,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    closed: bool,
    running: Vec<Progress>,
    /// Jobs that ended while the database could not be written; it still says that they run.
    unwritten: Vec<Job>,
    threads: Vec<JoinHandle<()>>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Jobs {
    /// The jobs of a store that opens. Those that the last run left running are failed.
    ///
    /// # Errors
    /// Where the database can't be read.
    pub(crate) fn open(
        db: Arc<Database>,
        clock: Arc<dyn Clock>,
        health: Health,
    ) -> std::result::Result<Self, OpenError> {
        let finished_at = Some(Timestamp(clock.now()));
        let interrupted =
            |job| Job { state: JobState::Failed, error: Some(interrupted()), finished_at, ..job };
        let left = db.read(table::running)?;
        if !left.is_empty() {
            tracing::info!(jobs = left.len(), "jobs were interrupted by a stop");
        }
        let unwritten = left.into_iter().map(interrupted).collect();
        let state = Mutex::new(State { unwritten, ..State::default() });
        let shared = Arc::new(Shared { db, clock, health, state });
        let this = Self { shared, beginning: Mutex::default() };
        // A disk that is full is no reason not to open; it is written down before the next job begins.
        if let Err(error) = this.write_unwritten() {
            tracing::warn!(%error, "how jobs ended could not be written down");
        }
        Ok(this)
    }

    /// Begins a job, and answers it as it begins; where one of its kind runs, that one as it is. `unit` is
    /// what its progress counts. The body runs on a thread of its own; what it answers is the job's
    /// result, of at most 1 MiB.
    ///
    /// # Errors
    /// `unavailable` where too many run, where one of the kind runs that is another's, or where the store
    /// closes; what writing its row meets.
    pub fn start(
        &self,
        kind: &'static str,
        caller: &Caller,
        unit: &'static str,
        body: impl FnOnce(&Progress) -> Result<JsonText> + Send + 'static,
    ) -> Result<Job> {
        let kind: Name = kind.parse().map_err(StoreError::Internal)?;
        let _beginning = self.beginning.lock().unwrap_or_else(PoisonError::into_inner);
        self.write_unwritten()?;
        {
            let state = self.shared.lock();
            if state.closed {
                return Err(unavailable("the daemon is stopping"));
            }
            // Whoever has seen the end of one and begins the next must not be given the one that has ended:
            // its thread may still be on its way out.
            let of_kind = state.running.iter().map(Progress::job).filter(|job| job.kind == kind);
            let of_kind = self.shared.db.read(|reader| table::still_running(reader, of_kind))?;
            if let Some(job) = of_kind {
                return match caller.sees(job.component_id.as_ref()) {
                    true => Ok(job),
                    false => Err(unavailable("another job of this kind runs")),
                };
            }
            if state.running.len() >= MAX_RUNNING {
                return Err(unavailable("too many jobs run"));
            }
        }
        let by = caller.clone();
        let job = self.shared.db.write(ROW_WEIGHT, move |tx| table::begin(tx, &by, &kind, unit))?;
        let progress = Progress::new(job.clone(), &self.shared.db);
        self.shared.lock().running.push(progress.clone());
        let shared = Arc::clone(&self.shared);
        let spawned = thread::Builder::new()
            .name(format!("job-{}", job.job_id))
            .spawn({
                let progress = progress.clone();
                move || shared.run(&progress, body)
            })
            .map_err(|error| StoreError::Internal(format!("no thread can be started: {error}")));
        match spawned {
            Ok(thread) => {
                let mut state = self.shared.lock();
                state.threads.retain(|thread| !thread.is_finished());
                state.threads.push(thread);
                Ok(job)
            }
            Err(error) => {
                self.shared.finish(&progress, Err(&error));
                Err(error)
            }
        }
    }

    /// Reads one job, as it is now.
    ///
    /// # Errors
    /// `not_found` where it is absent, or another's.
    pub fn get(&self, caller: &Caller, params: &JobParams) -> Result<Job> {
        // Memory first: a job that ends meanwhile is then taken from the table.
        let known = self.in_memory();
        let job = self.shared.db.read(|reader| table::get(reader, caller, &params.job_id))?;
        Ok(as_it_is(&known, job))
    }

    /// A page of jobs, the newest first.
    ///
    /// # Errors
    /// `validation_error` where the cursor is another list's.
    pub fn list(&self, caller: &Caller, params: &ListParams) -> Result<JobPage> {
        let known = self.in_memory();
        self.shared
            .db
            .read(|reader| table::list(reader, caller, params, |job| as_it_is(&known, job)))
    }

    /// Has a job stop, and answers it as it is; it may still run for a moment.
    ///
    /// # Errors
    /// `not_found` where it is absent, or another's.
    pub fn cancel(&self, caller: &Caller, params: &JobParams) -> Result<Job> {
        let _beginning = self.beginning.lock().unwrap_or_else(PoisonError::into_inner);
        let job = self.get(caller, params)?;
        let state = self.shared.lock();
        if let Some(progress) =
            state.running.iter().find(|progress| progress.job().job_id == job.job_id)
        {
            progress.cancel();
        }
        drop(state);
        Ok(job)
    }

    /// How many jobs run.
    pub fn running(&self) -> usize {
        self.shared.lock().running.len()
    }

    /// Cancels the jobs that run, waits for them, and takes no more.
    pub(crate) fn close(&self) {
        let beginning = self.beginning.lock().unwrap_or_else(PoisonError::into_inner);
        let threads = {
            let mut state = self.shared.lock();
            state.closed = true;
            state.running.iter().for_each(Progress::cancel);
            std::mem::take(&mut state.threads)
        };
        drop(beginning);
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("the thread of a job panicked");
            }
        }
        if let Err(error) = self.write_unwritten() {
            tracing::warn!(%error, "how jobs ended could not be written down");
        }
    }

    /// What memory knows of jobs that the table says are running.
    fn in_memory(&self) -> Vec<Job> {
        let state = self.shared.lock();
        let running = state.running.iter().map(Progress::job);
        running.chain(state.unwritten.iter().cloned()).collect()
    }

    /// Writes down how jobs ended that could not be written before.
    fn write_unwritten(&self) -> Result<()> {
        let unwritten = self.shared.lock().unwritten.clone();
        for job in unwritten {
            let ended = job.clone();
            self.shared.db.write(ROW_WEIGHT, move |tx| table::finish(tx, &ended))?;
            self.shared.lock().unwritten.retain(|known| known.job_id != job.job_id);
        }
        Ok(())
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn run(&self, progress: &Progress, body: impl FnOnce(&Progress) -> Result<JsonText>) {
        let outcome = catch_unwind(AssertUnwindSafe(|| body(progress)))
            .unwrap_or_else(|_| Err(StoreError::Internal("the job panicked".to_owned())));
        self.finish(progress, outcome.as_ref());
    }

    /// Writes down how a job ended; then it is no longer among those that run.
    fn finish(&self, progress: &Progress, outcome: std::result::Result<&JsonText, &StoreError>) {
        let closed = self.lock().closed;
        let mut job = progress.job();
        job.finished_at = Some(Timestamp(self.clock.now()));
        match outcome {
            Ok(result) => {
                job.state = JobState::Done;
                job.result = Some(result.clone());
            }
            Err(StoreError::Cancelled) if closed => {
                job.state = JobState::Failed;
                job.error = Some(interrupted());
            }
            Err(StoreError::Cancelled) => job.state = JobState::Cancelled,
            Err(error) => {
                crate::db::note_read_error(&self.health, error);
                tracing::warn!(job = %job.job_id, %error, "a job failed");
                let told = error.to_api();
                job.state = JobState::Failed;
                job.error =
                    Some(JobError { code: told.code().name().to_owned(), message: told.message });
            }
        }
        let ended = job.clone();
        let weight = ROW_WEIGHT + job.result.as_ref().map_or(0, |result| result.get().len());
        let written = self.db.write(weight, move |tx| table::finish(tx, &ended));
        let mut state = self.lock();
        if let Err(error) = written {
            tracing::warn!(job = %job.job_id, %error, "how a job ended could not be written down");
            state.unwritten.push(job.clone());
        }
        state.running.retain(|running| running.job().job_id != job.job_id);
    }
}

/// The job as memory knows it, where the table knows no more than that it runs.
fn as_it_is(known: &[Job], job: Job) -> Job {
    if job.state != JobState::Running {
        return job;
    }
    known.iter().find(|known| known.job_id == job.job_id).cloned().unwrap_or(job)
}

/// What a body answers as its job's result.
///
/// # Errors
/// Where it is too large.
pub(crate) fn answer<T: Serialize>(result: &T) -> Result<JsonText> {
    JsonText::from_serialize(result)
        .map_err(|why| StoreError::Internal(format!("a job's result {why}")))
}

/// What is said of a job that did not end by itself.
fn interrupted() -> JobError {
    JobError {
        code: ErrorCode::Unavailable.name().to_owned(),
        message: "interrupted by a stop".to_owned(),
    }
}

fn unavailable(why: &str) -> StoreError {
    ApiError::unavailable(why, RETRY_AFTER_MS).into()
}
