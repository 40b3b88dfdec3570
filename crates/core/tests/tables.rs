//! The tables of the seed: what each of them promises beyond being stored.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

#[path = "common/calls.rs"]
mod calls;
mod common;

use calls::{params, read, write};
use common::*;
use osnova_storage_api::{ConflictReason, ErrorCode};
use osnova_storage_core::db::{
    application_config, applications, cache, keys, messages, registry, storage, transactions,
};
use osnova_storage_core::{Caller, Store};
use serde_json::{Value, json};

const A: &str = "org.example.a";
const B: &str = "org.example.b";

fn application(id: &str) -> Value {
    json!({ "application": { "applicationId": id, "name": id, "version": "1", "manifest": {} } })
}

fn changes(store: &Store) -> Vec<String> {
    let all: String = query(
        store,
        "SELECT group_concat(namespace || ' ' || key_json || ' ' || kind || ' ' || coalesce(component_id, '-'), ';')
         FROM (SELECT * FROM change_feed ORDER BY seq)",
    );
    all.split(';').map(str::to_owned).collect()
}

/// One field of the items of a page.
fn field(page: &Value, name: &str) -> Vec<Value> {
    page["items"].as_array().unwrap().iter().map(|item| item[name].clone()).collect()
}

#[test]
fn launches_are_counted_and_ordered_and_survive_a_put() {
    let root = Root::new();
    let store = root.open();
    for id in ["one", "two", "three"] {
        write(&store, &owner(), applications::put, &application(id)).unwrap();
    }
    for id in ["two", "one", "two"] {
        // The clock stands still; the order is that of the calls.
        write(&store, &owner(), applications::record_launch, &json!([id])).unwrap();
    }
    let put = write(&store, &owner(), applications::put, &application("two")).unwrap();
    assert_eq!((&put["launchCount"], &put["lastLaunched"]), (&json!(2), &json!(START)));
    let order = |direction: &str| -> Vec<String> {
        let asked = json!({ "orderBy": "lastLaunched", "direction": direction, "limit": 2 });
        let mut ids = Vec::new();
        let mut cursor = Value::Null;
        loop {
            let mut asked = asked.clone();
            asked["cursor"] = cursor;
            let page = read(&store, &owner(), applications::list, &asked).unwrap();
            let items = page["items"].as_array().unwrap();
            ids.extend(items.iter().map(|item| item["applicationId"].as_str().unwrap().to_owned()));
            cursor = page["nextCursor"].clone();
            if cursor.is_null() {
                return ids;
            }
        }
    };
    // Those never launched come last, whichever way.
    assert_eq!(order("desc"), ["two", "one", "three"]);
    assert_eq!(order("asc"), ["one", "two", "three"]);
    let missing = write(&store, &owner(), applications::record_launch, &json!(["four"]));
    assert_eq!(code(&missing), ErrorCode::NotFound);
    // The clock went back: the later time stays.
    root.clock.jump(-10);
    let launched = write(&store, &owner(), applications::record_launch, &json!(["two"])).unwrap();
    assert_eq!((&launched["launchCount"], &launched["lastLaunched"]), (&json!(3), &json!(START)));
}

#[test]
fn applications_are_listed_by_name_and_by_installation_whichever_way() {
    let root = Root::new();
    let store = root.open();
    for (id, called, at) in [("a", "y", 3), ("b", "x", 1), ("c", "z", 2), ("d", "x", 3)] {
        let mut asked = application(id);
        asked["application"]["name"] = json!(called);
        asked["application"]["installedAt"] = json!(at);
        write(&store, &owner(), applications::put, &asked).unwrap();
    }
    // One that is put again without saying when stays where it was.
    let mut again = application("c");
    again["application"]["name"] = json!("z");
    let again = write(&store, &owner(), applications::put, &again).unwrap();
    assert_eq!(again["installedAt"], 2);
    for (asked, expected) in [
        (json!({}), ["d", "a", "c", "b"]),
        (json!({ "direction": "asc" }), ["b", "c", "a", "d"]),
        (json!({ "orderBy": "name" }), ["b", "d", "a", "c"]),
        (json!({ "orderBy": "name", "direction": "desc" }), ["c", "a", "d", "b"]),
    ] {
        let page = read(&store, &owner(), applications::list, &asked).unwrap();
        assert_eq!(field(&page, "applicationId"), expected, "{asked}");
    }
}

#[test]
fn an_application_holds_its_icon_and_its_blobs_and_takes_its_settings_along() {
    let root = Root::new();
    let store = root.open_unlocked();
    let icon = put_blob(&store, &owner(), b"icon").unwrap().hash;
    let readme = put_blob(&store, &owner(), b"readme").unwrap().hash;
    let mut asked = application("one");
    asked["application"]["iconBlobHash"] = json!(icon);
    asked["application"]["blobs"] = json!({ "readme": readme });
    let put = write(&store, &owner(), applications::put, &asked).unwrap();
    assert_eq!((&put["iconBlobHash"], &put["blobs"]), (&json!(icon), &json!({ "readme": readme })));
    for hash in [icon, readme] {
        let refused = delete_blob(&store, &owner(), &hash);
        assert_eq!(reason(&refused), ConflictReason::Referenced);
    }
    asked["application"]["blobs"] = json!({ "icon": readme });
    let refused = write(&store, &owner(), applications::put, &asked);
    assert_eq!(fields(&refused.unwrap_err()), ["application.blobs.icon"]);
    asked["application"]["blobs"] = json!({ "x": "00".repeat(32) });
    let refused = write(&store, &owner(), applications::put, &asked);
    assert_eq!(reason(&refused), ConflictReason::ForeignKey);

    let setting = |id: &str| json!({ "applicationId": id, "key": "k", "value": 1 });
    write(&store, &owner(), application_config::set, &setting("one")).unwrap();
    root.clock.advance(1);
    write(&store, &owner(), application_config::set, &setting("one")).unwrap();
    let found = read(&store, &owner(), application_config::get, &json!(["one", "k"])).unwrap();
    assert_eq!(found["updatedAt"], START + 1);
    let refused = write(&store, &owner(), application_config::set, &setting("absent"));
    assert_eq!(reason(&refused), ConflictReason::ForeignKey);
    let deleted = write(&store, &owner(), applications::delete, &json!(["one"])).unwrap();
    assert_eq!(deleted, json!({ "deleted": true }));
    assert_eq!(query::<u32>(&store, "SELECT count(*) FROM application_config"), 0);
    let last: Vec<String> = changes(&store).into_iter().rev().take(2).collect();
    assert_eq!(last, [r#"applications ["one"] delete -"#, r#"applicationConfig ["one"] delete -"#]);
    assert!(delete_blob(&store, &owner(), &icon).unwrap().deleted);
}

#[test]
fn settings_are_listed_by_prefix_in_pages() {
    let root = Root::new();
    let store = root.open();
    for id in ["one", "two"] {
        write(&store, &owner(), applications::put, &application(id)).unwrap();
        for key in ["a", "a%", "a/1", "a/2", "a/\u{10ffff}", "a0", "b"] {
            let asked = json!({ "applicationId": id, "key": key, "value": key });
            write(&store, &owner(), application_config::set, &asked).unwrap();
        }
    }
    let mut asked = json!({ "applicationId": "one", "prefix": "a/", "limit": 2 });
    let page = read(&store, &owner(), application_config::list, &asked).unwrap();
    assert_eq!(page["items"][1]["key"], "a/2");
    asked["cursor"] = page["nextCursor"].clone();
    let page = read(&store, &owner(), application_config::list, &asked).unwrap();
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&page["items"][0]["key"], &page["nextCursor"]),
        (&json!("a/\u{10ffff}"), &Value::Null)
    );
    asked["applicationId"] = json!("two");
    let foreign = read(&store, &owner(), application_config::list, &asked);
    assert_eq!(fields(&foreign.unwrap_err()), ["cursor"]);
}

