//! `component_storage`: each component's own values under keys, [sealed](seal).
//!
//! A component sees its own values only; the owner names whose he means. A value that has expired is
//! not there for anyone, from that second on; its row stays until it is [swept](sweep) or written
//! over. What needs no value (deleting, listing keys, sweeping) works without the master key.

mod list;
pub mod seal;
mod sweep;
mod totals;

use osnova_storage_api::storage::{
    DeleteParams, ReadParams, StoredValue, ValueInput, WriteManyParams, WriteParams, WrittenValue,
    WrittenValues,
};
use osnova_storage_api::wire::{
    ComponentId, Deleted, JsonText, Revision, StorageKey, Timestamp, TtlSeconds,
};
use rusqlite::{OptionalExtension, Row};

pub use list::list;
pub use seal::UnsealError;
use seal::{Place, Sealer};
pub(crate) use sweep::{any_expired, sweep};

use super::tx::{ChangeKind, Reader, Tx, check_revision};
use crate::caller::Caller;
use crate::error::{Result, StoreError};
use crate::vault::keys::KeySet;

const NAMESPACE: &str = "storage";
/// What a caller is told is not there.
const WHAT: &str = "value";
/// How many values a key is tried on where the root has no check value.
const KEY_SAMPLES: usize = 8;

/// The bounds of `storage`.
#[derive(Debug, Clone, Copy)]
pub struct StorageLimits {
    /// How many bytes the rows of a component may take: its id, its keys and its sealed values. `None`:
    /// as the database allows.
    pub component_limit_bytes: Option<u64>,
}

impl Default for StorageLimits {
    fn default() -> Self {
        Self { component_limit_bytes: Some(256 << 20) }
    }
}

/// A row of the table as far as operations look at it before they change it.
struct Known {
    revision: Revision,
    expires_at: Option<i64>,
    sealed_len: u64,
}

impl Known {
    fn is_expired(&self, now: i64) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= now)
    }

    /// Its revision for those who can see it.
    fn visible_revision(known: Option<&Self>, now: i64) -> Option<Revision> {
        known.filter(|known| !known.is_expired(now)).map(|known| known.revision)
    }
}

/// Reads one value.
///
/// # Errors
/// `not_found`; [`StoreError::Locked`]; [`StoreError::Sealed`] where it does not open.
pub fn read(reader: Reader<'_>, caller: &Caller, params: &ReadParams) -> Result<StoredValue> {
    let component = caller.own(params.component_id.as_ref(), WHAT)?;
    let keys = reader.keys()?;
    let row = reader
        .connection()
        .prepare_cached(
            "SELECT value, updated_at, expires_at, revision FROM component_storage
             WHERE component_id = ?1 AND key = ?2 AND (expires_at IS NULL OR expires_at > ?3)",
        )?
        .query_row((component.as_str(), params.key.as_str(), reader.now()), |row| {
            Ok(SealedRow {
                value: row.get(0)?,
                updated_at: row.get(1)?,
                expires_at: row.get(2)?,
                revision: row.get(3)?,
            })
        })
        .optional()?
        .ok_or_else(|| StoreError::not_found(WHAT))?;
    let sealer = Sealer::new(&keys, component.as_str());
    Ok(StoredValue {
        value: row.open(&sealer, component, &params.key)?,
        key: params.key.clone(),
        updated_at: Timestamp(row.updated_at),
        expires_at: row.expires_at.map(Timestamp),
        revision: Revision(row.revision),
    })
}

/// A row with its value, still sealed.
struct SealedRow {
    value: Vec<u8>,
    updated_at: i64,
    expires_at: Option<i64>,
    revision: u64,
}

impl SealedRow {
    /// The value; it must have been sealed for this very row.
    fn open(&self, sealer: &Sealer, component: &ComponentId, key: &StorageKey) -> Result<JsonText> {
        let place =
            Place { component: component.as_str(), key: key.as_str(), expires_at: self.expires_at };
        let unfit = |why| StoreError::Sealed { revision: self.revision, why };
        let text = sealer.open(place, &self.value).map_err(unfit)?;
        let text = String::from_utf8(text).map_err(|_| unfit(UnsealError::NotJson))?;
        JsonText::from_checked(text).map_err(|_| unfit(UnsealError::NotJson))
    }
}

/// Writes one value.
///
/// # Errors
/// `conflict` where `ifRevision` does not match; `quota_exceeded`; [`StoreError::Locked`].
pub fn write(tx: &Tx<'_>, caller: &Caller, params: &WriteParams) -> Result<WrittenValue> {
    let component = caller.own(params.component_id.as_ref(), WHAT)?;
    let sealer = Sealer::new(&*tx.keys()?, component.as_str());
    let (key, if_revision) = (&params.key, params.if_revision);
    store(tx, &sealer, component, key, &params.value, params.ttl_seconds, if_revision)
}

/// Writes many values, in order; the first that can't be written fails them all.
///
/// # Errors
/// As of [`write`], with the `index` of the item.
pub fn write_many(tx: &Tx<'_>, caller: &Caller, params: &WriteManyParams) -> Result<WrittenValues> {
    let component = caller.own(params.component_id.as_ref(), WHAT)?;
    let sealer = Sealer::new(&*tx.keys()?, component.as_str());
    let store_one = |(index, item): (usize, &ValueInput)| {
        let ValueInput { key, value, ttl_seconds, if_revision } = item;
        store(tx, &sealer, component, key, value, *ttl_seconds, *if_revision)
            .map_err(|error| error.at_index(index))
    };
    let items = params.items.iter().enumerate().map(store_one).collect::<Result<_>>()?;
    Ok(WrittenValues { items })
}

