//! How contents go and how they stay: the grace, collecting, the bounds of the cache, files without a row,
//! verifying, upgrading.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

#[path = "common/calls.rs"]
mod calls;
mod common;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use calls::{read, write};
use common::*;
use osnova_storage_api::ErrorCode;
use osnova_storage_api::blobs::{CareParams, GrantParams, VerifyParams};
use osnova_storage_api::cache::EvictParams;
use osnova_storage_api::jobs::{Job, JobParams, JobState};
use osnova_storage_api::status::Health;
use osnova_storage_api::wire::{BlobHash, UnsignedInteger};
use osnova_storage_core::db::blobs::{self, Holding};
use osnova_storage_core::db::{cache, messages};
use osnova_storage_core::vault::keys::MasterKey;
use osnova_storage_core::{Caller, Store};
use serde_json::{Value, json};

const HOUR: i64 = 60 * 60;

/// Waits for the end of a job, and says what it came to.
fn result_of(store: &Store, job: &Job) -> Value {
    let begun = Instant::now();
    loop {
        let params = JobParams { job_id: job.job_id.clone() };
        let job = store.jobs().get(&owner(), &params).unwrap();
        match job.state {
            JobState::Running => {
                assert!(begun.elapsed() < Duration::from_secs(60), "{job:?}");
                std::thread::yield_now();
            }
            JobState::Done => return serde_json::from_str(job.result.unwrap().get()).unwrap(),
            _ => panic!("{job:?}"),
        }
    }
}

fn collect(store: &Store) -> Value {
    result_of(store, &store.collect_blobs(&owner(), &CareParams {}).unwrap())
}

fn adopt(store: &Store) -> Value {
    result_of(store, &store.adopt_blobs(&owner(), &CareParams {}).unwrap())
}

fn upgrade(store: &Store) -> Value {
    result_of(store, &store.upgrade_blobs(&owner(), &CareParams {}).unwrap())
}

fn verify(store: &Store, hash: Option<BlobHash>) -> Value {
    let params = VerifyParams { hash, bytes_per_second: None };
    result_of(store, &store.verify_blobs(&owner(), &params).unwrap())
}

fn put_unpinned(store: &Store, caller: &Caller, bytes: &[u8]) -> BlobHash {
    let holding = Holding { pinned: false, ..holding() };
    put_blob_with(store, caller, bytes, holding, None).unwrap().hash
}

fn is_there(root: &Root, store: &Store, hash: &BlobHash) -> bool {
    let there = stat(store, &owner(), hash).is_ok();
    assert_eq!(there, root.blob(hash).exists());
    there
}

fn put_message(store: &Store, id: &str, attachments: &[BlobHash]) {
    let message = json!({ "messageId": id, "channel": "c", "sender": "s", "timestamp": 1,
                          "attachments": attachments });
    write(store, &owner(), messages::put, &json!({ "message": message })).unwrap();
}

fn delete_message(store: &Store, id: &str) {
    write(store, &owner(), messages::delete, &json!({ "messageId": id })).unwrap();
}

fn cached(store: &Store, address: &str, hash: &BlobHash) -> Result<Value, ErrorCode> {
    let entry = json!({ "autonomiAddress": address, "contentHash": address, "blobHash": hash,
                        "dataType": "chunk" });
    write(store, &owner(), cache::put, &json!({ "entry": entry }))
        .map_err(|error| error.to_api().code())
}

fn addresses(store: &Store) -> Vec<String> {
    let page = read(store, &owner(), cache::list, &json!({})).unwrap();
    let items = page["items"].as_array().unwrap().iter();
    items.map(|item| item["autonomiAddress"].as_str().unwrap().to_owned()).collect()
}

fn key_of(seed: u8) -> MasterKey {
    MasterKey::from_bytes(&[seed; 32])
}

