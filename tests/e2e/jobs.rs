//! Jobs and maintenance with the real daemon: a job outlives the connection that began it and is failed
//! by a crash; and the commands of the program.

use std::io::{Seek, SeekFrom, Write};

use serde_json::{Value, json};

use crate::document::Document;
use crate::example_root;
use crate::program::{prints, told};
use crate::support::{Daemon, Options, wait_until};

/// The job once it has ended.
fn ended(daemon: &Daemon, begun: &Value) -> Value {
    wait_until("the job's end", || {
        let job = daemon.ok("jobs.get", json!({ "jobId": begun["jobId"] }));
        (job["state"] != "running").then_some(job)
    })
}

/// Fills the database with about so many pages, all of which are free then.
fn leave_free_pages(daemon: &Daemon, pages: usize) {
    let value = "x".repeat(100_000);
    let count = pages / 24;
    for index in 0..count {
        daemon.ok("preferences.set", json!({ "key": format!("k{index}"), "value": value }));
    }
    for index in 0..count {
        daemon.ok("preferences.delete", json!({ "key": format!("k{index}") }));
    }
}

fn free_pages(daemon: &Daemon) -> u64 {
    daemon.ok("maintenance.stats", json!({}))["freePages"].as_u64().unwrap()
}

/// A configuration under which nothing is vacuumed unasked.
fn quiet() -> Options {
    let config = "[maintenance]\nvacuum_free_percent = 0\n".to_owned();
    Options { config, ..Options::default() }
}

#[test]
fn a_job_goes_on_when_the_connection_that_began_it_is_gone() {
    let daemon = Daemon::start_with(&quiet());
    leave_free_pages(&daemon, 2400);
    let free = free_pages(&daemon);
    assert!(free > 2000, "{free}");
    // The daemon is told, and nobody listens for the answer.
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"maintenance.vacuum","params":{}}"#;
    let head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    daemon.connect().write_all(request.as_bytes()).unwrap();
    let begun = wait_until("the job to begin", || {
        let jobs = daemon.ok("jobs.list", json!({ "kind": "vacuum" }));
        jobs["items"].get(0).cloned()
    });
    let job = ended(&daemon, &begun);
    assert_eq!(job["state"], "done", "{job}");
    assert_eq!(job["result"]["pagesFreed"], job["done"]);
    assert!(job["done"].as_u64().unwrap() >= free);
    assert_eq!(free_pages(&daemon), 0);
}

#[test]
fn a_stop_and_a_crash_fail_what_they_interrupt() {
    let daemon = Daemon::start_with(&quiet());
    daemon.ok("preferences.set", json!({ "key": "k", "value": 1 }));
    let folder = daemon.kill();
    // What a crash in the middle of a job leaves.
    let database = rusqlite::Connection::open(folder.path().join("root/osnova.db")).unwrap();
    database
        .execute_batch(
            "INSERT INTO jobs (job_seq, job_id, kind, state, done, unit, created_at)
             VALUES (3, 'vacuum-3', 'vacuum', 'running', 512, 'pages', 1)",
        )
        .unwrap();
    drop(database);
    let daemon = Daemon::start_in(folder, &quiet()).unwrap();
    let job = daemon.ok("jobs.get", json!(["vacuum-3"]));
    assert_eq!(job["state"], "failed");
    let error = json!({ "code": "unavailable", "message": "interrupted by a stop" });
    assert_eq!((&job["error"], &job["done"]), (&error, &json!(512)));
    let next = daemon.ok("maintenance.vacuum", json!({}));
    assert_eq!(next["jobId"], "vacuum-4");
    assert_eq!(ended(&daemon, &next)["state"], "done");
    let (status, _) = daemon.stop();
    assert!(status.success());
}

#[test]
fn an_idle_daemon_gives_pages_back_by_itself() {
    let config = "[maintenance]\nvacuum_least_free_pages = 100\nvacuum_idle_ms = 50\n".to_owned();
    let daemon = Daemon::start_with(&Options { config, ..Options::default() });
    leave_free_pages(&daemon, 480);
    wait_until("a vacuum", || {
        let jobs = daemon.ok("jobs.list", json!({ "kind": "vacuum", "state": "done" }));
        jobs["items"].get(0).cloned()
    });
}

#[test]
fn what_is_wrong_with_a_query_is_said_of_its_field() {
    let daemon = Daemon::start();
    let wrong = |params: Value| {
        let data = daemon.fails("validation_error", "maintenance.query", params);
        data["fields"].clone()
    };
    let fields = wrong(json!({ "sql": "SELECT x" }));
    assert_eq!(fields, json!({ "sql": "no such column: x (at byte 7)" }));
    let fields = wrong(json!({ "sql": "SELECT token_hash FROM access_tokens" }));
    assert_eq!(fields, json!({ "sql": "access to access_tokens.token_hash is prohibited" }));
    let fields = wrong(json!({ "sql": "SELECT ?1", "params": [true] }));
    assert!(fields["params.0"].as_str().unwrap().starts_with("must be null"), "{fields}");
    let asked = json!({
        "sql": "SELECT ?1 AS a, ?2 AS b, 9007199254740993 AS c, 1e999 AS d",
        "params": [null, { "base64": "AP8=" }],
    });
    let found = daemon.ok("maintenance.query", asked);
    assert_eq!(found["columns"], json!(["a", "b", "c", "d"]));
    let row = json!([[null, { "base64": "AP8=" }, "9007199254740993", "Infinity"]]);
    assert_eq!(found["rows"], row);
}

