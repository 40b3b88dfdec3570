//! `components.list`: pages in three orders, each both ways.

use osnova_storage_api::components::{
    ComponentOrder, ComponentPage, ComponentType, Direction, ListParams,
};
use rusqlite::types::Value;

use super::{Stored, from_row, select_component};
use crate::caller::Caller;
use crate::db::page::Query;
use crate::db::tx::Reader;
use crate::error::Result;

/// A control character of one byte takes six in JSON (`\\u0001`), and a description may hold nothing else.
const ESCAPED: usize = 6;

/// The key of an item in its order: the value ordered by, and the id. The value is null in the last
/// range of an order by a nullable column.
type Key = (serde_json::Value, String);

/// A part of a list that is scanned with one statement.
struct Range {
    column: &'static str,
    condition: &'static str,
    /// Whether all items of the range have no value to order by.
    of_nulls: bool,
}

/// The ranges of an order, in the order they are walked. A comparison with a row whose value is null
/// is never true, so the nulls are a range of their own.
fn ranges(order: ComponentOrder) -> &'static [Range] {
    match order {
        ComponentOrder::InstalledAt => {
            &[Range { column: "installed_at", condition: "1", of_nulls: false }]
        }
        ComponentOrder::Name => &[Range { column: "name", condition: "1", of_nulls: false }],
        ComponentOrder::LastUsed => &[
            Range {
                column: "last_used_seq",
                condition: "last_used_seq IS NOT NULL",
                of_nulls: false,
            },
            Range { column: "last_used_seq", condition: "last_used_seq IS NULL", of_nulls: true },
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
    let mut after: Option<Key> = query.after(params.cursor.as_ref())?;
    let mut page = query.page();
    for range in ranges(order) {
        let in_this_range =
            after.as_ref().is_none_or(|(value, _)| value.is_null() == range.of_nulls);
        if !in_this_range {
            continue;
        }
        let from = after.take();
        let sql = statement(range, direction, kind.is_some(), from.is_some());
        let mut statement = reader.connection().prepare_cached(&sql)?;
        let (value, id) = from.unwrap_or_default();
        let bound: [(&str, Value); 4] = [
            (":type", kind.map_or(Value::Null, |kind| kind.to_owned().into())),
            (":value", sql_value(&value)),
            (":id", id.into()),
            (":rows", i64::from(page.rows_left()).into()),
        ];
        for (name, value) in bound {
            if let Some(index) = statement.parameter_index(name)? {
                statement.raw_bind_parameter(index, value)?;
            }
        }
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            let Stored { component, last_used_seq } = from_row(row)?;
            let value: serde_json::Value = match order {
                ComponentOrder::InstalledAt => component.installed_at.0.into(),
                ComponentOrder::Name => component.name.as_str().into(),
                ComponentOrder::LastUsed => last_used_seq.into(),
            };
            let key = (value, component.component_id.as_str().to_owned());
            let bytes = component.manifest.get().len()
                + ESCAPED * component.description.as_ref().map_or(0, |text| text.as_str().len())
                + component.blobs.keys().map(|role| role.as_str().len() + 70).sum::<usize>()
                + 600;
            if !page.push(component, key, bytes) {
                break;
            }
        }
        if page.is_full() {
            break;
        }
    }
    let (items, next_cursor) = page.finish()?;
    Ok(ComponentPage { items, next_cursor })
}

/// The statement of a range, made of constants only; there are few, and each is prepared once.
fn statement(range: &Range, direction: Direction, by_type: bool, resumed: bool) -> String {
    let (than, way) = match direction {
        Direction::Ascending => (">", "ASC"),
        Direction::Descending => ("<", "DESC"),
    };
    let Range { column, condition, of_nulls } = range;
    let by_type = if by_type { "AND type = :type" } else { "" };
    let resumed = match (resumed, of_nulls) {
        (false, _) => String::new(),
        (true, true) => format!("AND component_id {than} :id"),
        (true, false) => format!("AND ({column}, component_id) {than} (:value, :id)"),
    };
    let select = select_component!("");
    let order = if *of_nulls {
        format!("component_id {way}")
    } else {
        format!("{column} {way}, component_id {way}")
    };
    format!("{select} WHERE {condition} {by_type} {resumed} ORDER BY {order} LIMIT :rows")
}

fn sql_value(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Number(number) => number.as_i64().map_or(Value::Null, Value::Integer),
        serde_json::Value::String(text) => Value::Text(text.clone()),
        _ => Value::Null,
    }
}
