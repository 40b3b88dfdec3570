//! `storage`: each component's own key-value records, sealed in the database.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::method::{Access, Example, Visibility, methods, no_request_id, with_request_id};
use crate::wire::{
    ComponentId, Cursor, JsonText, Limit, RequestId, Revision, StorageKey, Timestamp, TtlSeconds,
    UnsignedInteger, wire_object,
};

/// A stored value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoredValue {
    /// Its key.
    pub key: StorageKey,
    /// The value, as the text that was given.
    pub value: JsonText,
    /// When it was last written.
    pub updated_at: Timestamp,
    /// When it expires; absent where it never does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The revision of its last change.
    pub revision: Revision,
}

/// That a value was written. It does not say the value back: answers are kept in clear under a
/// `requestId`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WrittenValue {
    /// Its key.
    pub key: StorageKey,
    /// Its new revision.
    pub revision: Revision,
}

/// The values that were written, in the order they were given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WrittenValues {
    /// What was written.
    pub items: Vec<WrittenValue>,
}

/// What a list says of a value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListedValue {
    /// Its key.
    pub key: StorageKey,
    /// How long the value's text is, in bytes.
    pub size: UnsignedInteger,
    /// When it was last written.
    pub updated_at: Timestamp,
    /// When it expires; absent where it never does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The revision of its last change.
    pub revision: Revision,
    /// The value, where values were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<JsonText>,
}

/// A page of values, by key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ValuePage {
    /// The values of this page.
    pub items: Vec<ListedValue>,
    /// Where the next page begins; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<Cursor>,
}

wire_object! {
    /// What `storage.read` takes.
    pub struct ReadParams {
        /// The key to read.
        pub key: StorageKey,
        /// Whose value it is; the owner must say it.
        pub component_id: Option<ComponentId>,
    }
}
wire_object! {
    /// What `storage.write` takes.
    pub struct WriteParams {
        /// The key to write.
        pub key: StorageKey,
        /// Its new value; null is a value.
        pub value: JsonText,
        /// How long it is to live; for ever where left out, whatever was said before.
        pub ttl_seconds: Option<TtlSeconds>,
        /// Whose value it is; the owner must say it.
        pub component_id: Option<ComponentId>,
        /// Only if this is the value's revision; 0: only if there is none.
        pub if_revision: Option<Revision>,
        /// The caller's id of this request, for repeating it.
        pub request_id: Option<RequestId>,
    }
}
wire_object! {
    /// One value among many to write.
    pub struct ValueInput {
        /// The key to write.
        pub key: StorageKey,
        /// Its new value; null is a value.
        pub value: JsonText,
        /// How long it is to live; for ever where left out, whatever was said before.
        pub ttl_seconds: Option<TtlSeconds>,
        /// Only if this is the value's revision; 0: only if there is none.
        pub if_revision: Option<Revision>,
    }
}
wire_object! {
    /// What `storage.writeMany` takes.
    pub struct WriteManyParams {
        /// The values to write, at most 1000.
        pub items: Vec<ValueInput>,
        /// Whose values they are; the owner must say it.
        pub component_id: Option<ComponentId>,
        /// The caller's id of this request, for repeating it.
        pub request_id: Option<RequestId>,
    }
}
wire_object! {
    /// What `storage.list` takes.
    pub struct ListParams {
        /// Only keys that begin with this.
        pub prefix: Option<StorageKey>,
        /// At most this many items; 100 where left out.
        pub limit: Option<Limit>,
        /// Where to go on: the `nextCursor` of the page before.
        pub cursor: Option<Cursor>,
        /// Whether to answer the values too.
        pub values: Option<bool>,
        /// Whose values they are; the owner must say it.
        pub component_id: Option<ComponentId>,
    }
}
wire_object! {
    /// What `storage.delete` takes.
    pub struct DeleteParams {
        /// The key to delete.
        pub key: StorageKey,
        /// Whose value it is; the owner must say it.
        pub component_id: Option<ComponentId>,
        /// Only if this is the value's revision; 0: only if there is none.
        pub if_revision: Option<Revision>,
        /// The caller's id of this request, for repeating it.
        pub request_id: Option<RequestId>,
    }
}
no_request_id!(ReadParams, ListParams);
with_request_id!(DeleteParams);
with_request_id!(sealed: WriteParams, WriteManyParams [items]);

