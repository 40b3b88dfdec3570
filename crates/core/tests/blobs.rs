//! The blob store: content in and out, who holds and sees it, its bounds, and what a crash leaves.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use common::*;
use osnova_storage_api::blobs::{
    BlobOrder, BlobPage, BlobUsage, DeleteParams, GrantParams, HasParams, HashParams, ListParams,
};
use osnova_storage_api::components::Direction;
use osnova_storage_api::status::Health;
use osnova_storage_api::wire::{BlobHash, Cursor, Limit, Timestamp};
use osnova_storage_api::{ConflictReason, ErrorCode};
use osnova_storage_core::blob::{BlobLimits, PutBlob, UploadLimits};
use osnova_storage_core::db::blobs::{self, Holding};
use osnova_storage_core::error::Result;
use osnova_storage_core::vault::keys::MasterKey;
use osnova_storage_core::{Caller, Store, StoreError};

/// What a caller says of a content.
fn said(text: &str, pinned: bool) -> Holding {
    Holding {
        name: Some(name(text)),
        content_type: Some(name(&format!("text/{text}"))),
        metadata: Some(json(&format!("{{ \"of\":\"{text}\" }}"))),
        pinned,
    }
}

const LIMITS: BlobLimits = BlobLimits {
    limit_bytes: 1 << 40,
    component_limit_bytes: None,
    disk_reserve_bytes: 0,
    grace_ms: 3_600_000,
    verify_bytes_per_second: 1 << 30,
    uploads: UploadLimits { of_owner: 1, of_component: 1, expiry_ms: 1 },
};

fn usage(store: &Store, caller: &Caller) -> BlobUsage {
    store.db().read(|reader| blobs::usage(reader, caller, &LIMITS)).unwrap()
}

fn has(store: &Store, caller: &Caller, hash: &BlobHash) -> bool {
    let params = HasParams { hashes: vec![*hash] };
    store.db().read(|reader| blobs::has(reader, caller, &params)).unwrap().present[0]
}

fn pin(store: &Store, caller: &Caller, hash: &BlobHash) -> Result<bool> {
    let (caller, params) = (caller.clone(), HashParams { hash: *hash });
    Ok(store.db().write(64, move |tx| blobs::pin(tx, &caller, &params))?.pinned)
}

fn unpin(store: &Store, caller: &Caller, hash: &BlobHash) -> Result<bool> {
    let (caller, params) = (caller.clone(), HashParams { hash: *hash });
    Ok(store.db().write(64, move |tx| blobs::unpin(tx, &caller, &params))?.pinned)
}

/// The hashes of the files that are there.
fn files(root: &Root) -> BTreeSet<String> {
    let names = names_in(&root.path().join("blobs")).into_iter();
    names.filter_map(|name| Some(name.strip_suffix(".enc")?.to_owned())).collect()
}

/// The hashes of the rows that are there.
fn rows(store: &Store) -> BTreeSet<String> {
    let all: Option<String> =
        query(store, "SELECT group_concat(lower(hex(hash))) FROM blob_contents");
    all.iter().flat_map(|all| all.split(',')).map(str::to_owned).collect()
}

/// Rows and files agree, totals are what a count says, nothing is left over.
fn check_whole(root: &Root, store: &Store) {
    assert_eq!(rows(store), files(root));
    assert!(names_in(&root.path().join("blobs/.tmp")).is_empty());
    let wrong_totals: u32 = query(
        store,
        "WITH counted AS (
           SELECT 'contents' AS what, '' AS holder, count(*) AS count,
             coalesce(sum(size), 0) AS bytes, coalesce(sum(stored_size), 0) AS stored_bytes
           FROM blob_contents
           UNION ALL
           SELECT 'held', holder, count(*), sum(size), sum(stored_size)
           FROM blob_holders JOIN blob_contents USING (content_id) GROUP BY holder)
         SELECT count(*) FROM counted FULL JOIN totals USING (what, holder)
         WHERE (coalesce(counted.count, 0), coalesce(counted.bytes, 0), coalesce(counted.stored_bytes, 0))
           <> (coalesce(totals.count, 0), coalesce(totals.bytes, 0), coalesce(totals.stored_bytes, 0))",
    );
    assert_eq!(wrong_totals, 0, "{:?}", dump(store)["totals"]);
    let stored: u64 = query(store, "SELECT coalesce(sum(stored_size), 0) FROM blob_contents");
    let on_disk: u64 = files(root)
        .iter()
        .map(|hash| fs::metadata(root.blob(&hash.parse().unwrap())).unwrap().len())
        .sum();
    assert_eq!(stored, on_disk);
    assert_eq!(query::<u32>(store, "SELECT count(*) FROM blob_unlinks"), 0);
    store.db().integrity_check().unwrap();
}

