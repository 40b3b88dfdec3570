//! The writer: groups that share a commit, failures that stay alone, the bounds of the queue,
//! deferred writes, kept answers, revisions.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use common::*;
use osnova_storage_api::components as wire;
use osnova_storage_api::preferences::Preference;
use osnova_storage_api::status::Health;
use osnova_storage_api::{ApiError, ConflictReason, ErrorCode};
use osnova_storage_core::db::requests::{self, Request};
use osnova_storage_core::db::{Job, QueueLimits, Tx, components, preferences};
use osnova_storage_core::error::Result;
use osnova_storage_core::{Caller, Store, StoreError};
use rusqlite::{Connection, OpenFlags};

type Operation<T> = Box<dyn Fn(&Tx<'_>) -> Result<T> + Send>;

/// Hands operations over together and waits for the answer of each.
fn submit_all<T: Send + 'static>(store: &Store, operations: Vec<Operation<T>>) -> Vec<Result<T>> {
    let (sender, receiver) = mpsc::channel();
    let as_job = |(index, operation): (usize, Operation<T>)| {
        let sender = sender.clone();
        Job::new(64, operation, move |result| sender.send((index, result)).unwrap())
    };
    let jobs = operations.into_iter().enumerate().map(as_job).collect();
    store.db().submit(jobs).unwrap();
    drop(sender);
    let mut answers: Vec<(usize, Result<T>)> = receiver.iter().collect();
    answers.sort_by_key(|(index, _)| *index);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

fn set_operation(key: &str, value: &str) -> Operation<Preference> {
    let params = set_params(key, value, None);
    Box::new(move |tx| preferences::set(tx, &owner(), &params))
}

/// Holds the writer inside a job until what is returned is dropped.
fn hold_writer(store: &Store) -> Sender<()> {
    let (entered, has_entered) = mpsc::channel();
    let (release, released) = mpsc::channel();
    let wait = move |_: &Tx<'_>| {
        let _ = entered.send(());
        let _ = released.recv();
        Ok(())
    };
    store.db().submit(vec![Job::new(1, wait, |_| {})]).unwrap();
    has_entered.recv().unwrap();
    release
}

/// Tries until it holds; a test that would otherwise hang fails after a minute.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(60), "never seen: {what}");
        thread::yield_now();
    }
}

// Groups.

