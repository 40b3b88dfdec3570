//! Jobs: how they begin and end, who sees them, how many run, and what a stop leaves of them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use common::*;
use osnova_storage_api::ErrorCode;
use osnova_storage_api::jobs::{Job, JobParams, JobState, ListParams};
use osnova_storage_api::wire::Limit;
use osnova_storage_core::db::{Job as WriterJob, Tx};
use osnova_storage_core::error::Result;
use osnova_storage_core::jobs::{MAX_RUNNING, Progress};
use osnova_storage_core::{Caller, Store, StoreError};

/// Tries until it holds; a test that would otherwise hang fails after a minute.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(60), "never seen: {what}");
        thread::yield_now();
    }
}

fn job(store: &Store, caller: &Caller, begun: &Job) -> Result<Job> {
    store.jobs().get(caller, &JobParams { job_id: begun.job_id.clone() })
}

/// The job once it has ended.
fn ended(store: &Store, begun: &Job) -> Job {
    let state = || job(store, &owner(), begun).unwrap().state;
    eventually("the job's end", || state() != JobState::Running);
    job(store, &owner(), begun).unwrap()
}

fn everything() -> ListParams {
    ListParams { state: None, kind: None, limit: Some(Limit(1000)), cursor: None }
}

fn ids(store: &Store, caller: &Caller, params: &ListParams) -> Vec<String> {
    let page = store.jobs().list(caller, params).unwrap();
    page.items.into_iter().map(|job| job.job_id.to_string()).collect()
}

/// Begins a job that is at work until it is told to end, or is cancelled.
fn hold(store: &Store, caller: &Caller, kind: &'static str) -> (Job, Sender<()>) {
    let (end, told) = mpsc::channel();
    let begun = store.jobs().start(kind, caller, "steps", move |progress| work(progress, &told));
    (begun.unwrap(), end)
}

