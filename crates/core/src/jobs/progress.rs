//! How far a job is: handed to the job's body, which reports, and asks whether it shall stop.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use osnova_storage_api::jobs::Job;
use osnova_storage_api::wire::UnsignedInteger;

use crate::db::{self, Database, jobs as table};
use crate::error::{Result, StoreError};

/// The change feed hears of progress once in this time at most: a person sees no more, and each time
/// is a row.
const REPORT_INTERVAL: Duration = Duration::from_millis(200);
/// About how many bytes a row of the feed takes.
const REPORT_WEIGHT: usize = 128;
/// Stands for a total that nobody knows.
const UNKNOWN: u64 = u64::MAX;

/// The progress of a running job. Clones are of the same job.
#[derive(Clone)]
pub struct Progress(Arc<State>);

struct State {
    /// The job as it was when it began.
    begun: Job,
    db: Weak<Database>,
    done: AtomicU64,
    total: AtomicU64,
    cancelled: AtomicBool,
    reported: Mutex<Instant>,
    /// Wakes a body that pauses, when it is cancelled.
    wake: Condvar,
    pausing: Mutex<()>,
}

impl Progress {
    pub(super) fn new(begun: Job, db: &Arc<Database>) -> Self {
        Self(Arc::new(State {
            begun,
            db: Arc::downgrade(db),
            done: AtomicU64::new(0),
            total: AtomicU64::new(UNKNOWN),
            cancelled: AtomicBool::new(false),
            reported: Mutex::new(Instant::now()),
            wake: Condvar::new(),
            pausing: Mutex::new(()),
        }))
    }

    /// So many more units are done.
    pub fn advance(&self, units: u64) {
        self.0.done.fetch_add(units, Ordering::Relaxed);
        self.report();
    }

    /// So many units there are in all.
    pub fn set_total(&self, units: u64) {
        self.0.total.store(units, Ordering::Relaxed);
        self.report();
    }

    /// Whether the job shall stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Acquire)
    }

    /// A place where the job can stop.
    ///
    /// # Errors
    /// [`StoreError::Cancelled`] where it shall; the body hands it on.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(StoreError::Cancelled) } else { Ok(()) }
    }

    /// Waits, but no longer than until the job is cancelled.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn pause(&self, time: Duration) -> Result<()> {
        let pausing = self.0.pausing.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.0.wake.wait_timeout_while(pausing, time, |()| !self.is_cancelled()));
        self.check()
    }

    pub(super) fn cancel(&self) {
        // Under the lock, so that a body can't miss it between its look and its wait.
        let _pausing = self.0.pausing.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.cancelled.store(true, Ordering::Release);
        self.0.wake.notify_all();
    }

    /// The job as it is now.
    pub(super) fn job(&self) -> Job {
        let total = self.0.total.load(Ordering::Relaxed);
        Job {
            done: UnsignedInteger(self.0.done.load(Ordering::Relaxed)),
            total: Some(total).filter(|total| *total != UNKNOWN).map(UnsignedInteger),
            ..self.0.begun.clone()
        }
    }

    /// Tells the feed, where it is time. Nobody waits for that: where the writer takes nothing, the next
    /// report says as much.
    fn report(&self) {
        let mut reported = self.0.reported.lock().unwrap_or_else(PoisonError::into_inner);
        if reported.elapsed() < REPORT_INTERVAL {
            return;
        }
        *reported = Instant::now();
        drop(reported);
        let Some(db) = self.0.db.upgrade() else { return };
        let (id, component) = (self.0.begun.job_id.clone(), self.0.begun.component_id.clone());
        let tell = move |tx: &db::Tx<'_>| {
            table::changed(tx, component.as_ref().map(|id| id.as_str()), &id)
        };
        let _ = db.submit(vec![db::Job::new(REPORT_WEIGHT, tell, |_| {})]);
    }
}