#[test]
fn jobs_handed_over_together_share_a_transaction() {
    let root = Root::new();
    let store = root.open();
    // A group that has run for 20 ms is committed before it is complete, which a busy machine may
    // bring about; so it is tried until one was not torn.
    eventually("a group in one transaction", || {
        store
            .db()
            .write(64, |tx| Ok(tx.connection().execute("DELETE FROM user_preferences", [])?))
            .unwrap();
        let outside =
            Connection::open_with_flags(root.database(), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let look: Operation<Preference> = Box::new(move |tx| {
            let count = "SELECT count(*) FROM user_preferences WHERE key = 'first'";
            let inside: u32 = tx.connection().query_row(count, [], |row| row.get(0))?;
            let outside: u32 = outside.query_row(count, [], |row| row.get(0))?;
            let params = set_params("seen", &format!("[{inside},{outside}]"), None);
            preferences::set(tx, &owner(), &params)
        });
        let answers =
            submit_all(&store, vec![set_operation("first", "1"), look, set_operation("last", "3")]);
        let answers: Vec<Preference> = answers.into_iter().map(Result::unwrap).collect();
        let first = answers[0].revision.0;
        assert_eq!(answers[1].revision.0, first + 1);
        assert_eq!(answers[2].revision.0, first + 2);
        // The second saw the first, which nobody else did: it was not committed yet.
        answers[1].value.get() == "[1,0]"
    });
}

#[test]
fn an_operation_that_fails_undoes_only_itself() {
    let root = Root::new();
    let store = root.open();
    let fails: Operation<Preference> = Box::new(|tx| {
        preferences::set(tx, &owner(), &set_params("b", "2", None))?;
        Err(ApiError::field("b", "is not wanted").into())
    });
    let answers = submit_all(&store, vec![set_operation("a", "1"), fails, set_operation("c", "3")]);
    assert_eq!(code(&answers[1]), ErrorCode::ValidationError);
    let revision = |index: usize| answers[index].as_ref().unwrap().revision.0;
    assert_eq!(revision(2), revision(0) + 1);
    assert_eq!(query::<u32>(&store, "SELECT count(*) FROM change_feed"), 2);
    drop(store);
    let store = root.open();
    assert_eq!(get(&store, "a").unwrap().revision.0, revision(0));
    assert_eq!(code(&get(&store, "b")), ErrorCode::NotFound);
    assert_eq!(get(&store, "c").unwrap().revision.0, revision(2));
}

#[test]
fn an_operation_that_panics_fails_alone() {
    let root = Root::new();
    let store = root.open();
    let panics: Operation<Preference> = Box::new(|tx| {
        preferences::set(tx, &owner(), &set_params("b", "2", None))?;
        panic!("a bug");
    });
    let answers =
        submit_all(&store, vec![set_operation("a", "1"), panics, set_operation("c", "3")]);
    assert!(matches!(answers[1], Err(StoreError::Internal(_))));
    assert_eq!(code(&answers[1]), ErrorCode::InternalError);
    for key in ["a", "c"] {
        get(&store, key).unwrap();
    }
    assert_eq!(code(&get(&store, "b")), ErrorCode::NotFound);
    set(&store, "d", "4").unwrap();
}

/// SQLite may answer SQLITE_FULL in two ways: by ending the whole transaction, the released
/// savepoints of the calls before included, or by undoing the statement alone (where it keeps a
/// journal for it, as it does under RETURNING). In both only the call that needs the space is
/// refused, and in both the status says so.
fn only_the_call_that_does_not_fit_is_refused(
    operation: impl Fn(usize, usize) -> Operation<()>,
    count: &str,
) -> usize {
    let root = Root::new();
    let mut options = root.options();
    options.database.limit_bytes = Some(1 << 20);
    let store = Store::open(options.clone()).unwrap();
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = |index: usize| -> Operation<()> {
        let inner = operation(index, if index == 5 { 1_000_000 } else { 100 });
        let runs = Arc::clone(&runs);
        Box::new(move |tx| {
            if index == 0 {
                runs.fetch_add(1, Ordering::SeqCst);
            }
            inner(tx)
        })
    };
    let answers = submit_all(&store, (0..10).map(counted).collect());
    for (index, answer) in answers.iter().enumerate() {
        match index {
            5 => assert_eq!(code(answer), ErrorCode::DiskFull),
            _ => assert!(answer.is_ok(), "{index}: {answer:?}"),
        }
    }
    assert_eq!(status(&store), Health::Degraded);
    assert!(store.status("").notices[0].message.contains("full"));
    assert_eq!(query::<u32>(&store, count), 9);
    // Records that fit are still written, and what was wrong is over.
    set(&store, "small", "1").unwrap();
    assert_eq!(status(&store), Health::Ok);
    store.db().integrity_check().unwrap();
    drop(store);

    let store = Store::open(options).unwrap();
    assert_eq!(query::<u32>(&store, count), 9);
    // With the limit raised the same call goes through.
    drop(store);
    let store = root.open();
    store.db().write(64, operation(5, 1_000_000)).unwrap();
    assert_eq!(query::<u32>(&store, count), 10);
    runs.load(Ordering::SeqCst)
}

#[test]
fn a_full_database_that_ends_the_transaction_refuses_one_call() {
    let put = |index: usize, bytes: usize| -> Operation<()> {
        Box::new(move |tx| {
            tx.connection().execute(
                "INSERT INTO user_preferences (key, value, updated_at) VALUES (?1, ?2, 0)",
                (format!("key {index}"), "7".repeat(bytes)),
            )?;
            Ok(())
        })
    };
    let count = "SELECT count(*) FROM user_preferences WHERE key LIKE 'key %'";
    let runs = only_the_call_that_does_not_fit_is_refused(put, count);
    assert_eq!(runs, 2, "the group was not run again: SQLite no longer ends its transaction");
}

#[test]
fn a_full_database_that_undoes_the_statement_refuses_one_call() {
    let put = |index: usize, bytes: usize| -> Operation<()> {
        let mut input = component(&format!("component {index}"));
        input.manifest = json(&format!("[\"{}\"]", "x".repeat(bytes)));
        let params = put_params(input, None);
        Box::new(move |tx| components::put(tx, &owner(), &params).map(|_| ()))
    };
    let count = "SELECT count(*) FROM components";
    only_the_call_that_does_not_fit_is_refused(put, count);
}

// The queue.

#[test]
fn a_full_queue_refuses_and_runs_nothing_of_it() {
    let root = Root::new();
    let mut options = root.options();
    options.database.queue =
        QueueLimits { queued_calls: 3, queued_bytes: 1000, ..QueueLimits::default() };
    let store = Store::open(options).unwrap();
    let ran = Arc::new(AtomicUsize::new(0));
    let job = |weight: usize| {
        let ran = Arc::clone(&ran);
        let run = move |_: &Tx<'_>| Ok(ran.fetch_add(1, Ordering::SeqCst));
        Job::new(weight, run, |_| {})
    };
    let refused = |jobs: Vec<Job>| {
        let error = store.db().submit(jobs).unwrap_err().to_api();
        assert_eq!(error.code(), ErrorCode::Unavailable);
        assert!(error.data.retry_after_ms.unwrap() > 0);
    };

    let held = hold_writer(&store);
    store.db().submit(vec![job(1), job(1)]).unwrap();
    refused(vec![job(1), job(1)]);
    store.db().submit(vec![job(1)]).unwrap();
    refused(vec![job(1)]);
    assert_eq!(store.db().queue_depth(), 3);
    drop(held);
    eventually("an empty queue", || store.db().queue_depth() == 0);
    set(&store, "after", "1").unwrap();
    assert_eq!(ran.load(Ordering::SeqCst), 3);

    let held = hold_writer(&store);
    // Alone, a job gets in however heavy it is, or it never would.
    store.db().submit(vec![job(5000)]).unwrap();
    refused(vec![job(1)]);
    drop(held);
    eventually("an empty queue", || store.db().queue_depth() == 0);
    set(&store, "after", "2").unwrap();
    assert_eq!(ran.load(Ordering::SeqCst), 4);
}

#[test]
fn closing_runs_what_waits_and_refuses_the_rest() {
    let root = Root::new();
    let store = root.open();
    put_component(&store, component("a")).unwrap();
    let held = hold_writer(&store);
    let (sender, receiver) = mpsc::channel();
    for index in 0..5 {
        let params = set_params(&format!("key {index}"), "1", None);
        let operation = move |tx: &Tx<'_>| preferences::set(tx, &owner(), &params);
        let sender = sender.clone();
        let job = Job::new(64, operation, move |result| sender.send(result).unwrap());
        store.db().submit(vec![job]).unwrap();
    }
    drop(sender);
    thread::scope(|scope| {
        scope.spawn(|| store.close());
        eventually("a closed queue", || store.db().submit(Vec::new()).is_err());
        drop(held);
    });
    // All were answered before close() came back.
    assert_eq!(receiver.try_iter().map(Result::unwrap).count(), 5);
    let refused = set(&store, "late", "1");
    assert_eq!(code(&refused), ErrorCode::Unavailable);
    assert!(refused.unwrap_err().to_api().data.retry_after_ms.is_some());
    // Nobody would write it any more, so it must not be said that it was taken.
    assert_eq!(code(&touch(&store, "a", None)), ErrorCode::Unavailable);
    drop(store);
    let store = root.open();
    assert_eq!(query::<u32>(&store, "SELECT count(*) FROM user_preferences"), 5);
}

// Deferred writes.

fn open_with_flush_interval(root: &Root, interval: Duration) -> Store {
    let mut options = root.options();
    options.database.queue.flush_interval = interval;
    Store::open(options).unwrap()
}

const NEVER: Duration = Duration::from_secs(1 << 30);

fn last_used(store: &Store, id: &str) -> Option<i64> {
    get_component(store, id).unwrap().last_used.map(|time| time.0)
}

fn by_last_use(store: &Store) -> Vec<String> {
    let params = wire::ListParams {
        r#type: None,
        order_by: Some(wire::ComponentOrder::LastUsed),
        direction: None,
        limit: None,
        cursor: None,
    };
    let page = store.db().read(|reader| components::list(reader, &owner(), &params)).unwrap();
    page.items.into_iter().map(|component| component.component_id.into()).collect()
}

#[test]
fn a_touch_is_written_after_the_flush_interval() {
    let root = Root::new();
    let store = open_with_flush_interval(&root, Duration::from_millis(5));
    put_component(&store, component("a")).unwrap();
    touch(&store, "a", Some(77)).unwrap();
    eventually("the touch", || last_used(&store, "a") == Some(77));
    touch(&store, "a", None).unwrap();
    eventually("the second touch", || last_used(&store, "a") == Some(START));
}

#[test]
fn a_touch_is_written_with_the_next_group_and_at_a_clean_end() {
    let root = Root::new();
    let store = open_with_flush_interval(&root, NEVER);
    put_component(&store, component("a")).unwrap();
    touch(&store, "a", Some(77)).unwrap();
    assert_eq!(last_used(&store, "a"), None);
    set(&store, "any", "1").unwrap();
    assert_eq!(last_used(&store, "a"), Some(77));
    touch(&store, "a", Some(78)).unwrap();
    drop(store);
    let store = root.open();
    assert_eq!(last_used(&store, "a"), Some(78));
}

#[test]
fn the_order_of_use_follows_the_calls_and_not_the_clock() {
    let root = Root::new();
    let store = open_with_flush_interval(&root, NEVER);
    for id in ["a", "b", "c", "never"] {
        put_component(&store, component(id)).unwrap();
    }
    let before = get_component(&store, "a").unwrap();
    let changes: u32 = query(&store, "SELECT count(*) FROM change_feed");
    for (id, time) in [("a", 300), ("b", 200), ("c", 100)] {
        touch(&store, id, Some(time)).unwrap();
    }
    execute(&store, "SELECT 1");
    assert_eq!(by_last_use(&store), ["c", "b", "a", "never"]);
    // Later by the calls, earlier by the clock: it moves to the front, its time does not go back.
    touch(&store, "b", Some(1)).unwrap();
    touch(&store, "a", Some(50)).unwrap();
    execute(&store, "SELECT 1");
    assert_eq!(by_last_use(&store), ["a", "b", "c", "never"]);
    let after = get_component(&store, "a").unwrap();
    assert_eq!(after.last_used.unwrap().0, 300);
    assert_eq!(after.revision, before.revision);
    assert_eq!(query::<u32>(&store, "SELECT count(*) FROM change_feed"), changes);
    // A store opened again goes on after the places that were given.
    drop(store);
    let store = open_with_flush_interval(&root, NEVER);
    touch(&store, "c", Some(2)).unwrap();
    execute(&store, "SELECT 1");
    assert_eq!(by_last_use(&store), ["c", "a", "b", "never"]);
}

#[test]
fn touching_what_is_absent_is_not_found_and_what_goes_meanwhile_is_passed_over() {
    let root = Root::new();
    let store = open_with_flush_interval(&root, NEVER);
    assert_eq!(code(&touch(&store, "absent", None)), ErrorCode::NotFound);
    put_component(&store, component("a")).unwrap();
    put_component(&store, component("b")).unwrap();
    let held = hold_writer(&store);
    touch(&store, "a", Some(1)).unwrap();
    touch(&store, "b", Some(2)).unwrap();
    let gone = set_params("unused", "1", None);
    let operation = move |tx: &Tx<'_>| {
        tx.connection().execute("DELETE FROM components WHERE component_id = 'a'", [])?;
        preferences::set(tx, &owner(), &gone)
    };
    store.db().submit(vec![Job::new(1, operation, |_| {})]).unwrap();
    drop(held);
    execute(&store, "SELECT 1");
    assert_eq!(by_last_use(&store), ["b"]);
    assert_eq!(last_used(&store, "b"), Some(2));
    assert_eq!(code(&touch(&store, "a", None)), ErrorCode::NotFound);
}

