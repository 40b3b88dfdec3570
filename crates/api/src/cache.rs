//! `cache`: what was fetched from the Autonomi network and is kept as blobs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::components::Direction;
use crate::method::{Access, Example, Visibility, methods, no_request_id, with_request_id};
use crate::wire::{
    BlobHash, Cursor, Deleted, Limit, Name, RequestId, Revision, Timestamp, UnsignedInteger,
    wire_object,
};

wire_object! {
    /// What a caller says of a cached content.
    pub struct CacheInput {
        /// Where it lies on the network.
        pub autonomi_address: Name,
        /// Its hash on the network.
        pub content_hash: Name,
        /// The blob it is kept as, which must be one that the caller can see.
        pub blob_hash: BlobHash,
        /// What it is.
        pub data_type: Name,
    }
}

/// A cached content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CacheEntry {
    /// Where it lies on the network.
    pub autonomi_address: Name,
    /// Its hash on the network.
    pub content_hash: Name,
    /// The blob it is kept as.
    pub blob_hash: BlobHash,
    /// Its size in bytes: the blob's.
    pub size: UnsignedInteger,
    /// What it is.
    pub data_type: Name,
    /// When it was put.
    pub cached_at: Timestamp,
    /// When it was last put or got.
    pub last_accessed: Timestamp,
    /// How often it was put or got.
    pub access_count: UnsignedInteger,
    /// The revision of its last change; being got does not change it.
    pub revision: Revision,
}

/// A page of the cache.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CachePage {
    /// The entries of this page.
    pub items: Vec<CacheEntry>,
    /// Where the next page begins; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<Cursor>,
}

/// What was evicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Evicted {
    /// How many entries.
    pub entries: u64,
    /// Their sizes together, in bytes.
    pub bytes: u64,
    /// What the entries that are left come to, in bytes.
    pub bytes_left: u64,
}

/// What the cache comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CacheTotals {
    /// How many entries there are.
    pub entries: u64,
    /// Their sizes together, in bytes.
    pub bytes: u64,
    /// How many bytes they would take more if those of the same content did not share it.
    pub saved_bytes: u64,
    /// Calls of `cache.get` that found something, since the start of the daemon.
    pub hits: u64,
    /// Calls of `cache.get` that found nothing, since the start of the daemon.
    pub misses: u64,
}

wire_object! {
    /// What `cache.put` takes.
    pub struct PutParams {
        /// The cached content.
        pub entry: CacheInput,
        /// Only if this is the entry's revision; 0: only if it is absent.
        pub if_revision: Option<Revision>,
        /// The caller's id of this request, for repeating it.
        pub request_id: Option<RequestId>,
    }
}
wire_object! {
    /// What `cache.get` and `cache.peek` take.
    pub struct GetParams {
        /// Where it lies on the network.
        pub autonomi_address: Name,
    }
}
wire_object! {
    /// What `cache.list` takes.
    pub struct ListParams {
        /// Only the content of this hash on the network.
        pub content_hash: Option<Name>,
        /// Which way by access; asc, the one to be evicted first, where left out.
        pub direction: Option<Direction>,
        /// At most this many items; 100 where left out.
        pub limit: Option<Limit>,
        /// Where to go on: the `nextCursor` of the page before.
        pub cursor: Option<Cursor>,
    }
}
wire_object! {
    /// What `cache.remove` takes.
    pub struct RemoveParams {
        /// Where it lies on the network.
        pub autonomi_address: Name,
        /// Only if this is the entry's revision; 0: only if it is absent.
        pub if_revision: Option<Revision>,
        /// The caller's id of this request, for repeating it.
        pub request_id: Option<RequestId>,
    }
}
wire_object! {
    /// What `cache.evict` takes.
    pub struct EvictParams {
        /// How many bytes of entries may be left.
        pub target_bytes: UnsignedInteger,
    }
}
wire_object! {
    /// What methods take that take nothing.
    pub struct NoParams {}
}
no_request_id!(GetParams, ListParams, EvictParams, NoParams);
with_request_id!(PutParams, RemoveParams);

