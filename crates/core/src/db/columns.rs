//! How values of the contract are written to and read from columns.
//!
//! A value that no longer fits its type (someone wrote the database by hand) is damage, said with the
//! column's name, never a panic.

use osnova_storage_api::wire::{BlobHash, HexError, JsonText};
use rusqlite::Row;
use rusqlite::types::{FromSqlError, Type, ValueRef};

use rusqlite::Error as SqlError;
use serde::de::DeserializeOwned;

/// Reads a text column into a type that can only be valid.
pub(crate) fn text<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T: TryFrom<String, Error = String>,
{
    T::try_from(row.get::<_, String>(column)?).map_err(|why| unfit(column, Type::Text, why))
}

/// Reads a nullable text column.
pub(crate) fn optional_text<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>>
where
    T: TryFrom<String, Error = String>,
{
    let text: Option<String> = row.get(column)?;
    text.map(|text| T::try_from(text).map_err(|why| unfit(column, Type::Text, why))).transpose()
}

/// Reads a word of an enumeration.
pub(crate) fn word<T>(
    row: &Row<'_>,
    column: usize,
    parse: fn(&str) -> Option<T>,
) -> rusqlite::Result<T> {
    let word: String = row.get(column)?;
    parse(&word).ok_or_else(|| unfit(column, Type::Text, "an unknown word".to_owned()))
}

/// Reads a JSON column.
pub(crate) fn json(row: &Row<'_>, column: usize) -> rusqlite::Result<JsonText> {
    JsonText::from_checked(row.get(column)?).map_err(|why| unfit(column, Type::Text, why))
}

/// Reads a nullable JSON column.
pub(crate) fn optional_json(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<JsonText>> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| JsonText::from_checked(text).map_err(|why| unfit(column, Type::Text, why)))
        .transpose()
}

/// Reads a JSON column that this program wrote into the type it stands for.
pub(crate) fn json_as<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    serde_json::from_str(text).map_err(|error| unfit(column, Type::Text, error.to_string()))
}

/// Reads a content's hash.
pub(crate) fn hash(row: &Row<'_>, column: usize) -> rusqlite::Result<BlobHash> {
    Ok(BlobHash::new(row.get::<_, [u8; 32]>(column)?))
}

/// Reads a content's hash that is kept as its digits.
pub(crate) fn hash_text(row: &Row<'_>, column: usize) -> rusqlite::Result<BlobHash> {
    let digits = row.get_ref(column)?.as_str()?;
    digits.parse().map_err(|error: HexError| unfit(column, Type::Text, error.to_string()))
}

/// Reads a nullable one.
pub(crate) fn optional_hash_text(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<Option<BlobHash>> {
    match row.get_ref(column)? {
        ValueRef::Null => Ok(None),
        _ => hash_text(row, column).map(Some),
    }
}

fn unfit(column: usize, kind: Type, why: String) -> SqlError {
    SqlError::FromSqlConversionFailure(column, kind, Box::new(FromSqlError::Other(why.into())))
}
