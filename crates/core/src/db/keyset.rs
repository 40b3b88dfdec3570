//! Lists by key: a page of a table in an order, scanned by an index from where the page before ended.
//!
//! A list says what it selects, in which order and by which conditions ([`Scan`]), all of them constants
//! of its table's module; only values are bound. The orders are made of ranges, since a comparison with
//! a row whose value is null is never true: those without a value come last, as a range of their own.

use osnova_storage_api::components::Direction;
use osnova_storage_api::wire::{Cursor, Limit, Timestamp};
use rusqlite::Row;
use rusqlite::types::Value;

use super::page::Query;
use super::tx::Reader;
use crate::error::Result;

/// How many rows a page passes over: some milliseconds.
const PASSED_OVER: u32 = 5000;

/// The key of an item: the value ordered by, null where there is none, and the id.
type Key = (serde_json::Value, String);

/// A part of a list that is scanned with one statement.
pub(crate) struct Range {
    /// What it is ordered by, before the id.
    pub(crate) column: &'static str,
    /// What holds for its rows alone.
    pub(crate) condition: &'static str,
    /// Whether its rows have no value to be ordered by: the id alone decides.
    pub(crate) by_id_alone: bool,
}

impl Range {
    /// All rows, by a column that is never null.
    pub(crate) const fn by(column: &'static str) -> Self {
        Self { column, condition: "1", by_id_alone: false }
    }

    /// All rows, by their id.
    pub(crate) const BY_ID: Self = Self { column: "", condition: "1", by_id_alone: true };
}

/// What a list selects.
pub(crate) struct Scan<'a> {
    /// `SELECT columns FROM table`; the columns of order and id are among them.
    pub(crate) select: &'static str,
    /// The parts of the order, in order.
    pub(crate) ranges: &'a [Range],
    /// The column of the id, by which ties are broken.
    pub(crate) id: &'static str,
    /// Which way.
    pub(crate) direction: Direction,
    /// Conditions that exclude each other: the rows of all of them are merged. Each is scanned by an index
    /// of its own.
    pub(crate) arms: &'a [&'static str],
    /// Conditions that all hold.
    pub(crate) filters: &'a [&'static str],
    /// What the conditions' parameters are; those that no condition names are passed over.
    pub(crate) bound: &'a [(&'static str, Value)],
}

/// An item with its key and about its size on the wire.
pub(crate) struct Listed<T> {
    pub(crate) item: T,
    /// The value it is ordered by.
    pub(crate) order: serde_json::Value,
    pub(crate) id: String,
    pub(crate) bytes: usize,
}

/// A page of what a scan selects.
///
/// # Errors
/// `validation_error` where the cursor is another list's.
pub(crate) fn list<T>(
    reader: Reader<'_>,
    query: &Query,
    cursor: Option<&Cursor>,
    scan: &Scan<'_>,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<Listed<T>>,
) -> Result<(Vec<T>, Option<Cursor>)> {
    list_wanted(reader, query, cursor, scan, read, None)
}

/// The same of those items that are wanted, by a condition that no index serves. So that a rare one does
/// not have all the table looked through, a page ends after so many rows passed over: it may be short, or
/// empty, and the next one goes on.
///
/// # Errors
/// As [`list`].
pub(crate) fn list_wanted<T>(
    reader: Reader<'_>,
    query: &Query,
    cursor: Option<&Cursor>,
    scan: &Scan<'_>,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<Listed<T>>,
    wanted: Option<&dyn Fn(&T) -> bool>,
) -> Result<(Vec<T>, Option<Cursor>)> {
    let mut passed_over = 0;
    let most_passed_over = if wanted.is_some() { PASSED_OVER } else { 0 };
    let mut after: Option<Key> = query.after(cursor)?;
    let mut page = query.page();
    for range in scan.ranges {
        let in_this_range =
            after.as_ref().is_none_or(|(value, _)| value.is_null() == range.by_id_alone);
        if !in_this_range {
            continue;
        }
        let from = after.take();
        let sql = scan.statement(range, from.is_some());
        let mut statement = reader.connection().prepare_cached(&sql)?;
        let (value, id) = from.unwrap_or_default();
        let own = [
            (":after_value", sql_value(&value)),
            (":after_id", id.into()),
            (":rows", i64::from(page.rows_left() + most_passed_over).into()),
        ];
        for (name, value) in own.iter().chain(scan.bound) {
            if let Some(index) = statement.parameter_index(name)? {
                statement.raw_bind_parameter(index, value)?;
            }
        }
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            let Listed { item, order, id, bytes } = read(row)?;
            let order = if range.by_id_alone { serde_json::Value::Null } else { order };
            if wanted.is_some_and(|wanted| !wanted(&item)) {
                passed_over += 1;
                if passed_over == most_passed_over {
                    page.end_after((order, id));
                    break;
                }
                continue;
            }
            if !page.push(item, (order, id), bytes) {
                break;
            }
        }
        if page.is_full() {
            break;
        }
    }
    page.finish()
}

