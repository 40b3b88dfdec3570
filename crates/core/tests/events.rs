//! The feed: positions, who sees what, where it ends, and that nothing shows what was not committed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use common::*;
use osnova_storage_api::ErrorCode;
use osnova_storage_api::events::{ChangeKind, EventPage, ListParams, SubscribeParams};
use osnova_storage_api::wire::{Limit, Position};
use osnova_storage_core::db::events::{self, Filter};
use osnova_storage_core::db::{Job, Sight, Tx, feed, preferences};
use osnova_storage_core::error::Result;
use osnova_storage_core::{Caller, Scopes, Store};

/// An event in short: position, namespace, first part of the key, kind.
type Short = (u64, String, String, ChangeKind);

fn list_as(
    store: &Store,
    caller: &Caller,
    since: Option<u64>,
    namespaces: Option<&[&str]>,
    limit: Option<u16>,
) -> Result<EventPage> {
    let params = ListParams {
        since: since.map(Position),
        namespaces: namespaces.map(|names| names.iter().map(|text| name(text)).collect()),
        limit: limit.map(Limit),
    };
    store.db().read(|reader| events::list(reader, caller, &params))
}

fn now(store: &Store) -> u64 {
    let page = list_as(store, &owner(), None, None, None).unwrap();
    assert!(page.items.is_empty() && !page.more);
    page.position.0
}

fn short(page: &EventPage) -> Vec<Short> {
    let short = |event: &osnova_storage_api::events::Event| {
        (event.position.0, event.namespace.clone(), event.key[0].clone(), event.kind)
    };
    page.items.iter().map(short).collect()
}

fn since(store: &Store, position: u64) -> Vec<Short> {
    let page = list_as(store, &owner(), Some(position), None, Some(1000)).unwrap();
    assert!(!page.more);
    short(&page)
}

/// What one who follows finds in memory; none where he is sent to the database.
fn in_memory(store: &Store, position: u64) -> Option<Vec<u64>> {
    match store.db().recent().after(position, usize::MAX, |_| true) {
        Sight::Part(part) => Some(part.changes.iter().map(|change| change.position).collect()),
        Sight::Behind => None,
    }
}

fn keys(events: &[Short]) -> Vec<&str> {
    events.iter().map(|(_, _, key, _)| key.as_str()).collect()
}

#[test]
fn the_feed_goes_on_strictly_after_a_position() {
    let root = Root::new();
    let store = root.open();
    let start = now(&store);
    assert_eq!(since(&store, start), []);
    let first = set(&store, "a", "1").unwrap().revision.0;
    assert!(first > start);
    assert_eq!(now(&store), first);
    let second = set(&store, "b", "2").unwrap().revision.0;
    unset(&store, "a", None).unwrap();
    let all = since(&store, start);
    let event = |position, key: &str, kind| (position, "preferences".into(), key.into(), kind);
    assert_eq!(all[..2], [event(first, "a", ChangeKind::Put), event(second, "b", ChangeKind::Put)]);
    assert_eq!(all[2], event(second + 1, "a", ChangeKind::Delete));
    assert_eq!(since(&store, second), all[2..]);
    assert_eq!(since(&store, now(&store)), []);
    // A page ends where another can go on.
    let page = list_as(&store, &owner(), Some(start), None, Some(2)).unwrap();
    assert_eq!((short(&page), page.position.0, page.more), (all[..2].to_vec(), second, true));
    let page = list_as(&store, &owner(), Some(second), None, Some(1)).unwrap();
    assert_eq!((short(&page), page.position.0, page.more), (all[2..].to_vec(), second + 1, false));
}

#[test]
fn what_is_not_asked_for_is_passed_over_and_moves_the_position() {
    let root = Root::new();
    let store = root.open();
    let start = now(&store);
    put_component(&store, component("org.example.weather")).unwrap();
    for number in 0..10 {
        set(&store, &format!("k{number}"), "1").unwrap();
    }
    let of_components = Some(["components"].as_slice());
    let page = list_as(&store, &owner(), Some(start), of_components, Some(1)).unwrap();
    // Only looking further tells that nothing more is wanted.
    assert_eq!((page.items.len(), page.more), (1, true));
    let page = list_as(&store, &owner(), Some(page.position.0), of_components, Some(1)).unwrap();
    assert_eq!((page.items.len(), page.more, page.position.0), (0, false, now(&store)));
    let unknown = list_as(&store, &owner(), Some(start), Some(&["components", "nonsense"]), None);
    assert_eq!(code(&unknown), ErrorCode::ValidationError);
    assert_eq!(fields(&unknown.unwrap_err()), ["namespaces.1"]);
}

