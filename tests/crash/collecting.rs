//! Putting, naming, letting go, evicting and collecting the same few contents from many clients at once.
//! Others were bitten here: what was just uploaded or just named again was collected (quay #6318, harbor
//! #23117, floecat #390, kubo #4138).
//!
//! Each client knows what it was acknowledged. What it put is there for the grace, whatever others do; what
//! its own record names is there for as long as it does. Once all have let go of everything and the grace
//! is over, nothing is left, in the database or on the disk.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::kill::from_environment;
use crate::memory::hex;
use crate::on_disk;
use crate::random::Random;
use crate::support::{Daemon, Options, wait_until};
use crate::wire::Connection;

const CLIENTS: u64 = 32;
/// Few, so that all clients meet on each.
const CONTENTS: u64 = 24;
const MESSAGES_OF_A_CLIENT: u64 = 4;
const GRACE: Duration = Duration::from_secs(3);
/// How long all of them go on, where nothing else is asked for by `OSNOVA_TEST_MIX_SECONDS`.
const SECONDS: u64 = 60;

/// What a client is sure of.
struct Client {
    connection: Connection,
    name: String,
    is_owner: bool,
    random: Random,
    contents: Vec<(String, Vec<u8>)>,
    /// When it began the last put of each content that was acknowledged, and that it has not given up since.
    put_at: BTreeMap<usize, Instant>,
    /// What each of its messages names.
    named: BTreeMap<u64, usize>,
    /// How often it saw each outcome, to be sure that all of them occur.
    seen: BTreeMap<&'static str, u64>,
}

impl Client {
    fn step(&mut self) {
        let content = usize::try_from(self.random.below(CONTENTS)).unwrap();
        match self.random.below(20) {
            0..5 => self.put(content),
            5..10 => self.get(content),
            10..14 => self.name_it(content),
            14..17 => self.let_go(),
            17 if self.is_owner => self.hand_to_cache(content),
            17 => self.drop_it(content),
            18 if self.is_owner => {
                self.call("cache.evict", &json!({ "targetBytes": 0 })).unwrap();
            }
            18 => self.pin_and_unpin(content),
            _ if self.is_owner => {
                // It answers the job that runs, where one does.
                let begun = self.call("blobs.collect", &json!({}));
                self.count(if begun.is_ok() { "collect" } else { "collect refused" });
            }
            _ => self.get(content),
        }
    }

    fn call(&mut self, method: &str, params: &Value) -> Result<Value, String> {
        let answer = self.connection.must_call(method, params);
        answer.map_err(|error| error["data"]["code"].as_str().unwrap_or("no code").to_owned())
    }

