//! Opens connections to the database, each with the settings that its promises rest on.
//!
//! - `journal_mode=WAL`, `synchronous=FULL`: a commit is on disk before it returns, and readers go on
//!   beside it (<https://www.sqlite.org/wal.html>).
//! - `mmap_size=0`: an IO error is an error code, not a SIGBUS.
//! - `trusted_schema=OFF`: a schema someone wrote into the file runs no functions.
//! - `wal_autocheckpoint=0`: [`checkpoint`](super::checkpoint) decides.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

/// `PRAGMA application_id` of our databases: "OSNS".
pub(super) const APPLICATION_ID: i32 = 0x4f53_4e53;
/// Below this a WAL could be corrupted by a race of two checkpoints (SQLite's release notes, 3.51.3).
const MINIMUM_SQLITE: i32 = 3_051_003;
/// How long a connection waits for another's lock: only recovery and offline tools ever hold one.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Prepared statements that a connection keeps; there are fewer than this in all.
const STATEMENTS: usize = 128;
/// Page cache of one connection, in KiB (negative: KiB, in SQLite's way); taken only as it is used.
/// With 8 MiB, point reads over 10,000 records of 2 KB spent a third of their time on page misses.
const CACHE_KIB: i32 = -32768;
/// What the WAL file is cut to when it is reset after having grown beyond it, in bytes.
const JOURNAL_SIZE_LIMIT: i64 = 64 << 20;

/// Whether the SQLite that is linked in is one whose WAL can be trusted.
pub(super) fn sqlite_is_recent() -> bool {
    rusqlite::version_number() >= MINIMUM_SQLITE
}

/// Opens a connection that writes, and creates the file where it is missing.
pub(super) fn open_writer(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    // These three hold only if they come before the first table.
    connection.execute_batch(&format!(
        "PRAGMA page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA busy_timeout = {};",
        BUSY_TIMEOUT.as_millis()
    ))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    configure(&connection)?;
    Ok(connection)
}

/// Opens a database that may be anyone's, to look at it: what is in the file and in its WAL stays as
/// it is.
pub(super) fn open_to_look(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, reader_flags())?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // The last connection that closes a database would else copy its WAL into it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(connection)
}

/// Opens a connection that only reads.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, reader_flags())?;
    configure(&connection)?;
    Ok(connection)
}

/// The flags of a connection that only reads.
pub(super) fn reader_flags() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

/// Sets what every connection has.
pub(super) fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.execute_batch(&format!(
        "PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA trusted_schema = OFF;
         PRAGMA temp_store = MEMORY;
         PRAGMA mmap_size = 0;
         PRAGMA wal_autocheckpoint = 0;
         PRAGMA cache_size = {CACHE_KIB};
         PRAGMA journal_size_limit = {JOURNAL_SIZE_LIMIT};"
    ))?;
    if cfg!(target_os = "macos") {
        connection.execute_batch("PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON;")?;
    }
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(())
}
