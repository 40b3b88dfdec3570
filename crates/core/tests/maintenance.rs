//! Maintenance: pages given back while writes go on, checks, statistics, and what a query can't do.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use std::io::{Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::*;
use osnova_storage_api::ErrorCode;
use osnova_storage_api::jobs::{Job, JobParams, JobState, ListParams};
use osnova_storage_api::maintenance::{
    CheckMode, CheckParams, NoParams, QueryParams, QueryResult, SqlValue,
};
use osnova_storage_api::search::SearchParams;
use osnova_storage_api::status::Health;
use osnova_storage_api::wire::{Limit, Text};
use osnova_storage_core::db::search;
use osnova_storage_core::error::Result;
use osnova_storage_core::{Store, StoreError};

/// Tries until it holds; a test that would otherwise hang fails after a minute.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(60), "never seen: {what}");
        thread::yield_now();
    }
}

/// The job once it has ended, and its result.
fn ended(store: &Store, begun: &Job) -> (Job, serde_json::Value) {
    let params = JobParams { job_id: begun.job_id.clone() };
    let now = || store.jobs().get(&owner(), &params).unwrap();
    eventually("the job's end", || now().state != JobState::Running);
    let job = now();
    let result = job.result.as_ref().map_or("null", |result| result.get());
    let result = serde_json::from_str(result).unwrap();
    (job, result)
}

/// Fills about so many pages with something that is then deleted.
fn leave_free_pages(store: &Store, pages: u32) {
    store
        .db()
        .write(64, move |tx| {
            tx.connection().execute_batch("CREATE TABLE filling (content BLOB)")?;
            let mut insert =
                tx.connection().prepare("INSERT INTO filling VALUES (randomblob(4000))")?;
            (0..pages).try_for_each(|_| insert.execute([]).map(|_| ()))?;
            Ok(())
        })
        .unwrap();
    execute(store, "DROP TABLE filling");
    let free: u32 = query(store, "SELECT freelist_count FROM pragma_freelist_count");
    assert!(free >= pages, "{free} pages are free");
}

fn file_bytes(root: &Root) -> u64 {
    std::fs::metadata(root.database()).unwrap().len()
}

// Vacuum.

#[test]
fn a_vacuum_gives_pages_back_while_writes_go_on() {
    let root = Root::new();
    let store = root.open();
    leave_free_pages(&store, 6000);
    store.maintenance().checkpoint(&owner(), &NoParams {}).unwrap();
    let before = file_bytes(&root);
    let stop = AtomicBool::new(false);
    let written = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut written = 0_u32;
            while !stop.load(Ordering::Relaxed) {
                set(&store, &format!("k{}", written % 10), &written.to_string()).unwrap();
                written += 1;
            }
            written
        });
        let begun = store.maintenance().vacuum(&owner(), &NoParams {}).unwrap();
        assert_eq!((begun.kind.as_str(), begun.unit.as_str()), ("vacuum", "pages"));
        let (job, result) = ended(&store, &begun);
        stop.store(true, Ordering::Relaxed);
        assert_eq!(job.state, JobState::Done, "{job:?}");
        let freed = result["pagesFreed"].as_u64().unwrap();
        assert!(freed >= 6000, "{result}");
        assert_eq!(job.done.0, freed);
        let bytes = |key: &str| result[key].as_u64().unwrap();
        assert!(bytes("databaseBytesAfter") + 5000 * 4096 < bytes("databaseBytesBefore"));
        writer.join().unwrap()
    });
    assert!(written > 0);
    store.maintenance().checkpoint(&owner(), &NoParams {}).unwrap();
    assert!(file_bytes(&root) + 5000 * 4096 < before, "{before} -> {}", file_bytes(&root));
    store.db().integrity_check().unwrap();
    assert_eq!(get(&store, "k0").unwrap().key.as_str(), "k0");
}

