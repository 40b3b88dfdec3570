//! `batch.apply`: any mix of writes, in order, all or none.

#![allow(clippy::needless_pass_by_value, reason = "`json!` makes params where they are passed")]

use serde_json::{Value, json};

use crate::document::Document;
use crate::example_root::{self, HELLO};
use crate::support::{Daemon, connect, exchange};

fn house() -> Daemon {
    example_root::daemon(&Document::read())
}

fn operation(method: &str, params: Value) -> Value {
    json!({ "method": method, "params": params })
}

fn set(key: &str, value: Value) -> Value {
    operation("preferences.set", json!({ "key": key, "value": value }))
}

/// Applies operations of which one must fail; its index and the error's data. Nothing may change.
fn refused(daemon: &Daemon, code: &str, operations: &[Value]) -> Value {
    let before = example_root::dump(daemon);
    let data = daemon.fails(code, "batch.apply", json!({ "operations": operations }));
    assert_eq!(example_root::dump(daemon), before, "{code}");
    data
}

#[test]
fn writes_of_all_kinds_are_applied_in_order_and_see_each_other() {
    let daemon = house();
    let component = json!({
        "componentId": "org.example.radio",
        "name": "Radio",
        "version": "1.0.0",
        "type": "backend",
        "manifest": {},
        "blobs": { "binary": HELLO },
    });
    let operations = [
        operation("blobs.unpin", json!([HELLO])),
        operation("components_put", json!({ "component": component })),
        set("radio.station", json!("muzaiko")),
        operation("preferences.delete", json!(["radio.station"])),
        operation(
            "preferences.setMany",
            json!([[{ "key": "a", "value": 1 }, { "key": "b", "value": 2 }]]),
        ),
        operation("blobs.grant", json!([HELLO, "org.example.radio"])),
        operation("components.delete", json!({ "componentId": "org.example.weather" })),
        operation("blobs.pin", json!({ "hash": HELLO })),
    ];
    let answer = daemon.ok("batch.apply", json!({ "operations": operations }));
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results.len(), operations.len());
    assert_eq!((&results[0]["pinned"], &results[0]["references"]), (&json!(false), &json!(0)));
    assert_eq!(results[1]["componentId"], "org.example.radio");
    assert_eq!(results[2]["value"], "muzaiko");
    assert_eq!(results[3], json!({ "deleted": true }));
    assert_eq!(results[4]["items"][1]["key"], "b");
    // What stands before it in the batch counts already.
    assert_eq!((&results[5]["pinned"], &results[5]["references"]), (&json!(true), &json!(1)));
    assert_eq!(results[6], json!({ "deleted": true }));
    assert_eq!(results[7]["pinned"], true);
    let revisions =
        [&results[1]["revision"], &results[2]["revision"], &results[4]["items"][0]["revision"]];
    assert!(revisions.is_sorted_by_key(|revision| revision.as_u64()), "{revisions:?}");

    // Each is there as if it had been called alone.
    let stored = daemon.ok("components.get", json!(["org.example.radio"]));
    assert_eq!(&stored, &results[1]);
    daemon.fails("not_found", "preferences.get", json!(["radio.station"]));
    daemon.fails("not_found", "components.get", json!(["org.example.weather"]));
    assert_eq!(daemon.ok("preferences.get", json!(["b"])), results[4]["items"][1]);
    assert_eq!(daemon.ok("batch.apply", json!({ "operations": [] })), json!({ "results": [] }));
}