// The program.

#[test]
fn the_program_looks_after_the_database() {
    let document = Document::read();
    let daemon = example_root::daemon(&document);
    assert_eq!(prints(&daemon, &["maintenance", "check"]), "the database is whole\n");
    assert_eq!(prints(&daemon, &["maintenance", "check", "--full"]), "the database is whole\n");
    let vacuum = prints(&daemon, &["maintenance", "vacuum"]);
    // A migration that drops an index leaves pages to be freed, in a new root too.
    assert!(vacuum.contains(" pages freed, database "), "{vacuum}");
    let analyzed = prints(&daemon, &["maintenance", "analyze"]);
    assert!(analyzed.ends_with(" tables analyzed\n"), "{analyzed}");
    let log = prints(&daemon, &["maintenance", "checkpoint"]);
    assert!(log.starts_with("log ") && log.ends_with(" -> 0 B\n"), "{log}");
    let stats = prints(&daemon, &["maintenance", "stats"]);
    assert!(stats.contains("\ncomponents\t2\t4096\t"), "{stats}");
    let stats: Value =
        serde_json::from_str(&prints(&daemon, &["maintenance", "stats", "--json"])).unwrap();
    assert_eq!(stats["pageSize"], 4096);

    let listed = prints(&daemon, &["jobs", "ls", "--kind", "integrityCheck"]);
    let ids: Vec<&str> = listed.lines().map(|line| line.split('\t').next().unwrap()).collect();
    assert_eq!(ids, ["integrityCheck-3", "integrityCheck-2", "integrityCheck-1"]);
    let id = prints(&daemon, &["maintenance", "check", "--no-wait"]);
    assert_eq!(id, "integrityCheck-6\n");
    let waited = prints(&daemon, &["jobs", "wait", id.trim(), "--json"]);
    let waited: Value = serde_json::from_str(&waited).unwrap();
    assert_eq!((&waited["state"], &waited["result"]["ok"]), (&json!("done"), &json!(true)));
    let shown = prints(&daemon, &["jobs", "show", id.trim()]);
    assert!(shown.contains("state\tdone\n") && shown.contains(r#"{"ok":true,"#), "{shown}");
    let cancelled = prints(&daemon, &["jobs", "cancel", id.trim()]);
    assert_eq!(cancelled, "integrityCheck-6 is done already\n");
    let (code, _, error) = told(&daemon, &["jobs", "wait", "vacuum-99"]);
    assert_eq!((code, error.as_str()), (1, "osnova-storage: not_found: there is no such job\n"));
}

#[test]
fn the_program_asks_in_sql() {
    let document = Document::read();
    let daemon = example_root::daemon(&document);
    let sql = "SELECT key, value, NULL AS n, x'00ff' AS b FROM user_preferences WHERE key = ?1";
    let rows = prints(&daemon, &["sql", sql, "--param", "ui.theme"]);
    assert_eq!(rows, "ui.theme\t\"dark\"\tNULL\tx'00ff'\n");
    let json = prints(&daemon, &["sql", "SELECT ?1 + 1 AS n", "--param", "1", "--json"]);
    assert_eq!(json, "{\"columns\":[\"n\"],\"rows\":[[2]],\"truncated\":false}\n");
    let two = "SELECT 1 UNION ALL SELECT 2";
    let (code, out, error) = told(&daemon, &["sql", two, "--limit", "1"]);
    assert_eq!((code, out.as_str()), (0, "1\n"));
    assert!(error.contains("there are more rows"), "{error}");
    let (code, _, error) = told(&daemon, &["sql", "DELETE FROM components"]);
    let why = "sql is not allowed: only reads are, and pragmas that tell of the schema";
    let line = format!("osnova-storage: validation_error: {why}\n");
    assert_eq!((code, error), (1, line));
}

#[test]
fn the_program_fails_where_the_database_is_damaged() {
    let daemon = Daemon::start_with(&quiet());
    for index in 0..200 {
        daemon.ok("preferences.set", json!({ "key": format!("k{index}"), "value": index }));
    }
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'idx_cache_order'";
    let page =
        daemon.ok("maintenance.query", json!({ "sql": sql }))["rows"][0][0].as_u64().unwrap();
    let (_, folder) = daemon.stop();
    let path = folder.path().join("root/osnova.db");
    let mut file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start((page - 1) * 4096)).unwrap();
    file.write_all(&[0x55; 4096]).unwrap();
    drop(file);
    let daemon = Daemon::start_in(folder, &quiet()).unwrap();
    let (code, out, error) = told(&daemon, &["maintenance", "check"]);
    assert_eq!((code, error.as_str()), (1, "osnova-storage: the database is damaged\n"));
    assert!(!out.is_empty());
    assert_eq!(daemon.ok("status.get", json!({}))["status"], "error");
}
