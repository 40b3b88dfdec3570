//! `application_config`: JSON values under keys, for each application. The owner's only.

use osnova_storage_api::application_config::{
    ConfigEntry, ConfigPage, DeleteParams, GetParams, ListParams, SetParams,
};
use osnova_storage_api::components::Direction;
use osnova_storage_api::wire::{ApplicationId, ConfigKey, Deleted, Revision, Timestamp};
use rusqlite::{OptionalExtension, Row};

use super::keyset::{self, Listed, Range, Scan};
use super::page::Query;
use super::tx::{ChangeKind, Reader, Tx, check_revision};
use super::{applications, columns};
use crate::caller::Caller;
use crate::error::{Result, StoreError};

const NAMESPACE: &str = "applicationConfig";

/// A query of whole rows, as [`from_row`] reads them.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT application_id, key, value, updated_at, revision FROM application_config ",
            $rest
        )
    };
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<ConfigEntry> {
    Ok(ConfigEntry {
        application_id: columns::text(row, 0)?,
        key: columns::text(row, 1)?,
        value: columns::json(row, 2)?,
        updated_at: Timestamp(row.get(3)?),
        revision: Revision(row.get(4)?),
    })
}

/// Reads one setting.
///
/// # Errors
/// `not_found`.
pub fn get(reader: Reader<'_>, _caller: &Caller, params: &GetParams) -> Result<ConfigEntry> {
    reader
        .connection()
        .prepare_cached(select!("WHERE application_id = ?1 AND key = ?2"))?
        .query_row((params.application_id.as_str(), params.key.as_str()), from_row)
        .optional()?
        .ok_or_else(|| StoreError::not_found("setting"))
}

/// Sets one setting.
///
/// # Errors
/// `conflict`: `revision` where `ifRevision` does not match, `foreign_key` where the application is not
/// installed.
pub fn set(tx: &Tx<'_>, _caller: &Caller, params: &SetParams) -> Result<ConfigEntry> {
    let (id, key) = (&params.application_id, &params.key);
    if !applications::exists(tx.reader(), id)? {
        return Err(StoreError::foreign_key("the application is not installed"));
    }
    check_revision(params.if_revision, revision(tx.reader(), id, key)?)?;
    let revision = tx.record_change(NAMESPACE, &[id.as_str(), key.as_str()], ChangeKind::Put)?;
    tx.connection()
        .prepare_cached(
            "INSERT INTO application_config (application_id, key, value, updated_at, revision)
             VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (application_id, key) DO UPDATE SET value = excluded.value,
               updated_at = excluded.updated_at, revision = excluded.revision",
        )?
        .execute((id.as_str(), key.as_str(), params.value.get(), tx.now(), revision.0))?;
    Ok(ConfigEntry {
        application_id: id.clone(),
        key: key.clone(),
        value: params.value.clone(),
        updated_at: Timestamp(tx.now()),
        revision,
    })
}

fn revision(reader: Reader<'_>, id: &ApplicationId, key: &ConfigKey) -> Result<Option<Revision>> {
    let revision = reader
        .connection()
        .prepare_cached(
            "SELECT revision FROM application_config WHERE application_id = ?1 AND key = ?2",
        )?
        .query_row((id.as_str(), key.as_str()), |row| row.get(0))
        .optional()?;
    Ok(revision.map(Revision))
}

/// A page of an application's settings, by key.
///
/// # Errors
/// `validation_error` where the cursor is another list's.
pub fn list(reader: Reader<'_>, _caller: &Caller, params: &ListParams) -> Result<ConfigPage> {
    let id = params.application_id.as_str();
    let prefix = params.prefix.as_ref().map_or("", ConfigKey::as_str);
    let query = Query::new("applicationConfig.list", &[id, prefix], params.limit);
    let (filters, [from, end]) = keyset::prefix(prefix);
    let scan = Scan {
        select: select!(""),
        ranges: &[Range::BY_ID],
        id: "key",
        direction: Direction::Ascending,
        arms: &["application_id = :application"],
        filters,
        bound: &[(":application", keyset::text(Some(id))), from, end],
    };
    let (items, next_cursor) =
        keyset::list(reader, &query, params.cursor.as_ref(), &scan, |row| {
            let item = from_row(row)?;
            Ok(Listed {
                order: serde_json::Value::Null,
                id: item.key.as_str().to_owned(),
                bytes: item.value.get().len() + 1200,
                item,
            })
        })?;
    Ok(ConfigPage { items, next_cursor })
}

/// Deletes one setting.
///
/// # Errors
/// `conflict` where `ifRevision` does not match.
pub fn delete(tx: &Tx<'_>, _caller: &Caller, params: &DeleteParams) -> Result<Deleted> {
    let (id, key) = (&params.application_id, &params.key);
    let current = revision(tx.reader(), id, key)?;
    check_revision(params.if_revision, current)?;
    if current.is_none() {
        return Ok(Deleted { deleted: false });
    }
    tx.connection()
        .prepare_cached("DELETE FROM application_config WHERE application_id = ?1 AND key = ?2")?
        .execute((id.as_str(), key.as_str()))?;
    tx.record_change(NAMESPACE, &[id.as_str(), key.as_str()], ChangeKind::Delete)?;
    Ok(Deleted { deleted: true })
}
