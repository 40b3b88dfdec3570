//! All record namespaces together against a simple model of them: random operations by several callers, with
//! restarts between, after which both must say the same.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

#[path = "common/calls.rs"]
mod calls;
mod common;

use std::collections::BTreeMap;

use calls::{read, write};
use common::*;
use osnova_storage_api::ErrorCode;
use osnova_storage_api::wire::{BlobHash, WireObject};
use osnova_storage_core::db::{
    Reader, application_config, applications, cache, components, keys, messages, preferences,
    registry, storage, transactions,
};
use osnova_storage_core::error::Result;
use osnova_storage_core::{Caller, Store};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde::Serialize;
use serde_json::{Value, json};

const CASES: u32 = 25;
const STEPS: usize = 400;
/// Few names, so that operations meet.
const NAMES: [&str; 4] = ["a", "b", "ж/%", "z"];
const COMPONENTS: [&str; 2] = ["org.example.a", "org.example.b"];
const STATUSES: [&str; 3] = ["pending", "confirmed", "failed"];
/// How a component is, and what it may become.
const STATES: [(&str, &[usize]); 5] = [
    ("starting", &[1, 3, 4]),
    ("running", &[2, 4]),
    ("stopping", &[3, 4]),
    ("stopped", &[0]),
    ("crashed", &[0]),
];

#[derive(Debug, Clone)]
enum Step {
    PutApplication(usize, u8),
    Launch(usize),
    DeleteApplication(usize),
    SetConfig(usize, usize, u8),
    DeleteConfig(usize, usize),
    Reserve(usize),
    RegisterKey(usize, usize, Option<u8>),
    DeleteKey(usize, usize),
    PutTransaction(usize, usize, u8, usize),
    Update(usize, usize, usize),
    PutMessage(usize, usize, u8, bool),
    DeleteMessage(usize, usize),
    PutCache(usize, bool),
    RemoveCache(usize),
    Install(usize, u8),
    Uninstall(usize),
    Register(usize, u8, bool),
    SetState(usize, usize),
    Unregister(usize),
    Write(usize, usize, u8),
    DeleteValue(usize, usize),
    Set(usize, u8),
    Unset(usize),
    Reopen,
}

/// The owner and the components.
fn callers() -> impl Strategy<Value = usize> {
    0..=COMPONENTS.len()
}

fn caller(index: usize) -> Caller {
    COMPONENTS.get(index).map_or(Caller::Owner, |id| component_caller(id))
}

fn step() -> impl Strategy<Value = Step> {
    let name = || 0..NAMES.len();
    prop_oneof![
        4 => (name(), any::<u8>()).prop_map(|(id, n)| Step::PutApplication(id, n)),
        3 => name().prop_map(Step::Launch),
        1 => name().prop_map(Step::DeleteApplication),
        4 => (name(), name(), any::<u8>()).prop_map(|(id, key, n)| Step::SetConfig(id, key, n)),
        2 => (name(), name()).prop_map(|(id, key)| Step::DeleteConfig(id, key)),
        1 => (0..COMPONENTS.len()).prop_map(Step::Reserve),
        4 => (0..COMPONENTS.len(), name(), prop::option::of(0..20_u8))
            .prop_map(|(by, key, index)| Step::RegisterKey(by, key, index)),
        2 => (callers(), name()).prop_map(|(by, key)| Step::DeleteKey(by, key)),
        4 => (callers(), name(), any::<u8>(), 0..STATUSES.len())
            .prop_map(|(by, hash, n, status)| Step::PutTransaction(by, hash, n % 3, status)),
        3 => (callers(), name(), 0..STATUSES.len())
            .prop_map(|(by, hash, status)| Step::Update(by, hash, status)),
        4 => (callers(), name(), any::<u8>(), any::<bool>())
            .prop_map(|(by, id, n, attached)| Step::PutMessage(by, id, n, attached)),
        2 => (callers(), name()).prop_map(|(by, id)| Step::DeleteMessage(by, id)),
        3 => (name(), any::<bool>()).prop_map(|(address, other)| Step::PutCache(address, other)),
        1 => name().prop_map(Step::RemoveCache),
        3 => (0..COMPONENTS.len(), any::<u8>()).prop_map(|(id, n)| Step::Install(id, n)),
        1 => (0..COMPONENTS.len()).prop_map(Step::Uninstall),
        2 => (0..COMPONENTS.len(), any::<u8>(), any::<bool>())
            .prop_map(|(id, n, running)| Step::Register(id, n, running)),
        4 => (0..COMPONENTS.len(), 0..STATES.len()).prop_map(|(id, to)| Step::SetState(id, to)),
        1 => (0..COMPONENTS.len()).prop_map(Step::Unregister),
        4 => (0..COMPONENTS.len(), name(), any::<u8>())
            .prop_map(|(of, key, n)| Step::Write(of, key, n)),
        2 => (0..COMPONENTS.len(), name()).prop_map(|(of, key)| Step::DeleteValue(of, key)),
        3 => (name(), any::<u8>()).prop_map(|(key, n)| Step::Set(key, n)),
        1 => name().prop_map(Step::Unset),
        1 => Just(Step::Reopen),
    ]
}

