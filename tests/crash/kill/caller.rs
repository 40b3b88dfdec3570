//! A caller of the kill test: one call after the other, and what he may rely on since.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::random::Random;
use crate::wire::{Broken, Connection};

/// The counter that all callers count up.
pub(super) const SHARED_COUNTER: &str = "shared/counter";

/// Preferences of each caller.
const KEYS: u64 = 16;
/// Components of each caller.
const COMPONENTS: u64 = 10;
/// The least and the most bytes of a content. The least is enough for no two to be the same.
const CONTENT_BYTES: (u64, u64) = (16, 3 << 20);
/// Contents that all callers put and delete, against each other; one is a single byte.
const SHARED_CONTENT_BYTES: [u64; 4] = [1, 700, 70_000, 300_000];

/// A content, told by the seed that it is made of.
#[derive(Debug, Clone, Copy)]
struct Content {
    seed: u64,
    size: u64,
}

impl Content {
    fn bytes(self) -> Vec<u8> {
        Random::new(self.seed).bytes(self.size)
    }
}

/// A call that changes something.
#[derive(Debug, Clone)]
enum Step {
    Set { key: String, value: Value, request: String },
    Unset { key: String, request: String },
    Count { value: u64, revision: u64, request: String },
    CountShared { value: u64, revision: u64, request: String },
    PutContent(Content),
    NameContent { component: String, hash: String, request: String },
    DropContent { hash: String },
    PutShared(Content),
    DropShared { hash: String },
}

/// A caller with what was acknowledged to him.
pub(super) struct Caller {
    name: String,
    random: Random,
    /// The call that got no answer.
    pending: Option<Step>,
    /// What each preference is; null where it was deleted.
    settings: BTreeMap<String, Value>,
    counter: u64,
    counter_revision: u64,
    shared_counts: u64,
    /// The content that each component names.
    components: BTreeMap<String, String>,
    /// What is stored, by hash.
    contents: BTreeMap<String, Content>,
    /// A content that was just put and that no component names yet.
    fresh: Option<String>,
    /// Contents not yet read back since they were put.
    unread: Vec<String>,
    /// Contents deleted since the last check.
    dropped: Vec<String>,
    /// The hashes of the shared contents, as far as he has put them.
    shared: Vec<String>,
    /// How often each record was changed.
    changes: BTreeMap<String, u64>,
    requests: u64,
    acknowledged: u64,
    repeated: u64,
}

impl Caller {
    pub(super) fn new(number: u64, seed: u64) -> Self {
        Self {
            name: format!("c{number}"),
            random: Random::new(seed),
            pending: None,
            settings: BTreeMap::new(),
            counter: 0,
            counter_revision: 0,
            shared_counts: 0,
            components: BTreeMap::new(),
            contents: BTreeMap::new(),
            fresh: None,
            unread: Vec::new(),
            dropped: Vec::new(),
            shared: Vec::new(),
            changes: BTreeMap::new(),
            requests: 0,
            acknowledged: 0,
            repeated: 0,
        }
    }

    /// Makes one call: the one that got no answer, or a new one.
    pub(super) fn step(&mut self, connection: &mut Connection) -> Result<(), Broken> {
        let repeats = self.pending.is_some();
        let step = match &self.pending {
            Some(step) => step.clone(),
            None => self.plan(connection)?,
        };
        self.pending = Some(step.clone());
        self.make(connection, step, repeats)?;
        self.pending = None;
        self.acknowledged += 1;
        self.repeated += u64::from(repeats);
        Ok(())
    }

    /// Repeats the call that got no answer, where there is one.
    pub(super) fn repeat_pending(&mut self, connection: &mut Connection) {
        if self.pending.is_some() {
            self.step(connection).unwrap();
        }
    }

