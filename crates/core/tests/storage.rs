//! `storage`: how values are sealed, who can open them, when they expire, and how they are counted.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;
#[path = "common/values.rs"]
mod values;

use std::collections::BTreeSet;

use common::*;
use osnova_storage_api::status::Health;
use osnova_storage_api::storage::{ListParams, ValuePage, WriteParams};
use osnova_storage_api::wire::{Limit, RequestId, Revision};
use osnova_storage_api::{ConflictReason, ErrorCode};
use osnova_storage_core::db::requests::{self, Request};
use osnova_storage_core::db::storage;
use osnova_storage_core::db::storage::UnsealError;
use osnova_storage_core::db::storage::seal::{OVERHEAD, Place, Sealer};
use osnova_storage_core::error::Result;
use osnova_storage_core::vault::keys::{KeySet, MasterKey};
use osnova_storage_core::{Store, StoreError};
use serde_json::Value;
use values::*;

fn keys() -> KeySet {
    KeySet::new(master())
}

fn unhex(value: &Value) -> Vec<u8> {
    let digits = value.as_str().unwrap();
    let pair = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(pair).collect()
}

// How values are sealed.

#[test]
fn values_are_sealed_as_the_vectors_of_another_implementation_say() {
    let vectors: Value = serde_json::from_str(include_str!("vectors/storage.json")).unwrap();
    let vectors = vectors["values"].as_array().unwrap();
    assert_eq!(vectors.len(), 4);
    for vector in vectors {
        let text = |name: &str| vector[name].as_str().unwrap();
        let place = Place {
            component: text("component"),
            key: text("key"),
            expires_at: vector["expiresAt"].as_i64(),
        };
        let storage_key = keys().db_key().storage_key(place.component);
        assert_eq!(storage_key.as_bytes().to_vec(), unhex(&vector["storageKey"]));
        let sealer = Sealer::new(&keys(), place.component);
        let sealed = unhex(&vector["sealed"]);
        let nonce = unhex(&vector["nonce"]).try_into().unwrap();
        assert_eq!(sealer.seal_with(nonce, place, text("text")), sealed, "{}", vector["name"]);
        assert_eq!(sealer.open(place, &sealed).unwrap(), text("text").as_bytes());
        assert_eq!(sealed.len(), text("text").len() + OVERHEAD);
    }
}

#[test]
fn a_value_that_was_changed_anywhere_does_not_open() {
    let sealer = Sealer::new(&keys(), "a");
    let place = Place { component: "a", key: "k", expires_at: Some(5) };
    let sealed = sealer.seal(place, "[1,2,3]").unwrap();
    assert_eq!(sealer.open(place, &sealed).unwrap(), b"[1,2,3]");
    for at in 0..sealed.len() {
        for bit in 0..8 {
            let mut changed = sealed.clone();
            changed[at] ^= 1 << bit;
            let expected = match at {
                0 => UnsealError::Version(changed[0]),
                1..9 => UnsealError::OtherKey,
                _ => UnsealError::Forged,
            };
            assert_eq!(sealer.open(place, &changed), Err(expected), "byte {at}, bit {bit}");
        }
    }
    for length in 0..sealed.len() {
        let error = if length < OVERHEAD { UnsealError::Short } else { UnsealError::Forged };
        assert_eq!(sealer.open(place, &sealed[..length]), Err(error), "{length} bytes");
    }
    let mut longer = sealed;
    longer.push(0);
    assert_eq!(sealer.open(place, &longer), Err(UnsealError::Forged));
}

#[test]
fn a_value_opens_in_its_own_place_only() {
    let place = Place { component: "ab", key: "c", expires_at: None };
    let sealed = Sealer::new(&keys(), "ab").seal(place, "1").unwrap();
    let others = [
        Place { component: "a", key: "bc", expires_at: None },
        Place { component: "abc", key: "", expires_at: None },
        Place { component: "", key: "abc", expires_at: None },
        Place { key: "d", ..place },
        Place { expires_at: Some(1), ..place },
        Place { expires_at: Some(i64::MAX), ..place },
    ];
    for other in others {
        // With the right component's key too, so that it is the additional data that refuses.
        for component in ["ab", other.component] {
            let sealer = Sealer::new(&keys(), component);
            assert_eq!(sealer.open(other, &sealed), Err(UnsealError::Forged), "{other:?}");
        }
    }
    let other_keys = KeySet::new(MasterKey::from_bytes(&[7; 32]));
    let error = Sealer::new(&other_keys, "ab").open(place, &sealed);
    assert_eq!(error, Err(UnsealError::OtherKey));
    // The component's key differs, not only the additional data.
    let error = Sealer::new(&keys(), "cd").open(place, &sealed);
    assert_eq!(error, Err(UnsealError::Forged));
}

