//! `storage` against a simple model of it: random writes, deletions, sweeps, time and restarts, after
//! which both must say the same.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;
#[path = "common/values.rs"]
mod values;

use std::collections::BTreeMap;

use common::*;
use osnova_storage_api::ErrorCode;
use osnova_storage_api::storage::ListParams;
use osnova_storage_api::wire::{Limit, Revision};
use osnova_storage_core::Store;
use osnova_storage_core::db::storage::StorageLimits;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use values::*;

/// Few names, so that operations meet, and such as lie close to each other.
const COMPONENTS: [&str; 3] = ["a", "ab", "@scope/ж"];
const KEYS: [&str; 6] = ["k", "k%", "k_", "k\u{10ffff}", "l", "é"];

const CASES: u32 = 20;
const STEPS: usize = 100;
/// What a component's rows may take: a few of the larger values.
const LIMIT: u64 = 400;
/// Ids and keys of the model's rows are counted in bytes, and so is the seal.
const SEAL: u64 = 49;

/// Which revision an operation asks for.
#[derive(Debug, Clone, Copy)]
enum IfRevision {
    Any,
    Absent,
    Current,
    Wrong,
}

/// A value to write: which key, how long a text, how long it lives.
type Item = (usize, u8, Option<u32>, IfRevision);

#[derive(Debug, Clone)]
enum Step {
    Write(usize, Vec<Item>),
    Delete(usize, usize, IfRevision),
    DeleteComponent(usize),
    Pass(i64),
    Sweep,
    Lock(bool),
    Reopen,
}