    fn plan(&mut self, connection: &mut Connection) -> Result<Step, Broken> {
        if let Some(hash) = self.fresh.take() {
            let component = format!("{}/component/{}", self.name, self.random.below(COMPONENTS));
            return Ok(Step::NameContent { component, hash, request: self.request() });
        }
        Ok(match self.random.below(20) {
            0..4 => {
                let value =
                    json!({ "by": self.name, "at": self.requests, "of": self.random.next() });
                Step::Set { key: self.key(), value, request: self.request() }
            }
            4..6 => Step::Unset { key: self.key(), request: self.request() },
            6..10 => Step::Count {
                value: self.counter + 1,
                revision: self.counter_revision,
                request: self.request(),
            },
            10..13 => {
                let asked = json!({ "key": SHARED_COUNTER });
                let (value, revision) = match connection.call("preferences.get", &asked)? {
                    Ok(now) => (now["value"].as_u64().unwrap(), now["revision"].as_u64().unwrap()),
                    Err(_) => (0, 0),
                };
                Step::CountShared { value: value + 1, revision, request: self.request() }
            }
            13..16 => Step::PutContent(Content {
                seed: self.random.next(),
                size: self.random.any_size(CONTENT_BYTES.0, CONTENT_BYTES.1),
            }),
            16..18 => match self.unnamed() {
                Some(hash) => Step::DropContent { hash },
                None => Step::Unset { key: self.key(), request: self.request() },
            },
            18 => self.shared_content(),
            _ => match self.shared.pop() {
                Some(hash) => Step::DropShared { hash },
                None => self.shared_content(),
            },
        })
    }

    fn key(&mut self) -> String {
        format!("{}/key/{}", self.name, self.random.below(KEYS))
    }

    fn counter_key(&self) -> String {
        format!("{}/counter", self.name)
    }

    fn request(&mut self) -> String {
        self.requests += 1;
        format!("{}-{}", self.name, self.requests)
    }

    fn shared_content(&mut self) -> Step {
        let which = self.random.below(SHARED_CONTENT_BYTES.len() as u64);
        let size = SHARED_CONTENT_BYTES[usize::try_from(which).unwrap()];
        Step::PutShared(Content { seed: which, size })
    }

    /// A content of his that no component names.
    fn unnamed(&mut self) -> Option<String> {
        let named: Vec<&String> = self.components.values().collect();
        let unnamed: Vec<&String> =
            self.contents.keys().filter(|hash| !named.contains(hash)).collect();
        if unnamed.is_empty() {
            return None;
        }
        let which = self.random.below(unnamed.len() as u64);
        Some(unnamed[usize::try_from(which).unwrap()].clone())
    }

    /// Makes a call, checks its answer, and notes what is acknowledged by it.
    fn make(
        &mut self,
        connection: &mut Connection,
        step: Step,
        repeats: bool,
    ) -> Result<(), Broken> {
        match step {
            Step::Set { key, value, request } => {
                let params = json!({ "key": key, "value": value, "requestId": request });
                let stored = connection.call("preferences.set", &params)?.unwrap();
                assert_eq!(stored["value"], value);
                self.settings.insert(key.clone(), value);
                self.changed(key);
            }
            Step::Unset { key, request } => {
                let params = json!({ "key": key, "requestId": request });
                let answer = connection.call("preferences.delete", &params)?.unwrap();
                // Repeated or not: the answer is that of the one time it was done.
                let was_set = self.settings.get(&key).is_some_and(|value| !value.is_null());
                assert_eq!(answer, json!({ "deleted": was_set }), "{key}, repeated: {repeats}");
                if was_set {
                    self.settings.insert(key.clone(), Value::Null);
                    self.changed(key);
                }
            }
            Step::Count { value, revision, request } => {
                let key = self.counter_key();
                let params = json!({
                    "key": key, "value": value, "ifRevision": revision, "requestId": request,
                });
                let stored = connection.call("preferences.set", &params)?.unwrap();
                assert_eq!(stored["value"], value);
                self.counter = value;
                self.counter_revision = stored["revision"].as_u64().unwrap();
                assert!(self.counter_revision > revision);
                self.changed(key);
            }
            Step::CountShared { value, revision, request } => {
                let params = json!({
                    "key": SHARED_COUNTER, "value": value, "ifRevision": revision,
                    "requestId": request,
                });
                match connection.call("preferences.set", &params)? {
                    Ok(stored) => {
                        assert_eq!(stored["value"], value);
                        self.shared_counts += 1;
                        self.changed(SHARED_COUNTER.to_owned());
                    }
                    // Another caller was faster, and so this was never done.
                    Err(error) => assert_eq!(error["data"]["reason"], "revision", "{error}"),
                }
            }
            Step::PutContent(content) => {
                let answer = connection.put(&content.bytes())?;
                assert_eq!(answer.status, 200, "{answer:?}");
                let put = answer.json();
                assert_eq!(put["size"], content.size);
                assert!(repeats || put["created"] == true, "{put}");
                let hash = put["hash"].as_str().unwrap().to_owned();
                self.contents.insert(hash.clone(), content);
                self.unread.push(hash.clone());
                self.fresh = Some(hash);
            }
            Step::NameContent { component, hash, request } => {
                let record = json!({
                    "componentId": component, "name": component, "version": "1.0.0",
                    "type": "backend", "manifest": {}, "blobs": { "binary": hash },
                });
                let params = json!({ "component": record, "requestId": request });
                let stored = connection.call("components.put", &params)?.unwrap();
                assert_eq!(stored["blobs"]["binary"], hash);
                self.components.insert(component.clone(), hash);
                self.changed(component);
            }
            Step::DropContent { hash } => {
                let answer = connection.call("blobs.delete", &json!({ "hash": hash }))?.unwrap();
                assert!(repeats || answer == json!({ "deleted": true }), "{hash}: {answer}");
                self.contents.remove(&hash);
                self.unread.retain(|unread| *unread != hash);
                self.dropped.push(hash);
            }
            Step::PutShared(content) => {
                let answer = connection.put(&content.bytes())?;
                assert_eq!(answer.status, 200, "{answer:?}");
                let put = answer.json();
                assert_eq!(put["size"], content.size);
                self.shared.push(put["hash"].as_str().unwrap().to_owned());
            }
            Step::DropShared { hash } => {
                connection.call("blobs.delete", &json!({ "hash": hash }))?.unwrap();
            }
        }
        Ok(())
    }