#[test]
fn the_same_value_is_never_sealed_alike() {
    let sealer = Sealer::new(&keys(), "a");
    let place = Place { component: "a", key: "k", expires_at: None };
    let seal = |_| sealer.seal(place, "1").unwrap()[9..33].to_vec();
    assert_eq!((0..1000).map(seal).collect::<BTreeSet<_>>().len(), 1000);
}

// Rows that someone else wrote.

fn integrity(store: &Store, component: &str, key: &str) {
    let result = read(store, component, key);
    assert!(matches!(result, Err(StoreError::Sealed { .. })), "{key}");
    assert_eq!(code(&result), ErrorCode::IntegrityError);
    assert_eq!(code(&list(store, &with_values(component))), ErrorCode::IntegrityError);
    // The keys can still be listed.
    assert!(!keys_of(store, component).is_empty());
}

#[test]
fn rows_that_were_moved_or_changed_are_an_integrity_error() {
    for change in [
        "UPDATE component_storage SET key = 'other' WHERE component_id = 'a' AND key = 'k'",
        "UPDATE component_storage SET component_id = 'b' WHERE component_id = 'a' AND key = 'k'",
        "UPDATE component_storage SET expires_at = expires_at + 1",
        "UPDATE component_storage SET expires_at = NULL",
        "UPDATE component_storage SET value = substr(value, 1, length(value) - 1)",
        "UPDATE component_storage SET value = CAST(value || x'00' AS BLOB)",
        "UPDATE component_storage SET value = x''",
        "UPDATE component_storage SET value = x'01b0d3eb19f08a56fe'",
        "UPDATE component_storage SET value = CAST(x'02' || substr(value, 2) AS BLOB)",
        "UPDATE component_storage SET value = (SELECT value FROM component_storage WHERE key = 'l')",
    ] {
        let root = Root::new();
        let store = root.open_unlocked();
        write_for(&store, "a", "k", "[1]", 60).unwrap();
        write_for(&store, "a", "l", "[2]", 60).unwrap();
        execute(&store, change);
        let (component, key) = match change {
            change if change.contains("'other'") => ("a", "other"),
            change if change.contains("'b'") => ("b", "k"),
            _ => ("a", "k"),
        };
        integrity(&store, component, key);
        // It can be written over, and then opens.
        write(&store, component, key, "[3]").unwrap();
        assert_eq!(value(&store, component, key), "[3]", "{change}");
    }
}

#[test]
fn a_value_that_is_not_even_bytes_is_an_integrity_error() {
    let root = Root::new();
    let store = root.open_unlocked();
    write(&store, "a", "k", "[1]").unwrap();
    for change in
        ["UPDATE component_storage SET value = 'text'", "UPDATE component_storage SET value = 5"]
    {
        execute(&store, change);
        assert_eq!(code(&read(&store, "a", "k")), ErrorCode::IntegrityError);
        assert_eq!(code(&list(&store, &with_values("a"))), ErrorCode::IntegrityError);
        assert_eq!(keys_of(&store, "a"), ["k"]);
    }
    write(&store, "a", "k", "[2]").unwrap();
    assert_eq!(value(&store, "a", "k"), "[2]");
}

#[test]
fn a_damaged_value_is_said_in_the_status() {
    let root = Root::new();
    let store = root.open_unlocked();
    write(&store, "a", "k", "1").unwrap();
    execute(&store, "UPDATE component_storage SET value = zeroblob(60)");
    assert_eq!(status(&store), Health::Ok);
    store.note_error(&read(&store, "a", "k").unwrap_err());
    assert_eq!(status(&store), Health::Degraded);
}

// Keys.

