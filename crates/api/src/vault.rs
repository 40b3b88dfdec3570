//! `vault`: the master key, loaded or not.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::method::{Access, Example, Visibility, methods, no_request_id};
use crate::wire::{Secret, wire_object};

/// Whether the master key is loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VaultState {
    /// Whether no master key is loaded.
    pub locked: bool,
    /// Whether this data root has been given its key.
    pub initialized: bool,
    /// Which key is loaded: 16 hexadecimal digits that tell nothing of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
}

wire_object! {
    /// What `vault.unlock` takes.
    pub struct UnlockParams {
        /// The seed phrase, or the master key as 64 hexadecimal digits.
        pub secret: Secret,
    }
}
wire_object! {
    /// What `vault.lock` and `vault.status` take: nothing.
    pub struct NoParams {}
}
no_request_id!(UnlockParams, NoParams);

methods! {
    "The master key, under which content and sealed records lie.";

    /// Loads the master key.
    ///
    /// The first key that an empty data root is given becomes its own; any other is `wrong_key` from
    /// then on.
    Unlock = "vault.unlock" {
        params: UnlockParams,
        result: VaultState,
        access: Access::Admin,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [WrongKey, DiskFull, IoError],
        examples: [Example {
            name: "by phrase",
            params: r#"{"secret":"abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about"}"#,
            result: r#"{"locked":false,"initialized":true,"keyId":"b0d3eb19f08a56fe"}"#,
        }],
    }

    /// Wipes the master key from memory; what needs it answers `locked` from then on.
    Lock = "vault.lock" {
        params: NoParams,
        result: VaultState,
        access: Access::Admin,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [],
        examples: [Example {
            name: "before a coffee",
            params: r#"{}"#,
            result: r#"{"locked":true,"initialized":true}"#,
        }],
    }

    /// Says whether the master key is loaded.
    Status = "vault.status" {
        params: NoParams,
        result: VaultState,
        access: Access::Read,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [],
        examples: [Example {
            name: "unlocked",
            params: r#"{}"#,
            result: r#"{"locked":false,"initialized":true,"keyId":"b0d3eb19f08a56fe"}"#,
        }],
    }
}
