//! Clients that are slow, or gone: they hold up nobody, and leave nothing behind.

use std::path::Path;

use serde_json::json;

use crate::on_disk;
use crate::random::Random;
use crate::support::{Daemon, Options, wait_until};
use crate::wire::Connection;

/// Larger than everything that lies between a client and the disk: channels, sockets, what is opened
/// ahead.
const LARGE_BYTES: u64 = 16 << 20;
/// Clients of each kind that do not move; below the limit on streams (64).
const STALLED: usize = 24;

fn open(daemon: &Daemon) -> Connection {
    Connection::open(&daemon.socket()).unwrap()
}

fn put(daemon: &Daemon, content: &[u8]) -> String {
    let answer = open(daemon).put(content).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["hash"].as_str().unwrap().to_owned()
}

/// Clients that asked for a large content and read nothing of it.
fn stalled_gets(daemon: &Daemon, hash: &str) -> Vec<Connection> {
    let stalled = || {
        let mut connection = open(daemon);
        let head = format!("GET /blobs/{hash} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        connection.send_raw(head.as_bytes()).unwrap();
        assert_eq!(connection.head().unwrap().status, 200);
        connection
    };
    (0..STALLED).map(|_| stalled()).collect()
}

/// Clients that began to put a large content; every other one sent none of it at all.
fn stalled_puts(daemon: &Daemon) -> Vec<Connection> {
    let stalled = |number: usize| {
        let mut connection = open(daemon);
        let head = format!(
            "PUT /blobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: {LARGE_BYTES}\r\n\r\n"
        );
        connection.send_raw(head.as_bytes()).unwrap();
        if number.is_multiple_of(2) {
            let begun = Random::new(number as u64).bytes(LARGE_BYTES / 8);
            connection.send_raw(&begun).unwrap();
        }
        connection
    };
    let connections = (0..STALLED).map(stalled).collect();
    // Each of them has come as far as it can: there is a file for it.
    wait_until("the puts to begin", || (temporaries(&daemon.root()) == STALLED).then_some(()));
    connections
}

fn temporaries(root: &Path) -> usize {
    on_disk::files(&root.join("blobs/.tmp")).len()
}

/// Nothing is left of contents that were begun.
fn wait_until_gone(daemon: &Daemon) {
    wait_until("the temporaries to go", || (temporaries(&daemon.root()) == 0).then_some(()));
}

#[test]
fn clients_that_do_not_move_hold_up_nobody() {
    let daemon = Daemon::start();
    let content = Random::new(1).bytes(LARGE_BYTES);
    let hash = put(&daemon, &content);
    let gets = stalled_gets(&daemon, &hash);
    let puts = stalled_puts(&daemon);

    let mut connection = open(&daemon);
    for number in 0..20 {
        let params = json!({ "key": "k", "value": number });
        connection.must_call("preferences.set", &params).unwrap();
        connection.must_call("preferences.list", &json!({})).unwrap();
    }
    let other = connection.put(b"another").unwrap();
    assert_eq!(other.json()["created"], true);
    assert!(connection.get(&hash).unwrap().body == content, "the same content, by a fast reader");
    // Not even its delete waits for those who read it; they keep what they opened.
    connection.must_call("blobs.delete", &json!({ "hash": hash })).unwrap();
    assert_eq!(connection.get(&hash).unwrap().status, 404);
    let mut slow = gets;
    let mut first = slow.remove(0);
    let mut body = vec![0; content.len()];
    first.read_body(&mut body).unwrap();
    assert!(body == content, "a reader that moves again gets all of it");

    drop((slow, puts));
    wait_until_gone(&daemon);
}

/// Stopping waits for them only as long as the grace says.
#[test]
fn clients_that_do_not_move_do_not_keep_the_daemon_from_stopping() {
    let config = "shutdown_grace_ms = 200\n".to_owned();
    let daemon = Daemon::start_with(&Options { config, ..Options::default() });
    let hash = put(&daemon, &Random::new(1).bytes(LARGE_BYTES));
    let stalled = (stalled_gets(&daemon, &hash), stalled_puts(&daemon));
    daemon.ok("preferences.set", json!({ "key": "k", "value": 1 }));
    let root = daemon.root();
    let (status, folder) = daemon.stop();
    assert!(status.success(), "{status}");
    drop(stalled);
    on_disk::check_stopped(&root);
    let daemon = Daemon::start_in(folder, &Options::default()).unwrap();
    on_disk::check_started(&daemon.root());
    assert_eq!(daemon.ok("preferences.get", json!({ "key": "k" }))["value"], 1);
}

#[test]
fn clients_that_hang_up_in_a_put_leave_nothing() {
    let daemon = Daemon::start();
    let sized = |size: usize| {
        format!("PUT /blobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n")
    };
    let chunked = "PUT /blobs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    let content = Random::new(1).bytes(1 << 20);
    for sent in [0, 1, 65_536, 300_000, content.len() - 1] {
        let mut connection = open(&daemon);
        connection.send_raw(sized(content.len()).as_bytes()).unwrap();
        connection.send_raw(&content[..sent]).unwrap();
        drop(connection);

        let mut connection = open(&daemon);
        connection.send_raw(chunked.as_bytes()).unwrap();
        if sent > 0 {
            // A whole chunk, but not the empty one that ends the body.
            connection.send_raw(format!("{sent:x}\r\n").as_bytes()).unwrap();
            connection.send_raw(&content[..sent]).unwrap();
            connection.send_raw(b"\r\n").unwrap();
        }
        drop(connection);
    }
    // Their requests are through when a put that was begun later is, and the last files went.
    put(&daemon, b"a content");
    wait_until_gone(&daemon);
    assert_eq!(daemon.ok("blobs.usage", json!({}))["count"], 1);
    assert_eq!(on_disk::files(&daemon.root().join("blobs")).len(), 1);
    let root = daemon.root();
    let (status, _folder) = daemon.stop();
    assert!(status.success());
    on_disk::check_stopped(&root);
}

/// A client sends a call, whole, and hangs up without the answer. It was done or it was not; asked
/// again with the same `requestId`, it is done once.
#[test]
fn a_client_that_hangs_up_after_a_call_may_ask_again() {
    let daemon = Daemon::start();
    for round in 0..100u64 {
        let params = json!({
            "key": "counter", "value": round + 1, "requestId": format!("r{round}"),
            "ifRevision": revision(&daemon),
        });
        let call =
            json!({ "jsonrpc": "2.0", "id": 1, "method": "preferences.set", "params": params });
        let head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json";
        let mut connection = open(&daemon);
        connection.send(head, call.to_string().as_bytes()).unwrap();
        drop(connection);
        // Whether it came through or not, this must not be a conflict with itself.
        let stored = daemon.ok("preferences.set", params);
        assert_eq!(stored["value"], round + 1);
    }
    let (_, folder) = daemon.stop();
    let database = on_disk::open(&folder.path().join("root"));
    let changes = on_disk::count(&database, "SELECT count(*) FROM change_feed");
    assert_eq!(changes, 100, "each change was done once");
}

fn revision(daemon: &Daemon) -> u64 {
    match daemon.call("preferences.get", json!({ "key": "counter" })) {
        Ok(preference) => preference["revision"].as_u64().unwrap(),
        Err(_) => 0,
    }
}

/// The same for a content: sent whole, its client gone. Put again it is there, once.
#[test]
fn a_client_that_hangs_up_after_a_put_may_put_again() {
    let daemon = Daemon::start();
    let mut random = Random::new(1);
    for _ in 0..30 {
        let size = random.any_size(16, 2 << 20);
        let content = random.bytes(size);
        let mut connection = open(&daemon);
        connection.send("PUT /blobs?pin=false HTTP/1.1\r\nHost: localhost", &content).unwrap();
        drop(connection);
        let hash = put(&daemon, &content);
        assert!(open(&daemon).get(&hash).unwrap().body == content);
    }
    wait_until_gone(&daemon);
    assert_eq!(daemon.ok("blobs.usage", json!({}))["count"], 30);
    let root = daemon.root();
    let (status, _folder) = daemon.stop();
    assert!(status.success());
    on_disk::check_stopped(&root);
    assert!(on_disk::leftovers(&root).is_empty());
}