#[test]
fn content_of_every_size_comes_back_whole_and_in_parts() {
    let root = Root::new();
    let store = root.open_unlocked();
    const CHUNK: usize = 64 << 10;
    // Around the borders of chunks, of what is sealed in memory, and of the pipeline's blocks.
    let mut sizes = vec![0, 1, 100];
    for border in [CHUNK, 2 * CHUNK, 256 << 10, 1 << 20, 4 << 20] {
        sizes.extend([border - 1, border, border + 1]);
    }
    for (seed, size) in sizes.iter().copied().enumerate() {
        let bytes = content(seed as u64, size);
        let put = put_blob(&store, &owner(), &bytes).unwrap();
        assert_eq!((put.hash, put.size.0, put.created), (sha256(&bytes), size as u64, true));
        assert!(read_blob(&store, &owner(), &put.hash).unwrap() == bytes, "{size}");
        // A range may be longer than what is left.
        let end = read_range(&store, &owner(), &put.hash, (size / 4 * 3) as u64, size as u64);
        assert!(end.unwrap() == bytes[size / 4 * 3..]);
        let middle = size / 2;
        for offset in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, middle, size.saturating_sub(1), size] {
            for length in [0, 1, 100, CHUNK, CHUNK + 1] {
                let part = read_range(&store, &owner(), &put.hash, offset as u64, length as u64);
                if offset > size {
                    assert_eq!(fields(&part.unwrap_err()), ["offset"]);
                } else {
                    let expected = &bytes[offset..size.min(offset + length)];
                    assert!(part.unwrap() == expected, "{length} of {size} from {offset}");
                }
            }
        }
        if (100..=CHUNK).contains(&size) {
            let file = fs::read(root.blob(&put.hash)).unwrap();
            assert!(!file.windows(64).any(|window| window == &bytes[..64]), "it is in clear");
        }
    }
    check_whole(&root, &store);
    drop(store);
    let store = root.open_unlocked();
    for (seed, size) in sizes.into_iter().enumerate() {
        let bytes = content(seed as u64, size);
        assert!(read_blob(&store, &owner(), &sha256(&bytes)).unwrap() == bytes, "{size}");
    }
}

#[test]
fn what_is_said_of_a_content_is_its_holders() {
    let root = Root::new();
    let store = root.open_unlocked();
    let (a, b) = (component_caller("a"), component_caller("b"));
    let by_a = put_blob_with(&store, &a, b"same", said("a", true), None).unwrap();
    root.clock.advance(10);
    let by_b = put_blob_with(&store, &b, b"same", said("b", false), None).unwrap();
    // Each is told that it is new to him.
    assert!(by_a.created && by_b.created);
    assert_eq!(files(&root).len(), 1);
    assert_eq!(query::<u32>(&store, "SELECT count(*) FROM blob_holders"), 2);
    let hash = by_a.hash;
    let of_a = stat(&store, &a, &hash).unwrap();
    assert_eq!(of_a.name, Some(name("a")));
    assert_eq!(of_a.created_at, Timestamp(START));
    assert_eq!((of_a.stored_size, of_a.codec), (None, None));
    let of_b = stat(&store, &b, &hash).unwrap();
    assert_eq!(of_b.metadata, Some(json("{ \"of\":\"b\" }")));
    assert_eq!(of_b.created_at, Timestamp(START + 10));
    assert!(of_a.pinned && !of_b.pinned);
    let of_owner = stat(&store, &owner(), &hash).unwrap();
    assert_eq!(of_owner.content_type, Some(name("text/a")));
    assert_eq!(of_owner.codec.as_deref(), Some("none"));
    assert_eq!(of_owner.stored_size.unwrap().0, fs::metadata(root.blob(&hash)).unwrap().len());

    // Put again, it is not new, and what is said of it is replaced.
    let again = put_blob_with(&store, &a, b"same", said("other", false), None).unwrap();
    assert!(!again.created);
    let of_a = stat(&store, &a, &hash).unwrap();
    assert_eq!((of_a.name, of_a.pinned), (Some(name("other")), false));
    assert_eq!(of_a.created_at, Timestamp(START));

    // The owner's pin makes him a holder, with a total of his own.
    assert!(!stat(&store, &owner(), &hash).unwrap().pinned);
    assert!(pin(&store, &owner(), &hash).unwrap());
    assert!(pin(&store, &b, &hash).unwrap());
    assert!(unpin(&store, &owner(), &hash).unwrap(), "another's pin still holds");
    assert!(!unpin(&store, &b, &hash).unwrap());
    assert_eq!(query::<u32>(&store, "SELECT count(*) FROM blob_holders"), 3);
    assert_eq!(usage(&store, &a).count.0, 1);
    assert_eq!(usage(&store, &a).bytes.0, 4);
    assert_eq!(usage(&store, &a).stored_bytes, None);
    check_whole(&root, &store);

    // It stays for as long as anyone holds it; the owner's delete is everyone's.
    assert!(delete_blob(&store, &a, &hash).unwrap().deleted);
    assert!(!delete_blob(&store, &a, &hash).unwrap().deleted);
    assert_eq!(read_blob(&store, &b, &hash).unwrap(), b"same");
    check_whole(&root, &store);
    assert!(delete_blob(&store, &owner(), &hash).unwrap().deleted);
    assert_eq!(code(&stat(&store, &b, &hash)), ErrorCode::NotFound);
    assert!(files(&root).is_empty());
    check_whole(&root, &store);
}

