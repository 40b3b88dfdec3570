//! Vacuums by itself: where much is free and nobody writes, and once in a while where that is asked for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::MaintenanceOptions;
use super::vacuum::{self, Pages};
use crate::background::{Background, Stop};
use crate::caller::Caller;
use crate::db::Database;
use crate::error::{OpenError, Result};
use crate::jobs::Jobs;

/// It begins a vacuum for free pages no more often than this: one that fails is no reason to try again
/// at once.
const REST: Duration = Duration::from_secs(600);

/// Starts the thread that looks.
///
/// # Errors
/// Where it can't be started.
pub(super) fn start(
    db: Arc<Database>,
    jobs: Arc<Jobs>,
    options: MaintenanceOptions,
) -> std::result::Result<Background, OpenError> {
    let needed = options.free_percent.is_some() || options.interval.is_some();
    let look = Look { db, jobs, options, seen: None, vacuumed: None, last: Instant::now() };
    Background::start("maintenance", needed.then_some(|stop: &Stop| look.run(stop)))
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
    fn run(mut self, stop: &Stop) {
        let mut looked_at = None;
        while !stop.wait(self.options.idle.max(Duration::from_millis(1))) {
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