methods! {
    "Each component's own key-value records: JSON values, sealed in the database.";

    /// Reads one value.
    ///
    /// Answers `not_found` where the key was never written, was deleted, or has expired. Needs the
    /// master key.
    Read = "storage.read" {
        params: ReadParams,
        result: StoredValue,
        access: Access::Read,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [NotFound, Locked, IntegrityError],
        examples: [Example {
            name: "the places of the weather component",
            params: r#"{"key":"places/home","componentId":"org.example.weather"}"#,
            result: r#"{"key":"places/home","value":{"latitude":52.5,"longitude":13.4},"updatedAt":1764028800,"revision":1849708136857601}"#,
        }],
    }

    /// Writes one value, whether or not there was one before.
    ///
    /// The value is kept as the text that was given, sealed under a key of the component's own; its key,
    /// its size and its times stand in clear. With `ttlSeconds` it expires: from then on nobody sees it,
    /// and it is deleted some time later. With `ifRevision` it is written only if nobody else has changed
    /// it since it was read. The answer does not hold the value. Needs the master key.
    Write = "storage.write" {
        params: WriteParams,
        result: WrittenValue,
        access: Access::Write,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [NotFound, Conflict, Locked, QuotaExceeded, DiskFull, IoError],
        examples: [
            Example {
                name: "the last forecast, for an hour",
                params: r#"{"key":"forecast","value":{"sky":"clear"},"ttlSeconds":3600,"componentId":"org.example.weather"}"#,
                result: r#"{"key":"forecast","revision":1849708136857602}"#,
            },
            Example {
                name: "only if there is none yet, and safe to repeat",
                params: r#"{"key":"places/work","value":null,"componentId":"org.example.weather","ifRevision":0,"requestId":"first-start-1"}"#,
                result: r#"{"key":"places/work","revision":1849708136857603}"#,
            },
        ],
    }

    /// Writes many values, all or none.
    ///
    /// Where one can't be written none is, and the error's `index` says which.
    WriteMany = "storage.writeMany" {
        params: WriteManyParams,
        result: WrittenValues,
        access: Access::Write,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [NotFound, Conflict, Locked, QuotaExceeded, DiskFull, IoError],
        examples: [Example {
            name: "two at once",
            params: r#"{"items":[{"key":"places/north","value":[60,25]},{"key":"places/south","value":[-34,18],"ttlSeconds":86400}],"componentId":"org.example.weather"}"#,
            result: r#"{"items":[{"key":"places/north","revision":1849708136857604},{"key":"places/south","revision":1849708136857605}]}"#,
        }],
    }

    /// Lists keys in their order, all or those that begin with a prefix; with `values` their values too.
    ///
    /// Without `values` it needs no master key.
    List = "storage.list" {
        params: ListParams,
        result: ValuePage,
        access: Access::Read,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [NotFound, Locked, IntegrityError],
        examples: [
            Example {
                name: "which places there are",
                params: r#"{"prefix":"places/","componentId":"org.example.weather"}"#,
                result: r#"{"items":[{"key":"places/home","size":34,"updatedAt":1764028800,"revision":1849708136857601}]}"#,
            },
            Example {
                name: "the places themselves",
                params: r#"{"prefix":"places/","values":true,"componentId":"org.example.weather"}"#,
                result: r#"{"items":[{"key":"places/home","size":34,"updatedAt":1764028800,"revision":1849708136857601,"value":{"latitude":52.5,"longitude":13.4}}]}"#,
            },
        ],
    }

    /// Deletes one value.
    ///
    /// Answers that there was none where it has expired. Needs no master key.
    Delete = "storage.delete" {
        params: DeleteParams,
        result: crate::wire::Deleted,
        access: Access::Write,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [NotFound, Conflict, DiskFull, IoError],
        examples: [Example {
            name: "forget a place",
            params: r#"{"key":"places/home","componentId":"org.example.weather"}"#,
            result: r#"{"deleted":true}"#,
        }],
    }
}