#[test]
fn no_call_reads_without_bound_for_one_who_sees_little() {
    let root = Root::new();
    let store = root.open();
    let start = now(&store);
    execute(
        &store,
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 25000)
         INSERT INTO change_feed SELECT (SELECT max(first_seq) FROM feed_ranges) + i,
           'preferences', '[\"k\"]', 'put', NULL FROM n",
    );
    drop(store);
    let store = root.open();
    put_component(&store, component("org.example.weather")).unwrap();
    let caller = component_caller("org.example.weather");
    let (mut position, mut pages, mut found) = (start, 0, Vec::new());
    loop {
        let page = list_as(&store, &caller, Some(position), None, None).unwrap();
        (position, pages) = (page.position.0, pages + 1);
        found.extend(short(&page));
        if !page.more {
            break;
        }
    }
    assert_eq!((pages, keys(&found)), (3, vec!["org.example.weather"]));
    assert_eq!(position, now(&store));
}

#[test]
fn a_component_sees_what_is_shared_and_its_own_as_far_as_its_scopes_go() {
    let root = Root::new();
    let store = root.open();
    let start = now(&store);
    set(&store, "of.the.owner", "1").unwrap();
    for id in ["mine", "other"] {
        put_component(&store, component(id)).unwrap();
    }
    execute(
        &store,
        "INSERT INTO component_registry (component_id, version, pid, endpoint, status, started_at)
         VALUES ('mine', '1', 1, '', 'stopped', 0), ('other', '1', 1, '', 'stopped', 0)",
    );
    for id in ["mine", "other"] {
        delete_component(&store, id, None).unwrap();
    }
    let all = since(&store, start);
    assert_eq!(all.len(), 7);
    let seen = |scopes: Option<&[&str]>, namespaces: Option<&[&str]>| {
        let scopes = scopes.map(|scopes| scopes.iter().map(|text| text.parse().unwrap()).collect());
        let caller =
            Caller::Component { id: "mine".parse().unwrap(), scopes: Scopes::from(scopes) };
        let page = list_as(&store, &caller, Some(start), namespaces, None).unwrap();
        assert_eq!(page.position.0, now(&store));
        // In memory the same is seen as in the database.
        let names = namespaces.map(|names| names.iter().map(|text| name(text)).collect::<Vec<_>>());
        let filter = Filter::new(&caller, names.as_deref()).unwrap();
        let Sight::Part(part) = store.db().recent().after(start, 99, |change| filter.sees(change))
        else {
            panic!("it is not in memory");
        };
        let positions: Vec<u64> = part.changes.iter().map(|change| change.position).collect();
        assert_eq!(positions, page.items.iter().map(|event| event.position.0).collect::<Vec<_>>());
        let told = |(_, namespace, key, kind): Short| format!("{namespace} {key} {kind:?}");
        short(&page).into_iter().map(told).collect::<Vec<_>>()
    };
    let shared = [
        "components mine Put",
        "components other Put",
        "components mine Delete",
        "components other Delete",
    ];
    let mut own_too = shared.to_vec();
    own_too.insert(2, "registry mine Delete");
    assert_eq!(seen(None, None), own_too);
    assert_eq!(seen(None, Some(&["components"])), shared);
    assert_eq!(seen(None, Some(&["preferences"])), [""; 0]);
    assert_eq!(seen(Some(&["events:read", "components:read"]), None), shared);
    assert_eq!(seen(Some(&["events:read", "components:write"]), None), [""; 0]);
    assert_eq!(seen(Some(&["events:read", "components:read"]), Some(&["blobs"])), [""; 0]);
    assert_eq!(seen(Some(&["events:read"]), None), [""; 0]);
    let anothers = Caller::Component { id: "third".parse().unwrap(), scopes: Scopes::All };
    let page = list_as(&store, &anothers, Some(start), None, None).unwrap();
    assert!(page.items.iter().all(|event| event.namespace == "components"));
}

#[test]
fn a_position_that_this_database_never_had_is_gone() {
    let root = Root::new();
    let store = root.open();
    let start = now(&store);
    let last = set(&store, "a", "1").unwrap().revision.0;
    let gone = |store: &Store, position: u64| {
        let page = list_as(store, &owner(), Some(position), None, None);
        let params = SubscribeParams { since: Some(Position(position)), namespaces: None };
        let begun = store.db().read(|reader| events::begin(reader, &owner(), &params));
        assert_eq!(page.is_err(), begun.is_err());
        page.is_err_and(|error| error.to_api().code() == ErrorCode::Gone)
    };
    assert!(!gone(&store, start) && !gone(&store, last));
    for never in [0, 1, start - 1, last + 1, last + 1000, (1 << 53) - 1] {
        assert!(gone(&store, never), "{never}");
    }
    drop(store);
    root.clock.advance(10);
    let store = root.open();
    let second_start = now(&store);
    assert!(second_start > last + 1000);
    assert!(!gone(&store, start) && !gone(&store, last) && !gone(&store, second_start));
    for never in [0, start - 1, last + 1, second_start - 1, second_start + 1] {
        assert!(gone(&store, never), "{never}");
    }
    assert_eq!(keys(&since(&store, start)), ["a"]);
}