#[test]
fn a_touch_that_can_not_be_written_is_kept_until_it_can() {
    let root = Root::new();
    let store = open_with_flush_interval(&root, NEVER);
    put_component(&store, component("a")).unwrap();
    execute(
        &store,
        "CREATE TRIGGER in_the_way BEFORE UPDATE OF last_used ON components
         BEGIN SELECT RAISE(ABORT, 'not now'); END",
    );
    touch(&store, "a", Some(77)).unwrap();
    // The group goes through without it.
    set(&store, "any", "1").unwrap();
    assert_eq!(last_used(&store, "a"), None);
    touch(&store, "a", Some(70)).unwrap();
    execute(&store, "DROP TRIGGER in_the_way");
    execute(&store, "SELECT 1");
    assert_eq!(last_used(&store, "a"), Some(77));
}

// The WAL.

const MIB: u64 = 1 << 20;

fn wal_len(root: &Root) -> u64 {
    // Its length is looked up without opening it.
    std::fs::metadata(root.path().join("osnova.db-wal")).unwrap().len()
}

/// Writes this much in groups of half a MiB, and returns how long the WAL became.
fn write_much(root: &Root, store: &Store, mib: u64) -> u64 {
    // SQLite writes no page that does not change, so a key never gets the value it had.
    let values = ["a", "b"].map(|letter| json(&format!("\"{}\"", letter.repeat((128 << 10) - 2))));
    let mut longest = 0;
    for group in 0..mib * 2 {
        let operations = (0..4).map(|index| -> Operation<()> {
            let count = group * 4 + index;
            let mut params = set_params(&format!("key {}", count % 100), "0", None);
            params.value = values[usize::from(count / 100 % 2 == 1)].clone();
            Box::new(move |tx| preferences::set(tx, &owner(), &params).map(|_| ()))
        });
        submit_all(store, operations.collect()).into_iter().for_each(|answer| answer.unwrap());
        longest = longest.max(wal_len(root));
    }
    longest
}