/// What was done is told, and what was not is still free. One that was over before it could be cancelled
/// is begun again.
#[test]
fn a_vacuum_that_is_cancelled_leaves_the_rest_free() {
    let root = Root::new();
    let store = root.open();
    eventually("a vacuum that was cancelled in time", || {
        leave_free_pages(&store, 20_000);
        let before: u64 = query(&store, "SELECT freelist_count FROM pragma_freelist_count");
        let begun = store.maintenance().vacuum(&owner(), &NoParams {}).unwrap();
        store.jobs().cancel(&owner(), &JobParams { job_id: begun.job_id.clone() }).unwrap();
        let (job, _) = ended(&store, &begun);
        let free: u64 = query(&store, "SELECT freelist_count FROM pragma_freelist_count");
        // Among the pages given back are some that say what the others are.
        assert!(free + job.done.0 >= before, "{before}: {free} free, {} done", job.done.0);
        job.state == JobState::Cancelled && free > 0
    });
    store.db().integrity_check().unwrap();
}

#[test]
fn an_idle_database_with_much_free_is_vacuumed_by_itself() {
    let root = Root::new();
    let mut options = root.options();
    options.maintenance.idle = Duration::from_millis(1);
    let store = Store::open(options).unwrap();
    leave_free_pages(&store, 3000);
    let all = ListParams { state: None, kind: None, limit: None, cursor: None };
    let jobs = || store.jobs().list(&owner(), &all).unwrap().items;
    eventually("a vacuum", || jobs().first().is_some_and(|job| job.state != JobState::Running));
    let jobs = jobs();
    let free: u32 = query(&store, "SELECT freelist_count FROM pragma_freelist_count");
    assert_eq!((jobs.len(), free), (1, 0), "{jobs:?}");
    assert_eq!(jobs[0].kind.as_str(), "vacuum");
}

#[test]
fn a_vacuum_is_begun_by_the_clock_too() {
    let root = Root::new();
    let mut options = root.options();
    options.maintenance.idle = Duration::from_millis(1);
    options.maintenance.free_percent = None;
    options.maintenance.interval = Some(Duration::from_millis(1));
    let store = Store::open(options).unwrap();
    let done = ListParams {
        state: Some(JobState::Done),
        kind: Some(name("vacuum")),
        limit: None,
        cursor: None,
    };
    eventually("two vacuums", || store.jobs().list(&owner(), &done).unwrap().items.len() >= 2);
}

// Statistics, checkpoint, analyze.

#[test]
fn statistics_are_those_of_the_file() {
    let root = Root::new();
    let store = root.open();
    for index in 0..500 {
        set(&store, &format!("key {index:04}"), "\"value\"").unwrap();
    }
    leave_free_pages(&store, 100);
    let stats = store.maintenance().stats(&owner(), &NoParams {}).unwrap();
    assert_eq!(stats.page_size.0, 4096);
    assert_eq!(stats.database_bytes.0, stats.pages.0 * 4096);
    assert!(stats.free_pages.0 >= 100 && stats.wal_bytes.0 > 0);
    assert_eq!(stats.feed_length.0, 500);
    assert_eq!((stats.jobs_running.0, stats.queue_depth.0), (0, 0));
    assert!(stats.tables.iter().all(|table| table.exact));
    let table = |name: &str| stats.tables.iter().find(|table| table.name == name).unwrap();
    assert_eq!(table("user_preferences").rows.unwrap().0, 500);
    assert_eq!(table("change_feed").rows.unwrap().0, 500);
    assert_eq!(table("components").rows.unwrap().0, 0);
    // A table without rowids holds rows in its inner pages too.
    store
        .db()
        .write(64, |tx| {
            tx.connection().execute_batch(
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
                 INSERT INTO key_indices SELECT printf('%0200d', i), i FROM n",
            )?;
            Ok(())
        })
        .unwrap();
    let stats = store.maintenance().stats(&owner(), &NoParams {}).unwrap();
    let table = |name: &str| stats.tables.iter().find(|table| table.name == name).unwrap();
    assert_eq!(table("key_indices").rows.unwrap().0, 3000);
    let used: u64 = stats
        .tables
        .iter()
        .map(|table| table.bytes.unwrap().0 + table.index_bytes.unwrap().0)
        .sum();
    // Beside tables and free pages there are only the pages that say what the others are.
    let rest = stats.database_bytes.0 - used - stats.free_pages.0 * 4096;
    assert!(rest <= 4096 * 2, "{rest} bytes are nobody's");
}

