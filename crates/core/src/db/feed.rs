//! The change feed: where its positions go on after a start, and how long it may grow.
//!
//! Positions are the revisions of records, so they must never repeat, not even after an older
//! database was put back: each start goes on at max(last + 1, Unix seconds << 20), which leaves room
//! for a million changes in every second since. That stays below 2^53 until the year 2242.

use rusqlite::{Connection, OptionalExtension};

/// The feed keeps at least this many of the latest changes.
const KEPT_CHANGES: u64 = 100_000;
/// Old changes are pruned once this many more have piled up.
const PRUNE_SLACK: u64 = 10_000;

/// Begins a new range of positions and returns its first.
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
    pub(crate) fn prune(&mut self, connection: &Connection, added: u64) -> rusqlite::Result<()> {
        self.since_look += added;
        if self.since_look < PRUNE_SLACK {
            return Ok(());
        }
        let oldest_kept: Option<u64> = connection
            .prepare_cached("SELECT seq FROM change_feed ORDER BY seq DESC LIMIT 1 OFFSET ?1")?
            .query_row([KEPT_CHANGES - 1], |row| row.get(0))
            .optional()?;
        if let Some(oldest_kept) = oldest_kept {
            connection
                .prepare_cached("DELETE FROM change_feed WHERE seq < ?1")?
                .execute([oldest_kept])?;
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
    }
}
