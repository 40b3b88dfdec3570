//! What keeps the store of contents well: collecting, adopting, verifying, upgrading.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::method::no_request_id;
use crate::wire::{BlobHash, UnsignedInteger, wire_object};

/// The result of the job that `blobs.collect` begins.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CollectResult {
    /// How many contents were removed.
    pub contents: UnsignedInteger,
    /// Their size in bytes.
    pub bytes: UnsignedInteger,
    /// How many bytes they took on disk.
    pub stored_bytes: UnsignedInteger,
}

/// The result of the job that `blobs.adopt` begins.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdoptResult {
    /// How many files were looked at.
    pub files: UnsignedInteger,
    /// How many had no row and were given one: the owner holds and has pinned them now.
    pub adopted: UnsignedInteger,
    /// Their size in bytes.
    pub bytes: UnsignedInteger,
    /// How many are not what their name says, or open under no key at hand, and lie in
    /// `blobs/.quarantine` now.
    pub quarantined: UnsignedInteger,
    /// How many could not be read, and lie where they lay.
    pub unreadable: UnsignedInteger,
    /// How many were left over from contents that had been deleted, and are gone now.
    pub removed: UnsignedInteger,
}

/// A content that is not as it was put.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BlobProblem {
    /// The content.
    pub hash: BlobHash,
    /// What is wrong with its file.
    pub problem: String,
    /// Whether the file was put aside, into `blobs/.quarantine`.
    pub quarantined: bool,
}

/// The result of the job that `blobs.verify` begins.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerifyResult {
    /// How many contents were read.
    pub contents: UnsignedInteger,
    /// Their size in bytes.
    pub bytes: UnsignedInteger,
    /// How many of them are not as they were put.
    pub damaged: UnsignedInteger,
    /// The first thousand of those.
    pub problems: Vec<BlobProblem>,
}

/// The result of the job that `blobs.upgrade` begins.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpgradeResult {
    /// How many files were written anew.
    pub contents: UnsignedInteger,
    /// Their size in bytes.
    pub bytes: UnsignedInteger,
    /// How many could not be, since they are damaged.
    pub damaged: UnsignedInteger,
}

wire_object! {
    /// What `blobs.collect`, `blobs.adopt` and `blobs.upgrade` take: nothing.
    pub struct CareParams {}
}
wire_object! {
    /// What `blobs.verify` takes.
    pub struct VerifyParams {
        /// The one content to verify; all where left out.
        pub hash: Option<BlobHash>,
        /// How many bytes to read in a second at most; `blobs.verify_bytes_per_second` of the
        /// configuration where left out.
        pub bytes_per_second: Option<UnsignedInteger>,
    }
}
no_request_id!(CareParams, VerifyParams);