#[test]
fn the_wal_stays_bounded() {
    let root = Root::new();
    let mut options = root.options();
    options.database.wal_limit_bytes = 24 * MIB;
    let store = Store::open(options).unwrap();
    let longest = write_much(&root, &store, 300);
    assert!(longest < 64 * MIB, "{longest}");
    assert_eq!(status(&store), Health::Ok);

    // A reader that stays holds it back, which the status says; when it ends, the WAL is short again.
    let held = store.db().read(|reader| {
        reader.connection().execute_batch("BEGIN; SELECT count(*) FROM user_preferences;")?;
        let before = wal_len(&root);
        let longest = write_much(&root, &store, 80);
        reader.connection().execute_batch("COMMIT")?;
        Ok((before, longest))
    });
    let (before, longest) = held.unwrap();
    assert!(longest > before + 40 * MIB, "the reader held nothing back: {before} {longest}");
    assert_eq!(status(&store), Health::Degraded);
    write_much(&root, &store, 40);
    assert_eq!(status(&store), Health::Ok);
    assert!(wal_len(&root) <= 64 * MIB, "{}", wal_len(&root));
    assert!(store.db().wal_bytes() <= 64 * MIB, "{}", store.db().wal_bytes());
    // A clean end leaves none.
    drop(store);
    let left = std::fs::metadata(root.path().join("osnova.db-wal")).map_or(0, |file| file.len());
    assert_eq!(left, 0);
}