fn work(progress: &Progress, told: &Receiver<()>) -> Result<osnova_storage_api::wire::JsonText> {
    while told.try_recv() == Err(mpsc::TryRecvError::Empty) {
        progress.pause(Duration::from_millis(1))?;
    }
    Ok(json(r#"{"well":true}"#))
}

/// How often the feed tells of a job, as whose.
fn told_of(store: &Store, id: &str) -> Vec<(String, Option<String>)> {
    store
        .db()
        .read(|reader| {
            let mut statement = reader.connection().prepare(
                "SELECT kind, component_id FROM change_feed
                 WHERE namespace = 'jobs' AND key_json = json_array(?1) ORDER BY seq",
            )?;
            let rows = statement.query_map([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .unwrap()
}

#[test]
fn a_job_is_told_of_from_its_beginning_to_its_end() {
    let root = Root::new();
    let store = root.open();
    let (go, wait) = mpsc::channel::<()>();
    let (at, arrived) = mpsc::channel();
    let begun = store.jobs().start("count", &owner(), "sheep", move |progress| {
        progress.set_total(3);
        progress.advance(2);
        at.send(()).unwrap();
        let _ = wait.recv();
        progress.advance(1);
        Ok(json(r#"{"asleep":true}"#))
    });
    let begun = begun.unwrap();
    assert_eq!(begun.job_id.as_str(), "count-1");
    assert_eq!((begun.state, begun.done.0, begun.total), (JobState::Running, 0, None));
    arrived.recv().unwrap();
    let running = job(&store, &owner(), &begun).unwrap();
    assert_eq!((running.done.0, running.total.unwrap().0), (2, 3));
    assert_eq!((running.state, running.finished_at), (JobState::Running, None));
    assert_eq!(store.jobs().running(), 1);
    root.clock.advance(5);
    go.send(()).unwrap();
    let done = ended(&store, &begun);
    assert_eq!((done.state, done.done.0, done.total.unwrap().0), (JobState::Done, 3, 3));
    assert_eq!(done.result.unwrap().get(), r#"{"asleep":true}"#);
    assert_eq!((done.created_at.0, done.finished_at.unwrap().0), (START, START + 5));
    eventually("that nothing runs", || store.jobs().running() == 0);
    let told = told_of(&store, "count-1");
    assert!(told.len() >= 2 && told.iter().all(|it| *it == ("put".to_owned(), None)), "{told:?}");
    // What was written down is the same after a start.
    store.close();
    drop(store);
    let kept = job(&root.open(), &owner(), &begun).unwrap();
    assert_eq!((kept.state, kept.done.0, kept.unit.as_str()), (JobState::Done, 3, "sheep"));
}

#[test]
fn progress_is_told_while_a_job_runs_and_not_at_every_step() {
    let root = Root::new();
    let store = root.open();
    let (end, told) = mpsc::channel::<()>();
    let begun = store.jobs().start("count", &owner(), "steps", move |progress| {
        while told.try_recv() == Err(mpsc::TryRecvError::Empty) {
            progress.check()?;
            progress.advance(1);
        }
        Ok(json("null"))
    });
    let begun = begun.unwrap();
    eventually("three changes while it runs", || told_of(&store, "count-1").len() >= 3);
    let running = job(&store, &owner(), &begun).unwrap();
    assert_eq!(running.state, JobState::Running);
    end.send(()).unwrap();
    let steps = ended(&store, &begun).done.0;
    let changes = told_of(&store, "count-1").len() as u64;
    assert!(changes < steps / 10, "{changes} changes of {steps} steps");
}

#[test]
fn a_job_that_fails_says_why_to_its_owner_only_what_he_may_know() {
    let root = Root::new();
    let store = root.open();
    let fails = |kind, error: fn() -> StoreError| {
        ended(&store, &store.jobs().start(kind, &owner(), "steps", move |_| Err(error())).unwrap())
    };
    let refused = fails("one", || StoreError::not_found("thing"));
    let error = refused.error.unwrap();
    assert_eq!((refused.state, error.code.as_str()), (JobState::Failed, "not_found"));
    let internal = fails("two", || StoreError::Internal("the key is 1234".to_owned()));
    let error = internal.error.unwrap();
    assert_eq!((error.code.as_str(), error.message.as_str()), ("internal_error", "internal error"));
    let panicked = store.jobs().start("three", &owner(), "steps", |_| panic!("a bug")).unwrap();
    assert_eq!(ended(&store, &panicked).error.unwrap().code, "internal_error");
    eventually("that nothing runs", || store.jobs().running() == 0);
}

#[test]
fn a_job_is_cancelled_and_one_that_has_ended_stays_as_it_is() {
    let root = Root::new();
    let store = root.open();
    let (begun, _end) = hold(&store, &owner(), "hold");
    let params = JobParams { job_id: begun.job_id.clone() };
    assert_eq!(store.jobs().cancel(&owner(), &params).unwrap().state, JobState::Running);
    let cancelled = ended(&store, &begun);
    assert_eq!(cancelled.state, JobState::Cancelled);
    assert!(cancelled.finished_at.is_some() && cancelled.error.is_none());
    assert_eq!(store.jobs().cancel(&owner(), &params).unwrap(), cancelled);

    // One that has all done by the time it looks is done.
    let (end, told) = mpsc::channel::<()>();
    let deaf = store.jobs().start("deaf", &owner(), "steps", move |_| {
        let _ = told.recv();
        Ok(json("1"))
    });
    let deaf = deaf.unwrap();
    store.jobs().cancel(&owner(), &JobParams { job_id: deaf.job_id.clone() }).unwrap();
    end.send(()).unwrap();
    assert_eq!(ended(&store, &deaf).state, JobState::Done);
}

#[test]
fn of_each_kind_one_runs_and_few_in_all() {
    let root = Root::new();
    let store = root.open();
    let component = component_caller("org.example.a");
    let kinds = ["k0", "k1", "k2", "k3"];
    assert_eq!(kinds.len(), MAX_RUNNING);
    let held: Vec<_> = kinds.iter().map(|kind| hold(&store, &owner(), kind)).collect();
    let again = store.jobs().start("k0", &owner(), "steps", |_| panic!("it must not run"));
    assert_eq!(again.unwrap().job_id, held[0].0.job_id);
    // Another's job of the kind is not shown.
    let others = store.jobs().start("k0", &component, "steps", |_| panic!("it must not run"));
    assert_eq!(code(&others), ErrorCode::Unavailable);
    let more = store.jobs().start("k4", &owner(), "steps", |_| panic!("it must not run"));
    assert_eq!(code(&more), ErrorCode::Unavailable);
    assert_eq!(ids(&store, &owner(), &everything()), ["k3-4", "k2-3", "k1-2", "k0-1"]);
    let (first, end) = &held[0];
    end.send(()).unwrap();
    ended(&store, first);
    eventually("room", || store.jobs().running() < MAX_RUNNING);
    let next = store.jobs().start("k0", &owner(), "steps", |_| Ok(json("2"))).unwrap();
    assert_ne!(next.job_id, first.job_id);
    assert_eq!(ended(&store, &next).result.unwrap().get(), "2");
}

#[test]
fn a_component_sees_its_own_jobs_and_the_owner_all() {
    let root = Root::new();
    let store = root.open();
    let [a, b] = ["org.example.a", "org.example.b"].map(component_caller);
    let (of_a, _end) = hold(&store, &a, "one");
    let (of_owner, _end) = hold(&store, &owner(), "two");
    assert_eq!(of_a.component_id.as_ref().unwrap().as_str(), "org.example.a");
    assert_eq!(ids(&store, &a, &everything()), ["one-1"]);
    assert!(ids(&store, &b, &everything()).is_empty());
    assert_eq!(ids(&store, &owner(), &everything()), ["two-2", "one-1"]);
    for (caller, job_id) in [(&b, &of_a.job_id), (&a, &of_owner.job_id)] {
        let params = JobParams { job_id: job_id.clone() };
        assert_eq!(code(&store.jobs().get(caller, &params)), ErrorCode::NotFound);
        assert_eq!(code(&store.jobs().cancel(caller, &params)), ErrorCode::NotFound);
    }
    assert_eq!(store.jobs().running(), 2);
    store.jobs().cancel(&a, &JobParams { job_id: of_a.job_id.clone() }).unwrap();
    assert_eq!(ended(&store, &of_a).state, JobState::Cancelled);
    let told = told_of(&store, "one-1");
    assert!(told.iter().all(|(_, of)| of.as_deref() == Some("org.example.a")), "{told:?}");
}

#[test]
fn lists_are_filtered_and_go_on_page_by_page() {
    let root = Root::new();
    let store = root.open();
    for kind in ["odd", "even", "odd", "even", "odd"] {
        ended(&store, &store.jobs().start(kind, &owner(), "steps", |_| Ok(json("1"))).unwrap());
        eventually("that nothing runs", || store.jobs().running() == 0);
    }
    let (_running, _end) = hold(&store, &owner(), "even");
    let odd = ListParams { kind: Some(name("odd")), ..everything() };
    assert_eq!(ids(&store, &owner(), &odd), ["odd-5", "odd-3", "odd-1"]);
    let running = ListParams { state: Some(JobState::Running), ..everything() };
    assert_eq!(ids(&store, &owner(), &running), ["even-6"]);
    let mut params = ListParams { limit: Some(Limit(4)), ..everything() };
    let first = store.jobs().list(&owner(), &params).unwrap();
    assert_eq!(first.items.len(), 4);
    params.cursor = first.next_cursor;
    assert_eq!(ids(&store, &owner(), &params), ["even-2", "odd-1"]);
    params.kind = Some(name("odd"));
    assert_eq!(code(&store.jobs().list(&owner(), &params)), ErrorCode::ValidationError);
}

#[test]
fn a_stop_interrupts_what_runs_and_a_crash_is_noticed_at_the_next_start() {
    let root = Root::new();
    let store = root.open();
    let (stopped, _end) = hold(&store, &owner(), "stopped");
    // What a crash leaves: a row that says it runs, and nothing that does.
    execute(
        &store,
        "INSERT INTO jobs (job_seq, job_id, kind, component_id, state, done, unit, created_at)
         VALUES (7, 'crashed-7', 'crashed', 'org.example.a', 'running', 5, 'steps', 1)",
    );
    store.close();
    let late = store.jobs().start("late", &owner(), "steps", |_| panic!("it must not run"));
    assert_eq!(code(&late), ErrorCode::Unavailable);
    drop(store);
    root.clock.advance(100);
    let store = root.open();
    let crashed = store.jobs().get(&owner(), &JobParams { job_id: "crashed-7".parse().unwrap() });
    let stopped = job(&store, &owner(), &stopped).unwrap();
    for (job, time) in [(stopped, START), (crashed.unwrap(), START + 100)] {
        let error = job.error.unwrap();
        assert_eq!((job.state, error.code.as_str()), (JobState::Failed, "unavailable"));
        assert_eq!(error.message, "interrupted by a stop");
        assert_eq!(job.finished_at.unwrap().0, time);
    }
    let of_a = Some("org.example.a".to_owned());
    assert_eq!(told_of(&store, "crashed-7"), [("put".to_owned(), of_a)]);
    // Numbers go on.
    let next = store.jobs().start("next", &owner(), "steps", |_| Ok(json("1"))).unwrap();
    assert_eq!(next.job_id.as_str(), "next-8");
}

/// The writer takes nothing at the moment a job ends: memory says how it ended until the row can.
#[test]
fn how_a_job_ended_is_known_before_it_can_be_written() {
    let root = Root::new();
    let mut options = root.options();
    options.database.queue.queued_calls = 1;
    let store = Store::open(options).unwrap();
    let (begun, end) = hold(&store, &owner(), "hold");
    let ((entered, has_entered), (release, released)) = (mpsc::channel(), mpsc::channel::<()>());
    let wait = move |_: &Tx<'_>| {
        let _ = entered.send(());
        let _ = released.recv();
        Ok(())
    };
    store.db().submit(vec![WriterJob::new(1, wait, |_| {})]).unwrap();
    has_entered.recv().unwrap();
    // One runs, one waits, and there is no room for a third.
    store.db().submit(vec![WriterJob::new(1, |_| Ok(()), |_| {})]).unwrap();
    end.send(()).unwrap();
    let done = ended(&store, &begun);
    assert_eq!((done.state, done.result.unwrap().get()), (JobState::Done, r#"{"well":true}"#));
    assert_eq!(query::<String>(&store, "SELECT state FROM jobs"), "running");
    assert_eq!(store.jobs().list(&owner(), &everything()).unwrap().items[0].state, JobState::Done);
    release.send(()).unwrap();
    eventually("room in the queue", || store.db().queue_depth() == 0);
    store.close();
    drop(store);
    let store = root.open();
    assert_eq!(query::<String>(&store, "SELECT state FROM jobs"), "done");
}

#[test]
fn the_latest_thousand_that_have_ended_are_kept() {
    let root = Root::new();
    let store = root.open();
    execute(
        &store,
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)
         INSERT INTO jobs (job_seq, job_id, kind, state, done, unit, created_at)
         SELECT i, 'old-' || i, 'old', 'done', 0, 'steps', 0 FROM n",
    );
    let begun = store.jobs().start("new", &owner(), "steps", |_| Ok(json("1"))).unwrap();
    ended(&store, &begun);
    let range: String = query(&store, "SELECT min(job_seq) || ' ' || count(*) FROM jobs");
    assert_eq!(range, "202 1000");
    assert_eq!(told_of(&store, "old-201"), [("delete".to_owned(), None)]);
}
