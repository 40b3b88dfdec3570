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