// Kept answers.

fn set_once(
    store: &Store,
    caller: &Caller,
    id: &str,
    key: &str,
    value: &str,
    if_revision: Option<u64>,
) -> Result<Preference> {
    let params = set_params(key, value, if_revision);
    let request = Request::new(id.parse().unwrap(), "preferences.set", &params).unwrap();
    let caller = caller.clone();
    store.db().write(64, move |tx| {
        requests::once(tx, &caller, Some(&request), || preferences::set(tx, &caller, &params))
    })
}

#[test]
fn a_repeated_request_gets_the_stored_answer() {
    let root = Root::new();
    let store = root.open();
    let text = r#"{ "b" : 1.50, "a":"\u00e9" }"#;
    let first = set_once(&store, &owner(), "r1", "k", text, None).unwrap();
    let second = set(&store, "k", "2").unwrap();
    let repeated = set_once(&store, &owner(), "r1", "k", text, None).unwrap();
    assert_eq!(repeated, first);
    assert_eq!(repeated.value.get(), text);
    assert_eq!(get(&store, "k").unwrap(), second);

    drop(store);
    let store = root.open();
    assert_eq!(set_once(&store, &owner(), "r1", "k", text, None).unwrap(), first);
    assert_eq!(get(&store, "k").unwrap(), second);
}