/// A condition's parameter that is a text; one that is left out is null.
pub(crate) fn text(text: Option<&str>) -> Value {
    text.map_or(Value::Null, |text| text.to_owned().into())
}

/// The same for a time.
pub(crate) fn time(time: Option<Timestamp>) -> Value {
    time.map_or(Value::Null, |time| time.0.into())
}

/// The conditions on a column `key` whose texts begin with a prefix, and their parameters: such texts lie
/// side by side in the order of an index.
pub(crate) fn prefix(prefix: &str) -> (&'static [&'static str], [(&'static str, Value); 2]) {
    let end = prefix_end(prefix);
    let filters: &[&str] = match end {
        Some(_) => &["key >= :prefix", "key < :prefix_end"],
        None => &["key >= :prefix"],
    };
    (filters, [(":prefix", text(Some(prefix))), (":prefix_end", text(end.as_deref()))])
}

/// The first text after all those that begin with `prefix`, in the order of SQLite's BINARY. None where
/// there is none.
fn prefix_end(prefix: &str) -> Option<String> {
    let mut characters: Vec<char> = prefix.chars().collect();
    while let Some(last) = characters.pop() {
        // The range of `char` leaves out what is none.
        if let Some(next) = (last..=char::MAX).nth(1) {
            characters.push(next);
            return Some(characters.into_iter().collect());
        }
    }
    None
}

impl Scan<'_> {
    /// The query of this scan: its cursors are of no other method, conditions or direction.
    pub(crate) fn query(&self, method: &str, limit: Option<Limit>) -> Query {
        let bound = self.bound.iter().map(|(_, value)| format!("{value:?}"));
        let parts: Vec<String> = bound.chain([self.direction.as_str().to_owned()]).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        Query::new(method, &parts, limit)
    }

    /// The statement of a range, made of constants only; there are few, and each is prepared once.
    fn statement(&self, range: &Range, resumed: bool) -> String {
        let (than, way) = match self.direction {
            Direction::Ascending => (">", "ASC"),
            Direction::Descending => ("<", "DESC"),
        };
        let Range { column, condition, by_id_alone } = range;
        let id = self.id;
        let resumed = match (resumed, by_id_alone) {
            (false, _) => String::new(),
            (true, true) => format!(" AND {id} {than} :after_id"),
            (true, false) => format!(" AND ({column}, {id}) {than} (:after_value, :after_id)"),
        };
        let filters: String = self.filters.iter().map(|filter| format!(" AND {filter}")).collect();
        let select = self.select;
        let arm = |arm: &&str| format!("{select} WHERE {arm} AND {condition}{filters}{resumed}");
        let arms: Vec<String> = self.arms.iter().map(arm).collect();
        let order = match by_id_alone {
            true => format!("{id} {way}"),
            false => format!("{column} {way}, {id} {way}"),
        };
        format!("{} ORDER BY {order} LIMIT :rows", arms.join(" UNION ALL "))
    }
}

fn sql_value(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Number(number) => number.as_i64().map_or(Value::Null, Value::Integer),
        serde_json::Value::String(text) => Value::Text(text.clone()),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_the_next_text() {
        assert_eq!(prefix_end("ui."), Some("ui/".to_owned()));
        assert_eq!(prefix_end("a\u{d7ff}"), Some("a\u{e000}".to_owned()));
        assert_eq!(prefix_end("a\u{10ffff}"), Some("b".to_owned()));
        assert_eq!(prefix_end("\u{10ffff}"), None);
        assert_eq!(prefix_end(""), None);
        for (prefix, key) in [("ä", "äz\u{10ffff}"), ("a", "a"), ("z~", "z~~~")] {
            let end = prefix_end(prefix).unwrap();
            assert!(prefix <= key && key < end.as_str());
            assert!(!end.starts_with(prefix));
        }
    }
}