#[test]
fn one_that_fails_undoes_all_and_is_named() {
    let daemon = house();
    let put = |if_revision: u64| {
        let params = json!({ "key": "ui.theme", "value": "light", "ifRevision": if_revision });
        operation("preferences.set", params)
    };
    let current = daemon.ok("preferences.get", json!(["ui.theme"]))["revision"].clone();
    let data = refused(&daemon, "conflict", &[set("a", json!(1)), set("b", json!(2)), put(7)]);
    assert_eq!(
        data,
        json!({ "code": "conflict", "reason": "revision", "index": 2, "currentRevision": current })
    );
    let data = refused(
        &daemon,
        "not_found",
        &[set("a", json!(1)), operation("blobs.pin", json!(["0".repeat(64)]))],
    );
    assert_eq!(data, json!({ "code": "not_found", "index": 1 }));
    // The second sees the first: the preference is there by then.
    let twice = [
        set("new", json!(1)),
        operation("preferences.set", json!({ "key": "new", "value": 2, "ifRevision": 0 })),
    ];
    assert_eq!(refused(&daemon, "conflict", &twice)["index"], 1);
    // Calls that came with it are not undone.
    let calls = json!([
        { "jsonrpc": "2.0", "id": 1, "method": "preferences.set", "params": ["beside", 1] },
        { "jsonrpc": "2.0", "id": 2, "method": "batch.apply", "params": { "operations": twice } },
        { "jsonrpc": "2.0", "id": 3, "method": "batch.apply", "params": { "operations": [set("after", json!(1))] } },
    ]);
    let answers: Value = serde_json::from_str(&daemon.post(&calls.to_string())).unwrap();
    assert_eq!(answers[0]["result"]["key"], "beside");
    assert_eq!(answers[1]["error"]["data"]["index"], 1);
    assert_eq!(answers[2]["result"]["results"][0]["key"], "after");
    daemon.fails("not_found", "preferences.get", json!(["new"]));
}

#[test]
fn what_can_not_be_applied_is_found_before_the_first_is() {
    let daemon = house();
    let first = || set("a", json!(1));
    for method in [
        "preferences.get",
        "components.touch",
        "blobs.put",
        "batch.apply",
        "no.such",
        "system.shutdown",
        "",
    ] {
        let params = json!({ "operations": [first(), operation(method, json!({}))] });
        let data = daemon.fails("validation_error", "batch.apply", params);
        // An empty name is no name, and has no place in the batch yet.
        if !method.is_empty() {
            assert_eq!(
                (&data["index"], data["fields"]["operations.1.method"].is_string()),
                (&json!(1), true),
                "{method}"
            );
        }
    }
    let data = refused(&daemon, "validation_error", &[first(), set("", json!(1))]);
    assert_eq!(
        (&data["index"], data["fields"]["operations.1.params.key"].is_string()),
        (&json!(1), true)
    );
    let data = refused(
        &daemon,
        "validation_error",
        &[first(), operation("preferences.set", json!({ "key": "k" }))],
    );
    assert_eq!(data["fields"]["operations.1.params.value"], "is required");
    assert_eq!(
        refused(&daemon, "invalid_params", &[first(), operation("preferences.set", json!("k"))])["index"],
        1
    );
    let repeated =
        operation("preferences.set", json!({ "key": "k", "value": 1, "requestId": "r" }));
    let data = refused(&daemon, "validation_error", &[first(), first(), repeated]);
    assert_eq!(
        (&data["index"], data["fields"]["operations.2.params.requestId"].is_string()),
        (&json!(2), true)
    );
    refused(&daemon, "validation_error", &vec![first(); 1001]);
    let most = vec![first(); 1000];
    let answer = daemon.ok("batch.apply", json!({ "operations": most }));
    assert_eq!(answer["results"].as_array().unwrap().len(), 1000);
}