#[test]
fn a_checkpoint_empties_the_log_or_says_that_it_could_not() {
    let root = Root::new();
    let store = root.open();
    set(&store, "k", "1").unwrap();
    let done = store.maintenance().checkpoint(&owner(), &NoParams {}).unwrap();
    assert!(done.complete && done.wal_bytes_before.0 > 0);
    assert_eq!(done.wal_bytes_after.0, 0);
    store
        .db()
        .read(|reader| {
            // The snapshot of this reader is of before the next write.
            let mut statement = reader.connection().prepare("SELECT name FROM sqlite_schema")?;
            let mut rows = statement.query([])?;
            assert!(rows.next()?.is_some());
            set(&store, "k", "2")?;
            let done = store.maintenance().checkpoint(&owner(), &NoParams {})?;
            assert!(!done.complete && done.wal_bytes_after.0 > 0);
            Ok(())
        })
        .unwrap();
    assert_eq!(get(&store, "k").unwrap().value.get(), "2");
}

#[test]
fn analyze_leaves_statistics_that_say_how_many_rows_there_are() {
    let root = Root::new();
    let store = root.open();
    for index in 0..50 {
        set(&store, &format!("k{index}"), "1").unwrap();
    }
    let begun = store.maintenance().analyze(&owner(), &NoParams {}).unwrap();
    let (job, result) = ended(&store, &begun);
    assert_eq!(job.state, JobState::Done, "{job:?}");
    assert!(result["tables"].as_u64().unwrap() > 10);
    assert_eq!(job.done, job.total.unwrap());
    let rows: i64 = query(
        &store,
        "SELECT CAST(stat AS INTEGER) FROM sqlite_stat1 WHERE tbl = 'user_preferences'",
    );
    assert_eq!(rows, 50);
}

// Integrity checks.

#[test]
fn a_whole_database_is_found_whole() {
    let root = Root::new();
    let store = root.open();
    set(&store, "k", "1").unwrap();
    for (mode, word) in [(None, "quick"), (Some(CheckMode::Full), "full")] {
        let begun = store.maintenance().integrity_check(&owner(), &CheckParams { mode }).unwrap();
        let (job, result) = ended(&store, &begun);
        let whole = serde_json::json!({ "ok": true, "mode": word, "problems": [] });
        assert_eq!((job.state, result), (JobState::Done, whole));
        eventually("that nothing runs", || store.jobs().running() == 0);
    }
    assert_eq!(status(&store), Health::Ok);
}

#[test]
fn damage_is_found_and_stands_in_the_status() {
    let root = Root::new();
    let store = root.open();
    for index in 0..2000 {
        set(&store, &format!("key {index:05}"), "\"a value that takes some room\"").unwrap();
    }
    let page: u64 =
        query(&store, "SELECT rootpage FROM sqlite_schema WHERE name = 'idx_cache_order'");
    store.close();
    drop(store);
    let mut file = std::fs::OpenOptions::new().write(true).open(root.database()).unwrap();
    file.seek(SeekFrom::Start((page - 1) * 4096)).unwrap();
    file.write_all(&[0x55; 4096]).unwrap();
    drop(file);
    let store = root.open();
    let begun = store.maintenance().integrity_check(&owner(), &CheckParams { mode: None }).unwrap();
    let (job, result) = ended(&store, &begun);
    assert_eq!(job.state, JobState::Done, "{job:?}");
    assert_eq!(result["ok"], false);
    assert!(!result["problems"].as_array().unwrap().is_empty());
    assert_eq!(status(&store), Health::Error);
}

