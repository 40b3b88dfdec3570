//! The commands of logs, component files and cocoons.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::program::{run, texts};
use crate::support::{Fake, Step};

const NOT_FOUND: &str =
    r#"{"code":-32001,"message":"there is no such cocoon","data":{"code":"not_found"}}"#;

fn entry(message: &str) -> String {
    format!(r#"{{"timestampMs":1764028800007,"level":"warn","message":{message:?}}}"#)
}

fn page(items: &[String], more: &str) -> Step {
    Step::result(&format!(r#"{{"items":[{}]{more}}}"#, items.join(",")))
}

#[tokio::test]
async fn a_log_is_printed_a_line_for_each_entry_and_safe_for_a_terminal() {
    let hostile = r#"{"timestampMs":1,"level":"info","message":"a\u001b[31m\nb","fields":{"n":1}}"#;
    let fake =
        Fake::start(vec![page(&[entry("no answer"), hostile.to_owned()], r#","position":"p""#)]);
    let asked = ["logs", "tail", "-n", "5", "--component", "org.example.weather"];
    let output = run(&fake.endpoint(), &asked, "").await;
    let expected = "2025-11-25 00:00:00.007Z WARN  no answer\n\
        1970-01-01 00:00:00.001Z INFO  a [31m b {\"n\":1}\n";
    assert_eq!(texts(&output), (0, expected, ""));
    let params = json!({ "lines": 5, "componentId": "org.example.weather" });
    assert_eq!(fake.requests()[0].params(), params);
}

#[tokio::test]
async fn following_goes_on_from_the_last_position() {
    let gone = r#"{"code":-32603,"message":"over","data":{"code":"internal_error"}}"#;
    let fake = Fake::start(vec![
        page(&[entry("first")], r#","position":"p1""#),
        page(&[entry("second")], r#","nextCursor":"p2","position":"p2""#),
        page(&[], r#","position":"p3""#),
        Step::error(gone),
    ]);
    let output = run(&fake.endpoint(), &["logs", "tail", "--follow"], "").await;
    let (code, out, err) = texts(&output);
    assert_eq!((code, out.lines().count()), (1, 2), "{err}");
    assert!(out.lines().nth(1).unwrap().ends_with("second"));
    let cursors: Vec<_> =
        fake.requests()[1..4].iter().map(|request| request.params()["cursor"].clone()).collect();
    assert_eq!(cursors, ["p1", "p2", "p3"]);
    assert_eq!(fake.requests()[1].params()["direction"], "asc");
}

/// Whoever follows may not care for what was before.
#[tokio::test]
async fn a_log_is_followed_without_what_was_before() {
    let over = r#"{"code":-32603,"message":"over","data":{"code":"internal_error"}}"#;
    let steps = || {
        vec![
            page(&[entry("before")], r#","position":"p1""#),
            page(&[entry("after")], r#","position":"p2""#),
            Step::error(over),
        ]
    };
    for json in [&[][..], &["--json"]] {
        let fake = Fake::start(steps());
        let tail = ["logs", "tail", "--follow", "--lines", "0"];
        let output = run(&fake.endpoint(), &[&tail, json].concat(), "").await;
        let (_, out, _) = texts(&output);
        assert!(out.contains("after") && !out.contains("before"), "{out}");
        assert_eq!(fake.requests()[0].params(), json!({ "lines": 1 }));
        assert_eq!(fake.requests()[1].params()["cursor"], "p1");
    }
}

#[tokio::test]
async fn a_search_says_what_it_is_for() {
    let fake =
        Fake::start(vec![page(&[], r#","nextCursor":"more""#), page(&[entry("no answer")], "")]);
    let asked = [
        "logs",
        "search",
        "answer",
        "--level",
        "warn",
        "--since",
        "2025-11-25",
        "--until",
        "1764028900",
        "--component",
        "a",
        "--all",
    ];
    let output = run(&fake.endpoint(), &asked, "").await;
    assert_eq!(texts(&output).1.lines().count(), 1);
    let mut params = json!({
        "text": "answer", "level": "warn", "fromMs": 1_764_028_800_000_i64,
        "toMs": 1_764_028_900_000_i64, "componentId": "a",
    });
    assert_eq!(fake.requests()[0].params(), params);
    params["cursor"] = json!("more");
    assert_eq!(fake.requests()[1].params(), params);
    // The names that these flags had once.
    let times = ["logs", "search", "--from", "5", "--to", "7"];
    assert_eq!(texts(&run(&fake.endpoint(), &times, "").await).0, 0);
    assert_eq!(fake.requests()[2].params(), json!({ "fromMs": 5000, "toMs": 7000 }));
    let output = run(&fake.endpoint(), &["logs", "search", "--level", "loud"], "").await;
    assert_eq!(texts(&output).0, 2);
}

#[tokio::test]
async fn logs_are_appended_and_rotated() {
    let fake = Fake::start(vec![
        Step::result(r#"{"accepted":true}"#),
        Step::result(r#"{"rotated":true,"files":3}"#),
    ]);
    let asked = ["logs", "append", "hello", "--level", "debug", "--fields", "-"];
    let output = run(&fake.endpoint(), &asked, "{\"n\": 1.0}").await;
    assert_eq!(texts(&output), (0, "", ""));
    let entry = json!({ "level": "debug", "message": "hello", "fields": { "n": 1.0 } });
    assert_eq!(fake.requests()[0].params(), json!({ "entries": [entry] }));
    let output = run(&fake.endpoint(), &["logs", "append", "x", "--fields", "{"], "").await;
    assert_eq!(texts(&output).0, 2);
}

#[tokio::test]
async fn the_path_of_a_version_stands_alone() {
    let made = r#"{"componentId":"a","version":"1.2","path":"/d/v1.2","configPath":"c","dataPath":"d","created":true}"#;
    let fake = Fake::start(vec![Step::result(made)]);
    let asked = ["data", "prepare", "1.2.3", "--component", "a"];
    let output = run(&fake.endpoint(), &asked, "").await;
    assert_eq!(texts(&output), (0, "/d/v1.2\n", ""));
    assert_eq!(fake.requests()[0].params(), json!({ "version": "1.2", "componentId": "a" }));
    let migrated = r#"{"componentId":"a","version":"2.0","path":"/d/v2.0","configPath":"c","dataPath":"d","bytes":5,"files":2,"skipped":1}"#;
    let fake = Fake::start(vec![Step::result(migrated)]);
    let output = run(&fake.endpoint(), &["data", "migrate", "1.2", "2.0"], "").await;
    let (code, out, err) = texts(&output);
    assert_eq!((code, out), (0, "/d/v2.0\n"));
    assert!(err.contains("2 files copied, 1 links"), "{err}");
    for wrong in [&["data", "prepare", "1"][..], &["data", "rm"], &["data", "config", "1.0", "{"]] {
        assert_eq!(texts(&run(&fake.endpoint(), wrong, "").await).0, 2, "{wrong:?}");
    }
}

#[tokio::test]
async fn a_configuration_is_shown_and_set() {
    let stored = r#"{"componentId":"a","version":"1.2","config":{"b":1.0},"updatedAt":0}"#;
    let fake = Fake::start(vec![Step::result(stored)]);
    let output = run(&fake.endpoint(), &["data", "config", "1.2"], "").await;
    assert_eq!(texts(&output), (0, "{\"b\":1.0}\n", ""));
    let output = run(&fake.endpoint(), &["data", "config", "1.2", "-"], "[1]").await;
    assert_eq!(texts(&output), (0, "configuration of 1.2 set\n", ""));
    let list = r#"{"items":[{"version":"1.2","path":"/d/v1.2","updatedAt":7}]}"#;
    let fake = Fake::start(vec![Step::result(list)]);
    let output = run(&fake.endpoint(), &["data", "ls"], "").await;
    assert_eq!(texts(&output), (0, "1.2\t7\t/d/v1.2\n", ""));
    let fake = Fake::start(vec![Step::result(r#"{"bytes":2048,"files":3,"skipped":1}"#)]);
    let output = run(&fake.endpoint(), &["data", "usage"], "").await;
    assert_eq!(texts(&output), (0, "files\t3\nsize\t2048\npassed over\t1\n", ""));
}

#[tokio::test]
async fn a_cocoon_goes_and_comes_byte_for_byte() {
    let hash = "7".repeat(64);
    let info =
        format!(r#""userId":"alice","size":4,"sha256":"{hash}","updatedAt":0,"hasPrevious":true"#);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("cocoon"), [0, 159, 146, 150]).unwrap();
    let fake = Fake::start(vec![Step::result(&format!("{{{info}}}"))]);
    let output = run(&fake.endpoint(), &["cocoon", "put", "alice", &path("cocoon")], "").await;
    let (code, out, _) = texts(&output);
    assert_eq!(code, 0);
    assert!(out.starts_with("stored, 4 B, SHA-256 777") && out.contains("the one before"), "{out}");
    let params = json!({ "userId": "alice", "data": "AJ+Slg==" });
    assert_eq!(fake.requests()[0].params(), params);

    let fake = Fake::start(vec![Step::result(&format!(r#"{{"data":"AJ+Slg==",{info}}}"#))]);
    let output = run(&fake.endpoint(), &["cocoon", "get", "alice"], "").await;
    assert_eq!((output.status.code(), output.stdout), (Some(0), vec![0, 159, 146, 150]));
    let copy = path("copy");
    let asked = ["cocoon", "get", "alice", "-o", copy.as_str()];
    let output = run(&fake.endpoint(), &asked, "").await;
    assert_eq!(texts(&output), (0, "", ""));
    assert_eq!(std::fs::read(path("copy")).unwrap(), [0, 159, 146, 150]);
    assert_eq!(std::fs::metadata(path("copy")).unwrap().permissions().mode() & 0o777, 0o600);
    // What is there is not written over.
    assert_eq!(texts(&run(&fake.endpoint(), &asked, "").await).0, 1);

    // Where there is none no file is left behind.
    let fake = Fake::start(vec![Step::error(NOT_FOUND)]);
    let absent = path("absent");
    let asked = ["cocoon", "get", "alice", "-o", absent.as_str()];
    assert_eq!(texts(&run(&fake.endpoint(), &asked, "").await).0, 1);
    assert!(!folder.path().join("absent").exists());
    // What is too long is not even sent.
    std::fs::write(path("long"), vec![0; (1 << 20) + 1]).unwrap();
    let output = run(&fake.endpoint(), &["cocoon", "put", "alice", &path("long")], "").await;
    assert_eq!((texts(&output).0, fake.requests().len()), (2, 1));
}
