//! The data root that the examples of the document are told of: a component with a token, a blob, a preference, a job
//! that is done.

use serde_json::{Value, json};

use crate::document::Document;
use crate::support::{Daemon, Options, wait_until};

/// The hash of the blob.
pub(crate) const HELLO: &str = "738e10c42fc3177b07bc6ea9c685e764abb4482c232963394fc91c4b30653745";

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
    let token = json!({
        "componentId": "org.example.weather",
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

/// All that the owner can see of the store, to compare it before and after.
pub(crate) fn dump(daemon: &Daemon) -> Value {
    let mut files: Vec<String> = std::fs::read_dir(daemon.root().join("blobs"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort_unstable();
    json!([
        daemon.ok("components.list", json!({ "limit": 1000 })),
        daemon.ok("preferences.list", json!({ "limit": 1000 })),
        daemon.ok("blobs.list", json!({ "limit": 1000 })),
        daemon.ok("blobs.usage", json!({})),
        daemon.ok("auth.listTokens", json!({ "limit": 1000 })),
        daemon.ok("auth.listSockets", json!({})),
        daemon.ok("jobs.list", json!({ "limit": 1000 })),
        daemon.ok("schema.history", json!({})),
        daemon.ok("vault.status", json!({})),
        files,
    ])
}
