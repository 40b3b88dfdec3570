//! The feed over the wire: order, who sees what, slow clients, and what is gone.
//!
//! [`following`] does the same with the typed client, over lost connections and restarts.

#![allow(clippy::needless_pass_by_value, reason = "`json!` makes params where they are passed")]

mod following;

use std::fs;
use std::thread;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::document::Document;
use crate::example_root;
use crate::support::{Daemon, Options};
use crate::ways::{Door, Way, outcome_of, request};
use crate::websocket::WebSocket;

/// Subscribes; the id and the position of the answer.
fn subscribe(socket: &mut WebSocket, params: Value) -> (u64, u64) {
    let answer = outcome_of(socket.ask(&request("events.subscribe", &params))).unwrap();
    (answer["subscription"].as_u64().unwrap(), answer["position"].as_u64().unwrap())
}

/// The params of the next notification, which must be this one.
fn notified(socket: &mut WebSocket, method: &str) -> Value {
    let mut message = socket.receive().expect("the daemon closed the WebSocket");
    assert_eq!((&message["jsonrpc"], &message["method"]), (&json!("2.0"), &json!(method)));
    assert!(message.get("id").is_none(), "{message}");
    message["params"].take()
}

fn position(params: &Value) -> u64 {
    params["position"].as_u64().unwrap()
}

/// The positions of the next `count` events.
fn positions(socket: &mut WebSocket, count: usize) -> Vec<u64> {
    (0..count).map(|_| position(&notified(socket, "events.event"))).collect()
}

fn set(daemon: &Daemon, key: &str) -> u64 {
    let set = daemon.ok("preferences.set", json!({ "key": key, "value": 1 }));
    set["revision"].as_u64().unwrap()
}

/// Sets 1000 preferences at once; their revisions.
fn set_many(daemon: &Daemon) -> Vec<u64> {
    let key = |number: usize| format!("{}{number}", "k".repeat(200));
    let items: Vec<Value> =
        (0..1000).map(|number| json!({ "key": key(number), "value": 1 })).collect();
    let set = daemon.ok("preferences.setMany", json!({ "items": items }));
    let items = set["items"].as_array().unwrap();
    items.iter().map(|item| item["revision"].as_u64().unwrap()).collect()
}

fn present(daemon: &Daemon) -> u64 {
    position(&daemon.ok("events.list", json!({})))
}

#[test]
fn each_subscriber_is_sent_every_change_once_and_in_order() {
    const WRITERS: usize = 4;
    const WRITES: usize = 50;
    let daemon = Daemon::start();
    let start = present(&daemon);
    let mut sockets: Vec<WebSocket> = (0..4).map(|_| WebSocket::open(&daemon)).collect();
    for socket in &mut sockets {
        assert_eq!(subscribe(socket, json!({})), (1, start));
    }
    let write = |writer: usize| {
        let daemon = &daemon;
        move || -> Vec<u64> {
            (0..WRITES).map(|number| set(daemon, &format!("{writer}.{number}"))).collect()
        }
    };
    let mut written: Vec<u64> = thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS).map(|writer| scope.spawn(write(writer))).collect();
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    written.sort_unstable();
    for socket in &mut sockets {
        assert_eq!(positions(socket, WRITERS * WRITES), written);
    }
    // From the middle, and from before all, on a connection that has a subscription already.
    let socket = &mut sockets[0];
    let middle = written[WRITERS * WRITES / 2];
    assert_eq!(subscribe(socket, json!({ "since": middle })), (2, middle));
    assert_eq!(positions(socket, WRITERS * WRITES / 2 - 1), written[WRITERS * WRITES / 2 + 1..]);
    assert_eq!(subscribe(socket, json!([start])), (3, start));
    assert_eq!(positions(socket, WRITERS * WRITES), written);
    // A later change comes once for each of the three.
    let last = set(&daemon, "last");
    let mut got: Vec<u64> = (0..3)
        .map(|_| {
            let params = notified(socket, "events.event");
            let key = json!(["last"]);
            assert_eq!((position(&params), &params["key"]), (last, &key));
            assert_eq!(
                (&params["namespace"], &params["kind"]),
                (&json!("preferences"), &json!("put"))
            );
            params["subscription"].as_u64().unwrap()
        })
        .collect();
    got.sort_unstable();
    assert_eq!(got, [1, 2, 3]);
}

/// After a restart what was committed before it is no longer in memory: it comes from the database, and
/// what is committed meanwhile follows it.
#[test]
fn what_is_in_the_database_only_comes_before_what_is_in_memory() {
    let daemon = Daemon::start();
    let start = present(&daemon);
    let mut written: Vec<u64> = (0..150).map(|number| set(&daemon, &format!("{number}"))).collect();
    let (_, folder) = daemon.stop();
    let daemon = Daemon::start_in(folder, &Options::default()).unwrap();
    let mut socket = WebSocket::open(&daemon);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            (0..150).map(|number| set(&daemon, &format!("{number}"))).collect::<Vec<u64>>()
        });
        subscribe(&mut socket, json!({ "since": start }));
        let got = positions(&mut socket, 300);
        written.extend(writer.join().unwrap());
        assert_eq!(got, written);
    });
    let page = daemon.ok("events.list", json!({ "since": start, "limit": 1000 }));
    let listed: Vec<u64> = page["items"].as_array().unwrap().iter().map(position).collect();
    assert_eq!((listed, &page["more"]), (written, &json!(false)));
}