#[test]
fn what_nothing_keeps_goes_after_the_grace_and_not_before() {
    let root = Root::new();
    let store = root.open_unlocked();
    let loose = put_unpinned(&store, &owner(), b"loose");
    let pinned = put_blob(&store, &owner(), b"pinned").unwrap().hash;
    let named = put_unpinned(&store, &owner(), b"named");
    put_message(&store, "m", &[named]);
    root.clock.advance(HOUR - 1);
    assert_eq!(collect(&store), json!({ "contents": 0, "bytes": 0, "storedBytes": 0 }));
    assert!(is_there(&root, &store, &loose));
    root.clock.advance(1);
    let stored = fs::metadata(root.blob(&loose)).unwrap().len();
    assert_eq!(collect(&store), json!({ "contents": 1, "bytes": 5, "storedBytes": stored }));
    assert!(!is_there(&root, &store, &loose));
    assert!(is_there(&root, &store, &pinned) && is_there(&root, &store, &named));
    assert_eq!(query::<u32>(&store, "SELECT count(*) FROM blob_unlinks"), 0);
    // What is let go of has a grace of its own.
    write(&store, &owner(), blobs::unpin, &json!({ "hash": pinned })).unwrap();
    delete_message(&store, "m");
    root.clock.advance(HOUR - 1);
    assert_eq!(collect(&store)["contents"], 0);
    root.clock.advance(1);
    assert_eq!(collect(&store)["contents"], 2);
    assert!(!is_there(&root, &store, &pinned) && !is_there(&root, &store, &named));
}

/// Others count the age from the first time a content was put, and remove what was put again a moment ago
/// (harbor #23117, floecat #390).
#[test]
fn to_put_or_name_a_content_again_renews_its_grace() {
    let root = Root::new();
    let store = root.open_unlocked();
    let component = component_caller("org.example.a");
    let put_again = put_unpinned(&store, &owner(), b"put again");
    let put_by_another = put_unpinned(&store, &owner(), b"put by another");
    let named_again = put_unpinned(&store, &owner(), b"named again");
    root.clock.advance(HOUR);
    put_unpinned(&store, &owner(), b"put again");
    put_unpinned(&store, &component, b"put by another");
    put_message(&store, "m", &[named_again]);
    put_message(&store, "m", &[]);
    assert_eq!(collect(&store)["contents"], 0);
    put_message(&store, "m", &[named_again]);
    root.clock.advance(HOUR);
    assert_eq!(collect(&store)["contents"], 2);
    assert!(!is_there(&root, &store, &put_again) && !is_there(&root, &store, &put_by_another));
    assert!(is_there(&root, &store, &named_again));
}

#[test]
fn the_grace_counts_only_while_the_daemon_runs() {
    let root = Root::new();
    let store = root.open_unlocked();
    let loose = put_unpinned(&store, &owner(), b"loose");
    root.clock.advance(HOUR / 2);
    drop(store);
    root.clock.advance(24 * HOUR);
    let store = root.open_unlocked();
    assert_eq!(collect(&store)["contents"], 0);
    root.clock.advance(HOUR / 2 - 1);
    assert_eq!(collect(&store)["contents"], 0);
    // Nor does a wall clock that jumps take any of it.
    root.clock.jump(48 * HOUR);
    assert_eq!(collect(&store)["contents"], 0);
    root.clock.advance(1);
    assert_eq!(collect(&store)["contents"], 1);
    assert!(!is_there(&root, &store, &loose));
}

#[test]
fn what_a_component_holds_is_collected_too_and_frees_its_quota() {
    let root = Root::new();
    let mut options = root.options();
    options.blobs.component_limit_bytes = Some(100);
    let store = Store::open(options).unwrap();
    store.unlock(master()).unwrap();
    let component = component_caller("org.example.a");
    put_unpinned(&store, &component, &[1; 90]);
    let again = put_blob(&store, &component, &[2; 90]);
    assert_eq!(code(&again), ErrorCode::QuotaExceeded);
    root.clock.advance(HOUR);
    // Before it is refused, what is due is collected.
    put_blob(&store, &component, &[2; 90]).unwrap();
    assert_eq!(code(&put_blob(&store, &component, &[3; 90])), ErrorCode::QuotaExceeded);
}

