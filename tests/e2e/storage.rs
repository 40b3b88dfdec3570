//! `storage` over the wire: values that survive, that nobody else sees, and that stand nowhere in clear.

#![allow(clippy::needless_pass_by_value, reason = "`json!` makes params where they are passed")]

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::{Daemon, Options, PHRASE, exchange, wait_until};
use crate::ways::{Door, Way};

const WEATHER: &str = "org.example.weather";

fn write(key: &str, value: Value) -> Value {
    json!({ "key": key, "value": value, "componentId": WEATHER })
}

fn read(key: &str) -> Value {
    json!({ "key": key, "componentId": WEATHER })
}

/// A way in as a component.
fn way_of(daemon: &Daemon, component: &str) -> Way {
    let token = daemon.ok("auth.createToken", json!({ "componentId": component }));
    Way::with(Door::Components, token["token"].as_str().unwrap())
}

fn with_component_socket() -> Options {
    Options { component_socket: true, ..Options::default() }
}

#[test]
fn acknowledged_writes_survive_a_kill() {
    const WRITERS: usize = 4;
    let daemon = Daemon::start();
    // Each writer counts what it was told is there; the daemon is killed while they write.
    let written: [AtomicUsize; WRITERS] = Default::default();
    let folder = std::thread::scope(|scope| {
        for (writer, count) in written.iter().enumerate() {
            let mut stream = daemon.connect();
            scope.spawn(move || {
                for number in 0_usize.. {
                    let params = write(&format!("{writer}/{number:06}"), json!([writer, number]));
                    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "storage.write",
                        "params": params });
                    let body = body.to_string();
                    let head = format!(
                        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                         Content-Length: {}\r\n",
                        body.len()
                    );
                    let answered = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                        exchange(&mut stream, &head, body.as_bytes()).json()["result"]["key"]
                            .is_string()
                    }));
                    if !answered.unwrap_or(false) {
                        return;
                    }
                    count.store(number + 1, Ordering::SeqCst);
                }
            });
        }
        wait_until("every writer to have written", || {
            written.iter().all(|count| count.load(Ordering::SeqCst) >= 20).then_some(())
        });
        daemon.kill()
    });
    let daemon = Daemon::start_in(folder, &Options::default()).unwrap();
    for (writer, count) in written.iter().enumerate() {
        for number in 0..count.load(Ordering::SeqCst) {
            let stored = daemon.ok("storage.read", read(&format!("{writer}/{number:06}")));
            assert_eq!(stored["value"], json!([writer, number]));
        }
    }
}

#[test]
fn a_component_sees_its_own_values_only() {
    let daemon = Daemon::start_with(&with_component_socket());
    let (weather, other) = (way_of(&daemon, WEATHER), way_of(&daemon, "@other/component"));
    let ok = |way: &Way, method: &str, params: Value| way.call(&daemon, method, &params).ok();
    ok(&weather, "storage.write", json!({ "key": "k", "value": 1 }));
    ok(&other, "storage.write", json!({ "key": "k", "value": 2 }));
    // The id comes from the credential; to name it changes nothing.
    for params in [json!({ "key": "k" }), read("k")] {
        assert_eq!(ok(&weather, "storage.read", params)["value"], 1);
    }
    assert_eq!(ok(&other, "storage.read", json!({ "key": "k" }))["value"], 2);
    assert_eq!(daemon.ok("storage.read", read("k"))["value"], 1);
    // What is another's is not there, whether it is there or not, for reading and for writing.
    for key in ["k", "absent"] {
        for (method, params) in [
            ("storage.read", read(key)),
            ("storage.write", write(key, json!(3))),
            (
                "storage.writeMany",
                json!({ "items": [{ "key": key, "value": 3 }], "componentId": WEATHER }),
            ),
            ("storage.delete", read(key)),
            ("storage.list", json!({ "componentId": WEATHER })),
        ] {
            let told = other.call(&daemon, method, &params);
            assert_eq!(told.code(), "not_found", "{method} {key}");
        }
    }
    // The owner says whose he means.
    for (method, params) in [
        ("storage.read", json!(["k"])),
        ("storage.write", json!(["k", 1])),
        ("storage.writeMany", json!([[]])),
        ("storage.list", json!([])),
        ("storage.delete", json!(["k"])),
    ] {
        let data = daemon.fails("validation_error", method, params);
        assert_eq!(
            data["fields"],
            json!({ "componentId": "is required of the owner" }),
            "{method}"
        );
    }
    assert_eq!(daemon.ok("storage.list", json!({ "componentId": WEATHER }))["items"][0]["size"], 1);
}

