//! The record operations: components with their lists, blobs and dependencies, and preferences.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use common::*;
use osnova_storage_api::components::{
    self as wire, ComponentOrder, ComponentPage, ComponentType, Direction,
};
use osnova_storage_api::preferences as prefs_wire;
use osnova_storage_api::wire::{Cursor, Limit, Revision, Timestamp};
use osnova_storage_api::{ConflictReason, ErrorCode};
use osnova_storage_core::Store;
use osnova_storage_core::db::{components, preferences};
use osnova_storage_core::error::Result;

// Components.

#[test]
fn a_component_is_stored_with_all_it_says() {
    let root = Root::new();
    let store = root.open_unlocked();
    let hash = put_blob(&store, &owner(), b"program").unwrap().hash;
    let manifest = "{ \"z\": 1.0e2,\n\t\"a\":[ 12345678901234567890 , \"\\u00e9é\" ] }";
    let mut input = with_blobs(component("@scope/name"), &[("binary", hash)]);
    input.description = Some("A\nlong\u{1}text".parse().unwrap());
    input.author = Some(name("Ada \"Countess\" Lovelace"));
    input.license = Some(name("MIT"));
    input.autonomi_address = Some(name("ant://0123"));
    input.installed_at = Some(Timestamp(-5));
    input.manifest = json(manifest);
    let put = put_component(&store, input.clone()).unwrap();
    let got = get_component(&store, "@scope/name").unwrap();
    assert_eq!(put, got);
    assert_eq!(got.manifest.get(), manifest);
    assert_eq!(got.description.unwrap().as_str(), "A\nlong\u{1}text");
    assert_eq!(got.author, input.author);
    assert_eq!(got.installed_at, Timestamp(-5));
    assert_eq!(got.last_used, None);
    assert_eq!(Some(got.blobs), input.blobs);

    // What is left out of an update is cleared, but for the time of installation.
    let replaced = put_component(&store, component("@scope/name")).unwrap();
    assert_eq!(replaced, get_component(&store, "@scope/name").unwrap());
    assert_eq!(replaced.description, None);
    assert!(replaced.blobs.is_empty());
    assert_eq!(replaced.installed_at, Timestamp(-5));
    assert!(replaced.revision > put.revision);
}

#[test]
fn what_the_store_keeps_survives_an_update() {
    let root = Root::new();
    let store = root.open();
    put_component(&store, component("a")).unwrap();
    touch(&store, "a", Some(99)).unwrap();
    execute(&store, "SELECT 1");
    root.clock.advance(1000);
    let updated = put_component(&store, component("a")).unwrap();
    assert_eq!(updated.last_used, Some(Timestamp(99)));
    assert_eq!(updated.installed_at, Timestamp(START));
    let mut input = component("a");
    input.installed_at = Some(Timestamp(7));
    assert_eq!(put_component(&store, input).unwrap().installed_at, Timestamp(7));
    assert_eq!(get_component(&store, "a").unwrap().last_used, Some(Timestamp(99)));
}

#[test]
fn if_revision_guards_components() {
    let root = Root::new();
    let store = root.open();
    let put = |revision| put_component_as(&store, &owner(), component("a"), revision);
    let absent = put(Some(7));
    assert_eq!(reason(&absent), ConflictReason::Revision);
    assert_eq!(current_revision(&absent), 0);
    let first = put(Some(0)).unwrap().revision.0;
    assert_eq!(current_revision(&put(Some(0))), first);
    let second = put(Some(first)).unwrap().revision.0;
    assert_eq!(current_revision(&put(Some(first))), second);
    assert_eq!(get_component(&store, "a").unwrap().revision, Revision(second));

    assert_eq!(current_revision(&delete_component(&store, "a", Some(first))), second);
    assert_eq!(current_revision(&delete_component(&store, "a", Some(0))), second);
    assert!(delete_component(&store, "a", Some(second)).unwrap().deleted);
    assert_eq!(current_revision(&delete_component(&store, "a", Some(second))), 0);
    assert!(!delete_component(&store, "a", Some(0)).unwrap().deleted);
    assert!(!delete_component(&store, "a", None).unwrap().deleted);
    assert_eq!(code(&get_component(&store, "a")), ErrorCode::NotFound);
}