#[derive(Debug, Clone, PartialEq)]
struct ModelKey {
    component: usize,
    index: u64,
}

#[derive(Debug, Clone, PartialEq)]
struct ModelTransaction {
    of: usize,
    amount: u8,
    status: usize,
}

#[derive(Debug, Clone, PartialEq)]
struct ModelMessage {
    of: usize,
    timestamp: u8,
    attached: bool,
}

#[derive(Debug, Default)]
struct Model {
    /// The description, and how often it was launched.
    applications: BTreeMap<usize, (u8, u64)>,
    config: BTreeMap<(usize, usize), u8>,
    keys: BTreeMap<usize, ModelKey>,
    next_index: [u64; 2],
    transactions: BTreeMap<usize, ModelTransaction>,
    messages: BTreeMap<usize, ModelMessage>,
    cache: BTreeMap<usize, bool>,
    /// The descriptions.
    components: BTreeMap<usize, u8>,
    /// The version, how it is, and how often it was registered anew.
    registry: BTreeMap<usize, (u8, usize, u64)>,
    values: BTreeMap<(usize, usize), u8>,
    preferences: BTreeMap<usize, u8>,
}

/// A root with two contents that everyone holds.
struct World {
    root: Root,
    store: Option<Store>,
    model: Model,
    hashes: [BlobHash; 2],
}