#[test]
fn a_component_sees_only_what_it_holds() {
    let root = Root::new();
    let store = root.open_unlocked();
    let (a, b) = (component_caller("a"), component_caller("b"));
    let mine = put_blob(&store, &a, b"of a").unwrap().hash;
    let before = dump(&store);
    for stranger_sees in [mine, sha256(b"absent")] {
        let hash = &stranger_sees;
        assert_eq!(code(&read_blob(&store, &b, hash)), ErrorCode::NotFound);
        assert_eq!(code(&stat(&store, &b, hash)), ErrorCode::NotFound);
        assert_eq!(code(&pin(&store, &b, hash)), ErrorCode::NotFound);
        assert_eq!(code(&unpin(&store, &b, hash)), ErrorCode::NotFound);
        assert!(!has(&store, &b, hash));
        assert!(!delete_blob(&store, &b, hash).unwrap().deleted);
        let input = with_blobs(component("x"), &[("binary", *hash)]);
        let named = put_component_as(&store, &b, input, None);
        assert_eq!(reason(&named), ConflictReason::ForeignKey);
    }
    assert_eq!(usage(&store, &b).count.0, 0);
    assert_eq!(dump(&store), before);
    assert!(has(&store, &a, &mine) && has(&store, &owner(), &mine));
    assert_eq!(read_blob(&store, &owner(), &mine).unwrap(), b"of a");
}

#[test]
fn what_a_record_names_can_not_be_deleted() {
    let root = Root::new();
    let store = root.open_unlocked();
    let a = component_caller("a");
    let hash = put_blob(&store, &a, b"program").unwrap().hash;
    put_component(&store, with_blobs(component("c1"), &[("binary", hash), ("more", hash)]))
        .unwrap();
    put_component(&store, with_blobs(component("c2"), &[("binary", hash)])).unwrap();
    for caller in [owner(), a.clone()] {
        let refused = delete_blob(&store, &caller, &hash);
        assert_eq!(reason(&refused), ConflictReason::Referenced);
        let holders = refused.unwrap_err().to_api().data.holders;
        assert_eq!(holders.unwrap(), ["components/c1", "components/c2"]);
    }
    assert_eq!(read_blob(&store, &a, &hash).unwrap(), b"program");
    put_component(&store, component("c1")).unwrap();
    delete_component(&store, "c2", None).unwrap();
    assert!(delete_blob(&store, &a, &hash).unwrap().deleted);
    assert!(files(&root).is_empty());
    check_whole(&root, &store);
    // Put again, it is there again.
    assert!(put_blob(&store, &a, b"program").unwrap().created);
    assert_eq!(read_blob(&store, &a, &hash).unwrap(), b"program");
    check_whole(&root, &store);
}

#[test]
fn usage_is_exact() {
    let root = Root::new();
    let store = root.open_unlocked();
    let callers = [owner(), component_caller("a"), component_caller("b")];
    for step in 0..60_usize {
        let caller = &callers[step % 3];
        let bytes = content((step % 7) as u64, (step % 7) * 1000);
        if step % 5 == 4 {
            delete_blob(&store, caller, &sha256(&bytes)).unwrap();
        } else {
            put_blob(&store, caller, &bytes).unwrap();
        }
        check_whole(&root, &store);
    }
    let all = usage(&store, &owner());
    assert_eq!(all.count.0, rows(&store).len() as u64);
    assert_eq!(all.limit_bytes.0, 1 << 40);
    drop(store);
    check_whole(&root, &root.open());
}

/// A source that fails after some bytes, as when a client hangs up.
struct Broken(usize);

impl Read for Broken {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::Error::from(io::ErrorKind::ConnectionReset));
        }
        let len = self.0.min(buffer.len());
        buffer[..len].fill(7);
        self.0 -= len;
        Ok(len)
    }
}

#[test]
fn what_is_not_whole_or_not_what_was_promised_is_not_stored() {
    let root = Root::new();
    let store = root.open_unlocked();
    let before = dump(&store);
    for size in [10, 300_000, 3_000_000] {
        let bytes = content(1, size);
        let refused =
            put_blob_with(&store, &owner(), &bytes, holding(), Some(sha256(b"something else")));
        assert_eq!(fields(&refused.unwrap_err()), ["expectedHash"]);
        let keys = store.vault().keys().unwrap();
        let put = PutBlob { holding: holding(), expected_hash: None, length: None };
        let broken = store.blobs().put(store.db(), &keys, &owner(), &mut Broken(size), &put);
        assert_eq!(code(&broken), ErrorCode::IoError);
    }
    assert_eq!(dump(&store), before);
    check_whole(&root, &store);
    let bytes = content(1, 10);
    put_blob_with(&store, &owner(), &bytes, holding(), Some(sha256(&bytes))).unwrap();
}

#[test]
fn a_full_store_refuses_what_is_new() {
    let root = Root::new();
    let mut options = root.options();
    options.blobs.limit_bytes = 1_000_000;
    let store = Store::open(options).unwrap();
    store.unlock(master()).unwrap();
    let first = content(1, 400_000);
    let hash = put_blob(&store, &owner(), &first).unwrap().hash;
    let taken = usage(&store, &owner()).stored_bytes.unwrap().0;
    // To the byte: what a file takes beside its content depends on its length only by chunks.
    let rest = usize::try_from(1_000_000 - taken).unwrap();
    let overhead = 208 + 16 * rest.div_ceil(64 << 10);
    for len in [rest - overhead + 1, rest, 999_000, 1_000_001, 5_000_000] {
        let refused = put_blob(&store, &component_caller("a"), &content(2, len));
        assert_eq!(code(&refused), ErrorCode::QuotaExceeded, "{len}");
        check_whole(&root, &store);
    }
    put_blob(&store, &owner(), &content(2, rest - overhead)).unwrap();
    assert_eq!(usage(&store, &owner()).stored_bytes.unwrap().0, 1_000_000);
    assert_eq!(code(&put_blob(&store, &owner(), b"one more")), ErrorCode::QuotaExceeded);
    // What is there takes no room: its put may be repeated. A component that does not hold it is
    // refused as if it were new, or it could find out by trying what others hold.
    assert!(!put_blob(&store, &owner(), &first).unwrap().created);
    let told = |content: &[u8]| {
        let refused = put_blob(&store, &component_caller("a"), content).unwrap_err().to_api();
        (refused.code(), refused.message)
    };
    assert_eq!(told(&first), told(&content(3, first.len())));
    assert_eq!(told(&first).0, ErrorCode::QuotaExceeded);
    assert_eq!(status(&store), Health::Ok);
    delete_blob(&store, &owner(), &hash).unwrap();
    put_blob(&store, &owner(), b"one more").unwrap();
    check_whole(&root, &store);
}

