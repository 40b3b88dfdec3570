//! Every row of the error table, produced over the real socket, and what `status.get` says meanwhile.

use std::collections::BTreeSet;
use std::fs;

use osnova_storage_api::ErrorCode;
use serde_json::{Value, json};

use crate::document::Document;
use crate::example_root::{self, HELLO};
use crate::http_blobs::noise;
use crate::support::{Daemon, HttpAnswer, MASTER_KEY, Options};

fn with_config(config: &str) -> Daemon {
    Daemon::start_with(&Options { config: config.to_owned(), ..Options::default() })
}

/// `PUT /blobs` with some header lines.
fn put(daemon: &Daemon, headers: &str, content: &[u8]) -> HttpAnswer {
    let head =
        format!("PUT /blobs HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {}\r\n", content.len());
    daemon.http(&head, content)
}

fn get(daemon: &Daemon, path: &str, headers: &str) -> HttpAnswer {
    daemon.http(&format!("GET {path} HTTP/1.1\r\nHost: x\r\n{headers}"), b"")
}

/// What was seen of the table so far.
#[derive(Default)]
struct Seen(BTreeSet<ErrorCode>);

impl Seen {
    /// An error object must be its row of the table.
    fn error(&mut self, expected: ErrorCode, error: &Value) {
        assert_eq!(error["data"]["code"], expected.name(), "{error}");
        assert_eq!(error["code"], expected.code(), "{error}");
        assert!(error["message"].as_str().is_some_and(|text| !text.is_empty()), "{error}");
        self.0.insert(expected);
    }

    fn call(&mut self, expected: ErrorCode, daemon: &Daemon, method: &str, params: Value) -> Value {
        let error = daemon.call(method, params).unwrap_err();
        self.error(expected, &error);
        error["data"].clone()
    }