fn register(pid: u32) -> Value {
    json!({ "version": "1", "pid": pid, "endpoint": "e", "componentId": A })
}

fn set_status(store: &Store, status: &str) -> osnova_storage_core::error::Result<Value> {
    write(store, &owner(), registry::set_status, &json!({ "status": status, "componentId": A }))
}

#[test]
fn only_legal_transitions_are_made() {
    let root = Root::new();
    let store = root.open();
    put_component(&store, component(A)).unwrap();
    let all = ["starting", "running", "stopping", "stopped", "crashed"];
    let legal = [
        ("starting", "running"),
        ("starting", "stopped"),
        ("starting", "crashed"),
        ("running", "stopping"),
        ("running", "crashed"),
        ("stopping", "stopped"),
        ("stopping", "crashed"),
        ("stopped", "starting"),
        ("crashed", "starting"),
    ];
    write(&store, &owner(), registry::register, &register(std::process::id())).unwrap();
    for from in all {
        for to in all {
            let sql = format!("UPDATE component_registry SET status = '{from}'");
            store.db().write(64, move |tx| Ok(tx.connection().execute_batch(&sql)?)).unwrap();
            let changed = set_status(&store, to);
            if from == to || legal.contains(&(from, to)) {
                assert_eq!(changed.unwrap()["status"], to, "{from} -> {to}");
            } else {
                assert_eq!(reason(&changed), ConflictReason::Transition, "{from} -> {to}");
            }
        }
    }
    let absent = write(
        &store,
        &owner(),
        registry::set_status,
        &json!({ "status": "running", "componentId": B }),
    );
    assert_eq!(code(&absent), ErrorCode::NotFound);
}

/// A process that ends at once when it is told to.
struct Child(std::process::Child);

impl Child {
    fn start() -> Self {
        Self(std::process::Command::new("sleep").arg("600").spawn().unwrap())
    }

    fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn a_process_is_registered_once_and_replaced_when_it_has_ended() {
    let root = Root::new();
    let store = root.open();
    let absent = write(&store, &owner(), registry::register, &register(1));
    assert_eq!(reason(&absent), ConflictReason::ForeignKey);
    put_component(&store, component(A)).unwrap();
    let first = Child::start();
    let row = write(&store, &owner(), registry::register, &register(first.id())).unwrap();
    assert_eq!((&row["status"], &row["restartCount"]), (&json!("starting"), &json!(0)));
    // Again: the row as it is.
    let again = write(&store, &owner(), registry::register, &register(first.id())).unwrap();
    assert_eq!(again, row);
    let other = Child::start();
    let refused = write(&store, &owner(), registry::register, &register(other.id()));
    assert_eq!(reason(&refused), ConflictReason::Transition);
    let refused = delete_component(&store, A, None);
    assert_eq!(reason(&refused), ConflictReason::Transition);
    drop(first);
    let replaced = write(&store, &owner(), registry::register, &register(other.id())).unwrap();
    assert_eq!((&replaced["pid"], &replaced["restartCount"]), (&json!(other.id()), &json!(1)));
    // One that has stopped is replaced whether or not its process is there.
    set_status(&store, "stopped").unwrap();
    let own = register(std::process::id());
    assert_eq!(write(&store, &owner(), registry::register, &own).unwrap()["restartCount"], 2);
}

/// A component that is registered again from the same process, as after an update of itself, was answered
/// its old row: what it said of its new version and endpoint was lost without a word.
#[test]
fn the_same_process_may_say_a_new_version_and_endpoint() {
    let root = Root::new();
    let store = root.open();
    put_component(&store, component(A)).unwrap();
    let mut asked = register(std::process::id());
    let first = write(&store, &owner(), registry::register, &asked).unwrap();
    root.clock.advance(100);
    asked["version"] = json!("2");
    asked["endpoint"] = json!("f");
    asked["status"] = json!("running");
    let second = write(&store, &owner(), registry::register, &asked).unwrap();
    assert_eq!((&second["version"], &second["endpoint"]), (&json!("2"), &json!("f")));
    assert_eq!((&second["status"], &second["restartCount"]), (&json!("running"), &json!(0)));
    assert_eq!(second["startedAt"], first["startedAt"], "it is the same process");
    assert!(second["revision"].as_u64() > first["revision"].as_u64());
    // A repeat changes nothing, and one that serves is not starting again.
    assert_eq!(write(&store, &owner(), registry::register, &asked).unwrap(), second);
    asked["status"] = json!("starting");
    assert_eq!(write(&store, &owner(), registry::register, &asked).unwrap(), second);
}

/// In a sandbox with pids of its own a component knows itself by a pid that the host does not: it was
/// found dead by every reap, seconds after its heartbeat.
#[test]
fn a_process_that_can_not_be_seen_is_judged_by_its_heartbeats() {
    let root = Root::new();
    let store = root.open();
    put_component(&store, component(A)).unwrap();
    let reaped = |asked: Value| store.reap(&owner(), &params(&asked)).unwrap().items.len();
    let unseen = {
        let child = Child::start();
        child.id()
    };
    write(&store, &owner(), registry::register, &register(unseen)).unwrap();
    assert_eq!(reaped(json!({})), 0);
    root.clock.advance(500);
    store.heartbeat(&owner(), &params(&json!({ "componentId": A }))).unwrap();
    root.clock.advance(500);
    assert_eq!(reaped(json!({ "staleAfterSeconds": 600 })), 0);
    root.clock.advance(101);
    assert_eq!(reaped(json!({ "staleAfterSeconds": 600 })), 1);
    // It does not stand in the way of the next one either.
    write(&store, &owner(), registry::register, &register(unseen)).unwrap();
    let next = write(&store, &owner(), registry::register, &register(std::process::id())).unwrap();
    assert_eq!(next["restartCount"], 2);
}

/// A component that was stopped for an hour and is started is not silent for an hour.
#[test]
fn one_that_starts_again_has_its_time_to_give_a_sign_of_life() {
    let root = Root::new();
    let store = root.open();
    put_component(&store, component(A)).unwrap();
    write(&store, &owner(), registry::register, &register(std::process::id())).unwrap();
    set_status(&store, "stopped").unwrap();
    execute(&store, "UPDATE component_registry SET process = 'another boot/1', boot = 'another'");
    root.clock.advance(3600);
    set_status(&store, "starting").unwrap();
    let stale = |seconds: u32| {
        let asked = json!({ "staleAfterSeconds": seconds });
        store.reap(&owner(), &params(&asked)).unwrap().items.len()
    };
    assert_eq!(stale(60), 0);
    root.clock.advance(61);
    assert_eq!(stale(60), 1);
}

#[test]
fn reaping_finds_the_dead_the_reused_and_the_silent() {
    let root = Root::new();
    let store = root.open();
    put_component(&store, component(A)).unwrap();
    let reap = |asked: Value| {
        let reaped = store.reap(&owner(), &params(&asked)).unwrap();
        let reaped = serde_json::to_value(reaped).unwrap();
        let items = reaped["items"].as_array().unwrap().clone();
        items.iter().map(|item| item["status"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let child = Child::start();
    write(&store, &owner(), registry::register, &register(child.id())).unwrap();
    assert!(reap(json!({})).is_empty());
    drop(child);
    assert_eq!(reap(json!({})), ["crashed"]);
    assert!(reap(json!({})).is_empty(), "what has ended is not reaped again");

    // The pid lives, but it is another process by now.
    let own = register(std::process::id());
    write(&store, &owner(), registry::register, &own).unwrap();
    set_status(&store, "running").unwrap();
    set_status(&store, "stopping").unwrap();
    execute(&store, "UPDATE component_registry SET process = 'another boot/1'");
    assert_eq!(reap(json!({})), ["stopped"]);

    // Silent for a minute of running time; the wall clock says nothing of it.
    write(&store, &owner(), registry::register, &own).unwrap();
    root.clock.jump(1_000_000);
    assert!(reap(json!({ "staleAfterSeconds": 60 })).is_empty());
    root.clock.advance(59);
    store.heartbeat(&owner(), &params(&json!({ "componentId": A }))).unwrap();
    root.clock.advance(59);
    assert!(reap(json!({ "staleAfterSeconds": 60 })).is_empty(), "a heartbeat counts at once");
    let row = read(&store, &owner(), registry::get, &json!({ "componentId": A })).unwrap();
    assert!(row["lastHeartbeat"].is_number());
    root.clock.advance(1);
    assert!(reap(json!({ "staleAfterSeconds": 60 })).is_empty(), "a minute is allowed");
    root.clock.advance(1);
    assert_eq!(reap(json!({ "staleAfterSeconds": 60 })), ["crashed"]);
    let late = store.heartbeat(&owner(), &params(&json!({ "componentId": A })));
    assert_eq!(reason(&late), ConflictReason::Transition);

    // What ran before is forgotten: the silence is counted from the new registration.
    let row = write(&store, &owner(), registry::register, &own).unwrap();
    assert_eq!(row["lastHeartbeat"], Value::Null);
    assert!(reap(json!({ "staleAfterSeconds": 60 })).is_empty());
    // Of another boot nothing is known.
    execute(&store, "UPDATE component_registry SET boot = 'another boot'");
    assert!(reap(json!({})).is_empty());
    assert_eq!(reap(json!({ "staleAfterSeconds": 60 })), ["crashed"]);
}

#[test]
fn a_heartbeat_is_the_registered_processes_and_never_goes_back() {
    let root = Root::new();
    let store = root.open();
    put_component(&store, component(A)).unwrap();
    let own = std::process::id();
    write(&store, &owner(), registry::register, &register(own)).unwrap();
    let beat =
        |pid: u32| store.heartbeat(&owner(), &params(&json!({ "componentId": A, "pid": pid })));
    assert_eq!(reason(&beat(own + 1)), ConflictReason::Transition);
    let last = || {
        // Reaping has what is pending written.
        store.reap(&owner(), &params(&json!({}))).unwrap();
        read(&store, &owner(), registry::get, &json!([A])).unwrap()["lastHeartbeat"].clone()
    };
    beat(own).unwrap();
    assert_eq!(last(), START);
    root.clock.jump(-10);
    beat(own).unwrap();
    assert_eq!(last(), START);
    for (seconds, expected) in [(30, START + 20), (-15, START + 20)] {
        root.clock.jump(seconds);
        beat(own).unwrap();
        root.clock.jump(-5);
        beat(own).unwrap();
        assert_eq!(last(), expected);
        root.clock.jump(5);
    }
}

#[test]
fn two_heartbeats_at_once_count_as_the_later() {
    let root = Root::new();
    let store = root.open();
    put_component(&store, component(A)).unwrap();
    write(&store, &owner(), registry::register, &register(std::process::id())).unwrap();
    let beat = || store.heartbeat(&owner(), &params(&json!({ "componentId": A }))).unwrap();
    beat();
    root.clock.advance(100);
    beat();
    root.clock.advance(30);
    let reaped = store.reap(&owner(), &params(&json!({ "staleAfterSeconds": 60 }))).unwrap();
    assert!(reaped.items.is_empty());
}

#[test]
fn the_registry_is_listed_by_status_and_a_component_sees_its_own() {
    let root = Root::new();
    let store = root.open();
    for id in [A, B] {
        put_component(&store, component(id)).unwrap();
        let mut asked = register(std::process::id());
        asked["componentId"] = json!(id);
        write(&store, &owner(), registry::register, &asked).unwrap();
    }
    set_status(&store, "running").unwrap();
    let list = |caller: &Caller, asked: Value| read(&store, caller, registry::list, &asked);
    let ids = |caller: &Caller, asked: Value| field(&list(caller, asked).unwrap(), "componentId");
    assert_eq!(ids(&owner(), json!({})), [A, B]);
    assert_eq!(ids(&owner(), json!({ "status": "running" })), [A]);
    assert_eq!(ids(&owner(), json!({ "status": "starting" })), [B]);
    assert_eq!(ids(&component_caller(A), json!({})), [A]);
    assert_eq!(ids(&component_caller(B), json!({ "status": "starting" })), [B]);
    assert!(ids(&component_caller(B), json!({ "status": "running" })).is_empty());
    let first = list(&owner(), json!({ "limit": 1 })).unwrap();
    let cursor = &first["nextCursor"];
    assert_eq!(ids(&owner(), json!({ "cursor": cursor })), [B]);
    let foreign = list(&owner(), json!({ "cursor": cursor, "status": "starting" }));
    assert_eq!(fields(&foreign.unwrap_err()), ["cursor"]);
    let foreign = list(&component_caller(A), json!({ "cursor": cursor }));
    assert_eq!(fields(&foreign.unwrap_err()), ["cursor"]);
}

#[test]
fn a_row_of_the_registry_is_removed_once() {
    let root = Root::new();
    let store = root.open();
    put_component(&store, component(A)).unwrap();
    let a = component_caller(A);
    write(&store, &owner(), registry::register, &register(std::process::id())).unwrap();
    let remove = |caller: &Caller| write(&store, caller, registry::remove, &json!({}));
    assert_eq!(remove(&a).unwrap(), json!({ "deleted": true }));
    assert_eq!(code(&read(&store, &a, registry::get, &json!({}))), ErrorCode::NotFound);
    assert_eq!(remove(&a).unwrap(), json!({ "deleted": false }));
    let last = changes(&store).pop().unwrap();
    assert_eq!(last, format!(r#"registry ["{A}"] delete {A}"#));
}

#[test]
fn an_index_is_never_given_twice() {
    let root = Root::new();
    let mut store = root.open();
    let a = component_caller(A);
    let reserve = |store: &Store, caller: &Caller| {
        write(store, caller, keys::reserve_index, &json!({})).unwrap()["derivationIndex"]
            .as_u64()
            .unwrap()
    };
    let key = |name: &str, index: Option<u32>| json!({ "publicKey": name, "keyType": "ml_dsa", "derivationIndex": index });
    assert_eq!(reserve(&store, &a), 0);
    let first = write(&store, &a, keys::register, &key("k1", None)).unwrap();
    assert_eq!(first["derivationIndex"], 1);
    assert_eq!(write(&store, &a, keys::register, &key("k1", None)).unwrap(), first);
    assert_eq!(write(&store, &a, keys::register, &key("k1", Some(1))).unwrap(), first);
    for refused in [key("k1", Some(2)), key("k2", Some(1))] {
        let refused = write(&store, &a, keys::register, &refused);
        assert_eq!(reason(&refused), ConflictReason::Exists);
    }
    let mut of_another_kind = key("k1", None);
    of_another_kind["keyType"] = json!("ed25519");
    let refused = write(&store, &a, keys::register, &of_another_kind);
    assert_eq!(reason(&refused), ConflictReason::Exists);
    // Another's key is not shown, and its name is taken all the same.
    let b = component_caller(B);
    assert_eq!(
        reason(&write(&store, &b, keys::register, &key("k1", None))),
        ConflictReason::Exists
    );
    assert_eq!(
        code(&read(&store, &b, keys::get_by_public_key, &json!(["k1"]))),
        ErrorCode::NotFound
    );
    assert_eq!(write(&store, &b, keys::delete, &json!(["k1"])).unwrap()["deleted"], false);
    assert_eq!(reserve(&store, &b), 0);

    assert_eq!(write(&store, &a, keys::delete, &json!(["k1"])).unwrap()["deleted"], true);
    assert_eq!(changes(&store).pop().unwrap(), format!(r#"keys ["k1"] delete {A}"#));
    for index in [9, 7] {
        write(&store, &a, keys::register, &key(&format!("k{index}"), Some(index))).unwrap();
    }
    write(&store, &a, keys::delete, &json!(["k9"])).unwrap();
    drop(store);
    store = root.open();
    assert_eq!(reserve(&store, &a), 10);
    write(&store, &a, keys::register, &key("a", None)).unwrap();
    let first = read(&store, &a, keys::list_for_component, &json!({ "limit": 1 })).unwrap();
    let rest = json!({ "cursor": first["nextCursor"] });
    let rest = read(&store, &a, keys::list_for_component, &rest).unwrap();
    assert_eq!(
        (field(&first, "publicKey"), field(&rest, "publicKey")),
        (vec![json!("k7")], vec![json!("a")])
    );
    execute(&store, "UPDATE key_indices SET next_index = 2147483648");
    let none_left = write(&store, &a, keys::reserve_index, &json!({}));
    assert_eq!(code(&none_left), ErrorCode::QuotaExceeded);
}

#[test]
fn touches_of_keys_are_written_later_and_the_latest_stays() {
    let root = Root::new();
    let store = root.open_unlocked();
    let a = component_caller(A);
    let key = json!({ "publicKey": "k", "keyType": "ed25519" });
    let put = write(&store, &a, keys::register, &key).unwrap();
    let touch = |at: i64| json!({ "publicKey": "k", "usedAt": at });
    for at in [START + 5, START + 9, START + 7] {
        store.touch_key(&a, &params(&touch(at))).unwrap();
    }
    let another = store.touch_key(&component_caller(B), &params(&touch(START)));
    assert_eq!(code(&another), ErrorCode::NotFound);
    drop(store);
    let store = root.open_unlocked();
    let found = read(&store, &a, keys::get_by_public_key, &json!(["k"])).unwrap();
    assert_eq!((&found["lastUsed"], &found["revision"]), (&json!(START + 9), &put["revision"]));
    // One that is told late changes nothing.
    store.touch_key(&a, &params(&touch(START + 8))).unwrap();
    drop(store);
    let store = root.open_unlocked();
    assert_eq!(read(&store, &a, keys::get_by_public_key, &json!(["k"])).unwrap(), found);
}

/// Values may be stored for a component that was never installed; nothing would ever take them away.
#[test]
fn what_is_stored_for_one_that_is_not_installed_goes_with_its_delete() {
    let root = Root::new();
    let store = root.open_unlocked();
    let asked = json!({ "key": "k", "value": 1, "componentId": A });
    write(&store, &owner(), storage::write, &asked).unwrap();
    assert!(!delete_component(&store, A, None).unwrap().deleted);
    assert_eq!(query::<u32>(&store, "SELECT count(*) FROM component_storage"), 0);
}

fn transaction(hash: &str, amount: &str, token: Option<&str>) -> Value {
    json!({ "transaction": {
        "txHash": hash, "fromAddress": "alice", "toAddress": "bob", "amount": amount,
        "tokenAddress": token, "network": "n", "status": "pending",
    } })
}

#[test]
fn a_transaction_changes_only_in_how_it_is() {
    let root = Root::new();
    let store = root.open();
    let put = |asked: &Value| write(&store, &owner(), transactions::put, asked);
    let stored = put(&transaction("h", "1.50", None)).unwrap();
    assert_eq!(stored["amount"], "1.50");
    root.clock.advance(10);
    assert_eq!(put(&transaction("h", "1.50", None)).unwrap(), stored, "unchanged, its time too");
    for (field, value) in [
        ("amount", json!("1.5")),
        ("fromAddress", json!("eve")),
        ("toAddress", json!("eve")),
        ("tokenAddress", json!("0x1")),
        ("network", json!("m")),
        ("purpose", json!("other")),
        ("timestamp", json!(1)),
        ("componentId", json!(A)),
    ] {
        let mut other = transaction("h", "1.50", None);
        other["transaction"][field] = value;
        assert_eq!(reason(&put(&other)), ConflictReason::Exists, "{field}");
    }
    let update = |asked: Value| write(&store, &owner(), transactions::update_status, &asked);
    let confirmed = update(json!({
        "txHash": "h", "status": "confirmed", "confirmedAt": 7, "gasUsed": "21000",
    }))
    .unwrap();
    let again = update(json!({ "txHash": "h", "status": "confirmed" })).unwrap();
    assert_eq!(again, confirmed, "what is left out stays");
    for status in ["pending", "failed"] {
        let refused = update(json!({ "txHash": "h", "status": status }));
        assert_eq!(reason(&refused), ConflictReason::Transition, "{status}");
    }
    let of_component = component_caller(A);
    let hidden = write(&store, &of_component, transactions::put, &transaction("h", "1.50", None));
    assert_eq!(reason(&hidden), ConflictReason::Exists);
    let hidden = read(&store, &of_component, transactions::get, &json!(["h"]));
    assert_eq!(code(&hidden), ErrorCode::NotFound);
}

/// A wallet shows its address with a checksum, which is only in the case of its letters; a node gives it in
/// small ones: what was put under the one was not found by the other.
#[test]
fn hexadecimal_addresses_and_hashes_are_the_same_in_any_case() {
    let root = Root::new();
    let store = root.open();
    let asked = |hash: &str, from: &str, token: &str| {
        let mut asked = transaction(hash, "1", Some(token));
        asked["transaction"]["fromAddress"] = json!(from);
        asked
    };
    let put = |asked: &Value| write(&store, &owner(), transactions::put, asked);
    let stored = put(&asked("0xAB", "0xA11CE", "0xC0De")).unwrap();
    assert_eq!(
        (&stored["txHash"], &stored["fromAddress"], &stored["tokenAddress"]),
        (&json!("0xab"), &json!("0xA11CE"), &json!("0xC0De"))
    );
    assert_eq!(put(&asked("0xaB", "0xa11ce", "0xc0de")).unwrap(), stored, "the same again");
    assert_eq!(read(&store, &owner(), transactions::get, &json!(["0Xab"])).unwrap(), stored);
    // Other texts are what they are: in base58 the case is a part of it.
    put(&asked("0xAx", "a11CE", "0xc0DE")).unwrap();
    assert!(read(&store, &owner(), transactions::get, &json!(["0xax"])).is_err());
    let found = |asked: Value| -> usize {
        let page = read(&store, &owner(), transactions::list, &asked).unwrap();
        page["items"].as_array().unwrap().len()
    };
    assert_eq!(found(json!({ "address": "0xa11cE" })), 1);
    assert_eq!(found(json!({ "address": "A11CE" })), 0);
    assert_eq!(found(json!({ "token": "0xC0DE" })), 2);
    for asked in [json!({}), json!({ "network": "n" }), json!({ "token": "0xC0DE" })] {
        let stats = read(&store, &owner(), transactions::stats, &asked).unwrap();
        assert_eq!(stats["byToken"][0]["token"], "0xc0de");
        assert_eq!(
            (&stats["byToken"][0]["count"], &stats["byToken"][1]),
            (&json!(2), &Value::Null)
        );
    }
}

/// What a final transaction came to could be said over again, as often as anyone liked.
#[test]
fn what_is_final_is_only_completed() {
    let root = Root::new();
    let store = root.open();
    write(&store, &owner(), transactions::put, &transaction("h", "1", None)).unwrap();
    let update = |asked: Value| {
        let mut asked = asked;
        asked["txHash"] = json!("h");
        asked["status"] = json!("confirmed");
        write(&store, &owner(), transactions::update_status, &asked)
    };
    update(json!({ "gasUsed": "21000" })).unwrap();
    let completed = update(json!({ "confirmedAt": 7, "gasUsed": "21000" })).unwrap();
    assert_eq!((&completed["gasUsed"], &completed["confirmedAt"]), (&json!("21000"), &json!(7)));
    for other in [json!({ "gasUsed": "1" }), json!({ "confirmedAt": 8 })] {
        assert_eq!(reason(&update(other)), ConflictReason::Transition);
    }
    let mut again = transaction("h", "1", None);
    again["transaction"]["status"] = json!("confirmed");
    again["transaction"]["gasUsed"] = json!("2");
    let refused = write(&store, &owner(), transactions::put, &again);
    assert_eq!(reason(&refused), ConflictReason::Transition);
    assert_eq!(read(&store, &owner(), transactions::get, &json!(["h"])).unwrap(), completed);
}

#[test]
fn what_became_of_a_transaction_is_told_piece_by_piece() {
    let root = Root::new();
    let store = root.open();
    let asked = transaction("h", "1", None);
    let mut known = write(&store, &owner(), transactions::put, &asked).unwrap();
    let pieces =
        [("confirmedAt", json!(7)), ("gasUsed", json!("21000")), ("gasPriceGwei", json!("1.5"))];
    for (field, value) in pieces {
        let told = json!({ "txHash": "h", "status": "confirmed", field: value });
        let told = write(&store, &owner(), transactions::update_status, &told).unwrap();
        assert!(told["revision"].as_u64() > known["revision"].as_u64());
        known["status"] = json!("confirmed");
        known[field] = value;
        known["revision"] = told["revision"].clone();
        assert_eq!(told, known, "what is left out stays");
    }
    assert_eq!(read(&store, &owner(), transactions::get, &json!(["h"])).unwrap(), known);
}

#[test]
fn sums_are_exact_kept_and_those_of_a_count() {
    let root = Root::new();
    let store = root.open();
    let a = component_caller(A);
    for (index, (amount, token)) in [
        ("0.1", None),
        ("0.2", None),
        ("123456789012345678901234567890.000000000000000001", Some("0x1")),
        ("0.999999999999999999", Some("0x1")),
        ("5", None),
    ]
    .into_iter()
    .enumerate()
    {
        let by = if index == 4 { &a } else { &owner() };
        write(&store, by, transactions::put, &transaction(&format!("h{index}"), amount, token))
            .unwrap();
    }
    for (hash, status) in [("h0", "confirmed"), ("h1", "failed"), ("h2", "confirmed")] {
        let asked = json!({ "txHash": hash, "status": status });
        write(&store, &owner(), transactions::update_status, &asked).unwrap();
    }
    let stats =
        |caller: &Caller, asked: &Value| read(&store, caller, transactions::stats, asked).unwrap();
    let all = stats(&owner(), &json!({}));
    assert_eq!(
        all,
        json!({
            "count": 5,
            "byStatus": { "pending": 2, "confirmed": 2, "failed": 1 },
            "byToken": [
                { "token": "ETH", "count": 3, "amount": "5.3", "confirmedAmount": "0.1" },
                { "token": "0x1", "count": 2, "amount": "123456789012345678901234567891",
                  "confirmedAmount": "123456789012345678901234567890.000000000000000001" },
            ],
        })
    );
    // A filter that must be counted, and that all pass.
    assert_eq!(stats(&owner(), &json!({ "address": "alice" })), all);
    assert_eq!(stats(&owner(), &json!({ "address": "bob", "from": START, "to": START + 1 })), all);
    assert_eq!(stats(&owner(), &json!({ "from": START + 1 }))["count"], 0);
    for asked in [json!({ "token": "ETH" }), json!({ "token": "0x1", "status": "confirmed" })] {
        let mut counted = asked.clone();
        counted["network"] = json!("n");
        assert_eq!(stats(&owner(), &asked), stats(&owner(), &counted), "{asked}");
    }
    assert_eq!(stats(&a, &json!({}))["count"], 1);
    assert_eq!(stats(&owner(), &json!({ "componentId": A }))["count"], 1);
    let another = read(&store, &a, transactions::stats, &json!({ "componentId": B }));
    assert_eq!(code(&another), ErrorCode::NotFound);
}

#[test]
fn transactions_are_listed_by_any_filter_in_pages() {
    let root = Root::new();
    let store = root.open();
    for index in 0..60_u32 {
        let (from, to) = if index % 3 == 0 { ("x", "x") } else { ("x", "y") };
        let asked = json!({ "transaction": {
            "txHash": format!("h{index:02}"), "fromAddress": from, "toAddress": to, "amount": "1",
            "network": if index % 7 == 0 { "m" } else { "n" },
            "status": if index % 2 == 0 { "pending" } else { "failed" },
            "timestamp": index / 4, "tokenAddress": (index % 5 == 0).then_some("0x1"),
        } });
        write(&store, &owner(), transactions::put, &asked).unwrap();
    }
    let all = |mut asked: Value| -> Vec<u32> {
        let mut found = Vec::new();
        loop {
            let page = read(&store, &owner(), transactions::list, &asked).unwrap();
            let items = page["items"].as_array().unwrap().clone();
            found.extend(
                items
                    .iter()
                    .map(|item| item["txHash"].as_str().unwrap()[1..].parse::<u32>().unwrap()),
            );
            if page["nextCursor"].is_null() {
                return found;
            }
            asked["cursor"] = page["nextCursor"].clone();
        }
    };
    let descending = |keep: fn(u32) -> bool| -> Vec<u32> {
        (0..60).rev().filter(|index| keep(*index)).collect()
    };
    assert_eq!(all(json!({ "limit": 7 })), descending(|_| true));
    // Who sends to himself is listed once.
    assert_eq!(all(json!({ "address": "x", "limit": 7 })), descending(|_| true));
    assert_eq!(all(json!({ "address": "y", "limit": 7 })), descending(|index| index % 3 != 0));
    assert_eq!(all(json!({ "status": "pending", "limit": 7 })), descending(|index| index % 2 == 0));
    assert_eq!(
        all(
            json!({ "address": "y", "status": "failed", "token": "ETH", "from": 3, "to": 9, "limit": 2 })
        ),
        descending(|index| index % 3 != 0
            && index % 2 == 1
            && index % 5 != 0
            && (3..9).contains(&(index / 4)))
    );
    assert_eq!(all(json!({ "network": "m", "limit": 7 })), descending(|index| index % 7 == 0));
    for asked in [
        json!({ "network": "m" }),
        json!({ "network": "m", "token": "0x1" }),
        json!({ "from": 3, "to": 9, "status": "failed" }),
        json!({ "address": "y", "status": "pending", "token": "ETH" }),
        json!({ "status": "failed" }),
    ] {
        let stats = read(&store, &owner(), transactions::stats, &asked).unwrap();
        assert_eq!(stats["count"], all(asked.clone()).len(), "{asked}");
    }
    let ascending: Vec<u32> = (0..60).filter(|index| index % 3 != 0).collect();
    assert_eq!(all(json!({ "address": "y", "direction": "asc", "limit": 7 })), ascending);
}

#[test]
fn a_cursor_is_good_for_its_own_filter_and_direction_only() {
    let root = Root::new();
    let store = root.open();
    for id in ["a", "b"] {
        write(&store, &owner(), transactions::put, &transaction(id, "1", None)).unwrap();
        let message = json!({ "message": {
            "messageId": id, "channel": "c", "sender": "s", "timestamp": 5,
        } });
        write(&store, &owner(), messages::put, &message).unwrap();
    }
    let transactions = |asked: &Value| read(&store, &owner(), transactions::list, asked);
    let messages = |asked: &Value| read(&store, &owner(), messages::list, asked);
    let first = json!({ "limit": 1 });
    let of_transactions = transactions(&first).unwrap()["nextCursor"].clone();
    let of_messages = messages(&first).unwrap()["nextCursor"].clone();
    let filters =
        [json!({ "direction": "asc" }), json!({ "from": 0 }), json!({ "to": 9_000_000_000_i64 })];
    for mut asked in
        filters.into_iter().chain([json!({ "status": "pending" }), json!({ "network": "n" })])
    {
        asked["cursor"] = of_transactions.clone();
        assert_eq!(fields(&transactions(&asked).unwrap_err()), ["cursor"], "{asked}");
    }
    for mut asked in
        [json!({ "direction": "asc" }), json!({ "from": 0 }), json!({ "channel": "c" })]
    {
        asked["cursor"] = of_messages.clone();
        assert_eq!(fields(&messages(&asked).unwrap_err()), ["cursor"], "{asked}");
    }
    assert_eq!(fields(&messages(&json!({ "cursor": of_transactions })).unwrap_err()), ["cursor"]);
    let rest = messages(&json!({ "cursor": of_messages, "limit": 9 })).unwrap();
    assert_eq!(field(&rest, "messageId"), ["a"]);
}

#[test]
fn a_cursor_of_another_method_is_refused_though_the_filter_is_alike() {
    let root = Root::new();
    let store = root.open_unlocked();
    let hash = put_blob(&store, &owner(), b"content").unwrap().hash;
    for id in ["a", "b"] {
        write(&store, &owner(), applications::put, &application(id)).unwrap();
        let mut entry = cached(id, hash);
        entry["entry"]["contentHash"] = json!("name");
        write(&store, &owner(), cache::put, &entry).unwrap();
    }
    let asked = json!({ "contentHash": "name", "direction": "asc", "limit": 1 });
    let cursor = read(&store, &owner(), cache::list, &asked).unwrap()["nextCursor"].clone();
    assert!(cursor.is_string());
    let asked = json!({ "orderBy": "name", "direction": "asc", "cursor": cursor });
    let foreign = read(&store, &owner(), applications::list, &asked);
    assert_eq!(fields(&foreign.unwrap_err()), ["cursor"]);
}

/// A filter that takes few or none had the whole table read for one page.
#[test]
fn a_page_of_a_rare_filter_ends_before_the_table_does() {
    let root = Root::new();
    let store = root.open();
    execute(
        &store,
        "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 11999)
         INSERT INTO wallet_transactions (tx_hash, from_address, to_address, amount, network, status, timestamp)
         SELECT printf('h%05d', i), 'f', 't', '1', iif(i % 4000 = 10, 'rare', 'n'), 'pending', i FROM n",
    );
    let mut asked = json!({ "network": "rare" });
    let mut pages = Vec::new();
    loop {
        let page = read(&store, &owner(), transactions::list, &asked).unwrap();
        let items = page["items"].as_array().unwrap();
        pages
            .push(items.iter().map(|item| item["timestamp"].as_u64().unwrap()).collect::<Vec<_>>());
        if page["nextCursor"].is_null() {
            break;
        }
        asked["cursor"] = page["nextCursor"].clone();
    }
    assert_eq!(pages, [vec![8010], vec![4010], vec![10]]);
    let none = read(&store, &owner(), transactions::list, &json!({ "token": "0x1" })).unwrap();
    assert_eq!(none["items"], json!([]));
    assert!(none["nextCursor"].is_string());
}

fn cached(address: &str, hash: osnova_storage_api::wire::BlobHash) -> Value {
    json!({ "entry": {
        "autonomiAddress": address, "contentHash": "c", "blobHash": hash, "dataType": "chunk",
    } })
}

#[test]
fn the_cache_evicts_in_the_order_of_access_what_nothing_else_keeps() {
    let root = Root::new();
    let store = root.open_unlocked();
    let mut hashes = Vec::new();
    for index in 0..6_u8 {
        let mut holding = holding();
        holding.pinned = index == 4;
        let content = vec![index; 100];
        let hash = put_blob_with(&store, &owner(), &content, holding, None).unwrap().hash;
        write(&store, &owner(), cache::put, &cached(&format!("ant://{index}"), hash)).unwrap();
        hashes.push(hash);
    }
    // 5 is an icon, and 0 and 1 are read again, in that order, while the clock stands still.
    let mut icon = application("one");
    icon["application"]["iconBlobHash"] = json!(hashes[5]);
    write(&store, &owner(), applications::put, &icon).unwrap();
    for address in ["ant://0", "ant://1"] {
        store.cache_get(&owner(), &params(&json!([address]))).unwrap();
    }
    let missing = store.cache_get(&owner(), &params(&json!(["ant://9"])));
    assert_eq!(code(&missing), ErrorCode::NotFound);
    let stats = serde_json::to_value(store.cache_stats(&owner()).unwrap()).unwrap();
    assert_eq!(
        stats,
        json!({ "entries": 6, "bytes": 600, "savedBytes": 0, "hits": 2, "misses": 1 })
    );

    let evict = |target: u64| {
        let evicted = store.evict_cache(&owner(), &params(&json!([target]))).unwrap();
        (evicted.entries, evicted.bytes, evicted.bytes_left)
    };
    assert_eq!(evict(600), (0, 0, 600));
    assert_eq!(evict(350), (3, 300, 300));
    let left = read(&store, &owner(), cache::list, &json!({})).unwrap();
    let left: Vec<&str> = left["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["autonomiAddress"].as_str().unwrap())
        .collect();
    assert_eq!(left, ["ant://4", "ant://5", "ant://1"]);
    for gone in [2, 3, 0] {
        assert_eq!(code(&stat(&store, &owner(), &hashes[gone])), ErrorCode::NotFound);
        assert!(!root.blob(&hashes[gone]).exists());
    }
    // What is pinned, or named elsewhere, stays.
    assert_eq!(evict(0), (1, 100, 200));
    assert!(root.blob(&hashes[4]).exists() && root.blob(&hashes[5]).exists());
    let removed = write(&store, &owner(), cache::remove, &json!(["ant://5"])).unwrap();
    assert_eq!(removed, json!({ "deleted": true }));
    assert!(stat(&store, &owner(), &hashes[5]).is_ok());
}

#[test]
fn accesses_of_the_cache_are_counted_and_make_its_order() {
    let root = Root::new();
    let store = root.open_unlocked();
    let small = put_blob(&store, &owner(), b"small").unwrap().hash;
    let large = put_blob(&store, &owner(), &[7; 50]).unwrap().hash;
    for address in ["a", "b", "c"] {
        write(&store, &owner(), cache::put, &cached(address, small)).unwrap();
    }
    let get = |address: &str| store.cache_get(&owner(), &params(&json!([address]))).unwrap();
    let list = |asked: Value| {
        // Evicting has what is pending written; nothing is to go here.
        store.evict_cache(&owner(), &params(&json!([1000]))).unwrap();
        read(&store, &owner(), cache::list, &asked).unwrap()
    };
    for address in ["b", "a", "a"] {
        get(address);
    }
    // The clock went back: the order is that of the calls, the later time stays.
    root.clock.jump(-10);
    get("b");
    let page = list(json!({}));
    assert_eq!(field(&page, "autonomiAddress"), ["c", "a", "b"]);
    assert_eq!(field(&page, "accessCount"), [1, 3, 3]);
    assert_eq!(field(&page, "lastAccessed"), [START, START, START]);
    get("c");
    let page = list(json!({ "direction": "desc" }));
    assert_eq!(field(&page, "autonomiAddress"), ["c", "b", "a"]);
    assert_eq!(field(&page, "lastAccessed"), [START, START, START]);

    // To put it again is an access, and what was there before counts no more.
    let mut again = cached("a", large);
    again["entry"]["contentHash"] = json!("d");
    let put = write(&store, &owner(), cache::put, &again).unwrap();
    assert_eq!((&put["accessCount"], &put["size"]), (&json!(4), &json!(50)));
    assert_eq!(field(&list(json!({})), "autonomiAddress"), ["b", "c", "a"]);
    assert_eq!(field(&list(json!({ "contentHash": "c" })), "autonomiAddress"), ["b", "c"]);
    let stats = serde_json::to_value(store.cache_stats(&owner()).unwrap()).unwrap();
    assert_eq!(
        stats,
        json!({ "entries": 3, "bytes": 60, "savedBytes": 5, "hits": 5, "misses": 0 })
    );
}

#[test]
fn a_message_holds_its_attachments_and_is_its_components() {
    let root = Root::new();
    let store = root.open_unlocked();
    let (a, b) = (component_caller(A), component_caller(B));
    let of_a = put_blob(&store, &a, b"a picture").unwrap().hash;
    let message = |id: Option<&str>, attachments: Value| {
        json!({ "message": {
            "messageId": id, "channel": "c", "sender": "s", "timestamp": 5, "attachments": attachments,
        } })
    };
    let asked = message(Some("m"), json!([of_a, of_a]));
    let put = write(&store, &a, messages::put, &asked).unwrap();
    assert_eq!((&put["componentId"], &put["attachments"]), (&json!(A), &json!([of_a, of_a])));
    assert_eq!(stat(&store, &a, &of_a).unwrap().references.0, 2);
    // It is told who names it where that is its own.
    let refused = delete_blob(&store, &a, &of_a).unwrap_err().to_api();
    assert_eq!(refused.data.holders.unwrap(), ["messages/m"]);

    for (caller, asked, why) in [
        (&b, message(Some("m"), json!([])), ConflictReason::Exists),
        (&b, message(Some("n"), json!([of_a])), ConflictReason::ForeignKey),
    ] {
        assert_eq!(reason(&write(&store, caller, messages::put, &asked)), why);
    }
    assert_eq!(code(&read(&store, &b, messages::get, &json!(["m"]))), ErrorCode::NotFound);
    assert_eq!(write(&store, &b, messages::delete, &json!(["m"])).unwrap()["deleted"], false);
    let many = json!({ "items": [message(Some("n"), json!([])), message(Some("m"), json!([]))] });
    let refused = write(&store, &b, messages::put_many, &many).unwrap_err().to_api();
    assert_eq!(refused.data.index, Some(1));
    assert_eq!(code(&read(&store, &b, messages::get, &json!(["n"]))), ErrorCode::NotFound);

    // Ids of the store's own making are each another.
    let ids: std::collections::BTreeSet<String> = (0..50)
        .map(|_| write(&store, &b, messages::put, &message(None, json!([]))).unwrap())
        .map(|put| put["messageId"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), 50);
    let listed = |caller: &Caller, asked: Value| {
        read(&store, caller, messages::list, &asked).unwrap()["items"].as_array().unwrap().len()
    };
    assert_eq!(listed(&a, json!({})), 1);
    assert_eq!(listed(&owner(), json!({ "channel": "c" })), 51);
    assert_eq!(
        listed(&owner(), json!({ "componentId": A, "channel": "c", "from": 5, "to": 6 })),
        1
    );
    assert_eq!(listed(&owner(), json!({ "to": 5 })), 0);

    // The owner changes it; it stays the component's.
    let put = write(&store, &owner(), messages::put, &message(Some("m"), json!([]))).unwrap();
    assert_eq!(put["componentId"], A);
    assert!(delete_blob(&store, &a, &of_a).unwrap().deleted);
    assert!(changes(&store).contains(&format!(r#"messages ["m"] put {A}"#)));

    // Given to another, it is gone for the one: that must be told so, or its list is wrong for ever.
    let mut moved = message(Some("m"), json!([]));
    moved["message"]["componentId"] = json!(B);
    write(&store, &owner(), messages::put, &moved).unwrap();
    let last: Vec<String> = changes(&store).into_iter().rev().take(2).collect();
    assert_eq!(
        last,
        [format!(r#"messages ["m"] put {B}"#), format!(r#"messages ["m"] delete {A}"#)]
    );
    assert_eq!(write(&store, &owner(), messages::delete, &json!(["m"])).unwrap()["deleted"], true);
    assert_eq!(changes(&store).pop().unwrap(), format!(r#"messages ["m"] delete {B}"#));
}

#[test]
fn messages_are_replaced_as_a_whole_and_listed_by_channel() {
    let root = Root::new();
    let store = root.open();
    let put = |asked: Value| {
        let asked = json!({ "message": asked });
        let put = write(&store, &owner(), messages::put, &asked).unwrap();
        let found = read(&store, &owner(), messages::get, &json!([put["messageId"]])).unwrap();
        assert_eq!(found, put);
        put
    };
    put(json!({ "messageId": "m", "channel": "c", "sender": "s", "timestamp": 5, "body": "one",
        "metadata": { "a": 1 } }));
    put(json!({ "messageId": "n", "channel": "d", "sender": "s", "timestamp": 5 }));
    put(json!({ "messageId": "o", "channel": "c", "sender": "s", "timestamp": 6 }));
    let listed =
        |asked: Value| field(&read(&store, &owner(), messages::list, &asked).unwrap(), "messageId");
    assert_eq!(listed(json!({ "channel": "c" })), ["o", "m"]);
    assert_eq!(listed(json!({ "direction": "asc" })), ["m", "n", "o"]);
    let other = put(json!({ "messageId": "m", "channel": "d", "sender": "t", "timestamp": 7,
        "body": "two", "metadata": [2] }));
    assert_eq!((&other["body"], &other["metadata"]), (&json!("two"), &json!([2])));
    let bare = put(json!({ "messageId": "m", "channel": "d", "sender": "t", "timestamp": 7 }));
    assert_eq!((&bare["body"], &bare["metadata"]), (&Value::Null, &Value::Null));
    assert_eq!(listed(json!({ "channel": "c" })), ["o"]);
}

#[test]
fn if_revision_guards_every_table() {
    let root = Root::new();
    let store = root.open_unlocked();
    let a = component_caller(A);
    let hash = put_blob(&store, &owner(), b"content").unwrap().hash;
    put_component(&store, component(A)).unwrap();
    let setting = json!({ "applicationId": "one", "key": "k", "value": 1 });
    let process = json!({ "version": "1", "pid": std::process::id(), "endpoint": "e" });
    let message = json!({ "message": {
        "messageId": "m", "channel": "c", "sender": "s", "timestamp": 5,
    } });
    write(&store, &owner(), applications::put, &application("one")).unwrap();
    write(&store, &owner(), application_config::set, &setting).unwrap();
    write(&store, &a, registry::register, &process).unwrap();
    write(&store, &a, keys::register, &json!({ "publicKey": "k", "keyType": "ed25519" })).unwrap();
    write(&store, &a, transactions::put, &transaction("h", "1", None)).unwrap();
    write(&store, &a, messages::put, &message).unwrap();
    write(&store, &owner(), cache::put, &cached("ant://1", hash)).unwrap();
    let before = dump(&store);
    let stale = |mut asked: Value| {
        asked["ifRevision"] = json!(1);
        asked
    };
    let refused = [
        write(&store, &owner(), applications::put, &stale(application("one"))),
        write(
            &store,
            &owner(),
            applications::record_launch,
            &stale(json!({ "applicationId": "one" })),
        ),
        write(&store, &owner(), applications::delete, &stale(json!({ "applicationId": "one" }))),
        write(&store, &owner(), application_config::set, &stale(setting)),
        write(
            &store,
            &owner(),
            application_config::delete,
            &stale(json!({ "applicationId": "one", "key": "k" })),
        ),
        write(&store, &a, registry::register, &stale(process)),
        write(&store, &a, registry::set_status, &stale(json!({ "status": "running" }))),
        write(&store, &a, registry::remove, &stale(json!({}))),
        write(&store, &a, keys::delete, &stale(json!({ "publicKey": "k" }))),
        write(&store, &a, transactions::put, &stale(transaction("h", "1", None))),
        write(
            &store,
            &a,
            transactions::update_status,
            &stale(json!({ "txHash": "h", "status": "failed" })),
        ),
        write(&store, &a, messages::put, &stale(message)),
        write(&store, &a, messages::delete, &stale(json!({ "messageId": "m" }))),
        write(&store, &owner(), cache::put, &stale(cached("ant://1", hash))),
        write(&store, &owner(), cache::remove, &stale(json!({ "autonomiAddress": "ant://1" }))),
    ];
    for (index, refused) in refused.iter().enumerate() {
        assert_eq!(reason(refused), ConflictReason::Revision, "call {index}");
    }
    assert_eq!(dump(&store), before);
}