#[test]
fn a_component_applies_only_what_it_may_call() {
    let daemon = house();
    let socket = daemon.ok(
        "auth.openSocket",
        json!({ "componentId": "org.example.weather", "scopes": ["blobs:write"] }),
    );
    let socket = std::path::PathBuf::from(socket["path"].as_str().unwrap());
    let call = |method: &str, params: Value| -> Value {
        let body =
            json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        let head = format!(
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
            body.len()
        );
        exchange(&mut connect(&socket), &head, body.as_bytes()).json()
    };
    let own = call("blobs.put", json!({ "data": "YXBwbGllZA==", "pin": false }))["result"]["hash"]
        .clone();
    let pin = |hash: &Value| operation("blobs.pin", json!([hash]));
    let before = example_root::dump(&daemon);
    let apply = |operations: Value| call("batch.apply", json!({ "operations": operations }));
    let answer = apply(json!([pin(&own), set("theirs", json!(1))]));
    assert_eq!(answer["error"]["data"], json!({ "code": "forbidden", "index": 1 }));
    // Another's blob is not there for it.
    let answer = apply(json!([pin(&own), pin(&json!(HELLO))]));
    assert_eq!(answer["error"]["data"], json!({ "code": "not_found", "index": 1 }));
    assert_eq!(example_root::dump(&daemon), before);
    assert!(daemon.log().lines().any(|line| {
        line.contains("\"audit\"") && line.contains("preferences.set") && line.contains("forbidden")
    }));
    assert_eq!(apply(json!([pin(&own)]))["result"]["results"][0]["pinned"], true);
}

/// An operation may answer far more than it was asked: a batch of them was applied and then answered
/// `too_large`, after a gigabyte of answers had been collected.
#[test]
fn a_batch_whose_answers_would_not_fit_is_not_applied() {
    let daemon = house();
    let transaction = json!({
        "txHash": "0xlong", "fromAddress": "0xa", "toAddress": "0xb", "amount": "1", "network": "n",
        "status": "pending", "purpose": "y".repeat(60_000),
    });
    daemon.ok("transactions.put", json!({ "transaction": transaction }));
    let pending = json!({ "txHash": "0xlong", "status": "pending" });
    let mut operations = vec![set("a", json!(1)), operation("transactions.updateStatus", pending)];
    let confirm = operation(
        "transactions.updateStatus",
        json!({ "txHash": "0xlong", "status": "confirmed" }),
    );
    operations.resize(1000, confirm);
    // 16 MiB of answers of 60 KB each.
    let index = refused(&daemon, "too_large", &operations)["index"].as_u64().unwrap();
    assert!((270..285).contains(&index), "{index}");
    operations.truncate(200);
    let answer = daemon.ok("batch.apply", json!({ "operations": operations }));
    assert_eq!(answer["results"][199]["status"], "confirmed");
}

/// Nobody else writes while a batch is applied.
#[test]
fn a_batch_has_a_bound_on_its_records_whatever_operations_they_come_in() {
    let daemon = house();
    let item = |index: usize| json!({ "key": format!("k{index}"), "value": 1 });
    let items: Vec<Value> = (0..1000).map(item).collect();
    let many = operation("preferences.setMany", json!({ "items": items }));
    let mut operations = vec![many; 10];
    operations.push(set("a", json!(1)));
    let data = refused(&daemon, "too_large", &operations);
    assert_eq!(data, json!({ "code": "too_large", "index": 10 }));
    operations.truncate(10);
    daemon.ok("batch.apply", json!({ "operations": operations }));
}

#[test]
fn a_repeated_batch_is_applied_once() {
    let daemon = house();
    let params = json!({ "operations": [set("counted", json!(1))], "requestId": "once" });
    let first = daemon.ok("batch.apply", params.clone());
    assert_eq!(daemon.ok("batch.apply", params), first);
    let stored = daemon.ok("preferences.get", json!(["counted"]));
    assert_eq!(stored["revision"], first["results"][0]["revision"]);
    let other = json!({ "operations": [set("counted", json!(2))], "requestId": "once" });
    assert_eq!(daemon.fails("conflict", "batch.apply", other)["reason"], "request_reused");
    // A failure is not kept: the same id may be used again.
    let failing = |if_revision: &Value| {
        let params = json!({ "key": "counted", "value": 3, "ifRevision": if_revision });
        json!({ "operations": [operation("preferences.set", params)], "requestId": "again" })
    };
    daemon.fails("conflict", "batch.apply", failing(&json!(1)));
    daemon.ok("batch.apply", failing(&stored["revision"]));
}
