//! The store against a simple model of it: random operations with restarts between, after which both
//! must say the same.
//!
//! The model holds maps and nothing else. Where an operation is refused it says why, and the store
//! must refuse it for the same reason and change nothing. After every few steps, and after each
//! restart, all of the store is compared: every record, every list, who sees which content, the
//! totals, and the files on the disk.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::*;
use osnova_storage_api::blobs::{self as blobs_wire, HashParams};
use osnova_storage_api::components::{
    self as components_wire, ComponentOrder, ComponentType, Direction,
};
use osnova_storage_api::preferences as preferences_wire;
use osnova_storage_api::wire::{BlobHash, Limit, Timestamp};
use osnova_storage_api::{ConflictReason, ErrorCode};
use osnova_storage_core::blob::BlobLimits;
use osnova_storage_core::db::blobs::{self, Holding};
use osnova_storage_core::db::{components, preferences};
use osnova_storage_core::error::Result;
use osnova_storage_core::{Caller, Store};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// Few names, so that operations meet.
const COMPONENTS: [&str; 5] = ["a", "b", "@scope/c", "d", "e"];
const KEYS: [&str; 6] = ["k", "k.a", "k.b", "l", "l\u{10ffff}", "é"];
const CONTENTS: usize = 6;
/// The owner, and two components.
const CALLERS: usize = 3;

const CASES: u32 = 40;
const STEPS: usize = 120;
/// The whole of the store is compared after so many steps.
const COMPARE_EVERY: usize = 15;

/// Which revision an operation asks for.
#[derive(Debug, Clone, Copy)]
enum IfRevision {
    Any,
    Absent,
    Current,
    Wrong,
}

#[derive(Debug, Clone)]
enum Step {
    PutComponent {
        id: usize,
        name: u8,
        installed_at: Option<i64>,
        blobs: Vec<usize>,
        needs: Vec<usize>,
        caller: usize,
        if_revision: IfRevision,
    },
    DeleteComponent {
        id: usize,
        if_revision: IfRevision,
    },
    Touch {
        id: usize,
        used_at: i64,
    },
    Set {
        key: usize,
        value: u16,
        if_revision: IfRevision,
    },
    SetMany {
        items: Vec<(usize, u16, IfRevision)>,
    },
    Unset {
        key: usize,
        if_revision: IfRevision,
    },
    PutBlob {
        content: usize,
        caller: usize,
        pinned: bool,
    },
    DeleteBlob {
        content: usize,
        caller: usize,
    },
    Pin {
        content: usize,
        caller: usize,
        pinned: bool,
    },
    Reopen {
        after_seconds: i64,
    },
}