#[test]
fn subscriptions_are_of_their_connection_and_bounded() {
    let daemon = Daemon::start();
    for method in ["events.subscribe", "events.unsubscribe"] {
        let params = if method == "events.subscribe" { json!({}) } else { json!([1]) };
        let error = daemon.call(method, params).unwrap_err();
        assert_eq!(
            (&error["code"], &error["data"]["code"]),
            (&json!(-32600), &json!("invalid_request"))
        );
    }
    let unsubscribe = |socket: &mut WebSocket, id: u64| {
        let answer = socket.ask(&request("events.unsubscribe", &json!([id])));
        outcome_of(answer).unwrap()["unsubscribed"] == json!(true)
    };
    let (mut one, mut other) = (WebSocket::open(&daemon), WebSocket::open(&daemon));
    for id in 1..=32 {
        assert_eq!(subscribe(&mut one, json!({ "namespaces": ["components"] })).0, id);
    }
    let error = outcome_of(one.ask(&request("events.subscribe", &json!({})))).unwrap_err();
    assert_eq!(error["data"]["code"], "quota_exceeded");
    assert!(!unsubscribe(&mut other, 1), "that is another's");
    assert!(unsubscribe(&mut one, 7) && !unsubscribe(&mut one, 7) && !unsubscribe(&mut one, 99));
    assert_eq!(subscribe(&mut one, json!({ "namespaces": ["preferences"] })).0, 33);
    // Only the last one sees it; once it is ended nobody does.
    let written = set(&daemon, "a");
    let params = notified(&mut one, "events.event");
    assert_eq!((position(&params), &params["subscription"]), (written, &json!(33)));
    assert!(unsubscribe(&mut one, 33));
    set(&daemon, "b");
    assert_eq!(one.ask(&request("rpc_discover", &json!({})))["id"], 1);
    // In a batch: the answers come first, then the events.
    let start = present(&daemon);
    let batch: Vec<Value> = (1..=2)
        .map(|id| {
            let params = json!({ "since": start });
            json!({ "jsonrpc": "2.0", "id": id, "method": "events.subscribe", "params": params })
        })
        .chain([
            json!({ "jsonrpc": "2.0", "id": 3, "method": "preferences.set", "params": ["c", 1] }),
        ])
        .collect();
    let answers = other.ask(&json!(batch).to_string());
    assert_eq!(answers[1]["result"], json!({ "subscription": 2, "position": start }));
    let written = answers[2]["result"]["revision"].as_u64().unwrap();
    assert_eq!(positions(&mut other, 2), [written, written]);
}

#[test]
fn a_component_is_sent_what_is_shared_and_its_own() {
    let document = Document::read();
    let daemon = example_root::daemon_with(&document, &Options::with_every_listener());
    let weather = "org.example.weather";
    let token = |scopes: Value| {
        let params = json!({ "componentId": weather, "scopes": scopes });
        let token = daemon.ok("auth.createToken", params);
        Way::with(Door::Components, token["token"].as_str().unwrap())
    };
    let (all, few) = (token(Value::Null), token(json!(["events:read", "blobs:read"])));
    let start = present(&daemon);
    let mut socket = all.web_socket(&daemon).1;
    let mut narrow = few.web_socket(&daemon).1;
    let mut owner = WebSocket::open(&daemon);
    for socket in [&mut socket, &mut narrow, &mut owner] {
        subscribe(socket, json!({}));
    }
    // A row of the registry makes the component's deletion a change of its own thing too.
    let other = json!({ "componentId": "org.example.other", "name": "Other", "version": "1.0.0",
        "type": "backend", "manifest": {} });
    daemon.ok("components.put", json!({ "component": other }));
    Connection::open(daemon.root().join("osnova.db"))
        .unwrap()
        .execute_batch(
            "PRAGMA busy_timeout = 10000;
             INSERT INTO component_registry (component_id, version, pid, endpoint, status, started_at)
             VALUES ('org.example.weather', '1', 1, '', 'stopped', 0),
                    ('org.example.other', '1', 1, '', 'stopped', 0)",
        )
        .unwrap();
    set(&daemon, "of.the.owner");
    daemon.ok("components.delete", json!(["org.example.other"]));
    daemon.ok("components.delete", json!([weather]));
    let last = set(&daemon, "last");
    let told = |params: &Value| {
        let word = |name: &str| params[name].as_str().unwrap().to_owned();
        let key = params["key"][0].as_str().unwrap().to_owned();
        format!("{} {key} {}", word("namespace"), word("kind"))
    };
    let others = "org.example.other";
    let expected = [
        format!("components {others} put"),
        format!("components {others} delete"),
        format!("registry {weather} delete"),
        format!("storage {weather} delete"),
        format!("components {weather} delete"),
    ];
    let seen: Vec<String> =
        (0..expected.len()).map(|_| told(&notified(&mut socket, "events.event"))).collect();
    assert_eq!(seen, expected);
    let of_owner: Vec<u64> = positions(&mut owner, 8);
    assert_eq!(of_owner.last(), Some(&last));
    let listed = |way: &Way| {
        let page = way.call(&daemon, "events.list", &json!({ "since": start })).ok();
        assert_eq!((position(&page), &page["more"]), (last, &json!(false)));
        page["items"].as_array().unwrap().iter().map(told).collect::<Vec<_>>()
    };
    assert_eq!(listed(&all), expected);
    assert_eq!(listed(&few), [""; 0]);
    // Nothing else is on its way: what comes next is an answer.
    for socket in [&mut socket, &mut narrow] {
        assert_eq!(socket.ask(&request("rpc.discover", &json!({})))["id"], 1);
    }
}