impl World {
    fn new() -> Self {
        let root = Root::new();
        let store = root.open_unlocked();
        let hashes = [b"one".as_slice(), b"another"].map(|content| {
            for by in 0..=COMPONENTS.len() {
                put_blob(&store, &caller(by), content).unwrap();
            }
            sha256(content)
        });
        Self { root, store: Some(store), model: Model::default(), hashes }
    }

    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    /// Makes a step in both; what is refused is refused by both.
    fn take(&mut self, step: &Step) {
        match *step {
            Step::PutApplication(id, n) => {
                let asked = json!({ "application": {
                    "applicationId": NAMES[id], "name": "n", "version": "1", "manifest": {},
                    "description": n.to_string(),
                } });
                write(self.store(), &owner(), applications::put, &asked).unwrap();
                self.model.applications.entry(id).or_default().0 = n;
            }
            Step::Launch(id) => {
                let asked = json!([NAMES[id]]);
                let done = write(self.store(), &owner(), applications::record_launch, &asked);
                match self.model.applications.get_mut(&id) {
                    Some(application) => {
                        application.1 += 1;
                        assert_eq!(done.unwrap()["launchCount"], application.1);
                    }
                    None => assert_eq!(code(&done), ErrorCode::NotFound),
                }
            }
            Step::DeleteApplication(id) => {
                let done = write(self.store(), &owner(), applications::delete, &json!([NAMES[id]]));
                let there = self.model.applications.remove(&id).is_some();
                assert_eq!(done.unwrap()["deleted"], there);
                self.model.config.retain(|(of, _), _| *of != id);
            }
            Step::SetConfig(id, key, n) => {
                let asked = json!({ "applicationId": NAMES[id], "key": NAMES[key], "value": n });
                let done = write(self.store(), &owner(), application_config::set, &asked);
                if self.model.applications.contains_key(&id) {
                    assert_eq!(done.unwrap()["value"], n);
                    self.model.config.insert((id, key), n);
                } else {
                    assert_eq!(code(&done), ErrorCode::Conflict);
                }
            }
            Step::DeleteConfig(id, key) => {
                let asked = json!([NAMES[id], NAMES[key]]);
                let done = write(self.store(), &owner(), application_config::delete, &asked);
                let there = self.model.config.remove(&(id, key)).is_some();
                assert_eq!(done.unwrap()["deleted"], there);
            }
            Step::Reserve(by) => {
                let done = write(self.store(), &caller(by), keys::reserve_index, &json!({}));
                let next = &mut self.model.next_index[by];
                assert_eq!(done.unwrap()["derivationIndex"], *next);
                *next += 1;
            }
            Step::RegisterKey(by, key, index) => self.register_key(by, key, index.map(u64::from)),
            Step::DeleteKey(by, key) => {
                let done = write(self.store(), &caller(by), keys::delete, &json!([NAMES[key]]));
                let sees = |known: &ModelKey| by == COMPONENTS.len() || known.component == by;
                let there = self.model.keys.get(&key).is_some_and(sees);
                assert_eq!(done.unwrap()["deleted"], there);
                if there {
                    self.model.keys.remove(&key);
                }
            }
            Step::PutTransaction(by, hash, amount, status) => {
                self.put_transaction(by, hash, amount, status);
            }
            Step::Update(by, hash, status) => {
                let asked = json!([NAMES[hash], STATUSES[status]]);
                let done = write(self.store(), &caller(by), transactions::update_status, &asked);
                let known = self.model.transactions.get_mut(&hash);
                match known.filter(|known| sees(by, known.of)) {
                    None => assert_eq!(code(&done), ErrorCode::NotFound),
                    Some(known) if known.status == status || known.status == 0 => {
                        assert_eq!(done.unwrap()["status"], STATUSES[status]);
                        known.status = status;
                    }
                    Some(_) => assert_eq!(code(&done), ErrorCode::Conflict),
                }
            }
            Step::PutMessage(by, id, timestamp, attached) => {
                let attachments = if attached { vec![self.hashes[0]] } else { Vec::new() };
                let asked = json!({ "message": {
                    "messageId": NAMES[id], "channel": "c", "sender": "s", "timestamp": timestamp,
                    "attachments": attachments,
                } });
                let done = write(self.store(), &caller(by), messages::put, &asked);
                let known = self.model.messages.get(&id).map(|known| known.of);
                if known.is_none_or(|of| sees(by, of)) {
                    done.unwrap();
                    let of = known.unwrap_or(by);
                    self.model.messages.insert(id, ModelMessage { of, timestamp, attached });
                } else {
                    assert_eq!(code(&done), ErrorCode::Conflict);
                }
            }
            Step::DeleteMessage(by, id) => {
                let done = write(self.store(), &caller(by), messages::delete, &json!([NAMES[id]]));
                let there = self.model.messages.get(&id).is_some_and(|known| sees(by, known.of));
                assert_eq!(done.unwrap()["deleted"], there);
                if there {
                    self.model.messages.remove(&id);
                }
            }
            Step::PutCache(address, other) => {
                let asked = json!({ "entry": {
                    "autonomiAddress": NAMES[address], "contentHash": "c", "dataType": "d",
                    "blobHash": self.hashes[usize::from(other)],
                } });
                write(self.store(), &owner(), cache::put, &asked).unwrap();
                self.model.cache.insert(address, other);
            }
            Step::RemoveCache(address) => {
                let done = write(self.store(), &owner(), cache::remove, &json!([NAMES[address]]));
                let there = self.model.cache.remove(&address).is_some();
                assert_eq!(done.unwrap()["deleted"], there);
            }
            Step::Install(..) | Step::Uninstall(_) => self.install(step),
            Step::Register(..) | Step::SetState(..) | Step::Unregister(_) => self.register(step),
            Step::Write(of, key, n) => {
                let asked = json!({ "key": NAMES[key], "value": n });
                write(self.store(), &caller(of), storage::write, &asked).unwrap();
                self.model.values.insert((of, key), n);
            }
            Step::DeleteValue(of, key) => {
                let asked = json!({ "key": NAMES[key] });
                let done = write(self.store(), &caller(of), storage::delete, &asked);
                let there = self.model.values.remove(&(of, key)).is_some();
                assert_eq!(done.unwrap()["deleted"], there);
            }
            Step::Set(key, n) => {
                let asked = json!({ "key": NAMES[key], "value": n });
                write(self.store(), &owner(), preferences::set, &asked).unwrap();
                self.model.preferences.insert(key, n);
            }
            Step::Unset(key) => {
                let done = write(self.store(), &owner(), preferences::delete, &json!([NAMES[key]]));
                let there = self.model.preferences.remove(&key).is_some();
                assert_eq!(done.unwrap()["deleted"], there);
            }
            Step::Reopen => {
                self.store = None;
                self.store = Some(self.root.open_unlocked());
                self.compare();
            }
        }
    }