#[test]
fn a_full_store_collects_and_evicts_before_it_refuses() {
    let root = Root::new();
    let mut options = root.options();
    // A file is its content, a header of 208 bytes and a tag of 16.
    options.blobs.limit_bytes = 3 * 1224;
    let store = Store::open(options).unwrap();
    store.unlock(master()).unwrap();
    let part = |seed: u64| content(seed, 1000);
    let loose = put_unpinned(&store, &owner(), &part(1));
    let in_cache = put_unpinned(&store, &owner(), &part(2));
    cached(&store, "a", &in_cache).unwrap();
    let kept = put_blob(&store, &owner(), &part(3)).unwrap().hash;
    root.clock.advance(HOUR);
    put_blob(&store, &owner(), &part(4)).unwrap();
    assert!(!is_there(&root, &store, &loose) && is_there(&root, &store, &in_cache));
    put_blob(&store, &owner(), &part(5)).unwrap();
    assert!(!is_there(&root, &store, &in_cache));
    assert_eq!(addresses(&store), [""; 0]);
    assert_eq!(code(&put_blob(&store, &owner(), &part(6))), ErrorCode::QuotaExceeded);
    // What is there already takes no room.
    put_blob(&store, &owner(), &part(3)).unwrap();
    assert!(is_there(&root, &store, &kept));
}

#[test]
fn the_cache_keeps_within_its_bounds_in_the_order_of_access() {
    let root = Root::new();
    let mut options = root.options();
    options.cache.bytes = 3000;
    options.cache.entries = 4;
    let store = Store::open(options).unwrap();
    store.unlock(master()).unwrap();
    let put = |seed: u64| put_unpinned(&store, &owner(), &content(seed, 1000));
    let hashes: Vec<BlobHash> = (0..6).map(put).collect();
    for (address, hash) in ["a", "b", "c"].iter().zip(&hashes) {
        cached(&store, address, hash).unwrap();
    }
    // An access that is not written yet counts all the same.
    let access = json!({ "autonomiAddress": "a" });
    store.cache_get(&owner(), &calls::params(&access)).unwrap();
    cached(&store, "d", &hashes[3]).unwrap();
    assert_eq!(addresses(&store), ["c", "a", "d"]);
    // Its content is collected without waiting for the grace: it was put and named.
    assert_eq!(collect(&store)["contents"], 1);
    assert!(!is_there(&root, &store, &hashes[1]));
    // What is pinned, named elsewhere or being read stays, and the next goes instead.
    write(&store, &owner(), blobs::pin, &json!({ "hash": hashes[2] })).unwrap();
    let keys = store.vault().keys().unwrap();
    let reading = store.blobs().open(store.db(), &keys, &owner(), &hashes[0]).unwrap();
    cached(&store, "e", &hashes[4]).unwrap();
    assert_eq!(addresses(&store), ["c", "a", "e"]);
    drop(reading);
    cached(&store, "f", &hashes[5]).unwrap();
    assert_eq!(addresses(&store), ["c", "e", "f"]);
    assert!(read_blob(&store, &owner(), &hashes[2]).is_ok());
    // One too large for the cache is refused, and nothing goes for it.
    let large = put_unpinned(&store, &owner(), &content(9, 3001));
    assert_eq!(cached(&store, "g", &large), Err(ErrorCode::QuotaExceeded));
    assert_eq!(addresses(&store), ["c", "e", "f"]);
    // And small ones are bounded in number.
    for (index, address) in ["h", "i", "j", "k"].iter().enumerate() {
        let small = put_unpinned(&store, &owner(), &[u8::try_from(index).unwrap(); 3]);
        cached(&store, address, &small).unwrap();
    }
    assert_eq!(addresses(&store), ["c", "i", "j", "k"]);
}

