//! Search of records: what is found and in which order, whatever is typed; how the indices follow the
//! records; and that a broken index never stands in a record's way and heals.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use std::time::{Duration, Instant};

use common::*;
use osnova_storage_api::ErrorCode;
use osnova_storage_api::components::{ComponentHits, ComponentInput};
use osnova_storage_api::search::SearchParams;
use osnova_storage_api::status::Health;
use osnova_storage_api::wire::{Limit, Timestamp};
use osnova_storage_api::{applications as apps, jobs, messages as wire};
use osnova_storage_core::db::{applications, messages, search};
use osnova_storage_core::error::Result;
use osnova_storage_core::{Caller, Store};
use proptest::prelude::*;

fn params(query: &str) -> SearchParams {
    SearchParams { query: query.parse().unwrap(), limit: None }
}

fn find_as(store: &Store, caller: &Caller, query: &str) -> Result<ComponentHits> {
    store.db().read(|reader| search::components(reader, caller, &params(query)))
}

fn all_jobs() -> jobs::ListParams {
    jobs::ListParams { state: None, kind: None, limit: None, cursor: None }
}

/// The ids of the components that are found, in order.
fn found(store: &Store, query: &str) -> Vec<String> {
    let hits = find_as(store, &owner(), query).unwrap().items;
    hits.into_iter().map(|hit| hit.record.component_id.as_str().to_owned()).collect()
}

fn described(id: &str, called: &str, description: &str, manifest: &str) -> ComponentInput {
    let mut input = component(id);
    input.name = name(called);
    input.description = Some(description.parse().unwrap());
    input.manifest = json(manifest);
    input
}

fn put_described(store: &Store, id: &str, called: &str, description: &str, manifest: &str) {
    put_component(store, described(id, called, description, manifest)).unwrap();
}

fn put_message(store: &Store, id: &str, component: Option<&str>, channel: &str, body: &str) {
    let params = wire::PutParams {
        message: wire::MessageInput {
            message_id: Some(id.parse().unwrap()),
            channel: name(channel),
            sender: name("alice"),
            timestamp: Timestamp(1),
            body: Some(body.parse().unwrap()),
            metadata: None,
            attachments: None,
            component_id: component.map(|id| id.parse().unwrap()),
        },
        if_revision: None,
        request_id: None,
    };
    store.db().write(1024, move |tx| messages::put(tx, &owner(), &params)).unwrap();
}

fn found_messages(store: &Store, caller: &Caller, query: &str) -> Vec<(String, Option<f64>)> {
    let hits = store.db().read(|reader| search::messages(reader, caller, &params(query))).unwrap();
    let shown = |hit: wire::MessageHit| (hit.record.message_id.as_str().to_owned(), hit.score);
    hits.items.into_iter().map(shown).collect()
}

/// Waits until a search finds this.
fn wait_until_found(store: &Store, query: &str, expected: &[&str]) {
    wait_until(query, || match find_as(store, &owner(), query) {
        Ok(hits) => hits
            .items
            .iter()
            .map(|hit| hit.record.component_id.as_str())
            .eq(expected.iter().copied()),
        Err(_) => false,
    });
}

fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(30), "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn is_stale(store: &Store) -> bool {
    query(store, "SELECT EXISTS (SELECT 1 FROM meta WHERE key = 'search_stale')")
}

/// Damages the database behind the store's back, as a bad disk would.
fn damage(root: &Root, sql: &str) {
    let connection = rusqlite::Connection::open(root.database()).unwrap();
    connection.busy_timeout(Duration::from_secs(10)).unwrap();
    connection.execute_batch(sql).unwrap();
}