/// The store's own limit stands behind the component's: a quota is of what was put, shared or not, so
/// that it tells nothing of what others hold.
#[test]
fn a_component_holds_no_more_than_its_quota() {
    let root = Root::new();
    let mut options = root.options();
    options.blobs.component_limit_bytes = Some(1000);
    let store = Store::open(options).unwrap();
    store.unlock(master()).unwrap();
    let (a, b) = (component_caller("a"), component_caller("b"));
    let theirs = content(9, 300);
    put_blob(&store, &owner(), &theirs).unwrap();
    let mine = put_blob(&store, &a, &content(1, 800)).unwrap().hash;
    let before = dump(&store);
    for (what, refused) in [
        ("new", put_blob(&store, &a, &content(2, 201))),
        ("another's", put_blob(&store, &a, &theirs)),
        ("larger than all", put_blob(&store, &a, &content(3, 1001))),
    ] {
        assert_eq!(code(&refused), ErrorCode::QuotaExceeded, "{what}");
        assert_eq!(dump(&store), before, "{what}");
    }
    // To the byte; what it holds may be put again; others have a quota of their own.
    put_blob(&store, &a, &content(2, 200)).unwrap();
    assert_eq!(code(&put_blob(&store, &a, b"x")), ErrorCode::QuotaExceeded);
    assert!(!put_blob(&store, &a, &content(1, 800)).unwrap().created);
    put_blob(&store, &b, &content(1, 800)).unwrap();
    put_blob(&store, &owner(), &content(4, 5000)).unwrap();
    // What it deletes is free again.
    assert!(delete_blob(&store, &a, &mine).unwrap().deleted);
    put_blob(&store, &a, &content(5, 800)).unwrap();
    check_whole(&root, &store);
}

/// A record that a component may not see keeps a content, but the component is told nothing of it: to
/// it its delete looks as if the content were its own alone.
#[test]
fn another_s_record_keeps_a_content_and_is_not_told_of() {
    let root = Root::new();
    let store = root.open_unlocked();
    let a = component_caller("a");
    let hash = put_blob(&store, &a, b"attached").unwrap().hash;
    execute(
        &store,
        "INSERT INTO blob_references (namespace, record_key, role, content_id)
         SELECT 'messages', 'm1', 'attachment', content_id FROM blob_contents",
    );
    assert_eq!(stat(&store, &a, &hash).unwrap().references.0, 0);
    assert!(delete_blob(&store, &a, &hash).unwrap().deleted);
    assert_eq!(code(&stat(&store, &a, &hash)), ErrorCode::NotFound);
    assert_eq!(usage(&store, &a).count.0, 0);
    // The owner sees why it stays.
    assert_eq!(read_blob(&store, &owner(), &hash).unwrap(), b"attached");
    let refused = delete_blob(&store, &owner(), &hash).unwrap_err().to_api();
    assert_eq!(refused.data.holders, Some(vec!["messages/m1".to_owned()]));
    execute(&store, "DELETE FROM blob_references");
    assert!(delete_blob(&store, &owner(), &hash).unwrap().deleted);
    assert!(files(&root).is_empty());
    check_whole(&root, &store);
}