/// The memory that the daemon has in use, in KiB.
fn resident_kib(daemon: &Daemon) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Clients that take nothing cost the daemon nothing, and nobody else waits for them. When they read at
/// last, what is still kept comes without gap, and after it that the rest is gone.
#[test]
fn who_does_not_read_holds_nobody_back() {
    const SLOW: usize = 8;
    let daemon = Daemon::start();
    let start = present(&daemon);
    let (mut slow, mut quick) = (Vec::new(), WebSocket::open(&daemon));
    for _ in 0..SLOW {
        let mut socket = WebSocket::open(&daemon);
        // One that is behind reads the database, many on a connection fill it.
        for _ in 0..4 {
            subscribe(&mut socket, json!({ "since": start }));
        }
        slow.push(socket);
    }
    subscribe(&mut quick, json!({}));
    let mut written = Vec::new();
    let write = |written: &mut Vec<u64>, quick: &mut WebSocket, rounds: usize| {
        for _ in 0..rounds {
            let more = set_many(&daemon);
            assert_eq!(positions(quick, more.len()), more);
            written.extend(more);
        }
    };
    write(&mut written, &mut quick, 5);
    let before = resident_kib(&daemon);
    write(&mut written, &mut quick, 20);
    let grown = resident_kib(&daemon).saturating_sub(before);
    // 32 subscriptions are 20,000 events of 300 bytes behind, which would be 180 MiB.
    assert!(grown < 24 << 10, "the daemon has grown by {grown} KiB");
    let socket = &mut slow[0];
    let mut next = [0; 4];
    while next != [written.len(); 4] {
        let params = notified(socket, "events.event");
        let subscription = usize::try_from(params["subscription"].as_u64().unwrap()).unwrap() - 1;
        assert_eq!(position(&params), written[next[subscription]]);
        next[subscription] += 1;
    }
    write(&mut written, &mut quick, 87);
    let socket = &mut slow[1];
    let (mut next, mut ended) = ([0; 4], 0);
    while ended < 4 {
        let message = socket.receive().expect("the daemon closed the WebSocket");
        let params = &message["params"];
        let subscription = usize::try_from(params["subscription"].as_u64().unwrap()).unwrap() - 1;
        let so_far = next[subscription];
        if message["method"] == "events.event" {
            assert_eq!(position(params), written[so_far]);
            next[subscription] += 1;
            continue;
        }
        assert_eq!(message["method"], "events.gone");
        assert_eq!(position(params), written[so_far - 1]);
        let oldest = params["oldest"].as_u64().unwrap();
        assert!(oldest > written[so_far] && oldest < written[written.len() - 90_000]);
        // From there on the feed is whole, and not from one before.
        daemon.ok("events.list", json!({ "since": oldest }));
        daemon.fails("gone", "events.list", json!({ "since": oldest - 1 }));
        ended += 1;
    }
    let ended = outcome_of(socket.ask(&request("events.unsubscribe", &json!([1])))).unwrap();
    assert_eq!(ended, json!({ "unsubscribed": false }));
    for since in [start, 0, present(&daemon) + 1] {
        let asked = request("events.subscribe", &json!({ "since": since }));
        let error = outcome_of(socket.ask(&asked)).unwrap_err();
        assert_eq!((&error["code"], &error["data"]), (&json!(-32029), &json!({ "code": "gone" })));
    }
}

/// A subscription is no call that a stop would wait for.
#[test]
fn a_stop_ends_subscriptions() {
    let daemon = Daemon::start();
    let mut sockets: Vec<WebSocket> = (0..8).map(|_| WebSocket::open(&daemon)).collect();
    for socket in &mut sockets {
        subscribe(socket, json!({}));
    }
    let (status, _) = daemon.stop();
    assert!(status.success());
    assert!(sockets.iter_mut().all(|socket| socket.receive().is_none()));
}