#[test]
fn a_restart_loses_nothing_and_an_idle_life_is_no_gap() {
    let root = Root::new();
    let store = root.open();
    let start = now(&store);
    drop(store);
    let store = root.open();
    set(&store, "a", "1").unwrap();
    let middle = now(&store);
    set(&store, "b", "1").unwrap();
    drop(store);
    drop(root.open());
    let store = root.open();
    // What was committed before the start is not in memory.
    assert_eq!(in_memory(&store, middle), None);
    assert_eq!(in_memory(&store, now(&store)), Some(vec![]));
    let last = set(&store, "c", "1").unwrap().revision.0;
    assert_eq!(keys(&since(&store, start)), ["a", "b", "c"]);
    assert_eq!(keys(&since(&store, middle)), ["b", "c"]);
    assert_eq!(in_memory(&store, last - 1), Some(vec![last]));
    assert_eq!(store.db().read(feed::oldest).unwrap(), start);
}

/// The feed keeps the latest 100,000 changes. What is told of the border must be exact: one position
/// before it a change is missing, at it none is.
#[test]
fn what_was_pruned_is_gone_and_what_was_not_is_not() {
    let root = Root::new();
    let store = root.open();
    let start = now(&store);
    // Every second number only: between them none was given.
    execute(
        &store,
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 105000)
         INSERT INTO change_feed SELECT (SELECT max(first_seq) FROM feed_ranges) + 2 * i,
           'preferences', '[\"old\"]', 'put', NULL FROM n",
    );
    drop(store);
    let store = root.open();
    set(&store, "new", "1").unwrap();
    let kept: u64 = query(&store, "SELECT count(*) FROM change_feed");
    assert_eq!(kept, 100_000);
    let border = start + 2 * 5_001;
    assert_eq!(query::<u64>(&store, "SELECT min(seq) FROM change_feed"), border + 2);
    let look = |store: &Store, position| list_as(store, &owner(), Some(position), None, Some(1));
    let check = |store: &Store| {
        for whole in [border, border + 1, border + 2] {
            let next = if whole == border + 2 { border + 4 } else { border + 2 };
            assert_eq!(look(store, whole).unwrap().items[0].position.0, next);
        }
        for pruned in [start, border - 2, border - 1] {
            assert_eq!(code(&look(store, pruned)), ErrorCode::Gone, "{}", pruned - start);
        }
        assert_eq!(store.db().read(feed::oldest).unwrap(), border);
    };
    check(&store);
    drop(store);
    check(&root.open());
}

/// Nobody ever sees a change that was undone, or one that is not committed yet; and what is in memory
/// is what is in the database.
#[test]
fn what_was_undone_leaves_no_trace() {
    let root = Root::new();
    let store = root.open();
    let start = now(&store);
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    store.db().recent().on_commit(move |position| tell.lock().unwrap().push(position));
    type Operation = Box<dyn Fn(&Tx<'_>) -> Result<u64> + Send>;
    let set = |key: &str, fails: bool| -> Operation {
        let params = set_params(key, "1", None);
        Box::new(move |tx| {
            let stored = preferences::set(tx, &owner(), &params)?;
            if fails {
                return Err(osnova_storage_core::StoreError::not_found("nothing"));
            }
            Ok(stored.revision.0)
        })
    };
    // Ends the transaction under its savepoint, once, as a full disk does: all are run again, alone.
    let once = AtomicBool::new(true);
    let ends_transaction: Operation = Box::new(move |tx| {
        let stored = preferences::set(tx, &owner(), &set_params("ends", "1", None))?;
        if once.swap(false, Ordering::SeqCst) {
            tx.connection().execute_batch("ROLLBACK")?;
        }
        Ok(stored.revision.0)
    });
    for last in [set("plain", false), ends_transaction] {
        let (answers, answered) = mpsc::channel();
        let operations =
            [set("a", false), set("undone", true), set("b", false), set("undone", true), last];
        let jobs = operations.into_iter().map(|operation| {
            let answers = answers.clone();
            Job::new(64, operation, move |result| answers.send(result.ok()).unwrap())
        });
        let before = now(&store);
        store.db().submit(jobs.collect()).unwrap();
        drop(answers);
        let revisions: Vec<u64> = answered.iter().flatten().collect();
        let events = since(&store, before);
        let positions: Vec<u64> = events.iter().map(|(position, ..)| *position).collect();
        assert_eq!((keys(&events)[..2].to_vec(), &positions), (vec!["a", "b"], &revisions));
        assert_eq!(in_memory(&store, before).unwrap(), revisions);
        assert_eq!(told.lock().unwrap().last(), revisions.last());
    }
    let positions = told.lock().unwrap().clone();
    assert!(positions.is_sorted_by(|one, next| one < next), "{positions:?}");
    assert_eq!(in_memory(&store, start).unwrap().len(), 6);
    assert!(keys(&since(&store, start)).iter().all(|key| *key != "undone"));
}

/// Whoever is answered may go on from his own revision at once: it is told of before.
#[test]
fn a_revision_that_was_answered_is_a_position_at_once() {
    let root = Root::new();
    let store = root.open();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for number in 0..50 {
                    let position =
                        set(store, &format!("{writer}.{number}"), "1").unwrap().revision.0;
                    assert!(list_as(store, &owner(), Some(position), None, None).is_ok());
                    let seen = in_memory(store, position - 1).unwrap();
                    assert_eq!(seen.first(), Some(&position));
                }
            });
        }
    });
}
