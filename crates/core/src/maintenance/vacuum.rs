//! Gives free pages back to the disk, in slices between which other writes go on.
//!
//! SQLite moves pages from the end of the file into free ones and cuts the end off; in WAL mode the file
//! itself shrinks when that is checkpointed, so a checkpoint stands at the end.

use std::sync::Arc;
use std::time::Duration;

use osnova_storage_api::ErrorCode;
use osnova_storage_api::jobs::Job;
use osnova_storage_api::maintenance::VacuumResult;
use osnova_storage_api::wire::UnsignedInteger;
use rusqlite::Connection;

use crate::caller::Caller;
use crate::db::{Database, Tx};
use crate::error::{Result, StoreError};
use crate::jobs::{Jobs, Progress, answer};

/// The kind of the job.
pub(super) const KIND: &str = "vacuum";
/// Pages of a slice: a group's commit is held up by it for a few milliseconds.
const SLICE_PAGES: u32 = 256;
/// About how many bytes a slice writes.
const SLICE_WEIGHT: usize = SLICE_PAGES as usize * 4096;
/// How long a slice waits where the writer takes no more.
const WAIT_FOR_ROOM: Duration = Duration::from_millis(50);
/// How long the checkpoint at its end holds up writes where a reader is in the way; a later one shrinks
/// the file as well.
const READER_WAIT: Duration = Duration::from_millis(50);

/// Begins.
pub(super) fn start(db: &Arc<Database>, jobs: &Jobs, caller: &Caller) -> Result<Job> {
    let db = Arc::clone(db);
    jobs.start(KIND, caller, "pages", move |progress| answer(&run(&db, progress)?))
}

fn run(db: &Database, progress: &Progress) -> Result<VacuumResult> {
    let before = db.read(|reader| Pages::of(reader.connection()))?;
    progress.set_total(before.free);
    let mut after = before;
    let mut freed = 0;
    // Writes go on and free more; what was free at the beginning is a bound that holds.
    while after.free > 0 && freed < before.free {
        progress.check()?;
        let now = match db.write(SLICE_WEIGHT, slice) {
            Err(StoreError::Refused(error)) if error.code() == ErrorCode::Unavailable => {
                progress.pause(WAIT_FOR_ROOM)?;
                continue;
            }
            outcome => outcome?,
        };
        if now.freed == 0 {
            // A database that was made without `auto_vacuum`: nothing can be done about its pages.
            break;
        }
        freed += now.freed;
        after = now.pages;
        progress.advance(now.freed);
    }
    if freed > 0
        && let Err(error) = db.checkpoint(READER_WAIT)
    {
        tracing::warn!(%error, "the file shrinks only with the next checkpoint");
    }
    Ok(VacuumResult {
        pages_freed: UnsignedInteger(freed),
        database_bytes_before: UnsignedInteger(before.bytes()),
        database_bytes_after: UnsignedInteger(after.bytes()),
    })
}

/// What a slice did, and how it left the database.
struct Slice {
    freed: u64,
    pages: Pages,
}

fn slice(tx: &Tx<'_>) -> Result<Slice> {
    let connection = tx.connection();
    let before = Pages::of(connection)?;
    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({SLICE_PAGES})"))?;
    // It frees a page for each row that is stepped to.
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    let pages = Pages::of(connection)?;
    Ok(Slice { freed: before.all.saturating_sub(pages.all), pages })
}

/// The pages of the database, as a connection sees them.
#[derive(Clone, Copy)]
pub(super) struct Pages {
    pub(super) all: u64,
    pub(super) free: u64,
    pub(super) size: u64,
}

impl Pages {
    pub(super) fn of(connection: &Connection) -> Result<Self> {
        let pragma = |sql| connection.prepare_cached(sql)?.query_row([], |row| row.get(0));
        Ok(Self {
            all: pragma("PRAGMA page_count")?,
            free: pragma("PRAGMA freelist_count")?,
            size: pragma("PRAGMA page_size")?,
        })
    }

    pub(super) fn bytes(self) -> u64 {
        self.all * self.size
    }
}
