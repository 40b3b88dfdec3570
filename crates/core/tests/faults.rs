//! Each step on a file fails once, in each operation that takes it: nothing is lost, nothing is torn.
//!
//! An operation is run again and again, with its first step failing, then its second, until none is left
//! to fail. After each run what was acknowledged before must be there and whole, the operation must
//! succeed when it is repeated, and rows and files must agree when the store is opened again.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

#[path = "common/calls.rs"]
mod calls;
mod common;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use calls::{params, write};
use common::faults::{FAULTS, Fault, Faults, What, assert_survives_a_power_cut};
use common::{
    Root, code, content, delete_blob, holding, json, master, names_in, owner, put_blob,
    put_blob_with, read_blob, seal_old, sha256,
};
use osnova_storage_api::ErrorCode;
use osnova_storage_api::blobs::{CareParams, CommitUploadParams, VerifyParams};
use osnova_storage_api::component_data::{SetConfigParams, VersionParams};
use osnova_storage_api::identity::{PutCocoonParams, UserParams};
use osnova_storage_api::jobs::{Job, JobParams, JobState};
use osnova_storage_api::wire::{Base64Data, BlobHash, ChunkIndex, UploadId};
use osnova_storage_core::blob::{PutBlob, PutChunk};
use osnova_storage_core::db::blobs::uploads;
use osnova_storage_core::db::cache;
use osnova_storage_core::error::Result;
use osnova_storage_core::files::{Errno, Files};
use osnova_storage_core::{OpenError, Store, StoreError};
use serde_json::json as value;

/// What holds less than one buffer, and what is written by a thread of its own, in many.
const SMALL: usize = 1_000;
const LARGE: usize = 1_500_000;

