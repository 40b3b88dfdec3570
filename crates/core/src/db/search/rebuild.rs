//! Building the indices anew: after a migration, and after one of them broke.
//!
//! A thread of its own asks the writer for it in slices, so calls are served meanwhile. First the indices
//! are made anew, empty, in one write; from then on the writer keeps up with the records that change,
//! and the slices go through all that are there. Whichever of the two comes first to a record, its row
//! says what the record says.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use super::super::meta;
use super::super::queue::{Job, Queue};
use super::super::tx::Tx;
use super::{Searched, index, query};
use crate::error::{Result, StoreError};
use crate::health::{Cause, Health};

/// How many records a slice has, and about how many bytes of text: one takes some milliseconds.
const SLICE_RECORDS: u32 = 200;
const SLICE_BYTES: usize = 256 << 10;
/// How long to wait when the writer takes no more calls.
const BUSY: Duration = Duration::from_millis(100);
/// How long to wait after a build that failed; twice as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How the indices are, as the writer, the readers and the builder tell one another.
#[derive(Debug, Default)]
pub(crate) struct SearchState {
    /// An index is damaged: the writer leaves the indices alone until they are made anew.
    broken: AtomicBool,
    wanted: Mutex<Wanted>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Wanted {
    build: bool,
    stop: bool,
}

impl SearchState {
    /// Has the indices built anew.
    pub(in crate::db) fn want_build(&self) {
        self.wanted().build = true;
        self.changed.notify_all();
    }

    /// Notes that an index is damaged, and has it built anew.
    pub(in crate::db) fn report_broken(&self) {
        self.broken.store(true, Ordering::Release);
        self.want_build();
    }

    /// Whether an index is damaged.
    pub(in crate::db) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// Ends the builder.
    pub(in crate::db) fn stop(&self) {
        self.wanted().stop = true;
        self.changed.notify_all();
    }

    fn wanted(&self) -> MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is something to build; false where the builder is to end.
    fn wait(&self) -> bool {
        let idle = |wanted: &mut Wanted| !wanted.build && !wanted.stop;
        let mut wanted =
            self.changed.wait_while(self.wanted(), idle).unwrap_or_else(PoisonError::into_inner);
        wanted.build = false;
        !wanted.stop
    }

    /// Waits for a while; false where the builder is to end.
    fn pause(&self, pause: Duration) -> bool {
        let (wanted, _) = self
            .changed
            .wait_timeout_while(self.wanted(), pause, |wanted| !wanted.stop)
            .unwrap_or_else(PoisonError::into_inner);
        !wanted.stop
    }
}

/// The builder's thread.
pub(in crate::db) fn thread(queue: &Queue, state: &Arc<SearchState>, health: &Health) {
    let mut pause = FIRST_PAUSE;
    while state.wait() {
        if state.is_broken() {
            note_stale(health);
        }
        match (Builder { queue, state }).build() {
            Ok(()) => {
                tracing::info!("the search index is built");
                health.clear(Cause::SearchStale);
                pause = FIRST_PAUSE;
            }
            Err(error) => {
                state.want_build();
                if !state.pause(pause) {
                    break;
                }
                tracing::warn!(%error, "the search index could not be built; it is tried again");
                note_stale(health);
                pause = LONGEST_PAUSE.min(2 * pause);
            }
        }
    }
}

/// Notes in the health that searches may miss records.
pub(in crate::db) fn note_stale(health: &Health) {
    health.note(Cause::SearchStale, "the search index is being built anew");
}

struct Builder<'a> {
    queue: &'a Queue,
    state: &'a Arc<SearchState>,
}

impl Builder<'_> {
    fn build(&self) -> Result<()> {
        self.write(|tx| {
            index::recreate(tx.connection()).map_err(of_index)?;
            meta::mark_search_stale(tx.connection())?;
            Ok(())
        })?;
        // Before the first slice is handed in: what the writer left out so far lies before all slices.
        self.state.broken.store(false, Ordering::Release);
        for what in Searched::ALL {
            let mut after = String::new();
            loop {
                let last = self.write(move |tx| {
                    let connection = tx.connection();
                    let last =
                        index::write_slice(connection, what, &after, SLICE_RECORDS, SLICE_BYTES)
                            .map_err(of_index)?;
                    index::flush(connection).map_err(of_index)?;
                    Ok(last)
                })?;
                match last {
                    Some(last) => after = last,
                    None => break,
                }
            }
        }
        let state = Arc::clone(self.state);
        self.write(move |tx| {
            if state.is_broken() {
                return Err(StoreError::Internal("the search index broke again".to_owned()));
            }
            meta::clear_search_stale(tx.connection())?;
            Ok(())
        })
    }

    /// Writes, and waits until it is durable; waits too while the writer takes no calls.
    fn write<T: Send + 'static>(
        &self,
        operation: impl Fn(&Tx<'_>) -> Result<T> + Clone + Send + 'static,
    ) -> Result<T> {
        loop {
            let (reply, answer) = mpsc::sync_channel(1);
            let job = Job::new(SLICE_BYTES, operation.clone(), move |result| {
                // The receiver below waits for as long as the job lives.
                let _ = reply.send(result);
            });
            let outcome = match self.queue.push(vec![job]) {
                Ok(()) => answer
                    .recv()
                    .map_err(|_| StoreError::Internal("the writer ended".to_owned()))?,
                Err(error) => Err(error),
            };
            match outcome {
                Err(StoreError::Refused(_)) if self.state.pause(BUSY) => {}
                outcome => return outcome,
            }
        }
    }
}

/// An error of the index as the builder's writes give it: damage of the index is not the database's,
/// and the writer must not say so in the health.
fn of_index(error: rusqlite::Error) -> StoreError {
    if query::is_broken(&error) {
        return StoreError::Internal(format!("the search index: {error}"));
    }
    error.into()
}
