//! `keys_metadata`, `key_indices`: which keys components have derived, and which index is next.

use std::collections::HashMap;

use osnova_storage_api::components::Direction;
use osnova_storage_api::keys::{
    DeleteParams, GetByPublicKeyParams, GetParams, KeyInfo, KeyPage, KeyType, ListParams,
    RegisterParams, ReserveIndexParams, ReservedIndex, TouchParams,
};
use osnova_storage_api::wire::{
    ComponentId, Deleted, DerivationIndex, PublicKey, Revision, Text, Timestamp,
};
use osnova_storage_api::{ApiError, ErrorCode};
use rusqlite::{OptionalExtension, Row};

use super::columns;
use super::deferred::Touch;
use super::keyset::{self, Listed, Range, Scan};
use super::page::{ESCAPED, Query};
use super::tx::{ChangeKind, Reader, Tx, check_revision};
use crate::caller::Caller;
use crate::error::{Result, StoreError};

const NAMESPACE: &str = "keys";
const WHAT: &str = "key";
/// The last index there is: those above are of another kind of derivation (BIP-32).
const MAX_INDEX: i64 = 2_147_483_647;

/// A query of whole rows, as [`from_row`] reads them.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT component_id, derivation_index, public_key, key_type, purpose, created_at,
                    last_used, revision
             FROM keys_metadata ",
            $rest
        )
    };
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<KeyInfo> {
    Ok(KeyInfo {
        component_id: columns::text(row, 0)?,
        derivation_index: DerivationIndex(row.get(1)?),
        public_key: columns::text(row, 2)?,
        key_type: columns::word(row, 3, KeyType::from_word)?,
        purpose: columns::optional_text(row, 4)?,
        created_at: Timestamp(row.get(5)?),
        last_used: row.get::<_, Option<i64>>(6)?.map(Timestamp),
        revision: Revision(row.get(7)?),
    })
}

/// Reads a key by its index.
///
/// # Errors
/// `not_found`.
pub fn get(reader: Reader<'_>, caller: &Caller, params: &GetParams) -> Result<KeyInfo> {
    let id = caller.own(params.component_id.as_ref(), WHAT)?;
    reader
        .connection()
        .prepare_cached(select!("WHERE component_id = ?1 AND derivation_index = ?2"))?
        .query_row((id.as_str(), params.derivation_index.0), from_row)
        .optional()?
        .ok_or_else(|| StoreError::not_found(WHAT))
}

/// Reads a key by its public part.
///
/// # Errors
/// `not_found`, of another's too.
pub fn get_by_public_key(
    reader: Reader<'_>,
    caller: &Caller,
    params: &GetByPublicKeyParams,
) -> Result<KeyInfo> {
    visible(reader, caller, &params.public_key)?.ok_or_else(|| StoreError::not_found(WHAT))
}

fn find(reader: Reader<'_>, public_key: &PublicKey) -> Result<Option<KeyInfo>> {
    let found = reader
        .connection()
        .prepare_cached(select!("WHERE public_key = ?1"))?
        .query_row([public_key.as_str()], from_row)
        .optional()?;
    Ok(found)
}

/// A key that is the caller's to see.
pub(crate) fn visible(
    reader: Reader<'_>,
    caller: &Caller,
    public_key: &PublicKey,
) -> Result<Option<KeyInfo>> {
    Ok(find(reader, public_key)?.filter(|key| caller.sees(Some(&key.component_id))))
}

/// Takes the next index of a component.
///
/// # Errors
/// `not_found` where a component names another; `quota_exceeded` where there is none left.
pub fn reserve_index(
    tx: &Tx<'_>,
    caller: &Caller,
    params: &ReserveIndexParams,
) -> Result<ReservedIndex> {
    let id = caller.own(params.component_id.as_ref(), WHAT)?;
    Ok(ReservedIndex { derivation_index: take_index(tx, id, None)? })
}

/// Takes an index, the next one where none is named; those up to it are never given again.
fn take_index(
    tx: &Tx<'_>,
    id: &ComponentId,
    named: Option<DerivationIndex>,
) -> Result<DerivationIndex> {
    let next: Option<i64> = tx
        .connection()
        .prepare_cached("SELECT next_index FROM key_indices WHERE component_id = ?1")?
        .query_row([id.as_str()], |row| row.get(0))
        .optional()?;
    let next = next.unwrap_or(0);
    let index = named.map_or(next, |named| i64::from(named.0));
    let taken = u32::try_from(index).ok().filter(|_| index <= MAX_INDEX).ok_or_else(|| {
        StoreError::Refused(ApiError::new(
            ErrorCode::QuotaExceeded,
            "the component has no derivation index left",
        ))
    })?;
    tx.connection()
        .prepare_cached(
            "INSERT INTO key_indices (component_id, next_index) VALUES (?1, ?2)
             ON CONFLICT (component_id) DO UPDATE SET next_index = excluded.next_index",
        )?
        .execute((id.as_str(), next.max(index + 1)))?;
    Ok(DerivationIndex(taken))
}

