//! Has the search indices built anew, as a job, where they are stale: after a migration, and after one of
//! them broke. A build that fails is tried again after a while.

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde::Serialize;

use crate::caller::Caller;
use crate::db::Database;
use crate::db::search::rebuild;
use crate::error::{OpenError, Result, StoreError};
use crate::health::{Cause, Health};
use crate::jobs::{Jobs, Progress, answer};

/// The kind of the job.
const KIND: &str = "searchRebuild";
/// How long a slice waits where the writer takes no more.
const WAIT_FOR_ROOM: Duration = Duration::from_millis(50);
/// How long to wait after a build that failed; twice as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The thread that waits for an index to become stale.
pub(super) struct SearchKeeper {
    db: Arc<Database>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl SearchKeeper {
    pub(super) fn start(
        db: Arc<Database>,
        jobs: Arc<Jobs>,
        health: Health,
    ) -> std::result::Result<Self, OpenError> {
        let watched = Arc::clone(&db);
        let body = move || keep(&watched, &jobs, &health);
        let thread = thread::Builder::new().name("search-keeper".to_owned()).spawn(body);
        let thread = thread.map_err(|error| {
            OpenError::Store(StoreError::Internal(format!("no thread can be started: {error}")))
        })?;
        Ok(Self { db, thread: Mutex::new(Some(thread)) })
    }

    /// Begins no more builds; one that runs is a job, and ends as the jobs do.
    pub(super) fn stop(&self) {
        self.db.search_state().stop();
    }
}

impl Drop for SearchKeeper {
    fn drop(&mut self) {
        self.stop();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that keeps the search indices panicked");
        }
    }
}

fn keep(db: &Arc<Database>, jobs: &Jobs, health: &Health) {
    let state = db.search_state();
    let mut pause = FIRST_PAUSE;
    while state.wait() {
        if state.is_broken() {
            rebuild::note_stale(health);
        }
        if build_as_job(db, jobs, health) {
            pause = FIRST_PAUSE;
            continue;
        }
        state.want_build();
        if !state.pause(pause) {
            break;
        }
        rebuild::note_stale(health);
        pause = LONGEST_PAUSE.min(2 * pause);
    }
}

/// Builds the indices, and waits for the end of it; whether they were built.
fn build_as_job(db: &Arc<Database>, jobs: &Jobs, health: &Health) -> bool {
    let (ended, outcome) = mpsc::sync_channel(1);
    let (db, health) = (Arc::clone(db), health.clone());
    let begun = jobs.start(KIND, &Caller::Owner, "records", move |progress| {
        let built = build(&db, progress);
        if built.is_ok() {
            health.clear(Cause::SearchStale);
        }
        // The receiver below waits for as long as the job lives.
        let _ = ended.send(built.is_ok());
        answer(&built?)
    });
    match begun {
        // A job that panics has dropped its sender.
        Ok(_) => outcome.recv().unwrap_or(false),
        Err(error) => {
            tracing::debug!(%error, "the search index could not be begun to be built");
            false
        }
    }
}

/// What a build came to.
#[derive(Serialize)]
struct Built {
    records: u64,
}

fn build(db: &Database, progress: &Progress) -> Result<Built> {
    let records = rebuild::count(db)?;
    progress.set_total(records);
    let go_on = |done: u64| {
        progress.advance(done);
        progress.check()
    };
    rebuild::build(db, &go_on, &|| progress.pause(WAIT_FOR_ROOM))?;
    Ok(Built { records })
}