fn store(
    tx: &Tx<'_>,
    sealer: &Sealer,
    component: &ComponentId,
    key: &StorageKey,
    value: &JsonText,
    ttl: Option<TtlSeconds>,
    if_revision: Option<Revision>,
) -> Result<WrittenValue> {
    let (id, key_text, text) = (component.as_str(), key.as_str(), value.get());
    let before = known(tx, id, key_text)?;
    check_revision(if_revision, Known::visible_revision(before.as_ref(), tx.now()))?;
    // 0 stands for no expiry where a value is sealed; a clock set before 1970 must not say it.
    let expires_at = ttl.map(|ttl| tx.now().saturating_add(i64::from(ttl.0)).max(1));
    let place = Place { component: id, key: key_text, expires_at };
    let sealed = sealer
        .seal(place, text)
        .map_err(|error| StoreError::Internal(format!("no random bytes: {error}")))?;
    let change = totals::of_row(1, id, key_text, sealed.len() as u64);
    let gone = before.map(|before| totals::of_row(-1, id, key_text, before.sealed_len));
    totals::apply(tx, id, change.and(gone.unwrap_or_default()))?;
    let revision = tx.record_change_of(Some(id), NAMESPACE, &[id, key_text], ChangeKind::Put)?;
    tx.connection()
        .prepare_cached(
            "INSERT INTO component_storage (component_id, key, value, updated_at, expires_at, revision)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (component_id, key) DO UPDATE SET value = excluded.value,
               updated_at = excluded.updated_at, expires_at = excluded.expires_at,
               revision = excluded.revision",
        )?
        .execute((id, key_text, sealed, tx.now(), expires_at, revision.0))?;
    Ok(WrittenValue { key: key.clone(), revision })
}

fn known(tx: &Tx<'_>, component: &str, key: &str) -> Result<Option<Known>> {
    let from_row = |row: &Row<'_>| {
        Ok(Known {
            revision: Revision(row.get(0)?),
            expires_at: row.get(1)?,
            sealed_len: row.get(2)?,
        })
    };
    let known = tx
        .connection()
        .prepare_cached(
            "SELECT revision, expires_at, octet_length(value) FROM component_storage
             WHERE component_id = ?1 AND key = ?2",
        )?
        .query_row((component, key), from_row)
        .optional()?;
    Ok(known)
}

/// Deletes one value. The row of one that has expired goes too, though it is not there for the caller:
/// a clock that is put back must not bring back what was deleted.
///
/// # Errors
/// `conflict` where `ifRevision` does not match.
pub fn delete(tx: &Tx<'_>, caller: &Caller, params: &DeleteParams) -> Result<Deleted> {
    let component = caller.own(params.component_id.as_ref(), WHAT)?;
    let (id, key) = (component.as_str(), params.key.as_str());
    let before = known(tx, id, key)?;
    let visible = Known::visible_revision(before.as_ref(), tx.now());
    check_revision(params.if_revision, visible)?;
    if let Some(before) = before {
        remove(tx, id, key, before.sealed_len)?;
    }
    Ok(Deleted { deleted: visible.is_some() })
}

/// Removes a row that is there.
fn remove(tx: &Tx<'_>, component: &str, key: &str, sealed_len: u64) -> Result<()> {
    tx.connection()
        .prepare_cached("DELETE FROM component_storage WHERE component_id = ?1 AND key = ?2")?
        .execute((component, key))?;
    totals::apply(tx, component, totals::of_row(-1, component, key, sealed_len))?;
    tx.record_change_of(Some(component), NAMESPACE, &[component, key], ChangeKind::Delete)?;
    Ok(())
}

/// Deletes all that a component has stored, which is one event.
///
/// # Errors
/// Where the rows can't be written.
pub(crate) fn delete_all(tx: &Tx<'_>, component: &ComponentId) -> Result<()> {
    let id = component.as_str();
    let deleted = tx
        .connection()
        .prepare_cached("DELETE FROM component_storage WHERE component_id = ?1")?
        .execute([id])?;
    if deleted > 0 {
        super::totals::forget(tx, NAMESPACE, id)?;
        tx.record_change_of(Some(id), NAMESPACE, &[id], ChangeKind::Delete)?;
    }
    Ok(())
}

/// Whether these keys open what is stored: one value that opens says so, and a few are tried, for one
/// may be damaged. `None` where nothing is stored.
pub(crate) fn keys_fit(reader: Reader<'_>, keys: &KeySet) -> Result<Option<bool>> {
    let mut statement = reader
        .connection()
        .prepare("SELECT component_id, key, value, expires_at FROM component_storage LIMIT ?1")?;
    let mut rows = statement.query([KEY_SAMPLES])?;
    let mut fits = None;
    while let Some(row) = rows.next()? {
        let (component, key): (String, String) = (row.get(0)?, row.get(1)?);
        let place = Place { component: &component, key: &key, expires_at: row.get(3)? };
        let sealed: Vec<u8> = row.get(2)?;
        if Sealer::new(keys, &component).open(place, &sealed).is_ok() {
            return Ok(Some(true));
        }
        fits = Some(false);
    }
    Ok(fits)
}