#[test]
fn no_value_stands_in_clear_in_the_database_or_the_log() {
    const WORD: &str = "unspoken-4c1a77";
    let options = Options { config: "log = \"trace\"\n".to_owned(), ..Options::default() };
    let daemon = Daemon::start_with(&options);
    let value = json!({ "secret": WORD.repeat(40) });
    daemon.ok("storage.write", write("a", value.clone()));
    let mut repeated = write("b", value.clone());
    repeated["requestId"] = json!("request-1");
    let first = daemon.ok("storage.write", repeated.clone());
    assert_eq!(daemon.ok("storage.write", repeated), first);
    let items =
        json!([{ "key": "c", "value": value }, { "key": "c", "value": value, "ttlSeconds": 60 }]);
    let many = json!({ "items": items, "componentId": WEATHER, "requestId": "request-2" });
    daemon.ok("storage.writeMany", many);
    let operations = json!([{ "method": "storage.write", "params": write("d", value.clone()) }]);
    daemon.ok("batch.apply", json!({ "operations": operations, "requestId": "request-3" }));
    daemon.fails("conflict", "storage.write", {
        let mut params = write("a", value.clone());
        params["ifRevision"] = json!(0);
        params
    });
    for key in ["a", "b", "c", "d"] {
        assert_eq!(daemon.ok("storage.read", read(key))["value"], value, "{key}");
    }
    daemon.ok("storage.list", json!({ "values": true, "componentId": WEATHER }));

    let log = daemon.log();
    assert!(log.contains("\"level\":\"DEBUG\""), "the log says less than it could");
    assert!(!log.contains(WORD), "a value stands in the log");
    // Both as it runs, with the WAL, and after a clean stop.
    let nothing_in_clear = |root: &std::path::Path| {
        let mut looked_at = 0;
        for entry in fs::read_dir(root).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().unwrap().to_str().unwrap().starts_with("osnova.db") {
                let bytes = fs::read(&path).unwrap();
                let found = bytes.windows(WORD.len()).any(|window| window == WORD.as_bytes());
                assert!(!found, "a value stands in {}", path.display());
                looked_at += bytes.len();
            }
        }
        assert!(looked_at > 0);
    };
    nothing_in_clear(&daemon.root());
    let (status, folder) = daemon.stop();
    assert!(status.success());
    nothing_in_clear(&folder.path().join("root"));
}

#[test]
fn what_needs_the_key_is_locked_and_the_rest_is_not() {
    let daemon = Daemon::start();
    daemon.ok("storage.write", write("a", json!(1)));
    daemon.ok("storage.write", write("b", json!(2)));
    daemon.ok("vault.lock", json!({}));
    for (method, params) in [
        ("storage.read", read("a")),
        ("storage.read", read("absent")),
        ("storage.write", write("a", json!(3))),
        (
            "storage.writeMany",
            json!({ "items": [{ "key": "a", "value": 3 }], "componentId": WEATHER }),
        ),
        ("storage.list", json!({ "values": true, "componentId": WEATHER })),
        ("batch.apply", json!([[{ "method": "storage.write", "params": write("a", json!(3)) }]])),
    ] {
        daemon.fails("locked", method, params);
    }
    let keys = daemon.ok("storage.list", json!({ "componentId": WEATHER }));
    assert_eq!(keys["items"].as_array().unwrap().len(), 2);
    assert_eq!(daemon.ok("storage.delete", read("a")), json!({ "deleted": true }));
    daemon.ok("vault.unlock", json!({ "secret": PHRASE }));
    assert_eq!(daemon.ok("storage.read", read("b"))["value"], 2);
    daemon.fails("not_found", "storage.read", read("a"));
}

#[test]
fn values_are_written_in_batches_with_other_records() {
    let daemon = Daemon::start_with(&with_component_socket());
    let operation = |method: &str, params: Value| json!({ "method": method, "params": params });
    let applied = daemon.ok(
        "batch.apply",
        json!([[
            operation("storage.write", write("a", json!([1]))),
            operation("preferences.set", json!({ "key": "k", "value": 1 })),
            operation("storage.delete", read("a")),
            operation("storage_write", write("b", json!([2]))),
        ]]),
    );
    assert_eq!(applied["results"][2], json!({ "deleted": true }));
    assert_eq!(applied["results"][3]["key"], "b");
    assert!(applied["results"][0].get("value").is_none());
    daemon.fails("not_found", "storage.read", read("a"));
    // All or none, and a component's are its own.
    let weather = way_of(&daemon, WEATHER);
    let own = |key: &str, if_revision: u64| {
        operation("storage.write", json!({ "key": key, "value": 3, "ifRevision": if_revision }))
    };
    let told = weather.call(&daemon, "batch.apply", &json!([[own("c", 0), own("b", 0)]]));
    let error = told.outcome.unwrap_err();
    assert_eq!(error["data"]["reason"], "revision");
    assert_eq!(error["data"]["index"], 1);
    assert_eq!(error["data"]["currentRevision"], applied["results"][3]["revision"]);
    daemon.fails("not_found", "storage.read", read("c"));
    weather.call(&daemon, "batch.apply", &json!([[own("c", 0)]])).ok();
    assert_eq!(daemon.ok("storage.read", read("c"))["value"], 3);
}

