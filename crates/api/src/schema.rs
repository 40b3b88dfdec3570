//! `schema`: the version of the database, and how it came to it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::method::{Access, Example, Visibility, methods, no_request_id};
use crate::wire::{Timestamp, wire_object};

/// The version of the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseVersion {
    /// The last migration that was applied.
    pub version: u32,
    /// The last migration that this program knows.
    pub latest: u32,
}

/// A migration that was applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppliedMigration {
    /// Its number.
    pub version: u32,
    /// When it was applied.
    pub applied_at: Timestamp,
    /// What it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// The migrations that were applied, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MigrationHistory {
    /// The migrations.
    pub items: Vec<AppliedMigration>,
}

wire_object! {
    /// What `schema.version` and `schema.history` take: nothing.
    pub struct NoParams {}
}
no_request_id!(NoParams);

methods! {
    "The version of the database, and how it came to it.";

    /// Says the version of the database.
    Version = "schema.version" {
        params: NoParams,
        result: DatabaseVersion,
        access: Access::Read,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [],
        examples: [Example { name: "up to date", params: r#"{}"#, result: r#"{"version":3,"latest":3}"# }],
    }

    /// Lists the migrations that were applied.
    History = "schema.history" {
        params: NoParams,
        result: MigrationHistory,
        access: Access::Read,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [],
        examples: [Example {
            name: "from the first",
            params: r#"{}"#,
            result: r#"{"items":[{"version":1,"appliedAt":1764028800,"description":"Initial schema"}]}"#,
        }],
    }
}
