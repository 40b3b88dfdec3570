//! Credentials of components: what the daemon takes them by, kept over restarts. The owner's only.
//!
//! What is live is the server's: it reads all of them when it starts, and follows each change once it
//! is committed.

pub mod sockets;
pub mod tokens;

use osnova_storage_api::wire::Scope;
use osnova_storage_api::{ApiError, ErrorCode};
use rusqlite::Row;

use super::columns;
use crate::caller::Scopes;
use crate::error::{Result, StoreError};

/// Scopes as their column holds them: a JSON array, or NULL for all.
fn scopes_column(scopes: &Scopes) -> Result<Option<String>> {
    let write = |scopes: &[Scope]| {
        serde_json::to_string(scopes)
            .map_err(|error| StoreError::Internal(format!("scopes can't be written: {error}")))
    };
    scopes.listed().map(write).transpose()
}

fn scopes_from_row(row: &Row<'_>, column: usize) -> rusqlite::Result<Scopes> {
    let listed: Option<Vec<Scope>> = match row.get_ref(column)? {
        rusqlite::types::ValueRef::Null => None,
        _ => Some(columns::json_as(row, column)?),
    };
    Ok(listed.into())
}

fn quota(message: &str) -> StoreError {
    StoreError::Refused(ApiError::new(ErrorCode::QuotaExceeded, message))
}
