//! Every method is given every kind of bad param that its schemas tell of. The answer names exactly
//! the field that is bad, nothing changes, and nothing that was sent stands in the log.

use serde_json::{Map, Value, json};

use crate::document::{Document, name_of};
use crate::example_root;
use crate::support::{Daemon, Options};

/// Stands in every bad value, so that it can be looked for in the log.
pub(crate) const SENTINEL: &str = "zq7sentinel";
/// The same as a number.
const SENTINEL_NUMBER: &str = "733173317";

/// A daemon that logs all it can.
pub(crate) fn tracing_daemon(document: &Document) -> Daemon {
    let config = "log = \"trace\"\n[blobs]\ndisk_reserve_bytes = 0\n".to_owned();
    example_root::daemon_with(document, &Options { config, ..Options::default() })
}

/// That nothing that was sent is in the log, and that the log was on.
pub(crate) fn assert_log_is_silent(daemon: &Daemon) {
    let log = daemon.log();
    assert!(log.contains("\"level\":\"DEBUG\""), "the log is not at trace");
    for sent in [SENTINEL, SENTINEL_NUMBER] {
        if let Some(line) = log.lines().find(|line| line.contains(sent)) {
            panic!("{sent} stands in the log: {line}");
        }
    }
}

/// A place in the params of a method, and what its schema says of it.
struct Slot {
    /// Member names and array indices, from the params on.
    path: Vec<String>,
    schema: Value,
    required: bool,
}

impl Slot {
    fn name(&self) -> String {
        self.path.join(".")
    }
}

/// Every place in a method's params: the params themselves and, where the example has a value there,
/// what lies inside it.
fn slots(document: &Document, method: &Value, base: &Value) -> Vec<Slot> {
    let mut found = Vec::new();
    for param in method["params"].as_array().unwrap() {
        let slot = Slot {
            path: vec![param["name"].as_str().unwrap().to_owned()],
            schema: param["schema"].clone(),
            required: param["required"].as_bool().unwrap(),
        };
        let inner = &base[&slot.path[0]];
        add_inner_slots(document, &slot, inner, &mut found);
        found.push(slot);
    }
    found
}

fn add_inner_slots(document: &Document, outer: &Slot, value: &Value, found: &mut Vec<Slot>) {
    for schema in document.alternatives(&outer.schema) {
        let mut inner: Vec<(String, Value, bool)> = Vec::new();
        if let (Some(properties), true) = (schema["properties"].as_object(), value.is_object()) {
            let required = schema["required"].as_array().cloned().unwrap_or_default();
            inner.extend(properties.iter().map(|(name, schema)| {
                (name.clone(), schema.clone(), required.iter().any(|it| it == name))
            }));
        }
        if let (Some(_), Some(members)) =
            (schema["additionalProperties"].as_object(), value.as_object())
        {
            let values = &schema["additionalProperties"];
            inner.extend(members.keys().map(|name| (name.clone(), values.clone(), false)));
        }
        if let (Some(_), Some(items)) = (schema["items"].as_object(), value.as_array()) {
            let indices = (0..items.len()).map(|index| index.to_string());
            inner.extend(indices.map(|index| (index, schema["items"].clone(), false)));
        }
        for (name, schema, required) in inner {
            let path = [outer.path.as_slice(), std::slice::from_ref(&name)].concat();
            let slot = Slot { path, schema, required };
            let inside = match value {
                Value::Array(items) => items[name.parse::<usize>().unwrap()].clone(),
                other => other[&name].clone(),
            };
            add_inner_slots(document, &slot, &inside, found);
            found.push(slot);
        }
    }
}

/// Values that the schema of a slot does not let pass, but for containers of the slot's own kind:
/// what is wrong inside those has paths of its own.
fn bad_values(document: &Document, schema: &Value) -> Vec<Value> {
    let alternatives = document.alternatives(schema);
    let mut candidates = vec![
        Value::Null,
        json!(true),
        serde_json::from_str(SENTINEL_NUMBER).unwrap(),
        serde_json::from_str(&format!("{SENTINEL_NUMBER}.5")).unwrap(),
        json!(SENTINEL),
        json!([SENTINEL]),
        json!({ SENTINEL: SENTINEL }),
        json!(format!("{SENTINEL}\u{0000}")),
    ];
    for alternative in &alternatives {
        if let Some(most) = alternative["maxLength"].as_u64() {
            let length = usize::try_from(most).unwrap() + 1;
            candidates.push(json!(SENTINEL.chars().cycle().take(length).collect::<String>()));
        }
        if alternative["minLength"].as_u64().is_some_and(|least| least > 0) {
            candidates.push(json!(""));
        }
        if let Some(least) = alternative["minimum"].as_i64() {
            candidates.push(json!(least - 1));
        }
        if let Some(most) = alternative["maximum"].as_i64() {
            candidates.push(json!(most + 1));
        }
    }
    let validator = document.validator(schema);
    let is_text = alternatives.iter().any(|it| it["type"] == "string");
    let own_kind = |value: &Value| match value {
        Value::Array(_) => alternatives.iter().any(|it| it["type"] == "array"),
        Value::Object(_) => alternatives.iter().any(|it| it["type"] == "object"),
        _ => false,
    };
    // U+0000 is refused in every text, which a schema of draft 7 can hardly say.
    let holds_nul = |value: &Value| value.as_str().is_some_and(|text| text.contains('\0'));
    candidates.retain(|value| {
        !own_kind(value) && (!validator.is_valid(value) || (is_text && holds_nul(value)))
    });
    candidates
}

