//! `blob_candidates`: contents that may have nothing to keep them, since when, and their removal once that
//! has been so for the grace.
//!
//! Whatever may leave a content without a keeper (a put that does not pin, an unpin, a record that names it
//! no longer) notes it here, and renews the time of one that is noted. A note is no verdict: what is noted
//! and kept after all is passed over and struck off. So who collects never looks at all contents, and what
//! was put or named a moment ago is never among the due ones.

use osnova_storage_api::wire::BlobHash;
use rusqlite::{Connection, OptionalExtension};

use super::removal::{self, Removed, is_kept};
use crate::blob::FileTag;
use crate::caller::Caller;
use crate::db::columns;
use crate::db::tx::{Reader, Tx};
use crate::error::Result;

/// A candidate whose grace is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) hash: BlobHash,
    since_ms: i64,
    content_id: i64,
}

/// Notes that a content may have nothing to keep it; its grace begins now.
pub(super) fn note(tx: &Tx<'_>, content_id: i64) -> Result<()> {
    tx.connection()
        .prepare_cached(
            "INSERT INTO blob_candidates (content_id, since_ms) VALUES (?1, ?2)
             ON CONFLICT (content_id) DO UPDATE SET since_ms = excluded.since_ms",
        )?
        .execute((content_id, tx.uptime_ms()))?;
    Ok(())
}

/// A put that did not pin was made for the cache, which has named the content now, once: an eviction may
/// take it. Who names it again by another address hands over nothing more.
pub(in crate::db) fn hand_to_cache(tx: &Tx<'_>, caller: &Caller, hash: &BlobHash) -> Result<()> {
    tx.connection()
        .prepare_cached(
            "UPDATE blob_holders SET unnamed_puts = unnamed_puts - 1
             WHERE holder = ?1 AND hash = ?2 AND unnamed_puts > 0
               AND (SELECT count(*) FROM blob_references AS named
                    WHERE named.content_id = blob_holders.content_id
                      AND named.namespace = 'cache') = 1",
        )?
        .execute((caller.holder(), hash.as_bytes()))?;
    Ok(())
}

/// Ends the grace of a candidate at once (since before the first moment), but for such as were put and not
/// handed to the cache since.
pub(in crate::db) fn expire(tx: &Tx<'_>, hash: &BlobHash) -> Result<()> {
    tx.connection()
        .prepare_cached(
            "UPDATE blob_candidates SET since_ms = -1
             WHERE content_id = (SELECT content_id FROM blob_contents WHERE hash = ?1)
               AND NOT EXISTS (SELECT 1 FROM blob_holders AS holders
                               WHERE holders.content_id = blob_candidates.content_id
                                 AND holders.unnamed_puts > 0)",
        )?
        .execute([hash.as_bytes()])?;
    Ok(())
}

/// Strikes a content off.
pub(super) fn strike(tx: &Tx<'_>, content_id: i64) -> Result<()> {
    tx.connection()
        .prepare_cached("DELETE FROM blob_candidates WHERE content_id = ?1")?
        .execute([content_id])?;
    Ok(())
}

/// After a start: what is noted for later than now is due one grace from now. A crash forgets a part of the
/// uptime.
///
/// # Errors
/// Where the rows can't be written.
pub(in crate::db) fn clamp(connection: &Connection, uptime_ms: u64) -> rusqlite::Result<()> {
    connection
        .execute("UPDATE blob_candidates SET since_ms = ?1 WHERE since_ms > ?1", [uptime_ms])?;
    connection
        .execute("UPDATE blob_uploads SET touched_ms = ?1 WHERE touched_ms > ?1", [uptime_ms])?;
    Ok(())
}

/// Whether there are candidates, due or not.
///
/// # Errors
/// Where the database can't be read.
pub(crate) fn any(reader: Reader<'_>) -> Result<bool> {
    let any = reader
        .connection()
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM blob_candidates)")?
        .query_row([], |row| row.get(0))?;
    Ok(any)
}

/// Those that were noted at or before a time, the oldest first, strictly after `after`.
///
/// # Errors
/// Where the database can't be read.
pub(crate) fn due(
    reader: Reader<'_>,
    until_ms: i64,
    after: Option<Due>,
    limit: usize,
) -> Result<Vec<Due>> {
    let (after_ms, after_id) = after.map_or((i64::MIN, 0), |due| (due.since_ms, due.content_id));
    let mut statement = reader.connection().prepare_cached(
        "SELECT hash, since_ms, content_id FROM blob_candidates JOIN blob_contents USING (content_id)
         WHERE since_ms <= ?1 AND (since_ms, content_id) > (?2, ?3)
         ORDER BY since_ms, content_id LIMIT ?4",
    )?;
    let rows = statement.query_map((until_ms, after_ms, after_id, limit), |row| {
        Ok(Due { hash: columns::hash(row, 0)?, since_ms: row.get(1)?, content_id: row.get(2)? })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// How many were noted at or before a time.
///
/// # Errors
/// Where the database can't be read.
pub(crate) fn count_due(reader: Reader<'_>, until_ms: i64) -> Result<u64> {
    let count = reader
        .connection()
        .prepare_cached("SELECT count(*) FROM blob_candidates WHERE since_ms <= ?1")?
        .query_row([until_ms], |row| row.get(0))?;
    Ok(count)
}

/// Removes those of the candidates that nothing keeps and that were not noted anew since they were chosen;
/// strikes off the others. Beside each stands which file is its. Under the locks on the hashes.
///
/// # Errors
/// Where the rows can't be written.
pub(crate) fn remove_due(tx: &Tx<'_>, chosen: &[(Due, Option<FileTag>)]) -> Result<Vec<Removed>> {
    let mut removed = Vec::new();
    for (due, tag) in chosen {
        let found: Option<(bool, u64, u64)> = tx
            .connection()
            .prepare_cached(concat!(
                "SELECT ",
                is_kept!(),
                ", size, stored_size
                 FROM blob_candidates JOIN blob_contents AS contents USING (content_id)
                 WHERE content_id = ?1 AND since_ms = ?2 AND hash = ?3"
            ))?
            .query_row((due.content_id, due.since_ms, due.hash.as_bytes()), |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .optional()?;
        match found {
            Some((false, size, stored_size)) => {
                removal::drop_holders(tx, due.content_id, None, size, stored_size)?;
                let content = Removed { hash: due.hash, size, stored_size };
                removal::remove_row(tx, due.content_id, &content, *tag)?;
                removed.push(content);
            }
            Some((true, ..)) => strike(tx, due.content_id)?,
            None => {}
        }
    }
    Ok(removed)
}
