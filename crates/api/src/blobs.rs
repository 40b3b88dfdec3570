//! `blobs`: content of any size, addressed by its SHA-256, encrypted on disk.
//!
//! These methods carry content as base64 in JSON, for small blobs and for clients that can do nothing
//! else; `PUT /blobs` and `GET /blobs/{hash}` stream it over plain HTTP on the same listeners.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::components::Direction;
use crate::method::{Access, Example, Visibility, methods, no_request_id};
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
    /// What `blobs.put` takes.
    pub struct PutParams {
        /// The content.
        pub data: Base64Data,
        /// What it is, as a media type.
        pub content_type: Option<Name>,
        /// What to call it.
        pub name: Option<Name>,
        /// What else to say of it.
        pub metadata: Option<JsonText>,
        /// Refuse the content unless this is its hash.
        pub expected_hash: Option<BlobHash>,
        /// Keep it until it is deleted (true where left out); with false a record must name it soon.
        pub pin: Option<bool>,
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
    GetParams,
    HashParams,
    DeleteParams,
    GrantParams,
    HasParams,
    ListParams,
    UsageParams
);

methods! {
    "Content of any size, addressed by its SHA-256, encrypted on disk.";

    /// Stores a content.
    ///
    /// The same content is stored once, whoever puts it. It stays until it is deleted; with `pin: false`
    /// a record must name it soon (within an hour of uptime), or it may be collected, which this
    /// version does not do yet. Putting it again replaces its name, type, metadata and pin.
    /// Content over a few megabytes travels better over `PUT /blobs`.
    Put = "blobs.put" {
        params: PutParams,
        result: BlobPut,
        access: Access::Write,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [Locked, QuotaExceeded, DiskFull, IoError, TooLarge],
        examples: [Example {
            name: "a short text",
            params: r#"{"data":"U2FsdXRvbiwgbW9uZG8hCg==","contentType":"text/plain","name":"saluton.txt"}"#,
            result: r#"{"hash":"e82ba0a93ea4054e83a09d5626d2d44d1cf08d0f6332e6d9afbed7d357e008e0","size":16,"created":true}"#,
        }],
    }

    /// Reads a content, or a part of it.
    ///
    /// What is read is authenticated before it is answered. Content over a few megabytes travels better
    /// over `GET /blobs/{hash}`.
    Get = "blobs.get" {
        params: GetParams,
        result: BlobData,
        access: Access::Read,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [NotFound, Locked, IntegrityError, IoError, TooLarge],
        examples: [Example {
            name: "the first five bytes",
            params: r#"{"hash":"738e10c42fc3177b07bc6ea9c685e764abb4482c232963394fc91c4b30653745","length":5}"#,
            result: r#"{"data":"aGVsbG8=","size":14,"contentType":"text/plain"}"#,
        }],
    }

    /// Says what is known of a content, without reading it.
    Stat = "blobs.stat" {
        params: HashParams,
        result: BlobStat,
        access: Access::Read,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [NotFound],
        examples: [Example {
            name: "a greeting",
            params: r#"{"hash":"738e10c42fc3177b07bc6ea9c685e764abb4482c232963394fc91c4b30653745"}"#,
            result: r#"{"hash":"738e10c42fc3177b07bc6ea9c685e764abb4482c232963394fc91c4b30653745","size":14,"contentType":"text/plain","name":"hello.txt","pinned":true,"createdAt":1764028800,"references":0,"storedSize":238,"codec":"none"}"#,
        }],
    }

    /// Says which of many contents are there.
    Has = "blobs.has" {
        params: HasParams,
        result: BlobsPresent,
        access: Access::Read,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [],
        examples: [Example {
            name: "one that is, one that is not",
            params: r#"{"hashes":["738e10c42fc3177b07bc6ea9c685e764abb4482c232963394fc91c4b30653745","0000000000000000000000000000000000000000000000000000000000000000"]}"#,
            result: r#"{"present":[true,false]}"#,
        }],
    }

    /// Lists blobs: a component's own, or all for the owner.
    List = "blobs.list" {
        params: ListParams,
        result: BlobPage,
        access: Access::Read,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [],
        examples: [Example {
            name: "the newest",
            params: r#"{"limit":1}"#,
            result: r#"{"items":[{"hash":"738e10c42fc3177b07bc6ea9c685e764abb4482c232963394fc91c4b30653745","size":14,"contentType":"text/plain","name":"hello.txt","pinned":true,"createdAt":1764028800,"references":0,"storedSize":238,"codec":"none"}],"nextCursor":"eyJ2IjoxLCJmIjoiUkxTY1dBZ2hDaGNMIiwiayI6WzE3NjQwMjg4MDAsIjczOGUxMGM0Il19"}"#,
        }],
    }

    /// Pins a content: it stays until the caller deletes it.
    Pin = "blobs.pin" {
        params: HashParams,
        result: BlobStat,
        access: Access::Write,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [NotFound, DiskFull, IoError],
        examples: [Example {
            name: "keep it",
            params: r#"{"hash":"738e10c42fc3177b07bc6ea9c685e764abb4482c232963394fc91c4b30653745"}"#,
            result: r#"{"hash":"738e10c42fc3177b07bc6ea9c685e764abb4482c232963394fc91c4b30653745","size":14,"contentType":"text/plain","name":"hello.txt","pinned":true,"createdAt":1764028800,"references":0,"storedSize":238,"codec":"none"}"#,
        }],
    }

    /// Takes the caller's pin off a content: it stays for as long as a record names it, or another pinned it.
    Unpin = "blobs.unpin" {
        params: HashParams,
        result: BlobStat,
        access: Access::Write,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [NotFound, DiskFull, IoError],
        examples: [Example {
            name: "let go",
            params: r#"{"hash":"738e10c42fc3177b07bc6ea9c685e764abb4482c232963394fc91c4b30653745"}"#,
            result: r#"{"hash":"738e10c42fc3177b07bc6ea9c685e764abb4482c232963394fc91c4b30653745","size":14,"contentType":"text/plain","name":"hello.txt","pinned":false,"createdAt":1764028800,"references":0,"storedSize":238,"codec":"none"}"#,
        }],
    }

    /// Lets a component see a content, as if it had put it.
    ///
    /// It sees the name, the type and the metadata that the owner sees. What is granted counts as held by
    /// the component; `blobs.delete` with its `componentId` takes the grant back.
    Grant = "blobs.grant" {
        params: GrantParams,
        result: BlobStat,
        access: Access::Write,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [NotFound, DiskFull, IoError],
        examples: [Example {
            name: "a greeting for the weather",
            params: r#"{"hash":"738e10c42fc3177b07bc6ea9c685e764abb4482c232963394fc91c4b30653745","componentId":"org.example.weather"}"#,
            result: r#"{"hash":"738e10c42fc3177b07bc6ea9c685e764abb4482c232963394fc91c4b30653745","size":14,"contentType":"text/plain","name":"hello.txt","pinned":true,"createdAt":1764028800,"references":0,"storedSize":238,"codec":"none"}"#,
        }],
    }

    /// Deletes what the caller holds of a content, and the content where nobody else holds it.
    ///
    /// It is a `conflict`, reason `referenced`, while a record that the caller may see names the content.
    /// The owner's call drops what everyone holds of it, or, with `componentId`, only what that component
    /// holds: so a grant is taken back.
    Delete = "blobs.delete" {
        params: DeleteParams,
        result: crate::wire::Deleted,
        access: Access::Write,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [Conflict, DiskFull, IoError],
        examples: [Example {
            name: "away with it",
            params: r#"{"hash":"738e10c42fc3177b07bc6ea9c685e764abb4482c232963394fc91c4b30653745"}"#,
            result: r#"{"deleted":true}"#,
        }],
    }

    /// Says how much the caller holds; for the owner, how much there is.
    Usage = "blobs.usage" {
        params: UsageParams,
        result: BlobUsage,
        access: Access::Read,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [],
        examples: [Example {
            name: "the whole store",
            params: r#"{}"#,
            result: r#"{"count":1,"bytes":14,"storedBytes":238,"limitBytes":10737418240}"#,
        }],
    }
}
