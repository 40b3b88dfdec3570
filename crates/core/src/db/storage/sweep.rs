//! The rows of values that have expired: nobody sees them any more, and they are deleted in slices.

use crate::db::tx::{Reader, Tx};
use crate::error::Result;

/// Whether any value has expired whose row is still there.
pub(crate) fn any_expired(reader: Reader<'_>) -> Result<bool> {
    let found = reader
        .connection()
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM component_storage WHERE expires_at <= ?1)")?
        .query_row([reader.now()], |row| row.get(0))?;
    Ok(found)
}

/// Deletes the values that expired first, at most so many; says how many there were.
///
/// # Errors
/// Where the rows can't be read or written.
pub(crate) fn sweep(tx: &Tx<'_>, at_most: usize) -> Result<usize> {
    let expired: Vec<(String, String, u64)> = tx
        .connection()
        .prepare_cached(
            "SELECT component_id, key, octet_length(value) FROM component_storage
             WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2",
        )?
        .query_map((tx.now(), at_most), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (component, key, sealed_len) in &expired {
        super::remove(tx, component, key, *sealed_len)?;
    }
    Ok(expired.len())
}