#[test]
fn what_needs_the_key_is_locked_and_changes_nothing() {
    let root = Root::new();
    let store = root.open_unlocked();
    write(&store, "a", "k", "1").unwrap();
    write(&store, "a", "l", "2").unwrap();
    store.vault().lock();
    let before = dump(&store);
    assert_eq!(code(&read(&store, "a", "k")), ErrorCode::Locked);
    assert_eq!(code(&read(&store, "a", "absent")), ErrorCode::Locked);
    assert_eq!(code(&write(&store, "a", "k", "3")), ErrorCode::Locked);
    assert_eq!(code(&write_many(&store, "a", &[("k", "3", None)])), ErrorCode::Locked);
    assert_eq!(code(&list(&store, &with_values("a"))), ErrorCode::Locked);
    assert_eq!(dump(&store), before);
    assert_eq!(keys_of(&store, "a"), ["k", "l"]);
    assert!(delete(&store, "a", "k").unwrap().deleted);
    store.unlock(master()).unwrap();
    assert_eq!(value(&store, "a", "l"), "2");
}

/// The check value is lost (a restored database of a very old program): what is sealed tells.
#[test]
fn a_root_without_check_value_takes_the_key_of_its_values_only() {
    let root = Root::new();
    let store = root.open_unlocked();
    write(&store, "a", "k", "1").unwrap();
    write_for(&store, "b", "k", "2", 60).unwrap();
    execute(&store, "DELETE FROM meta WHERE key = 'key_check'");
    drop(store);

    let store = root.open();
    let wrong = || MasterKey::from_bytes(&[7; 32]);
    let before = dump(&store);
    assert!(matches!(store.unlock(wrong()), Err(StoreError::WrongKey)));
    assert_eq!(dump(&store), before);
    // One value may be damaged: another that opens is enough.
    execute(&store, "UPDATE component_storage SET value = zeroblob(60) WHERE component_id = 'a'");
    assert!(matches!(store.unlock(wrong()), Err(StoreError::WrongKey)));
    store.unlock(master()).unwrap();
    assert_eq!(value(&store, "b", "k"), "2");
    assert!(matches!(store.unlock(wrong()), Err(StoreError::WrongKey)));
}

#[test]
fn blobs_or_values_that_open_are_enough_where_there_is_no_check_value() {
    for lost in ["UPDATE component_storage SET value = zeroblob(60)", "SELECT 1"] {
        let root = Root::new();
        let store = root.open_unlocked();
        write(&store, "a", "k", "1").unwrap();
        let put = put_blob(&store, &owner(), b"content").unwrap();
        execute(&store, lost);
        if lost == "SELECT 1" {
            std::fs::write(root.blob(&put.hash), b"nothing").unwrap();
        }
        execute(&store, "DELETE FROM meta WHERE key = 'key_check'");
        assert!(matches!(store.unlock(MasterKey::from_bytes(&[7; 32])), Err(StoreError::WrongKey)));
        store.unlock(master()).unwrap();
    }
}

/// The size of a value stands in clear: from a plain hash of what was asked, kept for a day under its
/// `requestId`, whoever reads the database could guess a short one, such as a PIN.
#[test]
fn no_plain_hash_of_a_sealed_value_is_kept() {
    let root = Root::new();
    let store = root.open_unlocked();
    let repeatable = |value: &str| {
        let id: RequestId = "r1".parse().unwrap();
        let params = WriteParams {
            request_id: Some(id.clone()),
            ..write_params("a", "pin", value, None, None)
        };
        let request = Request::new(id, "storage.write", &params).unwrap();
        store.db().write(64, move |tx| {
            requests::once(tx, &owner(), Some(&request), || storage::write(tx, &owner(), &params))
        })
    };
    let first = repeatable("1234").unwrap();
    let kept: Vec<u8> = query(&store, "SELECT params_hash FROM request_answers");
    let params = WriteParams {
        request_id: Some("r1".parse().unwrap()),
        ..write_params("a", "pin", "1234", None, None)
    };
    assert_ne!(kept, sha256(&serde_json::to_vec(&params).unwrap()).as_bytes());
    assert_eq!(repeatable("1234").unwrap(), first);
    let reused = repeatable("1235");
    assert_eq!(reason(&reused), ConflictReason::RequestReused);
    store.vault().lock();
    assert_eq!(code(&repeatable("1234")), ErrorCode::Locked);
    store.unlock(master()).unwrap();
    assert_eq!(repeatable("1234").unwrap(), first);
}

