//! JSON-RPC 2.0 as it goes over the wire: params, notifications, batches, limits, over HTTP and over
//! a WebSocket.

use serde_json::{Value, json};

use crate::support::{Daemon, HttpAnswer, Options};
use crate::websocket::WebSocket;

/// Posts a body as it is.
fn post(daemon: &Daemon, body: &[u8]) -> HttpAnswer {
    let head = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
        body.len()
    );
    daemon.http(&head, body)
}

/// A batch of calls whose ids are their places.
fn batch(calls: &[(&str, Value)]) -> Value {
    let call = |(id, (method, params)): (usize, &(&str, Value))| json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
    calls.iter().enumerate().map(call).collect()
}

fn post_json(daemon: &Daemon, body: &Value) -> Value {
    serde_json::from_str(&daemon.post(&body.to_string())).unwrap()
}

fn code(answer: &Value) -> &str {
    answer["error"]["data"]["code"].as_str().unwrap_or_else(|| panic!("no error: {answer}"))
}

#[test]
fn params_come_by_name_by_position_as_null_or_not_at_all() {
    let daemon = Daemon::start();
    daemon.ok("preferences.set", json!({ "key": "a", "value": null }));
    daemon.ok("preferences.set", json!(["b", null]));
    daemon.ok("preferences.set", json!(["c", false, null, null]));
    daemon.ok("preferences_set", json!(["d", 0, 0, "an id"]));
    assert_eq!(daemon.ok("preferences.get", json!(["a"]))["value"], Value::Null);
    assert_eq!(daemon.ok("preferences.get", json!({ "key": "b" }))["value"], Value::Null);
    // Optional params may be null or left out, by name too; a required JSON value may be null only.
    assert_eq!(
        daemon.ok("preferences.list", json!({ "prefix": null, "limit": null }))["items"][3]["key"],
        "d"
    );
    assert_eq!(
        daemon.ok("preferences.list", json!([null, 1]))["items"].as_array().unwrap().len(),
        1
    );
    let missing = daemon.fails("validation_error", "preferences.set", json!(["e"]));
    assert_eq!(missing["fields"], json!({ "value": "is required" }));
    for params in [r#","params":{}"#, r#","params":[]"#, r#","params":null"#, ""] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"vault.status"{params}}}"#);
        let answer: Value = serde_json::from_str(&daemon.post(&body)).unwrap();
        assert_eq!(answer["result"]["locked"], false, "{params}");
    }
    for params in ["\"text\"", "5", "true", "false", "1.5", "\"{}\""] {
        let body =
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"vault.status","params":{params}}}"#);
        let answer: Value = serde_json::from_str(&daemon.post(&body)).unwrap();
        assert_eq!(code(&answer), "invalid_params", "{params}");
        assert_eq!(answer["error"]["code"], -32602);
        assert_eq!(answer["id"], 1);
    }
    for id in ["0", "18446744073709551615", "\"x\"", "\"\"", "null"] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"vault.status"}}"#);
        let answer = daemon.post(&body);
        assert!(answer.contains(&format!("\"id\":{id},")), "{answer}");
        assert!(answer.contains("\"result\""), "{answer}");
    }
}