#[test]
fn a_request_id_can_not_be_used_for_another_call() {
    let root = Root::new();
    let store = root.open();
    let first = set_once(&store, &owner(), "r1", "k", "1", None).unwrap();
    let reused = set_once(&store, &owner(), "r1", "k", "2", None);
    assert_eq!(reason(&reused), ConflictReason::RequestReused);
    let params = set_params("k", "1", None);
    let request = Request::new("r1".parse().unwrap(), "preferences.other", &params).unwrap();
    let reused = store.db().write(64, move |tx| {
        requests::once(tx, &owner(), Some(&request), || preferences::set(tx, &owner(), &params))
    });
    assert_eq!(reason(&reused), ConflictReason::RequestReused);
    assert_eq!(get(&store, "k").unwrap(), first);
    // Each caller has ids of his own.
    let theirs = set_once(&store, &component_caller("c"), "r1", "k", "2", None).unwrap();
    assert!(theirs.revision > first.revision);
}

#[test]
fn a_failure_is_not_kept() {
    let root = Root::new();
    let store = root.open();
    let failed = set_once(&store, &owner(), "r1", "k", "1", Some(7));
    assert_eq!(reason(&failed), ConflictReason::Revision);
    assert_eq!(query::<u32>(&store, "SELECT count(*) FROM request_answers"), 0);
    set_once(&store, &owner(), "r1", "k", "2", Some(0)).unwrap();
    // The repeat does not meet its own revision: the answer comes before the operation.
    set_once(&store, &owner(), "r1", "k", "2", Some(0)).unwrap();
}

#[test]
fn an_answer_is_kept_for_a_day() {
    let root = Root::new();
    let store = root.open();
    let first = set_once(&store, &owner(), "r1", "k", "1", None).unwrap();
    root.clock.advance(24 * 60 * 60 - 1);
    assert_eq!(set_once(&store, &owner(), "r1", "k", "1", None).unwrap(), first);
    root.clock.advance(1);
    let second = set_once(&store, &owner(), "r1", "k", "2", None).unwrap();
    assert!(second.revision > first.revision);
    assert_eq!(set_once(&store, &owner(), "r1", "k", "2", None).unwrap(), second);
    set_once(&store, &owner(), "r2", "k", "2", None).unwrap();
    root.clock.advance(24 * 60 * 60);
    drop(store);
    let store = root.open();
    set(&store, "any", "1").unwrap();
    assert_eq!(query::<u32>(&store, "SELECT count(*) FROM request_answers"), 0);
}

