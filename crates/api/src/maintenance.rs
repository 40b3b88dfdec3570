//! `maintenance`: the database as a file, kept small and whole, and looked into by its owner.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::jobs::Job;
use crate::method::{Access, Example, Visibility, methods, no_request_id};
use crate::wire::{
    Base64Data, FieldErrors, Limit, Path, Text, UnsignedInteger, Wire, wire_enum, wire_object,
};

/// A table of the database and what it takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TableSize {
    /// Its name.
    pub name: String,
    /// How many rows it has. Where `exact` is false it is an estimate of the last analyze, and absent
    /// where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<UnsignedInteger>,
    /// The pages of its rows, in bytes; absent where `exact` is false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<UnsignedInteger>,
    /// The pages of its indices, in bytes; absent where `exact` is false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index_bytes: Option<UnsignedInteger>,
    /// Whether all its pages were counted.
    pub exact: bool,
}

/// How large the database is, and how busy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseStats {
    /// The database without its log, in bytes: all its pages, the free ones included.
    pub database_bytes: UnsignedInteger,
    /// The size of a page, in bytes.
    pub page_size: UnsignedInteger,
    /// How many pages it has.
    pub pages: UnsignedInteger,
    /// How many of them are free: a vacuum gives them back to the disk.
    pub free_pages: UnsignedInteger,
    /// The write-ahead log, in bytes.
    pub wal_bytes: UnsignedInteger,
    /// The tables, the largest first.
    pub tables: Vec<TableSize>,
    /// Writes that wait.
    pub queue_depth: UnsignedInteger,
    /// Changes in the change feed.
    pub feed_length: UnsignedInteger,
    /// Jobs that run.
    pub jobs_running: UnsignedInteger,
}

/// What a checkpoint did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckpointOutcome {
    /// The write-ahead log before, in bytes.
    pub wal_bytes_before: UnsignedInteger,
    /// The write-ahead log after, in bytes.
    pub wal_bytes_after: UnsignedInteger,
    /// Whether all of it was copied into the database; false where a reader was in the way.
    pub complete: bool,
}

/// The result of a vacuum that is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VacuumResult {
    /// Pages that were given back.
    pub pages_freed: UnsignedInteger,
    /// The database before, in bytes.
    pub database_bytes_before: UnsignedInteger,
    /// The database after, in bytes.
    pub database_bytes_after: UnsignedInteger,
}

/// The result of an analyze that is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalyzeResult {
    /// Tables that were looked at.
    pub tables: UnsignedInteger,
}

/// The result of an integrity check that is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckResult {
    /// Whether the database is whole.
    pub ok: bool,
    /// How it was checked.
    pub mode: CheckMode,
    /// What is wrong, in SQLite's words; at most 100.
    pub problems: Vec<String>,
}

wire_enum! {
    /// How much an integrity check looks at.
    pub enum CheckMode {
        /// All pages and their order, but not whether indices hold what their tables hold.
        Quick = "quick",
        /// All of that too, and whether every row that another names is there.
        Full = "full",
    }
}

/// A value of SQL: null, a number, a text, or `{"base64": ...}` for bytes. Integers beyond 2^53 - 1
/// stand as texts, and so do the two infinities.
#[derive(Debug, Clone, PartialEq)]
pub enum SqlValue {
    /// NULL.
    Null,
    /// An integer.
    Integer(i64),
    /// A floating-point number.
    Real(f64),
    /// A text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

/// Bytes on the wire.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bytes<T> {
    base64: T,
}

impl SqlValue {
    /// About how many bytes it takes on the wire.
    pub fn wire_bytes(&self) -> usize {
        match self {
            SqlValue::Null => 4,
            SqlValue::Integer(_) | SqlValue::Real(_) => 24,
            SqlValue::Text(text) => text.len() + 2,
            SqlValue::Blob(bytes) => bytes.len().div_ceil(3) * 4 + 14,
        }
    }
}

