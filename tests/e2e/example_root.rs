//! The data root that the examples of the document are told of: a component with a token, a stored value,
//! files and a log, another that stores one; a blob, a preference, two users.

use std::path::Path;

use serde_json::{Value, json};

use crate::document::Document;
use crate::support::{Daemon, Options};

/// The component.
pub(crate) const WEATHER: &str = "org.example.weather";
/// The hash of the blob.
pub(crate) const HELLO: &str = "738e10c42fc3177b07bc6ea9c685e764abb4482c232963394fc91c4b30653745";

/// A component that is not installed and stores a value all the same.
pub(crate) const RADIO: &str = "org.example.radio";

/// The params that store a place.
pub(crate) fn place(key: &str, component: &str) -> Value {
    let value = json!({ "latitude": 52.5, "longitude": 13.4 });
    json!({ "key": key, "value": value, "componentId": component })
}

/// A fresh daemon with the data of the examples.
pub(crate) fn daemon(document: &Document) -> Daemon {
    daemon_with(document, &Options::default())
}

/// The same, started in another way.
pub(crate) fn daemon_with(document: &Document, options: &Options) -> Daemon {
    let daemon = Daemon::start_with(options);
    let mut weather = Document::examples(document.method("components.get"))[0].result.clone();
    weather.as_object_mut().unwrap().remove("revision");
    daemon.ok("components.put", json!({ "component": weather }));
    let put = daemon.ok(
        "blobs.put",
        json!({ "data": "aGVsbG8sIG9zbm92YQo=", "name": "hello.txt", "contentType": "text/plain" }),
    );
    assert_eq!(put["hash"], HELLO);
    daemon.ok("preferences.set", json!({ "key": "ui.theme", "value": "dark" }));
    for component in ["org.example.weather", RADIO] {
        daemon.ok("storage.write", place("places/home", component));
    }
    put_files(&daemon);
    let started = json!({
        "level": "info", "message": "started", "timestampMs": 1_764_028_800_000_u64,
        "fields": { "version": "1.2.0" },
    });
    daemon.ok("logs.append", json!({ "entries": [started], "componentId": WEATHER }));
    let token = json!({
        "componentId": WEATHER,
        "name": "weather in the hall",
        "expiresAt": 4_102_444_800_u64,
    });
    daemon.ok("auth.createToken", token);
    daemon
}

/// Stores the users' cocoons and the component's files, or puts them back as they were.
pub(crate) fn put_files(daemon: &Daemon) {
    for user in ["alice", "bob"] {
        daemon.ok("identity.delete", json!({ "userId": user }));
    }
    daemon.ok(
        "identity.putCocoon",
        json!({ "userId": "alice", "data": "c2VhbGVkIGtleXMgb2YgYWxpY2U=" }),
    );
    for data in ["c2VhbGVkIGtleXMgb2YgYm9i", "bmV3IHNlYWxlZCBrZXlzIG9mIGJvYg=="] {
        daemon.ok("identity.putCocoon", json!({ "userId": "bob", "data": data }));
    }
    for other in ["1.3", "2.0"] {
        daemon.ok("componentData.remove", json!({ "version": other, "componentId": WEATHER }));
    }
    daemon.ok("componentData.prepare", json!({ "version": "1.2.0", "componentId": WEATHER }));
    daemon.ok(
        "componentData.setConfig",
        json!({ "version": "1.2", "config": { "place": "Berlin" }, "componentId": WEATHER }),
    );
}

/// All that the owner can see of the store, to compare it before and after.
pub(crate) fn dump(daemon: &Daemon) -> Value {
    let mut files: Vec<String> = std::fs::read_dir(daemon.root().join("blobs"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort_unstable();
    let stored =
        |component: &str| json!({ "values": true, "limit": 1000, "componentId": component });
    json!([
        daemon.ok("components.list", json!({ "limit": 1000 })),
        daemon.ok("preferences.list", json!({ "limit": 1000 })),
        daemon.ok("storage.list", stored("org.example.weather")),
        daemon.ok("storage.list", stored(RADIO)),
        daemon.ok("blobs.list", json!({ "limit": 1000 })),
        daemon.ok("blobs.usage", json!({})),
        daemon.ok("identity.list", json!({ "limit": 1000 })),
        daemon.ok("componentData.list", json!({ "componentId": WEATHER })),
        daemon
            .call("componentData.getConfig", json!({ "version": "1.2", "componentId": WEATHER }))
            .ok(),
        daemon.ok("logs.query", json!({ "limit": 1000, "componentId": WEATHER })),
        files_below(&daemon.root(), &["identity", "components", "logs"]),
        daemon.ok("auth.listTokens", json!({ "limit": 1000 })),
        daemon.ok("auth.listSockets", json!({})),
        daemon.ok("schema.history", json!({})),
        daemon.ok("vault.status", json!({})),
        files,
    ])
}

/// The names and sizes of all that lies in these folders.
fn files_below(root: &Path, folders: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut left: Vec<_> = folders.iter().map(|folder| root.join(folder)).collect();
    while let Some(folder) = left.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            found.push(format!(
                "{} {}",
                path.display(),
                if metadata.is_file() { metadata.len() } else { 0 }
            ));
            if metadata.is_dir() {
                left.push(path);
            }
        }
    }
    found.sort_unstable();
    found
}
