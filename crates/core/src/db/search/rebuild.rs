//! Building the indices anew: after a migration, and after one of them broke.
//!
//! The writer is asked for it in slices, so calls are served meanwhile. First the indices are made anew,
//! empty, in one write; from then on the writer keeps up with the records that change, and the slices go
//! through all that are there. Whichever of the two comes first to a record, its row says what the record
//! says. Who does the asking is [`crate::maintenance`]'s.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use osnova_storage_api::ErrorCode;

use super::super::{Database, Tx, meta};
use super::{Searched, index, query};
use crate::error::{Result, StoreError};
use crate::health::{Cause, Health};

/// How many records a slice has, and about how many bytes of text: one takes some milliseconds.
const SLICE_RECORDS: u32 = 200;
const SLICE_BYTES: usize = 256 << 10;

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
    pub(crate) fn want_build(&self) {
        self.wanted().build = true;
        self.changed.notify_all();
    }

    /// Notes that an index is damaged, and has it built anew.
    pub(crate) fn report_broken(&self) {
        self.broken.store(true, Ordering::Release);
        self.want_build();
    }

    /// Whether an index is damaged.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// Ends the waiting of the builder.
    pub(crate) fn stop(&self) {
        self.wanted().stop = true;
        self.changed.notify_all();
    }

    fn wanted(&self) -> MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is something to build; false where the builder is to end.
    pub(crate) fn wait(&self) -> bool {
        let idle = |wanted: &mut Wanted| !wanted.build && !wanted.stop;
        let mut wanted =
            self.changed.wait_while(self.wanted(), idle).unwrap_or_else(PoisonError::into_inner);
        wanted.build = false;
        !wanted.stop
    }

    /// Waits for a while; false where the builder is to end.
    pub(crate) fn pause(&self, pause: Duration) -> bool {
        let (wanted, _) = self
            .changed
            .wait_timeout_while(self.wanted(), pause, |wanted| !wanted.stop)
            .unwrap_or_else(PoisonError::into_inner);
        !wanted.stop
    }
}

/// Notes in the health that searches may miss records.
pub(crate) fn note_stale(health: &Health) {
    health.note(Cause::SearchStale, "the search index is being built anew");
}

/// How many records there are to be indexed.
///
/// # Errors
/// Where the database can't be read.
pub(crate) fn count(db: &Database) -> Result<u64> {
    db.read(|reader| Ok(index::count(reader.connection())?))
}

/// Builds the indices anew. Before each write `go_on` is told how many records were done since the last
/// time, and `wait` is called where the writer takes no more.
///
/// # Errors
/// Those of `go_on` and `wait`, and of the writes; the indices stay stale then.
pub(crate) fn build(
    db: &Database,
    go_on: &dyn Fn(u64) -> Result<()>,
    wait: &dyn Fn() -> Result<()>,
) -> Result<()> {
    Builder { db, go_on, wait }.build()
}

struct Builder<'a> {
    db: &'a Database,
    go_on: &'a dyn Fn(u64) -> Result<()>,
    wait: &'a dyn Fn() -> Result<()>,
}

impl Builder<'_> {
    fn build(&self) -> Result<()> {
        let state = self.db.search_state();
        (self.go_on)(0)?;
        self.write(|tx| {
            index::recreate(tx.connection()).map_err(of_index)?;
            meta::mark_search_stale(tx.connection())?;
            Ok(())
        })?;
        // Before the first slice is handed in: what the writer left out so far lies before all slices.
        state.broken.store(false, Ordering::Release);
        for what in Searched::ALL {
            let mut after = String::new();
            let mut done = 0;
            loop {
                (self.go_on)(done)?;
                let slice = self.write(move |tx| {
                    let connection = tx.connection();
                    let slice =
                        index::write_slice(connection, what, &after, SLICE_RECORDS, SLICE_BYTES)
                            .map_err(of_index)?;
                    index::flush(connection).map_err(of_index)?;
                    Ok(slice)
                })?;
                match slice {
                    Some((last, records)) => (after, done) = (last, records),
                    None => break,
                }
            }
        }
        let state = Arc::clone(state);
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
            match self.db.write(SLICE_BYTES, operation.clone()) {
                Err(StoreError::Refused(error)) if error.code() == ErrorCode::Unavailable => {
                    (self.wait)()?;
                }
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
