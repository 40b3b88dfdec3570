//! The typed client's follower, over connections that are cut and daemons that are stopped and killed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use osnova_storage_client::api::application_config as config;
use osnova_storage_client::api::events::{ChangeKind, SubscribeParams};
use osnova_storage_client::api::preferences::{
    Delete, DeleteParams, Get, GetParams, List, ListParams, Set, SetParams,
};
use osnova_storage_client::api::wire::{
    ApplicationId, JsonText, Limit, Position, PreferenceKey, Revision,
};
use osnova_storage_client::{Client, ErrorCode, Repeat};
use serde_json::json;

use super::{present, set, set_many};
use crate::support::{Daemon, Options, wait_until};

/// A client that tries for as long as a daemon may take to come back on a busy machine.
fn patient(socket: &Path, protocol: &str) -> Client {
    let repeat = Repeat {
        attempts: 10_000,
        first_delay: Duration::from_millis(5),
        max_delay: Duration::from_millis(50),
        budget: Duration::from_secs(60),
        after_timeout: true,
    };
    let endpoint = format!("{protocol}:{}", socket.display());
    Client::builder().endpoint(endpoint).repeat(repeat).build().unwrap()
}

fn of_preferences(since: Option<u64>) -> SubscribeParams {
    let since = since.map(Position);
    SubscribeParams { since, namespaces: Some(vec!["preferences".parse().unwrap()]) }
}

/// Passes connections on to a socket, and cuts all of them when told.
struct Proxy {
    path: PathBuf,
    open: Arc<Mutex<Vec<UnixStream>>>,
}