// Records.

#[test]
fn values_are_kept_as_their_text_and_revisions_rise() {
    let root = Root::new();
    let store = root.open_unlocked();
    let text = r#"{ "b" : 1.0 , "a":12345678901234567890123, "a":1e400 ,"\u00e9":null }"#;
    let first = write(&store, "a", "k", text).unwrap();
    root.clock.advance(10);
    let stored = read(&store, "a", "k").unwrap();
    assert_eq!(stored.value.get(), text);
    assert_eq!((stored.updated_at.0, stored.expires_at), (START, None));
    assert_eq!(stored.revision, first.revision);
    let second = write(&store, "a", "k", "null").unwrap();
    assert!(second.revision > first.revision);
    assert_eq!(value(&store, "a", "k"), "null");
    assert_eq!(read(&store, "a", "k").unwrap().updated_at.0, START + 10);
    assert_eq!(code(&read(&store, "b", "k")), ErrorCode::NotFound);
    assert_eq!(code(&read(&store, "a", "K")), ErrorCode::NotFound);
    assert!(delete(&store, "a", "k").unwrap().deleted);
    assert!(!delete(&store, "a", "k").unwrap().deleted);
    let feed = "SELECT group_concat(kind || ' ' || key_json || ' ' || component_id, '; ')
                FROM (SELECT * FROM change_feed WHERE namespace = 'storage' ORDER BY seq)";
    let expected = r#"put ["a","k"] a; put ["a","k"] a; delete ["a","k"] a"#;
    assert_eq!(query::<String>(&store, feed), expected);
}

#[test]
fn a_value_is_written_only_at_the_revision_that_was_asked_for() {
    let root = Root::new();
    let store = root.open_unlocked();
    let wrong = write_if(&store, "a", "k", "1", Some(7));
    assert_eq!((code(&wrong), current_revision(&wrong)), (ErrorCode::Conflict, 0));
    let first = write_if(&store, "a", "k", "1", Some(0)).unwrap().revision;
    let again = write_if(&store, "a", "k", "2", Some(0));
    assert_eq!(current_revision(&again), first.0);
    let second = write_if(&store, "a", "k", "2", Some(first.0)).unwrap().revision;
    assert_eq!(current_revision(&delete_if(&store, "a", "k", Some(first.0))), second.0);
    assert!(delete_if(&store, "a", "k", Some(second.0)).unwrap().deleted);
    // Deleted and written again it is another.
    write(&store, "a", "k", "3").unwrap();
    assert_eq!(code(&write_if(&store, "a", "k", "4", Some(second.0))), ErrorCode::Conflict);
    assert_eq!(value(&store, "a", "k"), "3");
}

#[test]
fn many_are_written_all_or_none() {
    let root = Root::new();
    let store = root.open_unlocked();
    write(&store, "a", "taken", "0").unwrap();
    let before = dump(&store);
    let items = [("x", "1", None), ("y", "2", None), ("taken", "3", Some(0)), ("z", "4", None)];
    let refused = write_many(&store, "a", &items);
    let error = refused.as_ref().err().unwrap().to_api();
    assert_eq!((error.code(), error.data.index), (ErrorCode::Conflict, Some(2)));
    assert_eq!(dump(&store), before);
    // In order: the same key twice has its last value, and its revision is that of the last.
    let written = write_many(&store, "a", &[("x", "1", Some(0)), ("x", "2", None)]).unwrap();
    assert!(written.items[0].revision < written.items[1].revision);
    assert_eq!(read(&store, "a", "x").unwrap().revision, written.items[1].revision);
    assert_eq!(value(&store, "a", "x"), "2");
    assert_eq!(write_many(&store, "a", &[]).unwrap().items, []);
}

