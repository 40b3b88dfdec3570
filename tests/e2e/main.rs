//! End-to-end tests: the real daemon, over its real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, reason = "tests")]

#[path = "../support/mod.rs"]
mod support;

mod access;
mod bad_input;
mod bad_values;
mod batch;
mod callers;
mod contract;
mod credentials;
mod document;
mod errors;
mod events;
mod example_root;
mod files;
mod http_blobs;
mod jobs;
mod lifecycle;
mod many_blobs;
mod program;
mod protocol;
mod storage;
mod uploads;
mod ways;
mod websocket;

use serde_json::json;
use support::Daemon;

#[test]
fn a_record_and_a_blob_through_every_layer() {
    let daemon = Daemon::start();
    let put = daemon.ok("blobs.put", json!({ "data": "aGVsbG8sIG9zbm92YQo=" }));
    assert_eq!(put["size"], 14);
    daemon.ok("preferences.set", json!({ "key": "k", "value": [1] }));
    assert_eq!(daemon.ok("preferences.get", json!(["k"]))["value"], json!([1]));
    let (status, _) = daemon.stop();
    assert!(status.success());
}