impl Proxy {
    fn start(path: PathBuf, to: PathBuf) -> Self {
        let listener = UnixListener::bind(&path).unwrap();
        let open = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&open);
        // It ends with the test's process.
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                // Nobody listens: the client finds its connection closed.
                let Ok(daemon) = UnixStream::connect(&to) else { continue };
                let streams = [&client, &daemon].map(|stream| stream.try_clone().unwrap());
                kept.lock().unwrap().extend(streams);
                let (back, forth) = (client.try_clone().unwrap(), daemon.try_clone().unwrap());
                thread::spawn(move || pass_on(client, daemon));
                thread::spawn(move || pass_on(forth, back));
            }
        });
        Self { path, open }
    }

    fn cut(&self) {
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn pass_on(mut from: UnixStream, mut to: UnixStream) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

/// SplitMix64 (Steele, Lea, Flood 2014).
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Sets and deletes the keys of one writer until the daemon has been through enough; what of it was
/// acknowledged as set.
async fn write(
    client: Client,
    writer: u64,
    rounds: Arc<AtomicU64>,
    done: Arc<AtomicU64>,
) -> Vec<u64> {
    let (mut state, mut acknowledged) = (writer, Vec::new());
    while rounds.load(Ordering::SeqCst) > 0 {
        let number = random(&mut state);
        let key: PreferenceKey = format!("k{writer}.{}", number % 12).parse().unwrap();
        let (if_revision, request_id) = (None, None);
        if number.is_multiple_of(5) {
            client.call::<Delete>(DeleteParams { key, if_revision, request_id }).await.unwrap();
        } else {
            let value = JsonText::parse(number.to_string()).unwrap();
            let set = client.call::<Set>(SetParams { key, value, if_revision, request_id }).await;
            acknowledged.push(set.unwrap().revision.0);
        }
        done.fetch_add(1, Ordering::SeqCst);
    }
    acknowledged
}

type Copied = BTreeMap<String, (String, Revision)>;

/// All that there is now.
async fn read_all(client: &Client) -> Copied {
    let params = ListParams { prefix: None, limit: Some(Limit(1000)), cursor: None };
    let page = client.call::<List>(params).await.unwrap();
    assert_eq!(page.next_cursor, None);
    let entry = |item: osnova_storage_client::api::preferences::Preference| {
        (item.key.to_string(), (item.value.get().to_owned(), item.revision))
    };
    page.items.into_iter().map(entry).collect()
}

/// Keeps a copy of all preferences until the last one is written; the copy and the positions of all
/// events.
async fn keep_copy(client: Client, ready: tokio::sync::oneshot::Sender<()>) -> (Copied, Vec<u64>) {
    let mut events = client.events(of_preferences(None)).await.unwrap();
    let mut copy = read_all(&client).await;
    ready.send(()).unwrap();
    let mut seen = Vec::new();
    loop {
        let event = events.next().await.unwrap();
        assert_eq!(events.position(), event.position);
        seen.push(event.position.0);
        let [key] = &event.key[..] else { panic!("{event:?}") };
        match client.call::<Get>(GetParams { key: key.parse().unwrap() }).await {
            Ok(found) => {
                copy.insert(key.clone(), (found.value.get().to_owned(), found.revision));
            }
            Err(error) => {
                assert_eq!(error.code(), Some(ErrorCode::NotFound), "{error}");
                copy.remove(key);
            }
        }
        if key == "the.last" {
            return (copy, seen);
        }
    }
}

/// The promise of the whole: whoever follows from a position and reads what the events name has, in the
/// end, what the daemon has, whatever happened to connections and daemons between.
#[test]
fn a_copy_is_the_same_after_cuts_restarts_and_crashes() {
    const ROUNDS: u64 = 12;
    const WRITES_A_ROUND: u64 = 40;
    const WRITERS: u64 = 3;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut daemon = Daemon::start();
    let folder = tempfile::tempdir().unwrap();
    let proxy = Proxy::start(folder.path().join("p.sock"), daemon.socket());
    let start = present(&daemon);
    let (ready, is_ready) = tokio::sync::oneshot::channel();
    let copy = runtime.spawn(keep_copy(patient(&proxy.path, "unix"), ready));
    runtime.block_on(is_ready).unwrap();
    let (rounds, done) = (Arc::new(AtomicU64::new(ROUNDS)), Arc::new(AtomicU64::new(0)));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let client = patient(&daemon.socket(), "unix");
            runtime.spawn(write(client, writer, Arc::clone(&rounds), Arc::clone(&done)))
        })
        .collect();
    let mut state = 7;
    for round in 0..ROUNDS {
        let begun = done.load(Ordering::SeqCst);
        let enough = begun + 1 + random(&mut state) % WRITES_A_ROUND;
        wait_until("more writes", || (done.load(Ordering::SeqCst) >= enough).then_some(()));
        match round % 4 {
            0 | 2 => proxy.cut(),
            1 => daemon = Daemon::start_in(daemon.kill(), &Options::default()).unwrap(),
            _ => daemon = Daemon::start_in(daemon.stop().1, &Options::default()).unwrap(),
        }
        rounds.fetch_sub(1, Ordering::SeqCst);
    }
    let acknowledged: Vec<u64> =
        writers.into_iter().flat_map(|writer| runtime.block_on(writer).unwrap()).collect();
    set(&daemon, "the.last");
    let listed = all_positions(&daemon, start);
    let kept = runtime.block_on(read_all(&patient(&daemon.socket(), "unix")));
    let (copy, seen) = runtime.block_on(copy).unwrap();
    assert_eq!(copy, kept);
    assert_eq!(seen, listed, "not every change once and in order");
    let seen: BTreeSet<u64> = seen.into_iter().collect();
    assert!(acknowledged.iter().all(|revision| seen.contains(revision)));
}

/// Settings of applications, by the parts of their keys.
type Settings = BTreeMap<Vec<String>, String>;

async fn settings(client: &Client, application: &ApplicationId) -> Settings {
    let application_id = application.clone();
    let params = config::ListParams { application_id, prefix: None, limit: None, cursor: None };
    let page = client.call::<config::List>(params).await.unwrap();
    let key = |found: &config::ConfigEntry| vec![application.to_string(), found.key.to_string()];
    page.items.iter().map(|found| (key(found), found.value.get().to_owned())).collect()
}

