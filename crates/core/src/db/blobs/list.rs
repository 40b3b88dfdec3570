//! `blobs.list`: by time or by hash, each both ways; all contents for the owner, a component's own.

use osnova_storage_api::blobs::{BlobOrder, BlobPage, ListParams};
use osnova_storage_api::components::Direction;
use osnova_storage_api::wire::BlobHash;

use super::{select_as_holder, select_as_owner, stat_from_row};
use crate::caller::Caller;
use crate::db::page::Query;
use crate::db::tx::Reader;
use crate::error::Result;

/// The key of an item: when it was put, and its hash.
type Key = (i64, BlobHash);

/// A page of blobs.
///
/// # Errors
/// `validation_error` where the cursor is another list's.
pub fn list(reader: Reader<'_>, caller: &Caller, params: &ListParams) -> Result<BlobPage> {
    let order = params.order_by.unwrap_or(BlobOrder::CreatedAt);
    let direction = params.direction.unwrap_or(match order {
        BlobOrder::Hash => Direction::Ascending,
        BlobOrder::CreatedAt => Direction::Descending,
    });
    let pinned = match params.pinned {
        None => "",
        Some(true) => "pinned",
        Some(false) => "unpinned",
    };
    let filter = [caller.holder(), pinned, order.as_str(), direction.as_str()];
    let query = Query::new("blobs.list", &filter, params.limit);
    let after: Option<Key> = query.after(params.cursor.as_ref())?;
    let mut page = query.page();
    let sql = statement(caller.is_owner(), order, direction, params.pinned, after.is_some());
    let mut statement = reader.connection().prepare_cached(&sql)?;
    let (created_at, hash) = after.unwrap_or((0, BlobHash::new([0; 32])));
    if let Some(index) = statement.parameter_index(":holder")? {
        statement.raw_bind_parameter(index, caller.holder())?;
    }
    if let Some(index) = statement.parameter_index(":created_at")? {
        statement.raw_bind_parameter(index, created_at)?;
    }
    if let Some(index) = statement.parameter_index(":hash")? {
        statement.raw_bind_parameter(index, hash.as_bytes().as_slice())?;
    }
    if let Some(index) = statement.parameter_index(":rows")? {
        statement.raw_bind_parameter(index, query.rows())?;
    }
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        let stat = stat_from_row(row)?;
        let key: Key = (stat.created_at.0, stat.hash);
        let bytes = stat.metadata.as_ref().map_or(0, |text| text.get().len()) + 800;
        if !page.push(stat, key, bytes) {
            break;
        }
    }
    drop(rows);
    let (items, next_cursor) = page.finish()?;
    Ok(BlobPage { items, next_cursor })
}

/// The statement of a list, made of constants only; there are few, and each is prepared once.
fn statement(
    as_owner: bool,
    order: BlobOrder,
    direction: Direction,
    pinned: Option<bool>,
    resumed: bool,
) -> String {
    let (than, way) = match direction {
        Direction::Ascending => (">", "ASC"),
        Direction::Descending => ("<", "DESC"),
    };
    let (select, whose, from) = if as_owner {
        (select_as_owner!(""), "1", "contents")
    } else {
        (select_as_holder!(""), "holders.holder = :holder", "holders")
    };
    let pinned = match (pinned, as_owner) {
        (None, _) => "",
        (Some(true), false) => "AND holders.pinned",
        (Some(false), false) => "AND NOT holders.pinned",
        (Some(true), true) => {
            "AND EXISTS (SELECT 1 FROM blob_holders AS pinning
                         WHERE pinning.content_id = contents.content_id AND pinning.pinned)"
        }
        (Some(false), true) => {
            "AND NOT EXISTS (SELECT 1 FROM blob_holders AS pinning
                             WHERE pinning.content_id = contents.content_id AND pinning.pinned)"
        }
    };
    let (resumed, order) = match order {
        BlobOrder::CreatedAt => (
            if resumed {
                format!("AND ({from}.created_at, {from}.hash) {than} (:created_at, :hash)")
            } else {
                String::new()
            },
            format!("{from}.created_at {way}, {from}.hash {way}"),
        ),
        BlobOrder::Hash => (
            if resumed { format!("AND {from}.hash {than} :hash") } else { String::new() },
            format!("{from}.hash {way}"),
        ),
    };
    format!("{select} WHERE {whose} {pinned} {resumed} ORDER BY {order} LIMIT :rows")
}