impl Serialize for SqlValue {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let safe = crate::error::MAX_SAFE_INTEGER;
        match self {
            SqlValue::Null => serializer.serialize_unit(),
            SqlValue::Integer(number) if (-safe..=safe).contains(number) => {
                serializer.serialize_i64(*number)
            }
            SqlValue::Integer(number) => serializer.collect_str(number),
            SqlValue::Real(number) if number.is_finite() => serializer.serialize_f64(*number),
            SqlValue::Real(number) if *number > 0.0 => serializer.serialize_str("Infinity"),
            SqlValue::Real(_) => serializer.serialize_str("-Infinity"),
            SqlValue::Text(text) => serializer.serialize_str(text),
            SqlValue::Blob(bytes) => Bytes { base64: STANDARD.encode(bytes) }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for SqlValue {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum OnWire {
            Null(()),
            Integer(i64),
            Real(f64),
            Text(String),
            Blob(Bytes<Base64Data>),
        }
        Ok(match OnWire::deserialize(deserializer)? {
            OnWire::Null(()) => SqlValue::Null,
            OnWire::Integer(number) => SqlValue::Integer(number),
            OnWire::Real(number) => SqlValue::Real(number),
            OnWire::Text(text) => SqlValue::Text(text),
            OnWire::Blob(Bytes { base64: Base64Data(bytes) }) => SqlValue::Blob(bytes),
        })
    }
}

impl Wire for SqlValue {
    fn from_wire(raw: &RawValue, path: &Path<'_>, errors: &mut FieldErrors) -> Option<Self> {
        match serde_json::from_str(raw.get()) {
            Ok(SqlValue::Text(text)) if text.contains('\0') => {
                errors.add(path, "must not hold U+0000");
                None
            }
            Ok(value) => Some(value),
            Err(_) => {
                errors.add(path, "must be null, a number, a text, or {\"base64\": bytes}");
                None
            }
        }
    }
}

impl JsonSchema for SqlValue {
    fn schema_name() -> Cow<'static, str> {
        "SqlValue".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let bytes = generator.subschema_for::<Base64Data>();
        json_schema!({
            "description": "A value of SQL: null, a number, a text, or {\"base64\": ...} for bytes. Integers beyond 2^53 - 1 stand as texts, and so do the two infinities.",
            "anyOf": [
                { "type": "null" },
                { "type": "number" },
                { "type": "string" },
                {
                    "type": "object",
                    "properties": { "base64": bytes },
                    "required": ["base64"],
                    "additionalProperties": false
                }
            ]
        })
    }
}

/// The rows that a query found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueryResult {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The rows, each with a value for each column.
    pub rows: Vec<Vec<SqlValue>>,
    /// Whether there were more rows than `limit`, or than fit into an answer (4 MiB).
    pub truncated: bool,
}

wire_object! {
    /// What `maintenance.stats`, `.checkpoint`, `.vacuum` and `.analyze` take: nothing.
    pub struct NoParams {}
}
wire_object! {
    /// What `maintenance.integrityCheck` takes.
    pub struct CheckParams {
        /// How much to look at; `quick` where left out.
        pub mode: Option<CheckMode>,
    }
}
wire_object! {
    /// What `maintenance.query` takes.
    pub struct QueryParams {
        /// One statement that reads.
        pub sql: Text,
        /// The values of its parameters `?1`, `?2`, ...
        pub params: Option<Vec<SqlValue>>,
        /// At most this many rows; 100 where left out.
        pub limit: Option<Limit>,
    }
}
no_request_id!(NoParams, CheckParams, QueryParams);