/// A search index is made from the records: that it broke is told, but is no damage of the database, and
/// it is built anew.
#[test]
fn a_broken_search_index_is_found_and_built_anew() {
    let root = Root::new();
    let store = root.open();
    put_component(&store, component("barometer")).unwrap();
    execute(&store, "DELETE FROM search_components_data");
    let begun = store.maintenance().integrity_check(&owner(), &CheckParams { mode: None }).unwrap();
    let (_, result) = ended(&store, &begun);
    assert_eq!(result["ok"], false);
    assert!(result["problems"][0].as_str().unwrap().contains("search_components"), "{result}");
    assert_ne!(status(&store), Health::Error);
    eventually("the index to be built anew", || {
        let asked = SearchParams { query: "barometer".parse().unwrap(), limit: None };
        let hits = store.db().read(|reader| search::components(reader, &owner(), &asked));
        hits.is_ok_and(|hits| hits.items.len() == 1) && status(&store) == Health::Ok
    });
}

#[test]
fn rows_that_name_absent_ones_are_found_by_a_full_check() {
    let root = Root::new();
    let store = root.open();
    store.close();
    drop(store);
    let connection = rusqlite::Connection::open(root.database()).unwrap();
    connection
        .execute_batch(
            "PRAGMA foreign_keys = OFF;
             INSERT INTO component_dependencies VALUES ('no.such', 'other', NULL);",
        )
        .unwrap();
    drop(connection);
    let store = root.open();
    let params = CheckParams { mode: Some(CheckMode::Full) };
    let begun = store.maintenance().integrity_check(&owner(), &params).unwrap();
    let (_, result) = ended(&store, &begun);
    let problem = "a row of component_dependencies names one of components that is absent";
    assert_eq!(result["problems"], serde_json::json!([problem]));
}

#[test]
fn a_check_is_cancelled_in_the_middle() {
    let root = Root::new();
    let store = root.open();
    execute(
        &store,
        "CREATE TABLE filling (a, b); CREATE INDEX idx_filling ON filling (b, a);
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000)
         INSERT INTO filling SELECT i, i * 7919 % 300007 FROM n",
    );
    let params = CheckParams { mode: Some(CheckMode::Full) };
    // One that was over before it could be cancelled is begun again.
    eventually("a check that was cancelled in time", || {
        let begun = store.maintenance().integrity_check(&owner(), &params).unwrap();
        store.jobs().cancel(&owner(), &JobParams { job_id: begun.job_id.clone() }).unwrap();
        ended(&store, &begun).0.state == JobState::Cancelled
    });
}

// Queries.

fn ask_with(store: &Store, sql: &str, params: Vec<SqlValue>, limit: u16) -> Result<QueryResult> {
    let sql: Text = sql.parse().unwrap();
    let params = QueryParams { sql, params: Some(params), limit: Some(Limit(limit)) };
    store.maintenance().query(&owner(), &params)
}

fn ask(store: &Store, sql: &str) -> Result<QueryResult> {
    ask_with(store, sql, Vec::new(), 1000)
}

/// What is said of the field `sql`.
fn refusal(store: &Store, sql: &str) -> String {
    let error = ask(store, sql).map(|found| panic!("{sql} answers {found:?}")).unwrap_err();
    let told = error.to_api();
    assert_eq!(told.code(), ErrorCode::ValidationError, "{sql}: {error}");
    told.data.fields.unwrap()["sql"].clone()
}