    fn install(&mut self, step: &Step) {
        match *step {
            Step::Install(id, n) => {
                let asked = json!({ "component": {
                    "componentId": COMPONENTS[id], "name": "n", "version": "1", "type": "backend",
                    "manifest": {}, "description": n.to_string(),
                } });
                write(self.store(), &owner(), components::put, &asked).unwrap();
                self.model.components.insert(id, n);
            }
            Step::Uninstall(id) => {
                let asked = json!({ "componentId": COMPONENTS[id] });
                let done = write(self.store(), &owner(), components::delete, &asked);
                let installed = self.model.components.contains_key(&id);
                if installed && self.model.registry.get(&id).is_some_and(|known| known.1 < 3) {
                    assert_eq!(code(&done), ErrorCode::Conflict);
                    return;
                }
                assert_eq!(done.unwrap()["deleted"], installed);
                self.model.components.remove(&id);
                self.model.registry.remove(&id);
                self.model.values.retain(|(of, _), _| *of != id);
            }
            _ => unreachable!(),
        }
    }

    /// Steps of the registry, by this process, which is there throughout.
    fn register(&mut self, step: &Step) {
        match *step {
            Step::Register(id, n, running) => {
                let asked = json!({
                    "version": n.to_string(), "pid": std::process::id(), "endpoint": "e",
                    "status": if running { "running" } else { "starting" },
                });
                let done = write(self.store(), &caller(id), registry::register, &asked);
                if !self.model.components.contains_key(&id) {
                    assert_eq!(code(&done), ErrorCode::Conflict);
                    return;
                }
                let asked = usize::from(running);
                let entry = match self.model.registry.get(&id) {
                    None => (n, asked, 0),
                    // It is up: its process says the same of itself anew, or something else.
                    Some(&(_, 0, count)) => (n, asked, count),
                    Some(&(_, state, count)) if state < 3 => (n, state, count),
                    Some(&(_, _, count)) => (n, asked, count + 1),
                };
                assert_eq!(done.unwrap()["status"], STATES[entry.1].0);
                self.model.registry.insert(id, entry);
            }
            Step::SetState(id, to) => {
                let asked = json!({ "status": STATES[to].0 });
                let done = write(self.store(), &caller(id), registry::set_status, &asked);
                match self.model.registry.get_mut(&id) {
                    None => assert_eq!(code(&done), ErrorCode::NotFound),
                    Some(known) if known.1 == to || STATES[known.1].1.contains(&to) => {
                        assert_eq!(done.unwrap()["status"], STATES[to].0);
                        known.1 = to;
                    }
                    Some(_) => assert_eq!(code(&done), ErrorCode::Conflict),
                }
            }
            Step::Unregister(id) => {
                let done = write(self.store(), &caller(id), registry::remove, &json!({}));
                let there = self.model.registry.remove(&id).is_some();
                assert_eq!(done.unwrap()["deleted"], there);
            }
            _ => unreachable!(),
        }
    }

    fn register_key(&mut self, by: usize, key: usize, index: Option<u64>) {
        let asked = json!({
            "publicKey": NAMES[key], "keyType": "ed25519", "derivationIndex": index,
        });
        let done = write(self.store(), &caller(by), keys::register, &asked);
        let next = self.model.next_index[by];
        let wanted = index.unwrap_or(next);
        let taken = |known: &ModelKey| known.component == by && known.index == wanted;
        match self.model.keys.get(&key) {
            Some(known) if known.component == by && index.is_none_or(|at| at == known.index) => {
                assert_eq!(done.unwrap()["derivationIndex"], known.index);
            }
            Some(_) => assert_eq!(code(&done), ErrorCode::Conflict),
            None if self.model.keys.values().any(taken) => {
                assert_eq!(code(&done), ErrorCode::Conflict);
            }
            None => {
                assert_eq!(done.unwrap()["derivationIndex"], wanted);
                self.model.keys.insert(key, ModelKey { component: by, index: wanted });
                self.model.next_index[by] = next.max(wanted + 1);
            }
        }
    }