/// The params with another value at a path; none takes the member away.
fn with(base: &Value, path: &[String], value: Option<Value>) -> Value {
    let mut params = base.clone();
    let (last, outer) = path.split_last().unwrap();
    let mut at = &mut params;
    for name in outer {
        at = match at {
            Value::Array(items) => &mut items[name.parse::<usize>().unwrap()],
            other => &mut other[name],
        };
    }
    match (at, value) {
        (Value::Array(items), Some(value)) => items[last.parse::<usize>().unwrap()] = value,
        (Value::Object(members), Some(value)) => {
            members.insert(last.clone(), value);
        }
        (Value::Object(members), None) => {
            members.remove(last);
        }
        (at, value) => panic!("{at} can't be given {value:?} at {path:?}"),
    }
    params
}

/// Calls with bad params, and checks that the answer names this field and no other.
fn refused(daemon: &Daemon, method: &str, params: Value, field: &str) {
    let sent = params.to_string();
    let shown: String = sent.chars().take(300).collect();
    let error = match daemon.call(method, params) {
        Err(error) => error,
        Ok(answer) => panic!("{method} {shown} was answered: {answer}"),
    };
    assert_eq!(error["data"]["code"], "validation_error", "{method} {shown}: {error}");
    let fields: Vec<&String> = error["data"]["fields"].as_object().unwrap().keys().collect();
    assert_eq!(fields, [field], "{method} {shown}: {error}");
}

#[test]
fn every_bad_param_of_every_method_is_named_and_changes_nothing() {
    let document = Document::read();
    let daemon = tracing_daemon(&document);
    let before = example_root::dump(&daemon);
    let mut calls = 0;
    for method in document.methods() {
        let name = name_of(method);
        let base = Value::Object(Document::examples(method).remove(0).params);
        for slot in slots(&document, method, &base) {
            for value in bad_values(&document, &slot.schema) {
                let params = with(&base, &slot.path, Some(value));
                if slot.path.len() == 1 {
                    let by_position = by_position(method, params.as_object().unwrap());
                    refused(&daemon, name, by_position, &slot.name());
                }
                refused(&daemon, name, params, &slot.name());
                calls += 1;
            }
            if slot.required {
                refused(&daemon, name, with(&base, &slot.path, None), &slot.name());
            }
        }
        refuse_unknown_members(&daemon, name, &base, &mut Vec::new(), &base);
        assert_eq!(example_root::dump(&daemon), before, "{name} changed something");
    }
    // The count holds the test itself: it must not come to check nothing.
    assert!(calls > 400, "{calls} bad values were tried");
    assert_log_is_silent(&daemon);
}

/// Params by position, nulls that are given included.
fn by_position(method: &Value, params: &Map<String, Value>) -> Value {
    let names = method["params"].as_array().unwrap().iter();
    names
        .map(|param| params.get(param["name"].as_str().unwrap()).cloned().unwrap_or(Value::Null))
        .collect()
}

/// Adds an unknown member to the params and to every record inside them.
fn refuse_unknown_members(
    daemon: &Daemon,
    method: &str,
    base: &Value,
    path: &mut Vec<String>,
    value: &Value,
) {
    // What lies in a JSON value or in a map is the caller's own.
    if path.last().is_some_and(|name| {
        ["manifest", "value", "metadata", "blobs", "config", "fields"].contains(&name.as_str())
    }) {
        return;
    }
    let members: Vec<(String, &Value)> = match value {
        Value::Object(members) => {
            path.push(SENTINEL.to_owned());
            let params = with(base, path, Some(json!(SENTINEL)));
            refused(daemon, method, params, &path.join("."));
            path.pop();
            members.iter().map(|(name, value)| (name.clone(), value)).collect()
        }
        Value::Array(items) => {
            items.iter().enumerate().map(|(index, item)| (index.to_string(), item)).collect()
        }
        _ => Vec::new(),
    };
    for (name, inner) in members {
        path.push(name);
        refuse_unknown_members(daemon, method, base, path, inner);
        path.pop();
    }
}

