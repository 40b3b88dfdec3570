//! `kv`: what the command line asks for, and what it prints of stored values.

use serde_json::json;

use crate::program::{run, texts};
use crate::support::{Fake, Step};

#[tokio::test]
async fn a_value_is_printed_and_named_by_key_and_component() {
    let stored = r#"{"key":"k","value":{"a":[1.0]},"updatedAt":5,"revision":7}"#;
    let fake = Fake::start(vec![Step::result(stored), Step::result(stored)]);
    let output = run(&fake.endpoint(), &["kv", "get", "k", "--component", "a"], "").await;
    assert_eq!(texts(&output), (0, "{\"a\":[1.0]}\n", ""));
    assert_eq!(fake.requests()[0].params(), json!({ "key": "k", "componentId": "a" }));
    let output = run(&fake.endpoint(), &["kv", "get", "k", "--json"], "").await;
    assert_eq!(texts(&output), (0, format!("{stored}\n").as_str(), ""));
    assert_eq!(fake.requests()[1].params(), json!({ "key": "k" }));
}

#[tokio::test]
async fn a_value_is_written_from_an_argument_or_standard_input() {
    let written = r#"{"key":"k","revision":8}"#;
    let fake = Fake::start(vec![Step::result(written); 2]);
    let arguments = ["kv", "set", "k", "-", "--ttl", "2h", "--component", "a"];
    let output = run(&fake.endpoint(), &arguments, "{\"pin\": \"1234\"}\n").await;
    assert_eq!(texts(&output), (0, "k set, revision 8\n", ""));
    let sent = fake.requests()[0].params();
    assert_eq!(sent["value"], json!({ "pin": "1234" }));
    assert_eq!((&sent["ttlSeconds"], &sent["componentId"]), (&json!(7200), &json!("a")));
    let arguments = ["kv", "set", "k", "\"dark\"", "--if-revision", "7"];
    let output = run(&fake.endpoint(), &arguments, "").await;
    assert_eq!(texts(&output).0, 0);
    let sent = fake.requests()[1].params();
    assert_eq!((&sent["value"], &sent["ifRevision"]), (&json!("dark"), &json!(7)));
    assert!(sent.get("ttlSeconds").is_none());

    for wrong in [
        &["kv", "set", "k", "dark"][..],
        &["kv", "set", "k", "1", "--ttl", "soon"],
        &["kv", "set", "k", "1", "--ttl", "40000d"],
        &["kv", "set", "", "1"],
    ] {
        let output = run(&fake.endpoint(), wrong, "").await;
        assert_eq!(texts(&output).0, 2, "{wrong:?} {:?}", texts(&output));
    }
    assert_eq!(fake.requests().len(), 2);
}

#[tokio::test]
async fn keys_are_listed_page_by_page_with_or_without_values() {
    let page = r#"{"items":[{"key":"a","size":3,"updatedAt":5,"revision":7}],"nextCursor":"c"}"#;
    let last = r#"{"items":[{"key":"b","size":1,"updatedAt":6,"expiresAt":9,"revision":8}]}"#;
    let valued = last.replace("8}", r#"8,"value":1}"#);
    let fake = Fake::start(vec![Step::result(page), Step::result(last), Step::result(&valued)]);
    let output = run(&fake.endpoint(), &["kv", "ls", "p/", "--all"], "").await;
    assert_eq!(texts(&output), (0, "a\t3\t5\tnever\nb\t1\t6\t9\n", ""));
    assert_eq!(fake.requests()[0].params(), json!({ "prefix": "p/" }));
    assert_eq!(fake.requests()[1].params()["cursor"], "c");
    let output = run(&fake.endpoint(), &["kv", "ls", "--values", "--limit", "5"], "").await;
    assert_eq!(texts(&output), (0, "b\t1\t6\t9\t1\n", ""));
    assert_eq!(fake.requests()[2].params(), json!({ "limit": 5, "values": true }));
}

#[tokio::test]
async fn a_value_is_removed() {
    let fake = Fake::start(vec![
        Step::result(r#"{"deleted":true}"#),
        Step::result(r#"{"deleted":false}"#),
    ]);
    let output = run(&fake.endpoint(), &["kv", "rm", "k", "--component", "a"], "").await;
    assert_eq!(texts(&output), (0, "deleted\n", ""));
    let output = run(&fake.endpoint(), &["kv", "rm", "k", "--if-revision", "7"], "").await;
    assert_eq!(texts(&output), (0, "there was nothing to delete\n", ""));
    assert_eq!(fake.requests()[1].params()["ifRevision"], 7);
}
