//! What the database says of its data root: the root's random id, the check value of its key, up to where
//! the change feed was pruned, for how long it has been up, and whether the search indices are whole.

use rusqlite::{Connection, OptionalExtension};

use super::tx::Tx;
use crate::error::{Result, StoreError};

/// Length of the root's id and of the check value, in bytes.
pub(crate) const LENGTH: usize = 16;

/// The root's id; made on the first start.
pub(crate) fn root_id(connection: &Connection) -> Result<[u8; LENGTH]> {
    if let Some(id) = get(connection, "root_id")? {
        return Ok(id);
    }
    let mut id = [0; LENGTH];
    getrandom::fill(&mut id)
        .map_err(|error| StoreError::Internal(format!("no randomness: {error}")))?;
    put(connection, "root_id", &id)?;
    Ok(id)
}

/// The check value of the root's key, where it has been given one.
pub(crate) fn key_check(connection: &Connection) -> Result<Option<[u8; LENGTH]>> {
    get(connection, "key_check")
}

/// Gives the root its key's check value.
pub(crate) fn set_key_check(tx: &Tx<'_>, check: &[u8; LENGTH]) -> Result<()> {
    put(tx.connection(), "key_check", check)
}

/// The last position that was pruned from the change feed; 0 where none was.
pub(crate) fn feed_pruned(connection: &Connection) -> Result<u64> {
    Ok(get(connection, "feed_pruned")?.map_or(0, u64::from_be_bytes))
}

/// Notes the last position that was pruned from the change feed.
pub(crate) fn set_feed_pruned(connection: &Connection, position: u64) -> Result<()> {
    put(connection, "feed_pruned", &position.to_be_bytes())
}

/// For how long the root had been up when that was last noted, in milliseconds.
pub(crate) fn uptime_ms(connection: &Connection) -> Result<u64> {
    Ok(get(connection, "uptime_ms")?.map_or(0, u64::from_be_bytes))
}

/// Notes for how long the root has been up.
pub(crate) fn note_uptime(tx: &Tx<'_>) -> Result<()> {
    put(tx.connection(), "uptime_ms", &tx.uptime_ms().to_be_bytes())
}

/// Whether the search indices may lack records, so that they must be built anew.
pub(crate) fn search_is_stale(connection: &Connection) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM meta WHERE key = 'search_stale')")?
        .query_row([], |row| row.get(0))
}

/// Notes that the search indices may lack records.
pub(crate) fn mark_search_stale(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO meta (key, value) VALUES ('search_stale', x'01') ON CONFLICT (key) DO NOTHING",
        )?
        .execute([])?;
    Ok(())
}

/// Notes that the search indices have all records.
pub(crate) fn clear_search_stale(connection: &Connection) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM meta WHERE key = 'search_stale'")?.execute([])?;
    Ok(())
}

fn get<const N: usize>(connection: &Connection, key: &str) -> Result<Option<[u8; N]>> {
    let value = connection
        .prepare_cached("SELECT value FROM meta WHERE key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()?;
    Ok(value)
}

fn put(connection: &Connection, key: &str, value: &[u8]) -> Result<()> {
    connection.execute(
        "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (key, value),
    )?;
    Ok(())
}
