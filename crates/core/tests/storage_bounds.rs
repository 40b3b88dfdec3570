//! `storage` over time and size: values expire, are swept by a clock that can be trusted, are counted
//! and held against a limit, and go with their component.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;
#[path = "common/values.rs"]
mod values;

use common::*;
use osnova_storage_api::ErrorCode;
use osnova_storage_api::status::Health;
use osnova_storage_core::Store;
use osnova_storage_core::db::storage::StorageLimits;
use osnova_storage_core::db::storage::seal::OVERHEAD;
use osnova_storage_core::health::Cause;
use values::*;

const HOUR: i64 = 60 * 60;

fn rows(store: &Store) -> i64 {
    query(store, "SELECT count(*) FROM component_storage")
}

fn jumped(store: &Store) -> bool {
    store.health().causes().iter().any(|(cause, _)| *cause == Cause::ClockJumped)
}

// Expiry.

#[test]
fn an_expired_value_is_not_there_from_that_second_on() {
    let root = Root::new();
    let store = root.open_unlocked();
    let written = write_for(&store, "a", "k", "1", 10).unwrap();
    write(&store, "a", "l", "2").unwrap();
    assert_eq!(read(&store, "a", "k").unwrap().expires_at.unwrap().0, START + 10);
    root.clock.advance(9);
    assert_eq!(value(&store, "a", "k"), "1");
    assert_eq!(keys_of(&store, "a"), ["k", "l"]);
    root.clock.advance(1);
    assert_eq!(code(&read(&store, "a", "k")), ErrorCode::NotFound);
    assert_eq!(keys_of(&store, "a"), ["l"]);
    assert_eq!(listed(&list(&store, &with_values("a")).unwrap()), ["l"]);
    // Its row is still there, and counts for nobody's condition.
    assert_eq!(rows(&store), 2);
    let refused = write_if(&store, "a", "k", "3", Some(written.revision.0));
    assert_eq!(current_revision(&refused), 0);
    let refused = delete_if(&store, "a", "k", Some(written.revision.0));
    assert_eq!(current_revision(&refused), 0);
    write_if(&store, "a", "k", "3", Some(0)).unwrap();
    // Written without a time to live it stays.
    root.clock.advance(1_000_000);
    assert_eq!(value(&store, "a", "k"), "3");
    assert_eq!(totals(&store, "a"), counted(&store, "a"));
}

/// A clock that is put back shows what has not been swept again, but never what was deleted.
#[test]
fn a_deleted_value_does_not_come_back_with_the_clock() {
    let root = Root::new();
    let store = root.open_unlocked();
    write_for(&store, "a", "deleted", "1", 10).unwrap();
    write_for(&store, "a", "left", "2", 10).unwrap();
    root.clock.jump(20);
    assert!(!delete(&store, "a", "deleted").unwrap().deleted);
    root.clock.jump(-20);
    assert_eq!(keys_of(&store, "a"), ["left"]);
    assert_eq!(value(&store, "a", "left"), "2");
}

#[test]
fn expired_values_are_swept_in_slices_and_say_so_in_the_feed() {
    // More than one slice of the sweep.
    const MANY: usize = 300;
    let root = Root::new();
    let store = root.open_unlocked();
    assert_eq!(store.sweep().unwrap(), 0);
    for number in 0..MANY {
        let component = if number % 2 == 0 { "a" } else { "b" };
        write_for(&store, component, &format!("{number}"), "1", 10).unwrap();
    }
    write_for(&store, "a", "later", "2", 11).unwrap();
    write(&store, "b", "lasting", "3").unwrap();
    let last: i64 = query(&store, "SELECT max(seq) FROM change_feed");
    assert_eq!(store.sweep().unwrap(), 0);
    root.clock.advance(10);
    // Without the key: sweeping needs none.
    store.vault().lock();
    assert_eq!(store.sweep().unwrap(), MANY);
    assert_eq!(rows(&store), 2);
    assert_eq!(
        (keys_of(&store, "a"), keys_of(&store, "b")),
        (vec!["later".into()], vec!["lasting".into()])
    );
    let events = format!(
        "SELECT count(*) FROM change_feed WHERE seq > {last} AND namespace = 'storage'
           AND kind = 'delete' AND component_id = json_extract(key_json, '$[0]')
           AND json_array_length(key_json) = 2"
    );
    assert_eq!(query::<i64>(&store, &events), i64::try_from(MANY).unwrap());
    for component in ["a", "b"] {
        assert_eq!(totals(&store, component), counted(&store, component));
    }
    // An idle store is not written.
    let before = dump(&store);
    assert_eq!(store.sweep().unwrap(), 0);
    assert_eq!(dump(&store), before);
}