#[test]
fn a_component_may_store_so_much() {
    let config = "[storage]\ncomponent_limit_bytes = 4096\n".to_owned();
    let daemon = Daemon::start_with(&Options { config, ..with_component_socket() });
    let weather = way_of(&daemon, WEATHER);
    let value = json!("x".repeat(1000));
    for key in ["a", "b", "c"] {
        weather.call(&daemon, "storage.write", &json!([key, value])).ok();
    }
    let told = weather.call(&daemon, "storage.write", &json!(["d", value]));
    assert_eq!(told.code(), "quota_exceeded");
    // The owner does not get past it on its behalf, and another component is not concerned.
    daemon.fails("quota_exceeded", "storage.write", write("d", value.clone()));
    let items = json!([{ "key": "d", "value": 1 }, { "key": "e", "value": value }]);
    let many = json!({ "items": items, "componentId": WEATHER });
    assert_eq!(daemon.fails("quota_exceeded", "storage.writeMany", many)["index"], 1);
    daemon.fails("not_found", "storage.read", read("d"));
    way_of(&daemon, "@other/component").call(&daemon, "storage.write", &json!(["d", value])).ok();
    daemon.ok("storage.delete", read("a"));
    daemon.ok("storage.write", write("d", value));
}

#[test]
fn bad_params_are_named() {
    let daemon = Daemon::start();
    for (method, params, field) in [
        ("storage.read", json!({ "key": "" }), "key"),
        ("storage.read", json!({ "key": "a\u{7}" }), "key"),
        ("storage.read", json!({ "key": "a\u{0}" }), "key"),
        ("storage.read", json!({ "key": "k".repeat(257) }), "key"),
        ("storage.write", json!({ "key": "k", "value": 1, "ttlSeconds": 0 }), "ttlSeconds"),
        ("storage.write", json!({ "key": "k", "value": 1, "ttlSeconds": -1 }), "ttlSeconds"),
        ("storage.write", json!({ "key": "k", "value": 1, "ttlSeconds": 1.5 }), "ttlSeconds"),
        (
            "storage.write",
            json!({ "key": "k", "value": 1, "ttlSeconds": 3_155_760_001_u64 }),
            "ttlSeconds",
        ),
        ("storage.write", json!({ "key": "k" }), "value"),
        ("storage.writeMany", json!({ "items": [{ "key": "k" }] }), "items.0.value"),
        ("storage.list", json!({ "limit": 1001 }), "limit"),
        ("storage.list", json!({ "values": 1 }), "values"),
        ("storage.list", json!({ "componentId": WEATHER, "cursor": "x" }), "cursor"),
        ("storage.delete", json!({ "key": "k", "ifRevision": -1 }), "ifRevision"),
    ] {
        let data = daemon.fails("validation_error", method, params.clone());
        assert!(data["fields"].get(field).is_some(), "{method} {params}: {data}");
    }
    let most: Vec<Value> =
        (0..1001).map(|n| json!({ "key": format!("{n}"), "value": n })).collect();
    let many = json!({ "items": most, "componentId": WEATHER });
    daemon.fails("validation_error", "storage.writeMany", many);
    let many = json!({ "items": most[..1000], "componentId": WEATHER });
    let written = daemon.ok("storage.writeMany", many);
    assert_eq!(written["items"].as_array().unwrap().len(), 1000);
    // The longest key, the longest life, and null is a value.
    let key = "\u{10ffff}".repeat(256);
    let longest = json!({ "key": key, "value": null, "ttlSeconds": 3_155_760_000_u64, "componentId": WEATHER });
    daemon.ok("storage.write", longest);
    assert_eq!(daemon.ok("storage.read", read(&key))["value"], Value::Null);
}

/// The daemon's own timer: what has expired goes without anyone asking for it.
#[test]
fn expired_values_are_deleted_by_the_daemon_itself() {
    let config = "[storage]\nsweep_interval_ms = 20\n".to_owned();
    let daemon = Daemon::start_with(&Options { config, ..Options::default() });
    let mut brief = write("brief", json!(1));
    brief["ttlSeconds"] = json!(1);
    daemon.ok("storage.write", brief);
    daemon.ok("storage.write", write("lasting", json!(2)));
    let rows = || {
        let database = rusqlite::Connection::open_with_flags(
            daemon.root().join("osnova.db"),
            rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY,
        );
        let count = "SELECT count(*) FROM component_storage";
        database.unwrap().query_row(count, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    wait_until("the sweep", || (rows() == 1).then_some(()));
    daemon.fails("not_found", "storage.read", read("brief"));
    assert_eq!(daemon.ok("storage.read", read("lasting"))["value"], 2);
}
