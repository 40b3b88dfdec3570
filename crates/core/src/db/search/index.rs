//! The rows of the indices: one for each record, written from what the record says.

use osnova_storage_api::wire::JsonText;
use rusqlite::{Connection, OptionalExtension, Row};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Searched, text};

/// How many keywords of a manifest count, and how many characters of each.
const MAX_KEYWORDS: usize = 64;
const MAX_KEYWORD_CHARS: usize = 128;

/// Makes the indices anew, empty, as the migration made them.
const RECREATE: &str = "
    DROP TABLE IF EXISTS search_components;
    DROP TABLE IF EXISTS search_applications;
    DROP TABLE IF EXISTS search_messages;
    DROP TABLE IF EXISTS search_own_messages;
    DELETE FROM search_records;
    CREATE VIRTUAL TABLE search_components USING fts5 (
      name, description, author, keywords, content = '', contentless_delete = 1,
      tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3'
    );
    CREATE VIRTUAL TABLE search_applications USING fts5 (
      name, description, author, keywords, content = '', contentless_delete = 1,
      tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3'
    );
    CREATE VIRTUAL TABLE search_messages USING fts5 (
      sender, channel, body, content = '', contentless_delete = 1,
      tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3'
    );
    CREATE VIRTUAL TABLE search_own_messages USING fts5 (
      sender, channel, body, content = '', contentless_delete = 1,
      tokenize = 'unicode61 remove_diacritics 2'
    );";

/// The SQL of what is searched.
struct Statements {
    /// The texts of a record.
    read: &'static str,
    /// Whether the last of the texts is a manifest, of which the keywords count.
    manifest: bool,
    insert: &'static str,
    delete: &'static str,
    /// The keys after one, in order.
    keys: &'static str,
}

fn statements(what: Searched) -> Statements {
    match what {
        Searched::Components => Statements {
            read: "SELECT name, description, author, manifest_json
                   FROM components WHERE component_id = ?1",
            manifest: true,
            insert: "INSERT OR REPLACE INTO search_components
                       (rowid, name, description, author, keywords) VALUES (?1, ?2, ?3, ?4, ?5)",
            delete: "DELETE FROM search_components WHERE rowid = ?1",
            keys: "SELECT component_id FROM components WHERE component_id > ?1
                   ORDER BY component_id LIMIT ?2",
        },
        Searched::Applications => Statements {
            read: "SELECT name, description, author, manifest_json
                   FROM applications WHERE application_id = ?1",
            manifest: true,
            insert: "INSERT OR REPLACE INTO search_applications
                       (rowid, name, description, author, keywords) VALUES (?1, ?2, ?3, ?4, ?5)",
            delete: "DELETE FROM search_applications WHERE rowid = ?1",
            keys: "SELECT application_id FROM applications WHERE application_id > ?1
                   ORDER BY application_id LIMIT ?2",
        },
        Searched::Messages => Statements {
            read: "SELECT sender, channel, body, NULL, component_id
                   FROM messages WHERE message_id = ?1",
            manifest: false,
            insert: "INSERT OR REPLACE INTO search_messages (rowid, sender, channel, body)
                     VALUES (?1, ?2, ?3, ?4)",
            delete: "DELETE FROM search_messages WHERE rowid = ?1",
            keys: "SELECT message_id FROM messages WHERE message_id > ?1
                   ORDER BY message_id LIMIT ?2",
        },
    }
}

/// The index of the messages of components, each word marked with whose it is ([`text::Holder`]).
const INSERT_OWN: &str = "INSERT OR REPLACE INTO search_own_messages (rowid, sender, channel, body)
                          VALUES (?1, ?2, ?3, ?4)";
const DELETE_OWN: &str = "DELETE FROM search_own_messages WHERE rowid = ?1";

