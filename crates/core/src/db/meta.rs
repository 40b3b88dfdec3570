//! What the database says of its data root: the root's random id, the check value of its key, and up to
//! where the change feed was pruned.

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
