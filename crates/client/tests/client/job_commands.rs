//! Commands that wait for jobs: what they ask, what they print, and the codes they exit with.

use crate::program::{run, texts};
use crate::support::{Fake, Step};

/// A job of this id as it stands; `rest` are further members.
fn job(state: &str, rest: &str) -> String {
    format!(
        r#"{{"jobId":"vacuum-7","kind":"vacuum","state":"{state}","done":3,"unit":"pages"{rest},"createdAt":5}}"#
    )
}

const RESULT: &str = r#","total":3,"result":{"pagesFreed":3,"databaseBytesBefore":8192,"databaseBytesAfter":4096},"finishedAt":6"#;

#[tokio::test]
async fn a_job_is_waited_for_until_it_is_done() {
    let steps = [job("running", ""), job("running", r#","total":4"#), job("done", RESULT)];
    let steps = || steps.iter().map(|step| Step::result(step)).collect();
    let fake = Fake::start(steps());
    let output = run(&fake.endpoint(), &["maintenance", "vacuum"], "").await;
    let line = "3 pages freed, database 8.0 KiB -> 4.0 KiB\n";
    assert_eq!(texts(&output), (0, line, ""));
    assert_eq!(fake.requests().len(), 3);
    assert_eq!(fake.requests()[2].params()["jobId"], "vacuum-7");

    let fake = Fake::start(steps());
    let output = run(&fake.endpoint(), &["maintenance", "vacuum", "--json"], "").await;
    assert_eq!(texts(&output), (0, format!("{}\n", job("done", RESULT)).as_str(), ""));

    let fake = Fake::start(steps());
    let output = run(&fake.endpoint(), &["maintenance", "vacuum", "--no-wait"], "").await;
    assert_eq!(texts(&output), (0, "vacuum-7\n", ""));
    assert_eq!(fake.requests().len(), 1);
}

#[tokio::test]
async fn a_job_that_is_not_done_is_a_failure() {
    let failed = job("failed", r#","error":{"code":"disk_full","message":"no space"}"#);
    for (ended, line) in [
        (failed, "osnova-storage: vacuum-7: disk_full: no space\n"),
        (job("cancelled", ""), "osnova-storage: vacuum-7: cancelled\n"),
    ] {
        for command in [&["maintenance", "vacuum"][..], &["jobs", "wait", "vacuum-7"]] {
            let fake = Fake::start(vec![Step::result(&ended)]);
            let output = run(&fake.endpoint(), command, "").await;
            let (code, _, error) = texts(&output);
            assert_eq!((code, error), (1, line), "{command:?}");
        }
    }
    let found = r#","result":{"ok":false,"mode":"quick","problems":["page 7 is bad"]}"#;
    let fake = Fake::start(vec![Step::result(&job("done", found))]);
    let output = run(&fake.endpoint(), &["maintenance", "check"], "").await;
    let line = "osnova-storage: the database is damaged\n";
    assert_eq!(texts(&output), (1, "page 7 is bad\n", line));
    let incomplete = r#"{"walBytesBefore":4096,"walBytesAfter":4096,"complete":false}"#;
    let fake = Fake::start(vec![Step::result(incomplete)]);
    let output = run(&fake.endpoint(), &["maintenance", "checkpoint"], "").await;
    let line = "osnova-storage: a reader kept the log from being emptied\n";
    assert_eq!(texts(&output), (1, "log 4.0 KiB -> 4.0 KiB\n", line));
}

#[tokio::test]
async fn rows_of_sql_may_hold_anything() {
    let found = r#"{"columns":["a\tb"],"rows":[["x\ty"],[null],[0.5],[{"base64":"AP8="}]],"truncated":false}"#;
    let fake = Fake::start(vec![Step::result(found)]);
    let arguments = ["sql", "-", "--param", "7", "--param", "text", "--limit", "4"];
    let output = run(&fake.endpoint(), &arguments, "SELECT ?1, ?2").await;
    assert_eq!(texts(&output), (0, "x y\nNULL\n0.5\nx'00ff'\n", ""));
    let params = fake.requests()[0].params();
    let sent = serde_json::json!({ "sql": "SELECT ?1, ?2", "params": [7, "text"], "limit": 4 });
    assert_eq!(params, sent);
}

/// A job of this kind that is done.
fn care(kind: &str, result: &str) -> Step {
    Step::result(&format!(
        r#"{{"jobId":"{kind}-1","kind":"{kind}","state":"done","done":1,"unit":"contents","result":{result},"createdAt":5,"finishedAt":6}}"#
    ))
}

const HASH: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

#[tokio::test]
async fn contents_are_looked_after() {
    for (command, result, line) in [
        (
            "collect",
            r#"{"contents":2,"bytes":2048,"storedBytes":1024}"#,
            "2 contents removed: 2.0 KiB, 1.0 KiB on disk\n",
        ),
        (
            "adopt",
            r#"{"files":9,"adopted":1,"bytes":10,"quarantined":2,"unreadable":4,"removed":3}"#,
            "9 files looked at: 1 adopted (10 B), 2 put aside, 4 left that can't be read, 3 removed\n",
        ),
        (
            "verify",
            r#"{"contents":1,"bytes":10,"damaged":0,"problems":[]}"#,
            "1 content read: 10 B\n",
        ),
        ("upgrade", r#"{"contents":0,"bytes":0,"damaged":0}"#, "0 contents written anew: 0 B\n"),
    ] {
        let fake = Fake::start(vec![care(command, result)]);
        let output = run(&fake.endpoint(), &["blob", command], "").await;
        assert_eq!(texts(&output), (0, line, ""));
        let method = format!(r#""method":"blobs.{command}""#);
        let asked = fake.requests()[0].clone();
        assert!(String::from_utf8(asked.body.clone()).unwrap().contains(&method), "{asked:?}");
        let output = run(&fake.endpoint(), &["blob", command, "--no-wait"], "").await;
        assert_eq!(texts(&output), (0, format!("{command}-1\n").as_str(), ""));
    }
}

#[tokio::test]
async fn damaged_contents_are_a_failure() {
    let problem =
        format!(r#"{{"hash":"{HASH}","problem":"a part is damaged","quarantined":true}}"#);
    let result = format!(r#"{{"contents":3,"bytes":30,"damaged":1,"problems":[{problem}]}}"#);
    let fake = Fake::start(vec![care("verify", &result)]);
    let arguments = ["blob", "verify", HASH, "--rate", "1000"];
    let output = run(&fake.endpoint(), &arguments, "").await;
    let lines = format!("{HASH} a part is damaged, put aside\n3 contents read: 30 B\n");
    let line = "osnova-storage: 1 content is damaged\n";
    assert_eq!(texts(&output), (1, lines.as_str(), line));
    let params = fake.requests()[0].params();
    assert_eq!(params, serde_json::json!({ "hash": HASH, "bytesPerSecond": 1000 }));
    let output = run(&fake.endpoint(), &["blob", "verify", "--json"], "").await;
    let (code, out, error) = texts(&output);
    assert_eq!((code, error), (1, line));
    assert!(out.contains(r#""damaged":1"#), "{out}");
    let fake = Fake::start(vec![care("upgrade", r#"{"contents":1,"bytes":1,"damaged":2}"#)]);
    let output = run(&fake.endpoint(), &["blob", "upgrade"], "").await;
    assert_eq!(texts(&output).2, "osnova-storage: 2 contents are damaged\n");
}
