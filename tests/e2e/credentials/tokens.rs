//! Tokens: a component's, and the owner's.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    A, B, bound, component_scopes, create_token, is_let_in, now, open_socket, scopes_of, start,
    start_again, token_of, whoami,
};
use crate::support::wait_until;
use crate::ways::{Door, Shown, Way};

/// Every file in a folder and those in it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, mut found): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    found.retain(|path| path.is_file());
    found.extend(folders.iter().flat_map(|folder| files(folder)));
    found
}

/// The files that have these bytes in them.
fn files_with(folder: &Path, bytes: &[u8]) -> Vec<PathBuf> {
    let mut found = files(folder);
    found.retain(|path| fs::read(path).unwrap().windows(bytes.len()).any(|window| window == bytes));
    found
}

#[test]
fn a_token_is_shown_once_and_only_its_hash_is_kept() {
    let daemon = start();
    let params = json!({ "componentId": A, "name": "in the hall", "scopes": ["blobs:read"] });
    let (token, info) = create_token(&daemon, params);
    let [prefix, id, secret] = token.split('_').collect::<Vec<_>>()[..] else { panic!("{token}") };
    assert_eq!((prefix, secret.len()), ("osn", 64));
    assert_eq!(info["tokenId"], id);
    assert_eq!((&info["componentId"], &info["name"]), (&json!(A), &json!("in the hall")));
    assert_eq!((&info["scopes"], info.get("expiresAt")), (&json!(["blobs:read"]), None));
    let listed = daemon.ok("auth.listTokens", json!({}));
    assert_eq!(listed, json!({ "items": [info] }));
    let way = Way::with(Door::Tcp, &token);
    assert!(is_let_in(&daemon, &way));
    let raw = bytes_of(secret);
    let check = |root: &Path, log: &str| {
        // That the search finds what is there, wherever the database keeps it.
        assert!(!files_with(root, &Sha256::digest(&token)).is_empty());
        for written in [secret.as_bytes(), &raw] {
            let found = files_with(root, written);
            assert!(found.is_empty(), "the token stands in {found:?}");
        }
        assert!(!log.contains(secret));
    };
    check(&daemon.root(), &daemon.log());
    let log = daemon.log();
    // Once while the database is open, once as a crash leaves it, once as it is closed.
    let folder = daemon.kill();
    check(&folder.path().join("root"), &log);
    let daemon = start_again(folder);
    assert!(is_let_in(&daemon, &Way::with(Door::Tcp, &token)));
    let log = daemon.log();
    check(&daemon.stop().1.path().join("root"), &log);
}

fn bytes_of(digits: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(byte).collect()
}

#[test]
fn tokens_and_their_ends_outlast_the_daemon() {
    let mut daemon = start();
    let params =
        json!({ "componentId": A, "scopes": ["blobs:read"], "expiresAt": 4_102_444_800_u64 });
    let (token, _) = create_token(&daemon, params);
    let kept = Way::with(Door::Components, &token);
    let identity = whoami(&daemon, &kept);
    let listed = daemon.ok("auth.listTokens", json!({}));
    let (short, _) = create_token(&daemon, json!({ "componentId": A, "expiresAt": now() + 2 }));
    for is_clean in [true, false] {
        let (revoked, info) = create_token(&daemon, json!({ "componentId": A }));
        daemon.ok("auth.revokeToken", json!([info["tokenId"]]));
        // The answer promises it: a crash right behind it brings nothing back.
        let folder = if is_clean { daemon.stop().1 } else { daemon.kill() };
        daemon = start_again(folder);
        assert_eq!(whoami(&daemon, &kept), identity);
        assert!(!is_let_in(&daemon, &Way::with(Door::Components, &revoked)));
    }
    let short = Way::with(Door::Components, &short);
    wait_until("the token to expire", || (!is_let_in(&daemon, &short)).then_some(()));
    let daemon = start_again(daemon.kill());
    assert!(!is_let_in(&daemon, &short), "a restart gave a token new life");
    // It is still listed, behind the other.
    let items = daemon.ok("auth.listTokens", json!({}))["items"].take();
    assert_eq!((items.as_array().unwrap().len(), &items[0]), (2, &listed["items"][0]));
}