/// Good values, names and routes are no more the log's than bad ones.
#[test]
fn nothing_that_is_stored_or_asked_for_stands_in_the_log() {
    let document = Document::read();
    let daemon = tracing_daemon(&document);
    daemon.ok("preferences.set", json!({ "key": SENTINEL, "value": { SENTINEL: SENTINEL } }));
    daemon.ok(
        "preferences.setMany",
        json!({ "items": [{ "key": SENTINEL, "value": SENTINEL }],
        "requestId": SENTINEL }),
    );
    daemon.ok("preferences.get", json!([SENTINEL]));
    daemon.ok("preferences.list", json!({ "prefix": SENTINEL }));
    let component = json!({ "componentId": SENTINEL, "name": SENTINEL, "version": SENTINEL,
        "type": "backend", "description": SENTINEL, "manifest": [SENTINEL] });
    daemon.ok("components.put", json!({ "component": component }));
    daemon.ok("components.touch", json!([SENTINEL]));
    daemon.ok("components.delete", json!([SENTINEL]));
    daemon.fails("not_found", "components.get", json!([SENTINEL]));
    daemon.fails("validation_error", "vault.unlock", json!([SENTINEL]));
    daemon.fails("validation_error", "vault.unlock", json!([format!("{SENTINEL} ").repeat(24)]));
    let owned = json!({ "version": "1.0", "componentId": SENTINEL });
    daemon.ok("componentData.prepare", owned.clone());
    daemon.ok(
        "componentData.setConfig",
        json!({ "version": "1.0", "config": SENTINEL, "componentId": SENTINEL }),
    );
    // What is in the way is no reason to say whose.
    let files = daemon.root().join("components").join(SENTINEL).join("v1.0");
    std::fs::remove_file(files.join("config.json")).unwrap();
    std::fs::create_dir(files.join("config.json")).unwrap();
    daemon.fails("not_found", "componentData.getConfig", owned.clone());
    daemon.ok("componentData.remove", owned);
    let entry = json!({ "level": "error", "message": SENTINEL, "fields": [SENTINEL] });
    let log = json!({ "entries": [entry], "componentId": SENTINEL });
    daemon.ok("logs.append", log.clone());
    daemon.ok("logs.query", json!({ "text": SENTINEL, "componentId": SENTINEL }));
    let file = daemon.root().join("logs/components").join(format!("{SENTINEL}.log"));
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    daemon.ok("logs.append", log);
    daemon.fails("io_error", "logs.rotate", json!({ "componentId": SENTINEL }));
    daemon.ok("identity.putCocoon", json!({ "userId": SENTINEL, "data": "AAAA" }));
    let cocoon = daemon.root().join("identity").join(SENTINEL).join("keys.cocoon");
    std::fs::write(&cocoon, vec![0; 2 << 20]).unwrap();
    daemon.fails("io_error", "identity.getCocoon", json!([SENTINEL]));
    daemon.ok("identity.delete", json!([SENTINEL]));
    daemon.fails("method_not_found", &format!("{SENTINEL}.get"), json!([]));
    daemon.fails("validation_error", "blobs.put", json!({ "data": format!("{SENTINEL}!") }));
    // "zq7sentinela" is base64 as it stands.
    daemon.ok("blobs.put", json!({ "data": format!("{SENTINEL}a"), "name": SENTINEL }));
    for head in [
        format!("PUT /blobs?{SENTINEL}=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"),
        format!("PUT /blobs HTTP/1.1\r\nHost: x\r\nX-Name: {SENTINEL}\r\nContent-Length: 1\r\n"),
        format!(
            "PUT /blobs HTTP/1.1\r\nHost: x\r\nX-Expected-Hash: {SENTINEL}\r\nContent-Length: 1\r\n"
        ),
        format!("GET /blobs/{SENTINEL} HTTP/1.1\r\nHost: x\r\n"),
        format!("PUT /uploads/{SENTINEL}/0 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"),
        format!("PUT /uploads/a/{SENTINEL} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"),
        format!("GET /{SENTINEL} HTTP/1.1\r\nHost: x\r\n"),
        format!("GET /t/{SENTINEL}/ HTTP/1.1\r\nHost: x\r\n"),
        format!("GET /blobs/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SENTINEL}\r\n"),
    ] {
        let body: &[u8] = if head.starts_with("PUT") { b"x" } else { b"" };
        daemon.http(&head, body);
    }
    daemon.post(&format!("{{\"{SENTINEL}"));
    daemon.post(&format!(
        r#"{{"jsonrpc":"2.0","method":"preferences.set","params":["{SENTINEL}",1]}}"#
    ));
    assert_log_is_silent(&daemon);
}