/// Brings the row of a record up to what the record says, and takes it away where there is no record.
/// Says about how many bytes were written.
pub(in crate::db) fn write(
    connection: &Connection,
    what: Searched,
    key: &str,
) -> rusqlite::Result<usize> {
    let sql = statements(what);
    let namespace = what.namespace();
    let known: Option<i64> = connection
        .prepare_cached(
            "SELECT search_id FROM search_records WHERE namespace = ?1 AND record_key = ?2",
        )?
        .query_row((namespace, key), |row| row.get(0))
        .optional()?;
    let read = connection
        .prepare_cached(sql.read)?
        .query_row([key], |row| Ok((texts(row, sql.manifest)?, own_texts(row, what)?)))
        .optional()?;
    if let Some(id) = known
        && what == Searched::Messages
        && read.as_ref().is_none_or(|(_, own)| own.is_none())
    {
        connection.prepare_cached(DELETE_OWN)?.execute([id])?;
    }
    let Some((texts, own)) = read else {
        if let Some(id) = known {
            connection.prepare_cached(sql.delete)?.execute([id])?;
            connection
                .prepare_cached("DELETE FROM search_records WHERE search_id = ?1")?
                .execute([id])?;
        }
        return Ok(0);
    };
    let id = match known {
        Some(id) => id,
        None => {
            // RETURNING would have a savepoint of its own for each record; see `tx::Tx`.
            connection
                .prepare_cached(
                    "INSERT INTO search_records (namespace, record_key) VALUES (?1, ?2)",
                )?
                .execute((namespace, key))?;
            connection.last_insert_rowid()
        }
    };
    let mut bytes = insert(connection, sql.insert, id, &texts)?;
    if let Some(own) = own {
        bytes += insert(connection, INSERT_OWN, id, &own)?;
    }
    Ok(bytes)
}

/// Writes the row of an index; about how many bytes.
fn insert(
    connection: &Connection,
    sql: &str,
    id: i64,
    texts: &[String],
) -> rusqlite::Result<usize> {
    let mut insert = connection.prepare_cached(sql)?;
    insert.raw_bind_parameter(1, id)?;
    // An index of fewer texts takes as many as it has.
    for (text, parameter) in texts.iter().zip(2..=insert.parameter_count()) {
        insert.raw_bind_parameter(parameter, text)?;
    }
    insert.raw_execute()?;
    Ok(texts.iter().map(String::len).sum())
}

/// Whether a record is there and says these texts.
pub(in crate::db) fn is_of(
    connection: &Connection,
    what: Searched,
    key: &str,
    texts: [Option<&str>; 4],
) -> rusqlite::Result<bool> {
    let same = connection
        .prepare_cached(statements(what).read)?
        .query_row([key], |row| {
            texts.iter().enumerate().try_fold(true, |same, (column, text)| {
                Ok(same && row.get_ref(column)?.as_str_or_null()? == *text)
            })
        })
        .optional()?;
    Ok(same == Some(true))
}

/// The texts of a record as the index is given them.
fn texts(row: &Row<'_>, manifest: bool) -> rusqlite::Result<[String; 4]> {
    let mut texts = <[String; 4]>::default();
    for (column, into) in texts.iter_mut().enumerate() {
        let Some(read) = row.get_ref(column)?.as_str_or_null()? else { continue };
        if manifest && column == 3 {
            text::segment(into, &keywords(read).join("\n"));
        } else {
            text::segment(into, read);
        }
    }
    Ok(texts)
}

/// The texts of a component's message with each word marked as the component's; none of anything else.
fn own_texts(row: &Row<'_>, what: Searched) -> rusqlite::Result<Option<[String; 3]>> {
    if what != Searched::Messages {
        return Ok(None);
    }
    let Some(component) = row.get_ref(4)?.as_str_or_null()? else { return Ok(None) };
    let holder = text::Holder::of(component);
    let mut texts = <[String; 3]>::default();
    for (column, into) in texts.iter_mut().enumerate() {
        holder.mark(into, row.get_ref(column)?.as_str_or_null()?.unwrap_or_default());
    }
    Ok(Some(texts))
}

