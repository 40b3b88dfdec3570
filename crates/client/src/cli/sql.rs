//! `sql`: a question to the database, its answer as rows.

use std::fmt::Write;

use osnova_storage_client::api::maintenance::{Query, QueryParams, QueryResult, SqlValue};
use osnova_storage_client::api::wire::{Limit, Text};

use super::Session;
use super::arguments::SqlArguments;
use super::ask::show;
use super::failure::{Failure, complain};
use super::input;
use super::table::{Cell, Table};

/// The longest statement, in bytes: the daemon takes as many characters.
const MAX_STATEMENT_BYTES: u64 = 4 * Text::MAX_CHARS as u64;

pub(super) async fn run(session: &Session, what: SqlArguments) -> Result<(), Failure> {
    let sql = match what.statement.as_str() {
        "-" => input::read_text(input::Source::Standard, MAX_STATEMENT_BYTES).await?,
        _ => what.statement,
    };
    let sql = Text::try_from(sql).map_err(|why| Failure::usage(format!("the statement {why}")))?;
    let params: Vec<SqlValue> = what.params.into_iter().map(param).collect();
    let params = Some(params).filter(|params| !params.is_empty());
    let params = QueryParams { sql, params, limit: what.limit.map(Limit) };
    show::<Query>(session, params, |found| {
        session.output.table(&table(found))?;
        if found.truncated {
            complain("there are more rows, or larger ones; --limit takes up to 1000");
        }
        Ok(())
    })
    .await
}

/// A parameter's value: what it is as JSON, or else a text.
fn param(text: String) -> SqlValue {
    serde_json::from_str(&text).unwrap_or(SqlValue::Text(text))
}

fn table(found: &QueryResult) -> Table {
    let headings: Vec<&str> = found.columns.iter().map(String::as_str).collect();
    let mut table = Table::new(&headings);
    for row in &found.rows {
        table.row(row.iter().map(cell).collect());
    }
    table
}

fn cell(value: &SqlValue) -> Cell {
    match value {
        SqlValue::Null => Cell::from("NULL"),
        SqlValue::Integer(number) => Cell::from(number.to_string()),
        SqlValue::Real(number) => Cell::from(number.to_string()),
        SqlValue::Text(text) => Cell::from(text.as_str()),
        SqlValue::Blob(bytes) => Cell::from(literal(bytes)),
    }
}

/// Bytes as SQL writes them: `x'00ff'`.
fn literal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2 + 3);
    text.push_str("x'");
    for byte in bytes {
        // Writing to a String never fails.
        let _ = write!(text, "{byte:02x}");
    }
    text.push('\'');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn params_are_json_or_texts() {
        let of = |text: &str| param(text.to_owned());
        assert_eq!(of("5"), SqlValue::Integer(5));
        assert_eq!(of("\"5\""), SqlValue::Text("5".to_owned()));
        assert_eq!(of("org.example"), SqlValue::Text("org.example".to_owned()));
        assert_eq!(of("null"), SqlValue::Null);
        assert_eq!(of(r#"{"base64":"AP8="}"#), SqlValue::Blob(vec![0, 255]));
        assert_eq!(literal(&[0, 255]), "x'00ff'");
    }
}