#[test]
fn tokens_are_listed_by_component_and_by_page() {
    let daemon = start();
    let infos: Vec<Value> = [A, B, A, A]
        .iter()
        .map(|id| create_token(&daemon, json!({ "componentId": id })).1)
        .collect();
    assert_eq!(daemon.ok("auth.listTokens", json!({})), json!({ "items": infos }));
    let of_b = daemon.ok("auth.listTokens", json!({ "componentId": B }));
    assert_eq!(of_b, json!({ "items": [infos[1]] }));
    let of_none = daemon.ok("auth.listTokens", json!({ "componentId": "no.such" }));
    assert_eq!(of_none, json!({ "items": [] }));
    let first = daemon.ok("auth.listTokens", json!({ "componentId": A, "limit": 2 }));
    assert_eq!(first["items"], json!([infos[0], infos[2]]));
    let rest = json!({ "componentId": A, "cursor": first["nextCursor"] });
    assert_eq!(daemon.ok("auth.listTokens", rest), json!({ "items": [infos[3]] }));
    let another = json!({ "componentId": B, "cursor": first["nextCursor"] });
    let error = daemon.fails("validation_error", "auth.listTokens", another);
    assert!(error["fields"]["cursor"].is_string());
}

#[test]
fn a_token_is_revoked_once_and_no_other_with_it() {
    let daemon = start();
    let (revoked, info) = create_token(&daemon, json!({ "componentId": A }));
    let other = token_of(&daemon, A);
    let revoke = || daemon.ok("auth.revokeToken", json!({ "tokenId": info["tokenId"] }));
    assert_eq!(revoke(), json!({ "deleted": true }));
    assert_eq!(revoke(), json!({ "deleted": false }));
    assert!(!is_let_in(&daemon, &Way::with(Door::Tcp, &revoked)));
    assert!(is_let_in(&daemon, &Way::with(Door::Tcp, &other)));
    assert_eq!(daemon.ok("auth.listTokens", json!({}))["items"].as_array().unwrap().len(), 1);
    // The token itself is not its id.
    let error = daemon.fails("validation_error", "auth.revokeToken", json!([other]));
    assert!(error["fields"]["tokenId"].is_string());
    assert!(!error.to_string().contains(&other));
}

#[test]
fn scopes_and_times_that_make_no_sense_are_refused() {
    let daemon = start();
    let bad_scopes = [
        "preferences:read",
        "preferences:write",
        "components:write",
        "admin",
        "auth:read",
        "no.such:read",
        "blobs:admin",
        "blobs:",
        "blobs",
        "*",
        "",
        "blobs:read ",
        "BLOBS:READ",
    ];
    for bad in bad_scopes.map(Value::from).into_iter().chain([json!(5), json!(["blobs:read"])]) {
        for method in ["auth.createToken", "auth.openSocket"] {
            let params = json!({ "componentId": A, "scopes": ["blobs:read", bad] });
            let error = daemon.fails("validation_error", method, params);
            let fields: Vec<&String> = error["fields"].as_object().unwrap().keys().collect();
            assert_eq!(fields, ["scopes.1"], "{method} {bad}");
        }
    }
    for time in
        [json!(now()), json!(now() - 1), json!(0), json!(-1), json!("tomorrow"), json!(1e18)]
    {
        let params = json!({ "componentId": A, "expiresAt": time });
        let error = daemon.fails("validation_error", "auth.createToken", params);
        assert!(error["fields"]["expiresAt"].is_string(), "{time}: {error}");
    }
    for id in [json!(""), json!("a\nb"), json!("x".repeat(257)), Value::Null] {
        let error = daemon.fails("validation_error", "auth.createToken", json!([id]));
        assert!(error["fields"]["componentId"].is_string(), "{id}: {error}");
    }
    assert_eq!(daemon.ok("auth.listTokens", json!({})), json!({ "items": [] }));
    assert_eq!(daemon.ok("auth.listSockets", json!({})), json!({ "items": [] }));
    let every: Vec<String> = component_scopes().into_iter().collect();
    let (token, _) = create_token(&daemon, json!({ "componentId": A, "scopes": every }));
    assert!(is_let_in(&daemon, &Way::with(Door::Tcp, &token)));
}