#[test]
fn an_eviction_does_not_take_what_was_put_and_not_named_since() {
    let root = Root::new();
    let store = root.open_unlocked();
    let evict = || {
        let params = EvictParams { target_bytes: UnsignedInteger(0) };
        store.evict_cache(&owner(), &params).unwrap().entries
    };
    let hash = put_unpinned(&store, &owner(), b"shared");
    cached(&store, "a", &hash).unwrap();
    // Someone puts the same content, and is about to name it.
    put_unpinned(&store, &owner(), b"shared");
    assert_eq!(evict(), 1);
    assert!(is_there(&root, &store, &hash));
    // To name it in another record and let go of it again takes nothing of the grace.
    cached(&store, "b", &put_unpinned(&store, &owner(), b"shared")).unwrap();
    put_message(&store, "m", &[hash]);
    delete_message(&store, "m");
    assert_eq!(evict(), 1);
    assert!(is_there(&root, &store, &hash));
    cached(&store, "a", &hash).unwrap();
    assert_eq!(evict(), 1);
    assert!(!is_there(&root, &store, &hash));
    // Two put, and one hands it over by two addresses: that is one hand-over.
    for _ in 0..2 {
        put_unpinned(&store, &owner(), b"shared");
    }
    cached(&store, "a", &hash).unwrap();
    cached(&store, "b", &hash).unwrap();
    assert_eq!(evict(), 2);
    assert!(is_there(&root, &store, &hash));
    // To pin and unpin it takes nothing of it either.
    put_unpinned(&store, &owner(), b"shared");
    write(&store, &owner(), blobs::pin, &json!({ "hash": hash })).unwrap();
    write(&store, &owner(), blobs::unpin, &json!({ "hash": hash })).unwrap();
    cached(&store, "a", &hash).unwrap();
    assert_eq!(evict(), 1);
    assert!(is_there(&root, &store, &hash));
}

#[test]
fn files_without_a_row_are_adopted_and_none_is_lost() {
    let root = Root::new();
    let store = root.open_unlocked();
    let contents: Vec<Vec<u8>> = (0..20).map(|seed| content(seed, 70_000)).collect();
    for bytes in &contents {
        put_blob(&store, &owner(), bytes).unwrap();
    }
    drop(store);
    // No database at all beside the contents.
    for name in names_in(&root.path()).iter().filter(|name| name.starts_with("osnova.db")) {
        fs::remove_file(root.path().join(name)).unwrap();
    }
    fs::write(root.path().join("blobs/notes.txt"), "not ours").unwrap();
    let store = root.open();
    assert_eq!(code(&store.unlock(key_of(9))), ErrorCode::WrongKey);
    store.unlock(master()).unwrap();
    let result = adopt(&store);
    assert_eq!(result["files"], 20);
    assert_eq!((&result["adopted"], &result["bytes"]), (&json!(20), &json!(20 * 70_000)));
    for bytes in &contents {
        let hash = sha256(bytes);
        assert!(read_blob(&store, &owner(), &hash).unwrap() == *bytes);
        assert!(stat(&store, &owner(), &hash).unwrap().pinned);
    }
    assert_eq!(store.status("").status, Health::Ok);
    assert!(store.status("").notices.iter().any(|notice| notice.message.contains("20 files")));
    root.clock.advance(2 * HOUR);
    assert_eq!(collect(&store)["contents"], 0);
    assert_eq!(adopt(&store)["adopted"], 0);
    assert!(root.path().join("blobs/notes.txt").exists());
}