#[test]
fn a_name_counts_more_than_keywords_and_these_more_than_a_description() {
    let root = Root::new();
    let store = root.open();
    put_described(&store, "d", "Three", "About the weather", "{}");
    put_described(&store, "k", "Two", "About it", r#"{"keywords":["weather"]}"#);
    put_described(&store, "n", "Weather", "About it", "{}");
    put_described(&store, "x", "Four", "Of nothing", r#"{"title":"weather"}"#);
    let mut by = component("z");
    by.author = Some(name("Weather"));
    put_component(&store, by).unwrap();
    assert_eq!(found(&store, "weather"), ["n", "k", "d", "z"]);

    let hits = find_as(&store, &owner(), "WEATHER about").unwrap().items;
    let snippets: Vec<&str> = hits.iter().map(|hit| hit.snippet.as_str()).collect();
    assert_eq!(snippets, ["«About» it", "«About» it", "«About» the «weather»"]);
    assert!(hits.windows(2).all(|pair| pair[0].score.unwrap() >= pair[1].score.unwrap()));
    let hits = find_as(&store, &component_caller("c"), "weather").unwrap().items;
    assert!(hits.len() == 4 && hits.iter().all(|hit| hit.score.is_none()));
    let few = SearchParams { limit: Some(Limit(2)), ..params("weather") };
    let few = store.db().read(|reader| search::components(reader, &owner(), &few)).unwrap();
    assert_eq!(few.items.len(), 2);
}

#[test]
fn all_words_must_match_and_of_the_last_the_beginning_is_enough() {
    let root = Root::new();
    let store = root.open();
    put_described(&store, "a", "Café Öffnungszeiten", "Opening hours", "{}");
    put_described(&store, "b", "Cafeteria", "Hours", "{}");
    assert_eq!(found(&store, "hours cafe"), ["b", "a"]);
    assert_eq!(found(&store, "cafe hours"), ["a"]);
    assert_eq!(found(&store, "offnung"), ["a"]);
    assert_eq!(found(&store, "CAFÉ"), ["b", "a"]);
    assert_eq!(found(&store, "opening h"), ["a"]);
    assert!(found(&store, "openin hours").is_empty());
}

#[test]
fn scripts_without_blanks_are_found_by_one_character_and_more() {
    let root = Root::new();
    let store = root.open();
    put_described(&store, "ja", "天気予報アプリ", "今日の天気", "{}");
    put_described(&store, "zh", "气象", "天下大事", "{}");
    put_described(&store, "ko", "날씨앱", "오늘의날씨", "{}");
    put_described(&store, "th", "พยากรณ์อากาศ", "วันนี้", "{}");
    assert_eq!(found(&store, "天"), ["ja", "zh"]);
    assert_eq!(found(&store, "天気"), ["ja"]);
    assert_eq!(found(&store, "予報アプリ"), ["ja"]);
    assert!(found(&store, "気天").is_empty());
    assert_eq!(found(&store, "날씨"), ["ko"]);
    assert_eq!(found(&store, "อากาศ"), ["th"]);
    assert_eq!(find_as(&store, &owner(), "天気").unwrap().items[0].snippet, "今日の«天気»");
}

#[test]
fn whatever_is_typed_is_no_syntax() {
    let root = Root::new();
    let store = root.open();
    put_described(&store, "a", "Weather", "name OR weather AND NOT sun", "{}");
    for nothing in ["", " ", "\"", "\"\"", "*", "()", "🎉", "-", "^:", "\u{1}\u{7f}", "'; --"] {
        assert!(found(&store, nothing).is_empty(), "{nothing:?}");
    }
    for typed in [
        "weather\"",
        "\"weather",
        "(weather",
        "weather)",
        "weather*",
        "name:weather",
        "-weather",
        "weather 🎉",
        "{name} : weather",
        "weather AND",
        "NOT weather",
        "OR weather",
        "weath'er*",
    ] {
        let expected: &[&str] = if typed.contains("'") { &[] } else { &["a"] };
        assert_eq!(found(&store, typed), expected, "{typed:?}");
    }
    assert!(found(&store, "weather NEAR sun").is_empty());
    let longest = "w ".repeat(512);
    assert_eq!(found(&store, &longest), Vec::<String>::new());
    assert_eq!(found(&store, &"weather ".repeat(128)), ["a"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// Each case opens one root and asks many things of it.
    #[test]
    fn no_text_makes_a_search_fail(
        typed in prop::collection::vec(
            prop_oneof![
                "[^\0]{0,40}",
                "[\"*()^:+{}' ANDORTE天気ก้🎉\u{301}\u{e000}-]{0,30}",
                "\\PC{0,200}",
            ],
            64,
        ),
    ) {
        let root = Root::new();
        let store = root.open();
        for (index, text) in typed.iter().enumerate() {
            put_described(&store, &format!("c{index}"), "Name", text, "{}");
        }
        for text in &typed {
            let hits = find_as(&store, &owner(), text);
            prop_assert!(hits.is_ok(), "{text:?}: {hits:?}");
        }
        prop_assert_eq!(store.status("test").status, Health::Ok);
    }
}

#[test]
fn the_index_follows_puts_and_deletes() {
    let root = Root::new();
    let store = root.open();
    put_described(&store, "a", "First", "one", "{}");
    put_described(&store, "b", "First", "two", "{}");
    put_described(&store, "a", "Second", "one", "{}");
    assert_eq!(found(&store, "first"), ["b"]);
    assert_eq!(found(&store, "second"), ["a"]);
    delete_component(&store, "a", None).unwrap();
    assert!(found(&store, "second").is_empty());
    // A call that fails changes nothing, though others of its group do.
    let stale = described("b", "Third", "", "{}");
    put_component_as(&store, &owner(), stale, Some(1)).unwrap_err();
    assert!(found(&store, "third").is_empty());
    drop(store);
    let store = root.open();
    assert_eq!(found(&store, "first"), ["b"]);
    assert_eq!(query::<u32>(&store, "SELECT count(*) FROM search_records"), 1);
    store.db().integrity_check().unwrap();
}

#[test]
fn applications_are_found_too() {
    let root = Root::new();
    let store = root.open();
    let put = apps::PutParams {
        application: apps::ApplicationInput {
            application_id: "app".parse().unwrap(),
            name: name("Outdoors"),
            version: name("1"),
            description: None,
            author: None,
            icon_blob_hash: None,
            manifest: json(r#"{"keywords":["hiking","maps"]}"#),
            autonomi_address: None,
            installed_at: None,
            blobs: None,
        },
        if_revision: None,
        request_id: None,
    };
    store.db().write(64, move |tx| applications::put(tx, &owner(), &put)).unwrap();
    let find = |query: &str| {
        let found =
            store.db().read(|reader| search::applications(reader, &owner(), &params(query)));
        found.unwrap().items
    };
    assert_eq!(find("hik")[0].snippet, "«hiking», maps");
    assert_eq!(find("outdoors")[0].snippet, "«Outdoors»");
    let change = apps::ChangeParams {
        application_id: "app".parse().unwrap(),
        if_revision: None,
        request_id: None,
    };
    let delete = change.clone();
    store.db().write(64, move |tx| applications::record_launch(tx, &owner(), &change)).unwrap();
    assert_eq!(find("hik")[0].record.launch_count.0, 1);
    store.db().write(64, move |tx| applications::delete(tx, &owner(), &delete)).unwrap();
    assert!(find("hik").is_empty());
}

#[test]
fn a_component_finds_its_own_messages_only() {
    let root = Root::new();
    let store = root.open();
    put_message(&store, "m-a", Some("a"), "weather", "rain");
    put_message(&store, "m-b", Some("b"), "rain", "sun");
    put_message(&store, "m-o", None, "weather", "rain and more of it");
    let ids = |caller: &Caller, query: &str| -> Vec<String> {
        found_messages(&store, caller, query).into_iter().map(|(id, _)| id).collect()
    };
    assert_eq!(ids(&owner(), "rain"), ["m-a", "m-o", "m-b"]);
    assert_eq!(found_messages(&store, &component_caller("a"), "rain"), [("m-a".to_owned(), None)]);
    assert_eq!(ids(&component_caller("b"), "rain"), ["m-b"]);
    assert!(ids(&component_caller("c"), "rain").is_empty());
    // It is found where it belongs after it was given away.
    put_message(&store, "m-a", Some("b"), "weather", "rain");
    assert!(ids(&component_caller("a"), "rain").is_empty());
    assert_eq!(ids(&component_caller("b"), "rain"), ["m-a", "m-b"]);
}

/// How long a component's search took, and in which order it found its own, told it of the messages of
/// others: a word that they use a lot took 140 ms where another took 0.6 ms.
#[test]
fn what_a_component_finds_and_how_soon_does_not_depend_on_others() {
    let root = Root::new();
    let store = root.open();
    put_message(&store, "own-1", Some("a"), "c", "barometer falls");
    put_message(&store, "own-2", Some("a"), "c", "barometer barometer");
    let body = "thermometers ".repeat(3);
    let message = |component: &str| wire::ManyInput {
        message: wire::MessageInput {
            message_id: None,
            channel: name("c"),
            sender: name("alice"),
            timestamp: Timestamp(1),
            body: Some(body.parse().unwrap()),
            metadata: None,
            attachments: None,
            component_id: Some(component.parse().unwrap()),
        },
        if_revision: None,
    };
    for _ in 0..30 {
        let items = (0..1000).map(|_| message("b")).collect();
        let many = wire::PutManyParams { items, request_id: None };
        store.db().write(1024, move |tx| messages::put_many(tx, &owner(), &many)).unwrap();
    }
    let a = component_caller("a");
    let took = |query: &str| {
        let runs = (0..5).map(|_| {
            let started = Instant::now();
            assert!(found_messages(&store, &a, query).is_empty());
            started.elapsed()
        });
        runs.min().unwrap()
    };
    let (common, absent) = (took("thermom"), took("hygrom"));
    assert!(common < absent * 10 + Duration::from_micros(300), "{common:?} against {absent:?}");
    // The newest first, whatever a word is worth among all.
    let ids = |query: &str| -> Vec<String> {
        found_messages(&store, &a, query).into_iter().map(|(id, _)| id).collect()
    };
    assert_eq!(ids("barometer"), ["own-1", "own-2"]);
    // No word of a person's leads to another's messages.
    for typed in ["thermometers", "bb", "holder"] {
        assert!(ids(typed).is_empty(), "{typed}");
    }
    assert_eq!(ids("c"), ["own-1", "own-2"]);
}

/// What a bad disk may do to an index.
const DAMAGES: [&str; 4] = [
    "DELETE FROM search_components_data",
    "UPDATE search_components_data SET block = x'00ff00ff00ff'",
    "PRAGMA writable_schema = ON; DELETE FROM search_components_idx; DELETE FROM search_components_docsize;
     DELETE FROM search_components_data WHERE id > 10",
    "DROP TABLE search_components",
];

#[test]
fn a_broken_index_never_fails_a_put_and_heals() {
    for sql in DAMAGES {
        let root = Root::new();
        let store = root.open();
        put_described(&store, "a", "Weather", "one", "{}");
        damage(&root, sql);
        put_described(&store, "b", "Weather", "two", "{}");
        put_described(&store, "a", "Weather", "again", "{}");
        delete_component(&store, "a", None).unwrap();
        put_described(&store, "c", "Weather", "three", "{}");
        assert_eq!(get_component(&store, "b").unwrap().component_id.as_str(), "b");
        // A search may be the first to meet it.
        wait_until_found(&store, "weather", &["b", "c"]);
        wait_until(sql, || !is_stale(&store) && status(&store) == Health::Ok);
        assert_eq!(found(&store, "weather"), ["b", "c"], "{sql}");
        store.db().integrity_check().unwrap();
    }
}

#[test]
fn a_search_that_meets_a_broken_index_is_told_to_come_again() {
    for sql in [DAMAGES[0], DAMAGES[1], DAMAGES[3]] {
        let root = Root::new();
        let store = root.open();
        put_described(&store, "a", "Weather", "one", "{}");
        damage(&root, sql);
        let error = find_as(&store, &owner(), "weather").unwrap_err().to_api();
        assert_eq!(error.code(), ErrorCode::Unavailable, "{sql}");
        assert!(error.data.retry_after_ms.is_some());
        wait_until_found(&store, "weather", &["a"]);
        wait_until(sql, || !is_stale(&store) && status(&store) == Health::Ok);
    }
}

#[test]
fn a_build_that_fails_is_told_and_made_good_at_the_next_start() {
    let root = Root::new();
    let store = root.open();
    put_described(&store, "a", "Weather", "one", "{}");
    put_message(&store, "m", None, "weather", "rain");
    // The index is damaged, and what is made in its place can't be filled.
    damage(
        &root,
        "CREATE TRIGGER full BEFORE INSERT ON search_records
           BEGIN SELECT RAISE(ABORT, 'no more'); END;
         DELETE FROM search_components_data",
    );
    let error = find_as(&store, &owner(), "weather").unwrap_err().to_api();
    assert_eq!(error.code(), ErrorCode::Unavailable);
    wait_until("a build that failed", || is_stale(&store) && status(&store) == Health::Degraded);
    // Records are stored all the same.
    put_described(&store, "b", "Weather", "two", "{}");
    drop(store);
    damage(&root, "DROP TRIGGER full");
    let store = root.open();
    wait_until_found(&store, "weather", &["a", "b"]);
    wait_until("built", || !is_stale(&store) && status(&store) == Health::Ok);
    assert_eq!(found_messages(&store, &owner(), "rain").len(), 1);
}

#[test]
fn a_stale_index_is_built_at_the_next_start_in_slices() {
    let root = Root::new();
    let store = root.open();
    // More than two slices.
    for index in 0..450 {
        put_described(&store, &format!("c{index:03}"), "Weather", "", "{}");
    }
    put_described(&store, "last", "Climate", "", "{}");
    drop(store);
    damage(
        &root,
        "DELETE FROM search_records; DELETE FROM search_components;
         INSERT INTO meta VALUES ('search_stale', x'01')",
    );
    let store = root.open();
    put_described(&store, "c000", "Changed meanwhile", "", "{}");
    wait_until("built", || !is_stale(&store));
    assert_eq!(found(&store, "climate"), ["last"]);
    assert_eq!(found(&store, "changed"), ["c000"]);
    let of_kind = jobs::ListParams { kind: Some("searchRebuild".parse().unwrap()), ..all_jobs() };
    let builds = store.jobs().list(&owner(), &of_kind).unwrap().items;
    assert_eq!(builds.len(), 1);
    assert_eq!((builds[0].done.0, builds[0].total.unwrap().0), (451, 451));
    let all = SearchParams { limit: Some(Limit(1000)), ..params("weather") };
    let all = store.db().read(|reader| search::components(reader, &owner(), &all)).unwrap();
    assert_eq!(all.items.len(), 449);
    store.db().integrity_check().unwrap();
}

/// The fixture was written when the database had version 3, before there was a search.
#[test]
fn a_root_of_an_older_version_is_indexed_at_start() {
    let root = Root::new();
    let from = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/root-v3");
    std::fs::create_dir(root.path()).unwrap();
    std::fs::copy(from.join("osnova.db"), root.database()).unwrap();
    let store = root.open();
    wait_until_found(&store, "tells time", &["org.example.clock"]);
    wait_until("built", || !is_stale(&store));
    assert_eq!(status(&store), Health::Ok);
}

#[test]
fn closing_does_not_wait_for_a_build() {
    let root = Root::new();
    let store = root.open();
    for index in 0..50 {
        put_described(&store, &format!("c{index}"), "Weather", "", "{}");
    }
    damage(&root, "INSERT INTO meta VALUES ('search_stale', x'01')");
    drop(store);
    drop(root.open());
    let store = root.open();
    wait_until("built", || !is_stale(&store));
    assert_eq!(found(&store, "weather").len(), 20);
}
