//! `components`: what is installed, read by all, written by the owner.

mod dependencies;
mod list;

use std::collections::{BTreeMap, HashMap};

use osnova_storage_api::components::{
    Component, ComponentInput, ComponentType, DeleteParams, GetParams, PutParams,
};
use osnova_storage_api::wire::{BlobHash, ComponentId, Deleted, Name, Revision, Role, Timestamp};
use osnova_storage_api::{ApiError, ConflictReason};
use rusqlite::{OptionalExtension, Row};

pub use dependencies::{dependencies, dependents};
pub use list::list;

use super::deferred::Touch;
use super::search::Searched;
use super::tx::{ChangeKind, Reader, Tx, check_revision};
use super::{blobs, columns, registry, storage};
use crate::caller::Caller;
use crate::error::{Result, StoreError};

const NAMESPACE: &str = "components";

/// The columns of a whole component, as [`from_row`] reads them. Most components name no blob; to ask
/// first whether one does costs a fifth of building an empty object.
macro_rules! select_component {
    ($rest:literal) => {
        concat!(
            "SELECT component_id, name, version, type, description, author, license, manifest_json,
                    autonomi_address, installed_at, last_used, revision, last_used_seq,
                    CASE WHEN EXISTS (SELECT 1 FROM blob_references
                                      WHERE namespace = 'components' AND record_key = component_id)
                      THEN (SELECT json_group_object(role, lower(hex(hash)))
                            FROM blob_references JOIN blob_contents USING (content_id)
                            WHERE namespace = 'components' AND record_key = component_id)
                      ELSE '{}' END
             FROM components ",
            $rest
        )
    };
}
use select_component;

/// A component, and its place in the order of use.
struct Stored {
    component: Component,
    last_used_seq: Option<u64>,
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Stored> {
    let component = Component {
        component_id: columns::text(row, 0)?,
        name: columns::text(row, 1)?,
        version: columns::text(row, 2)?,
        r#type: columns::word(row, 3, ComponentType::from_word)?,
        description: columns::optional_text(row, 4)?,
        author: columns::optional_text(row, 5)?,
        license: columns::optional_text(row, 6)?,
        manifest: columns::json(row, 7)?,
        autonomi_address: columns::optional_text(row, 8)?,
        installed_at: Timestamp(row.get(9)?),
        last_used: row.get::<_, Option<i64>>(10)?.map(Timestamp),
        revision: Revision(row.get(11)?),
        blobs: columns::json_as::<BTreeMap<Role, BlobHash>>(row, 13)?,
    };
    Ok(Stored { component, last_used_seq: row.get(12)? })
}

/// Reads one component.
///
/// # Errors
/// `not_found`.
pub fn get(reader: Reader<'_>, _caller: &Caller, params: &GetParams) -> Result<Component> {
    find(reader, &params.component_id)?.ok_or_else(|| StoreError::not_found("component"))
}

pub(super) fn find(reader: Reader<'_>, id: &ComponentId) -> Result<Option<Component>> {
    let stored = reader
        .connection()
        .prepare_cached(select_component!("WHERE component_id = ?1"))?
        .query_row([id.as_str()], from_row)
        .optional()?;
    Ok(stored.map(|stored| stored.component))
}

/// Stores a component, its dependencies and its blob references.
///
/// # Errors
/// `conflict`: `revision` where `ifRevision` does not match, `foreign_key` where it names a blob that
/// the caller can't see.
pub fn put(tx: &Tx<'_>, caller: &Caller, params: &PutParams) -> Result<Component> {
    let input = &params.component;
    let id = &input.component_id;
    if params.if_revision.is_some() {
        check_revision(params.if_revision, revision(tx.reader(), id)?)?;
    }
    let revision = tx.record_change(NAMESPACE, &[id.as_str()], ChangeKind::Put)?;
    let texts = [
        Some(input.name.as_str()),
        input.description.as_ref().map(|text| text.as_str()),
        input.author.as_ref().map(Name::as_str),
        Some(input.manifest.get()),
    ];
    tx.note_search_of(Searched::Components, id.as_str(), texts)?;
    let (installed_at, last_used) = store(tx, input, revision)?;
    dependencies::store(tx, id, &input.manifest)?;
    let named = input.blobs.clone().unwrap_or_default();
    blobs::set_references(tx, caller, NAMESPACE, id.as_str(), &named)?;
    Ok(Component {
        component_id: id.clone(),
        name: input.name.clone(),
        version: input.version.clone(),
        r#type: input.r#type,
        description: input.description.clone(),
        author: input.author.clone(),
        license: input.license.clone(),
        manifest: input.manifest.clone(),
        autonomi_address: input.autonomi_address.clone(),
        installed_at: Timestamp(installed_at),
        last_used: last_used.map(Timestamp),
        blobs: named,
        revision,
    })
}

/// Writes a component's row; says when it was installed and last used.
///
/// SQLite writes an index anew for every column that an UPDATE names, changed or not, and six indexes
/// stand on those that hardly ever change. So where none of them does, only the others are named: a
/// component put again touches a third of the pages.
fn store(tx: &Tx<'_>, input: &ComponentInput, revision: Revision) -> Result<(i64, Option<i64>)> {
    // The two statements number their parameters alike, so one list serves both.
    let values = (
        input.component_id.as_str(),
        input.name.as_str(),
        input.version.as_str(),
        input.r#type.as_str(),
        input.description.as_ref().map(|text| text.as_str()),
        input.author.as_ref().map(Name::as_str),
        input.license.as_ref().map(Name::as_str),
        input.manifest.get(),
        input.autonomi_address.as_ref().map(Name::as_str),
        input.installed_at.map(|time| time.0),
        tx.now(),
        revision.0,
    );
    let times = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let updated = tx
        .connection()
        .prepare_cached(
            "UPDATE components SET description = ?5, author = ?6, license = ?7, manifest_json = ?8,
               autonomi_address = ?9, revision = ?12
             WHERE component_id = ?1 AND name = ?2 AND version = ?3 AND type = ?4
               AND installed_at = coalesce(?10, installed_at)
             RETURNING installed_at, last_used",
        )?
        .query_row(values, times)
        .optional()?;
    if let Some(updated) = updated {
        return Ok(updated);
    }
    let stored = tx
        .connection()
        .prepare_cached(
            "INSERT INTO components (component_id, name, version, type, description, author, license,
               manifest_json, autonomi_address, installed_at, revision)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, coalesce(?10, ?11), ?12)
             ON CONFLICT (component_id) DO UPDATE SET name = excluded.name, version = excluded.version,
               type = excluded.type, description = excluded.description, author = excluded.author,
               license = excluded.license, manifest_json = excluded.manifest_json,
               autonomi_address = excluded.autonomi_address,
               installed_at = coalesce(?10, installed_at), revision = excluded.revision
             RETURNING installed_at, last_used",
        )?
        .query_row(values, times)?;
    Ok(stored)
}

