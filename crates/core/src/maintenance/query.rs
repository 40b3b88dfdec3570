//! Read-only SQL of the owner: one statement, on a connection of its own that can do nothing else, for a
//! bounded time, with a bounded answer. What it may not see is decided in [`super::forbidden`].

use std::ffi::c_int;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use osnova_storage_api::ApiError;
use osnova_storage_api::maintenance::{QueryParams, QueryResult, SqlValue};
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, ErrorCode, Statement};

use super::forbidden::{Places, authorize};
use crate::db::Database;
use crate::error::{Result, StoreError};

/// Queries that run at once: each takes a connection with its cache.
const MAX_QUERIES: usize = 2;
/// When a query that was refused may be asked again.
const RETRY_AFTER_MS: u64 = 200;
/// How long a query may take.
const TIME: Duration = Duration::from_secs(2);
/// Instructions between two looks at the clock.
const INSTRUCTIONS: c_int = 1000;
/// The values of an answer, in bytes on the wire: a quarter of what an answer may have.
const ANSWER_BYTES: usize = 4 << 20;
/// The longest text that a query may read or make, in bytes; the longest values of records have 1 MiB.
const VALUE_BYTES: i32 = 4 << 20;
/// The longest pattern of LIKE and GLOB: what they compare takes their lengths multiplied.
const PATTERN_BYTES: i32 = 256;
/// The most instructions of a compiled statement; what people write has a few hundred.
const PROGRAM: i32 = 50_000;

/// A query that runs, among so many.
struct Running<'a>(&'a AtomicUsize);

impl<'a> Running<'a> {
    fn begin(running: &'a AtomicUsize) -> Result<Self> {
        let this = Self(running);
        if running.fetch_add(1, Ordering::Relaxed) >= MAX_QUERIES {
            return Err(ApiError::unavailable("too many queries run", RETRY_AFTER_MS).into());
        }
        Ok(this)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The values of a query's parameters.
#[derive(Clone, Copy)]
pub(super) struct Parameters<'a>(&'a [SqlValue]);

impl Parameters<'_> {
    pub(super) fn bind(self, statement: &mut Statement<'_>) -> rusqlite::Result<()> {
        for (index, value) in self.0.iter().enumerate() {
            let value = match value {
                SqlValue::Null => Value::Null,
                SqlValue::Integer(number) => Value::Integer(*number),
                SqlValue::Real(number) => Value::Real(*number),
                SqlValue::Text(text) => Value::Text(text.clone()),
                SqlValue::Blob(bytes) => Value::Blob(bytes.clone()),
            };
            statement.raw_bind_parameter(index + 1, value)?;
        }
        Ok(())
    }
}

pub(super) fn query(
    db: &Database,
    running: &AtomicUsize,
    params: &QueryParams,
) -> Result<QueryResult> {
    let _running = Running::begin(running)?;
    let connection = db.open_reader()?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    // One snapshot: the program that was looked at is the one that runs.
    connection.execute_batch("PRAGMA query_only = ON; BEGIN")?;
    let places = Places::find(&connection)?;
    confine(&connection)?;
    read(&connection, &places, params).map_err(told)
}

/// Has the connection do nothing but read, and not for long.
fn confine(connection: &Connection) -> Result<()> {
    let limits = [
        (Limit::SQLITE_LIMIT_LENGTH, VALUE_BYTES),
        (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, PATTERN_BYTES),
        (Limit::SQLITE_LIMIT_VDBE_OP, PROGRAM),
        (Limit::SQLITE_LIMIT_ATTACHED, 0),
        (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
    ];
    for (limit, value) in limits {
        connection.set_limit(limit, value)?;
    }
    let started = Instant::now();
    connection.progress_handler(INSTRUCTIONS, Some(move || started.elapsed() > TIME))?;
    connection.authorizer(Some(authorize))?;
    Ok(())
}

/// What is told of a statement that does more than read.
const DENIED: &str = "is not allowed: only reads are, and pragmas that tell of the schema";

/// What keeps a query from being answered.
enum Failure {
    /// SQLite refuses it or fails at it.
    Sql(rusqlite::Error),
    /// A field is bad.
    Field(&'static str, String),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Failure::Sql(error)
    }
}

fn read(
    connection: &Connection,
    places: &Places,
    params: &QueryParams,
) -> std::result::Result<QueryResult, Failure> {
    let sql = params.sql.as_str();
    let parameters = Parameters(params.params.as_deref().unwrap_or_default());
    let mut statement = connection.prepare(sql)?;
    if statement.column_count() == 0 || !statement.readonly() {
        return Err(Failure::Field("sql", "must be one statement that reads".to_owned()));
    }
    let (asked, given) = (statement.parameter_count(), parameters.0.len());
    if asked != given {
        let why = format!("the statement has {asked} parameters, {given} values were given");
        return Err(Failure::Field("params", why));
    }
    // One that is only to be explained reads nothing.
    if statement.is_explain() == 0 && places.are_read_by(connection, sql, parameters)? {
        let why = "access to a column that nobody is shown is prohibited";
        return Err(Failure::Field("sql", why.to_owned()));
    }
    parameters.bind(&mut statement)?;
    let columns: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
    let limit = usize::from(params.limit.unwrap_or_default().0);
    let (mut found, mut bytes, mut truncated) = (Vec::new(), 0, false);
    let mut rows = statement.raw_query();
    'rows: while let Some(row) = rows.next()? {
        if found.len() == limit {
            truncated = true;
            break;
        }
        let mut values = Vec::with_capacity(columns.len());
        for column in 0..columns.len() {
            let value = value(row.get_ref(column)?);
            bytes += value.wire_bytes() + 1;
            if bytes > ANSWER_BYTES {
                truncated = true;
                break 'rows;
            }
            values.push(value);
        }
        found.push(values);
    }
    Ok(QueryResult { columns, rows: found, truncated })
}

fn value(value: ValueRef<'_>) -> SqlValue {
    match value {
        ValueRef::Null => SqlValue::Null,
        ValueRef::Integer(number) => SqlValue::Integer(number),
        ValueRef::Real(number) => SqlValue::Real(number),
        // SQLite does not check that a text is UTF-8.
        ValueRef::Text(text) => SqlValue::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => SqlValue::Blob(bytes.to_vec()),
    }
}

/// The failure as the caller is told: his own mistakes in SQLite's words, the database's as ever.
fn told(failure: Failure) -> StoreError {
    let error = match failure {
        Failure::Field(field, why) => return ApiError::field(field, why).into(),
        Failure::Sql(error) => error,
    };
    let why = match &error {
        rusqlite::Error::MultipleStatement => "must be one statement".to_owned(),
        rusqlite::Error::SqlInputError { msg, offset, .. } if *offset >= 0 => {
            format!("{msg} (at byte {offset})")
        }
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        rusqlite::Error::SqliteFailure(cause, message) => match cause.code {
            ErrorCode::OperationInterrupted => {
                format!("took longer than {} seconds", TIME.as_secs())
            }
            ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::OutOfMemory
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked => return error.into(),
            // SQLite says no more of an act that the authorizer denies; of a column it names it.
            _ if message.as_deref() == Some("not authorized") => DENIED.to_owned(),
            _ => message.clone().unwrap_or_else(|| cause.to_string()),
        },
        _ => return error.into(),
    };
    ApiError::field("sql", why).into()
}