methods! {
    "What was fetched from the Autonomi network and is kept as blobs.";

    /// Enters a content that was fetched, whether or not it is cached already.
    ///
    /// Its blob is kept for as long as the entry stands; a hash that is absent is `conflict`, reason
    /// `foreign_key`. It counts as an access.
    Put = "cache.put" {
        params: PutParams,
        result: CacheEntry,
        access: Access::Write,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [Conflict, DiskFull, IoError],
        examples: [Example {
            name: "a page",
            params: r#"{"entry":{"autonomiAddress":"ant://5c50","contentHash":"5c50","blobHash":"738e10c42fc3177b07bc6ea9c685e764abb4482c232963394fc91c4b30653745","dataType":"chunk"}}"#,
            result: r#"{"autonomiAddress":"ant://5c50","contentHash":"5c50","blobHash":"738e10c42fc3177b07bc6ea9c685e764abb4482c232963394fc91c4b30653745","size":14,"dataType":"chunk","cachedAt":1764028800,"lastAccessed":1764028800,"accessCount":1,"revision":1849708136857621}"#,
        }],
    }

    /// Reads an entry, and counts the access.
    ///
    /// The count is deferred: it may be lost in a crash within the flush interval (200 ms unless
    /// configured), and changes neither the revision nor the feed. The answer is as the entry was.
    Get = "cache.get" {
        params: GetParams,
        result: CacheEntry,
        access: Access::Read,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [NotFound],
        examples: [Example {
            name: "a page",
            params: r#"{"autonomiAddress":"ant://88df"}"#,
            result: r#"{"autonomiAddress":"ant://88df","contentHash":"88df","blobHash":"6ad8174f6bf39800fc92aed8ea0f99fd6490d83c821560d3d69f76b400177511","size":22,"dataType":"chunk","cachedAt":1764028800,"lastAccessed":1764028800,"accessCount":1,"revision":1849708136857622}"#,
        }],
    }

    /// Reads an entry without counting the access.
    Peek = "cache.peek" {
        params: GetParams,
        result: CacheEntry,
        access: Access::Read,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [NotFound],
        examples: [Example {
            name: "how often was it used?",
            params: r#"{"autonomiAddress":"ant://88df"}"#,
            result: r#"{"autonomiAddress":"ant://88df","contentHash":"88df","blobHash":"6ad8174f6bf39800fc92aed8ea0f99fd6490d83c821560d3d69f76b400177511","size":22,"dataType":"chunk","cachedAt":1764028800,"lastAccessed":1764028800,"accessCount":1,"revision":1849708136857622}"#,
        }],
    }

    /// Lists the cache in the order of access.
    List = "cache.list" {
        params: ListParams,
        result: CachePage,
        access: Access::Read,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [],
        examples: [Example {
            name: "what would go first",
            params: r#"{"limit":1}"#,
            result: r#"{"items":[{"autonomiAddress":"ant://88df","contentHash":"88df","blobHash":"6ad8174f6bf39800fc92aed8ea0f99fd6490d83c821560d3d69f76b400177511","size":22,"dataType":"chunk","cachedAt":1764028800,"lastAccessed":1764028800,"accessCount":1,"revision":1849708136857622}]}"#,
        }],
    }

    /// Removes an entry. Its blob stays for whoever else holds or names it.
    Remove = "cache.remove" {
        params: RemoveParams,
        result: Deleted,
        access: Access::Write,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [Conflict, DiskFull, IoError],
        examples: [Example {
            name: "a page that is out of date",
            params: r#"{"autonomiAddress":"ant://88df"}"#,
            result: r#"{"deleted":true}"#,
        }],
    }

    /// Removes the entries that were not accessed for longest, until so many bytes are left.
    ///
    /// The order is exact. An entry whose blob is pinned, or named by another record, is passed over:
    /// its blob would stay. A blob that nothing holds or names then is removed with its file.
    Evict = "cache.evict" {
        params: EvictParams,
        result: Evicted,
        access: Access::Write,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [DiskFull, IoError],
        examples: [Example {
            name: "down to a GiB",
            params: r#"{"targetBytes":1073741824}"#,
            result: r#"{"entries":0,"bytes":0,"bytesLeft":14}"#,
        }],
    }

    /// Says what the cache comes to.
    Stats = "cache.stats" {
        params: NoParams,
        result: CacheTotals,
        access: Access::Read,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [],
        examples: [Example {
            name: "how full",
            params: "{}",
            result: r#"{"entries":1,"bytes":14,"savedBytes":0,"hits":0,"misses":0}"#,
        }],
    }
}
