//! What the tests of the store share: a data root of their own, a clock they set, and short ways to
//! call operations and to look at errors.

#![allow(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod faults;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use osnova_storage_api::blobs::{BlobPut, BlobStat, DeleteParams, HashParams};
use osnova_storage_api::components::{self as wire, Component, ComponentInput, ComponentType};
use osnova_storage_api::preferences::{self as prefs_wire, Preference};
use osnova_storage_api::status::Health;
use osnova_storage_api::wire::{BlobHash, Deleted, JsonText, Name, Revision, Role, Timestamp};
use osnova_storage_api::{ConflictReason, ErrorCode};
use osnova_storage_core::blob::PutBlob;
use osnova_storage_core::clock::Clock;
use osnova_storage_core::db::blobs::Holding;
use osnova_storage_core::db::{blobs, components, preferences};
use osnova_storage_core::error::Result;
use osnova_storage_core::vault::keys::MasterKey;
use osnova_storage_core::{Caller, OpenError, Scopes, Store, StoreError, StoreOptions};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

pub(crate) const PHRASE: &str =
    "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";

/// When a test's clock starts: 2026-11-01 in UTC.
pub(crate) const START: i64 = 1_793_491_200;

/// Clocks that stand still until they are set.
#[derive(Clone)]
pub(crate) struct TestClock {
    wall: Arc<AtomicI64>,
    monotonic_ms: Arc<AtomicU64>,
}

impl TestClock {
    pub(crate) fn new() -> Self {
        Self { wall: Arc::new(AtomicI64::new(START)), monotonic_ms: Arc::default() }
    }

    /// Has time pass, on both clocks.
    pub(crate) fn advance(&self, seconds: i64) {
        self.jump(seconds);
        self.monotonic_ms.fetch_add(u64::try_from(seconds).unwrap() * 1000, Ordering::SeqCst);
    }