/// A store whose files are observed, and what it has acknowledged.
struct World {
    root: Root,
    faults: Arc<Faults>,
    store: Option<Store>,
    contents: BTreeMap<BlobHash, Vec<u8>>,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            root: Root::new(),
            faults: Arc::new(Faults::new()),
            store: None,
            contents: BTreeMap::new(),
        };
        world.reopen();
        world.put(&content(0, SMALL));
        world.put(&content(0, LARGE));
        world
    }

    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    /// Opens it. The lock on a root that was just closed may be held for a moment still: a test beside this one
    /// that starts a program forks, and until the program runs the fork has all files open.
    fn try_open(&self) -> std::result::Result<Store, OpenError> {
        let begun = Instant::now();
        loop {
            let mut options = self.root.options();
            options.files = Files::observed(Arc::<Faults>::clone(&self.faults));
            match Store::open(options) {
                Err(OpenError::InUse { .. }) if begun.elapsed() < Duration::from_secs(10) => {
                    std::thread::yield_now();
                }
                opened => return opened,
            }
        }
    }

    fn reopen(&mut self) {
        self.store = None;
        let store = self.try_open().unwrap();
        store.unlock(master()).unwrap();
        self.store = Some(store);
    }

    /// Puts without a fault.
    fn put(&mut self, content: &[u8]) -> BlobHash {
        let hash = put_blob(self.store(), &owner(), content).unwrap().hash;
        self.contents.insert(hash, content.to_vec());
        hash
    }

    fn blob_tmp(&self) -> Vec<String> {
        names_in(&self.root.path().join("blobs/.tmp"))
    }

    fn yard(&self, of: &str) -> Vec<String> {
        names_in(&self.root.path().join(of).join(".tmp"))
    }

    fn hashes(&self, sql: &str) -> Vec<BlobHash> {
        hashes(self.store(), sql)
    }

    /// Each row has a file, and each file has a row or is known as rubbish; what was acknowledged is
    /// there and whole.
    fn assert_agrees(&self, after: &str) {
        let rows = self.hashes("SELECT hash FROM blob_contents");
        let rubbish = self.hashes("SELECT hash FROM blob_unlinks");
        let files = names_in(&self.root.path().join("blobs"));
        let files = files.iter().filter_map(|name| name.strip_suffix(".enc"));
        let files: Vec<BlobHash> = files.map(|name| name.parse().unwrap()).collect();
        for hash in &rows {
            let read = read_blob(self.store(), &owner(), hash);
            assert_eq!(sha256(&read.unwrap()), *hash, "{after}: a row without its whole file");
        }
        for hash in &files {
            let known = rows.contains(hash) || rubbish.contains(hash);
            assert!(known, "{after}: nobody knows the file of {hash}");
        }
        for (hash, content) in &self.contents {
            let read = read_blob(self.store(), &owner(), hash);
            assert!(read.unwrap() == *content, "{after}: an acknowledged content is lost");
        }
    }

    /// The same after a start, which leaves no rubbish.
    fn assert_recovers(&mut self, after: &str) {
        self.assert_agrees(after);
        self.reopen();
        self.assert_agrees(after);
        assert!(self.hashes("SELECT hash FROM blob_unlinks").is_empty(), "{after}: rubbish stays");
        // What is left of components is removed by a thread that nobody waits for.
        for _ in 0..1000 {
            if self.yard("components").is_empty() {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        for folder in ["blobs", "identity", "components"] {
            assert!(self.yard(folder).is_empty(), "{after}: something is left in {folder}/.tmp");
        }
    }
}

fn hashes(store: &Store, sql: &str) -> Vec<BlobHash> {
    let read = store.db().read(|reader| {
        let mut statement = reader.connection().prepare(sql)?;
        let rows = statement.query_map([], |row| Ok(BlobHash::new(row.get(0)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    });
    read.unwrap()
}

/// What a caller is told of a file that failed.
fn assert_said<T>(outcome: &Result<T>, after: &str) {
    if outcome.is_err() {
        let said = code(outcome);
        let fits = matches!(said, ErrorCode::IoError | ErrorCode::DiskFull);
        assert!(fits, "{after}: said {said:?}");
    }
}

/// Runs an operation with each of its steps meeting each fault. `ready` brings about what the `n`-th run
/// needs; `act` is the operation; `judge` is told how it went, and looks and repeats.
fn each_step<S, T>(
    ready: impl Fn(&mut World, u64) -> S,
    act: impl Fn(&mut World, &S) -> Result<T>,
    judge: impl Fn(&mut World, &S, &Result<T>, &str),
) {
    for fault in FAULTS {
        let mut world = World::new();
        for n in 1.. {
            let subject = ready(&mut world, n as u64);
            world.faults.arm(fault, n);
            let outcome = act(&mut world, &subject);
            let Some(after) = world.faults.disarm() else {
                assert!(outcome.is_ok(), "it failed without a fault");
                assert!(n > 1 || !matches!(fault, Fault::Error(_)), "no step was seen");
                break;
            };
            assert_said(&outcome, &after);
            if fault == Fault::Short {
                assert!(outcome.is_ok(), "{after}: a short write is no error");
            }
            if !after.contains("Unlink") {
                assert!(world.blob_tmp().is_empty(), "{after}: something is left in blobs/.tmp");
            }
            judge(&mut world, &subject, &outcome, &after);
            world.assert_recovers(&after);
        }
    }
}

/// A put that went well holds what it was given; one that failed can be repeated.
fn judge_put<T>(world: &mut World, content: &Vec<u8>, outcome: &Result<T>, after: &str) {
    let hash = sha256(content);
    if outcome.is_ok() {
        let read = read_blob(world.store(), &owner(), &hash).unwrap();
        assert!(read == *content, "{after}: success with a torn file");
    }
    world.assert_agrees(after);
    assert_eq!(world.put(content), hash, "{after}");
}

#[expect(clippy::ptr_arg, reason = "each_step hands out what it was given")]
fn act_put(world: &mut World, content: &Vec<u8>) -> Result<bool> {
    Ok(put_blob(world.store(), &owner(), content)?.created)
}

#[test]
fn no_step_of_a_put_loses_or_tears_anything() {
    for length in [SMALL, LARGE] {
        each_step(|_, n| content(n, length), act_put, judge_put);
    }
}

/// The files of many contents are synced on several threads: the failure of one is everyone's, whichever
/// thread meets it, and none is entered.
#[test]
fn contents_put_together_are_not_entered_where_the_sync_of_one_fails() {
    const TOGETHER: usize = 200;
    let world = World::new();
    let contents: Vec<_> = (1..=TOGETHER as u64).map(|seed| content(seed, SMALL)).collect();
    let keys = world.store().vault().keys().unwrap();
    let blobs = world.store().blobs();
    let enter = |fault: Option<usize>| {
        if let Some(n) = fault {
            world.faults.arm(Fault::Error(Errno::IO), n);
        }
        let by = owner();
        let mut batch = blobs.batch(&keys, &by);
        for bytes in &contents {
            let put = PutBlob { holding: holding(), expected_hash: None, length: None };
            batch.seal(&mut bytes.as_slice(), &put)?;
        }
        batch.enter(world.store().db())
    };
    let before = world.hashes("SELECT hash FROM blob_contents").len();
    let mut syncs = 0;
    for n in (1..).step_by(41) {
        let outcome = enter(Some(n));
        let after = world.faults.disarm().unwrap();
        syncs += usize::from(after.contains("action: Sync,"));
        assert_eq!(code(&outcome), ErrorCode::IoError, "{after}");
        if syncs == 3 {
            break;
        }
        assert!(world.blob_tmp().is_empty(), "{after}: something is left in blobs/.tmp");
        assert_eq!(world.hashes("SELECT hash FROM blob_contents").len(), before, "{after}");
        world.assert_agrees(&after);
    }
    assert_eq!(enter(None).unwrap().len(), TOGETHER);
    assert_eq!(world.hashes("SELECT hash FROM blob_contents").len(), before + TOGETHER);
    world.assert_agrees("without a fault");
}

#[test]
fn no_step_of_a_put_of_what_is_there_loses_or_tears_anything() {
    each_step(
        |_, _| content(0, SMALL),
        act_put,
        |world, content, outcome, after| {
            // A whole file that could not be opened just then is not damaged.
            assert!(!world.root.path().join("blobs/.quarantine").exists(), "{after}");
            judge_put(world, content, outcome, after);
        },
    );
}

#[test]
fn no_step_of_a_components_put_loses_or_tears_anything() {
    let caller = common::component_caller("org.example.one");
    // Of what another holds already: the file is synced all the same, and dropped.
    let act = |world: &mut World, content: &Vec<u8>| put_blob(world.store(), &caller, content);
    each_step(|_, _| content(0, LARGE), act, judge_put);
}

/// A put of a content whose file is gone was answered as done where opening that file failed otherwise
/// than by its absence: the file was taken to be whole because nobody had said that it was damaged, and
/// the caller may have discarded the last copy.
#[test]
fn no_step_of_a_healing_put_loses_or_tears_anything() {
    let ready = |world: &mut World, n| {
        let content = content(n, SMALL);
        let hash = world.put(&content);
        // What is lost is not acknowledged any more.
        world.contents.remove(&hash);
        fs::remove_file(world.root.blob(&hash)).unwrap();
        content
    };
    each_step(ready, act_put, |world, content, outcome, after| {
        if outcome.is_ok() {
            let read = read_blob(world.store(), &owner(), &sha256(content));
            assert!(read.unwrap() == *content, "{after}: success with a lost file");
        }
        world.put(content);
    });
}

#[test]
fn no_step_of_a_delete_loses_or_tears_anything() {
    let ready = |world: &mut World, n| world.put(&content(n, SMALL));
    let act = |world: &mut World, hash: &BlobHash| delete_blob(world.store(), &owner(), hash);
    each_step(ready, act, |world, hash, outcome, after| {
        // Its row is gone; what becomes of the file is no matter of the caller's.
        assert!(outcome.as_ref().unwrap().deleted, "{after}");
        let content = world.contents.remove(hash).unwrap();
        let read = read_blob(world.store(), &owner(), hash);
        assert_eq!(code(&read), ErrorCode::NotFound, "{after}");
        world.assert_agrees(after);
        // Whatever is left of it is in nobody's way.
        world.put(&content);
    });
}

#[test]
fn no_step_of_an_eviction_loses_or_tears_anything() {
    let ready = |world: &mut World, n| {
        let mut holding = holding();
        holding.pinned = false;
        let content = content(n, SMALL);
        let hash = put_blob_with(world.store(), &owner(), &content, holding, None).unwrap().hash;
        let entry = value!({ "entry": {
            "autonomiAddress": "ant://one", "contentHash": "c", "blobHash": hash, "dataType": "chunk",
        } });
        write(world.store(), &owner(), cache::put, &entry).unwrap();
        hash
    };
    let act = |world: &mut World, _: &BlobHash| {
        world.store().evict_cache(&owner(), &params(&value!([0])))
    };
    each_step(ready, act, |world, hash, outcome, after| {
        assert_eq!(outcome.as_ref().unwrap().entries, 1, "{after}");
        assert_eq!(code(&read_blob(world.store(), &owner(), hash)), ErrorCode::NotFound);
    });
}

/// Waits for the end of a job, and says what it came to.
fn outcome_of(store: &Store, begun: Result<Job>) -> Result<serde_json::Value> {
    let id = begun?.job_id;
    loop {
        let job = store.jobs().get(&owner(), &JobParams { job_id: id.clone() })?;
        match (job.state, job.error) {
            (JobState::Running, _) => std::thread::yield_now(),
            (JobState::Done, _) => {
                return Ok(serde_json::from_str(job.result.unwrap().get()).unwrap());
            }
            (_, Some(error)) if error.code == "disk_full" => {
                return Err(StoreError::DiskFull(error.message));
            }
            (_, Some(error)) if error.code == "io_error" => {
                return Err(StoreError::Io {
                    what: error.message,
                    source: std::io::Error::other(""),
                });
            }
            (state, error) => panic!("{state:?} {error:?}"),
        }
    }
}

#[test]
fn no_step_of_a_collection_loses_or_tears_anything() {
    let ready = |world: &mut World, n| {
        let mut holding = holding();
        holding.pinned = false;
        let content = content(n, SMALL);
        let hash = put_blob_with(world.store(), &owner(), &content, holding, None).unwrap().hash;
        world.root.clock.advance(3600);
        hash
    };
    let act = |world: &mut World, _: &BlobHash| {
        let store = world.store();
        outcome_of(store, store.collect_blobs(&owner(), &CareParams {}))
    };
    each_step(ready, act, |world, hash, outcome, after| {
        assert_eq!(outcome.as_ref().unwrap()["contents"], 1, "{after}");
        assert_eq!(code(&read_blob(world.store(), &owner(), hash)), ErrorCode::NotFound, "{after}");
    });
}

#[test]
fn no_step_of_an_adoption_loses_or_tears_anything() {
    let ready = |world: &mut World, n| {
        let content = content(n, SMALL);
        let hash = world.put(&content);
        let path = world.root.blob(&hash);
        let file = fs::read(&path).unwrap();
        delete_blob(world.store(), &owner(), &hash).unwrap();
        fs::write(path, file).unwrap();
        // Whatever becomes of the adoption, it must not be lost.
        hash
    };
    let adopt = |world: &mut World, _: &BlobHash| {
        let store = world.store();
        outcome_of(store, store.adopt_blobs(&owner(), &CareParams {}))
    };
    each_step(ready, adopt, |world, hash, _, after| {
        adopt(world, hash).unwrap();
        let read = read_blob(world.store(), &owner(), hash).unwrap();
        assert!(read == world.contents[hash], "{after}");
        assert!(!world.root.path().join("blobs/.quarantine").exists(), "{after}");
    });
}

#[test]
fn no_step_of_a_verification_loses_or_tears_anything() {
    let verify = |world: &mut World, hash: &BlobHash| {
        let store = world.store();
        let params = VerifyParams { hash: Some(*hash), bytes_per_second: None };
        outcome_of(store, store.verify_blobs(&owner(), &params))
    };
    let ready = |world: &mut World, n| world.put(&content(n, SMALL));
    each_step(ready, verify, |world, hash, _, after| {
        // A disk that fails to read is no reason to put a file aside.
        assert!(!world.root.path().join("blobs/.quarantine").exists(), "{after}");
        assert_eq!(verify(world, hash).unwrap()["damaged"], 0, "{after}");
    });
    // One that is damaged is put aside, and heals.
    let ready = |world: &mut World, n| {
        let hash = world.put(&content(n, SMALL));
        world.contents.remove(&hash);
        let path = world.root.blob(&hash);
        let mut file = fs::read(&path).unwrap();
        file[250] ^= 1;
        fs::write(path, file).unwrap();
        (hash, content(n, SMALL))
    };
    let act = |world: &mut World, subject: &(BlobHash, Vec<u8>)| verify(world, &subject.0);
    each_step(ready, act, |world, (hash, content), _, after| {
        assert_eq!(verify(world, hash).unwrap()["damaged"], 1, "{after}");
        let aside = names_in(&world.root.path().join("blobs/.quarantine"));
        assert!(aside.contains(&format!("{hash}.enc")), "{after}: the evidence is lost");
        world.put(content);
    });
}

#[test]
fn no_step_of_an_upgrade_loses_or_tears_anything() {
    let ready = |world: &mut World, n| {
        let content = content(n, SMALL);
        let hash = seal_old(&world.root, &content);
        let store = world.store();
        outcome_of(store, store.adopt_blobs(&owner(), &CareParams {})).unwrap();
        world.contents.insert(hash, content);
        hash
    };
    let upgrade = |world: &mut World, _: &BlobHash| {
        let store = world.store();
        outcome_of(store, store.upgrade_blobs(&owner(), &CareParams {}))
    };
    each_step(ready, upgrade, |world, hash, _, after| {
        world.assert_agrees(after);
        upgrade(world, hash).unwrap();
        assert!(fs::read(world.root.blob(hash)).unwrap().starts_with(b"OSNBLOB1"), "{after}");
    });
}

/// Begins an upload of two chunks.
fn begin_upload(world: &World) -> UploadId {
    let begin = value!({ "chunkBytes": 65536 });
    let begun = write(world.store(), &owner(), uploads::begin, &begin).unwrap();
    begun["uploadId"].as_str().unwrap().parse().unwrap()
}

fn send_chunk(world: &World, upload_id: &UploadId, index: u32, mut bytes: &[u8]) -> Result<()> {
    let store = world.store();
    let put =
        PutChunk { upload_id: upload_id.clone(), index: ChunkIndex(index), expected_hash: None };
    let keys = store.vault().keys()?;
    store.blobs().put_chunk(store.db(), &keys, &owner(), &mut bytes, &put).map(drop)
}

fn commit_upload(world: &mut World, id: &UploadId) -> Result<BlobHash> {
    let store = world.store();
    let params = CommitUploadParams { upload_id: id.clone(), expected_hash: None, chunks: None };
    let keys = store.vault().keys()?;
    Ok(store.blobs().commit_upload(store.db(), &keys, &owner(), &params)?.hash)
}

#[test]
fn no_step_of_an_upload_loses_or_tears_anything() {
    const CHUNK: usize = 65536;
    for fault in FAULTS {
        let mut world = World::new();
        for n in 1.. {
            let bytes = content(n as u64, CHUNK + 100);
            let id = begin_upload(&world);
            send_chunk(&world, &id, 0, &bytes[..CHUNK]).unwrap();
            // Sent again, and the next, with a fault somewhere.
            world.faults.arm(fault, n);
            let outcome = send_chunk(&world, &id, 0, &bytes[..CHUNK])
                .and_then(|()| send_chunk(&world, &id, 1, &bytes[CHUNK..]))
                .and_then(|()| commit_upload(&mut world, &id));
            let Some(after) = world.faults.disarm() else {
                assert!(outcome.is_ok() && n > 1);
                break;
            };
            assert_said(&outcome, &after);
            // A restart in between changes nothing, and neither does sending all of it again.
            world.reopen();
            if outcome.is_err() {
                send_chunk(&world, &id, 1, &bytes[CHUNK..])
                    .or_else(|_| commit_upload(&mut world, &id).map(drop))
                    .unwrap_or_else(|error| panic!("{after}: {error}"));
            }
            let hash = commit_upload(&mut world, &id).unwrap();
            assert_eq!(hash, sha256(&bytes), "{after}");
            world.contents.insert(hash, bytes);
            world.assert_recovers(&after);
        }
    }
}

#[test]
fn no_step_of_a_start_loses_or_tears_anything() {
    // What a crash may leave: a file that was being written, and one that was to be removed.
    let ready = |world: &mut World, n| {
        let hash = world.put(&content(n, SMALL));
        world.contents.remove(&hash);
        let kept = fs::read(world.root.blob(&hash)).unwrap();
        let tag = world.root.tag(&hash);
        delete_blob(world.store(), &owner(), &hash).unwrap();
        let unlink_again = move |tx: &osnova_storage_core::db::Tx<'_>| {
            let sql = "INSERT INTO blob_unlinks (hash, tag) VALUES (?1, ?2)";
            Ok(tx.connection().execute(sql, (hash.as_bytes(), tag))?)
        };
        world.store().db().write(64, unlink_again).unwrap();
        world.store = None;
        fs::write(world.root.blob(&hash), kept).unwrap();
        fs::write(world.root.path().join("blobs/.tmp/unfinished"), "x").unwrap();
        fs::write(world.root.path().join("identity/.tmp/unfinished"), "x").unwrap();
    };
    for fault in FAULTS {
        let mut world = World::new();
        for n in 1.. {
            ready(&mut world, n as u64);
            world.faults.arm(fault, n);
            let opened = world.try_open();
            let Some(after) = world.faults.disarm() else {
                assert!(opened.is_ok() && (n > 20 || !matches!(fault, Fault::Error(_))));
                break;
            };
            // A store that is open has the lock.
            if let Err(error) = opened.map(drop) {
                let said = matches!(error, OpenError::Store(_) | OpenError::NotOurs { .. });
                assert!(said, "{after}: {error}");
            }
            world.reopen();
            world.assert_recovers(&after);
        }
    }
}

fn user() -> UserParams {
    UserParams { user_id: "alice".parse().unwrap() }
}

fn put_cocoon(world: &mut World, cocoon: &[u8]) -> Result<()> {
    let data = Base64Data(cocoon.to_vec());
    let params = PutCocoonParams { user_id: user().user_id, data };
    world.store().identity().put(&owner(), &params).map(drop)
}

fn cocoon(world: &World) -> Vec<u8> {
    world.store().identity().get(&owner(), &user()).unwrap().data.0
}

#[test]
fn no_step_of_a_first_cocoon_loses_or_tears_anything() {
    let ready = |world: &mut World, _| {
        world.store().identity().delete(&owner(), &user()).unwrap();
        b"the first".to_vec()
    };
    let act = |world: &mut World, cocoon: &Vec<u8>| put_cocoon(world, cocoon);
    each_step(ready, act, |world, first, outcome, after| {
        match world.store().identity().get(&owner(), &user()) {
            Ok(found) => assert_eq!(found.data.0, *first, "{after}"),
            Err(_) => assert!(outcome.is_err(), "{after}"),
        }
        put_cocoon(world, first).unwrap();
        world.reopen();
        assert_eq!(cocoon(world), *first, "{after}");
    });
}

#[test]
fn no_step_of_another_cocoon_loses_or_tears_anything() {
    let restore = |world: &World| {
        world.store().identity().restore_previous(&owner(), &user()).unwrap();
        cocoon(world)
    };
    let ready = |world: &mut World, n: u64| {
        put_cocoon(world, format!("older {n}").as_bytes()).unwrap();
        put_cocoon(world, format!("old {n}").as_bytes()).unwrap();
        (format!("old {n}").into_bytes(), format!("new {n}").into_bytes())
    };
    let act = |world: &mut World, (_, new): &(Vec<u8>, Vec<u8>)| put_cocoon(world, new);
    each_step(ready, act, |world, (old, new), outcome, after| {
        let found = cocoon(world);
        assert!(found == *new || found == *old && outcome.is_err(), "{after}");
        world.reopen();
        assert_eq!(cocoon(world), found, "{after}");
        // The one before is that of the cocoon which is there, not of the change that failed.
        let before = restore(world);
        let older = before.starts_with(b"older");
        assert!(
            if found == *new { before == *old } else { older },
            "{after}: the one before is lost"
        );
        assert_eq!(restore(world), found, "{after}");
        put_cocoon(world, new).unwrap();
        assert_eq!(cocoon(world), *new, "{after}");
        assert_eq!(restore(world), *old, "{after}: the one before is lost");
    });
}

fn version() -> VersionParams {
    let component_id = Some("org.example.one".parse().unwrap());
    VersionParams { version: "1.0".parse().unwrap(), component_id }
}

fn set_config(world: &mut World, config: &str) -> Result<()> {
    let VersionParams { version, component_id } = version();
    let params = SetConfigParams { version, config: json(config), component_id };
    world.store().component_data().set_config(&owner(), &params).map(drop)
}

fn config(world: &World) -> String {
    let config = world.store().component_data().get_config(&owner(), &version()).unwrap();
    config.config.get().to_owned()
}

/// A configuration that could not be written stayed in the yard until the next start: on a full disk each
/// further try took more of it.
#[test]
fn no_step_of_a_configuration_loses_or_tears_anything() {
    let ready = |world: &mut World, n: u64| {
        world.store().component_data().prepare(&owner(), &version()).unwrap();
        set_config(world, &format!("{{\"old\":{n}}}")).unwrap();
        (format!("{{\"old\":{n}}}"), format!("{{\"new\":{n}}}"))
    };
    let act = |world: &mut World, (_, new): &(String, String)| set_config(world, new);
    each_step(ready, act, |world, (old, new), outcome, after| {
        let found = config(world);
        assert!(found == *new || found == *old && outcome.is_err(), "{after}: {found}");
        if !after.contains("Unlink") {
            assert!(world.yard("components").is_empty(), "{after}: something is left");
        }
        set_config(world, new).unwrap();
        world.reopen();
        assert_eq!(config(world), *new, "{after}");
    });
}

#[test]
fn no_step_of_the_files_of_a_version_loses_or_tears_anything() {
    let ready = |world: &mut World, _| {
        world.store().component_data().remove(&owner(), &version()).unwrap();
    };
    let act =
        |world: &mut World, (): &()| world.store().component_data().prepare(&owner(), &version());
    each_step(ready, act, |world, (), outcome, after| {
        if outcome.is_ok() {
            assert_eq!(config(world), "{}", "{after}");
        }
        world.store().component_data().prepare(&owner(), &version()).unwrap();
        assert_eq!(config(world), "{}", "{after}");
    });
}

/// What the database says of a content when a step is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Rows {
    stored: bool,
    rubbish: bool,
}

#[test]
fn a_power_cut_after_any_step_leaves_rows_and_files_in_agreement() {
    let root = Root::new();
    let faults = Arc::new(Faults::<Rows>::new());
    let mut options = root.options();
    options.files = Files::observed(Arc::<Faults<Rows>>::clone(&faults));
    let store = Arc::new(Store::open(options).unwrap());
    store.unlock(master()).unwrap();
    for length in [SMALL, LARGE] {
        let content = content(7, length);
        let hash = sha256(&content);
        let file = root.blob(&hash);
        let blobs = root.path().join("blobs");
        let witness = |store: Weak<Store>| {
            move || {
                let store = store.upgrade().unwrap();
                let holds = |sql: &str| hashes(&store, sql).contains(&hash);
                Rows {
                    stored: holds("SELECT hash FROM blob_contents"),
                    rubbish: holds("SELECT hash FROM blob_unlinks"),
                }
            }
        };

        faults.note(witness(Arc::downgrade(&store)));
        put_blob(&store, &owner(), &content).unwrap();
        let noted = faults.noted();
        assert_survives_a_power_cut(&noted);
        let named = What::Rename(file.clone());
        let named = noted.iter().position(|noted| noted.what == named).expect("it has no name");
        // No row before its file has its name, and that is on disk.
        let synced = |noted: &&common::faults::Noted<Rows>| {
            noted.what == What::SyncFolder && noted.path == blobs
        };
        let synced = noted[named..].iter().find(synced).expect("its name is not on disk");
        assert!(!synced.seen.stored, "the row is there before the name of the file is on disk");

        faults.note(witness(Arc::downgrade(&store)));
        delete_blob(&store, &owner(), &hash).unwrap();
        let noted = faults.noted();
        let is = |what: What, path: &PathBuf| {
            let of =
                |noted: &&common::faults::Noted<Rows>| noted.what == what && noted.path == *path;
            noted.iter().find(of).expect("a step is missing").seen
        };
        // No file goes before its row, nor is it forgotten as rubbish before its name is off the disk.
        let going = Rows { stored: false, rubbish: true };
        assert_eq!(is(What::Unlink, &file), going);
        assert_eq!(is(What::SyncFolder, &blobs), going);
        assert!(hashes(&store, "SELECT hash FROM blob_unlinks").is_empty());
    }

    let mut world =
        World { root, faults: Arc::new(Faults::new()), store: None, contents: BTreeMap::new() };
    drop(store);
    world.reopen();
    let operations: [&dyn Fn(&mut World); 5] = [
        &|world| put_cocoon(world, b"the first").unwrap(),
        &|world| put_cocoon(world, b"another").unwrap(),
        &|world| drop(world.store().component_data().prepare(&owner(), &version()).unwrap()),
        &|world| set_config(world, "{\"a\":1}").unwrap(),
        &|world| assert!(world.store().identity().delete(&owner(), &user()).unwrap().deleted),
    ];
    for operation in operations {
        world.faults.note(|| ());
        operation(&mut world);
        assert_survives_a_power_cut(&world.faults.noted());
    }
}

/// A file system in memory, unmounted when it is dropped.
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        Command::new("umount").arg(&self.0).status().unwrap();
    }
}

