//! `schema_version`: the migrations that were applied.

use osnova_storage_api::schema::{AppliedMigration, DatabaseVersion, MigrationHistory};
use osnova_storage_api::wire::Timestamp;

use super::migrations;
use super::tx::Reader;
use crate::caller::Caller;
use crate::error::Result;

/// The version of the database, and the latest there is.
///
/// # Errors
/// Where the database can't be read.
pub fn version(reader: Reader<'_>, _caller: &Caller) -> Result<DatabaseVersion> {
    let version = reader
        .connection()
        .prepare_cached("SELECT max(version) FROM schema_version")?
        .query_row([], |row| row.get(0))?;
    Ok(DatabaseVersion { version, latest: migrations::latest() })
}

/// All migrations that were applied.
///
/// # Errors
/// Where the database can't be read.
pub fn history(reader: Reader<'_>, _caller: &Caller) -> Result<MigrationHistory> {
    let mut statement = reader.connection().prepare_cached(
        "SELECT version, applied_at, description FROM schema_version ORDER BY version",
    )?;
    let items = statement.query_map([], |row| {
        Ok(AppliedMigration {
            version: row.get(0)?,
            applied_at: Timestamp(row.get(1)?),
            description: row.get(2)?,
        })
    })?;
    Ok(MigrationHistory { items: items.collect::<rusqlite::Result<_>>()? })
}