#[test]
fn a_value_lives_for_a_hundred_years_and_is_sealed_before_1970() {
    let root = Root::new();
    let store = root.open_unlocked();
    write_for(&store, "a", "k", "1", 3_155_760_000).unwrap();
    assert_eq!(read(&store, "a", "k").unwrap().expires_at.unwrap().0, START + 3_155_760_000);
    root.clock.set(-1_000_000);
    write_for(&store, "a", "l", "1", 10).unwrap();
    // 0 stands for no expiry, so it is never one.
    assert_eq!(read(&store, "a", "l").unwrap().expires_at.unwrap().0, 1);
}

// Clocks that jump.

#[test]
fn a_jump_of_the_clock_stops_the_sweep_until_it_is_put_back() {
    let root = Root::new();
    let store = root.open_unlocked();
    write_for(&store, "a", "k", "1", 10).unwrap();
    store.sweep().unwrap();
    root.clock.jump(HOUR + 1);
    assert_eq!(store.sweep().unwrap(), 0);
    assert!(jumped(&store));
    assert_eq!(status(&store), Health::Degraded);
    // It is hidden all the same, and is there again when the clock is right again.
    assert_eq!(code(&read(&store, "a", "k")), ErrorCode::NotFound);
    root.clock.advance(30 * 60);
    assert_eq!(store.sweep().unwrap(), 0);
    assert!(jumped(&store));
    root.clock.jump(-HOUR - 1 - 30 * 60);
    assert_eq!(store.sweep().unwrap(), 0);
    assert!(!jumped(&store));
    assert_eq!(value(&store, "a", "k"), "1");
    assert_eq!(status(&store), Health::Ok);
}

#[test]
fn a_new_time_is_believed_when_it_has_stood_for_an_hour() {
    let root = Root::new();
    let store = root.open_unlocked();
    write_for(&store, "a", "k", "1", 10).unwrap();
    store.sweep().unwrap();
    root.clock.jump(2 * HOUR);
    assert_eq!(store.sweep().unwrap(), 0);
    root.clock.advance(HOUR - 1);
    assert_eq!(store.sweep().unwrap(), 0);
    assert!(jumped(&store));
    // A further jump begins the hour anew.
    root.clock.jump(5 * HOUR);
    assert_eq!(store.sweep().unwrap(), 0);
    root.clock.advance(HOUR - 1);
    assert_eq!(store.sweep().unwrap(), 0);
    root.clock.advance(1);
    assert_eq!(store.sweep().unwrap(), 1);
    assert!(!jumped(&store));
    assert_eq!(rows(&store), 0);
}

#[test]
fn a_clock_that_goes_back_is_a_jump_too_and_small_steps_are_none() {
    let root = Root::new();
    let store = root.open_unlocked();
    store.sweep().unwrap();
    root.clock.jump(-HOUR - 1);
    store.sweep().unwrap();
    assert!(jumped(&store));

    let root = Root::new();
    let store = root.open_unlocked();
    store.sweep().unwrap();
    for step in [HOUR, -HOUR, 60, -60] {
        root.clock.advance(60);
        root.clock.jump(step);
        store.sweep().unwrap();
        assert!(!jumped(&store), "{step}");
    }
    // Time that passes on both clocks is no jump, however long nobody looked.
    root.clock.advance(1_000 * HOUR);
    write_for(&store, "a", "k", "1", 10).unwrap();
    root.clock.advance(1_000 * HOUR);
    assert_eq!(store.sweep().unwrap(), 1);
}

// Totals and the limit.

/// Rows, bytes of the values, bytes of the rows, as they are kept.
fn totals(store: &Store, component: &str) -> (i64, i64, i64) {
    let column = |column: &str| {
        query(
            store,
            &format!(
                "SELECT coalesce(sum({column}), 0) FROM totals
                 WHERE what = 'storage' AND holder = '{component}'"
            ),
        )
    };
    (column("count"), column("bytes"), column("stored_bytes"))
}

/// The same, counted.
fn counted(store: &Store, component: &str) -> (i64, i64, i64) {
    let count = |what: &str| {
        query(
            store,
            &format!("SELECT {what} FROM component_storage WHERE component_id = '{component}'"),
        )
    };
    (
        count("count(*)"),
        count(&format!("coalesce(sum(length(value) - {OVERHEAD}), 0)")),
        count("coalesce(sum(octet_length(component_id) + octet_length(key) + length(value)), 0)"),
    )
}

