//! `blobs`: content of any size, addressed by its SHA-256, encrypted on disk.
//!
//! These methods carry content as base64 in JSON, for small blobs and for clients that can do nothing
//! else; `PUT /blobs` and `GET /blobs/{hash}` stream it over plain HTTP on the same listeners.

mod care;
mod contents;
mod uploads;

pub use care::*;
pub use contents::*;
pub use uploads::*;

use crate::jobs::Job;
use crate::method::{Access, Example, Visibility, methods};

methods! {
    "Content of any size, addressed by its SHA-256, encrypted on disk.";

    /// Stores a content.
    ///
    /// The same content is stored once, whoever puts it. It stays until it is deleted; with `pin: false`
    /// a record must name it within the grace (an hour of uptime), or it is collected. Putting it again
    /// renews the grace, and replaces its name, type, metadata and pin.
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

    /// Stores many contents, all or none.
    ///
    /// They share their syncs and their commit, so a thousand small ones cost little more than a few; each
    /// is stored as by `blobs.put`. Larger ones travel better over `POST /blobs`.
    PutMany = "blobs.putMany" {
        params: PutManyParams,
        result: StoredBlobs,
        access: Access::Write,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [Locked, QuotaExceeded, DiskFull, IoError, TooLarge],
        examples: [Example {
            name: "two short texts",
            params: r#"{"items":[{"data":"U2FsdXRvbiwgbW9uZG8hCg==","name":"saluton.txt"},{"data":"QWRpYcWtIQo=","contentType":"text/plain","pin":false}]}"#,
            result: r#"{"items":[{"hash":"e82ba0a93ea4054e83a09d5626d2d44d1cf08d0f6332e6d9afbed7d357e008e0","size":16,"created":true},{"hash":"d5c3c3ee9d767331957c9b834144ecd0fc499f61e351e816bdb1176057b58556","size":8,"created":true}]}"#,
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

    /// Removes contents that nothing keeps: a job.
    ///
    /// Those that nobody has pinned and no record names, once that has been so for the grace
    /// (`blobs.grace_ms`, an hour of uptime where not configured). The daemon does so by itself when nobody
    /// writes, and before it refuses a put for want of room. `result` is `{contents, bytes, storedBytes}`.
    /// Where one runs already, that one is answered.
    Collect = "blobs.collect" {
        params: CareParams,
        result: Job,
        access: Access::Admin,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [DiskFull, IoError],
        examples: [Example {
            name: "it begins",
            params: r#"{}"#,
            result: r#"{"jobId":"collect-2","kind":"collect","state":"running","done":0,"unit":"contents","createdAt":1764028800}"#,
        }],
    }

    /// Gives files that lie in `blobs/` and are in no list their place in it: a job.
    ///
    /// Such files are there after a crash, after an older database was put back, or because someone dropped
    /// them in. Each is read whole: one that is what its name says is the owner's from then on, pinned; one
    /// that is not is put aside, into `blobs/.quarantine`. Nothing is lost. The daemon does so by itself when
    /// its slow look through the folder finds any. `result` is `{files, adopted, bytes, quarantined,
    /// unreadable, removed}`.
    Adopt = "blobs.adopt" {
        params: CareParams,
        result: Job,
        access: Access::Admin,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [Locked, DiskFull, IoError],
        examples: [Example {
            name: "it begins",
            params: r#"{}"#,
            result: r#"{"jobId":"adopt-2","kind":"adopt","state":"running","done":0,"unit":"files","createdAt":1764028800}"#,
        }],
    }

    /// Reads one content, or all, and says which are not as they were put: a job.
    ///
    /// Every byte is authenticated and hashed. The file of a damaged one is put aside, into
    /// `blobs/.quarantine`, and its content is an `integrity_error` until the same content is put again,
    /// which heals it. `result` is `{contents, bytes, damaged, problems: [{hash, problem, quarantined}]}`.
    Verify = "blobs.verify" {
        params: VerifyParams,
        result: Job,
        access: Access::Admin,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [NotFound, Locked, DiskFull, IoError],
        examples: [Example {
            name: "all of them, at ten megabytes a second",
            params: r#"{"bytesPerSecond":10000000}"#,
            result: r#"{"jobId":"verify-2","kind":"verify","state":"running","done":0,"unit":"bytes","createdAt":1764028800}"#,
        }],
    }

    /// Writes files of format 0, such as were dropped in and adopted, anew as format 1: a job.
    ///
    /// They can be read before, each whole, and from then on in ranges. `result` is `{contents, bytes,
    /// damaged}`.
    Upgrade = "blobs.upgrade" {
        params: CareParams,
        result: Job,
        access: Access::Admin,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [Locked, DiskFull, IoError],
        examples: [Example {
            name: "it begins",
            params: r#"{}"#,
            result: r#"{"jobId":"upgrade-2","kind":"upgrade","state":"running","done":0,"unit":"contents","createdAt":1764028800}"#,
        }],
    }

    /// Begins an upload in chunks, which goes on after a lost connection and a restart of the daemon.
    ///
    /// Chunks are sent by `PUT /uploads/{uploadId}/{index}`, or by `blobs.uploadChunk`, in any order, each
    /// as often as need be; `blobs.commitUpload` makes a content of them. What was sent counts against the
    /// caller's limit, and is dropped when the upload was not touched for a day that the daemon was up
    /// (`blobs.upload_expiry_ms`). A caller has so many uploads under way at most (`blobs.uploads`,
    /// `blobs.uploads_per_component`). Not idempotent by nature: with a `requestId` a repeat gets the same
    /// upload.
    BeginUpload = "blobs.beginUpload" {
        params: BeginUploadParams,
        result: UploadBegun,
        access: Access::Write,
        visibility: Visibility::Own,
        idempotent: false,
        errors: [Conflict, QuotaExceeded, DiskFull, IoError],
        examples: [Example {
            name: "a film of 20 MB",
            params: r#"{"size":20000000,"contentType":"video/x-matroska","name":"film.mkv","requestId":"film-1"}"#,
            result: r#"{"uploadId":"4d1f0c7a3be1d248962f5f0c7a3be1d2","chunkBytes":8388608,"expiresAfterSeconds":86400,"present":false}"#,
        }],
    }

    /// Stores a chunk of an upload; it is on disk when this is answered.
    ///
    /// Each chunk but the last is exactly `chunkBytes` long, and none is empty. One that is sent again takes
    /// the place of the one before. Chunks over a megabyte travel better over
    /// `PUT /uploads/{uploadId}/{index}`.
    UploadChunk = "blobs.uploadChunk" {
        params: UploadChunkParams,
        result: ChunkReceived,
        access: Access::Write,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [NotFound, Conflict, Locked, QuotaExceeded, DiskFull, IoError, TooLarge],
        examples: [Example {
            name: "the first and last one of a short content",
            params: r#"{"uploadId":"4d1f0c7a3be1d248962f5f0c7a3be1d2","index":0,"data":"aGVsbG8sIG9zbm92YQo="}"#,
            result: r#"{"index":0,"size":14,"hash":"738e10c42fc3177b07bc6ea9c685e764abb4482c232963394fc91c4b30653745"}"#,
        }],
    }

    /// Says how far an upload is: which chunks are there, and, once it is committed, of which content.
    ///
    /// The owner sees everyone's; what he does with one is done for whose it is.
    UploadProgress = "blobs.uploadStatus" {
        params: UploadParams,
        result: UploadStatus,
        access: Access::Read,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [NotFound],
        examples: [Example {
            name: "one chunk is there",
            params: r#"{"uploadId":"4d1f0c7a3be1d248962f5f0c7a3be1d2"}"#,
            result: r#"{"uploadId":"4d1f0c7a3be1d248962f5f0c7a3be1d2","chunkBytes":65536,"pinned":true,"received":[{"from":0,"to":0}],"bytes":14,"createdAt":1764028800,"expiresAfterSeconds":86400,"committing":false}"#,
        }],
    }

    /// Lists the caller's uploads that are not committed, so that one whose id was lost can go on.
    ListUploads = "blobs.listUploads" {
        params: ListUploadsParams,
        result: UploadList,
        access: Access::Read,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [],
        examples: [Example {
            name: "all of them",
            params: r#"{}"#,
            result: r#"{"items":[{"uploadId":"4d1f0c7a3be1d248962f5f0c7a3be1d2","chunkBytes":65536,"pinned":true,"bytes":14,"createdAt":1764028800,"expiresAfterSeconds":86400,"committing":false}]}"#,
        }],
    }

    /// Makes a content of the chunks of an upload.
    ///
    /// It is a `conflict`, reason `transition`, with the `index` of the chunk, where one is missing, is too
    /// short to be followed by another, or was damaged on disk and must be sent again. What is committed can
    /// be committed again for as long as the upload is kept, with the same answer; two commits at once end
    /// as one. A commit goes on when its client has gone; one that a stop of the daemon ended is asked for
    /// again, and nothing that was sent is lost.
    CommitUpload = "blobs.commitUpload" {
        params: CommitUploadParams,
        result: BlobPut,
        access: Access::Write,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [NotFound, Conflict, Locked, QuotaExceeded, IntegrityError, DiskFull, IoError],
        examples: [Example {
            name: "a greeting in one chunk",
            params: r#"{"uploadId":"4d1f0c7a3be1d248962f5f0c7a3be1d2","chunks":1}"#,
            result: r#"{"hash":"738e10c42fc3177b07bc6ea9c685e764abb4482c232963394fc91c4b30653745","size":14,"created":true}"#,
        }],
    }

    /// Drops an upload and what was sent of it; a content that it was committed to stays.
    AbortUpload = "blobs.abortUpload" {
        params: UploadParams,
        result: crate::wire::Deleted,
        access: Access::Write,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [DiskFull, IoError],
        examples: [Example {
            name: "never mind",
            params: r#"{"uploadId":"4d1f0c7a3be1d248962f5f0c7a3be1d2"}"#,
            result: r#"{"deleted":true}"#,
        }],
    }
}
