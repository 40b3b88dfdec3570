//! Contents as they are put, read and listed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::components::Direction;
use crate::method::no_request_id;
use crate::wire::{
    Base64Data, BlobHash, ComponentId, Cursor, JsonText, Limit, Name, Timestamp, UnsignedInteger,
    wire_enum, wire_object,
};

wire_enum! {
    /// What a list of blobs is ordered by.
    pub enum BlobOrder {
        /// When the caller put it.
        CreatedAt = "createdAt",
        /// Its hash.
        Hash = "hash",
    }
}

/// What `blobs.put` and `PUT /blobs` answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BlobPut {
    /// The content's address.
    pub hash: BlobHash,
    /// Its size in bytes.
    pub size: UnsignedInteger,
    /// Whether the caller did not hold it before.
    pub created: bool,
}

/// What `blobs.putMany` and `POST /blobs` answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StoredBlobs {
    /// One answer for each content, in the order they were given.
    pub items: Vec<BlobPut>,
}

/// A part of a content, or the whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BlobData {
    /// The bytes asked for.
    pub data: Base64Data,
    /// The size of the whole content in bytes.
    pub size: UnsignedInteger,
    /// What the caller said it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<Name>,
}

/// What is known of a content without reading it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BlobStat {
    /// Its address.
    pub hash: BlobHash,
    /// Its size in bytes.
    pub size: UnsignedInteger,
    /// What the caller said it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<Name>,
    /// What the caller called it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// What else the caller said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<JsonText>,
    /// Whether the caller pinned it (for the owner: anyone did): it stays until it is deleted.
    pub pinned: bool,
    /// When the caller put it; for the owner, when it was first put.
    pub created_at: Timestamp,
    /// How many records name it, as far as the caller may see them.
    pub references: UnsignedInteger,
    /// Its size on disk in bytes; for the owner only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_size: Option<UnsignedInteger>,
    /// How it is stored: `none` or `zstd`; for the owner only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codec: Option<String>,
}

/// Which of the contents asked for the caller can see.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BlobsPresent {
    /// One answer for each hash, in the order they were given.
    pub present: Vec<bool>,
}

/// A page of blobs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BlobPage {
    /// The blobs of this page.
    pub items: Vec<BlobStat>,
    /// Where the next page begins; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<Cursor>,
}

/// How much is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BlobUsage {
    /// How many contents the caller holds; for the owner, all there are.
    pub count: UnsignedInteger,
    /// Their size in bytes.
    pub bytes: UnsignedInteger,
    /// Their size on disk in bytes; for the owner only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_bytes: Option<UnsignedInteger>,
    /// How many bytes the caller may hold; for the owner, how many the whole store may take on disk.
    pub limit_bytes: UnsignedInteger,
}

wire_object! {
    /// A content that is put, and what is said of it.
    pub struct BlobInput {
        /// The content.
        pub data: Base64Data,
        /// What it is, as a media type.
        pub content_type: Option<Name>,
        /// What to call it.
        pub name: Option<Name>,
        /// What else to say of it.
        pub metadata: Option<JsonText>,
        /// Refuse the whole put unless this is its hash.
        pub expected_hash: Option<BlobHash>,
        /// Keep it until it is deleted (true where left out); with false a record must name it soon.
        pub pin: Option<bool>,
    }
}
/// What `blobs.put` takes.
pub type PutParams = BlobInput;

wire_object! {
    /// What `blobs.putMany` takes.
    pub struct PutManyParams {
        /// The contents, at most 1000.
        pub items: Vec<BlobInput>,
    }
}
wire_object! {
    /// What `blobs.get` takes.
    pub struct GetParams {
        /// The content to read.
        pub hash: BlobHash,
        /// The first byte to read; 0 where left out.
        pub offset: Option<UnsignedInteger>,
        /// At most this many bytes; to the end where left out.
        pub length: Option<UnsignedInteger>,
    }
}
wire_object! {
    /// What names one content.
    pub struct HashParams {
        /// The content.
        pub hash: BlobHash,
    }
}
wire_object! {
    /// What `blobs.delete` takes.
    pub struct DeleteParams {
        /// The content.
        pub hash: BlobHash,
        /// For the owner: drop only what this component holds of it. A component may name itself.
        pub component_id: Option<ComponentId>,
    }
}
wire_object! {
    /// What `blobs.grant` takes.
    pub struct GrantParams {
        /// The content.
        pub hash: BlobHash,
        /// Who shall see it.
        pub component_id: ComponentId,
        /// Whether it stays until that component deletes it (true where left out).
        pub pin: Option<bool>,
    }
}
wire_object! {
    /// What `blobs.has` takes.
    pub struct HasParams {
        /// The contents asked for, at most 1000.
        pub hashes: Vec<BlobHash>,
    }
}
wire_object! {
    /// What `blobs.list` takes.
    pub struct ListParams {
        /// Only those that the caller (for the owner: anyone) pinned, or did not.
        pub pinned: Option<bool>,
        /// What to order by; createdAt where left out. Ties are ordered by hash.
        pub order_by: Option<BlobOrder>,
        /// Which way; desc where left out, but asc by hash.
        pub direction: Option<Direction>,
        /// At most this many items; 100 where left out.
        pub limit: Option<Limit>,
        /// Where to go on: the `nextCursor` of the page before.
        pub cursor: Option<Cursor>,
    }
}
wire_object! {
    /// What `blobs.usage` takes: nothing.
    pub struct UsageParams {}
}
no_request_id!(
    PutParams,
    PutManyParams,
    GetParams,
    HashParams,
    DeleteParams,
    GrantParams,
    HasParams,
    ListParams,
    UsageParams
);
