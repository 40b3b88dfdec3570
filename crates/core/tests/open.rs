//! Opening a data root: what it is made of, who may have it, and what is refused and left as it is.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

#[path = "common/calls.rs"]
mod calls;
mod common;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use calls::{read, write};
use common::*;
use osnova_storage_api::ErrorCode;
use osnova_storage_api::status::Health;
use osnova_storage_core::db::{migrations, transactions};
use osnova_storage_core::vault::keys::MasterKey;
use osnova_storage_core::{OpenError, Store};
use rusqlite::Connection;
use serde_json::json;

/// Makes the folder of a root, so that a test can put files into it.
fn make(root: &Root) {
    fs::create_dir(root.path()).unwrap();
    fs::set_permissions(root.path(), Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_new_root_is_this_users_alone_and_has_what_can_not_be_had_later() {
    let root = Root::new();
    let store = root.open();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for folder in ["", "blobs", "blobs/.tmp", "run"] {
        assert_eq!(mode(&root.path().join(folder)), 0o700, "{folder}");
    }
    assert_eq!(mode(&root.path().join(".lock")), 0o600);
    for (pragma, value) in
        [("page_size", 4096), ("auto_vacuum", 2), ("application_id", 0x4f53_4e53)]
    {
        assert_eq!(query::<i64>(&store, &format!("PRAGMA {pragma}")), value, "{pragma}");
    }
    for (pragma, value) in [("foreign_keys", 1), ("synchronous", 2), ("trusted_schema", 0)] {
        let pragma = format!("PRAGMA {pragma}");
        assert_eq!(query::<i64>(&store, &pragma), value, "{pragma} of a reader");
        let read = move |tx: &osnova_storage_core::db::Tx<'_>| {
            Ok(tx.connection().query_row(&pragma, [], |row| row.get::<_, i64>(0))?)
        };
        assert_eq!(store.db().write(64, read).unwrap(), value, "of the writer");
    }
    assert_eq!(query::<String>(&store, "PRAGMA journal_mode"), "wal");
    assert_eq!(
        query::<u32>(&store, "SELECT max(version) FROM schema_version"),
        migrations::latest()
    );
    assert_eq!(query::<String>(&store, "PRAGMA quick_check"), "ok");
    assert_eq!(status(&store), Health::Ok);
    drop(store);
    // Still so when SQLite is asked anew.
    let connection = Connection::open(root.database()).unwrap();
    let vacuum: u32 = connection.query_row("PRAGMA auto_vacuum", [], |row| row.get(0)).unwrap();
    assert_eq!(vacuum, 2);
}

#[test]
fn the_root_keeps_its_id() {
    let root = Root::new();
    let first = *root.open().db().root_id();
    let second = *root.open().db().root_id();
    assert_eq!(first, second);
    assert_ne!(first, *Root::new().open().db().root_id());
}

#[test]
fn one_daemon_has_a_root() {
    let root = Root::new();
    let store = root.open();
    let OpenError::InUse { pid, .. } = root.open_error() else { panic!("not in use") };
    assert_eq!(pid, std::process::id().to_string());
    // The one who has it is not disturbed, and what it leaves is free.
    set(&store, "k", "1").unwrap();
    store.close();
    assert!(matches!(root.open_error(), OpenError::InUse { .. }));
    drop(store);
    get(&root.open(), "k").unwrap();
}

#[test]
fn a_root_that_others_may_write_is_refused() {
    let root = Root::new();
    make(&root);
    for mode in [0o770, 0o702, 0o777] {
        fs::set_permissions(root.path(), Permissions::from_mode(mode)).unwrap();
        let error = root.open_error();
        assert!(matches!(error, OpenError::NotOurs { .. }), "{error}");
        assert!(names_in(&root.path()).is_empty());
    }
    fs::set_permissions(root.path(), Permissions::from_mode(0o755)).unwrap();
    root.open();
}

#[test]
fn a_root_that_is_a_file_is_refused() {
    let root = Root::new();
    fs::write(root.path(), b"a file").unwrap();
    assert!(matches!(root.open_error(), OpenError::NotOurs { .. }));
    assert_eq!(fs::read(root.path()).unwrap(), b"a file");
}

fn assert_refused_untouched(root: &Root, why: &str) {
    let database = fs::read(root.database()).unwrap();
    let wal = fs::read(root.path().join("osnova.db-wal")).ok().filter(|wal| !wal.is_empty());
    for _ in 0..2 {
        let error = root.open_error();
        assert!(matches!(error, OpenError::Unusable { .. }), "{error:?}");
        assert!(error.to_string().contains(why), "{error}");
        assert!(fs::read(root.database()).unwrap() == database, "the database was changed");
        let wal_now =
            fs::read(root.path().join("osnova.db-wal")).ok().filter(|wal| !wal.is_empty());
        assert!(wal_now == wal, "the WAL was changed");
    }
}

#[test]
fn a_newer_database_is_refused_untouched() {
    let root = Root::new();
    let store = root.open();
    set(&store, "k", "1").unwrap();
    store
        .db()
        .write(64, |tx| {
            let later = "INSERT INTO schema_version VALUES (?1, 0, 'later')";
            Ok(tx.connection().execute(later, [migrations::latest() + 1])?)
        })
        .unwrap();
    drop(store);
    assert_refused_untouched(&root, "newer");
}

/// As a crash of the newer program leaves it: its last commits are in the WAL alone.
#[test]
fn a_newer_database_with_a_wal_is_refused_untouched() {
    let root = Root::new();
    drop(root.open());
    let connection = Connection::open(root.database()).unwrap();
    connection.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
    connection
        .execute("INSERT INTO schema_version VALUES (?1, 0, 'later')", [migrations::latest() + 1])
        .unwrap();
    let crashed = Root::new();
    make(&crashed);
    for file in ["osnova.db", "osnova.db-wal"] {
        fs::copy(root.path().join(file), crashed.path().join(file)).unwrap();
    }
    assert_refused_untouched(&crashed, "newer");
}

#[test]
fn a_database_of_something_else_is_refused_untouched() {
    for journal in ["DELETE", "WAL"] {
        let root = Root::new();
        make(&root);
        let connection = Connection::open(root.database()).unwrap();
        connection.pragma_update(None, "journal_mode", journal).unwrap();
        connection.execute_batch("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)").unwrap();
        drop(connection);
        assert_refused_untouched(&root, "not one of osnova-storage");
    }
}

#[test]
fn a_file_that_is_no_database_is_refused_untouched() {
    let root = Root::new();
    make(&root);
    for garbage in [b"xy".to_vec(), b"not a database".repeat(1000), content(1, 100_000)] {
        fs::write(root.database(), garbage).unwrap();
        assert_refused_untouched(&root, "not a database");
    }
    // An empty file is one that a crash left before the first commit.
    fs::write(root.database(), b"").unwrap();
    let store = root.open();
    assert_eq!(query::<i64>(&store, "PRAGMA auto_vacuum"), 2);
}

#[test]
fn a_damaged_database_is_refused() {
    let root = Root::new();
    drop(root.open());
    let mut database = fs::read(root.database()).unwrap();
    // The page of the schema, behind its header.
    database[100..4096].fill(0xaa);
    fs::write(root.database(), database).unwrap();
    assert_refused_untouched(&root, "damaged");
}

/// Commits that a crash left in the WAL are there at the next start.
#[test]
fn a_database_with_a_wal_goes_on_where_it_was() {
    let root = Root::new();
    let store = root.open();
    let last = (0..50).map(|index| set(&store, &format!("k{index}"), "1").unwrap()).last().unwrap();
    let crashed = Root::new();
    make(&crashed);
    for file in ["osnova.db", "osnova.db-wal"] {
        fs::copy(root.path().join(file), crashed.path().join(file)).unwrap();
    }
    let recovered = crashed.open();
    assert_eq!(get(&recovered, "k49").unwrap(), last);
    assert_eq!(query::<u32>(&recovered, "SELECT count(*) FROM user_preferences"), 50);
    assert!(set(&recovered, "k0", "2").unwrap().revision > last.revision);
    recovered.db().integrity_check().unwrap();
    drop(store);
}

/// A copy of a data root as an earlier version wrote it, by `examples/make_fixture.rs`.
fn copy_of_fixture(version: &str) -> Root {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(format!("root-{version}"));
    let root = Root::new();
    make(&root);
    fs::create_dir(root.path().join("blobs")).unwrap();
    for folder in [".", "blobs"] {
        for name in names_in(&fixture.join(folder)) {
            let from = fixture.join(folder).join(&name);
            if from.is_file() {
                fs::copy(from, root.path().join(folder).join(name)).unwrap();
            }
        }
    }
    root
}

/// A root of the seed's own schema with all its rows: what it holds is counted, changed and told of as if it
/// had been put by this program.
#[test]
fn a_root_of_version_1_with_rows_in_all_tables_is_served() {
    let root = Root::new();
    make(&root);
    let mut connection = Connection::open(root.database()).unwrap();
    migrations::migrate(&mut connection, 1, 1).unwrap();
    connection
        .execute_batch(
            "INSERT INTO wallet_transactions VALUES
               ('0x1','f','t','0.1',NULL,'n','pending',NULL,NULL,NULL,NULL,1,NULL),
               ('0x2','f','t','0.2',NULL,'n','confirmed',NULL,NULL,NULL,NULL,2,NULL);",
        )
        .unwrap();
    drop(connection);
    let store = root.open();
    let confirm = json!({ "txHash": "0x1", "status": "confirmed" });
    write(&store, &owner(), transactions::update_status, &confirm).unwrap();
    let stats = read(&store, &owner(), transactions::stats, &json!({})).unwrap();
    assert_eq!((&stats["count"], &stats["byStatus"]["confirmed"]), (&json!(2), &json!(2)));
    assert_eq!(stats["byToken"][0]["confirmedAmount"], "0.3");

    // Where sums do not add up it is the database that is damaged, and no file of a content.
    execute(&store, "UPDATE transaction_totals SET count = 0, amount = '0'");
    execute(&store, "UPDATE wallet_transactions SET status = 'pending' WHERE tx_hash = '0x2'");
    let confirm = json!({ "txHash": "0x2", "status": "confirmed" });
    let error = write(&store, &owner(), transactions::update_status, &confirm).unwrap_err();
    assert_eq!(error.to_api().code(), ErrorCode::IntegrityError);
    store.note_error(&error);
    let degraded: Vec<String> = store
        .status("test")
        .services
        .into_iter()
        .filter(|service| service.status != Health::Ok)
        .map(|service| service.name)
        .collect();
    assert_eq!(degraded, ["database"]);
}

/// Roots written when the database had version 3, 5 and 6 open with every later program. A fixture is
/// never made anew: a later version gets one of its own beside it.
#[test]
fn roots_of_earlier_versions_open_and_everything_reads() {
    for version in ["v3", "v5", "v6"] {
        opens_and_reads(&copy_of_fixture(version));
    }
}

fn opens_and_reads(root: &Root) {
    let store = root.open();
    assert_eq!(code(&store.unlock(MasterKey::from_bytes(&[1; 32]))), ErrorCode::WrongKey);
    store.unlock(master()).unwrap();
    store.db().integrity_check().unwrap();

    let clock = get_component(&store, "org.example.clock").unwrap();
    assert_eq!(clock.manifest.get(), r#"{ "dependencies" : {"@example/weather":"^2.1"} }"#);
    assert_eq!(clock.description.as_ref().unwrap().as_str(), "Tells the time");
    assert_eq!(clock.installed_at.0, 1_764_028_800);
    assert_eq!(clock.last_used.unwrap().0, 1_764_030_000);
    let weather = get_component(&store, "@example/weather").unwrap();
    assert_eq!(weather.last_used, None);
    assert!(weather.revision < clock.revision);
    let theme = get(&store, "ui.theme").unwrap();
    assert_eq!(theme.value.get(), r#"{ "name":"dark", "contrast":1.50 }"#);
    assert!(theme.revision.0 >= 1_764_028_800 << 20);

    let small = clock.blobs.values().next().unwrap();
    assert_eq!(read_blob(&store, &owner(), small).unwrap(), b"the program of the clock");
    let pixels: Vec<u8> = (0..100_000_u32).map(|at| (at * 7 % 251).to_le_bytes()[0]).collect();
    let component = component_caller("@example/weather");
    let stat = stat(&store, &component, &sha256(&pixels)).unwrap();
    assert_eq!(stat.content_type.unwrap().as_str(), "image/png");
    assert!(read_blob(&store, &component, &sha256(&pixels)).unwrap() == pixels);

    // And it goes on from there.
    let changed = set(&store, "ui.theme", "1").unwrap();
    assert!(changed.revision > theme.revision);
    put_blob(&store, &owner(), b"more").unwrap();
    drop(store);
    let store: Store = root.open_unlocked();
    assert_eq!(get(&store, "ui.theme").unwrap(), changed);
}
