//! The table: what there is to ask for, who may ask, and what of another's he is shown.
//!
//! It is written by hand. Made from the definitions of the methods it would only say that the daemon
//! does what it does.

use std::cell::RefCell;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::example_root::HELLO;
use crate::support::PHRASE;

/// A component that is installed in the example root.
pub(super) const A: &str = "org.example.weather";
/// Another one.
pub(super) const B: &str = "@other/component";
/// Nobody.
pub(super) const NOBODY: &str = "org.example.nobody";
/// The key of the value that A stores.
pub(super) const NAMED_OF_A: &str = "a-of-weather";
/// The key of what A stores.
pub(super) const KEY_OF_A: &str = "places/home";
/// What A holds. Whatever has this word in it must never be in a log.
pub(super) const CONTENT_OF_A: &str = "unspoken content of A\n";
/// What is put in a call that is let through.
pub(super) const FRESH: &str = "unspoken content of a put\n";

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Whoever is let in.
    Public,
    /// A component with this scope, of its own things.
    Own(&'static str),
    /// A component with this scope, of everyone's things.
    Shared(&'static str),
    /// The owner; his scope is named only for the document.
    Owner(&'static str),
}

impl Access {
    /// The scope of the document.
    pub(super) fn scope(self) -> Option<&'static str> {
        match self {
            Access::Public => None,
            Access::Own(scope) | Access::Shared(scope) | Access::Owner(scope) => Some(scope),
        }
    }

    /// The visibility of the document. What is public is so for everyone.
    pub(super) fn visibility(self) -> &'static str {
        match self {
            Access::Own(_) => "own",
            Access::Public | Access::Shared(_) => "shared",
            Access::Owner(_) => "owner",
        }
    }
}

/// What is answered to someone who is let through.
#[derive(Clone, Copy)]
pub(super) enum Answer {
    /// Something.
    Ok,
    /// The error of what is not there, to the letter.
    NotFound,
    /// An object with at least these members.
    Shows(fn(&Things) -> Value),
}

/// Things that calls name.
pub(super) struct Things {
    /// The hash of a content.
    pub(super) blob: String,
    /// The id of an upload: another one once it was committed or dropped.
    pub(super) upload: RefCell<String>,
    /// The public part of a token.
    pub(super) token_id: String,
    /// The component whose they are.
    pub(super) component: &'static str,
    /// A public key, the hash of a transaction, and the id of a message.
    pub(super) named: &'static str,
}

/// A row: a method or a route.
pub(super) struct Row {
    /// `namespace.verb` of a method; a plain route as it is asked for; or `WebSocket`.
    pub(super) name: &'static str,
    /// Who may ask.
    pub(super) access: Access,
    /// The params; of a route the hash or the body.
    pub(super) params: fn(&Things) -> Value,
    /// What a component is shown of its own.
    pub(super) of_own: Answer,
    /// What a component is shown that has nothing, or of what is another's.
    pub(super) of_anothers: Answer,
}

impl Row {
    /// Whether it is a method of the contract.
    pub(super) fn is_method(&self) -> bool {
        !self.name.contains(['/', ' ']) && self.name != "WebSocket"
    }

    /// Whether its params name something of someone's.
    pub(super) fn names_things(&self, these: &Things, others: &Things) -> bool {
        (self.params)(these) != (self.params)(others)
    }

    /// Whether a call that is let through may change something.
    pub(super) fn changes(&self) -> bool {
        self.access.scope().is_some_and(|scope| scope == "admin" || scope.ends_with(":write"))
    }
}

fn row(name: &'static str, access: Access, params: fn(&Things) -> Value) -> Row {
    Row { name, access, params, of_own: Answer::Ok, of_anothers: Answer::Ok }
}

fn public(name: &'static str) -> Row {
    row(name, Access::Public, |_| json!({}))
}

fn shared(name: &'static str, scope: &'static str, params: fn(&Things) -> Value) -> Row {
    row(name, Access::Shared(scope), params)
}

fn owner(name: &'static str, scope: &'static str, params: fn(&Things) -> Value) -> Row {
    row(name, Access::Owner(scope), params)
}

fn own(
    name: &'static str,
    scope: &'static str,
    params: fn(&Things) -> Value,
    of_own: Answer,
    of_anothers: Answer,
) -> Row {
    Row { name, access: Access::Own(scope), params, of_own, of_anothers }
}

fn nothing(_: &Things) -> Value {
    json!({})
}

fn the_blob(things: &Things) -> Value {
    json!({ "hash": things.blob })
}

