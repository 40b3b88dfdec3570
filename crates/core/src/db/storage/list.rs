//! `storage.list`: a component's keys in their order, with or without their values.

use osnova_storage_api::components::Direction;
use osnova_storage_api::storage::{ListParams, ListedValue, ValuePage};
use osnova_storage_api::wire::{ComponentId, Revision, StorageKey, Timestamp, UnsignedInteger};
use rusqlite::Row;

use super::seal::{self, Sealer};
use super::{SealedRow, WHAT};
use crate::caller::Caller;
use crate::db::columns;
use crate::db::keyset::{self, Listed, Range, Scan};
use crate::db::page::Query;
use crate::db::tx::Reader;
use crate::error::Result;

/// What an item takes on the wire beside its key and its value.
const ITEM_BYTES: usize = 120;

/// A query of whole rows, as [`from_row`] reads them: with their values where `:values` is 1.
const SELECT: &str = "SELECT key, octet_length(value), updated_at, expires_at, revision,
                             CASE WHEN :values THEN value ELSE x'' END
                      FROM component_storage";

/// A row, its value sealed or left out.
struct ListedRow {
    key: StorageKey,
    size: u64,
    row: SealedRow,
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<ListedRow> {
    Ok(ListedRow {
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

impl ListedRow {
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
    let (prefixed, [from, end]) = keyset::prefix(prefix);
    let scan = Scan {
        select: SELECT,
        ranges: &[Range::BY_ID],
        id: "key",
        direction: Direction::Ascending,
        arms: &["component_id = :component"],
        filters: &[prefixed, &["(expires_at IS NULL OR expires_at > :now)"]].concat(),
        bound: &[
            (":component", keyset::text(Some(component.as_str()))),
            from,
            end,
            (":now", reader.now().into()),
            (":values", sealer.is_some().into()),
        ],
    };
    let (rows, next_cursor) = keyset::list(reader, &query, params.cursor.as_ref(), &scan, |row| {
        let item = from_row(row)?;
        let id = item.key.as_str().to_owned();
        let bytes = id.len() + item.row.value.len() + ITEM_BYTES;
        Ok(Listed { item, order: serde_json::Value::Null, id, bytes })
    })?;
    let open = |row: ListedRow| row.item(sealer.as_ref(), component);
    let items = rows.into_iter().map(open).collect::<Result<_>>()?;
    Ok(ValuePage { items, next_cursor })
}