    fn changed(&mut self, key: String) {
        *self.changes.entry(key).or_default() += 1;
    }

    /// Compares what the daemon says with what was acknowledged; where a call is open, its record may
    /// be as before it or as after it.
    pub(super) fn check(&mut self, connection: &mut Connection) {
        for (key, value) in &self.settings {
            let found = preference(connection, key);
            let done = match &self.pending {
                Some(Step::Set { key: open, value, .. }) if open == key => found == *value,
                Some(Step::Unset { key: open, .. }) if open == key => found.is_null(),
                _ => false,
            };
            assert!(done || found == *value, "{key} is {found}, {value} was acknowledged");
        }
        let counter = preference(connection, &self.counter_key()).as_u64().unwrap_or(0);
        let open = matches!(self.pending, Some(Step::Count { .. }));
        assert!(
            counter == self.counter || (open && counter == self.counter + 1),
            "{}: counted {}, is {counter}",
            self.name,
            self.counter
        );
        for (component, hash) in &self.components {
            let asked = json!({ "componentId": component });
            let found = connection.must_call("components.get", &asked).unwrap();
            let named = found["blobs"]["binary"].as_str().unwrap();
            let done = matches!(&self.pending, Some(Step::NameContent { component: open, hash, .. })
                if open == component && hash == named);
            assert!(done || named == hash, "{component} names {named}, {hash} was acknowledged");
        }
        let unread = std::mem::take(&mut self.unread);
        unread.iter().for_each(|hash| self.check_content(connection, hash));
        for hash in std::mem::take(&mut self.dropped) {
            let error = connection.must_call("blobs.stat", &json!({ "hash": hash })).unwrap_err();
            assert_eq!(error["data"]["code"], "not_found", "{hash} was deleted");
        }
    }

    /// Reads everything back that is stored.
    pub(super) fn check_every_content(&self, connection: &mut Connection) {
        self.contents.keys().for_each(|hash| self.check_content(connection, hash));
    }

    fn check_content(&self, connection: &mut Connection, hash: &str) {
        if matches!(&self.pending, Some(Step::DropContent { hash: open }) if open == hash) {
            return;
        }
        let answer = connection.get(hash).unwrap();
        assert_eq!(answer.status, 200, "{hash} was acknowledged: {}", answer.json());
        assert!(answer.body == self.contents[hash].bytes(), "{hash} reads back as something else");
    }

    pub(super) fn changes(&self) -> impl Iterator<Item = (&String, u64)> {
        self.changes.iter().map(|(key, changes)| (key, *changes))
    }

    pub(super) fn shared_counts(&self) -> u64 {
        self.shared_counts
    }

    pub(super) fn is_counting_shared(&self) -> bool {
        matches!(self.pending, Some(Step::CountShared { .. }))
    }

    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    pub(super) fn repeated(&self) -> u64 {
        self.repeated
    }
}

/// The value of a preference; null where it is not set.
fn preference(connection: &mut Connection, key: &str) -> Value {
    match connection.must_call("preferences.get", &json!({ "key": key })) {
        Ok(mut preference) => preference["value"].take(),
        Err(error) => {
            assert_eq!(error["data"]["code"], "not_found", "{error}");
            Value::Null
        }
    }
}