methods! {
    "The database as a file: how large it is, kept small and whole, and looked into.";

    /// Says how large the database is, table by table, and how busy.
    ///
    /// Pages, log and feed are exact. The tables are counted page by page for half a second at most:
    /// those that were not reached are marked by `exact`. The hits and misses of the connections' page
    /// caches are not told.
    Stats = "maintenance.stats" {
        params: NoParams,
        result: DatabaseStats,
        access: Access::Admin,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [],
        examples: [Example {
            name: "a small database",
            params: r#"{}"#,
            result: r#"{"databaseBytes":311296,"pageSize":4096,"pages":76,"freePages":0,"walBytes":57712,"tables":[{"name":"components","rows":1,"bytes":4096,"indexBytes":28672,"exact":true}],"queueDepth":0,"feedLength":5,"jobsRunning":0}"#,
        }],
    }

    /// Copies the write-ahead log into the database, and empties it.
    ///
    /// The daemon does so by itself; this is for before the file is looked at from outside. Readers are
    /// waited for, two seconds at most, and writes wait as long.
    Checkpoint = "maintenance.checkpoint" {
        params: NoParams,
        result: CheckpointOutcome,
        access: Access::Admin,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [DiskFull, IoError],
        examples: [Example {
            name: "all of it",
            params: r#"{}"#,
            result: r#"{"walBytesBefore":57712,"walBytesAfter":0,"complete":true}"#,
        }],
    }

    /// Gives free pages back to the disk: a job.
    ///
    /// It goes in small steps between which writes go on. The daemon does so by itself where a fifth of
    /// the database is free and nobody writes. `result` is `{pagesFreed, databaseBytesBefore,
    /// databaseBytesAfter}`. Where one runs already, that one is answered.
    Vacuum = "maintenance.vacuum" {
        params: NoParams,
        result: Job,
        access: Access::Admin,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [DiskFull, IoError],
        examples: [Example {
            name: "it begins",
            params: r#"{}"#,
            result: r#"{"jobId":"vacuum-2","kind":"vacuum","state":"running","done":0,"unit":"pages","createdAt":1764028800}"#,
        }],
    }

    /// Looks at samples of every table, so that queries are planned well: a job.
    ///
    /// `result` is `{tables}`. Connections that are open plan by what was found once they are opened
    /// anew, within half an hour. Where one runs already, that one is answered.
    Analyze = "maintenance.analyze" {
        params: NoParams,
        result: Job,
        access: Access::Admin,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [DiskFull, IoError],
        examples: [Example {
            name: "it begins",
            params: r#"{}"#,
            result: r#"{"jobId":"analyze-2","kind":"analyze","state":"running","done":0,"unit":"tables","createdAt":1764028800}"#,
        }],
    }

    /// Checks whether the database is whole: a job.
    ///
    /// It reads all of the database beside everything else. `result` is `{ok, mode, problems}`; a
    /// database that is not whole stands in `status.get` from then on. A search index that is broken is
    /// among the problems, and is built anew by itself. `done` counts SQLite's steps, of which nobody
    /// knows the total. Where one runs already, that one is answered, whatever its mode.
    IntegrityCheck = "maintenance.integrityCheck" {
        params: CheckParams,
        result: Job,
        access: Access::Admin,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [DiskFull, IoError],
        examples: [Example {
            name: "all of it",
            params: r#"{"mode":"full"}"#,
            result: r#"{"jobId":"integrityCheck-2","kind":"integrityCheck","state":"running","done":0,"unit":"steps","createdAt":1764028800}"#,
        }],
    }

    /// Asks the database in SQL, to read only.
    ///
    /// One statement, for two seconds at most, with the functions of a list. What is sealed is answered
    /// sealed; the hashes of tokens, the kept answers and the values of `meta` can't be read. Bytes are
    /// answered as `{"base64": ...}`, integers beyond 2^53 - 1 as texts. The tables are no part of the
    /// contract: they may change with any version. What is wrong with the statement is said of the field
    /// `sql` in SQLite's own words.
    Query = "maintenance.query" {
        params: QueryParams,
        result: QueryResult,
        access: Access::Admin,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [],
        examples: [Example {
            name: "the kinds of components",
            params: r#"{"sql":"SELECT type, count(*) AS count FROM components WHERE name <> ?1 GROUP BY type","params":["Clock"]}"#,
            result: r#"{"columns":["type","count"],"rows":[["backend",1]],"truncated":false}"#,
        }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_as_they_went_but_for_integers_that_json_cannot_keep() {
        for (value, text) in [
            (SqlValue::Null, "null"),
            (SqlValue::Integer(-7), "-7"),
            (SqlValue::Real(0.5), "0.5"),
            (SqlValue::Text("a".to_owned()), "\"a\""),
            (SqlValue::Blob(vec![1, 2]), r#"{"base64":"AQI="}"#),
        ] {
            assert_eq!(serde_json::to_string(&value).unwrap(), text);
            assert_eq!(serde_json::from_str::<SqlValue>(text).unwrap(), value);
        }
        let large = serde_json::to_string(&SqlValue::Integer(i64::MAX)).unwrap();
        assert_eq!(large, "\"9223372036854775807\"");
        let infinite = serde_json::to_string(&SqlValue::Real(f64::NEG_INFINITY)).unwrap();
        assert_eq!(infinite, "\"-Infinity\"");
        for bad in ["true", "[]", "{}", r#"{"base64":1}"#, r#"{"base64":"AQI=","more":1}"#] {
            assert!(serde_json::from_str::<SqlValue>(bad).is_err(), "{bad}");
        }
    }
}
