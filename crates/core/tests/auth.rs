//! Tokens and sockets of components, as the database keeps them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use common::{Root, START, code, execute, owner, query, reason};
use osnova_storage_api::auth::{ListTokensParams, TokenPage};
use osnova_storage_api::wire::{Cursor, Limit, SocketPath};
use osnova_storage_api::{ConflictReason, ErrorCode};
use osnova_storage_core::db::auth::sockets::{self, StoredSocket};
use osnova_storage_core::db::auth::tokens::{self, StoredToken};
use osnova_storage_core::error::Result;
use osnova_storage_core::{Scopes, Store};

fn token(id: &str, component: &str) -> StoredToken {
    StoredToken {
        token_id: id.parse().unwrap(),
        hash: [7; 32],
        component_id: component.parse().unwrap(),
        name: None,
        scopes: Scopes::Only(vec!["blobs:read".parse().unwrap()]),
        expires_at: None,
    }
}

fn create(store: &Store, token: &StoredToken) -> Result<()> {
    let token = token.clone();
    store.db().write(64, move |tx| tokens::create(tx, &owner(), &token).map(drop))
}

fn list(store: &Store, component: Option<&str>, cursor: Option<Cursor>) -> TokenPage {
    let component_id = component.map(|id| id.parse().unwrap());
    let params = ListTokensParams { component_id, limit: Some(Limit(2)), cursor };
    store.db().read(|reader| tokens::list(reader, &owner(), &params)).unwrap()
}

fn ids(page: &TokenPage) -> Vec<&str> {
    page.items.iter().map(|item| item.token_id.as_str()).collect()
}

#[test]
fn tokens_are_kept_listed_in_pages_and_revoked() {
    let root = Root::new();
    let store = root.open_unlocked();
    for (id, component) in [("t1", "a"), ("t2", "b"), ("t3", "a"), ("t4", "a")] {
        create(&store, &token(id, component)).unwrap();
    }
    let first = list(&store, None, None);
    assert_eq!(ids(&first), ["t1", "t2"]);
    assert_eq!(ids(&list(&store, None, first.next_cursor.clone())), ["t3", "t4"]);
    let of_a = list(&store, Some("a"), None);
    assert_eq!(ids(&of_a), ["t1", "t3"]);
    let last = list(&store, Some("a"), of_a.next_cursor);
    assert_eq!((ids(&last), last.next_cursor.is_none()), (vec!["t4"], true));
    // A cursor is of its filter.
    let params = ListTokensParams {
        component_id: None,
        limit: None,
        cursor: list(&store, Some("a"), None).next_cursor,
    };
    let foreign = store.db().read(|reader| tokens::list(reader, &owner(), &params));
    assert_eq!(code(&foreign), ErrorCode::ValidationError);

    drop(store);
    let store = root.open_unlocked();
    let all = store.db().read(tokens::all).unwrap();
    assert_eq!(all.len(), 4);
    assert_eq!(all[1], token("t2", "b"));
    let revoke = |id: &str| {
        let id = id.parse().unwrap();
        store.db().write(64, move |tx| tokens::revoke(tx, &owner(), &id)).unwrap()
    };
    assert!(revoke("t2"));
    assert!(!revoke("t2"));
    assert_eq!(store.db().read(tokens::all).unwrap().len(), 3);
}

#[test]
fn tokens_are_bounded_and_those_that_expired_long_ago_go() {
    let root = Root::new();
    let store = root.open_unlocked();
    let mut expiring = token("t0", "a");
    expiring.expires_at = Some(START + 10);
    create(&store, &expiring).unwrap();
    execute(
        &store,
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9999)
         INSERT INTO access_tokens (token_id, token_hash, component_id, created_at)
         SELECT 'x' || i, zeroblob(32), 'b', 0 FROM n",
    );
    root.clock.advance(20);
    assert_eq!(code(&create(&store, &token("t1", "a"))), ErrorCode::QuotaExceeded);
    // One that has just expired is still shown.
    assert_eq!(query::<u32>(&store, "SELECT count(*) FROM access_tokens WHERE token_id = 't0'"), 1);
    root.clock.advance(31 * 24 * 60 * 60);
    create(&store, &token("t1", "a")).unwrap();
    assert_eq!(query::<u32>(&store, "SELECT count(*) FROM access_tokens WHERE token_id = 't0'"), 0);
    assert_eq!(code(&create(&store, &token("t2", "a"))), ErrorCode::QuotaExceeded);
}

#[test]
fn a_socket_is_one_components_and_its_scopes_can_be_changed() {
    let root = Root::new();
    let store = root.open_unlocked();
    let open = |component: &str, path: Option<&str>, scopes: Scopes| -> Result<StoredSocket> {
        let id = component.parse().unwrap();
        let path: Option<SocketPath> = path.map(|path| path.parse().unwrap());
        store.db().write(64, move |tx| sockets::open(tx, &owner(), &id, path.as_ref(), &scopes))
    };
    let few = || Scopes::Only(vec!["blobs:read".parse().unwrap()]);
    let first = open("a", None, Scopes::All).unwrap();
    assert_eq!(first.created_at, START);
    root.clock.advance(5);
    let again = open("a", None, few()).unwrap();
    assert_eq!((again.created_at, again.scopes), (START, few()));
    open("b", None, Scopes::All).unwrap();
    open("a", Some("/x/s.sock"), Scopes::All).unwrap();
    let taken = open("b", Some("/x/s.sock"), Scopes::All);
    assert_eq!(reason(&taken), ConflictReason::Exists);
    let known: Vec<(String, bool)> = store
        .db()
        .read(sockets::all)
        .unwrap()
        .iter()
        .map(|kept| (kept.component_id.to_string(), kept.path.is_some()))
        .collect();
    assert_eq!(known, [("a".to_owned(), false), ("a".to_owned(), true), ("b".to_owned(), false)]);
    let close = |component: &str, path: Option<&str>| {
        let id = component.parse().unwrap();
        let path: Option<SocketPath> = path.map(|path| path.parse().unwrap());
        store.db().write(64, move |tx| sockets::close(tx, &owner(), &id, path.as_ref())).unwrap()
    };
    assert!(!close("b", Some("/x/s.sock")));
    assert!(close("a", Some("/x/s.sock")));
    assert!(close("a", None));
    assert!(!close("a", None));
    execute(
        &store,
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 999)
         INSERT INTO component_sockets SELECT 'x' || i, '', NULL, 0 FROM n",
    );
    assert_eq!(code(&open("c", None, Scopes::All)), ErrorCode::QuotaExceeded);
    open("b", None, few()).unwrap();
}
