//! The document is what the daemon does: every method is called as its examples show, and answers
//! what its schema says.

use osnova_storage_api::{ErrorCode, all_methods};
use serde_json::{Value, json};

use crate::document::{self, Document, ExampleCall, name_of};
use crate::example_root;
use crate::support::Daemon;
use crate::ways::{OVER_WEB_SOCKET_ONLY, outcome_of, request};
use crate::websocket::WebSocket;

#[test]
fn discover_answers_the_document_byte_for_byte() {
    let daemon = Daemon::start();
    let answer = daemon.post(r#"{"jsonrpc":"2.0","id":7,"method":"rpc.discover"}"#);
    // The answer is the document's own text between what JSON-RPC puts around it.
    let start = answer.find(r#""result":"#).unwrap() + r#""result":"#.len();
    assert!(answer[start..].starts_with(document::TEXT.trim_end()));
    let around =
        answer[..start].to_owned() + "0" + &answer[start + document::TEXT.trim_end().len()..];
    let around: Value = serde_json::from_str(&around).unwrap();
    assert_eq!(around, json!({ "jsonrpc": "2.0", "id": 7, "result": 0 }));
}

#[test]
fn the_document_is_that_of_the_code_and_names_every_method() {
    let document = Document::read();
    let listed: Vec<&str> = document.methods().iter().map(name_of).collect();
    let defined: Vec<&str> = all_methods().map(|spec| spec.name).collect();
    assert_eq!(listed, defined);
    let flat: Value =
        serde_json::from_str(include_str!("../../openrpc/openrpc.flat.json")).unwrap();
    let flat = flat["methods"].as_array().unwrap();
    for (dotted, flat) in listed.iter().zip(flat) {
        assert_eq!(dotted.replace('.', "_"), name_of(flat));
    }
}

/// Every example is called twice, each time on a fresh data root: by name under the dotted name, and
/// by position under the name with `_`.
#[test]
fn every_example_is_answered_as_its_schema_and_its_text_say() {
    let document = Document::read();
    for method in document.methods() {
        let examples = Document::examples(method);
        assert!(!examples.is_empty(), "{} has no example", name_of(method));
        for example in &examples {
            let by_name = Value::Object(example.params.clone());
            call_example(&document, method, example, name_of(method), &by_name);
            let by_position = Document::by_position(method, &example.params);
            let flat_name = name_of(method).replace('.', "_");
            call_example(&document, method, example, &flat_name, &by_position);
        }
    }
}

fn call_example(
    document: &Document,
    method: &Value,
    example: &ExampleCall,
    name: &str,
    params: &Value,
) {
    let validator = document.validator(&method["result"]["schema"]);
    let check = |what: &str, result: &Value| {
        let errors: Vec<String> =
            validator.iter_errors(result).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{name}: {what} is not as its schema says: {errors:?}");
    };
    check("the example", &example.result);
    let daemon = example_root::daemon(document);
    if name_of(method) == "registry.reap" {
        example_root::end_sky(&daemon);
    }
    let params = example_root::of_this_daemon(&daemon, params);
    let answer = if OVER_WEB_SOCKET_ONLY.contains(&name_of(method)) {
        outcome_of(WebSocket::open(&daemon).ask(&request(name, &params))).unwrap()
    } else {
        daemon.ok(name, params)
    };
    check("the answer", &answer);
    if name_of(method) == "rpc.discover" {
        // The document can't show itself; its example shows how it begins.
        let shown = example.result.as_object().unwrap().keys();
        assert!(shown.into_iter().all(|key| answer.get(key).is_some()));
    } else {
        same_shape(name, &example.result, &answer);
    }
}

/// The same members, at every depth, of the same types; of lists the first items are compared.
fn same_shape(at: &str, shown: &Value, answered: &Value) {
    match (shown, answered) {
        (Value::Object(shown), Value::Object(answered)) => {
            let keys = |object: &serde_json::Map<String, Value>| {
                object.keys().cloned().collect::<std::collections::BTreeSet<_>>()
            };
            assert_eq!(keys(shown), keys(answered), "{at}");
            for (key, value) in shown {
                same_shape(&format!("{at}.{key}"), value, &answered[key]);
            }
        }
        (Value::Array(shown), Value::Array(answered)) => {
            assert_eq!(shown.is_empty(), answered.is_empty(), "{at}");
            if let (Some(shown), Some(answered)) = (shown.first(), answered.first()) {
                same_shape(&format!("{at}.0"), shown, answered);
            }
        }
        _ => assert_eq!(
            std::mem::discriminant(shown),
            std::mem::discriminant(answered),
            "{at}: {shown} is shown, {answered} is answered"
        ),
    }
}

#[test]
fn every_error_carries_its_entry_of_the_table_and_is_declared() {
    let document = Document::read();
    let daemon = example_root::daemon(&document);
    for method in document.methods() {
        let name = name_of(method);
        let calls = [
            (json!({ "noSuchField": 1 }), "validation_error"),
            (json!("text"), "invalid_params"),
            (json!(5), "invalid_params"),
        ];
        for (params, code) in calls {
            let error = daemon.call(name, params).unwrap_err();
            assert_eq!(error["data"]["code"], code, "{name}: {error}");
            let known = ErrorCode::from_name(code).unwrap();
            assert_eq!(error["code"], known.code(), "{name}");
            assert!(error["message"].as_str().is_some_and(|text| !text.is_empty()), "{name}");
            assert!(Document::declares(method, code), "{name} does not declare {code}");
        }
    }
    for name in
        ["components.Get", "components", "no.such", "", "components.get.", "components__get"]
    {
        let error = daemon.call(name, json!({})).unwrap_err();
        assert_eq!(error["data"]["code"], "method_not_found", "{name:?}");
        assert_eq!(error["code"], -32601, "{name:?}");
    }
    let absent = "0".repeat(64);
    for (name, params) in [
        ("components.get", json!(["no.such"])),
        ("components.touch", json!(["no.such"])),
        ("components.dependencies", json!(["no.such"])),
        ("preferences.get", json!(["no.such"])),
        ("storage.read", json!(["no.such", "org.example.weather"])),
        ("identity.getCocoon", json!(["no.such"])),
        ("identity.restorePrevious", json!(["no.such"])),
        ("identity.restorePrevious", json!(["alice"])),
        ("componentData.getConfig", json!(["9.9", "no.such"])),
        ("componentData.setConfig", json!(["9.9", {}, "no.such"])),
        ("componentData.usage", json!(["9.9", "no.such"])),
        ("componentData.migrate", json!(["9.9", "1.0", "no.such"])),
        ("blobs.get", json!([absent])),
        ("blobs.stat", json!([absent])),
        ("blobs.pin", json!([absent])),
        ("blobs.unpin", json!([absent])),
        ("jobs.get", json!(["vacuum-7"])),
        ("jobs.cancel", json!(["vacuum-7"])),
    ] {
        let error = daemon.call(name, params).unwrap_err();
        assert_eq!(error["data"], json!({ "code": "not_found" }), "{name}: {error}");
        assert_eq!(error["code"], -32001, "{name}");
        assert!(Document::declares(document.method(name), "not_found"), "{name}");
    }
}
