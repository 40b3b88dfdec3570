//! Values that are bad in ways no schema tells of, and good ones that look bad.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::document::Document;
use crate::example_root::{self, HELLO};
use crate::support::Daemon;

/// Calls with params as text, for what a JSON library would not write.
fn call_text(daemon: &Daemon, method: &str, params: &str) -> Result<Value, Value> {
    let request = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
    let answer: Value = serde_json::from_str(&daemon.post(&request)).unwrap();
    match answer.get("error") {
        Some(error) => Err(error.clone()),
        None => Ok(answer["result"].clone()),
    }
}

/// The bad fields that the answer names.
fn bad_fields(daemon: &Daemon, method: &str, params: &str) -> BTreeSet<String> {
    let shown: String = params.chars().take(200).collect();
    let error = match call_text(daemon, method, params) {
        Err(error) => error,
        Ok(answer) => panic!("{method} {shown} was answered: {answer}"),
    };
    assert_eq!(error["data"]["code"], "validation_error", "{method} {shown}: {error}");
    error["data"]["fields"].as_object().unwrap().keys().cloned().collect()
}

fn one(field: &str) -> BTreeSet<String> {
    BTreeSet::from([field.to_owned()])
}

fn nested(depth: usize) -> String {
    "[".repeat(depth) + &"]".repeat(depth)
}