    fn put_transaction(&mut self, by: usize, hash: usize, amount: u8, status: usize) {
        let asked = json!({ "transaction": {
            "txHash": NAMES[hash], "fromAddress": "f", "toAddress": "t", "network": "n",
            "amount": format!("0.{amount}"), "status": STATUSES[status],
        } });
        let done = write(self.store(), &caller(by), transactions::put, &asked);
        match self.model.transactions.get_mut(&hash) {
            None => {
                done.unwrap();
                let stored = ModelTransaction { of: by, amount, status };
                self.model.transactions.insert(hash, stored);
            }
            Some(known)
                if sees(by, known.of)
                    && known.amount == amount
                    && (known.status == status || known.status == 0) =>
            {
                assert_eq!(done.unwrap()["status"], STATUSES[status]);
                known.status = status;
            }
            Some(_) => assert_eq!(code(&done), ErrorCode::Conflict),
        }
    }

    /// Everything that every caller can list, against the model.
    fn compare(&self) {
        let store = self.store();
        let model = &self.model;
        let ids: Vec<Value> =
            all(store, &owner(), applications::list, json!({ "orderBy": "name" }))
                .into_iter()
                .map(|item| {
                    json!([item["applicationId"], item["description"], item["launchCount"]])
                })
                .collect();
        let expected = model
            .applications
            .iter()
            .map(|(id, (n, launches))| json!([NAMES[*id], n.to_string(), launches]));
        assert_eq!(sorted(ids), sorted(expected.collect()));
        for (id, name) in NAMES.iter().enumerate() {
            let asked = json!({ "applicationId": name });
            let listed = all(store, &owner(), application_config::list, asked);
            let listed = listed.iter().map(|item| json!([item["key"], item["value"]])).collect();
            let expected = model.config.iter().filter(|((of, _), _)| *of == id);
            let expected = expected.map(|((_, key), n)| json!([NAMES[*key], n])).collect();
            assert_eq!(sorted(listed), sorted(expected));
        }
        for by in 0..COMPONENTS.len() {
            let listed = all(store, &caller(by), keys::list_for_component, json!({}));
            let listed =
                listed.iter().map(|item| json!([item["publicKey"], item["derivationIndex"]]));
            let expected = model.keys.iter().filter(|(_, known)| known.component == by);
            let expected = expected.map(|(key, known)| json!([NAMES[*key], known.index]));
            assert_eq!(sorted(listed.collect()), sorted(expected.collect()));
        }
        for by in 0..=COMPONENTS.len() {
            let listed = all(store, &caller(by), messages::list, json!({}));
            let times: Vec<i64> =
                listed.iter().map(|item| item["timestamp"].as_i64().unwrap()).collect();
            assert!(times.is_sorted_by(|a, b| a >= b), "{times:?}");
            let listed = listed.iter().map(|item| {
                json!([
                    item["messageId"],
                    item["timestamp"],
                    item["attachments"].as_array().unwrap().len()
                ])
            });
            let expected = model.messages.iter().filter(|(_, known)| sees(by, known.of));
            let expected = expected.map(|(id, known)| {
                json!([NAMES[*id], known.timestamp, usize::from(known.attached)])
            });
            assert_eq!(sorted(listed.collect()), sorted(expected.collect()));
            self.compare_transactions(by);
        }
        self.compare_components();
        let listed = all(store, &owner(), cache::list, json!({}));
        let listed = listed.iter().map(|item| json!([item["autonomiAddress"], item["blobHash"]]));
        let expected = model
            .cache
            .iter()
            .map(|(address, other)| json!([NAMES[*address], self.hashes[usize::from(*other)]]));
        assert_eq!(sorted(listed.collect()), sorted(expected.collect()));
        let named = |hash: &BlobHash| stat(store, &owner(), hash).unwrap().references.0;
        let attached = model.messages.values().filter(|known| known.attached).count();
        let cached = |other: bool| model.cache.values().filter(|known| **known == other).count();
        assert_eq!(named(&self.hashes[0]), u64::try_from(attached + cached(false)).unwrap());
        assert_eq!(named(&self.hashes[1]), u64::try_from(cached(true)).unwrap());
    }