#[test]
fn prefixes_are_taken_literally_and_end_where_they_end() {
    let root = Root::new();
    let store = root.open_unlocked();
    let keys = [
        "%",
        "%a",
        "_",
        "_b",
        "a",
        "a%",
        "a_",
        "ab",
        "a\u{10ffff}",
        "a\u{10ffff}z",
        "b",
        "é",
        "éa",
        "e\u{301}",
        "\u{10ffff}",
        "*",
        "a*b",
        "\\",
        "'",
        "\"",
    ];
    for key in keys {
        write(&store, "c", key, "1").unwrap();
        // Neighbours, which must never be seen.
        write(&store, "b", key, "2").unwrap();
        write(&store, "d", key, "3").unwrap();
    }
    let mut sorted = keys;
    sorted.sort_unstable();
    assert_eq!(keys_of(&store, "c"), sorted);
    for prefix in keys {
        let expected: Vec<&str> =
            sorted.into_iter().filter(|key| key.starts_with(prefix)).collect();
        let params = ListParams { prefix: Some(prefix.parse().unwrap()), ..all_of("c") };
        assert_eq!(listed(&list(&store, &params).unwrap()), expected, "{prefix:?}");
    }
    let params = ListParams { prefix: Some("absent".parse().unwrap()), ..all_of("c") };
    assert_eq!(list(&store, &params).unwrap(), ValuePage { items: vec![], next_cursor: None });
}

fn pages(store: &Store, params: &ListParams) -> Vec<Vec<String>> {
    let mut params = params.clone();
    let mut pages = Vec::new();
    loop {
        let page = list(store, &params).unwrap();
        pages.push(listed(&page).into_iter().map(str::to_owned).collect());
        params.cursor = page.next_cursor;
        if params.cursor.is_none() {
            return pages;
        }
    }
}

#[test]
fn pages_go_on_where_the_last_ended_and_pass_over_what_expired() {
    let root = Root::new();
    let store = root.open_unlocked();
    for number in 0..10 {
        let seconds = if number % 3 == 0 { 10 } else { 1000 };
        write_for(&store, "a", &format!("k{number}"), "1", seconds).unwrap();
    }
    let params = ListParams { limit: Some(Limit(3)), ..all_of("a") };
    let numbers = |page: &[u8]| page.iter().map(|n| format!("k{n}")).collect::<Vec<_>>();
    let all = [numbers(&[0, 1, 2]), numbers(&[3, 4, 5]), numbers(&[6, 7, 8]), numbers(&[9])];
    assert_eq!(pages(&store, &params), all);
    root.clock.advance(10);
    assert_eq!(pages(&store, &params), [numbers(&[1, 2, 4]), numbers(&[5, 7, 8])]);
    let with_prefix = ListParams { prefix: Some("k".parse().unwrap()), ..params.clone() };
    let cursor = list(&store, &params).unwrap().next_cursor;
    for other in [with_prefix, ListParams { component_id: Some("b".parse().unwrap()), ..params }] {
        let refused = list(&store, &ListParams { cursor: cursor.clone(), ..other });
        assert_eq!(fields(&refused.unwrap_err()), ["cursor"]);
    }
}

#[test]
fn a_page_with_values_ends_before_it_is_too_large() {
    let root = Root::new();
    let store = root.open_unlocked();
    let text = format!("\"{}\"", "x".repeat(1_000_000));
    for number in 0..10 {
        write(&store, "a", &format!("k{number}"), &text).unwrap();
    }
    let sizes =
        |params: &ListParams| pages(&store, params).iter().map(Vec::len).collect::<Vec<usize>>();
    assert_eq!(sizes(&with_values("a")), [8, 2]);
    assert_eq!(sizes(&all_of("a")), [10]);
    let page = list(&store, &with_values("a")).unwrap();
    assert!(page.items.iter().all(|item| item.value.as_ref().unwrap().get() == text));
    assert!(page.items.iter().all(|item| item.size.0 == text.len() as u64));
}

#[test]
fn a_component_names_nobody_elses_values() {
    let root = Root::new();
    let store = root.open_unlocked();
    write(&store, "a", "k", "1").unwrap();
    let caller = component_caller("b");
    let result: Result<_> =
        store.db().read(|reader| storage::read(reader, &caller, &read_params("a", "k")));
    assert_eq!(code(&result), ErrorCode::NotFound);
    let params = write_params("a", "k", "2", None, Some(Revision(0)));
    let result = store.db().write(64, move |tx| storage::write(tx, &caller, &params));
    assert_eq!(code(&result), ErrorCode::NotFound);
    assert_eq!(value(&store, "a", "k"), "1");
}