    fn count(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// Whether a content must be there until now: it is named, or its grace still ran at this moment.
    fn is_sure(&self, content: usize) -> bool {
        let in_grace = self.put_at.get(&content).is_some_and(|put_at| put_at.elapsed() < GRACE);
        in_grace || self.named.values().any(|named| *named == content)
    }

    fn put(&mut self, content: usize) {
        let begun = Instant::now();
        let answer = self.connection.put(&self.contents[content].1).unwrap();
        assert_eq!(answer.status, 200, "{}: {answer:?}", self.name);
        self.put_at.insert(content, begun);
        self.count("put");
    }

    fn get(&mut self, content: usize) {
        let (hash, bytes) = &self.contents[content];
        let answer = self.connection.get(hash).unwrap();
        match answer.status {
            200 => {
                assert!(answer.body == *bytes, "{}: other bytes of {hash}", self.name);
                self.count("got");
            }
            404 => {
                assert!(!self.is_sure(content), "{}: {hash} is gone", self.name);
                self.count("not there");
            }
            _ => panic!("{}: {answer:?}", self.name),
        }
    }

    fn name_it(&mut self, content: usize) {
        let message = self.random.below(MESSAGES_OF_A_CLIENT);
        let hash = &self.contents[content].0;
        let params = json!({ "message": {
            "messageId": format!("{}-{message}", self.name), "channel": "c", "sender": "s",
            "timestamp": 1, "attachments": [hash],
        } });
        match self.call("messages.put", &params) {
            Ok(_) => {
                self.named.insert(message, content);
                self.count("named");
            }
            Err(code) => {
                assert_eq!(code, "conflict", "{}", self.name);
                assert!(!self.is_sure(content), "{}: can't be named", self.name);
                self.count("not named");
            }
        }
    }

    fn let_go(&mut self) {
        let message = self.random.below(MESSAGES_OF_A_CLIENT);
        let params = json!({ "messageId": format!("{}-{message}", self.name) });
        self.call("messages.delete", &params).unwrap();
        self.named.remove(&message);
    }

    /// What it put it has put for the cache, which may evict it from then on.
    fn hand_to_cache(&mut self, content: usize) {
        if !self.put_at.contains_key(&content) {
            return;
        }
        let hash = &self.contents[content].0;
        let params = json!({ "entry": {
            "autonomiAddress": format!("ant://{}", self.random.below(12)), "contentHash": hash,
            "blobHash": hash, "dataType": "chunk",
        } });
        match self.call("cache.put", &params) {
            Ok(_) => self.count("cached"),
            Err(code) => {
                assert_eq!(code, "conflict", "{}", self.name);
                assert!(!self.is_sure(content), "{}: can't be cached", self.name);
            }
        }
        self.put_at.remove(&content);
    }

    fn drop_it(&mut self, content: usize) {
        let params = json!({ "hash": self.contents[content].0 });
        match self.call("blobs.delete", &params) {
            Ok(_) => self.count("dropped"),
            Err(code) => {
                assert_eq!(code, "conflict", "{}", self.name);
                assert!(self.named.values().any(|named| *named == content));
                return;
            }
        }
        self.put_at.remove(&content);
    }

    fn pin_and_unpin(&mut self, content: usize) {
        let params = json!({ "hash": self.contents[content].0 });
        let begun = Instant::now();
        match self.call("blobs.pin", &params) {
            Ok(_) => {
                self.get(content);
                self.call("blobs.unpin", &params).unwrap();
                self.put_at.insert(content, begun);
            }
            Err(code) => {
                assert_eq!(code, "not_found", "{}", self.name);
                assert!(!self.is_sure(content), "{}: can't be pinned", self.name);
            }
        }
    }
}

#[test]
fn what_was_put_or_named_is_there_whatever_others_do_and_nothing_is_left_in_the_end() {
    let seed = from_environment("OSNOVA_TEST_SEED", 7);
    let seconds = from_environment("OSNOVA_TEST_MIX_SECONDS", SECONDS);
    let config = format!(
        "[blobs]\ngrace_ms = {}\ncare_interval_ms = 50\n[cache]\nlimit_bytes = 300000\nlimit_entries = 8\n",
        GRACE.as_millis()
    );
    let daemon = Daemon::start_with(&Options { config, ..Options::default() });
    let sockets: Vec<Socket> = (0..CLIENTS).map(|number| socket(&daemon, number)).collect();
    let end = Instant::now() + Duration::from_secs(seconds);
    let clients: Vec<Client> = thread::scope(|scope| {
        let run = |(number, socket): (u64, &Socket)| {
            let mut client = client(socket, seed * 1000 + number);
            scope.spawn(move || {
                while Instant::now() < end {
                    client.step();
                }
                for message in 0..MESSAGES_OF_A_CLIENT {
                    let params = json!({ "messageId": format!("{}-{message}", client.name) });
                    client.call("messages.delete", &params).unwrap();
                }
                client
            })
        };
        let running: Vec<_> = (0..).zip(&sockets).map(run).collect();
        running.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    for client in &clients {
        for (what, count) in &client.seen {
            *seen.entry(what).or_default() += count;
        }
    }
    eprintln!("collecting: {seen:?}");
    for what in ["put", "got", "not there", "named", "not named", "cached", "dropped", "collect"] {
        assert!(seen.contains_key(what), "never {what}: {seen:?}");
    }
    drop(clients);
    daemon.ok("cache.evict", json!({ "targetBytes": 0 }));
    wait_until("all contents to be collected", || {
        (daemon.ok("blobs.usage", json!({}))["count"] == 0).then_some(())
    });
    assert_eq!(daemon.ok("status.get", json!({}))["status"], "ok");
    let (status, folder) = daemon.stop();
    assert!(status.success());
    let root = folder.path().join("root");
    on_disk::check_stopped(&root);
    assert!(on_disk::files(&root.join("blobs")).is_empty());
    assert!(on_disk::files(&root.join("blobs/.tmp")).is_empty());
    assert!(!root.join("blobs/.quarantine").exists());
    let database = on_disk::open(&root);
    for table in
        ["blob_contents", "blob_holders", "blob_references", "blob_unlinks", "blob_candidates"]
    {
        assert_eq!(
            on_disk::count(&database, &format!("SELECT count(*) FROM {table}")),
            0,
            "{table}"
        );
    }
}

/// Where a client connects, and who it is there.
struct Socket {
    path: PathBuf,
    name: String,
    is_owner: bool,
}

/// The socket of a client: every other is a component of its own.
fn socket(daemon: &Daemon, number: u64) -> Socket {
    let name = format!("org.example.client{number}");
    if number.is_multiple_of(2) {
        return Socket { path: daemon.socket(), name, is_owner: true };
    }
    let scopes = ["blobs:read", "blobs:write", "messages:read", "messages:write"];
    let opened = daemon.ok("auth.openSocket", json!({ "componentId": name, "scopes": scopes }));
    Socket { path: PathBuf::from(opened["path"].as_str().unwrap()), name, is_owner: false }
}

fn client(socket: &Socket, seed: u64) -> Client {
    let contents = (0..CONTENTS).map(|number| {
        let bytes = Random::new(number + 1).bytes(number * number * 250 + number);
        (hex(Sha256::new_with_prefix(&bytes)), bytes)
    });
    Client {
        connection: Connection::open(&socket.path).unwrap(),
        name: socket.name.clone(),
        is_owner: socket.is_owner,
        random: Random::new(seed),
        contents: contents.collect(),
        put_at: BTreeMap::new(),
        named: BTreeMap::new(),
        seen: BTreeMap::new(),
    }
}