#[test]
fn totals_are_right_after_everything() {
    let root = Root::new();
    let store = root.open_unlocked();
    let check = |what: &str| {
        for component in ["a", "é"] {
            assert_eq!(totals(&store, component), counted(&store, component), "{what}");
        }
    };
    write(&store, "a", "k", "[1,2,3]").unwrap();
    assert_eq!(totals(&store, "a"), (1, 7, 7 + 49 + 2));
    write(&store, "é", "ж", "\"é\"").unwrap();
    check("new values");
    write(&store, "a", "k", "1").unwrap();
    check("a shorter value");
    write(&store, "a", "k", "[1,2,3,4]").unwrap();
    check("a longer value");
    write_many(&store, "a", &[("x", "1", None), ("y", "22", None), ("x", "333", None)]).unwrap();
    check("many values");
    write_many(&store, "a", &[("z", "1", None), ("y", "2", Some(0))]).unwrap_err();
    check("many values, refused");
    delete(&store, "a", "x").unwrap();
    delete(&store, "a", "absent").unwrap();
    check("a deletion");
    write_for(&store, "a", "brief", "12345", 5).unwrap();
    write_for(&store, "a", "briefer", "12345", 5).unwrap();
    root.clock.advance(5);
    check("expired values");
    write(&store, "a", "brief", "1").unwrap();
    check("an expired value written over");
    assert_eq!(store.sweep().unwrap(), 1);
    check("a sweep");
    put_component(&store, component("a")).unwrap();
    delete_component(&store, "a", None).unwrap();
    check("the end of its component");
    assert_eq!(totals(&store, "a"), (0, 0, 0));
    assert_eq!(totals(&store, "é").0, 1);
}

#[test]
fn a_component_takes_no_more_than_its_limit() {
    let root = Root::new();
    let mut options = root.options();
    // Two rows of 100 bytes: id and key of one byte each, and the seal around 49 bytes.
    let most = u64::try_from(2 * 100).unwrap();
    options.storage = StorageLimits { component_limit_bytes: Some(most) };
    let store = Store::open(options).unwrap();
    store.unlock(master()).unwrap();
    let text = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    write(&store, "a", "k", &text(49)).unwrap();
    write(&store, "a", "l", &text(49)).unwrap();
    let before = dump(&store);
    assert_eq!(code(&write(&store, "a", "m", "1")), ErrorCode::QuotaExceeded);
    assert_eq!(code(&write(&store, "a", "l", &text(50))), ErrorCode::QuotaExceeded);
    let many = write_many(&store, "a", &[("k", "1", None), ("m", &text(98), None)]);
    let error = many.err().unwrap().to_api();
    assert_eq!((error.code(), error.data.index), (ErrorCode::QuotaExceeded, Some(1)));
    assert_eq!(dump(&store), before);
    // As long as before, or shorter, it may always be; and another component has its own.
    write(&store, "a", "l", &text(49)).unwrap();
    write(&store, "b", "k", &text(49)).unwrap();
    delete(&store, "a", "k").unwrap();
    write(&store, "a", "m", &text(49)).unwrap();
    drop(store);

    // Over a limit that was lowered, values may still shrink and go.
    let mut options = root.options();
    options.storage = StorageLimits { component_limit_bytes: Some(60) };
    let store = Store::open(options).unwrap();
    store.unlock(master()).unwrap();
    write(&store, "a", "m", "1").unwrap();
    assert_eq!(code(&write(&store, "a", "m", "22")), ErrorCode::QuotaExceeded);
    delete(&store, "a", "l").unwrap();
    assert_eq!(totals(&store, "a"), counted(&store, "a"));
}

// Components.

#[test]
fn a_component_takes_its_values_along_in_one_event() {
    let root = Root::new();
    let store = root.open_unlocked();
    put_component(&store, component("a")).unwrap();
    put_component(&store, component("b")).unwrap();
    for key in ["k", "l", "m"] {
        write(&store, "a", key, "1").unwrap();
    }
    write(&store, "ab", "k", "2").unwrap();
    let last: i64 = query(&store, "SELECT max(seq) FROM change_feed");
    store.vault().lock();
    assert!(delete_component(&store, "a", None).unwrap().deleted);
    assert!(delete_component(&store, "b", None).unwrap().deleted);
    let events = format!(
        "SELECT group_concat(kind || ' ' || key_json || ' ' || component_id, '; ')
         FROM change_feed WHERE seq > {last} AND namespace = 'storage'"
    );
    assert_eq!(query::<String>(&store, &events), r#"delete ["a"] a"#);
    assert!(keys_of(&store, "a").is_empty());
    assert_eq!(keys_of(&store, "ab"), ["k"]);
    // A component of the same id that comes later begins with nothing.
    store.unlock(master()).unwrap();
    put_component(&store, component("a")).unwrap();
    assert_eq!(code(&read(&store, "a", "k")), ErrorCode::NotFound);
}
