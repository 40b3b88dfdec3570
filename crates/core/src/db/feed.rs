//! The change feed: where its positions go on after a start, what is read of it, and how long it may
//! grow.
//!
//! Positions are the revisions of records, so they must never repeat, not even after an older
//! database was put back: each start goes on at max(last + 1, Unix seconds << 20), which leaves room
//! for a million changes in every second since. That stays below 2^53 until the year 2242.
//!
//! The first position of a range is no change's: it is where the feed is before anything has changed,
//! so whoever asks then is told a position that no other life of the database has.

use osnova_storage_api::events::ChangeKind;
use osnova_storage_api::{ApiError, ErrorCode};
use rusqlite::{Connection, OptionalExtension, Row};
use serde_json::value::RawValue;

use super::meta;
use super::tx::Reader;
use crate::error::{Result, StoreError};

/// The feed keeps at least this many of the latest changes.
const KEPT_CHANGES: u64 = 100_000;
/// Old changes are pruned once this many more have piled up.
const PRUNE_SLACK: u64 = 10_000;
/// A reading looks at no more changes than this, however few of them are wanted.
const SCANNED_CHANGES: usize = 10_000;

/// A change, as the feed keeps it.
#[derive(Debug)]
pub struct Change {
    /// Its position.
    pub position: u64,
    /// The namespace of the record.
    pub namespace: String,
    /// The parts of the record's primary key: an array of texts, as JSON.
    pub key: Box<RawValue>,
    /// What happened to it.
    pub kind: ChangeKind,
    /// Whose own thing it is; none where it is no component's own.
    pub component: Option<String>,
}

/// A part of the feed.
#[derive(Debug)]
pub struct Part<C> {
    /// The wanted changes, oldest first.
    pub changes: Vec<C>,
    /// Everything up to here was looked at.
    pub position: u64,
    /// Whether there may be more after it.
    pub more: bool,
}

/// The latest position of the feed.
///
/// # Errors
/// Where the database can't be read.
pub fn latest(reader: Reader<'_>) -> Result<u64> {
    Ok(latest_of(reader.connection())?)
}

/// The oldest position from which the feed is whole.
///
/// # Errors
/// Where the database can't be read.
pub fn oldest(reader: Reader<'_>) -> Result<u64> {
    let first: u64 = reader
        .connection()
        .prepare_cached("SELECT coalesce(min(first_seq), 0) FROM feed_ranges")?
        .query_row([], |row| row.get(0))?;
    Ok(first.max(meta::feed_pruned(reader.connection())?))
}

/// Reads at most `max` wanted changes, strictly after a position.
///
/// # Errors
/// `gone` where changes after the position are no longer kept, or the position is none of this
/// database's.
pub fn read(
    reader: Reader<'_>,
    since: u64,
    max: usize,
    wanted: impl Fn(&Change) -> bool,
) -> Result<Part<Change>> {
    // One snapshot for the borders and the rows: the writer may prune between two statements.
    let snapshot = reader.connection().unchecked_transaction()?;
    let latest = check(&snapshot, since)?;
    let mut part = Part { changes: Vec::new(), position: latest, more: false };
    let mut statement = snapshot.prepare_cached(
        "SELECT seq, namespace, key_json, kind, component_id FROM change_feed
         WHERE seq > ?1 ORDER BY seq",
    )?;
    let mut rows = statement.query([since])?;
    let (mut looked_at, mut position) = (0, since);
    while let Some(row) = rows.next()? {
        if part.changes.len() == max || looked_at == SCANNED_CHANGES {
            (part.position, part.more) = (position, true);
            break;
        }
        let change = from_row(row)?;
        looked_at += 1;
        position = change.position;
        if wanted(&change) {
            part.changes.push(change);
        }
    }
    Ok(part)
}

fn from_row(row: &Row<'_>) -> Result<Change> {
    let kind: String = row.get(3)?;
    Ok(Change {
        position: row.get(0)?,
        namespace: row.get(1)?,
        key: RawValue::from_string(row.get(2)?).map_err(|error| {
            StoreError::RecordsDamaged(format!("a key of the change feed: {error}"))
        })?,
        kind: if kind == ChangeKind::Put.as_str() { ChangeKind::Put } else { ChangeKind::Delete },
        component: row.get(4)?,
    })
}

/// Checks that all that came after a position is still there; the latest position.
fn check(connection: &Connection, since: u64) -> Result<u64> {
    let latest = latest_of(connection)?;
    // The last range is open: it goes to the latest position, and what is beyond was never given.
    let lived_through: Option<bool> = connection
        .prepare_cached(
            "SELECT coalesce(last_seq, ?2) >= ?1 FROM feed_ranges WHERE first_seq <= ?1
             ORDER BY first_seq DESC LIMIT 1",
        )?
        .query_row([since, latest], |row| row.get(0))
        .optional()?;
    if lived_through != Some(true) {
        return Err(gone("this database has had no such position"));
    }
    if since < meta::feed_pruned(connection)? {
        return Err(gone("what came after this position is no longer kept"));
    }
    Ok(latest)
}