/// An older database names as rubbish a file that was removed after it was copied, and does not know that
/// the same content was put again since: the file that lies there is another.
#[test]
fn an_older_database_removes_no_file_that_came_later() {
    let root = Root::new();
    let store = root.open_unlocked();
    let old = put_blob(&store, &owner(), b"old").unwrap().hash;
    let again = put_blob(&store, &owner(), b"again").unwrap().hash;
    let tag = root.tag(&again);
    let name_it = move |tx: &osnova_storage_core::db::Tx<'_>| {
        let sql = "INSERT INTO blob_unlinks VALUES (?1, ?2)";
        Ok(tx.connection().execute(sql, (again.as_bytes(), tag))?)
    };
    store.db().write(64, name_it).unwrap();
    execute(
        &store,
        "DELETE FROM blob_holders WHERE hash IN (SELECT hash FROM blob_unlinks);
         DELETE FROM blob_contents WHERE hash IN (SELECT hash FROM blob_unlinks);",
    );
    let copy = tempfile::tempdir().unwrap();
    store.db().write(0, |_| Ok(())).unwrap();
    drop(store);
    fs::copy(root.database(), copy.path().join("osnova.db")).unwrap();
    // What the database then lived through.
    let store = root.open_unlocked();
    assert!(!root.blob(&again).exists());
    put_blob(&store, &owner(), b"again").unwrap();
    let new = put_blob(&store, &owner(), b"new").unwrap().hash;
    drop(store);
    fs::copy(copy.path().join("osnova.db"), root.database()).unwrap();
    let store = root.open_unlocked();
    assert!(root.blob(&again).exists());
    assert_eq!(adopt(&store)["adopted"], 2);
    for (hash, bytes) in [(old, "old"), (again, "again"), (new, "new")] {
        assert_eq!(read_blob(&store, &owner(), &hash).unwrap(), bytes.as_bytes());
    }
}

#[test]
fn a_file_that_is_not_what_its_name_says_is_put_aside() {
    let root = Root::new();
    let store = root.open_unlocked();
    let hash = put_blob(&store, &owner(), b"mine").unwrap().hash;
    let wrong_name = root.blob(&sha256(b"something else"));
    fs::copy(root.blob(&hash), &wrong_name).unwrap();
    let garbage = root.blob(&sha256(b"garbage"));
    fs::write(&garbage, [7; 300]).unwrap();
    let empty = root.blob(&sha256(b"empty"));
    fs::write(&empty, []).unwrap();
    let result = adopt(&store);
    assert_eq!((&result["adopted"], &result["quarantined"]), (&json!(0), &json!(3)));
    for path in [&wrong_name, &garbage, &empty] {
        assert!(!path.exists());
        let aside = root.path().join("blobs/.quarantine").join(path.file_name().unwrap());
        assert!(aside.exists());
    }
    assert_eq!(read_blob(&store, &owner(), &hash).unwrap(), b"mine");
    // A second one of the same name has a place too.
    fs::write(&garbage, [8; 300]).unwrap();
    assert_eq!(adopt(&store)["quarantined"], 1);
    assert_eq!(names_in(&root.path().join("blobs/.quarantine")).len(), 4);
    assert_eq!(store.status("").status, Health::Ok);
}

/// One entry that could not be read ended the adoption of all that came after it, and the daemon did not try
/// again.
#[test]
fn an_entry_that_is_no_file_keeps_no_other_from_being_adopted() {
    let root = Root::new();
    let store = root.open_unlocked();
    let hashes: Vec<BlobHash> =
        (0..10).map(|seed| put_blob(&store, &owner(), &content(seed, 100)).unwrap().hash).collect();
    drop(store);
    for name in names_in(&root.path()).iter().filter(|name| name.starts_with("osnova.db")) {
        fs::remove_file(root.path().join(name)).unwrap();
    }
    let folder = root.blob(&sha256(b"a folder"));
    fs::create_dir(&folder).unwrap();
    let store = root.open_unlocked();
    let result = adopt(&store);
    assert_eq!((&result["adopted"], &result["unreadable"]), (&json!(10), &json!(1)));
    for hash in &hashes {
        assert!(read_blob(&store, &owner(), hash).is_ok());
    }
    assert_eq!(store.status("").status, Health::Degraded);
    fs::remove_dir(folder).unwrap();
    assert_eq!(adopt(&store)["unreadable"], 0);
    assert_eq!(store.status("").status, Health::Ok);
}