/// Every method of the contract, and every route.
pub(super) fn table() -> Vec<Row> {
    [
        components(),
        applications(),
        registry(),
        keys(),
        transactions(),
        cache(),
        preferences(),
        messages(),
        storage(),
        identity(),
        component_data(),
        logs(),
        blobs(),
        events(),
        vault(),
        auth(),
        jobs(),
        daemon(),
        routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn components() -> Vec<Row> {
    let a = |_: &Things| json!({ "componentId": A });
    vec![
        owner("components.put", "components:write", |_| {
            json!({ "component": {
                "componentId": "org.example.clock", "name": "unspoken name", "version": "1.0.0",
                "type": "backend", "manifest": { "note": "unspoken note" },
                "blobs": { "binary": HELLO },
            } })
        }),
        shared("components.get", "components:read", a),
        shared("components.list", "components:read", nothing),
        shared("components.search", "components:read", |_| json!({ "query": "weather" })),
        owner("components.touch", "components:write", a),
        shared("components.dependencies", "components:read", a),
        shared(
            "components.dependents",
            "components:read",
            |_| json!({ "componentId": "org.example.http" }),
        ),
        // A itself runs.
        owner(
            "components.delete",
            "components:write",
            |_| json!({ "componentId": "org.example.clock" }),
        ),
    ]
}

fn applications() -> Vec<Row> {
    let (read, write) = ("applications:read", "applications:write");
    let outdoors = |_: &Things| json!({ "applicationId": "org.example.outdoors" });
    let units = |_: &Things| json!({ "applicationId": "org.example.outdoors", "key": "units" });
    vec![
        owner("applications.put", write, |_| {
            json!({ "application": {
                "applicationId": "org.example.unspoken", "name": "unspoken name", "version": "1",
                "manifest": {},
            } })
        }),
        shared("applications.get", read, outdoors),
        shared("applications.list", read, nothing),
        shared("applications.search", read, |_| json!({ "query": "outdoors" })),
        owner("applications.recordLaunch", write, outdoors),
        owner("applications.delete", write, outdoors),
        owner("applicationConfig.get", "applicationConfig:read", units),
        owner("applicationConfig.set", "applicationConfig:write", |_| {
            json!({
                "applicationId": "org.example.outdoors", "key": "unspoken.key",
                "value": "unspoken value",
            })
        }),
        owner("applicationConfig.list", "applicationConfig:read", outdoors),
        owner("applicationConfig.delete", "applicationConfig:write", units),
    ]
}

fn registry() -> Vec<Row> {
    use Answer::{NotFound, Shows};
    let (read, write) = ("registry:read", "registry:write");
    let whose = |things: &Things| json!({ "componentId": things.component });
    vec![
        own(
            "registry.register",
            write,
            |things| {
                json!({
                    "version": "2.1.0", "pid": std::process::id(), "endpoint": "unspoken endpoint",
                    "componentId": things.component,
                })
            },
            Shows(|_| json!({ "status": "running" })),
            NotFound,
        ),
        own("registry.heartbeat", write, whose, Answer::Ok, NotFound),
        own(
            "registry.setStatus",
            write,
            |things| json!({ "status": "stopping", "componentId": things.component }),
            Shows(|_| json!({ "status": "stopping" })),
            NotFound,
        ),
        own("registry.get", read, whose, Shows(|_| json!({ "status": "running" })), NotFound),
        own(
            "registry.list",
            read,
            nothing,
            Shows(|_| json!({ "items": [{ "componentId": A }] })),
            Shows(|_| json!({ "items": [] })),
        ),
        owner("registry.reap", write, |_| json!({ "staleAfterSeconds": 3600 })),
        own("registry.remove", write, whose, Shows(|_| json!({ "deleted": true })), NotFound),
    ]
}

fn keys() -> Vec<Row> {
    use Answer::{NotFound, Shows};
    let (read, write) = ("keys:read", "keys:write");
    let whose = |things: &Things| json!({ "componentId": things.component });
    let key = |things: &Things| json!({ "publicKey": things.named });
    vec![
        own("keys.reserveIndex", write, whose, Answer::Ok, NotFound),
        own(
            "keys.register",
            write,
            |things| {
                json!({
                    "publicKey": "unspoken key", "keyType": "ed25519", "purpose": "unspoken purpose",
                    "componentId": things.component,
                })
            },
            Shows(|_| json!({ "componentId": A, "publicKey": "unspoken key" })),
            NotFound,
        ),
        own(
            "keys.get",
            read,
            |things| json!({ "derivationIndex": 0, "componentId": things.component }),
            Shows(|_| json!({ "publicKey": NAMED_OF_A })),
            NotFound,
        ),
        own("keys.getByPublicKey", read, key, Shows(|_| json!({ "componentId": A })), NotFound),
        own(
            "keys.listForComponent",
            read,
            whose,
            Shows(|_| json!({ "items": [{ "publicKey": NAMED_OF_A }] })),
            NotFound,
        ),
        own("keys.touch", write, key, Answer::Ok, NotFound),
        own(
            "keys.delete",
            write,
            key,
            Shows(|_| json!({ "deleted": true })),
            Shows(|_| json!({ "deleted": false })),
        ),
    ]
}

fn transactions() -> Vec<Row> {
    use Answer::{NotFound, Shows};
    let (read, write) = ("transactions:read", "transactions:write");
    vec![
        own(
            "transactions.put",
            write,
            |things| {
                json!({ "transaction": {
                    "txHash": "unspoken hash", "fromAddress": "unspoken sender", "toAddress": "b",
                    "amount": "1.25", "network": "n", "status": "failed",
                    "componentId": things.component,
                } })
            },
            Shows(|_| json!({ "componentId": A, "amount": "1.25" })),
            NotFound,
        ),
        own(
            "transactions.get",
            read,
            |things| json!({ "txHash": things.named }),
            Shows(|_| json!({ "componentId": A, "amount": "0.50" })),
            NotFound,
        ),
        own(
            "transactions.list",
            read,
            |_| json!({ "address": "a" }),
            Shows(|_| json!({ "items": [{ "txHash": NAMED_OF_A }] })),
            Shows(|_| json!({ "items": [] })),
        ),
        own(
            "transactions.updateStatus",
            write,
            |things| json!({ "txHash": things.named, "status": "confirmed" }),
            Shows(|_| json!({ "status": "confirmed" })),
            NotFound,
        ),
        own(
            "transactions.stats",
            read,
            |_| json!({ "address": "a" }),
            Shows(|_| json!({ "count": 1, "byToken": [{ "token": "ETH", "amount": "0.5" }] })),
            Shows(|_| json!({ "count": 0, "byToken": [] })),
        ),
    ]
}

fn cache() -> Vec<Row> {
    let (read, write) = ("cache:read", "cache:write");
    let page = |_: &Things| json!({ "autonomiAddress": "ant://88df" });
    vec![
        owner("cache.put", write, |_| {
            json!({ "entry": {
                "autonomiAddress": "ant://unspoken", "contentHash": "c", "blobHash": HELLO,
                "dataType": "chunk",
            } })
        }),
        owner("cache.get", read, page),
        owner("cache.peek", read, page),
        owner("cache.list", read, nothing),
        owner("cache.remove", write, page),
        owner("cache.evict", write, |_| json!({ "targetBytes": 0 })),
        owner("cache.stats", read, nothing),
    ]
}

fn messages() -> Vec<Row> {
    use Answer::{NotFound, Shows};
    let (read, write) = ("messages:read", "messages:write");
    vec![
        own(
            "messages.put",
            write,
            |things| json!({ "message": fresh_message(things) }),
            Shows(|_| json!({ "componentId": A })),
            NotFound,
        ),
        own(
            "messages.putMany",
            write,
            |things| json!({ "items": [{ "message": fresh_message(things) }] }),
            Shows(|_| json!({ "items": [{ "componentId": A }] })),
            NotFound,
        ),
        own(
            "messages.get",
            read,
            |things| json!({ "messageId": things.named }),
            Shows(|_| json!({ "componentId": A })),
            NotFound,
        ),
        own(
            "messages.list",
            read,
            |_| json!({ "channel": "weather" }),
            Shows(|_| json!({ "items": [{ "messageId": NAMED_OF_A }] })),
            Shows(|_| json!({ "items": [] })),
        ),
        own(
            "messages.search",
            read,
            |_| json!({ "query": "weather" }),
            Shows(|_| json!({ "items": [{ "record": { "messageId": NAMED_OF_A } }] })),
            Shows(|_| json!({ "items": [] })),
        ),
        own(
            "messages.delete",
            write,
            |things| json!({ "messageId": things.named }),
            Shows(|_| json!({ "deleted": true })),
            Shows(|_| json!({ "deleted": false })),
        ),
    ]
}

fn fresh_message(things: &Things) -> Value {
    json!({
        "messageId": "unspoken id", "channel": "unspoken channel", "sender": "s", "timestamp": 7,
        "body": "unspoken body", "componentId": things.component,
    })
}

fn preferences() -> Vec<Row> {
    let theme = |_: &Things| json!({ "key": "ui.theme" });
    vec![
        owner("preferences.get", "preferences:read", theme),
        owner(
            "preferences.set",
            "preferences:write",
            |_| json!({ "key": "unspoken.key", "value": "unspoken value" }),
        ),
        owner(
            "preferences.setMany",
            "preferences:write",
            |_| json!({ "items": [{ "key": "unspoken.key", "value": ["unspoken value"] }] }),
        ),
        owner("preferences.list", "preferences:read", nothing),
        owner("preferences.delete", "preferences:write", theme),
    ]
}

fn storage() -> Vec<Row> {
    use Answer::{NotFound, Shows};
    let (read, write) = ("storage:read", "storage:write");
    let of_a = |things: &Things| json!({ "key": KEY_OF_A, "componentId": things.component });
    vec![
        own(
            "storage.read",
            read,
            of_a,
            Shows(|_| json!({ "value": { "latitude": 52.5, "longitude": 13.4 } })),
            NotFound,
        ),
        own(
            "storage.write",
            write,
            |things| {
                json!({
                    "key": "unspoken key", "value": "unspoken value", "ttlSeconds": 3600,
                    "componentId": things.component,
                })
            },
            Shows(|_| json!({ "key": "unspoken key" })),
            NotFound,
        ),
        own(
            "storage.writeMany",
            write,
            |things| {
                json!({
                    "items": [{ "key": "unspoken key", "value": ["unspoken value"] }],
                    "componentId": things.component,
                })
            },
            Shows(|_| json!({ "items": [{ "key": "unspoken key" }] })),
            NotFound,
        ),
        own(
            "storage.list",
            read,
            |things| json!({ "values": true, "componentId": things.component }),
            Shows(|_| json!({ "items": [{ "key": KEY_OF_A, "size": 34 }] })),
            NotFound,
        ),
        own("storage.delete", write, of_a, Shows(|_| json!({ "deleted": true })), NotFound),
    ]
}

fn identity() -> Vec<Row> {
    let (read, write) = ("identity:read", "identity:write");
    vec![
        owner(
            "identity.putCocoon",
            write,
            |_| json!({ "userId": "alice", "data": BASE64_STANDARD.encode(FRESH) }),
        ),
        owner("identity.getCocoon", read, |_| json!({ "userId": "alice" })),
        owner("identity.restorePrevious", write, |_| json!({ "userId": "bob" })),
        owner("identity.list", read, nothing),
        owner("identity.delete", write, |_| json!({ "userId": "alice" })),
    ]
}

fn component_data() -> Vec<Row> {
    use Answer::{NotFound, Shows};
    let (read, write) = ("componentData:read", "componentData:write");
    let present = |things: &Things| json!({ "version": "1.2", "componentId": things.component });
    vec![
        own(
            "componentData.prepare",
            write,
            |things| json!({ "version": "1.3.7", "componentId": things.component }),
            Shows(|_| json!({ "version": "1.3", "created": true })),
            NotFound,
        ),
        own(
            "componentData.getConfig",
            read,
            present,
            Shows(|_| json!({ "config": { "place": "Berlin" } })),
            NotFound,
        ),
        own(
            "componentData.setConfig",
            write,
            |things| {
                let config = json!({ "place": "unspoken place" });
                json!({ "version": "1.2", "config": config, "componentId": things.component })
            },
            Shows(|_| json!({ "config": { "place": "unspoken place" } })),
            NotFound,
        ),
        own(
            "componentData.list",
            read,
            |things| json!({ "componentId": things.component }),
            Shows(|_| json!({ "items": [{ "version": "1.2" }] })),
            NotFound,
        ),
        own(
            "componentData.usage",
            read,
            |things| json!({ "componentId": things.component }),
            Shows(|_| json!({ "files": 1, "skipped": 0 })),
            NotFound,
        ),
        own(
            "componentData.migrate",
            write,
            |things| {
                let (from, to) = ("1.2", "2.0");
                json!({ "fromVersion": from, "toVersion": to, "componentId": things.component })
            },
            Shows(|_| json!({ "version": "2.0", "files": 1 })),
            NotFound,
        ),
        own(
            "componentData.remove",
            write,
            present,
            Shows(|_| json!({ "deleted": true })),
            NotFound,
        ),
    ]
}

fn logs() -> Vec<Row> {
    use Answer::{NotFound, Shows};
    let (read, write) = ("logs:read", "logs:write");
    let whose = |things: &Things| json!({ "componentId": things.component });
    vec![
        own(
            "logs.append",
            write,
            |things| {
                let entry = json!({ "level": "warn", "message": "unspoken message" });
                json!({ "entries": [entry], "componentId": things.component })
            },
            Shows(|_| json!({ "accepted": true })),
            NotFound,
        ),
        own("logs.tail", read, whose, Answer::Ok, NotFound),
        own(
            "logs.query",
            read,
            |things| json!({ "text": "started", "componentId": things.component }),
            Shows(|_| json!({ "items": [{ "message": "started", "level": "info" }] })),
            NotFound,
        ),
        own("logs.rotate", write, whose, Answer::Ok, NotFound),
    ]
}

fn blobs() -> Vec<Row> {
    use Answer::{NotFound, Shows};
    let (read, write) = ("blobs:read", "blobs:write");
    vec![
        own(
            "blobs.put",
            write,
            |_| json!({ "data": BASE64_STANDARD.encode(FRESH), "name": "unspoken name" }),
            Shows(|_| json!({ "size": FRESH.len(), "created": true })),
            Shows(|_| json!({ "size": FRESH.len(), "created": true })),
        ),
        own(
            "blobs.get",
            read,
            the_blob,
            Shows(|_| json!({ "data": BASE64_STANDARD.encode(CONTENT_OF_A) })),
            NotFound,
        ),
        own(
            "blobs.stat",
            read,
            the_blob,
            Shows(|things| json!({ "hash": things.blob, "size": CONTENT_OF_A.len() })),
            NotFound,
        ),
        own(
            "blobs.has",
            read,
            |things| json!({ "hashes": [things.blob, "0".repeat(64)] }),
            Shows(|_| json!({ "present": [true, false] })),
            Shows(|_| json!({ "present": [false, false] })),
        ),
        own(
            "blobs.list",
            read,
            nothing,
            Shows(|things| json!({ "items": [{ "hash": things.blob }] })),
            Shows(|_| json!({ "items": [] })),
        ),
        own("blobs.pin", write, the_blob, Shows(|_| json!({ "pinned": true })), NotFound),
        own("blobs.unpin", write, the_blob, Shows(|_| json!({ "pinned": false })), NotFound),
        owner("blobs.grant", write, |things| json!({ "hash": things.blob, "componentId": B })),
        own(
            "blobs.delete",
            write,
            the_blob,
            Shows(|_| json!({ "deleted": true })),
            Shows(|_| json!({ "deleted": false })),
        ),
        own(
            "blobs.usage",
            read,
            nothing,
            Shows(|_| json!({ "count": 1, "bytes": CONTENT_OF_A.len() })),
            Shows(|_| json!({ "count": 0, "bytes": 0 })),
        ),
        own(
            "blobs.beginUpload",
            write,
            |_| json!({ "name": "unspoken name" }),
            Shows(|_| json!({ "present": false })),
            Shows(|_| json!({ "present": false })),
        ),
        own(
            "blobs.uploadChunk",
            write,
            |things| json!({ "uploadId": *things.upload.borrow(), "index": 0, "data": BASE64_STANDARD.encode(FRESH) }),
            Shows(|_| json!({ "index": 0, "size": FRESH.len() })),
            NotFound,
        ),
        own(
            "blobs.uploadStatus",
            read,
            the_upload,
            Shows(|_| json!({ "bytes": FRESH.len(), "received": [{ "from": 0, "to": 0 }] })),
            NotFound,
        ),
        own(
            "blobs.listUploads",
            read,
            nothing,
            Shows(|things| json!({ "items": [{ "uploadId": *things.upload.borrow() }] })),
            Shows(|_| json!({ "items": [] })),
        ),
        own(
            "blobs.commitUpload",
            write,
            the_upload,
            Shows(|_| json!({ "size": FRESH.len(), "created": true })),
            NotFound,
        ),
        own(
            "blobs.abortUpload",
            write,
            the_upload,
            Shows(|_| json!({ "deleted": true })),
            Shows(|_| json!({ "deleted": false })),
        ),
        own(
            "blobs.putMany",
            write,
            |_| json!({ "items": [{ "data": "bWFueQ==" }] }),
            Shows(|_| json!({ "items": [{ "size": 4 }] })),
            Shows(|_| json!({ "items": [{ "size": 4 }] })),
        ),
        owner("blobs.collect", "admin", nothing),
        owner("blobs.adopt", "admin", nothing),
        owner("blobs.verify", "admin", nothing),
        owner("blobs.upgrade", "admin", nothing),
    ]
}

fn the_upload(things: &Things) -> Value {
    json!({ "uploadId": *things.upload.borrow() })
}

/// What is seen of the feed is another test: tests/e2e/events.rs.
fn events() -> Vec<Row> {
    use Answer::Shows;
    let read = "events:read";
    let (none, begun, ended) = (
        Shows(|_| json!({ "items": [], "more": false })),
        Shows(|_| json!({ "subscription": 1 })),
        Shows(|_| json!({ "unsubscribed": false })),
    );
    vec![
        own("events.list", read, nothing, none, none),
        own("events.subscribe", read, nothing, begun, begun),
        own("events.unsubscribe", read, |_| json!({ "subscription": 1 }), ended, ended),
    ]
}

fn vault() -> Vec<Row> {
    vec![
        owner("vault.unlock", "admin", |_| json!({ "secret": PHRASE })),
        owner("vault.lock", "admin", nothing),
        owner("vault.status", "vault:read", nothing),
    ]
}

fn auth() -> Vec<Row> {
    let spare = |_: &Things| json!({ "componentId": "org.example.spare" });
    vec![
        public("auth.whoami"),
        // What it may apply is asked of each operation: tests/e2e/batch.rs.
        row("batch.apply", Access::Public, |_| json!({ "operations": [] })),
        owner(
            "auth.createToken",
            "admin",
            |_| json!({ "componentId": A, "name": "unspoken name" }),
        ),
        owner("auth.listTokens", "admin", nothing),
        owner("auth.revokeToken", "admin", |things| json!({ "tokenId": things.token_id })),
        owner("auth.openSocket", "admin", spare),
        owner("auth.closeSocket", "admin", spare),
        owner("auth.listSockets", "admin", nothing),
        owner("auth.rotateOwnerToken", "admin", nothing),
    ]
}

fn jobs() -> Vec<Row> {
    use Answer::{NotFound, Shows};
    // The one job of the example root is the owner's.
    let job = |_: &Things| json!({ "jobId": "integrityCheck-1" });
    let none = || Shows(|_| json!({ "items": [] }));
    vec![
        own("jobs.get", "jobs:read", job, NotFound, NotFound),
        own("jobs.list", "jobs:read", nothing, none(), none()),
        own("jobs.cancel", "jobs:write", job, NotFound, NotFound),
        owner("maintenance.stats", "admin", nothing),
        owner("maintenance.checkpoint", "admin", nothing),
        owner("maintenance.vacuum", "admin", nothing),
        owner("maintenance.analyze", "admin", nothing),
        owner("maintenance.integrityCheck", "admin", nothing),
        owner("maintenance.query", "admin", |_| json!({ "sql": "SELECT 'unspoken value'" })),
    ]
}

fn daemon() -> Vec<Row> {
    vec![
        owner("schema.version", "schema:read", nothing),
        owner("schema.history", "schema:read", nothing),
        owner("status.get", "status:read", nothing),
        owner("system.shutdown", "admin", nothing),
        public("rpc.discover"),
    ]
}

fn routes() -> Vec<Row> {
    use Answer::{NotFound, Shows};
    let hash = |things: &Things| json!(things.blob);
    vec![
        own(
            "PUT /blobs",
            "blobs:write",
            |_| json!(FRESH),
            Shows(|_| json!({ "size": FRESH.len(), "created": true })),
            Shows(|_| json!({ "size": FRESH.len(), "created": true })),
        ),
        own(
            "POST /blobs",
            "blobs:write",
            |_| json!(format!("--b\r\n\r\n{FRESH}\r\n--b--")),
            Shows(|_| json!({ "items": [{ "size": FRESH.len(), "created": true }] })),
            Shows(|_| json!({ "items": [{ "size": FRESH.len(), "created": true }] })),
        ),
        own(
            "PUT /uploads/{uploadId}/{index}",
            "blobs:write",
            |things| json!(format!("/uploads/{}/0", things.upload.borrow())),
            Shows(|_| json!({ "index": 0, "size": FRESH.len() })),
            NotFound,
        ),
        own("GET /blobs/{hash}", "blobs:read", hash, Shows(|_| json!(CONTENT_OF_A)), NotFound),
        own("HEAD /blobs/{hash}", "blobs:read", hash, Answer::Ok, NotFound),
        public("WebSocket"),
    ]
}
