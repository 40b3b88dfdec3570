//! A daemon with every kind of door, and the credentials of every kind of caller.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::table::{
    A, Access, B, CONTENT_OF_A, FRESH, KEY_OF_A, NAMED_OF_A, NOBODY, Row, Things, table,
};
use crate::document::Document;
use crate::example_root::{self, HELLO};
use crate::support::{Daemon, Options, PHRASE, exchange, wait_until};
use crate::ways::{Door, Told, Way, outcome_of};

/// The example root, with two components that have tokens and sockets.
pub(super) struct World {
    pub(super) daemon: Daemon,
    /// Tokens of A's: of all that a component may, of the same by name, of nothing.
    pub(super) all_of_a: String,
    pub(super) named: String,
    pub(super) none: String,
    /// B's token of all that a component may.
    pub(super) all_of_b: String,
    /// Tokens that are good no more, or never were.
    pub(super) revoked: String,
    pub(super) expired: String,
    pub(super) never: String,
    pub(super) mixed: String,
    /// Sockets that are bound to A, to A without scopes, and to B.
    pub(super) socket: PathBuf,
    pub(super) bare_socket: PathBuf,
    pub(super) socket_of_b: PathBuf,
    /// What A holds, what the owner holds, and what is not there.
    pub(super) of_a: Things,
    pub(super) of_owner: Things,
    pub(super) absent: Things,
    /// Tokens of A's by scope: of that one, and of every other.
    scoped: BTreeMap<&'static str, (String, String)>,
    weather: Value,
    clock: Value,
}

impl World {
    /// Starts the daemon, logging all that it can.
    pub(super) fn start() -> Self {
        let document = Document::read();
        let config = "log = \"trace\"\n".to_owned();
        let options = Options { config, ..Options::with_every_listener() };
        let daemon = example_root::daemon_with(&document, &options);
        let expired = token(&daemon, json!({ "componentId": A, "expiresAt": now() + 2 }));
        let scopes: Vec<&str> = component_scopes();
        let scoped = scopes.iter().map(|scope| {
            let others: Vec<&&str> = scopes.iter().filter(|other| *other != scope).collect();
            let only = token(&daemon, json!({ "componentId": A, "scopes": [scope] }));
            (*scope, (only, token(&daemon, json!({ "componentId": A, "scopes": others }))))
        });
        let scoped = scoped.collect();
        let named = token(&daemon, json!({ "componentId": A, "scopes": scopes }));
        let none = token(&daemon, json!({ "componentId": A, "scopes": [] }));
        let [all_of_a, revoked, spare] =
            [(); 3].map(|()| token(&daemon, json!({ "componentId": A })));
        let all_of_b = token(&daemon, json!({ "componentId": B }));
        daemon.ok("auth.revokeToken", json!({ "tokenId": id_of(&revoked) }));
        let bare_path = daemon.folder().join("bare.sock");
        let bare = json!({ "componentId": A, "scopes": [], "path": bare_path });
        let of_a = Way::with(Door::Tcp, &all_of_a)
            .http(&daemon, "PUT", "/blobs", "", CONTENT_OF_A.as_bytes())
            .json();
        let things =
            |blob: &Value, component: &'static str, named: &'static str, token: &str| Things {
                blob: blob.as_str().unwrap().to_owned(),
                upload: RefCell::new("0".repeat(32)),
                token_id: id_of(token).to_owned(),
                component,
                named,
            };
        example_root::put_records_of(&daemon, A, NAMED_OF_A, "weather");
        let clock = example_clock(&document);
        daemon.ok("components.put", json!({ "component": clock }));
        let world = Self {
            never: format!("osn_{}_{}", "0".repeat(16), "5a".repeat(32)),
            mixed: format!("osn_{}_{}", id_of(&all_of_a), secret_of(&all_of_b)),
            socket: open_socket(&daemon, json!({ "componentId": A })),
            bare_socket: open_socket(&daemon, bare),
            socket_of_b: open_socket(&daemon, json!({ "componentId": B })),
            of_a: things(&of_a["hash"], A, NAMED_OF_A, &spare),
            of_owner: things(&json!(HELLO), example_root::RADIO, example_root::NAMED, &spare),
            absent: things(&json!("0".repeat(64)), NOBODY, "nothing", &spare),
            weather: daemon.ok("components.get", json!([A])),
            clock,
            daemon,
            all_of_a,
            named,
            none,
            all_of_b,
            revoked,
            expired,
            scoped,
        };
        let uploads = world.daemon.ok("blobs.listUploads", json!({}));
        let of_owner = uploads["items"][0]["uploadId"].as_str().unwrap().to_owned();
        world.of_owner.upload.replace(of_owner);
        world.put_upload();
        wait_until("the token to expire", || {
            let way = Way::with(Door::Tcp, &world.expired);
            (way.call(&world.daemon, "auth.whoami", &json!({})).status == 401).then_some(())
        });
        world
    }

