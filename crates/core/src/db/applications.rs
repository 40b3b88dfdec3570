//! `applications`: what a user starts, read by all, written by the owner.

use std::collections::BTreeMap;

use osnova_storage_api::ApiError;
use osnova_storage_api::applications::{
    Application, ApplicationOrder, ApplicationPage, ChangeParams, GetParams, ListParams, PutParams,
};
use osnova_storage_api::components::Direction;
use osnova_storage_api::wire::{
    ApplicationId, BlobHash, Deleted, Name, Revision, Role, Timestamp, UnsignedInteger,
};
use rusqlite::{OptionalExtension, Row};

use super::keyset::{self, Listed, Range, Scan};
use super::page::{ESCAPED, Query};
use super::search::Searched;
use super::tx::{ChangeKind, Reader, Tx, check_revision};
use super::{blobs, columns};
use crate::caller::Caller;
use crate::error::{Result, StoreError};

const NAMESPACE: &str = "applications";
/// The role of the icon among an application's blobs.
const ICON: &str = "icon";

/// The columns of a whole application, as [`from_row`] reads them.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT application_id, name, version, description, author, icon_blob_hash, manifest_json,
                    autonomi_address, installed_at, last_launched, coalesce(launch_count, 0), revision,
                    last_launched_seq,
                    (SELECT json_group_object(role, lower(hex(hash)))
                     FROM blob_references JOIN blob_contents USING (content_id)
                     WHERE namespace = 'applications' AND record_key = application_id
                       AND role <> 'icon')
             FROM applications ",
            $rest
        )
    };
}

/// An application, and its place in the order of launches.
struct Stored {
    application: Application,
    last_launched_seq: Option<u64>,
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Stored> {
    let application = Application {
        application_id: columns::text(row, 0)?,
        name: columns::text(row, 1)?,
        version: columns::text(row, 2)?,
        description: columns::optional_text(row, 3)?,
        author: columns::optional_text(row, 4)?,
        icon_blob_hash: columns::optional_hash_text(row, 5)?,
        manifest: columns::json(row, 6)?,
        autonomi_address: columns::optional_text(row, 7)?,
        installed_at: Timestamp(row.get(8)?),
        last_launched: row.get::<_, Option<i64>>(9)?.map(Timestamp),
        launch_count: UnsignedInteger(row.get(10)?),
        revision: Revision(row.get(11)?),
        blobs: columns::json_as::<BTreeMap<Role, BlobHash>>(row, 13)?,
    };
    Ok(Stored { application, last_launched_seq: row.get(12)? })
}

/// Reads one application.
///
/// # Errors
/// `not_found`.
pub fn get(reader: Reader<'_>, _caller: &Caller, params: &GetParams) -> Result<Application> {
    find(reader, &params.application_id)
}

fn find(reader: Reader<'_>, id: &ApplicationId) -> Result<Application> {
    find_any(reader, id)?.ok_or_else(|| StoreError::not_found("application"))
}

/// Reads one application where it is there.
pub(super) fn find_any(reader: Reader<'_>, id: &ApplicationId) -> Result<Option<Application>> {
    let stored = reader
        .connection()
        .prepare_cached(select!("WHERE application_id = ?1"))?
        .query_row([id.as_str()], from_row)
        .optional()?;
    Ok(stored.map(|stored| stored.application))
}

/// Stores an application and its blob references.
///
/// # Errors
/// `conflict`: `revision` where `ifRevision` does not match, `foreign_key` where it names a blob that
/// the caller can't see. `validation_error` where its blobs have the role of the icon.
pub fn put(tx: &Tx<'_>, caller: &Caller, params: &PutParams) -> Result<Application> {
    let input = &params.application;
    let id = &input.application_id;
    check_revision(params.if_revision, revision(tx.reader(), id)?)?;
    let mut named = input.blobs.clone().unwrap_or_default();
    let icon: Role = ICON.parse().map_err(StoreError::Internal)?;
    if named.contains_key(&icon) {
        let why = "is no role: the icon stands in iconBlobHash";
        return Err(ApiError::field("application.blobs.icon", why).into());
    }
    if let Some(hash) = input.icon_blob_hash {
        named.insert(icon, hash);
    }
    let revision = tx.record_change(NAMESPACE, &[id.as_str()], ChangeKind::Put)?;
    let texts = [
        Some(input.name.as_str()),
        input.description.as_ref().map(|text| text.as_str()),
        input.author.as_ref().map(Name::as_str),
        Some(input.manifest.get()),
    ];
    tx.note_search_of(Searched::Applications, id.as_str(), texts)?;
    tx.connection()
        .prepare_cached(
            "INSERT INTO applications (application_id, name, version, description, author,
               icon_blob_hash, manifest_json, autonomi_address, installed_at, launch_count, revision)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, coalesce(?9, ?10), 0, ?11)
             ON CONFLICT (application_id) DO UPDATE SET name = excluded.name,
               version = excluded.version, description = excluded.description,
               author = excluded.author, icon_blob_hash = excluded.icon_blob_hash,
               manifest_json = excluded.manifest_json, autonomi_address = excluded.autonomi_address,
               installed_at = coalesce(?9, installed_at), revision = excluded.revision",
        )?
        .execute((
            id.as_str(),
            input.name.as_str(),
            input.version.as_str(),
            input.description.as_ref().map(|text| text.as_str()),
            input.author.as_ref().map(Name::as_str),
            input.icon_blob_hash.map(|hash| hash.to_string()),
            input.manifest.get(),
            input.autonomi_address.as_ref().map(Name::as_str),
            input.installed_at.map(|time| time.0),
            tx.now(),
            revision.0,
        ))?;
    blobs::set_references(tx, caller, NAMESPACE, id.as_str(), &named)?;
    find(tx.reader(), id)
}