/// A new root beside one torn file took no key, ever.
#[test]
fn a_torn_file_says_nothing_of_a_key() {
    let root = Root::new();
    fs::create_dir_all(root.path().join("blobs")).unwrap();
    let store = {
        let other = Root::new();
        let store = other.open_unlocked();
        let hash = put_blob(&store, &owner(), &content(1, 1000)).unwrap().hash;
        let whole = fs::read(other.blob(&hash)).unwrap();
        fs::write(root.blob(&hash), &whole[..500]).unwrap();
        fs::write(root.blob(&sha256(b"garbage")), [7; 300]).unwrap();
        fs::create_dir(root.blob(&sha256(b"a folder"))).unwrap();
        root.open()
    };
    store.unlock(key_of(9)).unwrap();
    put_blob(&store, &owner(), b"more").unwrap();
}

/// Who met damage was told so, and who then put the content again was told that it is there.
#[test]
fn a_put_heals_a_content_whose_damage_a_reader_met() {
    let root = Root::new();
    let store = root.open_unlocked();
    let bytes = content(1, 300_000);
    let hash = put_blob(&store, &owner(), &bytes).unwrap().hash;
    let mut file = fs::read(root.blob(&hash)).unwrap();
    *file.last_mut().unwrap() ^= 1;
    fs::write(root.blob(&hash), &file).unwrap();
    assert_eq!(code(&read_blob(&store, &owner(), &hash)), ErrorCode::IntegrityError);
    assert_eq!(store.status("").status, Health::Degraded);
    put_blob(&store, &owner(), &bytes).unwrap();
    assert!(read_blob(&store, &owner(), &hash).unwrap() == bytes);
    assert_eq!(store.status("").status, Health::Ok);
    let aside = root.path().join("blobs/.quarantine").join(format!("{hash}.enc"));
    assert!(fs::read(aside).unwrap() == file);
    // One that only seemed damaged is left alone: it was healed between the two.
    put_blob(&store, &owner(), &bytes).unwrap();
    assert_eq!(names_in(&root.path().join("blobs/.quarantine")).len(), 1);
}

/// What a crash forgets of the uptime must not make graces longer by all that it was.
#[test]
fn a_crash_after_a_long_time_leaves_no_grace_of_that_length() {
    let root = Root::new();
    let store = root.open_unlocked();
    root.clock.advance(365 * 24 * HOUR);
    let hash = put_unpinned(&store, &owner(), b"loose");
    let copy = tempfile::tempdir().unwrap();
    for name in ["osnova.db", "osnova.db-wal"] {
        fs::copy(root.path().join(name), copy.path().join(name)).unwrap();
    }
    drop(store);
    for name in ["osnova.db", "osnova.db-wal"] {
        fs::copy(copy.path().join(name), root.path().join(name)).unwrap();
    }
    let store = root.open_unlocked();
    assert_eq!(collect(&store)["contents"], 0);
    root.clock.advance(HOUR);
    assert_eq!(collect(&store)["contents"], 1);
    assert!(!is_there(&root, &store, &hash));
}

#[test]
fn a_component_evicts_nothing_by_puts_that_it_is_refused() {
    let root = Root::new();
    let mut options = root.options();
    options.blobs.limit_bytes = 5 * 1224;
    options.blobs.component_limit_bytes = Some(1500);
    let store = Store::open(options).unwrap();
    store.unlock(master()).unwrap();
    for (seed, address) in (0..4).zip(["a", "b", "c", "d"]) {
        let hash = put_unpinned(&store, &owner(), &content(seed, 1000));
        cached(&store, address, &hash).unwrap();
    }
    let component = component_caller("org.example.a");
    put_blob(&store, &component, &content(7, 1000)).unwrap();
    assert_eq!(code(&put_blob(&store, &component, &content(8, 1000))), ErrorCode::QuotaExceeded);
    assert_eq!(addresses(&store).len(), 4);
}