    /// A's token of the row's scope alone; where no component may have it, of every scope.
    pub(super) fn only(&self, row: &Row) -> &str {
        let scoped = row.access.scope().and_then(|scope| self.scoped.get(scope));
        scoped.map_or(&self.named, |(only, _)| only)
    }

    /// A's token of every scope but the row's.
    pub(super) fn all_but(&self, row: &Row) -> &str {
        let scoped = row.access.scope().and_then(|scope| self.scoped.get(scope));
        scoped.map_or(&self.named, |(_, others)| others)
    }

    /// Asks for what a row says.
    pub(super) fn send(&self, row: &Row, way: &Way, things: &Things) -> Told {
        let params = (row.params)(things);
        let blob = || format!("/blobs/{}", params.as_str().unwrap());
        let name = "X-Name: unspoken%20name\r\n";
        let (status, body) = match row.name {
            "PUT /blobs" => {
                let content = params.as_str().unwrap().as_bytes();
                let answer = way.http(&self.daemon, "PUT", "/blobs", name, content);
                (answer.status, answer.json())
            }
            "POST /blobs" => {
                let parts = params.as_str().unwrap().as_bytes();
                let headers = "Content-Type: multipart/mixed; boundary=b\r\n";
                let answer = way.http(&self.daemon, "POST", "/blobs", headers, parts);
                (answer.status, answer.json())
            }
            "PUT /uploads/{uploadId}/{index}" => {
                let path = params.as_str().unwrap();
                let answer = way.http(&self.daemon, "PUT", path, "", FRESH.as_bytes());
                (answer.status, answer.json())
            }
            "GET /blobs/{hash}" => {
                let answer = way.http(&self.daemon, "GET", &blob(), "", b"");
                let is_error = answer.status >= 400;
                let text = String::from_utf8(answer.body.clone()).unwrap();
                (answer.status, if is_error { answer.json() } else { json!(text) })
            }
            "HEAD /blobs/{hash}" => {
                let status = way.http(&self.daemon, "HEAD", &blob(), "", b"").status;
                let codes = [(401, "unauthorized"), (403, "forbidden"), (404, "not_found")];
                let code = codes.iter().find(|(known, _)| *known == status);
                (status, json!({ "data": { "code": code.map(|(_, code)| code) } }))
            }
            "WebSocket" => {
                let headers = "Upgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
                let head = way.head("GET", "/", headers);
                let answer = exchange(&mut way.connect(&self.daemon), &head, b"");
                let refused = || outcome_of(answer.json()).unwrap_err();
                (answer.status, if answer.status == 101 { json!({}) } else { refused() })
            }
            method => return way.call(&self.daemon, method, &params),
        };
        Told { status, outcome: if status < 400 { Ok(body) } else { Err(body) } }
    }

    /// Puts back what calls that were let through may have changed.
    pub(super) fn restore(&self) {
        let mut weather = self.weather.clone();
        weather.as_object_mut().unwrap().remove("revision");
        self.daemon.ok("vault.unlock", json!({ "secret": PHRASE }));
        let fresh = hash_of(FRESH.as_bytes());
        let calls = [
            ("components.put", json!({ "component": weather })),
            ("components.put", json!({ "component": self.clock })),
            ("preferences.delete", json!({ "key": "unspoken.key" })),
            ("preferences.set", json!({ "key": "ui.theme", "value": "dark" })),
            ("storage.delete", json!({ "key": "unspoken key", "componentId": A })),
            ("storage.write", example_root::place(KEY_OF_A, A)),
            ("blobs.delete", json!({ "hash": fresh })),
            ("blobs.delete", json!({ "hash": hash_of(b"many") })),
            ("blobs.delete", json!({ "hash": self.of_a.blob, "componentId": B })),
        ];
        for (method, params) in calls {
            self.daemon.ok(method, params);
        }
        example_root::put_records(&self.daemon);
        example_root::put_records_of(&self.daemon, A, NAMED_OF_A, "weather");
        example_root::put_files(&self.daemon);
        let put = Way::with(Door::Tcp, &self.all_of_a);
        put.http(&self.daemon, "PUT", "/blobs", "", CONTENT_OF_A.as_bytes());
        self.put_upload();
    }

