//! `components.list`: pages in three orders, each both ways.

use osnova_storage_api::components::{
    ComponentOrder, ComponentPage, ComponentType, Direction, ListParams,
};

use super::{Stored, from_row, select_component};
use crate::caller::Caller;
use crate::db::keyset::{self, Listed, Range, Scan};
use crate::db::page::{ESCAPED, Query};
use crate::db::tx::Reader;
use crate::error::Result;

fn ranges(order: ComponentOrder) -> &'static [Range] {
    match order {
        ComponentOrder::InstalledAt => const { &[Range::by("installed_at")] },
        ComponentOrder::Name => const { &[Range::by("name")] },
        ComponentOrder::LastUsed => &[
            Range {
                column: "last_used_seq",
                condition: "last_used_seq IS NOT NULL",
                by_id_alone: false,
            },
            Range { column: "", condition: "last_used_seq IS NULL", by_id_alone: true },
        ],
    }
}

/// A page of components.
///
/// # Errors
/// `validation_error` where the cursor is another list's.
pub fn list(reader: Reader<'_>, _caller: &Caller, params: &ListParams) -> Result<ComponentPage> {
    let order = params.order_by.unwrap_or(ComponentOrder::InstalledAt);
    let direction = params.direction.unwrap_or(match order {
        ComponentOrder::Name => Direction::Ascending,
        ComponentOrder::InstalledAt | ComponentOrder::LastUsed => Direction::Descending,
    });
    let kind = params.r#type.map(ComponentType::as_str);
    let filter = [kind.unwrap_or_default(), order.as_str(), direction.as_str()];
    let query = Query::new("components.list", &filter, params.limit);
    let scan = Scan {
        select: select_component!(""),
        ranges: ranges(order),
        id: "component_id",
        direction,
        arms: &["1"],
        filters: if kind.is_some() { &["type = :type"] } else { &[] },
        bound: &[(":type", keyset::text(kind))],
    };
    let (items, next_cursor) =
        keyset::list(reader, &query, params.cursor.as_ref(), &scan, |row| {
            let Stored { component, last_used_seq } = from_row(row)?;
            Ok(Listed {
                order: match order {
                    ComponentOrder::InstalledAt => component.installed_at.0.into(),
                    ComponentOrder::Name => component.name.as_str().into(),
                    ComponentOrder::LastUsed => last_used_seq.into(),
                },
                id: component.component_id.as_str().to_owned(),
                bytes: component.manifest.get().len()
                    + ESCAPED
                        * component.description.as_ref().map_or(0, |text| text.as_str().len())
                    + component.blobs.keys().map(|role| role.as_str().len() + 70).sum::<usize>()
                    + 600,
                item: component,
            })
        })?;
    Ok(ComponentPage { items, next_cursor })
}