#[test]
fn a_grant_shows_a_content_and_is_taken_back() {
    let root = Root::new();
    let store = root.open_unlocked();
    let (a, b) = (component_caller("a"), component_caller("b"));
    let hash = put_blob_with(&store, &owner(), b"for a", said("gift", true), None).unwrap().hash;
    let grant = |hash: BlobHash, to: &str, pin: Option<bool>| {
        let params = GrantParams { hash, component_id: to.parse().unwrap(), pin };
        store.db().write(64, move |tx| blobs::grant(tx, &owner(), &params))
    };
    let take_back = |from: &str| {
        let params = DeleteParams { hash, component_id: Some(from.parse().unwrap()) };
        store.blobs().delete(store.db(), &owner(), &params).unwrap().deleted
    };
    assert_eq!(code(&grant(sha256(b"absent"), "a", None)), ErrorCode::NotFound);
    assert_eq!(code(&stat(&store, &a, &hash)), ErrorCode::NotFound);
    grant(hash, "a", None).unwrap();
    let seen = stat(&store, &a, &hash).unwrap();
    assert_eq!((seen.name, seen.pinned), (Some(name("gift")), true));
    assert_eq!(read_blob(&store, &a, &hash).unwrap(), b"for a");
    assert_eq!(usage(&store, &a).bytes.0, 5);
    assert_eq!(code(&stat(&store, &b, &hash)), ErrorCode::NotFound);

    // What the component said itself stays, and a grant takes no pin away.
    put_blob_with(&store, &a, b"for a", said("mine", true), None).unwrap();
    grant(hash, "a", Some(false)).unwrap();
    let seen = stat(&store, &a, &hash).unwrap();
    assert_eq!((seen.name, seen.pinned), (Some(name("mine")), true));
    assert_eq!(usage(&store, &a).count.0, 1);
    check_whole(&root, &store);

    // To take it back does not ask who else names the content, and takes nothing from others.
    put_component(&store, with_blobs(component("c1"), &[("binary", hash)])).unwrap();
    assert!(!take_back("b"));
    assert!(take_back("a"));
    assert!(!take_back("a"));
    assert_eq!(code(&read_blob(&store, &a, &hash)), ErrorCode::NotFound);
    assert_eq!(read_blob(&store, &owner(), &hash).unwrap(), b"for a");
    check_whole(&root, &store);

    // A component may name itself, and no other.
    put_blob(&store, &b, b"of b").unwrap();
    let of_b = |by: &Caller, whose: &str| {
        let params =
            DeleteParams { hash: sha256(b"of b"), component_id: Some(whose.parse().unwrap()) };
        store.blobs().delete(store.db(), by, &params)
    };
    assert_eq!(code(&of_b(&a, "b")), ErrorCode::NotFound);
    assert!(of_b(&b, "b").unwrap().deleted);
    check_whole(&root, &store);
}

#[test]
fn a_disk_that_is_nearly_full_takes_records_and_no_blobs() {
    let root = Root::new();
    let store = root.open_unlocked();
    let hash = put_blob(&store, &owner(), b"before").unwrap().hash;
    drop(store);
    let mut options = root.options();
    options.blobs.disk_reserve_bytes = u64::MAX;
    let store = Store::open(options).unwrap();
    store.unlock(master()).unwrap();
    let before = dump(&store);
    for size in [0, 10, 3_000_000] {
        assert_eq!(code(&put_blob(&store, &owner(), &content(1, size))), ErrorCode::DiskFull);
    }
    assert_eq!(dump(&store), before);
    check_whole(&root, &store);
    assert_eq!(status(&store), Health::Degraded);
    set(&store, "k", "1").unwrap();
    assert_eq!(read_blob(&store, &owner(), &hash).unwrap(), b"before");
    assert!(delete_blob(&store, &owner(), &hash).unwrap().deleted);
    check_whole(&root, &store);
    drop(store);
    let store = root.open_unlocked();
    put_blob(&store, &owner(), b"after").unwrap();
    assert_eq!(status(&store), Health::Ok);
}

// Keys.

fn other_master() -> MasterKey {
    MasterKey::from_bytes(&[7; 32])
}

#[test]
fn a_locked_store_keeps_records_and_no_content() {
    let root = Root::new();
    let store = root.open_unlocked();
    let hash = put_blob(&store, &owner(), b"content").unwrap().hash;
    assert!(!store.vault_state().locked);
    store.vault().lock();
    let state = store.vault_state();
    assert!(state.locked && state.initialized && state.key_id.is_none());
    assert_eq!(code(&put_blob(&store, &owner(), b"more")), ErrorCode::Locked);
    assert_eq!(code(&read_blob(&store, &owner(), &hash)), ErrorCode::Locked);
    set(&store, "k", "1").unwrap();
    assert!(stat(&store, &owner(), &hash).is_ok());
    store.unlock(master()).unwrap();
    assert_eq!(read_blob(&store, &owner(), &hash).unwrap(), b"content");
}

#[test]
fn a_wrong_key_is_refused_and_writes_nothing() {
    let root = Root::new();
    let store = root.open();
    let state = store.vault_state();
    assert!(state.locked && !state.initialized);
    // The first key that an empty root is given becomes its own.
    let state = store.unlock(master()).unwrap();
    assert!(!state.locked && state.initialized);
    assert_eq!(state.key_id.as_deref(), Some("b0d3eb19f08a56fe"));
    let hash = put_blob(&store, &owner(), b"content").unwrap().hash;
    let before = dump(&store);
    assert_eq!(code(&store.unlock(other_master())), ErrorCode::WrongKey);
    // The right one stays loaded.
    assert_eq!(read_blob(&store, &owner(), &hash).unwrap(), b"content");
    drop(store);

    let store = root.open();
    assert_eq!(code(&store.unlock(other_master())), ErrorCode::WrongKey);
    assert!(store.vault_state().locked);
    store.unlock(master()).unwrap();
    let mut after = dump(&store);
    // Each start begins a range of revisions; else nothing differs.
    let (mut before, ranges) = (before, "feed_ranges");
    assert_eq!(after[ranges].len(), before[ranges].len() + 1);
    after.remove(ranges);
    before.remove(ranges);
    assert_eq!(after, before);
}