#[test]
fn notifications_are_neither_executed_nor_answered() {
    let daemon = Daemon::start();
    let set = r#"{"jsonrpc":"2.0","method":"preferences.set","params":["k",1]}"#;
    let stop = r#"{"jsonrpc":"2.0","method":"system.shutdown"}"#;
    for body in [set, stop, &format!("[{set},{stop}]")] {
        let answer = post(&daemon, body.as_bytes());
        assert_eq!((answer.status, answer.body.len()), (204, 0), "{body}");
    }
    let mixed = format!(r#"[{set},{{"jsonrpc":"2.0","id":9,"method":"vault.status"}},{stop}]"#);
    let answers: Value = serde_json::from_str(&daemon.post(&mixed)).unwrap();
    assert_eq!(answers.as_array().unwrap().len(), 1);
    assert_eq!(answers[0]["id"], 9);
    let mut socket = WebSocket::open(&daemon);
    socket.send(set);
    socket.send(stop);
    socket.send(&format!("[{set}]"));
    assert_eq!(socket.ask(&mixed)[0]["id"], 9);
    daemon.fails("not_found", "preferences.get", json!(["k"]));
}

#[test]
fn a_batch_is_answered_in_order_and_reads_its_own_writes() {
    let daemon = Daemon::start();
    let check = |answers: &Value| {
        let answers = answers.as_array().unwrap();
        let ids: Vec<&Value> = answers.iter().map(|answer| &answer["id"]).collect();
        assert_eq!(ids, [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(answers[1]["result"]["value"], "first");
        assert_eq!(code(&answers[2]), "validation_error");
        assert_eq!(answers[5]["result"]["items"].as_array().unwrap().len(), 3);
        assert_eq!(answers[6]["result"], json!({ "deleted": true }));
        assert_eq!(code(&answers[7]), "not_found");
    };
    let calls = batch(&[
        ("preferences.set", json!(["a", "first"])),
        ("preferences.get", json!(["a"])),
        ("preferences.set", json!({ "key": "" })),
        ("preferences.set", json!(["b", 2])),
        ("preferences.set", json!(["c", 3])),
        ("preferences.list", json!({})),
        ("preferences.delete", json!(["a"])),
        ("preferences.get", json!(["a"])),
    ]);
    check(&post_json(&daemon, &calls));
    check(&WebSocket::open(&daemon).ask(&calls.to_string()));
}

/// Writes that stand side by side share a commit: nobody else's can come between them.
#[test]
fn the_writes_of_a_batch_have_consecutive_revisions() {
    let daemon = Daemon::start();
    let calls: Vec<(&str, Value)> =
        (0..100).map(|index| ("preferences.set", json!([format!("k{index}"), index]))).collect();
    let body = batch(&calls);
    std::thread::scope(|scope| {
        let others: Vec<_> = (0..2)
            .map(|_| scope.spawn(|| (0..20).map(|_| post_json(&daemon, &body)).collect::<Vec<_>>()))
            .collect();
        for answers in others.into_iter().flat_map(|other| other.join().unwrap()) {
            let revisions: Vec<u64> = answers
                .as_array()
                .unwrap()
                .iter()
                .map(|answer| answer["result"]["revision"].as_u64().unwrap())
                .collect();
            assert!(revisions.windows(2).all(|pair| pair[1] == pair[0] + 1), "{revisions:?}");
        }
    });
}

#[test]
fn a_bad_entry_of_a_batch_harms_only_itself() {
    let daemon = Daemon::start();
    let body = r#"[{"jsonrpc":"2.0","id":1,"method":"preferences.set","params":["a",1]},
        {"jsonrpc":"1.0","id":2,"method":"preferences.set","params":["b",1]}, 3,
        {"jsonrpc":"2.0","id":4}, {"jsonrpc":"2.0","id":5,"method":"no.such"}, [],
        {"jsonrpc":"2.0","id":6,"method":"preferences.get","params":["a"]}]"#;
    for answers in
        [serde_json::from_str(&daemon.post(body)).unwrap(), WebSocket::open(&daemon).ask(body)]
    {
        let ids: Vec<&Value> = answers.as_array().unwrap().iter().map(|it| &it["id"]).collect();
        assert_eq!(
            ids,
            [&json!(1), &json!(2), &Value::Null, &json!(4), &json!(5), &Value::Null, &json!(6)]
        );
        for (index, expected) in [
            (1, "invalid_request"),
            (2, "invalid_request"),
            (3, "invalid_request"),
            (4, "method_not_found"),
            (5, "invalid_request"),
        ] {
            assert_eq!(code(&answers[index]), expected, "{index}");
        }
        assert_eq!(answers[6]["result"]["value"], 1);
    }
    daemon.fails("not_found", "preferences.get", json!(["b"]));
    let empty: Value = serde_json::from_str(&daemon.post("[]")).unwrap();
    assert_eq!((code(&empty), &empty["id"]), ("invalid_request", &Value::Null));
    let empty = WebSocket::open(&daemon).ask("[]");
    assert_eq!((code(&empty), &empty["id"]), ("invalid_request", &Value::Null));
}

/// A daemon with limits that are easily passed.
fn limited() -> Daemon {
    let config =
        "[limits]\nrequest_bytes = 4096\nresponse_bytes = 8192\nbatch_calls = 10\n".to_owned();
    Daemon::start_with(&Options { config, ..Options::default() })
}

#[test]
fn a_request_over_the_limit_is_refused_and_one_at_the_limit_is_not() {
    let daemon = limited();
    let call = |size: usize| {
        let body =
            r#"{"jsonrpc":"2.0","id":1,"method":"preferences.set","params":["k","#.to_owned();
        let fill = "x".repeat(size - body.len() - 4);
        format!("{body}\"{fill}\"]}}")
    };
    assert_eq!(call(4096).len(), 4096);
    let mut socket = WebSocket::open(&daemon);
    for size in [4097, 5000, 2_000_000] {
        let answer = post(&daemon, call(size).as_bytes());
        assert_eq!(answer.status, 413, "{size}");
        let body = answer.json();
        assert_eq!((code(&body), &body["id"]), ("too_large", &Value::Null));
        assert_eq!(body["error"]["code"], -32027);
        assert_eq!(daemon.ok("status.get", json!({}))["status"], "ok");
        // Without a length that could be looked at before.
        let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n";
        let chunked = format!("{size:x}\r\n{}\r\n0\r\n\r\n", call(size));
        let answer = daemon.http(head, chunked.as_bytes());
        assert_eq!((answer.status, code(&answer.json())), (413, "too_large"), "{size}");
    }
    daemon.fails("not_found", "preferences.get", json!(["k"]));
    // A WebSocket that sends one is told so, and closed: what follows of the message is not read.
    assert_eq!(code(&socket.ask(&call(4097))), "too_large");
    assert!(socket.receive().is_none());
    assert_eq!(post(&daemon, call(4096).as_bytes()).json()["result"]["key"], "k");
    assert_eq!(WebSocket::open(&daemon).ask(&call(4096))["result"]["key"], "k");
}

#[test]
fn an_answer_or_a_batch_over_the_limit_is_too_large() {
    let daemon = limited();
    for index in 0..3 {
        daemon.ok("preferences.set", json!([format!("k{index}"), "y".repeat(3900)]));
    }
    assert_eq!(
        daemon.fails("too_large", "preferences.list", json!({})),
        json!({ "code": "too_large" })
    );
    assert_eq!(daemon.ok("preferences.list", json!({ "limit": 2 }))["items"][1]["key"], "k1");
    daemon.fails("too_large", "rpc.discover", json!({}));
    let fine = batch(&vec![("preferences.get", json!(["k0"])); 2]);
    let more = batch(&vec![("preferences.get", json!(["k0"])); 3]);
    let many = batch(&vec![("preferences.set", json!(["new", 1])); 11]);
    let ten = batch(&vec![("vault.status", json!({})); 10]);
    let mut socket = WebSocket::open(&daemon);
    for mut ask in [
        Box::new(|body: &Value| post_json(&daemon, body)) as Box<dyn FnMut(&Value) -> Value>,
        Box::new(|body: &Value| socket.ask(&body.to_string())),
    ] {
        assert_eq!(ask(&fine).as_array().unwrap().len(), 2);
        assert_eq!(ask(&ten).as_array().unwrap().len(), 10);
        // The answer that does not fit is told so alone: the calls before it have their answers.
        let answers = ask(&more);
        assert_eq!(answers[1]["result"]["key"], "k0");
        assert_eq!((code(&answers[2]), &answers[2]["id"]), ("too_large", &more[2]["id"]));
        let answer = ask(&many);
        assert_eq!((code(&answer), &answer["id"]), ("too_large", &Value::Null));
    }
    daemon.fails("not_found", "preferences.get", json!(["new"]));
    // A content that does not fit into an answer is read in parts.
    let put = daemon.http("PUT /blobs HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n", &[7; 5000]);
    let hash = put.json()["hash"].clone();
    daemon.fails("too_large", "blobs.get", json!([hash]));
    assert_eq!(daemon.ok("blobs.get", json!([hash, 3000, 2000]))["size"], 5000);
}

/// A write says back what it wrote: where that would not fit it is refused, not done and then refused.
#[test]
fn a_write_whose_answer_would_not_fit_is_not_done() {
    let config = "[limits]\nresponse_bytes = 8192\n".to_owned();
    let daemon = Daemon::start_with(&Options { config, ..Options::default() });
    // One that answers more than it is asked, and one that just fits.
    let application = |size: usize| {
        let manifest = json!({ "m": "y".repeat(size) });
        let record =
            json!({ "applicationId": "a", "name": "a", "version": "1", "manifest": manifest });
        json!({ "application": record })
    };
    daemon.ok("applications.put", application(7700));
    daemon.ok("applications.recordLaunch", json!(["a"]));
    let long = "\u{1}".repeat(60);
    let request = json!({
        "jsonrpc": "2.0", "id": long, "method": "applications.recordLaunch", "params": ["a"],
    });
    let answer = post_json(&daemon, &request);
    assert_eq!(code(&answer), "too_large", "{answer}");
    assert_eq!(daemon.ok("applications.get", json!(["a"]))["launchCount"], 1);
    let value = "y".repeat(9000);
    daemon.fails("too_large", "preferences.set", json!(["new", value]));
    let items = json!([{ "key": "new", "value": value }]);
    daemon.fails("too_large", "preferences.setMany", json!({ "items": items }));
    daemon.fails("not_found", "preferences.get", json!(["new"]));
}

#[test]
fn what_is_not_json_or_not_a_request_is_told_apart() {
    let daemon = Daemon::start();
    for body in [
        &b"{"[..],
        b"",
        b" ",
        b"nonsense",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"vault.status\"",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"vault.status\"} x",
        b"[1,",
        b"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"vault.status\"}",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"preferences.get\",\"params\":[\"\xff\"]}",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xc3\x28\"}",
        b"\x00",
    ] {
        let answer = post(&daemon, body);
        let shown = String::from_utf8_lossy(body);
        assert_eq!(answer.status, 200, "{shown}");
        let answer = answer.json();
        assert_eq!((code(&answer), &answer["id"]), ("parse_error", &Value::Null), "{shown}");
        assert_eq!(answer["error"]["code"], -32700, "{shown}");
    }
    for (body, id) in [
        (r#"{"jsonrpc":"1.0","id":1,"method":"vault.status"}"#, json!(1)),
        (r#"{"id":2,"method":"vault.status"}"#, json!(2)),
        (r#"{"jsonrpc":"2.0","id":"x"}"#, json!("x")),
        (r#"{"jsonrpc":"2.0","id":3,"method":7}"#, json!(3)),
        ("{}", Value::Null),
        ("7", Value::Null),
        ("null", Value::Null),
        ("\"text\"", Value::Null),
        (r#"{"jsonrpc":"2.0"}"#, Value::Null),
        (r#"{"jsonrpc":"1.0","method":"vault.status"}"#, Value::Null),
        // An id that is not one: taken for a notification, it would never be answered.
        (r#"{"jsonrpc":"2.0","id":-1,"method":"vault.status"}"#, Value::Null),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"vault.status"}"#, Value::Null),
        (r#"{"jsonrpc":"2.0","id":[1],"method":"vault.status"}"#, Value::Null),
        (r#"{"jsonrpc":"2.0","id":true,"method":"vault.status"}"#, Value::Null),
        (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"vault.status"}"#, Value::Null),
    ] {
        let answer = post(&daemon, body.as_bytes());
        assert_eq!(answer.status, 200, "{body}");
        let answer = answer.json();
        assert_eq!((code(&answer), &answer["id"]), ("invalid_request", &id), "{body}");
        assert_eq!(answer["error"]["code"], -32600, "{body}");
    }
}

#[test]
fn only_posts_of_json_are_taken() {
    let daemon = Daemon::start();
    let call = br#"{"jsonrpc":"2.0","id":1,"method":"vault.status"}"#;
    for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"] {
        let answer = daemon.http(&format!("{method} / HTTP/1.1\r\nHost: x\r\n"), b"");
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), Some("POST"), "{method}");
        let body = answer.json();
        assert_eq!((code(&body), &body["id"]), ("invalid_request", &Value::Null), "{method}");
    }
    assert_eq!(daemon.http("HEAD / HTTP/1.1\r\nHost: x\r\n", b"").status, 405);
    for kind in
        ["", "Content-Type: text/plain\r\n", "Content-Type: application/x-www-form-urlencoded\r\n"]
    {
        let head =
            format!("POST / HTTP/1.1\r\nHost: x\r\n{kind}Content-Length: {}\r\n", call.len());
        let answer = daemon.http(&head, call);
        assert_eq!(answer.status, 415, "{kind}");
        assert_eq!(code(&answer.json()), "invalid_request", "{kind}");
    }
    for kind in ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON"] {
        let head = format!(
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n",
            call.len()
        );
        let answer = daemon.http(&head, call);
        assert_eq!(answer.status, 200, "{kind}");
        assert_eq!(answer.json()["result"]["locked"], false, "{kind}");
    }
}

#[test]
fn a_request_id_gets_the_first_answer_again() {
    let daemon = Daemon::start();
    let first = daemon.ok("preferences.set", json!(["a", 1, 0, "r1"]));
    // Without the id this would be a conflict: the preference exists by now.
    assert_eq!(daemon.ok("preferences.set", json!(["a", 1, 0, "r1"])), first);
    // By name, in another order and with other spacing it is the same call.
    let by_name = json!({ "requestId": "r1", "ifRevision": 0, "value": 1, "key": "a" });
    assert_eq!(daemon.ok("preferences_set", by_name), first);
    for (method, params) in [
        ("preferences.set", json!(["a", 2, 0, "r1"])),
        ("preferences.set", json!(["b", 1, 0, "r1"])),
        ("preferences.set", json!(["a", 1, null, "r1"])),
        ("preferences.delete", json!(["a", null, "r1"])),
        ("preferences.setMany", json!([[], "r1"])),
    ] {
        let data = daemon.fails("conflict", method, params);
        assert_eq!(data["reason"], "request_reused", "{method}");
    }
    assert_eq!(daemon.ok("preferences.get", json!(["a"])), first);
    // A failure is not kept: the same id may be tried again.
    daemon.fails("conflict", "preferences.set", json!(["a", 3, 0, "r2"]));
    let revision = &first["revision"];
    daemon.ok("preferences.set", json!(["a", 3, revision, "r2"]));
    // It is kept over a crash.
    let folder = daemon.kill();
    let daemon = Daemon::start_in(folder, &Options::default()).unwrap();
    assert_eq!(daemon.ok("preferences.set", json!(["a", 1, 0, "r1"])), first);
    assert_eq!(daemon.ok("preferences.get", json!(["a"]))["value"], 3);
}

#[test]
fn if_revision_lets_only_the_first_of_two_through() {
    let daemon = Daemon::start();
    let conflict = |method: &str, params: Value, current: &Value| {
        let data = daemon.fails("conflict", method, params);
        assert_eq!((&data["reason"], &data["currentRevision"]), (&json!("revision"), current));
        data
    };
    conflict("preferences.set", json!(["a", 1, 7]), &json!(0));
    conflict("preferences.delete", json!(["a", 7]), &json!(0));
    let first = daemon.ok("preferences.set", json!(["a", 1, 0]))["revision"].clone();
    let second = daemon.ok("preferences.set", json!(["a", 2, first]))["revision"].clone();
    assert!(second.as_u64() > first.as_u64());
    conflict("preferences.set", json!(["a", 3, first]), &second);
    conflict("preferences.set", json!(["a", 3, 0]), &second);
    conflict("preferences.delete", json!(["a", first]), &second);
    let items =
        json!([[{ "key": "b", "value": 1 }, { "key": "a", "value": 3, "ifRevision": first }]]);
    assert_eq!(conflict("preferences.setMany", items, &second)["index"], 1);
    daemon.fails("not_found", "preferences.get", json!(["b"]));
    daemon.ok("preferences.delete", json!(["a", second]));
    // What was deleted and made anew never has an old revision again.
    let third = daemon.ok("preferences.set", json!(["a", 1]))["revision"].clone();
    conflict("preferences.set", json!(["a", 2, second]), &third);
    let component = json!({ "componentId": "c", "name": "n", "version": "1", "type": "backend", "manifest": {} });
    let stored = daemon.ok("components.put", json!([component, 0]))["revision"].clone();
    conflict("components.put", json!([component, 0]), &stored);
    conflict("components.delete", json!(["c", 1]), &stored);
}