#[test]
fn kept_answers_are_bounded_in_number() {
    let root = Root::new();
    let store = root.open();
    execute(
        &store,
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 102000)
         INSERT INTO request_answers
           (caller, request_id, method, params_hash, answer, created_at, running_bytes)
         SELECT '', 'old ' || i, 'm', zeroblob(32), '1', 1793491200, i FROM n",
    );
    for index in 0..300 {
        set_once(&store, &owner(), &format!("new {index}"), "k", "1", None).unwrap();
    }
    let kept: u32 = query(&store, "SELECT count(*) FROM request_answers");
    assert!((100_000..100_300).contains(&kept), "{kept}");
    let new = "SELECT count(*) FROM request_answers WHERE request_id LIKE 'new %'";
    assert_eq!(query::<u32>(&store, new), 300);
    let oldest = "SELECT min(id) FROM request_answers";
    assert!(query::<u32>(&store, oldest) > 2000);
}

/// Bytes are bytes, not characters, and few large answers count as much as many small ones.
#[test]
fn kept_answers_are_bounded_in_bytes() {
    let root = Root::new();
    let store = root.open();
    // 1 MiB in bytes, half of that in characters.
    let value = format!("\"{}\"", "é".repeat((512 << 10) - 1));
    for index in 0..160 {
        set_once(&store, &owner(), &format!("r{index}"), "k", &value, None).unwrap();
    }
    let bytes: u64 = query(&store, "SELECT sum(octet_length(answer)) FROM request_answers");
    assert!(bytes < 72 * MIB, "{bytes}");
    assert!(bytes > 60 * MIB, "{bytes}");
    // The latest are those that are there.
    let last = get(&store, "k").unwrap();
    assert_eq!(set_once(&store, &owner(), "r159", "k", &value, None).unwrap(), last);
}

// Revisions.

#[test]
fn revisions_rise_over_deletion_and_restart() {
    let root = Root::new();
    let store = root.open();
    let mut last = 0;
    let mut rises = |revision: u64| {
        assert!(revision > last, "{revision} after {last}");
        last = revision;
    };
    rises(set(&store, "k", "1").unwrap().revision.0);
    rises(set(&store, "k", "2").unwrap().revision.0);
    assert!(unset(&store, "k", None).unwrap().deleted);
    let recreated = set(&store, "k", "1").unwrap().revision.0;
    rises(recreated);
    rises(put_component(&store, component("c")).unwrap().revision.0);
    rises(put_component(&store, component("c")).unwrap().revision.0);
    assert!(delete_component(&store, "c", None).unwrap().deleted);
    rises(put_component(&store, component("c")).unwrap().revision.0);
    drop(store);
    // In the same second, and with a clock that went back.
    for seconds in [0, 0, -1_000_000] {
        root.clock.jump(seconds);
        rises(set(&root.open(), "k", "3").unwrap().revision.0);
    }
}

#[test]
fn an_older_copy_put_back_repeats_no_revision() {
    let root = Root::new();
    let store = root.open();
    set(&store, "k", "1").unwrap();
    drop(store);
    let copy = Root::new();
    std::fs::create_dir(copy.path()).unwrap();
    std::fs::copy(root.database(), copy.database()).unwrap();
    // The first life goes on, and someone remembers a revision of it.
    root.clock.advance(60);
    let store = root.open();
    let remembered = (0..100).map(|_| set(&store, "k", "2").unwrap().revision.0).last().unwrap();
    drop(store);

    copy.clock.advance(61);
    let store = copy.open();
    let current = set(&store, "k", "3").unwrap().revision.0;
    assert!(current > remembered);
    let fooled = set_if(&store, "k", "4", Some(remembered));
    assert_eq!(current_revision(&fooled), current);
}