fn latest_of(connection: &Connection) -> rusqlite::Result<u64> {
    connection
        .prepare_cached(
            "SELECT max(coalesce((SELECT max(seq) FROM change_feed), 0),
                        coalesce((SELECT max(first_seq) FROM feed_ranges), 0))",
        )?
        .query_row([], |row| row.get(0))
}

fn gone(why: &str) -> StoreError {
    let message = format!("{why}: read the records anew, and go on from the present position");
    StoreError::Refused(ApiError::new(ErrorCode::Gone, message))
}

/// Begins a new range of positions and returns its first, which no change is given.
pub(crate) fn begin_range(connection: &Connection, now: i64) -> rusqlite::Result<u64> {
    let last: Option<u64> = connection.query_row(
        "SELECT max(coalesce((SELECT max(seq) FROM change_feed), 0),
                    coalesce((SELECT max(coalesce(last_seq, first_seq)) FROM feed_ranges), 0))",
        [],
        |row| row.get(0),
    )?;
    let last = last.unwrap_or(0);
    let first = (last + 1).max(u64::try_from(now).unwrap_or(0) << 20);
    connection.execute("UPDATE feed_ranges SET last_seq = ?1 WHERE last_seq IS NULL", [last])?;
    connection.execute("INSERT INTO feed_ranges (first_seq) VALUES (?1)", [first])?;
    Ok(first)
}

/// Keeps the feed bounded. It is told how many changes were added, so that it looks only when there
/// is something to prune.
pub(crate) struct Pruner {
    since_look: u64,
}

impl Pruner {
    pub(crate) fn new() -> Self {
        // Looks at the first group after a start, for the count is not kept over restarts.
        Self { since_look: PRUNE_SLACK }
    }

    /// Notes added changes, and prunes where it is time; call inside a transaction.
    pub(crate) fn prune(&mut self, connection: &Connection, added: u64) -> Result<()> {
        self.since_look += added;
        if self.since_look < PRUNE_SLACK {
            return Ok(());
        }
        let oldest_kept: Option<u64> = connection
            .prepare_cached("SELECT seq FROM change_feed ORDER BY seq DESC LIMIT 1 OFFSET ?1")?
            .query_row([KEPT_CHANGES - 1], |row| row.get(0))
            .optional()?;
        if let Some(oldest_kept) = oldest_kept {
            let last: Option<u64> = connection
                .prepare_cached("SELECT max(seq) FROM change_feed WHERE seq < ?1")?
                .query_row([oldest_kept], |row| row.get(0))?;
            if let Some(last) = last {
                connection
                    .prepare_cached("DELETE FROM change_feed WHERE seq <= ?1")?
                    .execute([last])?;
                // By the rows alone nobody could tell a pruned change from a number that was never given.
                meta::set_feed_pruned(connection, last)?;
            }
        }
        self.since_look = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::migrations;

    #[test]
    fn positions_never_go_back() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrations::migrate(&mut connection, migrations::latest(), 0).unwrap();
        let first = begin_range(&connection, 1_000).unwrap();
        assert_eq!(first, 1_000 << 20);
        connection
            .execute("INSERT INTO change_feed VALUES (?1, 'n', '[]', 'put', NULL)", [first + 7])
            .unwrap();
        // The clock went back: positions go on after the last.
        assert_eq!(begin_range(&connection, 10).unwrap(), first + 8);
        // An idle run hands none of its positions out twice either.
        assert_eq!(begin_range(&connection, 10).unwrap(), first + 9);
        assert_eq!(begin_range(&connection, 2_000).unwrap(), 2_000 << 20);
        let ranges: u32 =
            connection.query_row("SELECT count(*) FROM feed_ranges", [], |row| row.get(0)).unwrap();
        assert_eq!(ranges, 4);
    }

    #[test]
    fn the_feed_is_bounded() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrations::migrate(&mut connection, migrations::latest(), 0).unwrap();
        connection
            .execute_batch(
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 120000)
                 INSERT INTO change_feed SELECT i, 'n', '[]', 'put', NULL FROM n",
            )
            .unwrap();
        Pruner::new().prune(&connection, 1).unwrap();
        let kept: (u64, u64) = connection
            .query_row("SELECT count(*), min(seq) FROM change_feed", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .unwrap();
        assert_eq!(kept, (100_000, 20_001));
        assert_eq!(meta::feed_pruned(&connection).unwrap(), 20_000);
    }
}