#[test]
fn everyone_is_told_who_he_is() {
    let daemon = start();
    let by_socket = json!({ "caller": "owner", "credential": "socket" });
    assert_eq!(whoami(&daemon, &Way::by(Door::Owner)), by_socket);
    let token = daemon.owner_token();
    for door in [Door::Owner, Door::Components, Door::Tcp] {
        let by_token = json!({ "caller": "owner", "credential": "ownerToken" });
        assert_eq!(whoami(&daemon, &Way::with(door.clone(), &token)), by_token);
        let in_path = Way { door, shown: Shown::InPath(token.clone()) };
        assert_eq!(whoami(&daemon, &in_path), by_token);
    }
    let params = json!({ "componentId": A, "expiresAt": 4_102_444_800_u64 });
    let (all, info) = create_token(&daemon, params);
    let socket = open_socket(&daemon, json!({ "componentId": A }));
    for door in [Door::Owner, Door::Components, Door::Tcp, Door::Bound(socket.clone())] {
        let mut identity = whoami(&daemon, &Way::with(door, &all));
        assert_eq!(scopes_of(&identity), component_scopes());
        identity.as_object_mut().unwrap().remove("scopes");
        let by_token = json!({
            "caller": "component", "credential": "token", "componentId": A,
            "tokenId": info["tokenId"], "expiresAt": 4_102_444_800_u64,
        });
        assert_eq!(identity, by_token);
    }
    let mut identity = whoami(&daemon, &bound(&socket));
    assert_eq!(scopes_of(&identity), component_scopes());
    identity.as_object_mut().unwrap().remove("scopes");
    let by_bound =
        json!({ "caller": "component", "credential": "componentSocket", "componentId": A });
    assert_eq!(identity, by_bound);
    // What a token and a socket allow together.
    let few = json!({ "componentId": A, "scopes": ["blobs:read", "components:read"] });
    let (few, _) = create_token(&daemon, few);
    let narrow = daemon.folder().join("narrow.sock");
    let narrow =
        json!({ "componentId": A, "scopes": ["blobs:write", "components:read"], "path": narrow });
    let narrow = open_socket(&daemon, narrow);
    let identity = whoami(&daemon, &Way::with(Door::Bound(narrow), &few));
    assert_eq!(identity["scopes"], json!(["components:read"]));
}

#[test]
fn the_owners_token_is_renewed() {
    let daemon = start();
    let file = daemon.root().join("run/token");
    let before = daemon.owner_token();
    let renewed = daemon.ok("auth.rotateOwnerToken", json!({}))["token"].take();
    let renewed = renewed.as_str().unwrap();
    assert_ne!(renewed, before);
    assert_eq!((renewed.len(), renewed), (64, daemon.owner_token().as_str()));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(
        fs::read_dir(file.parent().unwrap())
            .unwrap()
            .filter(|entry| { entry.as_ref().unwrap().path().is_file() })
            .count(),
        1,
        "something is left beside the token"
    );
    for door in [Door::Tcp, Door::Components, Door::Owner] {
        assert!(!is_let_in(&daemon, &Way::with(door.clone(), &before)));
        assert!(is_let_in(&daemon, &Way::with(door, renewed)));
    }
    // By the token that it replaces, whose answer still comes.
    let told = Way::with(Door::Tcp, renewed).call(&daemon, "auth.rotateOwnerToken", &json!({}));
    let last = told.ok()["token"].as_str().unwrap().to_owned();
    assert!(!is_let_in(&daemon, &Way::with(Door::Tcp, renewed)));
    // A crash right behind the answer brings the old one not back.
    let daemon = start_again(daemon.kill());
    assert_eq!(daemon.owner_token(), last);
    assert!(is_let_in(&daemon, &Way::with(Door::Tcp, &last)));
    assert!(!is_let_in(&daemon, &Way::with(Door::Tcp, renewed)));
    assert!(!daemon.log().contains(&last) && !daemon.log().contains(renewed));
}
