//! Uploads in chunks, that go on after a lost connection and a restart.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::method::{no_request_id, with_request_id};
use crate::wire::{
    Base64Data, BlobHash, ChunkBytes, ChunkIndex, JsonText, Name, RequestId, Timestamp,
    UnsignedInteger, UploadId, wire_object,
};

/// An upload that was begun.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UploadBegun {
    /// Its id, for all that follows.
    pub upload_id: UploadId,
    /// How long each chunk but the last is, in bytes.
    pub chunk_bytes: ChunkBytes,
    /// How long it is kept after it was last touched, in seconds that the daemon is up.
    pub expires_after_seconds: UnsignedInteger,
    /// Whether the caller can see a content of the expected hash: no chunk need be sent then, and
    /// `blobs.commitUpload` puts it once more under this name and type.
    pub present: bool,
}

/// A chunk that is on disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChunkReceived {
    /// Its place.
    pub index: ChunkIndex,
    /// Its length in bytes.
    pub size: UnsignedInteger,
    /// Its SHA-256.
    pub hash: BlobHash,
}

/// Chunks that were received, one behind the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChunkRange {
    /// The first of them.
    pub from: ChunkIndex,
    /// The last of them.
    pub to: ChunkIndex,
}

/// How far an upload is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UploadStatus {
    /// Its id.
    pub upload_id: UploadId,
    /// How long each chunk but the last is, in bytes.
    pub chunk_bytes: ChunkBytes,
    /// The size of the whole content in bytes, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<UnsignedInteger>,
    /// What the content is to be called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// What the caller said that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<Name>,
    /// The hash that the content must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_hash: Option<BlobHash>,
    /// Whether the content will stay until it is deleted.
    pub pinned: bool,
    /// Which chunks are there, in ascending order; at most the first thousand stretches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub received: Vec<ChunkRange>,
    /// How many bytes of it are there.
    pub bytes: UnsignedInteger,
    /// When it was begun.
    pub created_at: Timestamp,
    /// After how many more seconds that the daemon is up it is dropped, unless it is touched.
    pub expires_after_seconds: UnsignedInteger,
    /// Whether a commit of it runs.
    pub committing: bool,
    /// The hash of the content, once it is committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<BlobHash>,
}

/// The uploads of a caller that are not committed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UploadList {
    /// Those that were touched last come first. Their `received` is left out.
    pub items: Vec<UploadStatus>,
}

wire_object! {
    /// What `blobs.beginUpload` takes.
    pub struct BeginUploadParams {
        /// How many bytes there will be, where that is known.
        pub size: Option<UnsignedInteger>,
        /// How long each chunk but the last will be; 8 MiB where left out, more for a content that would
        /// have too many.
        pub chunk_bytes: Option<ChunkBytes>,
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
        /// The caller's id of this request, for repeating it.
        pub request_id: Option<RequestId>,
    }
}
wire_object! {
    /// What `blobs.uploadChunk` takes.
    pub struct UploadChunkParams {
        /// The upload.
        pub upload_id: UploadId,
        /// The place of the chunk, from 0.
        pub index: ChunkIndex,
        /// The chunk.
        pub data: Base64Data,
        /// Refuse the chunk unless this is its SHA-256.
        pub expected_hash: Option<BlobHash>,
    }
}
wire_object! {
    /// What names one upload.
    pub struct UploadParams {
        /// The upload.
        pub upload_id: UploadId,
    }
}
wire_object! {
    /// What `blobs.commitUpload` takes.
    pub struct CommitUploadParams {
        /// The upload.
        pub upload_id: UploadId,
        /// Refuse the content unless this is its hash.
        pub expected_hash: Option<BlobHash>,
        /// Refuse the content unless it has so many chunks.
        pub chunks: Option<UnsignedInteger>,
    }
}
wire_object! {
    /// What `blobs.listUploads` takes: nothing.
    pub struct ListUploadsParams {}
}
no_request_id!(UploadChunkParams, UploadParams, CommitUploadParams, ListUploadsParams);
with_request_id!(BeginUploadParams);
