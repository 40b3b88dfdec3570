//! `identity`: each user's keys, as a sealed file of theirs (a cocoon) that only they can open.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::method::{Access, Example, Visibility, methods, no_request_id};
use crate::wire::{
    Base64Data, BlobHash, Cursor, Limit, Timestamp, UnsignedInteger, UserId, wire_object,
};

/// The largest cocoon, in bytes.
pub const MAX_COCOON_BYTES: usize = 1 << 20;

/// What is known of a user's cocoon without reading it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CocoonInfo {
    /// Whose it is.
    pub user_id: UserId,
    /// Its size in bytes.
    pub size: UnsignedInteger,
    /// The SHA-256 of its bytes.
    pub sha256: BlobHash,
    /// When it was put in place.
    pub updated_at: Timestamp,
    /// Whether there is one before it that can be restored.
    pub has_previous: bool,
}

/// A user's cocoon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cocoon {
    /// Its bytes, as they were put.
    pub data: Base64Data,
    /// What is known of it.
    #[serde(flatten)]
    pub info: CocoonInfo,
}

/// A page of cocoons, by user id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CocoonPage {
    /// The cocoons of this page.
    pub items: Vec<CocoonInfo>,
    /// Where the next page begins; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<Cursor>,
}

wire_object! {
    /// What `identity.putCocoon` takes.
    pub struct PutCocoonParams {
        /// Whose it is.
        pub user_id: UserId,
        /// Its bytes, at most 1 MiB.
        pub data: Base64Data,
    }
}
wire_object! {
    /// What takes a user's id.
    pub struct UserParams {
        /// Whose cocoon.
        pub user_id: UserId,
    }
}
wire_object! {
    /// What `identity.list` takes.
    pub struct ListParams {
        /// At most this many items; 100 where left out.
        pub limit: Option<Limit>,
        /// Where to go on: the `nextCursor` of the page before.
        pub cursor: Option<Cursor>,
    }
}
no_request_id!(PutCocoonParams, UserParams, ListParams);

methods! {
    "Each user's keys, as a sealed file of theirs (a cocoon) that only they can open.";

    /// Stores a user's cocoon in the place of the one before, which is kept as the previous one.
    ///
    /// The bytes are opaque to the daemon. They are replaced as a whole: after a crash the old or the new
    /// cocoon is there, complete. Putting the bytes that are there already changes nothing, so a put may
    /// always be repeated.
    PutCocoon = "identity.putCocoon" {
        params: PutCocoonParams,
        result: CocoonInfo,
        access: Access::Write,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [TooLarge, QuotaExceeded, DiskFull, IoError],
        examples: [Example {
            name: "a user's keys",
            params: r#"{"userId":"alice","data":"c2VhbGVkIGtleXM="}"#,
            result: r#"{"userId":"alice","size":11,"sha256":"3df21cc5a8abf6a9f73a02d0f0a6a3d40a6c2e6e28dbd1e2cb2e2e5a5cd6bb5f","updatedAt":1764028800,"hasPrevious":true}"#,
        }],
    }

    /// Reads a user's cocoon.
    GetCocoon = "identity.getCocoon" {
        params: UserParams,
        result: Cocoon,
        access: Access::Read,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [NotFound, IntegrityError, IoError],
        examples: [Example {
            name: "a user's keys",
            params: r#"{"userId":"alice"}"#,
            result: r#"{"data":"c2VhbGVkIGtleXMgb2YgYWxpY2U=","userId":"alice","size":20,"sha256":"2f4cbc4c1b0b0d9b8f0a3a5f5dc9e3a9f3f1f4a9c5a0f5f9c9c7f0d1b2a3c4d5","updatedAt":1764028800,"hasPrevious":false}"#,
        }],
    }

    /// Puts the previous cocoon back, and keeps the present one as the previous.
    ///
    /// Called twice it leaves things as they were. Answers `not_found` where there is no previous one.
    RestorePrevious = "identity.restorePrevious" {
        params: UserParams,
        result: CocoonInfo,
        access: Access::Write,
        visibility: Visibility::Owner,
        idempotent: false,
        errors: [NotFound, DiskFull, IntegrityError, IoError],
        examples: [Example {
            name: "after a bad change of the passphrase",
            params: r#"{"userId":"bob"}"#,
            result: r#"{"userId":"bob","size":18,"sha256":"2f4cbc4c1b0b0d9b8f0a3a5f5dc9e3a9f3f1f4a9c5a0f5f9c9c7f0d1b2a3c4d5","updatedAt":1764028800,"hasPrevious":true}"#,
        }],
    }

    /// Lists the cocoons by user id, without their bytes.
    List = "identity.list" {
        params: ListParams,
        result: CocoonPage,
        access: Access::Read,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [IntegrityError, IoError],
        examples: [Example {
            name: "all users",
            params: r#"{}"#,
            result: r#"{"items":[{"userId":"alice","size":20,"sha256":"2f4cbc4c1b0b0d9b8f0a3a5f5dc9e3a9f3f1f4a9c5a0f5f9c9c7f0d1b2a3c4d5","updatedAt":1764028800,"hasPrevious":false}]}"#,
        }],
    }

    /// Deletes a user's cocoon, and the previous one with it.
    Delete = "identity.delete" {
        params: UserParams,
        result: crate::wire::Deleted,
        access: Access::Write,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [DiskFull, IoError],
        examples: [Example {
            name: "a user who has left",
            params: r#"{"userId":"alice"}"#,
            result: r#"{"deleted":true}"#,
        }],
    }
}