/// Registers a key.
///
/// # Errors
/// `conflict`, reason `exists`, where another key has its index or its public part; `quota_exceeded` where
/// no index is left.
pub fn register(tx: &Tx<'_>, caller: &Caller, params: &RegisterParams) -> Result<KeyInfo> {
    let id = caller.own(params.component_id.as_ref(), WHAT)?;
    if let Some(known) = find(tx.reader(), &params.public_key)? {
        let same_index =
            params.derivation_index.is_none_or(|index| index == known.derivation_index);
        return match known.component_id == *id && known.key_type == params.key_type && same_index {
            true => Ok(known),
            false => Err(StoreError::exists("the public key is registered already, as another")),
        };
    }
    if let Some(index) = params.derivation_index {
        let taken: bool = tx
            .connection()
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM keys_metadata
                                WHERE component_id = ?1 AND derivation_index = ?2)",
            )?
            .query_row((id.as_str(), index.0), |row| row.get(0))?;
        if taken {
            return Err(StoreError::exists("another key has this derivation index"));
        }
    }
    let index = take_index(tx, id, params.derivation_index)?;
    let revision = tx.record_change_of(
        Some(id.as_str()),
        NAMESPACE,
        &[params.public_key.as_str()],
        ChangeKind::Put,
    )?;
    tx.connection()
        .prepare_cached(
            "INSERT INTO keys_metadata (component_id, derivation_index, public_key, key_type, purpose,
               created_at, revision)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute((
            id.as_str(),
            index.0,
            params.public_key.as_str(),
            params.key_type.as_str(),
            params.purpose.as_ref().map(Text::as_str),
            tx.now(),
            revision.0,
        ))?;
    Ok(KeyInfo {
        component_id: id.clone(),
        derivation_index: index,
        public_key: params.public_key.clone(),
        key_type: params.key_type,
        purpose: params.purpose.clone(),
        created_at: Timestamp(tx.now()),
        last_used: None,
        revision,
    })
}

/// A page of a component's keys, by index.
///
/// # Errors
/// `validation_error` where the cursor is another list's; `not_found` where a component names another.
pub fn list_for_component(
    reader: Reader<'_>,
    caller: &Caller,
    params: &ListParams,
) -> Result<KeyPage> {
    let id = caller.own(params.component_id.as_ref(), WHAT)?;
    let query = Query::new("keys.listForComponent", &[id.as_str()], params.limit);
    let scan = Scan {
        select: select!(""),
        ranges: &[Range::by("derivation_index")],
        id: "public_key",
        direction: Direction::Ascending,
        arms: &["component_id = :component"],
        filters: &[],
        bound: &[(":component", keyset::text(Some(id.as_str())))],
    };
    let (items, next_cursor) =
        keyset::list(reader, &query, params.cursor.as_ref(), &scan, |row| {
            let key = from_row(row)?;
            Ok(Listed {
                order: key.derivation_index.0.into(),
                id: key.public_key.as_str().to_owned(),
                bytes: 4 * key.public_key.as_str().len()
                    + ESCAPED * key.purpose.as_ref().map_or(0, |text| text.as_str().len())
                    + 1200,
                item: key,
            })
        })?;
    Ok(KeyPage { items, next_cursor })
}

/// Whether the caller sees the key that he says was used.
///
/// # Errors
/// `not_found`.
pub(crate) fn check_touch(reader: Reader<'_>, caller: &Caller, params: &TouchParams) -> Result<()> {
    visible(reader, caller, &params.public_key)?
        .map(drop)
        .ok_or_else(|| StoreError::not_found(WHAT))
}

/// Writes pending touches; keys that were deleted meanwhile are passed over.
///
/// # Errors
/// Where the rows can't be written.
pub(super) fn flush_touches(tx: &Tx<'_>, touches: &HashMap<String, Touch>) -> Result<()> {
    let mut update = tx.connection().prepare_cached(
        "UPDATE keys_metadata SET last_used = max(coalesce(last_used, ?2), ?2)
         WHERE public_key = ?1",
    )?;
    for (key, touch) in touches {
        update.execute((key, touch.used_at))?;
    }
    Ok(())
}

/// Forgets a key; its index is not given again.
///
/// # Errors
/// `conflict` where `ifRevision` does not match.
pub fn delete(tx: &Tx<'_>, caller: &Caller, params: &DeleteParams) -> Result<Deleted> {
    let known = visible(tx.reader(), caller, &params.public_key)?;
    check_revision(params.if_revision, known.as_ref().map(|known| known.revision))?;
    let Some(known) = known else { return Ok(Deleted { deleted: false }) };
    tx.connection()
        .prepare_cached("DELETE FROM keys_metadata WHERE public_key = ?1")?
        .execute([params.public_key.as_str()])?;
    tx.record_change_of(
        Some(known.component_id.as_str()),
        NAMESPACE,
        &[params.public_key.as_str()],
        ChangeKind::Delete,
    )?;
    Ok(Deleted { deleted: true })
}