fn if_revision() -> impl Strategy<Value = IfRevision> {
    prop_oneof![
        5 => Just(IfRevision::Any),
        1 => Just(IfRevision::Absent),
        1 => Just(IfRevision::Current),
        1 => Just(IfRevision::Wrong),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let component = 0..COMPONENTS.len();
    let key = 0..KEYS.len();
    let item = (key.clone(), 1..100_u8, prop::option::of(1..20_u32), if_revision());
    prop_oneof![
        12 => (component.clone(), prop::collection::vec(item, 1..3))
            .prop_map(|(component, items)| Step::Write(component, items)),
        4 => (component.clone(), key, if_revision())
            .prop_map(|(component, key, if_revision)| Step::Delete(component, key, if_revision)),
        1 => component.prop_map(Step::DeleteComponent),
        3 => (0..15_i64).prop_map(Step::Pass),
        2 => Just(Step::Sweep),
        1 => any::<bool>().prop_map(Step::Lock),
        1 => Just(Step::Reopen),
    ]
}

#[derive(Debug, Clone, PartialEq)]
struct Row {
    value: String,
    expires_at: Option<i64>,
    revision: Revision,
}

/// What there is, row by row, those that have expired included until they are swept.
#[derive(Default)]
struct Model {
    rows: BTreeMap<(usize, usize), Row>,
    now: i64,
    locked: bool,
}

impl Model {
    fn visible(&self, component: usize, key: usize) -> Option<&Row> {
        let row = self.rows.get(&(component, key));
        row.filter(|row| row.expires_at.is_none_or(|expires_at| expires_at > self.now))
    }

    /// The revision to ask for, and whether it is the one there is.
    fn asked(&self, component: usize, key: usize, if_revision: IfRevision) -> (Option<u64>, bool) {
        let current = self.visible(component, key).map_or(0, |row| row.revision.0);
        let asked = match if_revision {
            IfRevision::Any => None,
            IfRevision::Absent => Some(0),
            IfRevision::Current => Some(current),
            IfRevision::Wrong => Some(current + 1),
        };
        (asked, asked.is_none_or(|asked| asked == current))
    }

    fn stored_bytes(&self, component: usize) -> u64 {
        let rows = self.rows.iter().filter(|((of, _), _)| *of == component);
        rows.map(|((_, key), row)| row_bytes(component, *key, &row.value)).sum()
    }
}

fn row_bytes(component: usize, key: usize, value: &str) -> u64 {
    (COMPONENTS[component].len() + KEYS[key].len() + value.len()) as u64 + SEAL
}

/// Writes items as one; the model is changed only where all of them can be written.
fn write_items(store: &Store, model: &mut Model, component: usize, items: &[Item]) {
    let name = COMPONENTS[component];
    let mut rows = model.rows.clone();
    let mut expected = None;
    let mut inputs = Vec::new();
    for (index, (key, length, ttl, if_revision)) in items.iter().enumerate() {
        // What an earlier item of the same call has written is asked for by its revision, which nobody
        // knows before; such an item asks for nothing.
        let again = items[..index].iter().any(|(earlier, ..)| earlier == key);
        let if_revision = if again { IfRevision::Any } else { *if_revision };
        let (asked, fits) = model.asked(component, *key, if_revision);
        let value = "1".repeat(usize::from(*length));
        inputs.push((*key, value.clone(), *ttl, asked));
        if expected.is_some() {
            continue;
        }
        let before = rows.get(&(component, *key)).map(|row| row_bytes(component, *key, &row.value));
        let after = row_bytes(component, *key, &value);
        let expires_at = ttl.map(|ttl| model.now + i64::from(ttl));
        rows.insert((component, *key), Row { value, expires_at, revision: Revision(0) });
        let total = Model { rows: rows.clone(), ..Model::default() }.stored_bytes(component);
        if !fits {
            expected = Some((ErrorCode::Conflict, index));
        } else if after > before.unwrap_or(0) && total > LIMIT {
            expected = Some((ErrorCode::QuotaExceeded, index));
        }
    }
    let many = write_items_with(store, name, &inputs);
    match (model.locked, expected) {
        (true, _) => assert_eq!(code(&many), ErrorCode::Locked),
        (false, Some((expected, index))) => {
            let error = many.err().unwrap().to_api();
            assert_eq!((error.code(), error.data.index), (expected, Some(index as u64)));
        }
        (false, None) => {
            let written = many.unwrap();
            for ((key, ..), item) in items.iter().zip(&written.items) {
                assert_eq!(item.key.as_str(), KEYS[*key]);
                rows.get_mut(&(component, *key)).unwrap().revision = item.revision;
            }
            model.rows = rows;
        }
    }
}

fn write_items_with(
    store: &Store,
    component: &str,
    inputs: &[(usize, String, Option<u32>, Option<u64>)],
) -> osnova_storage_core::error::Result<osnova_storage_api::storage::WrittenValues> {
    let items: Vec<_> = inputs
        .iter()
        .map(|(key, value, ttl, asked)| (KEYS[*key], value.as_str(), *ttl, *asked))
        .collect();
    write_many_for(store, component, &items)
}

fn run(steps: &[Step]) {
    let root = Root::new();
    let open = || {
        let mut options = root.options();
        options.storage = StorageLimits { component_limit_bytes: Some(LIMIT) };
        let store = Store::open(options).unwrap();
        store.unlock(master()).unwrap();
        store
    };
    let mut store = open();
    let mut model = Model { now: START, ..Model::default() };
    for step in steps {
        match step {
            Step::Write(component, items) => write_items(&store, &mut model, *component, items),
            Step::Delete(component, key, if_revision) => {
                let (asked, fits) = model.asked(*component, *key, *if_revision);
                let was_there = model.visible(*component, *key).is_some();
                let result = delete_if(&store, COMPONENTS[*component], KEYS[*key], asked);
                if fits {
                    assert_eq!(result.unwrap().deleted, was_there);
                    model.rows.remove(&(*component, *key));
                } else {
                    assert_eq!(code(&result), ErrorCode::Conflict);
                }
            }
            Step::DeleteComponent(id) => {
                put_component(&store, component(COMPONENTS[*id])).unwrap();
                delete_component(&store, COMPONENTS[*id], None).unwrap();
                model.rows.retain(|(of, _), _| of != id);
            }
            Step::Pass(seconds) => {
                root.clock.advance(*seconds);
                model.now += seconds;
            }
            Step::Sweep => {
                let before = model.rows.len();
                let now = model.now;
                model.rows.retain(|_, row| row.expires_at.is_none_or(|at| at > now));
                assert_eq!(store.sweep().unwrap(), before - model.rows.len());
            }
            Step::Lock(true) => {
                store.vault().lock();
                model.locked = true;
            }
            Step::Lock(false) => {
                store.unlock(master()).unwrap();
                model.locked = false;
            }
            Step::Reopen => {
                drop(store);
                store = open();
                model.locked = false;
            }
        }
        compare(&store, &model);
    }
    drop(store);
    model.locked = false;
    let store = open();
    compare(&store, &model);
    store.db().integrity_check().unwrap();
}

fn compare(store: &Store, model: &Model) {
    for (component, name) in COMPONENTS.into_iter().enumerate() {
        let mut expected: Vec<(&str, &Row)> = (0..KEYS.len())
            .filter_map(|key| Some((KEYS[key], model.visible(component, key)?)))
            .collect();
        expected.sort_unstable_by_key(|(key, _)| *key);
        let keys: Vec<&str> = expected.iter().map(|(key, _)| *key).collect();
        assert_eq!(keys_of(store, name), keys);
        let stored: i64 = query(
            store,
            &format!(
                "SELECT coalesce(sum(stored_bytes), 0) FROM totals
                 WHERE what = 'storage' AND holder = '{name}'"
            ),
        );
        assert_eq!(u64::try_from(stored).unwrap(), model.stored_bytes(component));
        if model.locked {
            continue;
        }
        // Page by page, with their values.
        let mut params = ListParams { limit: Some(Limit(2)), ..with_values(name) };
        let mut found = Vec::new();
        loop {
            let page = list(store, &params).unwrap();
            found.extend(page.items);
            params.cursor = page.next_cursor;
            if params.cursor.is_none() {
                break;
            }
        }
        assert_eq!(found.len(), expected.len());
        for (item, (key, row)) in found.iter().zip(&expected) {
            assert_eq!(item.key.as_str(), *key);
            assert_eq!(item.value.as_ref().unwrap().get(), row.value);
            assert_eq!(item.size.0, row.value.len() as u64);
            assert_eq!(item.expires_at.map(|time| time.0), row.expires_at);
            assert_eq!(item.revision, row.revision);
        }
    }
    if !model.locked {
        for key in KEYS {
            let absent = read(store, "nobody", key);
            assert_eq!(code(&absent), ErrorCode::NotFound);
        }
    }
}

#[test]
fn the_store_keeps_values_as_the_model_does() {
    let mut runner = TestRunner::new(Config { cases: CASES, ..Config::default() });
    runner
        .run(&prop::collection::vec(step(), 1..STEPS), |steps| {
            run(&steps);
            Ok(())
        })
        .unwrap();
}