#[test]
fn all_bad_fields_are_named_in_one_answer() {
    let daemon = Daemon::start();
    let params = json!({
        "component": { "componentId": "", "name": "ok", "type": "widget", "manifest": {},
            "installedAt": "now", "blobs": { "binary": "nope", "": HELLO }, "surplus": 1 },
        "ifRevision": -1,
        "other": null,
    });
    let named = bad_fields(&daemon, "components.put", &params.to_string());
    let expected = [
        "component.componentId",
        "component.version",
        "component.type",
        "component.installedAt",
        "component.blobs.binary",
        "component.blobs.",
        "component.surplus",
        "ifRevision",
        "other",
    ];
    assert_eq!(named, expected.map(str::to_owned).into());
    let items = json!({ "items": [{ "key": "a", "value": 1 }, { "value": 2 }, 3, { "key": "\u{7}", "value": 4 }] });
    let named = bad_fields(&daemon, "preferences.setMany", &items.to_string());
    assert_eq!(named, ["items.1.key", "items.2", "items.3.key"].map(str::to_owned).into());
    assert_eq!(daemon.ok("preferences.list", json!({})), json!({ "items": [] }));
    // However many are bad, the answer stays small.
    let many: String = (0..5_000).map(|number| format!("\"field{number}\":0,")).collect();
    let named = bad_fields(&daemon, "status.get", &format!("{{{}}}", many.trim_end_matches(',')));
    assert!((1..=64).contains(&named.len()), "{}", named.len());
    let long = "n".repeat(100_000);
    let named = bad_fields(&daemon, "status.get", &format!("{{\"{long}\":0}}"));
    assert!(named.iter().all(|name| name.len() <= 300));
    // By position, each that is one too many is named by its place.
    assert_eq!(
        bad_fields(&daemon, "preferences.get", r#"["a",1,2]"#),
        ["1", "2"].map(str::to_owned).into()
    );
}

#[test]
fn json_values_have_their_bounds_and_are_kept_as_they_are() {
    let daemon = Daemon::start();
    let set = |value: &str| format!(r#"{{"key":"k","value":{value}}}"#);
    let put = |manifest: &str| {
        format!(
            r#"{{"component":{{"componentId":"c","name":"n","version":"1","type":"backend","manifest":{manifest}}}}}"#
        )
    };
    let long = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    for bad in [
        nested(129),
        nested(100_000),
        "{\"a\":".repeat(129) + "1" + &"}".repeat(129),
        long((1 << 20) + 1),
        r#""a\u0000b""#.to_owned(),
        r#"{"\u0000":1}"#.to_owned(),
        r#"[{"a":["\u0000"]}]"#.to_owned(),
    ] {
        assert_eq!(bad_fields(&daemon, "preferences.set", &set(&bad)), one("value"));
        assert_eq!(bad_fields(&daemon, "components.put", &put(&bad)), one("component.manifest"));
        let metadata = format!(r#"{{"data":"","metadata":{bad}}}"#);
        assert_eq!(bad_fields(&daemon, "blobs.put", &metadata), one("metadata"));
        let many = format!(r#"{{"items":[{{"key":"k","value":{bad}}}]}}"#);
        assert_eq!(bad_fields(&daemon, "preferences.setMany", &many), one("items.0.value"));
    }
    daemon.fails("not_found", "preferences.get", json!(["k"]));
    for good in [
        nested(128),
        "{\"a\":".repeat(128) + "1" + &"}".repeat(128),
        long(1 << 20),
        r#"{ "b" : 1.0 , "a":12345678901234567890123, "a":1e400 ,"\u00e9\\u0000":"\ud83d\ude00" }"#
            .to_owned(),
        "null".to_owned(),
        "-0.0".to_owned(),
    ] {
        // The answers are looked at as text: a JSON library would change them, or find them too deep.
        let set = format!(r#""preferences.set","params":{}"#, set(&good));
        let get = r#""preferences.get","params":["k"]"#.to_owned();
        for call in [set, get] {
            let answer = daemon.post(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":{call}}}"#));
            assert!(answer.contains(&format!("\"value\":{good}")), "{good:.80}");
        }
    }
}

#[test]
fn numbers_are_whole_and_in_range() {
    let document = Document::read();
    let daemon = example_root::daemon(&document);
    for method in ["components.list", "preferences.list", "blobs.list"] {
        for limit in
            ["-1", "0", "1001", "9007199254740992", "1e3", "1.5", "1.0", "\"10\"", "1e999", "65537"]
        {
            let params = format!(r#"{{"limit":{limit}}}"#);
            assert_eq!(bad_fields(&daemon, method, &params), one("limit"), "{method} {limit}");
        }
        for limit in ["1", "1000", "null"] {
            assert!(call_text(&daemon, method, &format!(r#"{{"limit":{limit}}}"#)).is_ok());
        }
    }
    for bad in ["9007199254740992", "-1", "1.5", "1e3", "18446744073709551616"] {
        let get = format!(r#"{{"hash":"{HELLO}","offset":{bad}}}"#);
        assert_eq!(bad_fields(&daemon, "blobs.get", &get), one("offset"), "{bad}");
        let get = format!(r#"{{"hash":"{HELLO}","length":{bad}}}"#);
        assert_eq!(bad_fields(&daemon, "blobs.get", &get), one("length"), "{bad}");
        let set = format!(r#"{{"key":"k","value":1,"ifRevision":{bad}}}"#);
        assert_eq!(bad_fields(&daemon, "preferences.set", &set), one("ifRevision"), "{bad}");
    }
    // A range that begins at the end is empty; one that begins behind it is bad.
    let get = |offset: u64, length: u64| {
        daemon.call("blobs.get", json!({ "hash": HELLO, "offset": offset, "length": length }))
    };
    assert_eq!(get(14, 5).unwrap()["data"], "");
    assert_eq!(get(0, 0).unwrap()["data"], "");
    assert_eq!(get(13, 9_007_199_254_740_991).unwrap()["data"], "Cg==");
    assert_eq!(get(15, 0).unwrap_err()["data"]["fields"].as_object().unwrap().len(), 1);
    for time in ["9007199254740992", "-9007199254740992", "1.5", "\"2026-01-01\""] {
        let touch = format!(r#"["org.example.weather",{time}]"#);
        assert_eq!(bad_fields(&daemon, "components.touch", &touch), one("usedAt"), "{time}");
    }
    for time in ["9007199254740991", "-9007199254740991", "0", "-0"] {
        let touch = format!(r#"["org.example.weather",{time}]"#);
        assert!(call_text(&daemon, "components.touch", &touch).is_ok(), "{time}");
    }
}

/// What names an upload becomes the name of a folder.
#[test]
fn ids_of_uploads_and_places_of_chunks_have_their_bounds() {
    let document = Document::read();
    let daemon = example_root::daemon(&document);
    let before = example_root::dump(&daemon);
    for id in ["", ".", "..", "../x", "a/b", "a-b", "a b", "é", "a\0", &"a".repeat(65)] {
        let params = json!({ "uploadId": id }).to_string();
        for method in ["blobs.uploadStatus", "blobs.commitUpload", "blobs.abortUpload"] {
            assert_eq!(bad_fields(&daemon, method, &params), one("uploadId"), "{method} {id:?}");
        }
        let chunk = json!([id, 0, ""]).to_string();
        assert_eq!(bad_fields(&daemon, "blobs.uploadChunk", &chunk), one("uploadId"), "{id:?}");
    }
    for index in ["-1", "1048576", "0.5", "\"0\"", "null", "1e3"] {
        let chunk = format!(r#"["a",{index},""]"#);
        assert_eq!(bad_fields(&daemon, "blobs.uploadChunk", &chunk), one("index"), "{index}");
    }
    for bytes in ["0", "65535", "67108865", "\"65536\""] {
        let begin = format!(r#"{{"chunkBytes":{bytes}}}"#);
        assert_eq!(bad_fields(&daemon, "blobs.beginUpload", &begin), one("chunkBytes"), "{bytes}");
    }
    assert_eq!(example_root::dump(&daemon), before);
}

#[test]
fn base64_and_hashes_have_one_form() {
    let document = Document::read();
    let daemon = example_root::daemon(&document);
    let before = example_root::dump(&daemon);
    for data in
        ["a", "aGVsbG8", "aGVsbG8==", "aGVs bG8=", "aGVs\nbG8=", "_-8=", "aGVsbG9=", "====", "é"]
    {
        let params = json!({ "data": data }).to_string();
        assert_eq!(bad_fields(&daemon, "blobs.put", &params), one("data"), "{data:?}");
    }
    let (upper, long) = (HELLO.to_uppercase(), format!("{HELLO}0"));
    let path = format!("../{}", &HELLO[3..]);
    for hash in [&upper, &HELLO[1..], &long, &path, "", " ", "0x"] {
        let params = json!([hash]).to_string();
        for method in ["blobs.get", "blobs.stat", "blobs.pin", "blobs.unpin", "blobs.delete"] {
            assert_eq!(bad_fields(&daemon, method, &params), one("hash"), "{method} {hash}");
        }
        let has = json!([[HELLO, hash]]).to_string();
        assert_eq!(bad_fields(&daemon, "blobs.has", &has), one("hashes.1"));
        let put = json!({ "data": "", "expectedHash": hash }).to_string();
        assert_eq!(bad_fields(&daemon, "blobs.put", &put), one("expectedHash"));
    }
    let other = json!({ "data": "aGVsbG8=", "expectedHash": HELLO }).to_string();
    assert_eq!(bad_fields(&daemon, "blobs.put", &other), one("expectedHash"));
    let thousand = vec![HELLO; 1000];
    assert_eq!(
        daemon.ok("blobs.has", json!([thousand]))["present"].as_array().unwrap().len(),
        1000
    );
    let more = json!([vec![HELLO; 1001]]).to_string();
    assert_eq!(bad_fields(&daemon, "blobs.has", &more), one("hashes"));
    assert_eq!(example_root::dump(&daemon), before);
}

#[test]
fn a_member_may_stand_only_once() {
    let daemon = Daemon::start();
    for (method, params, field) in [
        ("preferences.set", r#"{"key":"a","key":"b","value":1}"#, "key"),
        ("preferences.set", r#"{"key":"a","value":1,"v\u0061lue":2}"#, "value"),
        ("status.get", r#"{"x":1,"x":1}"#, "x"),
        (
            "components.put",
            r#"{"component":{"componentId":"a","componentId":"a","name":"n","version":"1","type":"backend","manifest":{}}}"#,
            "component.componentId",
        ),
        (
            "components.put",
            r#"{"component":{"componentId":"a","name":"n","version":"1","type":"backend","manifest":{},"blobs":{"x":null,"x":null}}}"#,
            "component.blobs.x",
        ),
        ("preferences.setMany", r#"[[{"key":"a","key":"a","value":1}]]"#, "items.0.key"),
    ] {
        assert_eq!(bad_fields(&daemon, method, params), one(field), "{method} {params}");
    }
    assert_eq!(daemon.ok("preferences.list", json!({})), json!({ "items": [] }));
}

#[test]
fn cursors_are_of_one_method_and_one_filter() {
    let daemon = Daemon::start();
    for index in 0..5 {
        daemon.ok("preferences.set", json!([format!("a{index}"), index]));
        let component = json!({ "componentId": format!("c{index}"), "name": "n", "version": "1",
            "type": "backend", "manifest": {} });
        daemon.ok("components.put", json!([component]));
        daemon.ok("blobs.put", json!([format!("AAA{index}")]));
    }
    let cursor = |method: &str, params: Value| {
        daemon.ok(method, params)["nextCursor"].as_str().unwrap().to_owned()
    };
    let preferences = cursor("preferences.list", json!({ "prefix": "a", "limit": 2 }));
    let components = cursor("components.list", json!({ "limit": 2 }));
    let by_name = cursor("components.list", json!({ "limit": 2, "orderBy": "name" }));
    let blobs = cursor("blobs.list", json!({ "limit": 2 }));
    let refused = [
        ("preferences.list", json!({ "cursor": preferences })),
        ("preferences.list", json!({ "cursor": preferences, "prefix": "b" })),
        ("preferences.list", json!({ "cursor": components })),
        ("components.list", json!({ "cursor": preferences })),
        ("components.list", json!({ "cursor": by_name })),
        ("components.list", json!({ "cursor": components, "orderBy": "name" })),
        ("components.list", json!({ "cursor": components, "direction": "asc" })),
        ("components.list", json!({ "cursor": components, "type": "backend" })),
        ("components.list", json!({ "cursor": blobs })),
        ("blobs.list", json!({ "cursor": blobs, "pinned": true })),
        ("blobs.list", json!({ "cursor": blobs, "orderBy": "hash" })),
        ("blobs.list", json!({ "cursor": components })),
    ];
    for (method, params) in refused {
        assert_eq!(bad_fields(&daemon, method, &params.to_string()), one("cursor"), "{params}");
    }
    // "e30" is {}, "eyJ2IjoxfQ" is {"v":1}, "bnVsbA" is null.
    let cut = &components[..components.len() - 1];
    for garbage in ["x", "e30", "eyJ2IjoxfQ", "bnVsbA", "../../x", "%00", "AAAA", cut] {
        for method in ["preferences.list", "components.list", "blobs.list"] {
            let params = json!({ "cursor": garbage }).to_string();
            assert_eq!(bad_fields(&daemon, method, &params), one("cursor"), "{garbage}");
        }
    }
    let last = daemon.ok("preferences.list", json!({ "prefix": "a", "cursor": preferences }));
    let keys: Vec<&Value> = last["items"].as_array().unwrap().iter().map(|it| &it["key"]).collect();
    assert_eq!(keys, ["a2", "a3", "a4"]);
}

/// All paths under a folder.
fn tree(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            found.insert(path.strip_prefix(folder).unwrap().display().to_string());
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            }
        }
    }
    found
}

#[test]
fn names_that_look_like_paths_are_only_names() {
    let document = Document::read();
    let daemon = example_root::daemon(&document);
    let before = tree(daemon.folder());
    let escaped = daemon.root().join("../../osnova-escaped");
    assert!(!escaped.exists());
    let ids = [
        "../../osnova-escaped",
        "/etc/passwd",
        "a/b",
        "..",
        ".",
        "~",
        "%2e%2e/x",
        "C:\\x",
        "@scope/name",
        "ant://0123",
        "-rf",
        "con",
        "é",
        "\u{202e}x",
        "A",
        "a",
    ];
    for id in ids {
        let component = json!({ "componentId": id, "name": id, "version": id, "type": "backend",
            "manifest": { "dependencies": { id: id } }, "blobs": { id.chars().take(64).collect::<String>(): HELLO } });
        daemon.ok("components.put", json!({ "component": component }));
        assert_eq!(daemon.ok("components.get", json!([id]))["componentId"], *id);
        daemon.ok("components.touch", json!([id]));
        let needs = daemon.ok("components.dependencies", json!([id, true]));
        assert_eq!(needs["items"][0]["componentId"], *id);
        daemon.ok("components.dependents", json!([id, true]));
        daemon.ok("preferences.set", json!([id, id]));
        daemon.ok(
            "blobs.put",
            json!({ "data": "aGVsbG8sIG9zbm92YQo=", "name": id, "contentType": id }),
        );
    }
    assert_eq!(
        daemon.ok("components.list", json!({}))["items"].as_array().unwrap().len(),
        ids.len() + 2
    );
    assert_eq!(tree(daemon.folder()), before);
    assert!(!escaped.exists());
    for id in ids {
        assert_eq!(daemon.ok("components.delete", json!([id])), json!({ "deleted": true }));
    }
}

#[test]
fn nesting_without_end_is_refused_and_harms_nothing() {
    let daemon = Daemon::start();
    let deep = nested(100_000);
    let objects = "{\"a\":".repeat(100_000) + "1" + &"}".repeat(100_000);
    for (method, params, field) in [
        ("preferences.get", deep.clone(), "key"),
        ("preferences.get", objects.clone(), "a"),
        ("preferences.get", format!(r#"{{"key":{deep}}}"#), "key"),
        ("preferences.set", format!(r#"{{"key":"k","value":{objects}}}"#), "value"),
        ("components.put", format!(r#"{{"component":{deep}}}"#), "component"),
        ("blobs.has", format!("[{deep}]"), "hashes.0"),
        ("status.get", deep.clone(), "0"),
    ] {
        let named = bad_fields(&daemon, method, &params);
        assert!(named.contains(field), "{method}: {named:?}");
    }
    for request in [
        deep.clone(),
        objects,
        "[".repeat(1_000_000),
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":{deep}}}"#),
        format!(r#"{{"jsonrpc":"2.0","id":{deep},"method":"status.get"}}"#),
    ] {
        let answer: Value = serde_json::from_str(&daemon.post(&request)).unwrap();
        let error = if answer.is_array() { &answer[0] } else { &answer };
        assert!(error["error"]["data"]["code"].is_string(), "{answer}");
    }
    assert_eq!(daemon.ok("status.get", json!({}))["status"], "ok");
}