fn list_params(
    order: ComponentOrder,
    direction: Direction,
    kind: Option<ComponentType>,
    limit: u16,
    cursor: Option<Cursor>,
) -> wire::ListParams {
    wire::ListParams {
        r#type: kind,
        order_by: Some(order),
        direction: Some(direction),
        limit: Some(Limit(limit)),
        cursor,
    }
}

fn list(store: &Store, params: &wire::ListParams) -> Result<ComponentPage> {
    store.db().read(|reader| components::list(reader, &owner(), params))
}

fn all_pages(
    store: &Store,
    order: ComponentOrder,
    direction: Direction,
    kind: Option<ComponentType>,
    limit: u16,
) -> Vec<String> {
    let mut ids = Vec::new();
    let mut cursor = None;
    loop {
        let page = list(store, &list_params(order, direction, kind, limit, cursor)).unwrap();
        assert!(page.items.len() <= usize::from(limit));
        assert!(!page.items.is_empty() || ids.is_empty());
        ids.extend(page.items.into_iter().map(|component| String::from(component.component_id)));
        cursor = page.next_cursor;
        if cursor.is_none() {
            return ids;
        }
    }
}

const ORDERS: [ComponentOrder; 3] =
    [ComponentOrder::InstalledAt, ComponentOrder::LastUsed, ComponentOrder::Name];
const DIRECTIONS: [Direction; 2] = [Direction::Ascending, Direction::Descending];

/// Twelve components with ties in every order: four names, three times, half of them never used.
fn a_dozen(store: &Store) -> Vec<String> {
    let ids: Vec<String> = (0..12).map(|index| format!("c{:02}", (index * 5) % 12)).collect();
    for (index, id) in ids.iter().enumerate() {
        let mut input = component(id);
        input.name = name(["Zoë", "alpha", "Alpha", "β"][index % 4]);
        input.installed_at = Some(Timestamp([30, -10, 20][index % 3]));
        if index % 2 == 1 {
            input.r#type = ComponentType::Frontend;
        }
        put_component(store, input).unwrap();
    }
    for id in ids.iter().step_by(2) {
        touch(store, id, Some(5)).unwrap();
    }
    execute(store, "SELECT 1");
    ids
}

