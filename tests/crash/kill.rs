//! `kill -9` under load, again and again on one data root: no acknowledged write may be lost, none may
//! be done twice, and whatever state a kill leaves must be whole.
//!
//! The daemon dies after a random number of acknowledged calls, not after a time, so that a slow
//! machine kills in the midst of work too. What a caller got no answer to, he repeats after the
//! restart with the same `requestId`, as the typed client does.

mod caller;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::on_disk;
use crate::random::Random;
use crate::support::{Daemon, Options};
use crate::wire::Connection;
use caller::{Caller, SHARED_COUNTER};

/// Callers that write at the same time, each on a connection of its own.
const CALLERS: u64 = 8;
/// The most calls that are acknowledged in a round before the kill.
const MOST_CALLS: u64 = 400;

#[test]
fn no_acknowledged_write_is_lost_or_done_twice() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = from_environment("OSNOVA_TEST_SEED", now.as_secs());
    let rounds = from_environment("OSNOVA_TEST_ROUNDS", 50);
    eprintln!("kill: OSNOVA_TEST_SEED={seed}");
    let started = Instant::now();
    let mut random = Random::new(seed);
    let mut callers: Vec<Caller> =
        (0..CALLERS).map(|number| Caller::new(number, random.next())).collect();
    let mut leftovers = 0;
    let options = Options::default();
    let mut daemon = Daemon::start();
    for round in 0..rounds {
        // Every fifth round dies while what the last kill left open is still being repeated.
        let calls = match round % 5 {
            0 => random.below(CALLERS) + 1,
            _ => random.below(MOST_CALLS) + 1,
        };
        let folder = run_until_killed(daemon, &mut callers, calls);
        daemon = Daemon::start_in(folder, &options)
            .unwrap_or_else(|refused| panic!("round {round}: {refused:?}"));
        on_disk::check_started(&daemon.root());
        leftovers += on_disk::leftovers(&daemon.root()).len();
        check(&daemon, &mut callers);
    }

    let mut connection = Connection::open(&daemon.socket()).unwrap();
    for caller in &mut callers {
        caller.repeat_pending(&mut connection);
    }
    check(&daemon, &mut callers);
    for caller in &mut callers {
        caller.check_every_content(&mut connection);
    }
    drop(connection);
    let root = daemon.root();
    let (status, folder) = daemon.stop();
    assert!(status.success());
    on_disk::check_stopped(&root);
    let left_at_end = on_disk::leftovers(&root);
    // Every put that was cut off was repeated, and so its file has its row by now.
    assert!(left_at_end.is_empty(), "{left_at_end:?}");
    check_done_once(&root, &callers);
    let acknowledged: u64 = callers.iter().map(Caller::acknowledged).sum();
    let repeated: u64 = callers.iter().map(Caller::repeated).sum();
    eprintln!(
        "kill: {rounds} kills, {acknowledged} calls acknowledged, {repeated} repeated after a kill, \
         {leftovers} files without a row seen after starts and 0 at the end, {:.1} s",
        started.elapsed().as_secs_f64()
    );
    drop(folder);
}

pub(crate) fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Lets all callers work until `calls` calls were acknowledged, and kills the daemon then.
fn run_until_killed(daemon: Daemon, callers: &mut [Caller], calls: u64) -> tempfile::TempDir {
    let socket = daemon.socket();
    let left = AtomicI64::new(calls.try_into().unwrap());
    let (fire, fired) = mpsc::channel();
    thread::scope(|scope| {
        for caller in callers {
            let (socket, left, fire) = (&socket, &left, fire.clone());
            scope.spawn(move || {
                let Ok(mut connection) = Connection::open(socket) else { return };
                while caller.step(&mut connection).is_ok() {
                    if left.fetch_sub(1, Ordering::Relaxed) == 1 {
                        fire.send(()).unwrap();
                    }
                }
            });
        }
        drop(fire);
        fired.recv().expect("the daemon lives until it is killed, and the callers find no fault");
        daemon.kill()
    })
}

/// Compares what the daemon says with what was acknowledged.
fn check(daemon: &Daemon, callers: &mut [Caller]) {
    let mut connection = Connection::open(&daemon.socket()).unwrap();
    for caller in &mut *callers {
        caller.check(&mut connection);
    }
    let counted: u64 = callers.iter().map(Caller::shared_counts).sum();
    let open = callers.iter().filter(|caller| caller.is_counting_shared()).count();
    let value = match connection.must_call("preferences.get", &json!({ "key": SHARED_COUNTER })) {
        Ok(preference) => preference["value"].as_u64().unwrap(),
        Err(_) => 0,
    };
    let most = counted + u64::try_from(open).unwrap();
    assert!(
        (counted..=most).contains(&value),
        "the shared counter: {counted}..={most}, is {value}"
    );
}

/// All changes but those of jobs: what a kill left is taken in by the daemon itself.
const FEED: &str =
    "SELECT key_json, count(*) FROM change_feed WHERE namespace <> 'jobs' GROUP BY key_json";

/// Every acknowledged change is in the feed once, and nothing else is.
fn check_done_once(root: &std::path::Path, callers: &[Caller]) {
    let mut expected: BTreeMap<String, u64> = BTreeMap::new();
    for (key, changes) in callers.iter().flat_map(Caller::changes) {
        *expected.entry(json!([key]).to_string()).or_default() += changes;
    }
    let database = on_disk::open(root);
    let mut statement = database.prepare(FEED).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let found: BTreeMap<String, u64> = rows.collect::<rusqlite::Result<_>>().unwrap();
    assert_eq!(found, expected, "the changes done, and those acknowledged");
}