    /// A plain route's failure has the status of its row.
    fn plain(&mut self, expected: ErrorCode, answer: &HttpAnswer) -> Value {
        let error = answer.json();
        self.error(expected, &error);
        assert_eq!(answer.status, expected.http_status(), "{error}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        error["data"].clone()
    }

    fn raw(&mut self, expected: ErrorCode, daemon: &Daemon, body: &str) {
        let answer: Value = serde_json::from_str(&daemon.post(body)).unwrap();
        self.error(expected, &answer["error"]);
    }
}

#[test]
fn every_row_of_the_table_is_produced() {
    let document = Document::read();
    let mut seen = Seen::default();
    let daemon = example_root::daemon(&document);

    seen.raw(ErrorCode::ParseError, &daemon, "{");
    seen.raw(ErrorCode::InvalidRequest, &daemon, r#"{"id":1}"#);
    seen.call(ErrorCode::MethodNotFound, &daemon, "no.such", json!({}));
    seen.call(ErrorCode::InvalidParams, &daemon, "status.get", json!(1));
    seen.call(ErrorCode::ValidationError, &daemon, "status.get", json!([1]));
    let data = seen.plain(ErrorCode::ValidationError, &get(&daemon, "/blobs/no-hash", ""));
    assert_eq!(data["fields"].as_object().unwrap().keys().next().unwrap(), "hash");
    seen.call(ErrorCode::NotFound, &daemon, "preferences.get", json!(["none"]));
    let absent = format!("/blobs/{}", "0".repeat(64));
    seen.plain(ErrorCode::NotFound, &get(&daemon, &absent, ""));
    let hello = format!("/blobs/{HELLO}");
    seen.plain(ErrorCode::Unauthorized, &get(&daemon, &hello, "Authorization: Bearer x\r\n"));
    seen.plain(ErrorCode::Forbidden, &get(&daemon, &hello, "Origin: http://evil.example\r\n"));

    let wrong = MASTER_KEY.replace('4', "5");
    seen.call(ErrorCode::WrongKey, &daemon, "vault.unlock", json!([wrong]));
    daemon.ok("vault.lock", json!({}));
    seen.call(ErrorCode::Locked, &daemon, "blobs.put", json!([""]));
    seen.call(ErrorCode::Locked, &daemon, "blobs.get", json!([HELLO]));
    seen.plain(ErrorCode::Locked, &put(&daemon, "", b"x"));
    seen.plain(ErrorCode::Locked, &get(&daemon, &hello, ""));
    daemon.ok("vault.unlock", json!([MASTER_KEY]));

    // A folder in place of the file can be opened, and not read.
    let file = daemon.root().join("blobs").join(format!("{HELLO}.enc"));
    let content = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    seen.call(ErrorCode::IoError, &daemon, "blobs.get", json!([HELLO]));
    seen.plain(ErrorCode::IoError, &get(&daemon, &hello, ""));
    fs::remove_dir(&file).unwrap();
    seen.call(ErrorCode::IntegrityError, &daemon, "blobs.get", json!([HELLO]));
    seen.plain(ErrorCode::IntegrityError, &get(&daemon, &hello, ""));
    fs::write(&file, content).unwrap();
    assert_eq!(daemon.ok("blobs.get", json!([HELLO]))["size"], 14);
    drop(daemon);

    let busy =
        with_config("[database]\nqueued_calls = 1\n[limits]\nstreams = 0\nbatch_calls = 2\n");
    let set = |id| json!({ "jsonrpc": "2.0", "id": id, "method": "preferences.set", "params": ["k", id] });
    let answers: Value =
        serde_json::from_str(&busy.post(&json!([set(0), set(1)]).to_string())).unwrap();
    for index in 0..2 {
        seen.error(ErrorCode::Unavailable, &answers[index]["error"]);
        assert!(answers[index]["error"]["data"]["retryAfterMs"].as_u64() > Some(0));
    }
    busy.fails("not_found", "preferences.get", json!(["k"]));
    busy.ok("preferences.set", json!(["k", 1]));
    let data = seen.plain(ErrorCode::Unavailable, &put(&busy, "", b"x"));
    assert!(data["retryAfterMs"].as_u64() > Some(0));
    let three = json!([set(0), set(1), set(2)]).to_string();
    seen.raw(ErrorCode::TooLarge, &busy, &three);
    drop(busy);

    let small = with_config("[blobs]\nlimit_bytes = 5000\n");
    let first = noise(1, 3000);
    assert_eq!(put(&small, "", &first).status, 200);
    seen.plain(ErrorCode::QuotaExceeded, &put(&small, "", &noise(2, 10_000)));
    seen.plain(ErrorCode::QuotaExceeded, &put(&small, "", &noise(3, 4000)));
    // What is stored already takes no room, or a put whose answer was lost could not be repeated.
    assert_eq!(put(&small, "", &first).status, 200);
    drop(small);

    let full = with_config("[blobs]\ndisk_reserve_bytes = 1000000000000000\n");
    seen.call(ErrorCode::DiskFull, &full, "blobs.put", json!([""]));
    seen.plain(ErrorCode::DiskFull, &put(&full, "", b"x"));
    drop(full);

    conflicts(&mut seen);
    // An internal error is a bug, so none can be asked for; no method takes a feed position yet.
    let missing: Vec<&ErrorCode> =
        ErrorCode::ALL.iter().filter(|code| !seen.0.contains(code)).collect();
    assert_eq!(missing, [&ErrorCode::InternalError, &ErrorCode::Gone]);
}

/// Every reason of a conflict.
fn conflicts(seen: &mut Seen) {
    let daemon = Daemon::start();
    let mut conflict = |daemon: &Daemon, method: &str, params: Value, reason: &str| {
        let data = seen.call(ErrorCode::Conflict, daemon, method, params);
        assert_eq!(data["reason"], reason, "{data}");
        data
    };
    let data = conflict(&daemon, "preferences.set", json!(["k", 1, 9]), "revision");
    assert_eq!(data["currentRevision"], 0);
    let component = |blobs: Value| {
        json!([{ "componentId": "org.example.a", "name": "n", "version": "1",
        "type": "backend", "manifest": {}, "blobs": blobs }])
    };
    let unknown = component(json!({ "binary": "0".repeat(64) }));
    conflict(&daemon, "components.put", unknown, "foreign_key");
    daemon.fails("not_found", "components.get", json!(["org.example.a"]));
    let hash = daemon.ok("blobs.put", json!(["AAAA"]))["hash"].clone();
    daemon.ok("components.put", component(json!({ "binary": hash })));
    let data = conflict(&daemon, "blobs.delete", json!([hash]), "referenced");
    assert_eq!(data["holders"], json!(["components/org.example.a"]));
    daemon.ok("preferences.set", json!(["k", 1, null, "once"]));
    conflict(&daemon, "preferences.set", json!(["k", 2, null, "once"]), "request_reused");

    let (_, mut folder) = daemon.stop();
    for status in ["starting", "running", "stopping", "crashed"] {
        let database = rusqlite::Connection::open(folder.path().join("root/osnova.db")).unwrap();
        database
            .execute(
                "INSERT OR REPLACE INTO component_registry (component_id, version, pid, endpoint, status, started_at)
                 VALUES ('org.example.a', '1', 1, 'unix:/x', ?1, 0)",
                [status],
            )
            .unwrap();
        drop(database);
        let daemon = Daemon::start_in(folder, &Options::default()).unwrap();
        let delete = json!(["org.example.a"]);
        if status == "crashed" {
            assert_eq!(daemon.ok("components.delete", delete), json!({ "deleted": true }));
        } else {
            conflict(&daemon, "components.delete", delete, "transition");
        }
        folder = daemon.stop().1;
    }
}

/// The worst of the parts, and of one part.
fn health(daemon: &Daemon, part: &str) -> (Value, Value) {
    let status = daemon.ok("status.get", json!({}));
    let parts = status["services"].as_array().unwrap();
    let found = parts.iter().find(|service| service["name"] == part).unwrap();
    if found["status"] != "ok" {
        assert!(found["detail"].is_string(), "{status}");
        assert!(!status["notices"].as_array().unwrap().is_empty(), "{status}");
    }
    (status["status"].clone(), found["status"].clone())
}

/// A full database refuses what needs room, answers reads, and is well again once there is room.
#[test]
fn a_full_database_is_degraded_until_there_is_room() {
    let daemon = with_config("[database]\nlimit_bytes = 1048576\n");
    assert_eq!(health(&daemon, "database"), (json!("ok"), json!("ok")));
    let value = "v".repeat(20_000);
    let set = |index: usize| daemon.call("preferences.set", json!([format!("k{index}"), value]));
    let error = (0..100).find_map(|index| set(index).err()).expect("the database was never full");
    assert_eq!(error["data"], json!({ "code": "disk_full" }), "{error}");
    assert_eq!(health(&daemon, "database"), (json!("degraded"), json!("degraded")));
    assert_eq!(
        daemon.ok("preferences.get", json!(["k0"]))["value"].as_str().unwrap().len(),
        20_000
    );
    assert!(set(101).is_err());
    for index in 0..3 {
        daemon.ok("preferences.delete", json!([format!("k{index}")]));
    }
    set(0).unwrap();
    assert_eq!(health(&daemon, "database"), (json!("ok"), json!("ok")));
}

/// Another program that holds the database's lock makes writes wait, and then refuses them with when
/// to ask again; reads go on, and nothing is left of it once it lets go.
#[test]
fn another_program_that_holds_the_lock_makes_writes_unavailable() {
    let daemon = Daemon::start();
    daemon.ok("preferences.set", json!(["k", 1]));
    let other = rusqlite::Connection::open(daemon.root().join("osnova.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let data = daemon.fails("unavailable", "preferences.set", json!(["k", 2]));
    assert!(data["retryAfterMs"].as_u64() > Some(0));
    assert_eq!(daemon.ok("preferences.get", json!(["k"]))["value"], 1);
    other.execute_batch("ROLLBACK").unwrap();
    daemon.ok("preferences.set", json!(["k", 3]));
    assert_eq!(health(&daemon, "database"), (json!("ok"), json!("ok")));
}

/// Blobs stop before the disk is full, so that records and deletes still commit.
#[test]
fn a_nearly_full_disk_refuses_blobs_and_nothing_else() {
    let daemon = Daemon::start();
    let hash = daemon.ok("blobs.put", json!(["AAAA"]))["hash"].clone();
    let (_, folder) = daemon.stop();
    let config = "[blobs]\ndisk_reserve_bytes = 1000000000000000\n".to_owned();
    let daemon = Daemon::start_in(folder, &Options { config, ..Options::default() }).unwrap();
    assert_eq!(health(&daemon, "blobs"), (json!("ok"), json!("ok")));
    daemon.fails("disk_full", "blobs.put", json!(["BBBB"]));
    assert_eq!(health(&daemon, "blobs"), (json!("degraded"), json!("degraded")));
    daemon.ok("preferences.set", json!(["k", 1]));
    assert_eq!(daemon.ok("blobs.get", json!([hash]))["data"], "AAAA");
    assert_eq!(daemon.ok("blobs.delete", json!([hash])), json!({ "deleted": true }));
    assert_eq!(daemon.ok("blobs.list", json!({}))["items"], json!([]));
    let (_, folder) = daemon.stop();
    let daemon = Daemon::start_in(folder, &Options::default()).unwrap();
    daemon.ok("blobs.put", json!(["BBBB"]));
    assert_eq!(health(&daemon, "blobs"), (json!("ok"), json!("ok")));
}

#[test]
fn a_damaged_blob_is_never_answered_and_stands_in_the_status() {
    let document = Document::read();
    let daemon = example_root::daemon(&document);
    let file = daemon.root().join("blobs").join(format!("{HELLO}.enc"));
    let good = fs::read(&file).unwrap();
    assert_eq!(health(&daemon, "blobs").1, "ok");
    for at in [0, 8, 12, 20, 40, 100, 200, 215, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&file, &bad).unwrap();
        daemon.fails("integrity_error", "blobs.get", json!([HELLO]));
        let answer = get(&daemon, &format!("/blobs/{HELLO}"), "");
        // What is wrong in the first part is found before the answer begins.
        assert_eq!(answer.status, 500, "byte {at}");
        assert_eq!(answer.json()["data"], json!({ "code": "integrity_error" }), "byte {at}");
    }
    for length in [0, 7, 207, 208, good.len() - 1] {
        fs::write(&file, &good[..length]).unwrap();
        daemon.fails("integrity_error", "blobs.get", json!([HELLO]));
    }
    fs::write(&file, [good.as_slice(), b"x"].concat()).unwrap();
    daemon.fails("integrity_error", "blobs.get", json!([HELLO]));
    assert_eq!(health(&daemon, "blobs"), (json!("degraded"), json!("degraded")));
    // A record, and another content, are none the worse for it.
    daemon.ok("preferences.set", json!(["k", 1]));
    let other = daemon.ok("blobs.put", json!(["AAAA"]))["hash"].clone();
    assert_eq!(daemon.ok("blobs.get", json!([other]))["data"], "AAAA");
    fs::write(&file, good).unwrap();
    assert_eq!(daemon.ok("blobs.get", json!([HELLO]))["size"], 14);
}

#[test]
fn internal_words_stay_in_the_log() {
    let document = Document::read();
    let daemon = example_root::daemon(&document);
    let file = daemon.root().join("blobs").join(format!("{HELLO}.enc"));
    fs::remove_file(&file).unwrap();
    let error = daemon.call("blobs.get", json!([HELLO])).unwrap_err().to_string();
    let root = daemon.root().display().to_string();
    for word in [root.as_str(), ".enc", "SELECT", "blob_contents", "os error"] {
        assert!(!error.contains(word), "{error}");
    }
    assert!(daemon.log().contains(".enc"), "the log does not say which file");
}