#[test]
fn a_root_without_a_check_value_takes_only_a_key_that_opens_its_files() {
    let root = Root::new();
    let store = root.open_unlocked();
    let hashes: Vec<BlobHash> =
        (0..4).map(|seed| put_blob(&store, &owner(), &content(seed, 100)).unwrap().hash).collect();
    execute(&store, "DELETE FROM meta WHERE key = 'key_check'");
    drop(store);
    // Most of the files are damaged, one of them is missing.
    fs::remove_file(root.blob(&hashes[0])).unwrap();
    for hash in &hashes[1..3] {
        fs::write(root.blob(hash), b"OSNBLOB1 no more").unwrap();
    }
    let store = root.open();
    assert!(!store.vault_state().initialized);
    let before = dump(&store);
    assert_eq!(code(&store.unlock(other_master())), ErrorCode::WrongKey);
    assert_eq!(dump(&store), before);
    store.unlock(master()).unwrap();
    assert_eq!(query::<u32>(&store, "SELECT count(*) FROM meta WHERE key = 'key_check'"), 1);

    // Files alone, without a row, count as well; so do rows without a file.
    let with_file = Root::new();
    drop(with_file.open());
    fs::copy(root.blob(&hashes[3]), with_file.blob(&hashes[3])).unwrap();
    let store_with_file = with_file.open();
    assert_eq!(code(&store_with_file.unlock(other_master())), ErrorCode::WrongKey);
    store_with_file.unlock(master()).unwrap();

    execute(&store, "DELETE FROM meta WHERE key = 'key_check'");
    for hash in &hashes[1..] {
        fs::remove_file(root.blob(hash)).unwrap();
    }
    store.vault().lock();
    assert_eq!(code(&store.unlock(other_master())), ErrorCode::WrongKey);
}

// Damage.

/// A put of a content whose file was lost used to be acknowledged by its row alone, and the good copy
/// that came with it was dropped: the caller might then have discarded the last one.
#[test]
fn a_lost_file_is_healed_by_putting_the_content_again() {
    let root = Root::new();
    let store = root.open_unlocked();
    let whole = content(1, 200_000);
    let hash = put_blob(&store, &owner(), &whole).unwrap().hash;
    let breaks: [fn(&std::path::Path); 3] = [
        |path| fs::remove_file(path).unwrap(),
        |path| fs::write(path, b"").unwrap(),
        |path| fs::write(path, [7; 4096]).unwrap(),
    ];
    for break_it in breaks {
        break_it(&root.blob(&hash));
        store.note_error(&read_blob(&store, &owner(), &hash).unwrap_err());
        assert_eq!(status(&store), Health::Degraded);
        let again = put_blob(&store, &owner(), &whole).unwrap();
        assert!(!again.created);
        assert_eq!(read_blob(&store, &owner(), &hash).unwrap(), whole);
        assert_eq!(status(&store), Health::Ok);
    }
    let stored = fs::metadata(root.blob(&hash)).unwrap().len();
    assert_eq!(stat(&store, &owner(), &hash).unwrap().stored_size.unwrap().0, stored);
}

#[test]
fn damage_is_told_and_stands_in_the_status() {
    type Break = fn(&mut Vec<u8>);
    let breaks: [(&str, Break); 5] = [
        ("header", |file| file[195] ^= 1),
        ("magic", |file| file[0] ^= 1),
        ("empty", Vec::clear),
        ("first chunk", |file| file[300] ^= 1),
        ("cut off", |file| file.truncate(file.len() - 1)),
    ];
    for (what, break_it) in breaks {
        let root = Root::new();
        let store = root.open_unlocked();
        let hash = put_blob(&store, &owner(), &content(1, 200_000)).unwrap().hash;
        let mut file = fs::read(root.blob(&hash)).unwrap();
        break_it(&mut file);
        fs::write(root.blob(&hash), file).unwrap();
        let error = read_blob(&store, &owner(), &hash).unwrap_err();
        assert!(matches!(error, StoreError::Damaged(_)), "{what}: {error:?}");
        assert_eq!(error.to_api().code(), ErrorCode::IntegrityError);
        // What is found while a content is read is noted by whoever serves it.
        store.note_error(&error);
        assert_eq!(status(&store), Health::Degraded, "{what}");
        // It can be deleted, and put anew.
        delete_blob(&store, &owner(), &hash).unwrap();
        put_blob(&store, &owner(), &content(1, 200_000)).unwrap();
        assert!(read_blob(&store, &owner(), &hash).unwrap() == content(1, 200_000));
    }
    let root = Root::new();
    let store = root.open_unlocked();
    let hash = put_blob(&store, &owner(), b"content").unwrap().hash;
    let other = put_blob(&store, &owner(), b"another").unwrap().hash;
    // A file under another's name does not open either.
    fs::copy(root.blob(&other), root.blob(&hash)).unwrap();
    assert_eq!(code(&read_blob(&store, &owner(), &hash)), ErrorCode::IntegrityError);
    fs::remove_file(root.blob(&hash)).unwrap();
    assert_eq!(code(&read_blob(&store, &owner(), &hash)), ErrorCode::IntegrityError);
    assert_eq!(status(&store), Health::Degraded);
}

// Lists.

fn all_pages(
    store: &Store,
    caller: &Caller,
    order_by: BlobOrder,
    direction: Direction,
    pinned: Option<bool>,
    limit: u16,
) -> Vec<BlobHash> {
    let mut hashes = Vec::new();
    let mut cursor = None;
    loop {
        let page = list(store, caller, order_by, direction, pinned, limit, cursor).unwrap();
        assert!(page.items.len() <= usize::from(limit));
        for item in &page.items {
            assert_eq!(*item, stat(store, caller, &item.hash).unwrap());
        }
        hashes.extend(page.items.iter().map(|item| item.hash));
        cursor = page.next_cursor;
        if cursor.is_none() {
            return hashes;
        }
    }
}

