//! `user_preferences`: JSON values under keys. The owner's only.

use osnova_storage_api::components::Direction;
use osnova_storage_api::preferences::{
    DeleteParams, GetParams, ListParams, Preference, PreferenceInput, PreferencePage,
    SetManyParams, SetParams, StoredPreferences,
};
use osnova_storage_api::wire::{Deleted, JsonText, PreferenceKey, Revision, Timestamp};
use rusqlite::{OptionalExtension, Row};

use super::columns;
use super::keyset::{self, Listed, Range, Scan};
use super::page::Query;
use super::tx::{ChangeKind, Reader, Tx, check_revision};
use crate::caller::Caller;
use crate::error::{Result, StoreError};

const NAMESPACE: &str = "preferences";

/// A query of whole rows, as [`from_row`] reads them.
macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT key, value, updated_at, revision FROM user_preferences ", $rest)
    };
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Preference> {
    Ok(Preference {
        key: columns::text(row, 0)?,
        value: columns::json(row, 1)?,
        updated_at: Timestamp(row.get(2)?),
        revision: Revision(row.get(3)?),
    })
}

/// Reads one preference.
///
/// # Errors
/// `not_found`.
pub fn get(reader: Reader<'_>, _caller: &Caller, params: &GetParams) -> Result<Preference> {
    reader
        .connection()
        .prepare_cached(select!("WHERE key = ?1"))?
        .query_row([params.key.as_str()], from_row)
        .optional()?
        .ok_or_else(|| StoreError::not_found("preference"))
}

/// Sets one preference.
///
/// # Errors
/// `conflict` where `ifRevision` does not match.
pub fn set(tx: &Tx<'_>, _caller: &Caller, params: &SetParams) -> Result<Preference> {
    store(tx, &params.key, &params.value, params.if_revision)
}

/// Sets many preferences, in order; the first that can't be set fails them all.
///
/// # Errors
/// `conflict` with the `index` of the item whose `ifRevision` does not match.
pub fn set_many(
    tx: &Tx<'_>,
    _caller: &Caller,
    params: &SetManyParams,
) -> Result<StoredPreferences> {
    let store_one = |(index, item): (usize, &PreferenceInput)| {
        store(tx, &item.key, &item.value, item.if_revision).map_err(|error| error.at_index(index))
    };
    let items = params.items.iter().enumerate().map(store_one).collect::<Result<_>>()?;
    Ok(StoredPreferences { items })
}

fn store(
    tx: &Tx<'_>,
    key: &PreferenceKey,
    value: &JsonText,
    if_revision: Option<Revision>,
) -> Result<Preference> {
    if if_revision.is_some() {
        check_revision(if_revision, revision(tx.reader(), key)?)?;
    }
    let revision = tx.record_change(NAMESPACE, &[key.as_str()], ChangeKind::Put)?;
    tx.connection()
        .prepare_cached(
            "INSERT INTO user_preferences (key, value, updated_at, revision) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value,
               updated_at = excluded.updated_at, revision = excluded.revision",
        )?
        .execute((key.as_str(), value.get(), tx.now(), revision.0))?;
    Ok(Preference {
        key: key.clone(),
        value: value.clone(),
        updated_at: Timestamp(tx.now()),
        revision,
    })
}

fn revision(reader: Reader<'_>, key: &PreferenceKey) -> Result<Option<Revision>> {
    let revision = reader
        .connection()
        .prepare_cached("SELECT revision FROM user_preferences WHERE key = ?1")?
        .query_row([key.as_str()], |row| row.get(0))
        .optional()?;
    Ok(revision.map(Revision))
}

/// A page of preferences, by key.
///
/// # Errors
/// `validation_error` where the cursor is another list's.
pub fn list(reader: Reader<'_>, _caller: &Caller, params: &ListParams) -> Result<PreferencePage> {
    let prefix = params.prefix.as_ref().map_or("", PreferenceKey::as_str);
    let query = Query::new("preferences.list", &[prefix], params.limit);
    let (filters, bound) = keyset::prefix(prefix);
    let scan = Scan {
        select: select!(""),
        ranges: &[Range::BY_ID],
        id: "key",
        direction: Direction::Ascending,
        arms: &["1"],
        filters,
        bound: &bound,
    };
    let (items, next_cursor) =
        keyset::list(reader, &query, params.cursor.as_ref(), &scan, |row| {
            let item = from_row(row)?;
            let id = item.key.as_str().to_owned();
            let bytes = id.len() + item.value.get().len() + 80;
            Ok(Listed { item, order: serde_json::Value::Null, id, bytes })
        })?;
    Ok(PreferencePage { items, next_cursor })
}

/// Deletes one preference.
///
/// # Errors
/// `conflict` where `ifRevision` does not match.
pub fn delete(tx: &Tx<'_>, _caller: &Caller, params: &DeleteParams) -> Result<Deleted> {
    let current = revision(tx.reader(), &params.key)?;
    check_revision(params.if_revision, current)?;
    if current.is_none() {
        return Ok(Deleted { deleted: false });
    }
    tx.connection()
        .prepare_cached("DELETE FROM user_preferences WHERE key = ?1")?
        .execute([params.key.as_str()])?;
    tx.record_change(NAMESPACE, &[params.key.as_str()], ChangeKind::Delete)?;
    Ok(Deleted { deleted: true })
}
