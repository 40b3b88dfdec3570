//! `totals`: how many of something there are and how many bytes they take, by who holds them.
//!
//! They are kept in the transactions that change what is counted, and never counted by a scan. What is
//! counted, and against which limit, its own table knows.

use rusqlite::OptionalExtension;

use super::tx::{Reader, Tx};
use crate::error::Result;

/// How many of something there are, and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Total {
    pub(super) count: u64,
    pub(super) bytes: u64,
    pub(super) stored_bytes: u64,
}

/// By how much a total changes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Change {
    pub(super) count: i64,
    pub(super) bytes: i64,
    pub(super) stored_bytes: i64,
}

impl Change {
    /// So many of these come (or, below 0, go).
    pub(super) fn of(count: i64, bytes: u64, stored_bytes: u64) -> Self {
        let all = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX).saturating_mul(count);
        Self { count, bytes: all(bytes), stored_bytes: all(stored_bytes) }
    }

    /// Both changes.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            count: self.count + other.count,
            bytes: self.bytes + other.bytes,
            stored_bytes: self.stored_bytes + other.stored_bytes,
        }
    }
}

/// The total of what a holder has; the owner, and what nobody holds, is ''.
///
/// # Errors
/// Where the database can't be read.
pub(super) fn get(reader: Reader<'_>, what: &str, holder: &str) -> Result<Total> {
    let found = reader
        .connection()
        .prepare_cached(
            "SELECT count, bytes, stored_bytes FROM totals WHERE what = ?1 AND holder = ?2",
        )?
        .query_row((what, holder), |row| {
            Ok(Total { count: row.get(0)?, bytes: row.get(1)?, stored_bytes: row.get(2)? })
        })
        .optional()?;
    Ok(found.unwrap_or_default())
}

/// Enters a change; how many bytes are stored then.
///
/// # Errors
/// Where the row can't be written.
pub(super) fn add(tx: &Tx<'_>, what: &str, holder: &str, change: Change) -> Result<u64> {
    tx.connection()
        .prepare_cached(
            "INSERT INTO totals (what, holder, count, bytes, stored_bytes)
             VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (what, holder) DO UPDATE SET count = count + excluded.count,
               bytes = bytes + excluded.bytes, stored_bytes = stored_bytes + excluded.stored_bytes",
        )?
        .execute((what, holder, change.count, change.bytes, change.stored_bytes))?;
    Ok(get(tx.reader(), what, holder)?.stored_bytes)
}

/// Strikes off a holder that has nothing any more.
///
/// # Errors
/// Where the row can't be written.
pub(super) fn forget(tx: &Tx<'_>, what: &str, holder: &str) -> Result<()> {
    tx.connection()
        .prepare_cached("DELETE FROM totals WHERE what = ?1 AND holder = ?2")?
        .execute((what, holder))?;
    Ok(())
}
