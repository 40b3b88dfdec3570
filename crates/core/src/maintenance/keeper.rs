//! Vacuums by itself: where much is free and nobody writes, and once in a while where that is asked for.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::MaintenanceOptions;
use super::vacuum::{self, Pages};
use crate::caller::Caller;
use crate::db::Database;
use crate::error::{OpenError, Result, StoreError};
use crate::jobs::Jobs;

/// It begins a vacuum for free pages no more often than this: one that fails is no reason to try again
/// at once.
const REST: Duration = Duration::from_secs(600);

/// The thread that looks.
pub(super) struct Keeper {
    stopped: Arc<(Mutex<bool>, Condvar)>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Keeper {
    pub(super) fn start(
        db: Arc<Database>,
        jobs: Arc<Jobs>,
        options: MaintenanceOptions,
    ) -> std::result::Result<Self, OpenError> {
        let stopped = Arc::new((Mutex::new(false), Condvar::new()));
        let watched = Arc::clone(&stopped);
        let look = Look { db, jobs, options, seen: None, vacuumed: None, last: Instant::now() };
        let needed = options.free_percent.is_some() || options.interval.is_some();
        let thread = needed
            .then(|| {
                let body = move || look.run(&watched);
                thread::Builder::new().name("maintenance".to_owned()).spawn(body)
            })
            .transpose()
            .map_err(|error| {
                OpenError::Store(StoreError::Internal(format!("no thread can be started: {error}")))
            })?;
        Ok(Self { stopped, thread: Mutex::new(thread) })
    }

    /// Ends it, and waits for that.
    pub(super) fn stop(&self) {
        *self.stopped.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stopped.1.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of the maintenance panicked");
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What it looks at, and what it saw.
struct Look {
    db: Arc<Database>,
    jobs: Arc<Jobs>,
    options: MaintenanceOptions,
    /// How many writes there had been at the last look, where none was under way.
    seen: Option<u64>,
    /// When it last began one for free pages.
    vacuumed: Option<Instant>,
    /// When the interval began.
    last: Instant,
}

impl Look {
    fn run(mut self, stopped: &(Mutex<bool>, Condvar)) {
        let mut looked_at = None;
        loop {
            let guard = stopped.0.lock().unwrap_or_else(PoisonError::into_inner);
            let rest = self.options.idle.max(Duration::from_millis(1));
            let (guard, _) = stopped
                .1
                .wait_timeout_while(guard, rest, |stopped| !*stopped)
                .unwrap_or_else(PoisonError::into_inner);
            if *guard {
                return;
            }
            drop(guard);
            let writes = self.db.writes_if_idle();
            let idle = writes.is_some() && self.seen == writes;
            self.seen = writes;
            let is_due = self.options.interval.is_some_and(|time| self.last.elapsed() >= time);
            // What was looked at once does not change without a write.
            let is_news = idle && looked_at != writes;
            let outcome = if is_due {
                self.last = Instant::now();
                self.vacuum()
            } else if is_news && self.rested() {
                looked_at = writes;
                self.where_much_is_free()
            } else {
                Ok(())
            };
            if let Err(error) = outcome {
                tracing::debug!(%error, "no vacuum was begun");
            }
        }
    }

    fn rested(&self) -> bool {
        self.vacuumed.is_none_or(|time| time.elapsed() >= REST)
    }

    fn where_much_is_free(&mut self) -> Result<()> {
        let Some(percent) = self.options.free_percent else { return Ok(()) };
        let pages = self.db.read(|reader| Pages::of(reader.connection()))?;
        let much = pages.free > self.options.least_free_pages
            && pages.free * 100 > pages.all * u64::from(percent);
        if much {
            self.vacuumed = Some(Instant::now());
            self.vacuum()?;
        }
        Ok(())
    }

    fn vacuum(&self) -> Result<()> {
        vacuum::start(&self.db, &self.jobs, &Caller::Owner).map(|_| ())
    }
}
