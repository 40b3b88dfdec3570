//! Uploads in chunks: in any order, again, over restarts and crashes; their bounds, and what is on disk.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::thread;

use common::*;
use osnova_storage_api::blobs::{
    BeginUploadParams, BlobPut, ChunkReceived, CommitUploadParams, UploadBegun, UploadParams,
    UploadStatus,
};
use osnova_storage_api::wire::{BlobHash, ChunkIndex, UnsignedInteger, UploadId, WireObject};
use osnova_storage_api::{ConflictReason, ErrorCode};
use osnova_storage_core::blob::PutChunk;
use osnova_storage_core::db::blobs::{self, uploads};
use osnova_storage_core::error::Result;
use osnova_storage_core::{Caller, Store, StoreOptions};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// The shortest chunks that may be asked for.
const CHUNK: usize = 64 << 10;

fn begin(store: &Store, caller: &Caller, asked: &str) -> Result<UploadBegun> {
    let params = BeginUploadParams::from_params(Some(asked)).unwrap();
    let caller = caller.clone();
    store.db().write(512, move |tx| uploads::begin(tx, &caller, &params))
}

/// Begins an upload in the shortest chunks.
fn begun(store: &Store, caller: &Caller) -> UploadId {
    begin(store, caller, r#"{"chunkBytes":65536}"#).unwrap().upload_id
}

fn send(
    store: &Store,
    caller: &Caller,
    id: &UploadId,
    index: u32,
    mut bytes: &[u8],
) -> Result<ChunkReceived> {
    send_from(store, caller, id, index, None, &mut bytes)
}

fn send_from(
    store: &Store,
    caller: &Caller,
    id: &UploadId,
    index: u32,
    expected_hash: Option<BlobHash>,
    source: &mut dyn Read,
) -> Result<ChunkReceived> {
    let keys = store.vault().keys()?;
    let put = PutChunk { upload_id: id.clone(), index: ChunkIndex(index), expected_hash };
    store.blobs().put_chunk(store.db(), &keys, caller, source, &put)
}

/// Sends a whole content in the shortest chunks.
fn send_all(store: &Store, caller: &Caller, id: &UploadId, bytes: &[u8]) {
    for (index, chunk) in (0..).zip(bytes.chunks(CHUNK)) {
        send(store, caller, id, index, chunk).unwrap();
    }
}

fn commit(store: &Store, caller: &Caller, id: &UploadId) -> Result<BlobPut> {
    commit_as(store, caller, id, None, None)
}

fn commit_as(
    store: &Store,
    caller: &Caller,
    id: &UploadId,
    expected_hash: Option<BlobHash>,
    chunks: Option<u64>,
) -> Result<BlobPut> {
    let keys = store.vault().keys()?;
    let chunks = chunks.map(UnsignedInteger);
    let params = CommitUploadParams { upload_id: id.clone(), expected_hash, chunks };
    store.blobs().commit_upload(store.db(), &keys, caller, &params)
}

fn how_far(store: &Store, caller: &Caller, id: &UploadId) -> Result<UploadStatus> {
    let params = UploadParams { upload_id: id.clone() };
    store.blobs().upload_status(store.db(), caller, &params)
}

/// The first and last index of each stretch that is there.
fn received(store: &Store, caller: &Caller, id: &UploadId) -> Vec<(u32, u32)> {
    let status = how_far(store, caller, id).unwrap();
    status.received.iter().map(|range| (range.from.0, range.to.0)).collect()
}

fn abort(store: &Store, caller: &Caller, id: &UploadId) -> bool {
    let params = UploadParams { upload_id: id.clone() };
    store.blobs().abort_upload(store.db(), caller, &params).unwrap().deleted
}

/// Which chunk a commit waits for.
fn wanted(result: &Result<BlobPut>) -> u64 {
    assert_eq!((code(result), reason(result)), (ErrorCode::Conflict, ConflictReason::Transition));
    result.as_ref().err().unwrap().to_api().data.index.unwrap()
}

fn temporary(root: &Root) -> PathBuf {
    root.path().join("blobs/.tmp")
}

fn chunk_files(root: &Root, id: &UploadId) -> Vec<PathBuf> {
    let folder = temporary(root).join(id.as_str());
    names_in(&folder).into_iter().map(|name| folder.join(name)).collect()
}

/// What chunks take is what a count says, and each row has its file.
fn check_whole(root: &Root, store: &Store) {
    let wrong: u32 = query(
        store,
        "WITH counted AS (
           SELECT 'uploading' AS what, holder, count(*) AS count, sum(chunks.size) AS bytes,
             sum(stored_size) AS stored_bytes
           FROM blob_upload_chunks AS chunks JOIN blob_uploads USING (upload_id) GROUP BY holder
           UNION ALL
           SELECT 'uploads', '', count(*), coalesce(sum(size), 0), coalesce(sum(stored_size), 0)
           FROM blob_upload_chunks)
         SELECT count(*) FROM counted
         FULL JOIN (SELECT * FROM totals WHERE what IN ('uploads', 'uploading')) AS totals
           USING (what, holder)
         WHERE (coalesce(counted.count, 0), coalesce(counted.bytes, 0), coalesce(counted.stored_bytes, 0))
           <> (coalesce(totals.count, 0), coalesce(totals.bytes, 0), coalesce(totals.stored_bytes, 0))",
    );
    assert_eq!(wrong, 0, "{:?}", dump(store)["totals"]);
    let rows: u64 = query(store, "SELECT count(*) FROM blob_upload_chunks");
    let mut files = 0;
    for folder in names_in(&temporary(root)) {
        files += names_in(&temporary(root).join(folder)).len() as u64;
    }
    assert_eq!(files, rows);
    store.db().integrity_check().unwrap();
}