/// Mounts a small file system in memory on an empty data root; false where that is not permitted.
fn small_disk(root: &Root) -> Option<Mounted> {
    let at = root.path();
    fs::create_dir(&at).unwrap();
    fs::set_permissions(&at, fs::Permissions::from_mode(0o700)).unwrap();
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=24m,mode=0700", "tmpfs"]).arg(&at);
    let mounted = mount.stderr(Stdio::null()).status();
    mounted.is_ok_and(|status| status.success()).then_some(Mounted(at))
}

/// No fault here is made up: the disk ends at another page in each run.
#[test]
fn a_disk_that_is_full_at_any_page_keeps_what_it_has() {
    let root = Root::new();
    let Some(_mounted) = small_disk(&root) else {
        #[allow(clippy::print_stderr, reason = "a test that can't run says so")]
        {
            eprintln!("SKIPPED: mounting a tmpfs is not permitted here");
        }
        return;
    };
    let mut world =
        World { root, faults: Arc::new(Faults::new()), store: None, contents: BTreeMap::new() };
    world.reopen();
    world.put(&content(0, LARGE));
    put_cocoon(&mut world, b"old").unwrap();
    world.store().component_data().prepare(&owner(), &version()).unwrap();
    let filler = world.root.path().join("filler");
    let mut failed = 0;
    // From no page left to more than a content takes.
    for pages in (0..LARGE as u64 / 4096 + 40).step_by(13) {
        let mut file = fs::File::create(&filler).unwrap();
        std::io::copy(&mut std::io::repeat(0), &mut file).unwrap_err();
        let length = file.metadata().unwrap().len();
        file.set_len(length - pages * 4096).unwrap();
        drop(file);
        let after = format!("{pages} pages were left");
        let content = content(pages + 1, LARGE);
        let put = put_blob(world.store(), &owner(), &content);
        assert_said(&put, &after);
        match put {
            Ok(put) => drop(world.contents.insert(put.hash, content.clone())),
            Err(_) => failed += 1,
        }
        assert_said(&put_cocoon(&mut world, format!("new {pages}").as_bytes()), &after);
        assert_said(&set_config(&mut world, &format!("{{\"pages\":{pages}}}")), &after);
        for folder in ["blobs", "components"] {
            assert!(world.yard(folder).is_empty(), "{after}: something is left in {folder}/.tmp");
        }
        world.assert_agrees(&after);
        assert!(!cocoon(&world).is_empty() && config(&world).starts_with('{'), "{after}");
        fs::remove_file(&filler).unwrap();
        assert_eq!(world.put(&content), sha256(&content), "{after}");
        world.assert_recovers(&after);
        delete_blob(world.store(), &owner(), &sha256(&content)).unwrap();
        world.contents.remove(&sha256(&content));
    }
    assert!(failed > 10, "the disk was full {failed} times");
    world.store = None;
}
