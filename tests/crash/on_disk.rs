//! What must hold on disk, whatever happened: looked at past the daemon, in its database and folders.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

/// Opens the database of a data root, to read only.
pub(crate) fn open(root: &Path) -> Connection {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(root.join("osnova.db"), flags).unwrap()
}

/// The names of the files in a folder.
pub(crate) fn files(folder: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            names.insert(entry.file_name().into_string().unwrap());
        }
    }
    names
}

/// The files of blobs that have no row.
pub(crate) fn leftovers(root: &Path) -> BTreeSet<String> {
    let mut files = files(&root.join("blobs"));
    for (name, _) in contents(&open(root)) {
        files.remove(&name);
    }
    files
}

/// The files that the database knows, with their length.
fn contents(database: &Connection) -> BTreeMap<String, u64> {
    let mut statement = database
        .prepare("SELECT lower(hex(hash)) || '.enc', stored_size FROM blob_contents")
        .unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.collect::<rusqlite::Result<_>>().unwrap()
}

/// After a start, before any call: every row has its file, nothing half done is left.
pub(crate) fn check_started(root: &Path) {
    let database = open(root);
    check_rows_have_files(&database, root);
    assert!(files(&root.join("blobs/.tmp")).is_empty(), "temporaries are left after a start");
    assert_eq!(count(&database, "SELECT count(*) FROM blob_unlinks"), 0, "rubbish is left");
}

/// After a stop: SQLite finds the database whole, and it agrees with itself and with the files.
pub(crate) fn check_stopped(root: &Path) {
    let database = open(root);
    let verdict: String =
        database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
    let broken = database.prepare("PRAGMA foreign_key_check").unwrap().exists([]).unwrap();
    assert!(!broken, "a foreign key points nowhere");
    check_rows_have_files(&database, root);
    let kept = "SELECT what, holder, count, bytes, stored_bytes FROM totals WHERE count <> 0";
    let counted = "SELECT 'contents', '', count(*), sum(size), sum(stored_size)
                   FROM blob_contents HAVING count(*) > 0
                   UNION ALL
                   SELECT 'held', holder, count(*), sum(size), sum(stored_size)
                   FROM blob_holders JOIN blob_contents USING (content_id) GROUP BY holder";
    assert_eq!(totals(&database, kept), totals(&database, counted), "the totals are not the sums");
    let empty = count(
        &database,
        "SELECT count(*) FROM totals WHERE count = 0 AND (bytes <> 0 OR stored_bytes <> 0)",
    );
    assert_eq!(empty, 0, "totals of nothing are not zero");
}

fn check_rows_have_files(database: &Connection, root: &Path) {
    for (name, stored_size) in contents(database) {
        let file = fs::metadata(root.join("blobs").join(&name));
        let length = file.unwrap_or_else(|error| panic!("the row of {name}: {error}")).len();
        assert_eq!(length, stored_size, "{name}");
    }
}

fn totals(database: &Connection, sql: &str) -> BTreeSet<(String, String, u64, u64, u64)> {
    let mut statement = database.prepare(sql).unwrap();
    let rows = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))
        .unwrap();
    rows.collect::<rusqlite::Result<_>>().unwrap()
}

/// The number that a query answers.
pub(crate) fn count(database: &Connection, sql: &str) -> u64 {
    database.query_row(sql, [], |row| row.get(0)).unwrap()
}