#[test]
fn what_entries_of_the_same_content_save_is_told() {
    let root = Root::new();
    let store = root.open_unlocked();
    let saved = || store.cache_stats(&owner()).unwrap().saved_bytes;
    let one = put_blob(&store, &owner(), &content(1, 1000)).unwrap().hash;
    let two = put_blob(&store, &owner(), &content(2, 500)).unwrap().hash;
    for (address, hash, expected) in
        [("a", one, 0), ("b", one, 1000), ("c", two, 1000), ("d", one, 2000)]
    {
        cached(&store, address, &hash).unwrap();
        assert_eq!(saved(), expected, "{address}");
    }
    // One entry comes to name another content.
    cached(&store, "d", &two).unwrap();
    assert_eq!(saved(), 1500);
    for (address, expected) in [("a", 500), ("b", 500), ("c", 0), ("d", 0)] {
        write(&store, &owner(), cache::remove, &json!({ "autonomiAddress": address })).unwrap();
        assert_eq!(saved(), expected, "{address}");
    }
}

#[test]
fn damage_is_found_put_aside_and_healed() {
    let root = Root::new();
    let store = root.open_unlocked();
    let whole = put_blob(&store, &owner(), &content(1, 200_000)).unwrap().hash;
    let damaged = put_blob(&store, &owner(), &content(2, 200_000)).unwrap().hash;
    let missing = put_blob(&store, &owner(), &content(3, 200_000)).unwrap().hash;
    assert_eq!(
        verify(&store, None),
        json!({ "contents": 3, "bytes": 600_000, "damaged": 0, "problems": [] })
    );
    let mut bytes = fs::read(root.blob(&damaged)).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(root.blob(&damaged), &bytes).unwrap();
    fs::remove_file(root.blob(&missing)).unwrap();
    assert_eq!(verify(&store, Some(whole))["damaged"], 0);
    assert_eq!(store.status("").status, Health::Ok);
    let result = verify(&store, None);
    assert_eq!((&result["contents"], &result["damaged"]), (&json!(3), &json!(2)));
    let problem = |hash: &BlobHash| {
        let problems = result["problems"].as_array().unwrap().iter();
        problems.clone().find(|problem| problem["hash"] == json!(hash)).unwrap().clone()
    };
    assert_eq!(problem(&damaged)["quarantined"], true);
    assert_eq!(problem(&missing)["quarantined"], false);
    assert!(problem(&missing)["problem"].as_str().unwrap().contains("missing"));
    // The evidence is kept.
    let aside = root.path().join("blobs/.quarantine").join(format!("{damaged}.enc"));
    assert!(fs::read(&aside).unwrap() == bytes);
    assert_eq!(store.status("").status, Health::Degraded);
    drop(store);
    // It is still known after a start.
    let store = root.open_unlocked();
    assert_eq!(store.status("").status, Health::Degraded);
    assert_eq!(code(&read_blob(&store, &owner(), &damaged)), ErrorCode::IntegrityError);
    put_blob(&store, &owner(), &content(2, 200_000)).unwrap();
    assert_eq!(store.status("").status, Health::Ok);
    put_blob(&store, &owner(), &content(3, 200_000)).unwrap();
    assert_eq!(verify(&store, None)["damaged"], 0);
    assert!(aside.exists());
    let unknown = VerifyParams { hash: Some(sha256(b"unknown")), bytes_per_second: None };
    assert_eq!(code(&store.verify_blobs(&owner(), &unknown)), ErrorCode::NotFound);
    store.vault().lock();
    let all = VerifyParams { hash: None, bytes_per_second: None };
    assert_eq!(code(&store.verify_blobs(&owner(), &all)), ErrorCode::Locked);
}

/// To put a content again replaces a damaged file; what it replaces may be all that is left of something.
#[test]
fn a_put_over_a_damaged_file_keeps_the_evidence() {
    let root = Root::new();
    let store = root.open_unlocked();
    let known = put_blob(&store, &owner(), b"known").unwrap().hash;
    fs::write(root.blob(&known), "damaged").unwrap();
    let unknown = root.blob(&sha256(b"unknown"));
    fs::write(unknown, "damaged too").unwrap();
    for bytes in ["known", "unknown"] {
        put_blob(&store, &owner(), bytes.as_bytes()).unwrap();
        assert_eq!(
            read_blob(&store, &owner(), &sha256(bytes.as_bytes())).unwrap(),
            bytes.as_bytes()
        );
    }
    let aside = root.path().join("blobs/.quarantine");
    let kept: Vec<String> =
        names_in(&aside).iter().map(|name| fs::read_to_string(aside.join(name)).unwrap()).collect();
    assert_eq!(kept.len(), 2);
    assert!(kept.contains(&"damaged".to_owned()) && kept.contains(&"damaged too".to_owned()));
}

