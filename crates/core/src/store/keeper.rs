//! Looks after the contents by itself: collects when nobody writes, looks slowly for files without a row, and
//! remembers for how long the root has been up.

use std::time::{Duration, Instant};

use super::care::Care;
use crate::background::{Background, Stop};
use crate::caller::Caller;
use crate::db::cache;
use crate::error::{OpenError, Result, StoreError};
use crate::vault::keys::KeyId;

/// When the daemon looks after the contents by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CareOptions {
    /// The time between two looks; `None`: it does not.
    pub interval: Option<Duration>,
}

impl Default for CareOptions {
    fn default() -> Self {
        Self { interval: Some(Duration::from_secs(60)) }
    }
}

/// How long the look for unknown files rests after each slice of names.
const REST: Duration = Duration::from_millis(50);

/// How long it rests after files were adopted, before it looks whether any are left; twice as long each time.
const FIRST_REST: Duration = Duration::from_secs(30);
const LONGEST_REST: Duration = Duration::from_secs(60 * 60);

/// How often it looks for a key while there is none.
const LOCKED_WAIT: Duration = Duration::from_secs(1);

/// Starts the thread that looks.
///
/// # Errors
/// Where it can't be started.
pub(super) fn start(
    care: Care,
    options: CareOptions,
) -> std::result::Result<Background, OpenError> {
    let body = options.interval.map(|interval| {
        move |stop: &Stop| Look { care, looked_under: None, rest: None }.run(stop, interval)
    });
    Background::start("blob-keeper", body)
}

/// What it looks at, and what it saw.
struct Look {
    care: Care,
    /// The key under which all names were looked at, and none was unknown.
    looked_under: Option<KeyId>,
    /// When to look again, and how long to rest then, where files were left that can't be adopted.
    rest: Option<(Instant, Duration)>,
}

impl Look {
    fn run(mut self, stop: &Stop, interval: Duration) {
        let mut collected = Instant::now();
        loop {
            // The first look at the files is the sooner one: what a crash left is found after a start.
            if let Err(error) = self.look_for_files(stop) {
                tracing::debug!(%error, "the look for files without a row was not finished");
            }
            // Until there is a key nothing can be adopted, and nobody says when it comes.
            let is_locked = self.care.vault.keys().is_err();
            if stop.wait(if is_locked { interval.min(LOCKED_WAIT) } else { interval }) {
                return;
            }
            if collected.elapsed() >= interval {
                collected = Instant::now();
                if let Err(error) = self.collect() {
                    tracing::debug!(%error, "nothing was collected");
                }
            }
        }
    }

    /// For each key that is loaded, until all files have a row: those that have none are adopted.
    fn look_for_files(&mut self, stop: &Stop) -> Result<()> {
        let Ok(keys) = self.care.vault.keys() else { return Ok(()) };
        let key_id = keys.key_id();
        if self.looked_under == Some(key_id) {
            return Ok(());
        }
        if self.rest.is_some_and(|(until, _)| Instant::now() < until) {
            return Ok(());
        }
        let go_on = |_| if stop.wait(REST) { Err(StoreError::Cancelled) } else { Ok(()) };
        if self.care.blobs.has_unknown_files(&self.care.db, &go_on)? {
            self.care.adopt(&Caller::Owner)?;
            // What can't be adopted is looked at ever more seldom.
            let rest = self.rest.map_or(FIRST_REST, |(_, rest)| LONGEST_REST.min(2 * rest));
            self.rest = Some((Instant::now() + rest, rest));
        } else {
            self.looked_under = Some(key_id);
            self.rest = None;
        }
        Ok(())
    }

    /// Collects what is due, where nobody writes.
    fn collect(&self) -> Result<()> {
        self.care.remember_uptime()?;
        let Care { blobs, db, cache, .. } = &self.care;
        let limits = *cache;
        if !db.read(|reader| cache::is_within(reader, &limits))? {
            blobs.evict_cache(db, move |reader| cache::is_within(reader, &limits))?;
        }
        if blobs.count_due(db)? > 0 && db.writes_if_idle().is_some() {
            self.care.collect(&Caller::Owner)?;
        }
        Ok(())
    }
}