fn if_revision() -> impl Strategy<Value = IfRevision> {
    prop_oneof![
        4 => Just(IfRevision::Any),
        1 => Just(IfRevision::Absent),
        1 => Just(IfRevision::Current),
        1 => Just(IfRevision::Wrong),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let content = 0..CONTENTS;
    let caller = 0..CALLERS;
    let id = 0..COMPONENTS.len();
    let key = 0..KEYS.len();
    prop_oneof![
        5 => (
            id.clone(),
            0..4_u8,
            prop::option::of(-3..3_i64),
            prop::collection::vec(content.clone(), 0..3),
            prop::collection::vec(id.clone(), 0..3),
            caller.clone(),
            if_revision(),
        )
            .prop_map(|(id, name, installed_at, blobs, needs, caller, if_revision)| {
                Step::PutComponent { id, name, installed_at, blobs, needs, caller, if_revision }
            }),
        2 => (id.clone(), if_revision())
            .prop_map(|(id, if_revision)| Step::DeleteComponent { id, if_revision }),
        3 => (id, 0..9_i64).prop_map(|(id, used_at)| Step::Touch { id, used_at }),
        4 => (key.clone(), any::<u16>(), if_revision())
            .prop_map(|(key, value, if_revision)| Step::Set { key, value, if_revision }),
        1 => prop::collection::vec((key.clone(), any::<u16>(), if_revision()), 0..4)
            .prop_map(|items| Step::SetMany { items }),
        2 => (key, if_revision()).prop_map(|(key, if_revision)| Step::Unset { key, if_revision }),
        6 => (content.clone(), caller.clone(), any::<bool>())
            .prop_map(|(content, caller, pinned)| Step::PutBlob { content, caller, pinned }),
        4 => (content.clone(), caller.clone())
            .prop_map(|(content, caller)| Step::DeleteBlob { content, caller }),
        2 => (content, caller, any::<bool>())
            .prop_map(|(content, caller, pinned)| Step::Pin { content, caller, pinned }),
        1 => (-5..5_i64).prop_map(|after_seconds| Step::Reopen { after_seconds }),
    ]
}

/// Why an operation is refused.
#[derive(Debug, PartialEq)]
enum Refusal {
    NotFound,
    Revision(u64),
    ForeignKey,
    Referenced(BTreeSet<String>),
}

fn refusal<T>(result: &Result<T>) -> Option<Refusal> {
    let error = result.as_ref().err()?.to_api();
    Some(match (error.code(), error.data.reason) {
        (ErrorCode::NotFound, _) => Refusal::NotFound,
        (ErrorCode::Conflict, Some(ConflictReason::Revision)) => {
            Refusal::Revision(error.data.current_revision.unwrap())
        }
        (ErrorCode::Conflict, Some(ConflictReason::ForeignKey)) => Refusal::ForeignKey,
        (ErrorCode::Conflict, Some(ConflictReason::Referenced)) => {
            Refusal::Referenced(error.data.holders.unwrap().into_iter().collect())
        }
        other => panic!("refused in a way the model does not know: {other:?}"),
    })
}

#[derive(Debug, Clone)]
struct ModelComponent {
    name: String,
    manifest: String,
    installed_at: i64,
    last_used: Option<i64>,
    used_place: Option<u64>,
    blobs: BTreeMap<String, usize>,
    needs: BTreeSet<usize>,
    revision: u64,
}

#[derive(Debug, Default)]
struct Model {
    components: BTreeMap<&'static str, ModelComponent>,
    preferences: BTreeMap<&'static str, (String, u64)>,
    /// Who holds a content, and whether pinned.
    holders: BTreeMap<usize, BTreeMap<usize, bool>>,
    last_revision: u64,
    last_place: u64,
}

impl Model {
    fn sees(&self, caller: usize, content: usize) -> bool {
        let holders = self.holders.get(&content);
        holders.is_some_and(|holders| caller == 0 || holders.contains_key(&caller))
    }

    fn naming(&self, content: usize) -> BTreeSet<String> {
        let names = self.components.iter();
        names
            .filter(|(_, component)| component.blobs.values().any(|named| *named == content))
            .map(|(id, _)| format!("components/{id}"))
            .collect()
    }

    fn rises(&mut self, revision: u64) {
        assert!(revision > self.last_revision, "{revision} after {}", self.last_revision);
        self.last_revision = revision;
    }
}

/// The revision to ask for, and the refusal that this brings.
fn guard(wanted: IfRevision, current: Option<u64>) -> (Option<u64>, Option<Refusal>) {
    let asked = match wanted {
        IfRevision::Any => None,
        IfRevision::Absent => Some(0),
        IfRevision::Current => Some(current.unwrap_or(0)),
        IfRevision::Wrong => Some(current.unwrap_or(0) + 1),
    };
    let current = current.unwrap_or(0);
    let refused = asked.is_some_and(|asked| asked != current);
    (asked, refused.then_some(Refusal::Revision(current)))
}

struct Machine {
    root: Root,
    store: Option<Store>,
    model: Model,
    contents: Vec<(Vec<u8>, BlobHash)>,
    callers: Vec<Caller>,
}

impl Machine {
    fn new() -> Self {
        let root = Root::new();
        let store = Some(root.open_unlocked());
        let contents: Vec<Vec<u8>> =
            [0, 1, 100, 65_536, 65_537, 300_000].map(|len| content(len as u64, len)).into();
        let contents = contents.into_iter().map(|bytes| (bytes.clone(), sha256(&bytes))).collect();
        let callers = vec![owner(), component_caller("x"), component_caller("y")];
        Self { root, store, model: Model::default(), contents, callers }
    }

    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    fn run(&mut self, step: &Step) {
        match step {
            Step::PutComponent { .. } => self.put_component(step),
            Step::DeleteComponent { id, if_revision } => {
                let id = COMPONENTS[*id];
                let current = self.model.components.get(id).map(|component| component.revision);
                let (asked, refused) = guard(*if_revision, current);
                let result = delete_component(self.store(), id, asked);
                assert_eq!(refusal(&result), refused);
                if let Ok(answer) = result {
                    assert_eq!(answer.deleted, current.is_some());
                    self.model.components.remove(id);
                }
            }
            Step::Touch { id, used_at } => {
                let id = COMPONENTS[*id];
                let result = touch(self.store(), id, Some(*used_at));
                self.model.last_place += 1;
                match self.model.components.get_mut(id) {
                    None => assert_eq!(refusal(&result), Some(Refusal::NotFound)),
                    Some(component) => {
                        result.unwrap();
                        component.last_used = component.last_used.max(Some(*used_at));
                        component.used_place = Some(self.model.last_place);
                    }
                }
            }
            Step::Set { key, value, if_revision } => {
                let (key, value) = (KEYS[*key], format!("{{ \"v\": {value} }}"));
                let current = self.model.preferences.get(key).map(|(_, revision)| *revision);
                let (asked, refused) = guard(*if_revision, current);
                let result = set_if(self.store(), key, &value, asked);
                assert_eq!(refusal(&result), refused);
                if let Ok(stored) = result {
                    self.model.rises(stored.revision.0);
                    self.model.preferences.insert(key, (value, stored.revision.0));
                }
            }
            Step::SetMany { items } => self.set_many(items),
            Step::Unset { key, if_revision } => {
                let key = KEYS[*key];
                let current = self.model.preferences.get(key).map(|(_, revision)| *revision);
                let (asked, refused) = guard(*if_revision, current);
                let result = unset(self.store(), key, asked);
                assert_eq!(refusal(&result), refused);
                if let Ok(answer) = result {
                    assert_eq!(answer.deleted, current.is_some());
                    self.model.preferences.remove(key);
                }
            }
            Step::PutBlob { content, caller, pinned } => {
                let (bytes, hash) = &self.contents[*content];
                let holding = Holding { pinned: *pinned, ..holding() };
                let by = &self.callers[*caller];
                let put = put_blob_with(self.store(), by, bytes, holding, Some(*hash)).unwrap();
                let holders = self.model.holders.entry(*content).or_default();
                assert_eq!(put.created, holders.insert(*caller, *pinned).is_none());
            }
            Step::DeleteBlob { content, caller } => {
                let sees = self.model.sees(*caller, *content);
                let naming = self.model.naming(*content);
                let hash = &self.contents[*content].1;
                let result = delete_blob(self.store(), &self.callers[*caller], hash);
                let referenced = sees && !naming.is_empty();
                assert_eq!(refusal(&result), referenced.then_some(Refusal::Referenced(naming)));
                if let Ok(answer) = result {
                    assert_eq!(answer.deleted, sees);
                    let holders = self.model.holders.entry(*content).or_default();
                    holders.retain(|holder, _| *caller != 0 && holder != caller);
                    self.model.holders.retain(|_, holders| !holders.is_empty());
                }
            }
            Step::Pin { content, caller, pinned } => self.pin(*content, *caller, *pinned),
            Step::Reopen { after_seconds } => {
                self.store = None;
                self.root.clock.jump(*after_seconds);
                self.store = Some(self.root.open_unlocked());
                self.compare();
            }
        }
    }

    fn put_component(&mut self, step: &Step) {
        let Step::PutComponent { id, name: named, installed_at, blobs, needs, caller, if_revision } =
            step
        else {
            return;
        };
        let id = COMPONENTS[*id];
        let current = self.model.components.get(id).cloned();
        let (asked, refused) = guard(*if_revision, current.as_ref().map(|known| known.revision));
        let foreign = blobs.iter().any(|content| !self.model.sees(*caller, *content));
        let refused = refused.or(foreign.then_some(Refusal::ForeignKey));

        let roles = blobs.iter().enumerate();
        let roles: BTreeMap<String, usize> =
            roles.map(|(role, content)| (format!("role {role}"), *content)).collect();
        let needed: Vec<String> =
            needs.iter().map(|need| format!("{:?}: \"^1\"", COMPONENTS[*need])).collect();
        // A key that stands twice counts once.
        let manifest = format!("{{ \"dependencies\" : {{{}}} }}", needed.join(" , "));
        let mut input = component(id);
        input.name = name(&format!("name {named}"));
        input.manifest = json(&manifest);
        input.installed_at = installed_at.map(Timestamp);
        let hashes: Vec<(&str, BlobHash)> = roles
            .iter()
            .map(|(role, content)| (role.as_str(), self.contents[*content].1))
            .collect();
        if *named % 2 == 1 {
            input.r#type = ComponentType::Frontend;
        }
        let input = with_blobs(input, &hashes);
        let result = put_component_as(self.store(), &self.callers[*caller], input, asked);
        assert_eq!(refusal(&result), refused);
        let Ok(stored) = result else { return };
        self.model.rises(stored.revision.0);
        let now = osnova_storage_core::clock::Clock::now(&self.root.clock);
        let known_time = current.as_ref().map(|known| known.installed_at);
        let component = ModelComponent {
            name: format!("name {named}"),
            manifest,
            installed_at: installed_at.or(known_time).unwrap_or(now),
            last_used: current.as_ref().and_then(|known| known.last_used),
            used_place: current.as_ref().and_then(|known| known.used_place),
            blobs: roles,
            needs: needs.iter().copied().collect(),
            revision: stored.revision.0,
        };
        self.model.components.insert(id, component);
    }

    fn set_many(&mut self, items: &[(usize, u16, IfRevision)]) {
        // What an item asks for is seen with those before it; the first refusal undoes all.
        let mut refused = None;
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut inputs = Vec::new();
        for (index, (key, value, wanted)) in items.iter().enumerate() {
            let key = KEYS[*key];
            let current = self.model.preferences.get(key).map(|(_, revision)| *revision);
            // The revision that an earlier item of the same key gets is not known yet.
            let wanted = if seen.insert(key) { *wanted } else { IfRevision::Any };
            let (asked, refusal) = guard(wanted, current);
            if let Some(refusal) = refusal {
                refused.get_or_insert((refusal, index as u64));
            }
            let params = set_params(key, &value.to_string(), asked);
            inputs.push(preferences_wire::PreferenceInput {
                key: params.key,
                value: params.value,
                if_revision: params.if_revision,
            });
        }
        let params = preferences_wire::SetManyParams { items: inputs, request_id: None };
        let result =
            self.store().db().write(64, move |tx| preferences::set_many(tx, &owner(), &params));
        let index = result.as_ref().err().and_then(|error| error.to_api().data.index);
        assert_eq!(refusal(&result).zip(index), refused);
        let Ok(stored) = result else { return };
        for ((key, value, _), stored) in items.iter().zip(stored.items) {
            self.model.rises(stored.revision.0);
            self.model.preferences.insert(KEYS[*key], (value.to_string(), stored.revision.0));
        }
    }

    fn pin(&mut self, content: usize, caller: usize, pinned: bool) {
        let (by, params) =
            (self.callers[caller].clone(), HashParams { hash: self.contents[content].1 });
        let result = self.store().db().write(64, move |tx| match pinned {
            true => blobs::pin(tx, &by, &params),
            false => blobs::unpin(tx, &by, &params),
        });
        let refused = (!self.model.sees(caller, content)).then_some(Refusal::NotFound);
        assert_eq!(refusal(&result), refused);
        if let Ok(stat) = result
            && let Some(holders) = self.model.holders.get_mut(&content)
        {
            match holders.get_mut(&caller) {
                Some(known) => *known = pinned,
                // The owner's pin makes him a holder; taking off what he has not changes nothing.
                None if pinned => _ = holders.insert(caller, true),
                None => {}
            }
            let expected = match caller {
                0 => holders.values().any(|pinned| *pinned),
                _ => pinned,
            };
            assert_eq!(stat.pinned, expected);
        }
    }

    /// Compares all that can be seen.
    fn compare(&self) {
        // What was deferred is written with the next group.
        execute(self.store(), "SELECT 1");
        self.compare_components();
        self.compare_preferences();
        self.compare_blobs();
    }

    fn compare_components(&self) {
        for id in COMPONENTS {
            let result = get_component(self.store(), id);
            let Some(expected) = self.model.components.get(id) else {
                assert_eq!(refusal(&result), Some(Refusal::NotFound));
                continue;
            };
            let found = result.unwrap();
            assert_eq!(found.name.as_str(), expected.name);
            assert_eq!(found.manifest.get(), expected.manifest);
            assert_eq!(found.installed_at.0, expected.installed_at);
            assert_eq!(found.last_used.map(|time| time.0), expected.last_used);
            assert_eq!(found.revision.0, expected.revision);
            let blobs: BTreeMap<String, BlobHash> =
                found.blobs.into_iter().map(|(role, hash)| (role.into(), hash)).collect();
            let expected_blobs: BTreeMap<String, BlobHash> = expected
                .blobs
                .iter()
                .map(|(role, content)| (role.clone(), self.contents[*content].1))
                .collect();
            assert_eq!(blobs, expected_blobs);
            self.compare_dependencies(id, &expected.needs);
        }
        for order in [ComponentOrder::InstalledAt, ComponentOrder::LastUsed, ComponentOrder::Name] {
            for direction in [Direction::Ascending, Direction::Descending] {
                let listed = self.list_components(order, direction);
                assert_eq!(
                    listed,
                    self.expected_order(order, direction),
                    "{order:?} {direction:?}"
                );
            }
        }
    }

    fn compare_dependencies(&self, id: &str, needs: &BTreeSet<usize>) {
        let params = components_wire::DependenciesParams {
            component_id: id.parse().unwrap(),
            transitive: None,
        };
        let found = self
            .store()
            .db()
            .read(|reader| components::dependencies(reader, &owner(), &params))
            .unwrap();
        let found: BTreeSet<(String, bool)> =
            found.items.into_iter().map(|item| (item.component_id.into(), item.missing)).collect();
        let expected: BTreeSet<(String, bool)> = needs
            .iter()
            .map(|need| COMPONENTS[*need])
            .map(|need| (need.to_owned(), !self.model.components.contains_key(need)))
            .collect();
        assert_eq!(found, expected);
    }

    fn list_components(&self, order: ComponentOrder, direction: Direction) -> Vec<String> {
        let mut params = components_wire::ListParams {
            r#type: None,
            order_by: Some(order),
            direction: Some(direction),
            limit: Some(Limit(2)),
            cursor: None,
        };
        let mut ids = Vec::new();
        loop {
            let page = self
                .store()
                .db()
                .read(|reader| components::list(reader, &owner(), &params))
                .unwrap();
            ids.extend(page.items.into_iter().map(|item| String::from(item.component_id)));
            params.cursor = page.next_cursor;
            if params.cursor.is_none() {
                return ids;
            }
        }
    }

    fn expected_order(&self, order: ComponentOrder, direction: Direction) -> Vec<String> {
        let mut items: Vec<(bool, (i64, &str), &str)> = self
            .model
            .components
            .iter()
            .map(|(id, component)| match order {
                ComponentOrder::InstalledAt => (false, (component.installed_at, ""), *id),
                ComponentOrder::Name => (false, (0, component.name.as_str()), *id),
                ComponentOrder::LastUsed => {
                    let place =
                        component.used_place.map_or(0, |place| i64::try_from(place).unwrap());
                    (component.used_place.is_none(), (place, ""), *id)
                }
            })
            .collect();
        items.sort_by(|a, b| {
            let keys = (a.1, a.2).cmp(&(b.1, b.2));
            let keys = match direction {
                Direction::Ascending => keys,
                Direction::Descending => keys.reverse(),
            };
            a.0.cmp(&b.0).then(keys)
        });
        items.into_iter().map(|(_, _, id)| id.to_owned()).collect()
    }

    fn compare_preferences(&self) {
        for prefix in [None, Some("k"), Some("l"), Some("l\u{10ffff}")] {
            let mut params = preferences_wire::ListParams {
                prefix: prefix.map(|prefix| prefix.parse().unwrap()),
                limit: Some(Limit(2)),
                cursor: None,
            };
            let mut found = Vec::new();
            loop {
                let page = self
                    .store()
                    .db()
                    .read(|reader| preferences::list(reader, &owner(), &params))
                    .unwrap();
                found.extend(page.items.into_iter().map(|item| {
                    (String::from(item.key), item.value.get().to_owned(), item.revision.0)
                }));
                params.cursor = page.next_cursor;
                if params.cursor.is_none() {
                    break;
                }
            }
            let expected: Vec<(String, String, u64)> = self
                .model
                .preferences
                .iter()
                .filter(|(key, _)| key.starts_with(prefix.unwrap_or("")))
                .map(|(key, (value, revision))| ((*key).to_owned(), value.clone(), *revision))
                .collect();
            assert_eq!(found, expected);
        }
    }

    fn compare_blobs(&self) {
        for (content, (bytes, hash)) in self.contents.iter().enumerate() {
            for (caller, by) in self.callers.iter().enumerate() {
                let result = stat(self.store(), by, hash);
                if !self.model.sees(caller, content) {
                    assert_eq!(refusal(&result), Some(Refusal::NotFound));
                    let read = read_blob(self.store(), by, hash);
                    assert_eq!(refusal(&read), Some(Refusal::NotFound));
                    continue;
                }
                let holders = &self.model.holders[&content];
                let found = result.unwrap();
                let pinned = match caller {
                    0 => holders.values().any(|pinned| *pinned),
                    _ => holders[&caller],
                };
                assert_eq!((found.size.0, found.pinned), (bytes.len() as u64, pinned));
                let references: usize = self
                    .model
                    .components
                    .values()
                    .map(|known| known.blobs.values().filter(|named| **named == content).count())
                    .sum();
                assert_eq!(found.references.0, references as u64);
            }
            if self.model.holders.contains_key(&content) {
                assert!(read_blob(self.store(), &owner(), hash).unwrap() == *bytes);
            }
        }
        let held: BTreeSet<String> = self
            .model
            .holders
            .keys()
            .map(|content| format!("{}.enc", self.contents[*content].1))
            .collect();
        let mut files: BTreeSet<String> =
            names_in(&self.root.path().join("blobs")).into_iter().collect();
        assert!(files.remove(".tmp"));
        assert_eq!(files, held);
        assert!(names_in(&self.root.path().join("blobs/.tmp")).is_empty());
        for (caller, by) in self.callers.iter().enumerate() {
            let usage: blobs_wire::BlobUsage = self
                .store()
                .db()
                .read(|reader| blobs::usage(reader, by, &BlobLimits::default()))
                .unwrap();
            let seen: Vec<u64> = (0..CONTENTS)
                .filter(|content| self.model.sees(caller, *content))
                .map(|content| self.contents[content].0.len() as u64)
                .collect();
            assert_eq!(usage.count.0, seen.len() as u64);
            assert_eq!(usage.bytes.0, seen.iter().sum::<u64>());
        }
    }
}

#[test]
fn the_store_does_what_the_model_does() {
    // A failure is made smaller, for as long as a reader would wait for it.
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        max_shrink_iters: 100,
        ..Config::default()
    };
    let steps = prop::collection::vec(step(), STEPS);
    let outcome = TestRunner::new(config).run(&steps, |steps| {
        let mut machine = Machine::new();
        for (done, step) in steps.iter().enumerate() {
            machine.run(step);
            if done % COMPARE_EVERY == 0 {
                machine.compare();
            }
        }
        machine.run(&Step::Reopen { after_seconds: 1 });
        machine.store().db().integrity_check().unwrap();
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
