//! The program: what it prints, and the code it exits with.

use std::process::{Command, Stdio};

use crate::program::{run, texts};
use crate::support::{Fake, Step};

const HASH: &str = "738e10c42fc3177b07bc6ea9c685e764abb4482c232963394fc91c4b30653745";
const NOT_FOUND: &str =
    r#"{"code":-32001,"message":"no such preference","data":{"code":"not_found"}}"#;

#[tokio::test]
async fn json_is_printed_as_it_came_and_rows_are_tab_separated() {
    let page =
        r#"{"items":[ {"key":"a\tb","value":[1.0],"updatedAt":5,"revision":7}],"nextCursor":"c"}"#;
    let last = r#"{"items":[{"key":"c","value":null,"updatedAt":6,"revision":8}]}"#;
    let fake = Fake::start(vec![Step::result(page), Step::result(page), Step::result(last)]);
    let output = run(&fake.endpoint(), &["ls", "preferences", "--json"], "").await;
    // A key can't hold a tab: what the daemon answers is checked.
    assert_eq!(texts(&output).0, 1, "{:?}", texts(&output));

    let page = page.replace(r"a\tb", "ab");
    let fake = Fake::start(vec![Step::result(&page), Step::result(&page), Step::result(last)]);
    let output = run(&fake.endpoint(), &["ls", "preferences", "--json"], "").await;
    assert_eq!(texts(&output), (0, format!("{page}\n").as_str(), ""));
    let output = run(&fake.endpoint(), &["ls", "preferences", "--all"], "").await;
    assert_eq!(texts(&output), (0, "ab\t[1.0]\t5\nc\tnull\t6\n", ""));
    assert_eq!(fake.requests()[2].params()["cursor"], "c");
}

#[tokio::test]
async fn calls_take_json_from_standard_input_and_wrong_names_get_a_hint() {
    let fake = Fake::start(vec![Step::result(r#"{ "deleted":true}"#)]);
    let arguments = ["call", "preferences.delete", "-"];
    let output = run(&fake.endpoint(), &arguments, r#"{"key":"a"}"#).await;
    assert_eq!(texts(&output), (0, "{ \"deleted\":true}\n", ""));
    assert_eq!(fake.requests()[0].params()["key"], "a");

    let unknown =
        r#"{"code":-32601,"message":"Method not found","data":{"code":"method_not_found"}}"#;
    let fake = Fake::start(vec![Step::error(unknown)]);
    let output = run(&fake.endpoint(), &["call", "component.put", "{}"], "").await;
    let line = "osnova-storage: method_not_found: Method not found; did you mean components.put?\n";
    assert_eq!(texts(&output), (1, "", line));
}

#[tokio::test]
async fn exit_codes() {
    let fake = Fake::start(vec![Step::error(NOT_FOUND)]);
    let output = run(&fake.endpoint(), &["show", "preference", "a"], "").await;
    assert_eq!(texts(&output), (1, "", "osnova-storage: not_found: no such preference\n"));

    for wrong in [
        &["blob", "stat", "xyz"][..],
        &["set", "a", "dark"],
        &["frobnicate"],
        &["call", "a.b", "{"],
    ] {
        let output = run(&fake.endpoint(), wrong, "").await;
        assert_eq!(texts(&output).0, 2, "{wrong:?} {:?}", texts(&output));
    }
    let output = run("carrier-pigeon:", &["status"], "").await;
    assert_eq!(texts(&output).0, 2);
    let output = run("unix:/nowhere/storage.sock", &["status"], "").await;
    let (code, _, line) = texts(&output);
    assert_eq!(code, 3);
    assert!(line.starts_with("osnova-storage: cannot connect to unix:/nowhere/storage.sock: "));
}

#[tokio::test]
async fn a_secret_goes_by_standard_input() {
    let unlocked = r#"{"locked":false,"initialized":true,"keyId":"b0d3eb19f08a56fe"}"#;
    let fake = Fake::start(vec![Step::result(unlocked)]);
    let output = run(&fake.endpoint(), &["unlock"], "abandon about\n").await;
    assert_eq!(texts(&output), (0, "unlocked, key b0d3eb19f08a56fe\n", ""));
    assert_eq!(fake.requests()[0].params()["secret"], "abandon about");
}

#[tokio::test]
async fn blobs_go_in_and_out() {
    let stored = format!(r#"{{"hash":"{HASH}","size":5,"created":true}}"#);
    let fake = Fake::start(vec![Step::Answer(200, stored.clone())]);
    let output = run(&fake.endpoint(), &["blob", "put", "-", "--name", "x"], "hello").await;
    assert_eq!(texts(&output), (0, format!("{HASH}\n").as_str(), ""));
    let output = run(&fake.endpoint(), &["--json", "blob", "put", "-"], "hello").await;
    assert_eq!(texts(&output), (0, format!("{stored}\n").as_str(), ""));
    assert_eq!(fake.requests()[1].body, b"hello");

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out");
    let target = path.to_str().unwrap();
    let whole = Step::Answer(200, "hello".to_owned());
    let short = Step::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhel".to_vec());
    let fake = Fake::start(vec![whole, short]);
    let output = run(&fake.endpoint(), &["blob", "get", HASH, "-o", target], "").await;
    assert_eq!(texts(&output), (0, "", ""));
    assert_eq!(std::fs::read(&path).unwrap(), b"hello");
    // A transfer that breaks leaves the file as it was, and nothing beside it.
    let output = run(&fake.endpoint(), &["blob", "get", HASH, "-o", target], "").await;
    assert_eq!(texts(&output).0, 1);
    assert_eq!(std::fs::read(&path).unwrap(), b"hello");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_reader_that_has_gone_is_no_failure() {
    let long = format!("\"{}\"", "x".repeat(4 << 20));
    let fake = Fake::start(vec![Step::result(&long)]);
    let endpoint = fake.endpoint();
    let run = move || {
        let mut child = Command::new(env!("CARGO_BIN_EXE_osnova-storage"))
            .args(["--endpoint", &endpoint, "call", "a.b"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        child.wait_with_output().unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    assert_eq!(texts(&output), (0, "", ""));
}

#[tokio::test]
async fn the_contract_is_listed_and_completed_without_a_daemon() {
    let output = run("unix:/nowhere", &["methods", "vault."], "").await;
    let (code, listed, _) = texts(&output);
    assert_eq!((code, listed.lines().count()), (0, 3));
    assert!(listed.starts_with("vault.unlock\tadmin\tLoads the master key.\n"));
    let output = run("unix:/nowhere", &["completions", "bash"], "").await;
    let (code, script, _) = texts(&output);
    assert_eq!(code, 0);
    assert!(script.contains("components.dependencies"));
}