/// The keywords of a manifest: the texts of its top-level array `keywords`, as far as they count.
/// Whatever else stands there is passed over.
pub(super) fn keywords(manifest: &str) -> Vec<String> {
    #[derive(Deserialize)]
    struct Manifest<'m> {
        #[serde(borrow)]
        keywords: Option<&'m RawValue>,
    }
    // Serde would read a list as an object by position.
    if !manifest.trim_start().starts_with('{') {
        return Vec::new();
    }
    let listed = serde_json::from_str::<Manifest<'_>>(manifest)
        .ok()
        .and_then(|manifest| serde_json::from_str::<Vec<Value>>(manifest.keywords?.get()).ok());
    let texts = listed.iter().flatten().filter_map(Value::as_str);
    texts
        .take(MAX_KEYWORDS)
        .map(|keyword| keyword.chars().take(MAX_KEYWORD_CHARS).collect())
        .collect()
}

/// The same of a manifest that was read, on one line.
pub(super) fn keyword_line(manifest: &JsonText) -> String {
    keywords(manifest.get()).join(", ")
}

/// Whether there is nothing to be indexed, and nothing is.
pub(in crate::db) fn has_nothing(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row(
        "SELECT NOT EXISTS (SELECT 1 FROM search_records) AND NOT EXISTS (SELECT 1 FROM components)
           AND NOT EXISTS (SELECT 1 FROM applications) AND NOT EXISTS (SELECT 1 FROM messages)",
        [],
        |row| row.get(0),
    )
}

/// Makes the indices anew, empty.
pub(super) fn recreate(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(RECREATE)
}

/// Has the words written that FTS5 holds in memory, so that what fails there fails here, where it can be
/// undone, and not at COMMIT, where it would take the records along. FTS5 does so at every savepoint.
pub(in crate::db) fn flush(connection: &Connection) -> rusqlite::Result<()> {
    connection.prepare_cached("SAVEPOINT search_flush")?.execute([])?;
    connection.prepare_cached("RELEASE search_flush")?.execute([])?;
    Ok(())
}

/// How many records there are to be indexed.
pub(super) fn count(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row(
        "SELECT (SELECT count(*) FROM components) + (SELECT count(*) FROM applications)
           + (SELECT count(*) FROM messages)",
        [],
        |row| row.get(0),
    )
}

/// Indexes the records after a key until so many bytes are written. Answers with the last one's key and
/// how many they were; none where there are no more.
pub(super) fn write_slice(
    connection: &Connection,
    what: Searched,
    after: &str,
    records: u32,
    bytes: usize,
) -> rusqlite::Result<Option<(String, u64)>> {
    let mut statement = connection.prepare_cached(statements(what).keys)?;
    let keys = statement
        .query_map((after, records), |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<String>>>()?;
    let mut written = 0;
    let mut last = None;
    for (key, count) in keys.into_iter().zip(1..) {
        written += write(connection, what, &key)?;
        last = Some((key, count));
        if written >= bytes {
            break;
        }
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::migrations;

    #[test]
    fn indices_are_made_anew_as_the_migration_made_them() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrations::migrate(&mut connection, migrations::latest(), 0).unwrap();
        let schema = |connection: &Connection| -> Vec<String> {
            let sql = "SELECT sql FROM sqlite_schema WHERE name LIKE 'search!_%' ESCAPE '!'
                       AND sql IS NOT NULL ORDER BY name";
            let mut statement = connection.prepare(sql).unwrap();
            let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
            rows.map(|sql| sql.unwrap().split_whitespace().collect::<Vec<_>>().join(" ")).collect()
        };
        let made = schema(&connection);
        assert!(made.len() > 3, "{made:?}");
        recreate(&connection).unwrap();
        assert_eq!(schema(&connection), made);
    }

    #[test]
    fn keywords_are_texts_of_the_manifests_own_list() {
        assert_eq!(keywords(r#" {"keywords":["a", 1, null, "b\n", ["c"]]} "#), ["a", "b\n"]);
        let long = format!(r#"{{"keywords":["{}"]}}"#, "ä".repeat(200));
        assert_eq!(keywords(&long), ["ä".repeat(128)]);
        let many = format!(r#"{{"keywords":[{}"x"]}}"#, "\"y\",".repeat(100));
        assert_eq!(keywords(&many).len(), 64);
        for none in [r#"[["a"]]"#, r#"{"keywords":"a"}"#, r#"{"a":{"keywords":["a"]}}"#, "7", "{}"]
        {
            assert!(keywords(none).is_empty(), "{none}");
        }
    }
}