#[test]
fn files_of_the_old_format_are_adopted_read_and_upgraded() {
    let root = Root::new();
    let store = root.open_unlocked();
    let contents = [content(1, 0), content(2, 1), content(3, 300_000)];
    let hashes: Vec<BlobHash> = contents.iter().map(|bytes| seal_old(&root, bytes)).collect();
    let damaged = seal_old(&root, b"damaged later");
    assert_eq!(adopt(&store)["adopted"], 4);
    let component = component_caller("org.example.a");
    for (hash, bytes) in hashes.iter().zip(&contents) {
        assert!(read_blob(&store, &owner(), hash).unwrap() == *bytes);
        assert_eq!(
            stat(&store, &owner(), hash).unwrap().stored_size.unwrap().0,
            bytes.len() as u64 + 28
        );
    }
    let grant =
        GrantParams { hash: hashes[2], component_id: "org.example.a".parse().unwrap(), pin: None };
    store.db().write(64, move |tx| blobs::grant(tx, &Caller::Owner, &grant)).unwrap();
    fs::write(root.blob(&damaged), [1; 50]).unwrap();
    let result = upgrade(&store);
    assert_eq!((&result["contents"], &result["damaged"]), (&json!(3), &json!(1)));
    for (hash, bytes) in hashes.iter().zip(&contents) {
        assert!(fs::read(root.blob(hash)).unwrap().starts_with(b"OSNBLOB1"));
        assert!(read_blob(&store, &owner(), hash).unwrap() == *bytes);
        let on_disk = fs::metadata(root.blob(hash)).unwrap().len();
        assert_eq!(stat(&store, &owner(), hash).unwrap().stored_size.unwrap().0, on_disk);
    }
    assert!(read_blob(&store, &component, &hashes[2]).unwrap() == contents[2]);
    assert_eq!(upgrade(&store)["contents"], 0);
    assert!(names_in(&root.path().join("blobs/.tmp")).is_empty());
}

fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn a_store_looks_after_its_contents_by_itself() {
    let root = Root::new();
    let mut options = root.options();
    options.care.interval = Some(Duration::from_millis(10));
    let store = Store::open(options).unwrap();
    let dropped_in = {
        let other = Root::new();
        let store = other.open_unlocked();
        let hash = put_blob(&store, &owner(), b"dropped in").unwrap().hash;
        fs::copy(other.blob(&hash), root.blob(&hash)).unwrap();
        hash
    };
    store.unlock(master()).unwrap();
    wait_until("adopted", || stat(&store, &owner(), &dropped_in).is_ok());
    let loose = put_unpinned(&store, &owner(), b"loose");
    root.clock.advance(HOUR);
    wait_until("collected", || stat(&store, &owner(), &loose).is_err());
    assert!(Path::new(&root.blob(&dropped_in)).exists());
}

#[test]
fn a_root_of_version_6_collects_what_nothing_kept() {
    let root = Root::new();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/root-v6");
    fs::create_dir_all(root.path().join("blobs")).unwrap();
    for folder in [".", "blobs"] {
        for name in names_in(&fixture.join(folder)) {
            let from = fixture.join(folder).join(&name);
            if from.is_file() {
                fs::copy(from, root.path().join(folder).join(name)).unwrap();
            }
        }
    }
    let store = root.open_unlocked();
    let loose = sha256(b"held by nobody for long");
    assert!(is_there(&root, &store, &loose));
    assert_eq!(collect(&store)["contents"], 0);
    root.clock.advance(HOUR);
    assert_eq!(collect(&store)["contents"], 1);
    assert!(!is_there(&root, &store, &loose));
    assert_eq!(query::<u32>(&store, "SELECT count(*) FROM blob_contents"), 2);
}
