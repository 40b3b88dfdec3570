//! `status`: whether the daemon is well.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::method::{Access, Example, Visibility, methods, no_request_id};
use crate::wire::{Timestamp, UnsignedInteger, wire_object};

/// How well something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// It works.
    Ok,
    /// It works in part.
    Degraded,
    /// It does not work.
    Error,
}

/// One part of the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    /// Its name: database, blobs or vault.
    pub name: String,
    /// How well it is.
    pub status: Health,
    /// What is wrong, or what else is to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Something that is wrong, or was found and mended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// What, in a sentence.
    pub message: String,
    /// Since when.
    pub since: Timestamp,
}

/// Whether the daemon is well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The worst of its parts.
    pub status: Health,
    /// The version of the program.
    pub version: String,
    /// How long it has run, in seconds.
    pub uptime: UnsignedInteger,
    /// Its parts.
    pub services: Vec<Service>,
    /// What is wrong, or was found at start.
    pub notices: Vec<Notice>,
}

wire_object! {
    /// What `status.get` takes: nothing.
    pub struct NoParams {}
}
no_request_id!(NoParams);

methods! {
    "Whether the daemon is well.";

    /// Says whether the daemon is well, and what is not.
    Get = "status.get" {
        params: NoParams,
        result: Status,
        access: Access::Read,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [],
        examples: [Example {
            name: "all well",
            params: r#"{}"#,
            result: r#"{"status":"ok","version":"0.1.0","uptime":42,"services":[{"name":"database","status":"ok"},{"name":"blobs","status":"ok"},{"name":"vault","status":"ok","detail":"unlocked"}],"notices":[]}"#,
        }],
    }
}