    /// Moves the wall clock alone.
    pub(crate) fn jump(&self, seconds: i64) {
        self.wall.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Sets the wall clock alone.
    pub(crate) fn set(&self, seconds: i64) {
        self.wall.store(seconds, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> i64 {
        self.wall.load(Ordering::SeqCst)
    }

    fn monotonic_ms(&self) -> u64 {
        self.monotonic_ms.load(Ordering::SeqCst)
    }
}

/// A data root in a folder of its own, removed at the end of the test.
pub(crate) struct Root {
    dir: TempDir,
    pub(crate) clock: TestClock,
}

impl Root {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), clock: TestClock::new() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.path().join("osnova.db")
    }

    pub(crate) fn blob(&self, hash: &BlobHash) -> PathBuf {
        self.path().join("blobs").join(format!("{hash}.enc"))
    }

    /// What tells the file of a content from every other of the same content.
    pub(crate) fn tag(&self, hash: &BlobHash) -> [u8; 16] {
        std::fs::read(self.blob(hash)).unwrap()[192..208].try_into().unwrap()
    }

    /// The defaults, with this root's clock; no disk reserve, for test machines may be nearly full; nothing
    /// is done to the contents without being asked.
    pub(crate) fn options(&self) -> StoreOptions {
        let mut options = StoreOptions::new(self.path());
        options.clock = Arc::new(self.clock.clone());
        options.blobs.disk_reserve_bytes = 0;
        options.care.interval = None;
        options
    }

    pub(crate) fn open(&self) -> Store {
        Store::open(self.options()).unwrap()
    }

    /// Opens with the key of [`PHRASE`].
    pub(crate) fn open_unlocked(&self) -> Store {
        let store = self.open();
        store.unlock(master()).unwrap();
        store
    }

    pub(crate) fn open_error(&self) -> OpenError {
        Store::open(self.options()).err().unwrap()
    }
}

pub(crate) fn master() -> MasterKey {
    MasterKey::from_phrase(PHRASE).unwrap()
}

pub(crate) fn owner() -> Caller {
    Caller::Owner
}

pub(crate) fn component_caller(id: &str) -> Caller {
    Caller::Component { id: id.parse().unwrap(), scopes: Scopes::All }
}

pub(crate) fn code<T>(result: &Result<T>) -> ErrorCode {
    result.as_ref().err().unwrap().to_api().code()
}

pub(crate) fn reason<T>(result: &Result<T>) -> ConflictReason {
    result.as_ref().err().unwrap().to_api().data.reason.unwrap()
}

pub(crate) fn current_revision<T>(result: &Result<T>) -> u64 {
    result.as_ref().err().unwrap().to_api().data.current_revision.unwrap()
}

pub(crate) fn fields(error: &StoreError) -> Vec<String> {
    error.to_api().data.fields.unwrap().into_keys().collect()
}

pub(crate) fn status(store: &Store) -> Health {
    store.status("test").status
}

pub(crate) fn json(text: &str) -> JsonText {
    JsonText::parse(text.to_owned()).unwrap()
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

// Components.

pub(crate) fn component(id: &str) -> ComponentInput {
    ComponentInput {
        component_id: id.parse().unwrap(),
        name: name(&format!("Name of {id}")),
        version: name("1.0.0"),
        r#type: ComponentType::Backend,
        description: None,
        author: None,
        license: None,
        manifest: json("{}"),
        autonomi_address: None,
        installed_at: None,
        blobs: None,
    }
}

pub(crate) fn with_blobs(mut input: ComponentInput, named: &[(&str, BlobHash)]) -> ComponentInput {
    let roles = named.iter().map(|(role, hash)| (role.parse::<Role>().unwrap(), *hash));
    input.blobs = Some(roles.collect());
    input
}

pub(crate) fn put_params(input: ComponentInput, if_revision: Option<u64>) -> wire::PutParams {
    wire::PutParams { component: input, if_revision: if_revision.map(Revision), request_id: None }
}

pub(crate) fn put_component(store: &Store, input: ComponentInput) -> Result<Component> {
    put_component_as(store, &owner(), input, None)
}

pub(crate) fn put_component_as(
    store: &Store,
    caller: &Caller,
    input: ComponentInput,
    if_revision: Option<u64>,
) -> Result<Component> {
    let (caller, params) = (caller.clone(), put_params(input, if_revision));
    store.db().write(1024, move |tx| components::put(tx, &caller, &params))
}

pub(crate) fn get_component(store: &Store, id: &str) -> Result<Component> {
    let params = wire::GetParams { component_id: id.parse().unwrap() };
    store.db().read(|reader| components::get(reader, &owner(), &params))
}

pub(crate) fn delete_component(
    store: &Store,
    id: &str,
    if_revision: Option<u64>,
) -> Result<Deleted> {
    let params = wire::DeleteParams {
        component_id: id.parse().unwrap(),
        if_revision: if_revision.map(Revision),
        request_id: None,
    };
    store.db().write(64, move |tx| components::delete(tx, &owner(), &params))
}

pub(crate) fn touch(store: &Store, id: &str, used_at: Option<i64>) -> Result<()> {
    let params =
        wire::TouchParams { component_id: id.parse().unwrap(), used_at: used_at.map(Timestamp) };
    store.touch_component(&owner(), &params).map(|_| ())
}

// Preferences.

pub(crate) fn set_params(
    key: &str,
    value: &str,
    if_revision: Option<u64>,
) -> prefs_wire::SetParams {
    prefs_wire::SetParams {
        key: key.parse().unwrap(),
        value: json(value),
        if_revision: if_revision.map(Revision),
        request_id: None,
    }
}

pub(crate) fn set(store: &Store, key: &str, value: &str) -> Result<Preference> {
    set_if(store, key, value, None)
}

pub(crate) fn set_if(
    store: &Store,
    key: &str,
    value: &str,
    if_revision: Option<u64>,
) -> Result<Preference> {
    let params = set_params(key, value, if_revision);
    store.db().write(64 + value.len(), move |tx| preferences::set(tx, &owner(), &params))
}

pub(crate) fn get(store: &Store, key: &str) -> Result<Preference> {
    let params = prefs_wire::GetParams { key: key.parse().unwrap() };
    store.db().read(|reader| preferences::get(reader, &owner(), &params))
}

pub(crate) fn unset(store: &Store, key: &str, if_revision: Option<u64>) -> Result<Deleted> {
    let params = prefs_wire::DeleteParams {
        key: key.parse().unwrap(),
        if_revision: if_revision.map(Revision),
        request_id: None,
    };
    store.db().write(64, move |tx| preferences::delete(tx, &owner(), &params))
}

// Blobs.

pub(crate) fn sha256(content: &[u8]) -> BlobHash {
    BlobHash::new(Sha256::digest(content).into())
}

/// Content that differs with its seed, and that does not shrink.
pub(crate) fn content(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 7);
    while bytes.len() < len {
        // xorshift64: https://www.jstatsoft.org/article/view/v008i14
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

pub(crate) fn holding() -> Holding {
    Holding { name: None, content_type: None, metadata: None, pinned: true }
}

pub(crate) fn put_blob(store: &Store, caller: &Caller, content: &[u8]) -> Result<BlobPut> {
    put_blob_with(store, caller, content, holding(), None)
}

pub(crate) fn put_blob_with(
    store: &Store,
    caller: &Caller,
    mut content: &[u8],
    holding: Holding,
    expected_hash: Option<BlobHash>,
) -> Result<BlobPut> {
    let keys = store.vault().keys()?;
    let put = PutBlob { holding, expected_hash, length: None };
    store.blobs().put(store.db(), &keys, caller, &mut content, &put)
}

/// Puts a file of format 0 in its place, as the seed of the system sealed it, under the key of [`PHRASE`].
pub(crate) fn seal_old(root: &Root, bytes: &[u8]) -> BlobHash {
    use chacha20poly1305::aead::{Aead, KeyInit};
    let key = "263ef72060316eeecd8edfb06dc70cfa6abc4e2af4241812d7a91c4672b23aca";
    let pairs = (0..32).map(|at| u8::from_str_radix(&key[2 * at..2 * at + 2], 16).unwrap());
    let key: [u8; 32] = pairs.collect::<Vec<u8>>().try_into().unwrap();
    let hash = sha256(bytes);
    let nonce: [u8; 12] = hash.as_bytes()[..12].try_into().unwrap();
    let cipher = chacha20poly1305::ChaCha20Poly1305::new(&key.into());
    let mut file = nonce.to_vec();
    file.extend(cipher.encrypt(&nonce.into(), bytes).unwrap());
    std::fs::write(root.blob(&hash), file).unwrap();
    hash
}

pub(crate) fn read_range(
    store: &Store,
    caller: &Caller,
    hash: &BlobHash,
    offset: u64,
    length: u64,
) -> Result<Vec<u8>> {
    let keys = store.vault().keys()?;
    store.blobs().open(store.db(), &keys, caller, hash)?.read(offset, length)
}

pub(crate) fn read_blob(store: &Store, caller: &Caller, hash: &BlobHash) -> Result<Vec<u8>> {
    read_range(store, caller, hash, 0, u64::MAX)
}

pub(crate) fn delete_blob(store: &Store, caller: &Caller, hash: &BlobHash) -> Result<Deleted> {
    store.blobs().delete(store.db(), caller, &DeleteParams { hash: *hash, component_id: None })
}

pub(crate) fn stat(store: &Store, caller: &Caller, hash: &BlobHash) -> Result<BlobStat> {
    store.db().read(|reader| blobs::stat(reader, caller, &HashParams { hash: *hash }))
}

/// The names in a folder.
pub(crate) fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Runs a statement on the write connection, past the operations.
pub(crate) fn execute(store: &Store, sql: &'static str) {
    store.db().write(64, move |tx| Ok(tx.connection().execute_batch(sql)?)).unwrap();
}

/// The first column of a query's only row.
pub(crate) fn query<T: rusqlite::types::FromSql>(store: &Store, sql: &str) -> T {
    store.db().read(|reader| Ok(reader.connection().query_row(sql, [], |row| row.get(0))?)).unwrap()
}

/// All rows of all tables but the internal ones, as text.
pub(crate) fn dump(store: &Store) -> BTreeMap<String, Vec<String>> {
    let tables: Vec<String> = store
        .db()
        .read(|reader| {
            let mut statement = reader
                .connection()
                .prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")?;
            let names = statement.query_map([], |row| row.get(0))?;
            Ok(names.collect::<rusqlite::Result<_>>()?)
        })
        .unwrap();
    tables.into_iter().map(|table| (table.clone(), rows(store, &table))).collect()
}

fn rows(store: &Store, table: &str) -> Vec<String> {
    store
        .db()
        .read(|reader| {
            let mut statement = reader.connection().prepare(&format!("SELECT * FROM {table}"))?;
            let columns = statement.column_count();
            let rows = statement.query_map([], |row| {
                (0..columns)
                    .map(|column| row.get_ref(column).map(|value| format!("{value:?}")))
                    .collect::<rusqlite::Result<Vec<_>>>()
            })?;
            let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
            let mut rows: Vec<String> = rows.into_iter().map(|row| row.join(" | ")).collect();
            rows.sort();
            Ok(rows)
        })
        .unwrap()
}