fn list(
    store: &Store,
    caller: &Caller,
    order_by: BlobOrder,
    direction: Direction,
    pinned: Option<bool>,
    limit: u16,
    cursor: Option<Cursor>,
) -> Result<BlobPage> {
    let params = ListParams {
        order_by: Some(order_by),
        direction: Some(direction),
        pinned,
        limit: Some(Limit(limit)),
        cursor,
    };
    store.db().read(|reader| blobs::list(reader, caller, &params))
}

#[test]
fn blobs_are_listed_in_every_order_in_pages_of_every_size() {
    let root = Root::new();
    let store = root.open_unlocked();
    let callers = [owner(), component_caller("a"), component_caller("b")];
    for index in 0..12_u64 {
        // Two in each second; the owner and a hold some in common, pinned by one of them or none.
        root.clock.set(START + i64::try_from(index / 2).unwrap());
        let bytes = content(index, 10);
        let pinned = Holding { pinned: index % 4 == 0, ..holding() };
        put_blob_with(&store, &callers[(index % 3) as usize], &bytes, pinned, None).unwrap();
        if index % 3 == 0 {
            let pinned = Holding { pinned: index % 2 == 1, ..holding() };
            put_blob_with(&store, &callers[1], &bytes, pinned, None).unwrap();
        }
    }
    for caller in &callers {
        for order in [BlobOrder::CreatedAt, BlobOrder::Hash] {
            for direction in [Direction::Ascending, Direction::Descending] {
                for pinned in [None, Some(true), Some(false)] {
                    let mut expected: Vec<(i64, BlobHash)> = (0..12)
                        .filter_map(|index| {
                            let stat = stat(&store, caller, &sha256(&content(index, 10))).ok()?;
                            let time = match order {
                                BlobOrder::CreatedAt => stat.created_at.0,
                                BlobOrder::Hash => 0,
                            };
                            pinned
                                .is_none_or(|pinned| stat.pinned == pinned)
                                .then_some((time, stat.hash))
                        })
                        .collect();
                    expected.sort_unstable();
                    if direction == Direction::Descending {
                        expected.reverse();
                    }
                    let expected: Vec<BlobHash> =
                        expected.into_iter().map(|(_, hash)| hash).collect();
                    assert!(caller.is_owner() || expected.len() < 12);
                    for limit in 1..=13 {
                        let listed = all_pages(&store, caller, order, direction, pinned, limit);
                        assert_eq!(
                            listed, expected,
                            "{caller:?} {order:?} {direction:?} {pinned:?}"
                        );
                    }
                }
            }
        }
    }
    let first = |caller: &Caller, pinned, cursor| {
        list(&store, caller, BlobOrder::Hash, Direction::Ascending, pinned, 1, cursor)
    };
    let cursor = first(&owner(), None, None).unwrap().next_cursor;
    assert!(first(&owner(), None, cursor.clone()).is_ok());
    for other in [first(&callers[1], None, cursor.clone()), first(&owner(), Some(true), cursor)] {
        assert_eq!(fields(&other.unwrap_err()), ["cursor"]);
    }
}

// Crashes and races.

#[test]
fn what_a_crash_left_is_cleaned_up_and_nothing_else() {
    let root = Root::new();
    let store = root.open_unlocked();
    let kept = put_blob(&store, &owner(), b"kept").unwrap().hash;
    let stray = put_blob(&store, &owner(), b"stray").unwrap().hash;
    let rubbish = put_blob(&store, &owner(), b"rubbish").unwrap().hash;
    let (tag_of_rubbish, tag_of_kept) = (root.tag(&rubbish), root.tag(&kept));
    // A crash between rename and commit leaves a file without a row; one between the commit that
    // removes a row and the unlinking leaves a file that is named as rubbish.
    execute(
        &store,
        "DELETE FROM blob_holders; DELETE FROM totals;
         DELETE FROM blob_contents;",
    );
    let name_it = |hash: BlobHash, tag: [u8; 16]| {
        let name_it = move |tx: &osnova_storage_core::db::Tx<'_>| {
            let name_it = "INSERT INTO blob_unlinks VALUES (?1, ?2)";
            Ok(tx.connection().execute(name_it, (hash.as_bytes(), tag))?)
        };
        store.db().write(64, name_it).unwrap();
    };
    name_it(rubbish, tag_of_rubbish);
    // This one was put again since, so it is not rubbish any more.
    put_blob(&store, &owner(), b"kept").unwrap();
    name_it(kept, tag_of_kept);
    drop(store);
    let tmp = root.path().join("blobs/.tmp");
    fs::write(tmp.join("00ff"), b"half of a blob").unwrap();
    fs::write(tmp.join("11ee"), b"").unwrap();
    fs::create_dir(tmp.join("an-upload")).unwrap();
    fs::write(tmp.join("an-upload/0"), b"a chunk").unwrap();
    fs::write(root.path().join("blobs/notes.txt"), b"not ours").unwrap();

    let store = root.open_unlocked();
    assert!(names_in(&tmp).is_empty());
    assert_eq!(files(&root), BTreeSet::from([kept.to_string(), stray.to_string()]));
    assert!(!root.blob(&rubbish).exists());
    assert!(root.path().join("blobs/notes.txt").exists());
    assert_eq!(read_blob(&store, &owner(), &kept).unwrap(), b"kept");
    let told = store.status("");
    assert_eq!(told.status, Health::Ok);
    assert!(told.notices[0].message.contains("3 unfinished blobs, 1 deleted"), "{told:?}");
    // The stray one is of use to whoever puts it again.
    assert!(put_blob(&store, &owner(), b"stray").unwrap().created);
    assert_eq!(read_blob(&store, &owner(), &stray).unwrap(), b"stray");
    drop(store);
    let store = root.open();
    assert!(store.status("").notices.is_empty());
    assert!(root.blob(&kept).exists() && root.blob(&stray).exists());
}