fn revision(reader: Reader<'_>, id: &ComponentId) -> Result<Option<Revision>> {
    let revision = reader
        .connection()
        .prepare_cached("SELECT revision FROM components WHERE component_id = ?1")?
        .query_row([id.as_str()], |row| row.get(0))
        .optional()?;
    Ok(revision.map(Revision))
}

/// Whether a component exists.
///
/// # Errors
/// Where the database can't be read.
pub(crate) fn exists(reader: Reader<'_>, id: &ComponentId) -> Result<bool> {
    Ok(revision(reader, id)?.is_some())
}

/// Deletes a component with its registry row, its stored values, dependencies and blob references.
///
/// # Errors
/// `conflict`: `revision` where `ifRevision` does not match, `transition` while it runs.
pub fn delete(tx: &Tx<'_>, _caller: &Caller, params: &DeleteParams) -> Result<Deleted> {
    let id = &params.component_id;
    let current = revision(tx.reader(), id)?;
    check_revision(params.if_revision, current)?;
    if current.is_none() {
        // Values may be stored for one that was never installed, and nothing else would take them away.
        storage::delete_all(tx, id)?;
        return Ok(Deleted { deleted: false });
    }
    let status: Option<String> = tx
        .connection()
        .prepare_cached("SELECT status FROM component_registry WHERE component_id = ?1")?
        .query_row([id.as_str()], |row| row.get(0))
        .optional()?;
    if let Some("starting" | "running" | "stopping") = status.as_deref() {
        return Err(StoreError::Refused(ApiError::conflict(
            ConflictReason::Transition,
            "the component runs: stop it first",
        )));
    }
    if status.is_some() {
        registry::forget(tx, id)?;
    }
    storage::delete_all(tx, id)?;
    blobs::set_references(tx, &Caller::Owner, NAMESPACE, id.as_str(), &BTreeMap::new())?;
    tx.connection()
        .prepare_cached("DELETE FROM components WHERE component_id = ?1")?
        .execute([id.as_str()])?;
    tx.note_search(Searched::Components, id.as_str());
    tx.record_change(NAMESPACE, &[id.as_str()], ChangeKind::Delete)?;
    Ok(Deleted { deleted: true })
}

/// Writes pending touches in the order in which they were made. Components deleted meanwhile are
/// passed over.
///
/// # Errors
/// Where the rows can't be written.
pub(super) fn flush_touches(tx: &Tx<'_>, touches: &HashMap<String, Touch>) -> Result<()> {
    let mut in_order: Vec<(&String, &Touch)> = touches.iter().collect();
    in_order.sort_unstable_by_key(|(_, touch)| touch.order);
    let mut last: u64 = tx
        .connection()
        .prepare_cached("SELECT coalesce(max(last_used_seq), 0) FROM components")?
        .query_row([], |row| row.get(0))?;
    let mut update = tx.connection().prepare_cached(
        "UPDATE components SET last_used = max(coalesce(last_used, ?2), ?2), last_used_seq = ?3
         WHERE component_id = ?1",
    )?;
    for (id, touch) in in_order {
        last += 1;
        update.execute((id, touch.used_at, last))?;
    }
    Ok(())
}