    /// What is kept of components, and the settings.
    fn compare_components(&self) {
        let (store, model) = (self.store(), &self.model);
        let listed = all(store, &owner(), components::list, json!({}));
        let listed = listed.iter().map(|item| json!([item["componentId"], item["description"]]));
        let expected = model.components.iter();
        let expected = expected.map(|(id, n)| json!([COMPONENTS[*id], n.to_string()]));
        assert_eq!(sorted(listed.collect()), sorted(expected.collect()));
        let listed = all(store, &owner(), registry::list, json!({}));
        let listed = listed.iter().map(|item| {
            json!([item["componentId"], item["version"], item["status"], item["restartCount"]])
        });
        let expected = model.registry.iter().map(|(id, (version, state, count))| {
            json!([COMPONENTS[*id], version.to_string(), STATES[*state].0, count])
        });
        assert_eq!(sorted(listed.collect()), sorted(expected.collect()));
        for (of, id) in COMPONENTS.iter().enumerate() {
            let listed = all(store, &owner(), storage::list, json!({ "componentId": id }));
            let listed = listed.iter().map(|item| {
                let value = json!({ "key": item["key"] });
                let read = read(store, &caller(of), storage::read, &value).unwrap();
                json!([item["key"], read["value"]])
            });
            let expected = model.values.iter().filter(|((whose, _), _)| *whose == of);
            let expected = expected.map(|((_, key), n)| json!([NAMES[*key], n]));
            assert_eq!(sorted(listed.collect()), sorted(expected.collect()));
        }
        let listed = all(store, &owner(), preferences::list, json!({}));
        let listed = listed.iter().map(|item| json!([item["key"], item["value"]]));
        let expected = model.preferences.iter().map(|(key, n)| json!([NAMES[*key], n]));
        assert_eq!(sorted(listed.collect()), sorted(expected.collect()));
    }

    fn compare_transactions(&self, by: usize) {
        let store = self.store();
        let seen: Vec<(&usize, &ModelTransaction)> =
            self.model.transactions.iter().filter(|(_, known)| sees(by, known.of)).collect();
        let listed = all(store, &caller(by), transactions::list, json!({ "address": "f" }));
        let listed = listed.iter().map(|item| json!([item["txHash"], item["status"]])).collect();
        let expected =
            seen.iter().map(|(hash, known)| json!([NAMES[**hash], STATUSES[known.status]]));
        assert_eq!(sorted(listed), sorted(expected.collect()));
        for asked in [json!({}), json!({ "network": "n" })] {
            let stats = read(store, &caller(by), transactions::stats, &asked).unwrap();
            assert_eq!(stats["count"], seen.len());
            for (status, word) in STATUSES.iter().enumerate() {
                let count = seen.iter().filter(|(_, known)| known.status == status).count();
                assert_eq!(stats["byStatus"][word], count);
            }
            let tenths: u32 = seen.iter().map(|(_, known)| u32::from(known.amount)).sum();
            let sum: f64 = match stats["byToken"].as_array().unwrap().as_slice() {
                [] => 0.0,
                [eth] => eth["amount"].as_str().unwrap().parse().unwrap(),
                more => panic!("{more:?}"),
            };
            assert!((sum * 10.0 - f64::from(tenths)).abs() < 1e-6, "{sum} of {tenths} tenths");
        }
    }
}

fn sees(by: usize, of: usize) -> bool {
    by == COMPONENTS.len() || by == of
}

fn sorted(mut values: Vec<Value>) -> Vec<Value> {
    values.sort_by_key(ToString::to_string);
    values
}

/// All items of a list, in small pages.
fn all<P: WireObject, T: Serialize>(
    store: &Store,
    by: &Caller,
    operation: fn(Reader<'_>, &Caller, &P) -> Result<T>,
    mut asked: Value,
) -> Vec<Value> {
    let mut items = Vec::new();
    asked["limit"] = json!(2);
    loop {
        let page = read(store, by, operation, &asked).unwrap();
        items.extend(page["items"].as_array().unwrap().iter().cloned());
        if page["nextCursor"].is_null() {
            return items;
        }
        asked["cursor"] = page["nextCursor"].clone();
    }
}

#[test]
fn the_store_does_what_the_model_does() {
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let steps = prop::collection::vec(step(), STEPS);
    let outcome = runner.run(&steps, |steps| {
        let mut world = World::new();
        for step in &steps {
            world.take(step);
        }
        world.compare();
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