#[test]
fn chunks_in_any_order_become_the_content() {
    let root = Root::new();
    let store = root.open_unlocked();
    for (seed, size) in
        [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK, 5 * CHUNK + 7].iter().enumerate()
    {
        let bytes = content(seed as u64, *size);
        for known in [true, false] {
            let asked = match known {
                true => format!(r#"{{"chunkBytes":65536,"size":{size},"name":"n","pin":false}}"#),
                false => r#"{"chunkBytes":65536,"name":"n","pin":false}"#.to_owned(),
            };
            let id = begin(&store, &owner(), &asked).unwrap().upload_id;
            let mut chunks: Vec<_> = (0..).zip(bytes.chunks(CHUNK)).collect();
            // 1, 3, 5, ..., then 0, 2, 4, ... backwards.
            chunks.sort_by_key(|(index, _)| {
                (index % 2 == 0, if index % 2 == 0 { -index } else { *index })
            });
            for (index, chunk) in chunks {
                let index = u32::try_from(index).unwrap();
                let told = send(&store, &owner(), &id, index, chunk).unwrap();
                assert_eq!((told.index.0, told.size.0), (index, chunk.len() as u64));
                assert_eq!(told.hash, sha256(chunk));
            }
            let status = how_far(&store, &owner(), &id).unwrap();
            assert_eq!((status.bytes.0, status.hash), (*size as u64, None));
            let put = commit(&store, &owner(), &id).unwrap();
            assert_eq!((put.hash, put.size.0, put.created), (sha256(&bytes), *size as u64, known));
            assert!(read_blob(&store, &owner(), &put.hash).unwrap() == bytes);
            let told = stat(&store, &owner(), &put.hash).unwrap();
            assert_eq!((told.name, told.pinned), (Some(name("n")), false));
            // Again: the same answer, for as long as it is kept.
            assert_eq!(commit(&store, &owner(), &id).unwrap(), put);
            assert_eq!(how_far(&store, &owner(), &id).unwrap().hash, Some(put.hash));
            assert!(names_in(&temporary(&root)).is_empty());
        }
    }
    check_whole(&root, &store);
    drop(store);
    let store = root.open_unlocked();
    assert_eq!(store.blobs().list_uploads(store.db(), &owner()).unwrap().items, []);
    check_whole(&root, &store);
}

#[test]
fn a_chunk_that_is_sent_again_takes_the_place_of_the_one_before() {
    let root = Root::new();
    let store = root.open_unlocked();
    let id = begun(&store, &owner());
    let (first, second) = (content(1, CHUNK), content(2, CHUNK));
    for bytes in [&first, &second, &first, &first] {
        send(&store, &owner(), &id, 0, bytes).unwrap();
        assert_eq!(chunk_files(&root, &id).len(), 1);
        check_whole(&root, &store);
    }
    // One of a wrong hash leaves what was there.
    let wrong = Some(sha256(&first));
    let refused = send_from(&store, &owner(), &id, 0, wrong, &mut second.as_slice());
    assert_eq!(fields(&refused.unwrap_err()), ["expectedHash"]);
    send_from(&store, &owner(), &id, 0, wrong, &mut first.as_slice()).unwrap();
    // And so does one whose sender breaks off.
    struct BreaksOff(usize);
    impl Read for BreaksOff {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(1).ok_or(io::ErrorKind::UnexpectedEof)?;
            buffer.fill(7);
            Ok(buffer.len().min(100))
        }
    }
    assert!(send_from(&store, &owner(), &id, 0, None, &mut BreaksOff(3)).is_err());
    check_whole(&root, &store);
    assert_eq!(commit(&store, &owner(), &id).unwrap().hash, sha256(&first));
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let root = Root::new();
    let store = root.open_unlocked();
    let owner = owner();
    // Of known size.
    let asked = format!(r#"{{"chunkBytes":65536,"size":{}}}"#, 2 * CHUNK + 3);
    let id = begin(&store, &owner, &asked).unwrap().upload_id;
    for (index, length, field) in [
        (0, 0, "data"),
        (0, CHUNK - 1, "data"),
        (0, CHUNK + 1, "data"),
        (2, 2, "data"),
        (2, 4, "data"),
        (3, 1, "index"),
        (1 << 19, 1, "index"),
    ] {
        let refused = send(&store, &owner, &id, index, &content(0, length));
        assert_eq!(fields(&refused.unwrap_err()), [field], "{length} at {index}");
    }
    assert_eq!(wanted(&commit(&store, &owner, &id)), 0);
    send(&store, &owner, &id, 0, &content(0, CHUNK)).unwrap();
    send(&store, &owner, &id, 2, &content(0, 3)).unwrap();
    assert_eq!(wanted(&commit(&store, &owner, &id)), 1);
    assert_eq!(received(&store, &owner, &id), [(0, 0), (2, 2)]);
    send(&store, &owner, &id, 1, &content(0, CHUNK)).unwrap();
    let refused = commit_as(&store, &owner, &id, None, Some(4)).unwrap_err();
    assert_eq!(fields(&refused), ["chunks"]);
    let refused = commit_as(&store, &owner, &id, Some(sha256(b"")), None).unwrap_err();
    assert_eq!(fields(&refused), ["expectedHash"]);
    check_whole(&root, &store);
    assert_eq!(received(&store, &owner, &id), [(0, 2)]);
    let put = commit_as(&store, &owner, &id, None, Some(3)).unwrap();
    // A committed one takes nothing more, and is what it is.
    assert_eq!(
        reason(&send(&store, &owner, &id, 0, &content(0, CHUNK))),
        ConflictReason::Transition
    );
    let refused = commit_as(&store, &owner, &id, Some(sha256(b"")), None).unwrap_err();
    assert_eq!(fields(&refused), ["expectedHash"]);
    assert_eq!(commit_as(&store, &owner, &id, Some(put.hash), None).unwrap(), put);

    // Of unknown size: the one that is shorter must be the last.
    let id = begun(&store, &owner);
    for (index, length) in [(0, 0), (0, CHUNK + 1)] {
        let refused = send(&store, &owner, &id, index, &content(0, length));
        assert_eq!(fields(&refused.unwrap_err()), ["data"]);
    }
    send(&store, &owner, &id, 4, &content(0, 1)).unwrap();
    for index in [3, 0, 1] {
        send(&store, &owner, &id, index, &content(0, CHUNK - usize::from(index == 1))).unwrap();
    }
    assert_eq!(wanted(&commit(&store, &owner, &id)), 1);
    send(&store, &owner, &id, 1, &content(0, CHUNK)).unwrap();
    assert_eq!(wanted(&commit(&store, &owner, &id)), 2);
    send(&store, &owner, &id, 2, &content(0, CHUNK)).unwrap();
    assert_eq!(wanted(&commit_as(&store, &owner, &id, None, Some(6))), 4);
    assert_eq!(fields(&commit_as(&store, &owner, &id, None, Some(4)).unwrap_err()), ["chunks"]);
    assert_eq!(commit(&store, &owner, &id).unwrap().size.0, 4 * CHUNK as u64 + 1);

    // The hash that it was begun with.
    let asked = format!(r#"{{"chunkBytes":65536,"expectedHash":"{}"}}"#, sha256(b"right"));
    let id = begin(&store, &owner, &asked).unwrap().upload_id;
    send(&store, &owner, &id, 0, b"wrong").unwrap();
    assert_eq!(fields(&commit(&store, &owner, &id).unwrap_err()), ["expectedHash"]);
    let other = commit_as(&store, &owner, &id, Some(sha256(b"wrong")), None);
    assert_eq!(fields(&other.unwrap_err()), ["expectedHash"]);
    send(&store, &owner, &id, 0, b"right").unwrap();
    assert_eq!(commit(&store, &owner, &id).unwrap().hash, sha256(b"right"));

    // Chunks that a content would have too many of.
    let large = (1_u64 << 20) * 65536 + 1;
    let mut options = root.options();
    drop(store);
    options.blobs.limit_bytes = u64::MAX >> 2;
    let store = Store::open(options).unwrap();
    let refused = begin(&store, &owner, &format!(r#"{{"size":{large},"chunkBytes":65536}}"#));
    assert_eq!(fields(&refused.unwrap_err()), ["chunkBytes"]);
    for (size, expected) in [(1, 8 << 20), (8 << 40, 8 << 20), ((8_u64 << 40) + 1, 16 << 20)] {
        let told = begin(&store, &owner, &format!(r#"{{"size":{size}}}"#)).unwrap();
        assert_eq!(u64::from(told.chunk_bytes.0), expected, "{size}");
    }
    let most = (1_u64 << 20) * (64 << 20);
    begin(&store, &owner, &format!(r#"{{"size":{most}}}"#)).unwrap();
    let refused = begin(&store, &owner, &format!(r#"{{"size":{}}}"#, most + 1));
    assert_eq!(fields(&refused.unwrap_err()), ["size"]);
}

#[test]
fn an_upload_goes_on_after_a_restart_and_leaves_nothing_behind() {
    let root = Root::new();
    let bytes = content(1, 3 * CHUNK + 9);
    let store = root.open_unlocked();
    let (id, dropped) = (begun(&store, &owner()), begun(&store, &owner()));
    send_all(&store, &owner(), &id, &bytes[..2 * CHUNK]);
    send_all(&store, &owner(), &dropped, &bytes);
    // A crash may leave what no row names: half a chunk, a chunk, a folder.
    fs::write(temporary(&root).join("0123"), "half").unwrap();
    fs::create_dir(temporary(&root).join("feed")).unwrap();
    fs::write(temporary(&root).join("feed/0-1"), "chunk").unwrap();
    fs::create_dir(temporary(&root).join("no id")).unwrap();
    drop(store);
    let store = root.open_unlocked();
    assert_eq!(names_in(&temporary(&root)).len(), 2);
    assert_eq!(received(&store, &owner(), &id), [(0, 1)]);
    let listed = store.blobs().list_uploads(store.db(), &owner()).unwrap().items;
    assert_eq!(listed.len(), 2);
    assert_eq!(listed.iter().find(|item| item.upload_id == id).unwrap().bytes.0, 2 * CHUNK as u64);
    for (index, chunk) in (0..).zip(bytes.chunks(CHUNK)).skip(2) {
        send(&store, &owner(), &id, index, chunk).unwrap();
    }
    // Its folder is still there, as after a crash in the middle of an abort.
    let folder = temporary(&root).join(dropped.as_str());
    let aside = root.path().join("aside");
    fs::rename(&folder, &aside).unwrap();
    assert!(abort(&store, &owner(), &dropped));
    fs::rename(&aside, &folder).unwrap();
    drop(store);
    let store = root.open_unlocked();
    assert_eq!(names_in(&temporary(&root)), [id.to_string()]);
    let put = commit(&store, &owner(), &id).unwrap();
    assert!(read_blob(&store, &owner(), &put.hash).unwrap() == bytes);
    drop(store);
    let store = root.open_unlocked();
    assert_eq!(commit(&store, &owner(), &id).unwrap(), put);
    assert!(!abort(&store, &owner(), &dropped));
    assert!(abort(&store, &owner(), &id), "what is known of it goes");
    assert_eq!(code(&commit(&store, &owner(), &id)), ErrorCode::NotFound);
    assert!(read_blob(&store, &owner(), &put.hash).unwrap() == bytes, "the content stays");
    check_whole(&root, &store);
}

#[test]
fn what_is_not_touched_for_too_long_is_dropped() {
    let root = Root::new();
    let mut options = root.options();
    options.blobs.uploads.expiry_ms = 3_600_000;
    let store = Store::open(options).unwrap();
    store.unlock(master()).unwrap();
    let told = begin(&store, &owner(), r#"{"chunkBytes":65536}"#).unwrap();
    assert_eq!(told.expires_after_seconds.0, 3600);
    let (touched, id) = (told.upload_id, begun(&store, &owner()));
    let committed = begun(&store, &owner());
    send(&store, &owner(), &committed, 0, b"kept").unwrap();
    commit(&store, &owner(), &committed).unwrap();
    send(&store, &owner(), &id, 0, b"lost").unwrap();
    root.clock.advance(3000);
    assert_eq!(store.sweep().unwrap(), 0);
    assert_eq!(how_far(&store, &owner(), &id).unwrap().expires_after_seconds.0, 600);
    send(&store, &owner(), &touched, 0, b"kept too").unwrap();
    root.clock.advance(599);
    assert_eq!(store.sweep().unwrap(), 0);
    root.clock.advance(1);
    assert_eq!(store.sweep().unwrap(), 2);
    for gone in [&id, &committed] {
        assert_eq!(code(&how_far(&store, &owner(), gone)), ErrorCode::NotFound);
    }
    assert_eq!(names_in(&temporary(&root)), [touched.to_string()]);
    check_whole(&root, &store);
    assert_eq!(commit(&store, &owner(), &touched).unwrap().hash, sha256(b"kept too"));
    assert!(read_blob(&store, &owner(), &sha256(b"kept")).is_ok());
}

#[test]
fn another_callers_upload_is_not_there() {
    let root = Root::new();
    let store = root.open_unlocked();
    let (a, b) = (component_caller("a"), component_caller("b"));
    for (whose, others) in [(&a, vec![&b]), (&owner(), vec![&a, &b])] {
        let id = begun(&store, whose);
        send(&store, whose, &id, 0, b"mine").unwrap();
        let before = dump(&store);
        for other in others {
            assert_eq!(code(&send(&store, other, &id, 0, b"yours")), ErrorCode::NotFound);
            assert_eq!(code(&how_far(&store, other, &id)), ErrorCode::NotFound);
            assert_eq!(code(&commit(&store, other, &id)), ErrorCode::NotFound);
            assert!(!abort(&store, other, &id));
            assert_eq!(store.blobs().list_uploads(store.db(), other).unwrap().items, []);
        }
        assert_eq!(dump(&store), before);
        assert_eq!(commit(&store, whose, &id).unwrap().hash, sha256(b"mine"));
    }
    // The owner sees everyone's, and what he does with one is done for whose it is.
    let id = begun(&store, &a);
    send(&store, &owner(), &id, 0, b"hers").unwrap();
    assert_eq!(received(&store, &a, &id), [(0, 0)]);
    commit(&store, &owner(), &id).unwrap();
    assert!(read_blob(&store, &a, &sha256(b"hers")).is_ok());
    let id = begun(&store, &a);
    assert!(abort(&store, &owner(), &id));
    assert_eq!(code(&how_far(&store, &a, &id)), ErrorCode::NotFound);
    check_whole(&root, &store);
}

#[test]
fn a_locked_store_takes_no_chunk_and_commits_nothing() {
    let root = Root::new();
    let store = root.open_unlocked();
    let id = begun(&store, &owner());
    send(&store, &owner(), &id, 0, b"sent").unwrap();
    store.vault().lock();
    assert_eq!(code(&send(&store, &owner(), &id, 1, b"more")), ErrorCode::Locked);
    assert_eq!(code(&commit(&store, &owner(), &id)), ErrorCode::Locked);
    assert_eq!(received(&store, &owner(), &id), [(0, 0)]);
    let other = begun(&store, &owner());
    assert!(abort(&store, &owner(), &other));
    store.unlock(master()).unwrap();
    assert_eq!(commit(&store, &owner(), &id).unwrap().hash, sha256(b"sent"));
}

/// Every file below a folder.
fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files_below(&path, found),
            false => found.push(path),
        }
    }
}

#[test]
fn nothing_of_an_upload_is_ever_in_clear_on_disk() {
    let root = Root::new();
    let store = root.open_unlocked();
    let bytes = content(3, 2 * CHUNK + 500);
    let id = begun(&store, &owner());
    let in_clear = || {
        let mut files = Vec::new();
        files_below(&root.path(), &mut files);
        assert!(files.len() > 3);
        let told = |path: &PathBuf| {
            let file = fs::read(path).unwrap();
            bytes.chunks(CHUNK).any(|chunk| file.windows(64).any(|window| window == &chunk[..64]))
        };
        files.into_iter().find(told)
    };
    send_all(&store, &owner(), &id, &bytes);
    assert_eq!(chunk_files(&root, &id).len(), 3);
    assert_eq!(in_clear(), None);
    commit(&store, &owner(), &id).unwrap();
    assert_eq!(in_clear(), None);
}

#[test]
fn a_chunk_that_was_damaged_on_disk_is_asked_for_again() {
    let root = Root::new();
    let store = root.open_unlocked();
    let bytes = content(4, 3 * CHUNK);
    let id = begun(&store, &owner());
    send_all(&store, &owner(), &id, &bytes);
    let file = |index: u32| {
        let files = chunk_files(&root, &id);
        let is_it = |path: &&PathBuf| {
            path.file_name().unwrap().to_str().unwrap().starts_with(&format!("{index}-"))
        };
        files.iter().find(is_it).unwrap().clone()
    };
    let flip = |path: &Path, at: usize| {
        let mut file = fs::read(path).unwrap();
        file[at] ^= 1;
        fs::write(path, file).unwrap();
    };
    let swap = |one: &Path, other: &Path| {
        let (first, second) = (fs::read(one).unwrap(), fs::read(other).unwrap());
        fs::write(one, second).unwrap();
        fs::write(other, first).unwrap();
    };
    let damages: [(&dyn Fn(), u64); 5] = [
        (&|| flip(&file(1), 300), 1),
        (&|| flip(&file(2), 20), 2),
        (&|| fs::remove_file(file(0)).unwrap(), 0),
        (&|| fs::write(file(1), "").unwrap(), 1),
        (&|| swap(&file(0), &file(2)), 0),
    ];
    for (damage, index) in damages {
        damage();
        assert_eq!(wanted(&commit(&store, &owner(), &id)), index);
        assert_eq!(how_far(&store, &owner(), &id).unwrap().bytes.0, 2 * CHUNK as u64);
        let at = usize::try_from(index).unwrap() * CHUNK;
        let index = u32::try_from(index).unwrap();
        send(&store, &owner(), &id, index, &bytes[at..at + CHUNK]).unwrap();
    }
    // The other one of those that were swapped.
    assert_eq!(wanted(&commit(&store, &owner(), &id)), 2);
    send(&store, &owner(), &id, 2, &bytes[2 * CHUNK..]).unwrap();
    assert_eq!(commit(&store, &owner(), &id).unwrap().hash, sha256(&bytes));
    check_whole(&root, &store);
}

fn with_limits(root: &Root, limit: u64, component: Option<u64>) -> Store {
    let mut options: StoreOptions = root.options();
    options.blobs.limit_bytes = limit;
    options.blobs.component_limit_bytes = component;
    options.blobs.uploads.of_owner = 3;
    options.blobs.uploads.of_component = 2;
    let store = Store::open(options).unwrap();
    store.unlock(master()).unwrap();
    store
}

#[test]
fn a_caller_has_so_many_uploads_at_a_time() {
    let root = Root::new();
    let store = with_limits(&root, 1 << 30, None);
    for (caller, most) in [(owner(), 3), (component_caller("a"), 2), (component_caller("b"), 2)] {
        let ids: Vec<UploadId> = (0..most).map(|_| begun(&store, &caller)).collect();
        assert_eq!(code(&begin(&store, &caller, "{}")), ErrorCode::QuotaExceeded);
        send(&store, &caller, &ids[0], 0, b"one").unwrap();
        commit(&store, &caller, &ids[0]).unwrap();
        begun(&store, &caller);
        assert_eq!(code(&begin(&store, &caller, "{}")), ErrorCode::QuotaExceeded);
        assert!(abort(&store, &caller, &ids[1]));
        begun(&store, &caller);
        assert_eq!(code(&begin(&store, &caller, "{}")), ErrorCode::QuotaExceeded);
    }
}

#[test]
fn committed_uploads_are_remembered_up_to_a_number() {
    let root = Root::new();
    let store = root.open_unlocked();
    let mut ids = Vec::new();
    for _ in 0..260 {
        let id = begun(&store, &owner());
        commit(&store, &owner(), &id).unwrap();
        ids.push(id);
        root.clock.advance(1);
    }
    let known: Vec<bool> = ids.iter().map(|id| how_far(&store, &owner(), id).is_ok()).collect();
    assert_eq!(known.iter().filter(|known| **known).count(), 257);
    assert!(known[3..].iter().all(|known| *known), "the oldest are forgotten");
}

/// What was sent counts as what is stored does, but not twice: the content takes the place of its chunks.
#[test]
fn chunks_count_against_the_limits_until_their_content_takes_their_place() {
    let root = Root::new();
    let store = with_limits(&root, 1 << 30, Some(4 * CHUNK as u64));
    let a = component_caller("a");
    let asked = format!(r#"{{"size":{}}}"#, 4 * CHUNK + 1);
    assert_eq!(code(&begin(&store, &a, &asked)), ErrorCode::QuotaExceeded);
    let bytes = content(1, 4 * CHUNK);
    let (id, other) = (begun(&store, &a), begun(&store, &a));
    send_all(&store, &a, &id, &bytes);
    let refused = send(&store, &a, &other, 0, b"x");
    assert_eq!(code(&refused), ErrorCode::QuotaExceeded);
    assert_eq!(code(&put_blob(&store, &a, b"y")), ErrorCode::QuotaExceeded);
    // What takes the place of another takes no more room.
    send(&store, &a, &id, 2, &bytes[2 * CHUNK..3 * CHUNK]).unwrap();
    check_whole(&root, &store);
    let put = commit(&store, &a, &id).unwrap();
    assert_eq!(code(&send(&store, &a, &other, 0, b"x")), ErrorCode::QuotaExceeded);
    delete_blob(&store, &a, &put.hash).unwrap();
    send(&store, &a, &other, 0, b"x").unwrap();
    assert!(abort(&store, &a, &other));
    put_blob(&store, &a, &bytes).unwrap();
    drop(store);

    // The whole store, to the byte of what four chunks take on disk.
    let taken = 4 * (CHUNK as u64 + 224);
    let root = Root::new();
    let store = with_limits(&root, taken, None);
    let id = begun(&store, &owner());
    send_all(&store, &owner(), &id, &bytes);
    let other = begun(&store, &owner());
    assert_eq!(code(&send(&store, &owner(), &other, 0, b"x")), ErrorCode::QuotaExceeded);
    assert_eq!(code(&put_blob(&store, &owner(), b"y")), ErrorCode::QuotaExceeded);
    commit(&store, &owner(), &id).unwrap();
    check_whole(&root, &store);
    drop(store);

    // What nothing keeps makes room for chunks.
    let root = Root::new();
    let store = with_limits(&root, taken, None);
    root.clock.advance(1);
    put_blob_with(&store, &owner(), &content(2, 3 * CHUNK), unpinned(), None).unwrap();
    let id = begun(&store, &owner());
    send(&store, &owner(), &id, 0, &bytes[..CHUNK]).unwrap();
    let refused = send(&store, &owner(), &id, 1, &bytes[CHUNK..2 * CHUNK]);
    assert_eq!(code(&refused), ErrorCode::QuotaExceeded);
    root.clock.advance(3601);
    send(&store, &owner(), &id, 1, &bytes[CHUNK..2 * CHUNK]).unwrap();
    check_whole(&root, &store);
}

fn unpinned() -> blobs::Holding {
    blobs::Holding { pinned: false, ..holding() }
}

#[test]
fn a_content_that_the_caller_sees_need_not_be_sent() {
    let root = Root::new();
    let store = root.open_unlocked();
    let (a, b) = (component_caller("a"), component_caller("b"));
    let hash = put_blob_with(&store, &a, b"known", unpinned(), None).unwrap().hash;
    let asked = |size: usize| {
        format!(r#"{{"expectedHash":"{hash}","name":"again","size":{size},"chunkBytes":65536}}"#)
    };
    let told = begin(&store, &a, &asked(5)).unwrap();
    assert!(told.present);
    let put = commit(&store, &a, &told.upload_id).unwrap();
    assert_eq!((put.hash, put.size.0, put.created), (hash, 5, false));
    assert_eq!(commit(&store, &a, &told.upload_id).unwrap(), put);
    let stat = stat(&store, &a, &hash).unwrap();
    assert_eq!((stat.name, stat.pinned), (Some(name("again")), true));
    // Who does not see it must send it, and is told nothing of it.
    let told = begin(&store, &b, &asked(5)).unwrap();
    assert!(!told.present);
    assert_eq!(wanted(&commit(&store, &b, &told.upload_id)), 0);
    send(&store, &b, &told.upload_id, 0, b"known").unwrap();
    assert!(commit(&store, &b, &told.upload_id).unwrap().created);
    // One of another size is another content; and one whose file is lost must be sent.
    let told = begin(&store, &a, &asked(6)).unwrap();
    assert_eq!(wanted(&commit(&store, &a, &told.upload_id)), 0);
    fs::remove_file(root.blob(&hash)).unwrap();
    let told = begin(&store, &owner(), &asked(5)).unwrap();
    assert!(told.present);
    assert_eq!(wanted(&commit(&store, &owner(), &told.upload_id)), 0);
    send(&store, &owner(), &told.upload_id, 0, b"known").unwrap();
    assert!(commit(&store, &owner(), &told.upload_id).unwrap().created);
    assert_eq!(read_blob(&store, &owner(), &hash).unwrap(), b"known");
}

#[test]
fn many_send_the_same_chunks_and_commit_at_once() {
    let root = Root::new();
    let store = root.open_unlocked();
    let bytes = content(6, 20 * CHUNK);
    let id = begun(&store, &owner());
    thread::scope(|scope| {
        for offset in 0..4 {
            let (store, id, bytes) = (&store, &id, &bytes);
            scope.spawn(move || {
                for step in 0..20 {
                    let index = (step + offset * 5) % 20;
                    let chunk = &bytes[index * CHUNK..(index + 1) * CHUNK];
                    send(store, &owner(), id, u32::try_from(index).unwrap(), chunk).unwrap();
                }
            });
        }
    });
    check_whole(&root, &store);
    thread::scope(|scope| {
        let commits: Vec<_> =
            (0..4).map(|_| scope.spawn(|| commit(&store, &owner(), &id))).collect();
        let mut committed = 0;
        for result in commits {
            match result.join().unwrap() {
                Ok(put) => {
                    assert_eq!((put.hash, put.created), (sha256(&bytes), true));
                    committed += 1;
                }
                Err(error) => assert_eq!(error.to_api().code(), ErrorCode::Unavailable),
            }
        }
        assert!(committed > 0);
    });
    assert!(read_blob(&store, &owner(), &sha256(&bytes)).unwrap() == bytes);
    check_whole(&root, &store);
}

#[derive(Debug, Clone)]
enum Step {
    Begin(usize, Option<usize>),
    /// Which upload, which place, which content, how long.
    Send(usize, u32, u64, usize),
    Commit(usize),
    Abort(usize),
    Sweep,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let length = prop_oneof![
        6 => Just(CHUNK),
        2 => Just(1_usize),
        1 => Just(CHUNK - 1),
        1 => Just(CHUNK + 1),
        1 => Just(0_usize),
    ];
    let size = prop_oneof![3 => Just(None), 3 => (0..3 * CHUNK).prop_map(Some)];
    prop_oneof![
        3 => (0..2_usize, size).prop_map(|(caller, size)| Step::Begin(caller, size)),
        20 => (0..4_usize, 0..4_u32, 0..2_u64, length)
            .prop_map(|(upload, index, seed, length)| Step::Send(upload, index, seed, length)),
        5 => (0..4_usize).prop_map(Step::Commit),
        1 => (0..4_usize).prop_map(Step::Abort),
        1 => Just(Step::Sweep),
        1 => Just(Step::Reopen),
    ]
}

/// What an upload must be.
struct Expected {
    id: UploadId,
    caller: Caller,
    size: Option<usize>,
    chunks: BTreeMap<u32, Vec<u8>>,
    committed: Option<BlobHash>,
    dropped: bool,
}

impl Expected {
    fn takes(&self, index: u32, length: usize) -> bool {
        let most = match self.size {
            None => {
                return !self.dropped && self.committed.is_none() && (1..=CHUNK).contains(&length);
            }
            Some(size) => size.saturating_sub(index as usize * CHUNK).min(CHUNK),
        };
        !self.dropped && self.committed.is_none() && most > 0 && length == most
    }

    fn whole(&self) -> Option<Vec<u8>> {
        let count = match self.size {
            Some(size) => size.div_ceil(CHUNK),
            None => self.chunks.keys().last().map_or(0, |last| *last as usize + 1),
        };
        let last = count.saturating_sub(1);
        let full =
            |(index, chunk): (&u32, &Vec<u8>)| *index as usize == last || chunk.len() == CHUNK;
        (self.chunks.len() == count && self.chunks.iter().all(full))
            .then(|| self.chunks.values().flatten().copied().collect())
    }
}

#[test]
fn random_steps_and_restarts_end_as_a_simple_model_says() {
    let mut runner =
        TestRunner::new(Config { cases: 30, failure_persistence: None, ..Config::default() });
    runner
        .run(&prop::collection::vec(step(), 1..60), |steps| {
            follow(&steps);
            Ok(())
        })
        .unwrap();
}

fn follow(steps: &[Step]) {
    let root = Root::new();
    let mut store = root.open_unlocked();
    let callers = [owner(), component_caller("a")];
    let mut model: Vec<Expected> = Vec::new();
    for step in steps {
        match step {
            Step::Begin(caller, size) => {
                let caller = callers[*caller].clone();
                let asked = match size {
                    Some(size) => format!(r#"{{"chunkBytes":65536,"size":{size}}}"#),
                    None => r#"{"chunkBytes":65536}"#.to_owned(),
                };
                let Ok(begun) = begin(&store, &caller, &asked) else { continue };
                model.push(Expected {
                    id: begun.upload_id,
                    caller,
                    size: *size,
                    chunks: BTreeMap::new(),
                    committed: None,
                    dropped: false,
                });
            }
            Step::Send(upload, index, seed, length) => {
                let Some(expected) = model.get_mut(*upload) else { continue };
                let bytes = content(*seed, *length);
                let sent = send(&store, &expected.caller, &expected.id, *index, &bytes);
                assert_eq!(sent.is_ok(), expected.takes(*index, *length), "{step:?}: {sent:?}");
                if sent.is_ok() {
                    expected.chunks.insert(*index, bytes);
                }
            }
            Step::Commit(upload) => {
                let Some(expected) = model.get_mut(*upload) else { continue };
                let put = commit(&store, &expected.caller, &expected.id);
                let hash = match (expected.dropped, expected.committed) {
                    (true, _) => None,
                    (false, Some(hash)) => Some(hash),
                    (false, None) => expected.whole().map(|bytes| sha256(&bytes)),
                };
                assert_eq!(put.ok().map(|put| put.hash), hash, "{step:?}");
                expected.committed = expected.committed.or(hash);
            }
            Step::Abort(upload) => {
                let Some(expected) = model.get_mut(*upload) else { continue };
                let deleted = abort(&store, &expected.caller, &expected.id);
                assert_eq!(deleted, !expected.dropped);
                expected.dropped = true;
            }
            Step::Sweep => assert_eq!(store.sweep().unwrap(), 0),
            Step::Reopen => {
                drop(store);
                store = root.open_unlocked();
            }
        }
    }
    for expected in &model {
        let status = how_far(&store, &expected.caller, &expected.id);
        if expected.dropped {
            assert_eq!(code(&status), ErrorCode::NotFound);
            continue;
        }
        let status = status.unwrap();
        assert_eq!(status.hash, expected.committed);
        if expected.committed.is_none() {
            let bytes: usize = expected.chunks.values().map(Vec::len).sum();
            assert_eq!(status.bytes.0, bytes as u64);
            let there: Vec<u32> =
                status.received.iter().flat_map(|range| range.from.0..=range.to.0).collect();
            assert_eq!(there, expected.chunks.keys().copied().collect::<Vec<_>>());
        } else if let Some(whole) = expected.whole() {
            assert!(read_blob(&store, &expected.caller, &sha256(&whole)).unwrap() == whole);
        }
    }
    check_whole(&root, &store);
}