/// A delete that takes records along is one event, with the beginning of their keys: whoever took it for
/// the key of one record kept the settings of an application that was gone, for ever.
#[test]
fn a_copy_loses_what_a_delete_takes_along() {
    let daemon = Daemon::start();
    let ids: [ApplicationId; 2] = ["a", "a.b"].map(|id| id.parse().unwrap());
    for id in &ids {
        let application =
            json!({ "applicationId": id, "name": "A", "version": "1", "manifest": {} });
        daemon.ok("applications.put", json!({ "application": application }));
        for key in ["x", "y"] {
            let setting = json!({ "applicationId": id, "key": key, "value": 1 });
            daemon.ok("applicationConfig.set", setting);
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = patient(&daemon.socket(), "unix");
        let namespaces = Some(vec!["applicationConfig".parse().unwrap()]);
        let params = SubscribeParams { since: None, namespaces };
        let mut events = client.events(params).await.unwrap();
        let mut copy = Settings::new();
        for id in &ids {
            copy.extend(settings(&client, id).await);
        }
        assert_eq!(copy.len(), 4);
        daemon.ok("applications.delete", json!({ "applicationId": "a" }));
        let last = json!({ "applicationId": "a.b", "key": "last", "value": 2 });
        daemon.ok("applicationConfig.set", last);
        let event = events.next().await.unwrap();
        assert_eq!((event.kind, &event.key[..]), (ChangeKind::Delete, &["a".to_owned()][..]));
        copy.retain(|key, _| !event.names(key));
        let event = events.next().await.unwrap();
        let [id, key] = &event.key[..] else { panic!("{event:?}") };
        let (application_id, key) = (id.parse().unwrap(), key.parse().unwrap());
        let params = config::GetParams { application_id, key };
        let found = client.call::<config::Get>(params).await.unwrap();
        copy.insert(event.key, found.value.get().to_owned());
        assert_eq!(copy, settings(&client, &ids[1]).await);
        assert_eq!(copy.len(), 3);
    });
}

/// The positions of all events since.
fn all_positions(daemon: &Daemon, mut since: u64) -> Vec<u64> {
    let mut positions = Vec::new();
    loop {
        let page = daemon.ok("events.list", json!({ "since": since, "limit": 100 }));
        positions.extend(page["items"].as_array().unwrap().iter().map(super::position));
        since = super::position(&page);
        if page["more"] == json!(false) {
            return positions;
        }
    }
}

/// The library's buffer drops what it has no room for: the follower asks for it again.
#[tokio::test(flavor = "multi_thread")]
async fn one_who_is_slow_to_take_events_misses_none() {
    let daemon = Daemon::start();
    for protocol in ["unix", "ws+unix"] {
        let client = patient(&daemon.socket(), protocol);
        let mut events = client.events(of_preferences(None)).await.unwrap();
        let written: Vec<u64> = (0..5).flat_map(|_| set_many(&daemon)).collect();
        // By now the daemon has sent more than there is room for.
        let mut seen = Vec::new();
        while seen.len() < written.len() {
            // Giving up and asking again loses nothing.
            let next = tokio::time::timeout(Duration::from_micros(50), events.next());
            if let Ok(event) = next.await {
                seen.push(event.unwrap().position.0);
            }
        }
        assert_eq!(seen, written);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_whose_place_is_gone_is_told_so() {
    let daemon = Daemon::start();
    let client = patient(&daemon.socket(), "unix");
    let first = set(&daemon, "first");
    let mut events = client.events(of_preferences(Some(first))).await.unwrap();
    let written: Vec<u64> = (0..112).flat_map(|_| set_many(&daemon)).collect();
    let mut seen = Vec::new();
    let error = loop {
        match events.next().await {
            Ok(event) => seen.push(event.position.0),
            Err(error) => break error,
        }
    };
    assert_eq!(error.code(), Some(ErrorCode::Gone), "{error}");
    assert_eq!(seen, written[..seen.len()]);
    assert!(seen.len() < written.len() - 90_000);
    // It stays so: the records have to be read anew.
    assert_eq!(events.next().await.unwrap_err().code(), Some(ErrorCode::Gone));
    let error = client.events(of_preferences(Some(first))).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::Gone));
    let mut events = client.events(of_preferences(None)).await.unwrap();
    let next = set(&daemon, "next");
    assert_eq!(events.next().await.unwrap().position.0, next);
}