#[test]
fn many_contents_are_entered_together_or_not_at_all() {
    let root = Root::new();
    let mut options = root.options();
    options.blobs.component_limit_bytes = Some(10_000);
    let store = Store::open(options).unwrap();
    store.unlock(master()).unwrap();
    let keys = store.vault().keys().unwrap();
    let component = component_caller("org.example.a");
    let put_many = |contents: &[Vec<u8>]| {
        let mut batch = store.blobs().batch(&keys, &component);
        for bytes in contents {
            let put = PutBlob { holding: holding(), expected_hash: None, length: None };
            batch.seal(&mut bytes.as_slice(), &put)?;
        }
        batch.enter(store.db())
    };
    let known = content(1, 1000);
    put_blob(&store, &owner(), &known).unwrap();
    // One that another holds, one twice, one that is empty.
    let contents = [content(2, 1000), known, content(3, 70), content(2, 1000), Vec::new()];
    let answers = put_many(&contents).unwrap();
    let hashes: Vec<BlobHash> = answers.iter().map(|answer| answer.hash).collect();
    assert_eq!(hashes, contents.iter().map(|bytes| sha256(bytes)).collect::<Vec<_>>());
    let created: Vec<bool> = answers.iter().map(|answer| answer.created).collect();
    assert_eq!(created, [true, true, true, false, true]);
    for bytes in &contents {
        assert!(read_blob(&store, &component, &sha256(bytes)).unwrap() == *bytes);
    }
    check_whole(&root, &store);
    // Each would fit, and they do not fit together.
    let before = (rows(&store), usage(&store, &component));
    let large: Vec<Vec<u8>> = (10..15).map(|seed| content(seed, 2000)).collect();
    assert_eq!(code(&put_many(&large)), ErrorCode::QuotaExceeded);
    assert_eq!((rows(&store), usage(&store, &component)), before);
    check_whole(&root, &store);
    assert!(put_many(&[]).unwrap().is_empty());
}

/// Puts, deletes and reads of the same few contents from many threads: whatever the order, a row
/// never points at a missing file, no file is left behind, and nobody is told of damage.
#[test]
fn puts_and_deletes_of_the_same_contents_never_disagree() {
    const THREADS: u64 = 8;
    const STEPS: u64 = 800;
    let root = Root::new();
    let store = root.open_unlocked();
    let contents: Vec<(Vec<u8>, BlobHash)> = [50, 70_000, 150_000, 300_000]
        .into_iter()
        .map(|len| content(len as u64, len))
        .map(|bytes| (bytes.clone(), sha256(&bytes)))
        .collect();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (store, contents) = (&store, &contents);
            scope.spawn(move || {
                // Half of the threads are the owner, the others a component each.
                let caller = match thread % 2 {
                    0 => owner(),
                    _ => component_caller(&format!("component {thread}")),
                };
                let mut dice = thread + 1;
                for _ in 0..STEPS {
                    dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let (bytes, hash) = &contents[(dice >> 33) as usize % contents.len()];
                    match (dice >> 45) % 10 {
                        0..4 => {
                            put_blob(store, &caller, bytes).unwrap();
                        }
                        4..8 => {
                            delete_blob(store, &caller, hash).unwrap();
                        }
                        _ => match read_blob(store, &caller, hash) {
                            Ok(read) => assert!(read == *bytes),
                            read => assert_eq!(code(&read), ErrorCode::NotFound),
                        },
                    }
                }
            });
        }
    });
    assert_eq!(status(&store), Health::Ok);
    check_whole(&root, &store);
    drop(store);
    let store = root.open_unlocked();
    check_whole(&root, &store);
    for (bytes, hash) in &contents {
        if has(&store, &owner(), hash) {
            assert!(read_blob(&store, &owner(), hash).unwrap() == *bytes);
        }
    }
}

/// A content that goes and comes back between a reader's look at its row and the opening of its file
/// is not damaged: the reader looks again, under the lock.
#[test]
fn a_reader_is_not_told_of_damage_where_there_is_none() {
    let root = Root::new();
    let store = root.open_unlocked();
    let hash = sha256(b"fleeting");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    match read_blob(&store, &owner(), &hash) {
                        Ok(read) => assert_eq!(read, b"fleeting"),
                        read => assert_eq!(code(&read), ErrorCode::NotFound),
                    }
                }
            });
        }
        // A failure is looked at once the readers have been told to end.
        let outcome = (0..1000).try_for_each(|_| {
            put_blob(&store, &owner(), b"fleeting")?;
            delete_blob(&store, &owner(), &hash).map(|_| ())
        });
        done.store(true, Ordering::Relaxed);
        outcome.unwrap();
    });
    assert_eq!(status(&store), Health::Ok);
}