fn revision(reader: Reader<'_>, id: &ApplicationId) -> Result<Option<Revision>> {
    let revision = reader
        .connection()
        .prepare_cached("SELECT revision FROM applications WHERE application_id = ?1")?
        .query_row([id.as_str()], |row| row.get(0))
        .optional()?;
    Ok(revision.map(Revision))
}

/// Whether an application is installed.
pub(super) fn exists(reader: Reader<'_>, id: &ApplicationId) -> Result<bool> {
    Ok(revision(reader, id)?.is_some())
}

/// The parts of an order.
fn ranges(order: ApplicationOrder) -> &'static [Range] {
    match order {
        ApplicationOrder::InstalledAt => const { &[Range::by("installed_at")] },
        ApplicationOrder::Name => const { &[Range::by("name")] },
        ApplicationOrder::LastLaunched => &[
            Range {
                column: "last_launched_seq",
                condition: "last_launched_seq IS NOT NULL",
                by_id_alone: false,
            },
            Range { column: "", condition: "last_launched_seq IS NULL", by_id_alone: true },
        ],
    }
}

/// A page of applications.
///
/// # Errors
/// `validation_error` where the cursor is another list's.
pub fn list(reader: Reader<'_>, _caller: &Caller, params: &ListParams) -> Result<ApplicationPage> {
    let order = params.order_by.unwrap_or(ApplicationOrder::InstalledAt);
    let direction = params.direction.unwrap_or(match order {
        ApplicationOrder::Name => Direction::Ascending,
        ApplicationOrder::InstalledAt | ApplicationOrder::LastLaunched => Direction::Descending,
    });
    let filter = [order.as_str(), direction.as_str()];
    let query = Query::new("applications.list", &filter, params.limit);
    let scan = Scan {
        select: select!(""),
        ranges: ranges(order),
        id: "application_id",
        direction,
        arms: &["1"],
        filters: &[],
        bound: &[],
    };
    let (items, next_cursor) =
        keyset::list(reader, &query, params.cursor.as_ref(), &scan, |row| {
            let Stored { application, last_launched_seq } = from_row(row)?;
            Ok(Listed {
                order: match order {
                    ApplicationOrder::InstalledAt => application.installed_at.0.into(),
                    ApplicationOrder::Name => application.name.as_str().into(),
                    ApplicationOrder::LastLaunched => last_launched_seq.into(),
                },
                id: application.application_id.as_str().to_owned(),
                bytes: application.manifest.get().len()
                    + ESCAPED
                        * application.description.as_ref().map_or(0, |text| text.as_str().len())
                    + application.blobs.keys().map(|role| role.as_str().len() + 70).sum::<usize>()
                    + 600,
                item: application,
            })
        })?;
    Ok(ApplicationPage { items, next_cursor })
}

/// Counts a launch.
///
/// # Errors
/// `not_found`; `conflict` where `ifRevision` does not match.
pub fn record_launch(tx: &Tx<'_>, _caller: &Caller, params: &ChangeParams) -> Result<Application> {
    let id = &params.application_id;
    let current = revision(tx.reader(), id)?;
    check_revision(params.if_revision, current)?;
    if current.is_none() {
        return Err(StoreError::not_found("application"));
    }
    let revision = tx.record_change(NAMESPACE, &[id.as_str()], ChangeKind::Put)?;
    // Revisions rise, so they are an order of launches too.
    tx.connection()
        .prepare_cached(
            "UPDATE applications SET launch_count = coalesce(launch_count, 0) + 1,
               last_launched = max(coalesce(last_launched, ?2), ?2), last_launched_seq = ?3,
               revision = ?3
             WHERE application_id = ?1",
        )?
        .execute((id.as_str(), tx.now(), revision.0))?;
    find(tx.reader(), id)
}

/// Deletes an application with its configuration and blob references.
///
/// # Errors
/// `conflict` where `ifRevision` does not match.
pub fn delete(tx: &Tx<'_>, _caller: &Caller, params: &ChangeParams) -> Result<Deleted> {
    let id = &params.application_id;
    let current = revision(tx.reader(), id)?;
    check_revision(params.if_revision, current)?;
    if current.is_none() {
        return Ok(Deleted { deleted: false });
    }
    let settings = tx
        .connection()
        .prepare_cached("DELETE FROM application_config WHERE application_id = ?1")?
        .execute([id.as_str()])?;
    if settings > 0 {
        // What a delete takes along is one event a table.
        tx.record_change("applicationConfig", &[id.as_str()], ChangeKind::Delete)?;
    }
    blobs::set_references(tx, &Caller::Owner, NAMESPACE, id.as_str(), &BTreeMap::new())?;
    tx.connection()
        .prepare_cached("DELETE FROM applications WHERE application_id = ?1")?
        .execute([id.as_str()])?;
    tx.note_search(Searched::Applications, id.as_str());
    tx.record_change(NAMESPACE, &[id.as_str()], ChangeKind::Delete)?;
    Ok(Deleted { deleted: true })
}