#[test]
fn a_query_answers_typed_values() {
    let root = Root::new();
    let store = root.open();
    set(&store, "k", "[1]").unwrap();
    let found = ask(&store, "SELECT key AS name, value FROM user_preferences").unwrap();
    assert_eq!(found.columns, ["name", "value"]);
    let text = |text: &str| SqlValue::Text(text.to_owned());
    assert_eq!(found.rows, [[text("k"), text("[1]")]]);
    assert!(!found.truncated);
    let values = vec![
        SqlValue::Null,
        SqlValue::Integer(i64::MIN),
        SqlValue::Real(1.5),
        text("a\u{0}b"),
        SqlValue::Blob(vec![0, 255]),
    ];
    let found = ask_with(&store, "SELECT ?1, ?2, ?3, ?4, ?5", values.clone(), 1).unwrap();
    assert_eq!(found.rows, [values]);
    let error = ask_with(&store, "SELECT ?1, ?2", vec![SqlValue::Null], 1).unwrap_err();
    assert_eq!(fields(&error), ["params"]);
    // What people look at first.
    for sql in [
        "SELECT count(*) FROM access_tokens",
        "SELECT token_id, name FROM access_tokens",
        "SELECT key FROM meta",
        "SELECT caller, request_id, method FROM request_answers",
        "SELECT name, sql FROM sqlite_schema",
        "PRAGMA table_info(components)",
        "SELECT * FROM pragma_index_list('components')",
        "EXPLAIN QUERY PLAN SELECT * FROM components",
        "WITH n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT sum(i) FROM n",
        "SELECT j.value FROM user_preferences, json_each(user_preferences.value) AS j",
        "SELECT upper(key), length(value), datetime(updated_at, 'unixepoch') FROM user_preferences",
        "SELECT row_number() OVER (ORDER BY key) FROM user_preferences",
        "SELECT rowid FROM search_messages WHERE search_messages MATCH 'word'",
        "SELECT a.key FROM user_preferences AS a FULL JOIN user_preferences AS b USING (key)",
    ] {
        ask(&store, sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

#[test]
fn a_query_can_do_nothing_but_read() {
    let root = Root::new();
    let store = root.open();
    set(&store, "k", "1").unwrap();
    let elsewhere = root.path().join("elsewhere.db");
    let before = dump(&store);
    for sql in [
        "DELETE FROM user_preferences",
        "INSERT INTO user_preferences VALUES ('a', '1', 1, 1)",
        "UPDATE user_preferences SET value = '2'",
        "UPDATE user_preferences SET value = '2' RETURNING value",
        "REPLACE INTO meta VALUES ('root_id', x'00')",
        "CREATE TABLE mine (a)",
        "CREATE TEMP TABLE mine (a)",
        "CREATE TEMP VIEW mine AS SELECT 1",
        "CREATE VIRTUAL TABLE temp.mine USING fts5vocab (main, search_messages, row)",
        "DROP TABLE user_preferences",
        "ALTER TABLE components ADD COLUMN mine",
        "ATTACH ':memory:' AS mine",
        &format!("ATTACH '{}' AS mine", elsewhere.display()),
        "DETACH main",
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT mine",
        "VACUUM",
        &format!("VACUUM INTO '{}'", elsewhere.display()),
        "ANALYZE",
        "REINDEX",
        "PRAGMA query_only = OFF",
        "PRAGMA user_version = 7",
        "PRAGMA wal_checkpoint",
        "PRAGMA writable_schema = ON",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA integrity_check",
        "SELECT * FROM pragma_user_version",
        "SELECT * FROM pragma_integrity_check",
        "SELECT load_extension('mine.so')",
        "SELECT randomblob(10)",
        "SELECT zeroblob(1000000000)",
        "SELECT fts5(1)",
        "SELECT * FROM dbstat",
        "SELECT * FROM sqlite_temp_schema",
        "INSERT INTO search_messages (search_messages) VALUES ('rebuild')",
        "SELECT 1; SELECT 2",
        "SELECT 1; DELETE FROM user_preferences",
        "",
        "-- nothing",
        ";",
        "nonsense",
        "SELECT no_such_column FROM components",
    ] {
        refusal(&store, sql);
    }
    assert_eq!(dump(&store), before);
    assert!(!elsewhere.exists());
    assert_eq!(refusal(&store, "SELECT x"), "no such column: x (at byte 7)");
    assert_eq!(refusal(&store, "SELECT 1; SELECT 2"), "must be one statement");
    assert!(refusal(&store, "PRAGMA user_version = 7").contains("only reads are"));
}

/// SQLite asks its authorizer of columns by name, but not of those that `USING` and `NATURAL JOIN` find
/// by themselves: a full join with a row of nothing showed the hashes of tokens. The compiled program is
/// looked at since.
#[test]
fn secrets_are_not_shown_however_one_asks() {
    let root = Root::new();
    let store = root.open_unlocked();
    execute(
        &store,
        "INSERT INTO access_tokens VALUES (1, 'id', zeroblob(32), 'org.example.a', NULL, NULL, 1, NULL);
         INSERT INTO request_answers (id, caller, request_id, method, params_hash, answer, created_at)
           VALUES (1, '', 'r', 'auth.createToken', x'00', 'a token', 1);",
    );
    for (table, column, key) in [
        ("access_tokens", "token_hash", "token_id"),
        ("meta", "value", "key"),
        ("request_answers", "answer", "request_id"),
    ] {
        for sql in [
            format!("SELECT {column} FROM {table}"),
            format!("SELECT * FROM {table}"),
            format!("SELECT t.* FROM {table} AS t"),
            format!("SELECT main.{table}.{column} FROM {table}"),
            format!("SELECT {} FROM {table}", column.to_uppercase()),
            format!("SELECT 1 FROM {table} WHERE {column} > x'00'"),
            format!("SELECT {key} FROM {table} ORDER BY {column}"),
            format!("SELECT count(*) FROM {table} GROUP BY {column}"),
            format!("SELECT hex(max({column})) FROM {table}"),
            format!("SELECT (SELECT {column} FROM {table} LIMIT 1)"),
            format!("WITH t AS (SELECT * FROM {table}) SELECT count(*) FROM t"),
            format!(
                "SELECT {column} FROM (SELECT NULL AS {column}) FULL JOIN {table} USING ({column})"
            ),
            format!(
                "SELECT {column} FROM {table} FULL JOIN (SELECT 1 AS {column}) USING ({column})"
            ),
            format!("SELECT * FROM (SELECT NULL AS {column}) NATURAL FULL JOIN {table}"),
            format!(
                "SELECT hex({column}) FROM (SELECT NULL AS {column}) AS a
                 FULL JOIN (SELECT NULL AS {column}) AS b USING ({column})
                 FULL JOIN {table} USING ({column})"
            ),
            format!("SELECT count(*) FROM {table} NATURAL JOIN (SELECT x'00' AS {column})"),
            format!("SELECT count(*) FROM {table} AS a JOIN {table} AS b USING ({column})"),
            format!("SELECT 1 FROM {table} LEFT JOIN (SELECT 1 AS {column}) USING ({column})"),
            format!(
                "SELECT a.{key} FROM {table} AS a JOIN {table} AS b USING ({column}) ORDER BY 1"
            ),
            format!(
                "SELECT count(*) FROM (SELECT 1 UNION SELECT 2)
                 WHERE EXISTS (SELECT 1 FROM {table} NATURAL JOIN (SELECT x'00' AS {column}))"
            ),
        ] {
            let why = refusal(&store, &sql);
            assert!(why.contains("prohibited"), "{sql}: {why}");
        }
    }
    refusal(&store, "SELECT sample FROM sqlite_stat4");
}

#[test]
fn a_query_is_bounded_in_rows_bytes_and_time() {
    let root = Root::new();
    let store = root.open();
    let many =
        "WITH n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10) SELECT i FROM n";
    let found = ask_with(&store, many, Vec::new(), 10).unwrap();
    assert_eq!((found.rows.len(), found.truncated), (10, false));
    let found = ask_with(&store, many, Vec::new(), 9).unwrap();
    assert_eq!((found.rows.len(), found.truncated), (9, true));
    let large = "WITH n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10)
                 SELECT printf('%.1000000c', 'x') FROM n";
    let found = ask(&store, large).unwrap();
    assert_eq!((found.rows.len(), found.truncated), (4, true));
    assert!(refusal(&store, "SELECT printf('%.99999999c', 'x')").contains("too big"));
    let endless = "WITH n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";
    assert_eq!(refusal(&store, endless), "took longer than 2 seconds");
    // It ends too where rows come all the time.
    let rows = "WITH n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i < 0";
    assert_eq!(refusal(&store, rows), "took longer than 2 seconds");
}

#[test]
fn few_queries_run_at_once() {
    let root = Root::new();
    let store = root.open();
    let endless = "WITH n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    ask(&store, endless).unwrap_err();
                }
            });
        }
        let is_refused = |error: StoreError| error.to_api().code() == ErrorCode::Unavailable;
        eventually("a query too many", || ask(&store, "SELECT 1").is_err_and(is_refused));
        stop.store(true, Ordering::Relaxed);
    });
    ask(&store, "SELECT 1").unwrap();
}