#[test]
fn components_are_listed_in_every_order_in_pages_of_every_size() {
    let root = Root::new();
    let store = root.open();
    let ids = a_dozen(&store);
    for order in ORDERS {
        for direction in DIRECTIONS {
            for kind in [None, Some(ComponentType::Backend), Some(ComponentType::Frontend)] {
                // What is expected, by sorting here.
                let mut expected: Vec<(bool, (i64, String), String)> = ids
                    .iter()
                    .enumerate()
                    .filter_map(|(index, id)| {
                        let component = get_component(&store, id).unwrap();
                        let key = match order {
                            ComponentOrder::InstalledAt => {
                                (component.installed_at.0, String::new())
                            }
                            ComponentOrder::Name => (0, component.name.into()),
                            ComponentOrder::LastUsed => {
                                // Those that were used were so in the order they were made.
                                let used = component.last_used.map(|_| index as i64);
                                (used.unwrap_or(0), String::new())
                            }
                        };
                        let last =
                            order == ComponentOrder::LastUsed && component.last_used.is_none();
                        kind.is_none_or(|kind| component.r#type == kind)
                            .then(|| (last, key, id.clone()))
                    })
                    .collect();
                expected.sort_by(|a, b| {
                    let keys = (&a.1, &a.2).cmp(&(&b.1, &b.2));
                    let keys = match direction {
                        Direction::Ascending => keys,
                        Direction::Descending => keys.reverse(),
                    };
                    a.0.cmp(&b.0).then(keys)
                });
                let expected: Vec<String> = expected.into_iter().map(|(_, _, id)| id).collect();
                for limit in (1..=13).chain([1000]) {
                    let listed = all_pages(&store, order, direction, kind, limit);
                    assert_eq!(listed, expected, "{order:?} {direction:?} {kind:?} by {limit}");
                }
            }
        }
    }
}

#[test]
fn lists_have_defaults() {
    let root = Root::new();
    let store = root.open();
    for index in 0..101 {
        let mut input = component(&format!("c{index:03}"));
        input.installed_at = Some(Timestamp(index));
        put_component(&store, input).unwrap();
    }
    let mut params = wire::ListParams {
        r#type: None,
        order_by: None,
        direction: None,
        limit: None,
        cursor: None,
    };
    let page = list(&store, &params).unwrap();
    assert_eq!(page.items.len(), 100);
    assert_eq!(page.items[0].component_id.as_str(), "c100");
    params.cursor = page.next_cursor;
    let page = list(&store, &params).unwrap();
    assert_eq!(page.items[0].component_id.as_str(), "c000");
    assert_eq!(page.next_cursor, None);
    params.cursor = None;
    params.order_by = Some(ComponentOrder::Name);
    assert_eq!(list(&store, &params).unwrap().items[0].component_id.as_str(), "c000");
}

#[test]
fn pages_are_stable_under_inserts_and_deletes() {
    let root = Root::new();
    let store = root.open();
    let put = |id: &str, time: i64| {
        let mut input = component(id);
        input.installed_at = Some(Timestamp(time));
        put_component(&store, input).unwrap();
    };
    for index in 0..10 {
        put(&format!("c{index}"), index * 10);
    }
    let by_time = |cursor| {
        let order = ComponentOrder::InstalledAt;
        let page = list(&store, &list_params(order, Direction::Ascending, None, 3, cursor));
        let page = page.unwrap();
        let ids: Vec<String> =
            page.items.into_iter().map(|item| item.component_id.into()).collect();
        (ids, page.next_cursor)
    };
    let (ids, cursor) = by_time(None);
    assert_eq!(ids, ["c0", "c1", "c2"]);
    // Before the page's end, at it, and behind it; and the item that the cursor names goes.
    put("early", 5);
    put("tie", 20);
    put("late", 35);
    delete_component(&store, "c2", None).unwrap();
    delete_component(&store, "c4", None).unwrap();
    let (ids, cursor) = by_time(cursor);
    assert_eq!(ids, ["tie", "c3", "late"]);
    let (ids, cursor) = by_time(cursor);
    assert_eq!(ids, ["c5", "c6", "c7"]);
    let (ids, cursor) = by_time(cursor);
    assert_eq!((ids, cursor), (vec!["c8".to_owned(), "c9".to_owned()], None));
}

#[test]
fn a_cursor_survives_a_restart_and_is_good_for_its_own_list_only() {
    let root = Root::new();
    let store = root.open();
    a_dozen(&store);
    let mut cursors = Vec::new();
    let kinds = [None, Some(ComponentType::Backend)];
    let lists: Vec<_> = ORDERS
        .iter()
        .flat_map(|order| DIRECTIONS.iter().map(move |direction| (*order, *direction)))
        .flat_map(|(order, direction)| kinds.iter().map(move |kind| (order, direction, *kind)))
        .collect();
    for (order, direction, kind) in &lists {
        let page = list(&store, &list_params(*order, *direction, *kind, 2, None)).unwrap();
        cursors.push(page.next_cursor.unwrap());
    }
    drop(store);
    let store = root.open();
    for (from, cursor) in cursors.iter().enumerate() {
        for (to, (order, direction, kind)) in lists.iter().enumerate() {
            let params = list_params(*order, *direction, *kind, 3, Some(cursor.clone()));
            let page = list(&store, &params);
            if from == to {
                assert!(!page.unwrap().items.is_empty());
            } else {
                assert_eq!(fields(&page.unwrap_err()), ["cursor"], "{from} {to}");
            }
        }
    }
    let first = cursors[0].as_str().to_owned();
    for foreign in ["x", "e30", "AAAA", "%%%", &first[1..], &format!("{first}A")] {
        let (order, direction, kind) = lists[0];
        let params = list_params(order, direction, kind, 3, Some(foreign.parse().unwrap()));
        assert_eq!(fields(&list(&store, &params).unwrap_err()), ["cursor"], "{foreign}");
    }
    let params =
        prefs_wire::ListParams { prefix: None, limit: None, cursor: Some(cursors[0].clone()) };
    let page = store.db().read(|reader| preferences::list(reader, &owner(), &params));
    assert_eq!(fields(&page.unwrap_err()), ["cursor"]);
}

/// Names and ids may be 256 characters of four bytes each; a cursor that could not hold both made the
/// rest of such a list unreachable.
#[test]
fn a_cursor_holds_the_longest_names() {
    let root = Root::new();
    let store = root.open();
    for last in ["a", "b", "c"] {
        let long = "\u{1F600}".repeat(255) + last;
        let mut input = component(last);
        input.component_id = long.parse().unwrap();
        input.name = name(&long);
        put_component(&store, input).unwrap();
    }
    let ids = all_pages(&store, ComponentOrder::Name, Direction::Ascending, None, 1);
    assert_eq!(ids.len(), 3);
}

#[test]
fn a_page_ends_at_half_the_limit_of_a_response() {
    let root = Root::new();
    let store = root.open();
    let manifest = json(&format!("\"{}\"", "m".repeat((1 << 20) - 2)));
    for index in 0..12 {
        let mut input = component(&format!("c{index:02}"));
        input.manifest = manifest.clone();
        put_component(&store, input).unwrap();
    }
    for order in ORDERS {
        let page =
            list(&store, &list_params(order, Direction::Ascending, None, 100, None)).unwrap();
        assert_eq!(page.items.len(), 7);
        let text = serde_json::to_string(&page).unwrap();
        assert!(text.len() <= 8 << 20);
        let rest = list_params(order, Direction::Ascending, None, 100, page.next_cursor);
        let rest = list(&store, &rest).unwrap();
        assert_eq!((rest.items.len(), rest.next_cursor), (5, None));
    }
}

#[test]
fn a_component_names_blobs_that_its_caller_can_see() {
    let root = Root::new();
    let store = root.open_unlocked();
    let one = put_blob(&store, &owner(), b"one").unwrap().hash;
    let two = put_blob(&store, &owner(), b"two").unwrap().hash;
    let theirs = put_blob(&store, &component_caller("other"), b"theirs").unwrap().hash;
    let input = with_blobs(component("a"), &[("binary", one), ("icon", one)]);
    let put = put_component(&store, input).unwrap();
    let references = |hash| stat(&store, &owner(), &hash).unwrap().references.0;
    assert_eq!(references(one), 2);

    let before = dump(&store);
    let absent = sha256(b"absent");
    let input = with_blobs(component("a"), &[("binary", two), ("frontend", absent)]);
    assert_eq!(reason(&put_component(&store, input)), ConflictReason::ForeignKey);
    let input = with_blobs(component("b"), &[("frontend", absent)]);
    assert_eq!(reason(&put_component(&store, input)), ConflictReason::ForeignKey);
    // What is another's is as absent, to a component.
    let input = with_blobs(component("b"), &[("binary", one)]);
    let foreign = put_component_as(&store, &component_caller("other"), input, None);
    assert_eq!(reason(&foreign), ConflictReason::ForeignKey);
    assert_eq!(dump(&store), before);
    assert_eq!(get_component(&store, "a").unwrap(), put);

    let input = with_blobs(component("b"), &[("binary", theirs)]);
    put_component_as(&store, &component_caller("other"), input, None).unwrap();
    assert_eq!(references(theirs), 1);
    let input = with_blobs(component("a"), &[("binary", two)]);
    put_component(&store, input).unwrap();
    assert_eq!((references(one), references(two)), (0, 1));
    delete_component(&store, "a", None).unwrap();
    assert_eq!(references(two), 0);
    assert_eq!(read_blob(&store, &owner(), &two).unwrap(), b"two");
}

#[test]
fn a_component_is_deleted_with_its_registry_row_unless_it_runs() {
    let root = Root::new();
    let store = root.open();
    let register =
        "INSERT INTO component_registry (component_id, version, pid, endpoint, status, started_at)
         VALUES ('a','1.0.0',1,'e','running',0)";
    put_component(&store, component("a")).unwrap();
    execute(&store, register);
    for running in ["starting", "running", "stopping"] {
        let set_status = format!("UPDATE component_registry SET status = '{running}'");
        store.db().write(64, move |tx| Ok(tx.connection().execute(&set_status, [])?)).unwrap();
        let before = dump(&store);
        let refused = delete_component(&store, "a", None);
        assert_eq!(reason(&refused), ConflictReason::Transition);
        assert_eq!(dump(&store), before);
    }
    for ended in ["stopped", "crashed"] {
        let set_status = format!("UPDATE component_registry SET status = '{ended}'");
        store.db().write(64, move |tx| Ok(tx.connection().execute(&set_status, [])?)).unwrap();
        execute(&store, "DELETE FROM change_feed");
        assert!(delete_component(&store, "a", None).unwrap().deleted);
        assert_eq!(query::<u32>(&store, "SELECT count(*) FROM component_registry"), 0);
        let events: String =
            query(&store, "SELECT group_concat(namespace || key_json || kind) FROM change_feed");
        assert_eq!(events, r#"registry["a"]delete,components["a"]delete"#);
        put_component(&store, component("a")).unwrap();
        execute(&store, register);
    }
}

#[test]
fn a_delete_keeps_keys_and_transactions() {
    let root = Root::new();
    let store = root.open();
    put_component(&store, component("a")).unwrap();
    execute(
        &store,
        "INSERT INTO keys_metadata (component_id, derivation_index, public_key, key_type, created_at)
           VALUES ('a',0,'pk','ed25519',0);
         INSERT INTO wallet_transactions
           (tx_hash, from_address, to_address, amount, network, status, component_id, timestamp)
           VALUES ('h','f','t','1','n','pending','a',0);",
    );
    assert!(delete_component(&store, "a", None).unwrap().deleted);
    assert_eq!(query::<u32>(&store, "SELECT count(*) FROM keys_metadata"), 1);
    assert_eq!(query::<u32>(&store, "SELECT count(*) FROM wallet_transactions"), 1);
}

// Dependencies.

/// `(component, requirement, installed, missing, satisfied, via)` of each.
fn dependencies(store: &Store, id: &str, transitive: Option<bool>) -> Result<Vec<String>> {
    let params = wire::DependenciesParams { component_id: id.parse().unwrap(), transitive };
    let found = store.db().read(|reader| components::dependencies(reader, &owner(), &params))?;
    let line = |item: wire::Dependency| {
        let installed = item.installed_version.map_or("-".to_owned(), String::from);
        let requirement = item.requirement.unwrap_or("any".to_owned());
        let mut line = format!("{} {requirement} {installed} via {}", item.component_id, item.via);
        if item.missing {
            line.push_str(" missing");
        }
        if item.satisfied {
            line.push_str(" satisfied");
        }
        line
    };
    Ok(found.items.into_iter().map(line).collect())
}

fn dependents(store: &Store, id: &str, transitive: Option<bool>) -> Vec<String> {
    let params = wire::DependentsParams { component_id: id.parse().unwrap(), transitive };
    let found = store.db().read(|reader| components::dependents(reader, &owner(), &params));
    let line = |item: wire::Dependent| {
        let requirement = item.requirement.unwrap_or("any".to_owned());
        let satisfied = if item.satisfied { " satisfied" } else { "" };
        format!("{} {} {requirement} via {}{satisfied}", item.component_id, item.version, item.via)
    };
    found.unwrap().items.into_iter().map(line).collect()
}

fn put_with_manifest(store: &Store, id: &str, version: &str, manifest: &str) {
    let mut input = component(id);
    input.version = name(version);
    input.manifest = json(manifest);
    put_component(store, input).unwrap();
}

#[test]
fn dependencies_are_found_directly_and_to_the_end() {
    let root = Root::new();
    let store = root.open();
    put_with_manifest(
        &store,
        "app",
        "1.0.0",
        r#"{"dependencies":{"http":"^2","ui":"*","gone":"1"}}"#,
    );
    put_with_manifest(
        &store,
        "http",
        "2.3.4",
        r#"{"dependencies":[{"id":"tls","version":">=1"}]}"#,
    );
    put_with_manifest(&store, "ui", "0.1.0", r#"{"components":[{"id":"http","version":"^1"}]}"#);
    // A circle, and one that needs itself.
    put_with_manifest(&store, "tls", "1.0.0", r#"{"dependencies":{"app":"2.x","tls":"1.0.0"}}"#);
    put_with_manifest(&store, "odd", "not semver", r#"{"dependencies":{"odd":"^1"}}"#);

    let direct = [
        "gone 1 - via app missing",
        "http ^2 2.3.4 via app satisfied",
        "ui * 0.1.0 via app satisfied",
    ];
    assert_eq!(dependencies(&store, "app", None).unwrap(), direct);
    assert_eq!(dependencies(&store, "app", Some(false)).unwrap(), direct);
    let mut all = direct.to_vec();
    all.extend([
        "tls >=1 1.0.0 via http satisfied",
        "http ^1 2.3.4 via ui",
        "app 2.x 1.0.0 via tls",
        "tls 1.0.0 1.0.0 via tls satisfied",
    ]);
    assert_eq!(dependencies(&store, "app", Some(true)).unwrap(), all);
    assert_eq!(dependencies(&store, "odd", Some(true)).unwrap(), ["odd ^1 not semver via odd"]);
    assert_eq!(code(&dependencies(&store, "gone", None)), ErrorCode::NotFound);
    assert_eq!(code(&dependencies(&store, "gone", Some(true))), ErrorCode::NotFound);

    assert_eq!(dependents(&store, "gone", None), ["app 1.0.0 1 via gone"]);
    assert_eq!(
        dependents(&store, "http", None),
        ["app 1.0.0 ^2 via http satisfied", "ui 0.1.0 ^1 via http"]
    );
    assert_eq!(
        dependents(&store, "tls", Some(true)),
        [
            "http 2.3.4 >=1 via tls satisfied",
            "tls 1.0.0 1.0.0 via tls satisfied",
            "app 1.0.0 ^2 via http satisfied",
            "ui 0.1.0 ^1 via http",
            "tls 1.0.0 2.x via app",
            "app 1.0.0 * via ui satisfied",
        ]
    );
    assert!(dependents(&store, "nobody's", Some(true)).is_empty());
}

#[test]
fn dependencies_follow_the_manifest() {
    let root = Root::new();
    let store = root.open();
    put_with_manifest(&store, "a", "1.0.0", r#"{"dependencies":{"x":"1","y":"1"}}"#);
    put_with_manifest(&store, "a", "1.0.0", r#"{"dependencies":{"y":"2","z":"1"}}"#);
    assert_eq!(
        dependencies(&store, "a", None).unwrap(),
        ["y 2 - via a missing", "z 1 - via a missing"]
    );
    put_with_manifest(&store, "y", "2.0.0", "{}");
    assert_eq!(dependencies(&store, "a", None).unwrap()[0], "y 2 2.0.0 via a satisfied");
    delete_component(&store, "a", None).unwrap();
    assert!(dependents(&store, "y", Some(true)).is_empty());
    assert_eq!(query::<u32>(&store, "SELECT count(*) FROM component_dependencies"), 0);
}

// Preferences.

#[test]
fn a_preference_is_kept_byte_for_byte() {
    let root = Root::new();
    let store = root.open();
    for text in [
        "null",
        "true",
        "-0.0",
        "1E+400",
        "123456789012345678901234567890.10",
        "\"\\u00e9 \\/ é \\ud83d\\ude00\"",
        "{ \"b\" : 1,\n\t\"a\" : [ ] , \"b\":2 }",
        "\"\u{7f}\u{2028}\u{10ffff}\"",
    ] {
        let put = set(&store, "key", text).unwrap();
        let got = get(&store, "key").unwrap();
        assert_eq!(put, got);
        assert_eq!(got.value.get(), text);
        assert_eq!(got.updated_at, Timestamp(START));
    }
    drop(store);
    let store = root.open();
    assert_eq!(get(&store, "key").unwrap().value.get(), "\"\u{7f}\u{2028}\u{10ffff}\"");
    assert_eq!(code(&get(&store, "other")), ErrorCode::NotFound);
}

#[test]
fn if_revision_guards_preferences() {
    let root = Root::new();
    let store = root.open();
    assert_eq!(current_revision(&set_if(&store, "k", "1", Some(1))), 0);
    let first = set_if(&store, "k", "1", Some(0)).unwrap().revision.0;
    assert_eq!(current_revision(&set_if(&store, "k", "2", Some(0))), first);
    let second = set_if(&store, "k", "2", Some(first)).unwrap().revision.0;
    assert_eq!(current_revision(&unset(&store, "k", Some(first))), second);
    assert!(unset(&store, "k", Some(second)).unwrap().deleted);
    assert!(!unset(&store, "k", None).unwrap().deleted);
    assert_eq!(current_revision(&unset(&store, "k", Some(second))), 0);
}

fn set_many(
    store: &Store,
    items: &[(&str, &str, Option<u64>)],
) -> Result<prefs_wire::StoredPreferences> {
    let item = |(key, value, if_revision): &(&str, &str, Option<u64>)| {
        let params = set_params(key, value, *if_revision);
        prefs_wire::PreferenceInput {
            key: params.key,
            value: params.value,
            if_revision: params.if_revision,
        }
    };
    let items = items.iter().map(item).collect();
    let params = prefs_wire::SetManyParams { items, request_id: None };
    store.db().write(256, move |tx| preferences::set_many(tx, &owner(), &params))
}

#[test]
fn many_preferences_are_set_all_or_none() {
    let root = Root::new();
    let store = root.open();
    set(&store, "b", "0").unwrap();
    let before = dump(&store);
    let refused = set_many(
        &store,
        &[("a", "1", None), ("a", "2", None), ("b", "3", Some(0)), ("c", "4", None)],
    );
    assert_eq!(reason(&refused), ConflictReason::Revision);
    assert_eq!(refused.unwrap_err().to_api().data.index, Some(2));
    assert_eq!(dump(&store), before);

    let stored =
        set_many(&store, &[("a", "1", Some(0)), ("b", "3", None), ("a", "2", None)]).unwrap();
    let keys: Vec<&str> = stored.items.iter().map(|item| item.key.as_str()).collect();
    assert_eq!(keys, ["a", "b", "a"]);
    assert!(stored.items.is_sorted_by_key(|item| item.revision));
    assert_eq!(get(&store, "a").unwrap(), stored.items[2]);
    assert!(set_many(&store, &[]).unwrap().items.is_empty());
}

fn keys_with(store: &Store, prefix: Option<&str>, limit: u16) -> Vec<String> {
    let mut params = prefs_wire::ListParams {
        prefix: prefix.map(|prefix| prefix.parse().unwrap()),
        limit: Some(Limit(limit)),
        cursor: None,
    };
    let mut keys = Vec::new();
    loop {
        let page = store.db().read(|reader| preferences::list(reader, &owner(), &params)).unwrap();
        assert!(page.items.len() <= usize::from(limit));
        keys.extend(page.items.into_iter().map(|item| String::from(item.key)));
        params.cursor = page.next_cursor;
        if params.cursor.is_none() {
            return keys;
        }
    }
}

#[test]
fn preferences_are_listed_by_prefix_in_pages_of_every_size() {
    let root = Root::new();
    let store = root.open();
    let mut keys = vec![
        "a",
        "a.",
        "a.b",
        "a.b.c",
        "a.c",
        "a/",
        "ab",
        "A",
        "b",
        "%",
        "a%",
        "a_",
        "é",
        "é.x",
        "z",
        "\u{10ffff}",
        "\u{10ffff}\u{10ffff}",
        "\u{10ffff}x",
        "a\u{10ffff}",
        "a\u{10ffff}b",
        "a\u{ffff}",
        "\u{d7ff}",
        "\u{e000}",
        "😀",
        "😀.x",
        "'",
        "\"",
    ];
    for key in &keys {
        set(&store, key, "1").unwrap();
    }
    keys.sort_unstable();
    let prefixes = keys.iter().copied().map(Some).chain([None, Some("a\u{10fffe}"), Some("zz")]);
    for prefix in prefixes {
        let expected: Vec<&str> =
            keys.iter().copied().filter(|key| key.starts_with(prefix.unwrap_or(""))).collect();
        for limit in 1..=u16::try_from(expected.len() + 1).unwrap() {
            assert_eq!(keys_with(&store, prefix, limit), expected, "{prefix:?} by {limit}");
        }
    }
    // A cursor of one prefix is not one of another.
    let page = |prefix: &str, cursor| {
        let prefix = Some(prefix.parse().unwrap());
        let params = prefs_wire::ListParams { prefix, limit: Some(Limit(1)), cursor };
        store.db().read(|reader| preferences::list(reader, &owner(), &params))
    };
    let cursor = page("a", None).unwrap().next_cursor;
    assert_eq!(fields(&page("a.", cursor.clone()).unwrap_err()), ["cursor"]);
    // The next page goes on behind a key that was deleted meanwhile.
    unset(&store, "a", None).unwrap();
    assert_eq!(page("a", cursor).unwrap().items[0].key.as_str(), "a%");
}
