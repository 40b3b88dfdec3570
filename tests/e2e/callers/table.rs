//! The table: what there is to ask for, who may ask, and what of another's he is shown.
//!
//! It is written by hand. Made from the definitions of the methods it would only say that the daemon
//! does what it does.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::example_root::HELLO;
use crate::support::PHRASE;

/// A component that is installed in the example root.
pub(super) const A: &str = "org.example.weather";
/// Another one.
pub(super) const B: &str = "@other/component";
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
    /// The public part of a token.
    pub(super) token_id: String,
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
    [components(), preferences(), blobs(), vault(), auth(), jobs(), daemon(), routes()]
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
        owner("components.touch", "components:write", a),
        shared("components.dependencies", "components:read", a),
        shared(
            "components.dependents",
            "components:read",
            |_| json!({ "componentId": "org.example.http" }),
        ),
        owner("components.delete", "components:write", a),
    ]
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
        own("GET /blobs/{hash}", "blobs:read", hash, Shows(|_| json!(CONTENT_OF_A)), NotFound),
        own("HEAD /blobs/{hash}", "blobs:read", hash, Answer::Ok, NotFound),
        public("WebSocket"),
    ]
}
