//! The data root that the examples of the document are told of: a component with a token, a stored value,
//! files and a log, another that stores one; a blob, a preference, two users, a job that is
//! done.

use std::path::Path;

use serde_json::{Value, json};

use crate::document::Document;
use crate::support::{Daemon, Options, wait_until};

/// The component.
pub(crate) const WEATHER: &str = "org.example.weather";
/// The hash of the blob.
pub(crate) const HELLO: &str = "738e10c42fc3177b07bc6ea9c685e764abb4482c232963394fc91c4b30653745";

/// A component that is not installed and stores a value all the same.
pub(crate) const RADIO: &str = "org.example.radio";

/// The hash of the blob that is cached.
pub(crate) const PAGE: &str = "6ad8174f6bf39800fc92aed8ea0f99fd6490d83c821560d3d69f76b400177511";

/// The public key, the transaction and the message that are another's than the weather's.
pub(crate) const NAMED: &str = "of-radio";

/// The upload of the examples; the daemon makes ids that nobody can know before.
const UPLOAD: &str = "4d1f0c7a3be1d248962f5f0c7a3be1d2";

/// The params of an example, of the upload that this daemon has.
pub(crate) fn of_this_daemon(daemon: &Daemon, params: &Value) -> Value {
    let text = params.to_string();
    if !text.contains(UPLOAD) {
        return params.clone();
    }
    let uploads = daemon.ok("blobs.listUploads", json!({}));
    let actual = uploads["items"][0]["uploadId"].as_str().unwrap();
    serde_json::from_str(&text.replace(UPLOAD, actual)).unwrap()
}

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
    let page = json!({ "data": "YSBwYWdlIG9mIHRoZSBuZXR3b3JrCg==", "name": "page", "contentType": "text/plain" });
    assert_eq!(daemon.ok("blobs.put", page)["hash"], PAGE);
    let begun = daemon.ok("blobs.beginUpload", json!({ "chunkBytes": 65_536 }));
    let chunk = json!([begun["uploadId"], 0, "aGVsbG8sIG9zbm92YQo="]);
    daemon.ok("blobs.uploadChunk", chunk);
    daemon.ok("preferences.set", json!({ "key": "ui.theme", "value": "dark" }));
    for component in ["org.example.weather", RADIO] {
        daemon.ok("storage.write", place("places/home", component));
    }
    put_records(&daemon);
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
    let job = daemon.ok("maintenance.integrityCheck", json!({}));
    assert_eq!(job["jobId"], "integrityCheck-1");
    wait_until("the job to be done", || {
        let job = daemon.ok("jobs.get", json!([job["jobId"]]));
        (job["state"] == "done").then_some(())
    });
    daemon
}

/// Stores an application with a setting, a component that starts, a key, a transaction, a cached page and
/// a message, or puts them back as they were.
pub(crate) fn put_records(daemon: &Daemon) {
    let outdoors = "org.example.outdoors";
    let application = json!({
        "applicationId": outdoors, "name": "Outdoors", "version": "1.4.0",
        "description": "Walks, weather and maps", "author": "Example Org",
        "manifest": { "keywords": ["hiking", "maps"], "components": [
            { "id": WEATHER, "name": "Weather", "kind": "backend", "version": "2.1.0" },
        ] },
        "installedAt": 1_764_028_800,
    });
    let sky = json!({
        "componentId": "org.example.sky", "name": "Zenith", "version": "0.9.0", "type": "backend",
        "manifest": {}, "installedAt": 1_764_028_800,
    });
    let process = json!({
        "version": "0.9.0", "pid": 4711, "endpoint": "unix:/run/user/1000/sky.sock",
        "componentId": "org.example.sky",
    });
    let key = json!({
        "publicKey": "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "keyType": "ed25519", "derivationIndex": 0, "componentId": "org.example.sky",
    });
    let transaction = json!({
        "txHash": "0x88df", "fromAddress": "0xa11ce", "toAddress": "0xb0b", "amount": "1.5",
        "network": "arbitrum-one", "status": "pending", "timestamp": 1_764_028_800,
    });
    let page = json!({
        "autonomiAddress": "ant://88df", "contentHash": "88df", "blobHash": PAGE,
        "dataType": "chunk",
    });
    let message = json!({
        "messageId": "m-1", "channel": "weather of all", "sender": "alice",
        "timestamp": 1_764_028_800, "body": "Rain before noon, says the old barometer",
    });
    for (method, params) in [
        ("applications.delete", json!({ "applicationId": "org.example.unspoken" })),
        ("applications.put", json!({ "application": application })),
        ("applicationConfig.delete", json!({ "applicationId": outdoors, "key": "unspoken.key" })),
        (
            "applicationConfig.set",
            json!({ "applicationId": outdoors, "key": "units", "value": "km" }),
        ),
        ("components.put", json!({ "component": sky })),
        ("registry.remove", json!({ "componentId": "org.example.sky" })),
        ("registry.register", process),
        ("keys.register", key),
        ("cache.remove", json!({ "autonomiAddress": "ant://unspoken" })),
        ("cache.put", json!({ "entry": page })),
        ("messages.put", json!({ "message": message })),
    ] {
        daemon.ok(method, params);
    }
    if daemon.call("transactions.get", json!(["0x88df"])).is_err() {
        daemon.ok("transactions.put", json!({ "transaction": transaction }));
    }
    put_records_of(daemon, RADIO, NAMED, "radio");
}

