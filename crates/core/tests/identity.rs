//! The users' cocoons: replaced as a whole, and never lost to a crash.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use common::{Root, code, owner};
use osnova_storage_api::ErrorCode;
use osnova_storage_api::identity::{
    CocoonInfo, ListParams, MAX_COCOON_BYTES, PutCocoonParams, UserParams,
};
use osnova_storage_api::wire::{Base64Data, Limit};
use osnova_storage_core::Store;
use osnova_storage_core::error::Result;

fn put(store: &Store, user: &str, data: &[u8]) -> Result<CocoonInfo> {
    let data = Base64Data(data.to_vec());
    store.identity().put(&owner(), &PutCocoonParams { user_id: user.parse().unwrap(), data })
}

fn user(user: &str) -> UserParams {
    UserParams { user_id: user.parse().unwrap() }
}

fn data(store: &Store, id: &str) -> Vec<u8> {
    store.identity().get(&owner(), &user(id)).unwrap().data.0
}

fn restore(store: &Store, id: &str) -> Result<CocoonInfo> {
    store.identity().restore_previous(&owner(), &user(id))
}

fn folder(root: &Root) -> PathBuf {
    root.path().join("identity")
}

fn names(path: &Path) -> Vec<String> {
    let names = fs::read_dir(path).unwrap();
    let mut names: Vec<String> =
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_cocoon_is_replaced_and_the_one_before_is_kept() {
    let root = Root::new();
    let store = root.open();
    assert_eq!(code(&store.identity().get(&owner(), &user("alice"))), ErrorCode::NotFound);
    let first = put(&store, "alice", b"one").unwrap();
    assert_eq!((first.size.0, first.has_previous), (3, false));
    assert_eq!(code(&restore(&store, "alice")), ErrorCode::NotFound);
    let second = put(&store, "alice", b"two!").unwrap();
    assert!(second.has_previous && second.sha256 != first.sha256);
    // The same again changes nothing: one is still before it.
    assert_eq!(put(&store, "alice", b"two!").unwrap(), second);
    assert_eq!(restore(&store, "alice").unwrap().sha256, first.sha256);
    assert_eq!(data(&store, "alice"), b"one");
    assert_eq!(restore(&store, "alice").unwrap().sha256, second.sha256);
    put(&store, "alice", b"three").unwrap();
    restore(&store, "alice").unwrap();
    assert_eq!(data(&store, "alice"), b"two!");
    let kept = folder(&root).join("alice");
    assert_eq!(names(&kept), ["id", "keys.cocoon", "keys.cocoon.previous"]);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&kept), mode(&kept.join("keys.cocoon"))), (0o700, 0o600));
    let delete = || store.identity().delete(&owner(), &user("alice")).unwrap().deleted;
    assert!(delete());
    assert!(!delete());
    assert_eq!(names(&folder(&root)), [".tmp"]);
    assert_eq!(names(&folder(&root).join(".tmp")), Vec::<String>::new());
}

#[test]
fn a_cocoon_has_its_bounds() {
    let root = Root::new();
    let store = root.open();
    let most = vec![7; MAX_COCOON_BYTES];
    put(&store, "alice", &most).unwrap();
    assert_eq!(data(&store, "alice"), most);
    assert_eq!(code(&put(&store, "alice", &vec![7; MAX_COCOON_BYTES + 1])), ErrorCode::TooLarge);
    assert_eq!(code(&put(&store, "alice", b"")), ErrorCode::ValidationError);
    assert_eq!(data(&store, "alice"), most);
}

#[test]
fn users_are_listed_by_their_ids_whatever_their_folders_are_called() {
    let root = Root::new();
    let store = root.open();
    let long = "ä".repeat(256);
    let ids = ["..", "../../etc", "Alice", "alice", "bob@example.org", long.as_str()];
    for id in ids.iter().rev() {
        put(&store, id, id.as_bytes()).unwrap();
    }
    for id in ids {
        assert_eq!(data(&store, id), id.as_bytes());
    }
    let mut listed = Vec::new();
    let mut cursor = None;
    loop {
        let params = ListParams { limit: Some(Limit(4)), cursor };
        let page = store.identity().list(&owner(), &params).unwrap();
        listed.extend(page.items.into_iter().map(|info| info.user_id.as_str().to_owned()));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(listed, ids);
    // Nothing was made outside.
    assert_eq!(names(&folder(&root)).len(), ids.len() + 1);
}

/// A change is a copy of the present cocoon as `old`, the new one in its place, `old` as the previous
/// one. Here is what each step leaves.
#[test]
fn a_crash_after_any_step_leaves_a_complete_cocoon_and_the_right_one_before_it() {
    let root = Root::new();
    let store = root.open();
    put(&store, "alice", b"first").unwrap();
    put(&store, "alice", b"second").unwrap();
    drop(store);
    let alice = folder(&root).join("alice");
    let write = |name: &str, content: &str| fs::write(alice.join(name), content).unwrap();

    // While the new one is being written.
    write("keys.cocoon.new", "thi");
    let store = root.open();
    assert_eq!(data(&store, "alice"), b"second");
    // The copy is there, and the new one not in its place: undone.
    write("keys.cocoon.old", "second");
    assert_eq!(data(&store, "alice"), b"second");
    assert!(!alice.join("keys.cocoon.old").exists());
    restore(&store, "alice").unwrap();
    assert_eq!(data(&store, "alice"), b"first");
    restore(&store, "alice").unwrap();
    // The new one is in its place, and the copy not in that of the previous one: finished.
    write("keys.cocoon.old", "second");
    write("keys.cocoon", "third");
    assert_eq!(data(&store, "alice"), b"third");
    assert_eq!(fs::read(alice.join("keys.cocoon.previous")).unwrap(), b"second");
    // What was never finished at all is gone at the next start, and is no user.
    let made = folder(&root).join(".tmp").join("made");
    fs::create_dir(&made).unwrap();
    fs::write(made.join("id"), "carol").unwrap();
    drop(store);
    let store = root.open();
    assert!(!made.exists());
    let params = ListParams { limit: None, cursor: None };
    assert_eq!(store.identity().list(&owner(), &params).unwrap().items.len(), 1);
}

#[test]
fn a_link_is_not_taken_for_a_cocoon() {
    let root = Root::new();
    let store = root.open();
    put(&store, "alice", b"one").unwrap();
    let present = folder(&root).join("alice/keys.cocoon");
    fs::remove_file(&present).unwrap();
    symlink("/etc/hostname", &present).unwrap();
    assert_eq!(code(&store.identity().get(&owner(), &user("alice"))), ErrorCode::NotFound);
    put(&store, "alice", b"two").unwrap();
    assert_eq!(fs::read(&present).unwrap(), b"two");
    assert!(fs::symlink_metadata(&present).unwrap().is_file());
}
