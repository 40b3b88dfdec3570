//! `storage.list`: a component's keys in their order, with or without their values.

use osnova_storage_api::storage::{ListParams, ListedValue, ValuePage};
use osnova_storage_api::wire::{
    ComponentId, JsonText, Revision, StorageKey, Timestamp, UnsignedInteger,
};
use rusqlite::Row;

use super::seal::{self, Sealer};
use super::{SealedRow, WHAT};
use crate::caller::Caller;
use crate::db::columns;
use crate::db::page::Query;
use crate::db::tx::Reader;
use crate::error::Result;

/// What an item takes on the wire beside its key and its value.
const ITEM_BYTES: usize = 120;

/// A query of the rows after a key (`>`), or from one on (`>=`), as [`from_row`] reads them: with their
/// values where `?5` is true.
macro_rules! select {
    ($compare:literal) => {
        concat!(
            "SELECT key, octet_length(value), updated_at, expires_at, revision,
                    CASE WHEN ?5 THEN value ELSE x'' END
             FROM component_storage
             WHERE component_id = ?1 AND key ",
            $compare,
            " ?2 AND (expires_at IS NULL OR expires_at > ?3) ORDER BY key LIMIT ?4"
        )
    };
}

/// A row, its value sealed or left out.
struct Listed {
    key: StorageKey,
    size: u64,
    row: SealedRow,
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Listed> {
    Ok(Listed {
        key: columns::text(row, 0)?,
        size: row.get::<_, u64>(1)?.saturating_sub(seal::OVERHEAD as u64),
        row: SealedRow {
            updated_at: row.get(2)?,
            expires_at: row.get(3)?,
            revision: row.get(4)?,
            value: row.get(5)?,
        },
    })
}

impl Listed {
    fn item(self, sealer: Option<&Sealer>, component: &ComponentId) -> Result<ListedValue> {
        let open = |sealer| self.row.open(sealer, component, &self.key);
        Ok(ListedValue {
            value: sealer.map(open).transpose()?,
            key: self.key,
            size: UnsignedInteger(self.size),
            updated_at: Timestamp(self.row.updated_at),
            expires_at: self.row.expires_at.map(Timestamp),
            revision: Revision(self.row.revision),
        })
    }
}

/// A page of a component's values, by key.
///
/// # Errors
/// `validation_error` where the cursor is another list's; where values are asked for, also
/// [`StoreError::Locked`](crate::StoreError::Locked), and
/// [`StoreError::Sealed`](crate::StoreError::Sealed) where one does not open.
pub fn list(reader: Reader<'_>, caller: &Caller, params: &ListParams) -> Result<ValuePage> {
    let component = caller.own(params.component_id.as_ref(), WHAT)?;
    let sealer = match params.values {
        Some(true) => Some(Sealer::new(&*reader.keys()?, component.as_str())),
        _ => None,
    };
    let prefix = params.prefix.as_ref().map_or("", StorageKey::as_str);
    let query = Query::new("storage.list", &[component.as_str(), prefix], params.limit);
    let after: Option<String> = query.after(params.cursor.as_ref())?;
    let mut page = query.page();
    // Keys with a prefix lie side by side, so the scan ends at the first key without it.
    let mut statement = reader.connection().prepare_cached(match after {
        Some(_) => select!(">"),
        None => select!(">="),
    })?;
    let from = after.as_deref().unwrap_or(prefix);
    let asked = (component.as_str(), from, reader.now(), page.rows_left(), sealer.is_some());
    for row in statement.query_map(asked, from_row)? {
        let listed = row?;
        if !listed.key.as_str().starts_with(prefix) {
            break;
        }
        let key = listed.key.as_str().to_owned();
        let item = listed.item(sealer.as_ref(), component)?;
        let value_bytes = item.value.as_ref().map_or(0, |value: &JsonText| value.get().len());
        let bytes = key.len() + value_bytes + ITEM_BYTES;
        if !page.push(item, key, bytes) {
            break;
        }
    }
    let (items, next_cursor) = page.finish()?;
    Ok(ValuePage { items, next_cursor })
}