/// Stores a key, a transaction and a message of a component, and where it is installed a process, or puts
/// them back as they were. What was made of a fresh name is deleted.
pub(crate) fn put_records_of(daemon: &Daemon, component: &str, name: &str, channel: &str) {
    let key = json!({
        "publicKey": name, "keyType": "ed25519", "derivationIndex": 0, "componentId": component,
    });
    let transaction = json!({
        "txHash": name, "fromAddress": "a", "toAddress": "b", "amount": "0.50", "network": "n",
        "status": "pending", "timestamp": 1_764_028_800, "componentId": component,
    });
    let message = json!({
        "messageId": name, "channel": channel, "sender": "s", "timestamp": 1_764_028_800,
        "componentId": component,
    });
    for (method, params) in [
        ("keys.delete", json!({ "publicKey": "unspoken key" })),
        ("keys.register", key),
        ("messages.delete", json!({ "messageId": "unspoken id" })),
        ("messages.put", json!({ "message": message })),
    ] {
        daemon.ok(method, params);
    }
    if daemon.call("transactions.get", json!([name])).is_err() {
        daemon.ok("transactions.put", json!({ "transaction": transaction }));
    }
    if component == WEATHER {
        let process = json!({
            "version": "2.1.0", "pid": std::process::id(), "endpoint": "unix:weather.sock",
            "status": "running", "componentId": component,
        });
        daemon.ok("registry.remove", json!({ "componentId": component }));
        daemon.ok("registry.register", process);
    }
}

/// Has the process of the sky be one that was there, and has ended without a word.
pub(crate) fn end_sky(daemon: &Daemon) {
    let mut process = std::process::Command::new("sleep").arg("600").spawn().unwrap();
    let sky = json!({ "componentId": "org.example.sky" });
    daemon.ok("registry.remove", sky);
    let registered = json!({
        "version": "0.9.0", "pid": process.id(), "endpoint": "unix:sky.sock",
        "componentId": "org.example.sky",
    });
    daemon.ok("registry.register", registered);
    process.kill().unwrap();
    process.wait().unwrap();
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
        daemon.ok("applications.list", json!({ "limit": 1000 })),
        daemon.ok("applicationConfig.list", json!({ "applicationId": "org.example.outdoors" })),
        daemon.ok("registry.list", json!({ "limit": 1000 })),
        daemon.ok("keys.listForComponent", json!({ "componentId": WEATHER })),
        daemon.ok("keys.listForComponent", json!({ "componentId": "org.example.sky" })),
        daemon.ok("transactions.list", json!({ "limit": 1000 })),
        daemon.ok("transactions.stats", json!({})),
        daemon.ok("cache.list", json!({ "limit": 1000 })),
        daemon.ok("messages.list", json!({ "limit": 1000 })),
        daemon.ok("preferences.list", json!({ "limit": 1000 })),
        daemon.ok("storage.list", stored("org.example.weather")),
        daemon.ok("storage.list", stored(RADIO)),
        daemon.ok("blobs.list", json!({ "limit": 1000 })),
        daemon.ok("blobs.usage", json!({})),
        uploads(daemon),
        daemon.ok("identity.list", json!({ "limit": 1000 })),
        daemon.ok("componentData.list", json!({ "componentId": WEATHER })),
        daemon
            .call("componentData.getConfig", json!({ "version": "1.2", "componentId": WEATHER }))
            .ok(),
        daemon.ok("logs.query", json!({ "limit": 1000, "componentId": WEATHER })),
        files_below(&daemon.root(), &["identity", "components", "logs"]),
        daemon.ok("auth.listTokens", json!({ "limit": 1000 })),
        daemon.ok("auth.listSockets", json!({})),
        daemon.ok("jobs.list", json!({ "limit": 1000 })),
        daemon.ok("schema.history", json!({})),
        daemon.ok("vault.status", json!({})),
        files,
    ])
}

/// The owner's uploads, but for how much longer they are kept, which becomes less by itself.
fn uploads(daemon: &Daemon) -> Value {
    let mut uploads = daemon.ok("blobs.listUploads", json!({}));
    for item in uploads["items"].as_array_mut().unwrap() {
        item.as_object_mut().unwrap().remove("expiresAfterSeconds");
    }
    uploads
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
