//! `component_sockets`: sockets that are bound to a component.

use osnova_storage_api::wire::{ComponentId, SocketPath};
use osnova_storage_api::{ApiError, ConflictReason};
use rusqlite::OptionalExtension;

use super::{quota, scopes_column, scopes_from_row};
use crate::caller::{Caller, Scopes};
use crate::db::columns;
use crate::db::tx::{Reader, Tx};
use crate::error::{Result, StoreError};

/// How many sockets there may be; each is a descriptor of the daemon's.
pub const MAX_SOCKETS: u64 = 1000;

/// A socket as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSocket {
    /// Whose it is.
    pub component_id: ComponentId,
    /// Where it lies; `None` where the daemon chooses.
    pub path: Option<SocketPath>,
    /// What may be done through it.
    pub scopes: Scopes,
    /// When it was first opened, in Unix seconds.
    pub created_at: i64,
}

/// A path as its column holds it.
fn path_column(path: Option<&SocketPath>) -> &str {
    path.map_or("", SocketPath::as_str)
}

/// The refusal of a path where another component's socket lies.
pub fn is_anothers() -> StoreError {
    let message = "the path is another component's socket";
    StoreError::Refused(ApiError::conflict(ConflictReason::Exists, message))
}

/// Enters a socket, or gives the one that is there other scopes.
///
/// # Errors
/// `conflict`, reason `exists`, where another component has this path; `quota_exceeded` where there are
/// as many sockets as there may be.
pub fn open(
    tx: &Tx<'_>,
    _caller: &Caller,
    component_id: &ComponentId,
    path: Option<&SocketPath>,
    scopes: &Scopes,
) -> Result<StoredSocket> {
    let connection = tx.connection();
    if let Some(path) = path {
        let whose: Option<String> = connection
            .prepare_cached("SELECT component_id FROM component_sockets WHERE path = ?1")?
            .query_row([path.as_str()], |row| row.get(0))
            .optional()?;
        if whose.is_some_and(|whose| whose != component_id.as_str()) {
            return Err(is_anothers());
        }
    }
    let others: u64 = connection
        .prepare_cached(
            "SELECT count(*) FROM component_sockets WHERE NOT (component_id = ?1 AND path = ?2)",
        )?
        .query_row((component_id.as_str(), path_column(path)), |row| row.get(0))?;
    if others >= MAX_SOCKETS {
        return Err(quota("there are as many sockets as there may be: close some"));
    }
    let created_at = connection
        .prepare_cached(
            "INSERT INTO component_sockets (component_id, path, scopes_json, created_at)
             VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (component_id, path) DO UPDATE SET scopes_json = excluded.scopes_json
             RETURNING created_at",
        )?
        .query_row(
            (component_id.as_str(), path_column(path), scopes_column(scopes)?, tx.now()),
            |row| row.get(0),
        )?;
    Ok(StoredSocket {
        component_id: component_id.clone(),
        path: path.cloned(),
        scopes: scopes.clone(),
        created_at,
    })
}

/// Removes a component's socket; false where there was none.
///
/// # Errors
/// Where the row can't be removed.
pub fn close(
    tx: &Tx<'_>,
    _caller: &Caller,
    component_id: &ComponentId,
    path: Option<&SocketPath>,
) -> Result<bool> {
    let removed = tx
        .connection()
        .prepare_cached("DELETE FROM component_sockets WHERE component_id = ?1 AND path = ?2")?
        .execute((component_id.as_str(), path_column(path)))?;
    Ok(removed > 0)
}

/// All sockets, by component and path.
///
/// # Errors
/// Where the rows can't be read.
pub fn all(reader: Reader<'_>) -> Result<Vec<StoredSocket>> {
    let mut statement = reader.connection().prepare_cached(
        "SELECT component_id, path, scopes_json, created_at FROM component_sockets
         ORDER BY component_id, path",
    )?;
    let rows = statement.query_map([], |row| {
        let path: String = row.get(1)?;
        Ok(StoredSocket {
            component_id: columns::text(row, 0)?,
            path: if path.is_empty() { None } else { Some(columns::text(row, 1)?) },
            scopes: scopes_from_row(row, 2)?,
            created_at: row.get(3)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