    /// Has A have one upload with one chunk, unless it has, and nobody else one that he began meanwhile.
    fn put_upload(&self) {
        let own = self.of_owner.upload.borrow().clone();
        let ways = [Way::with(Door::Tcp, &self.all_of_b), Way::by(Door::Owner)];
        for way in ways {
            let found = way.call(&self.daemon, "blobs.listUploads", &json!({})).ok();
            for item in found["items"].as_array().unwrap() {
                if item["uploadId"] != own {
                    way.call(&self.daemon, "blobs.abortUpload", &json!([item["uploadId"]])).ok();
                }
            }
        }
        let a = Way::with(Door::Tcp, &self.all_of_a);
        let found = a.call(&self.daemon, "blobs.listUploads", &json!({})).ok();
        let items = found["items"].as_array().unwrap();
        if items.len() == 1 && items[0]["uploadId"] == *self.of_a.upload.borrow() {
            return;
        }
        for item in items {
            a.call(&self.daemon, "blobs.abortUpload", &json!([item["uploadId"]])).ok();
        }
        let begun = a.call(&self.daemon, "blobs.beginUpload", &json!({})).ok();
        let id = begun["uploadId"].as_str().unwrap().to_owned();
        a.http(&self.daemon, "PUT", &format!("/uploads/{id}/0"), "", FRESH.as_bytes());
        self.of_a.upload.replace(id);
    }

    /// All that the owner can see, and what he shows on TCP.
    pub(super) fn dump(&self) -> Value {
        json!([example_root::dump(&self.daemon), self.daemon.owner_token()])
    }

    /// Every secret that must not be in the log, but for the owner's token.
    pub(super) fn secrets(&self) -> Vec<&str> {
        let scoped = self.scoped.values().flat_map(|(only, others)| [only, others]);
        let others = [
            &self.all_of_a,
            &self.named,
            &self.none,
            &self.all_of_b,
            &self.revoked,
            &self.expired,
            &self.never,
        ];
        scoped.chain(others).map(|token| secret_of(token)).collect()
    }
}

/// The component of the example of `components.put`.
fn example_clock(document: &Document) -> Value {
    Document::examples(document.method("components.put"))[0].params["component"].clone()
}

/// The scopes that a component may have.
fn component_scopes() -> Vec<&'static str> {
    let mut scopes: Vec<&str> = table()
        .iter()
        .filter(|row| matches!(row.access, Access::Own(_) | Access::Shared(_)))
        .filter_map(|row| row.access.scope())
        .collect();
    scopes.sort_unstable();
    scopes.dedup();
    scopes
}

fn token(daemon: &Daemon, params: Value) -> String {
    daemon.ok("auth.createToken", params)["token"].as_str().unwrap().to_owned()
}

fn open_socket(daemon: &Daemon, params: Value) -> PathBuf {
    daemon.ok("auth.openSocket", params)["path"].as_str().unwrap().into()
}

fn id_of(token: &str) -> &str {
    token.split('_').nth(1).unwrap()
}

fn secret_of(token: &str) -> &str {
    token.split('_').nth(2).unwrap()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn hash_of(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads a daemon's log from where it was read to.
pub(super) struct Log(File);

impl Log {
    /// From now on.
    pub(super) fn from_now(daemon: &Daemon) -> Self {
        let mut file = File::open(daemon.folder().join("stderr")).unwrap();
        file.seek(SeekFrom::End(0)).unwrap();
        Self(file)
    }

    /// The audit lines since the last look: who, what, how it ended.
    pub(super) fn audit(&mut self) -> Vec<(String, String, String)> {
        let mut text = String::new();
        self.0.read_to_string(&mut text).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let field = |line: &Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
        lines
            .filter(|line| line["target"] == "audit")
            .map(|line| (field(&line, "caller"), field(&line, "method"), field(&line, "outcome")))
            .collect()
    }
}
