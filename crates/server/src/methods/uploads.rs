//! `blobs`: uploads in chunks. Chunks as plain bodies are in [`crate::http`].

use osnova_storage_api::blobs::{
    AbortUpload, BeginUpload, ChunkReceived, CommitUpload, ListUploads, UploadChunk,
    UploadChunkParams, UploadProgress,
};
use osnova_storage_core::Caller;
use osnova_storage_core::blob::PutChunk;
use osnova_storage_core::db::blobs::uploads;
use osnova_storage_core::error::Result;

use crate::app::App;
use crate::rpc::Registry;

pub(super) fn register(registry: &mut Registry) {
    registry.write::<BeginUpload>(uploads::begin);
    registry.blocking::<UploadChunk>(put_chunk);
    registry.blocking::<UploadProgress>(|app, caller, params| {
        app.store.blobs().upload_status(app.store.db(), caller, params)
    });
    registry.blocking_large::<ListUploads>(|app, caller, _| {
        app.store.blobs().list_uploads(app.store.db(), caller)
    });
    registry.blocking::<CommitUpload>(|app, caller, params| {
        let keys = app.store.vault().keys()?;
        app.store.blobs().commit_upload(app.store.db(), &keys, caller, params)
    });
    registry.blocking::<AbortUpload>(|app, caller, params| {
        app.store.blobs().abort_upload(app.store.db(), caller, params)
    });
}

fn put_chunk(app: &App, caller: &Caller, params: &UploadChunkParams) -> Result<ChunkReceived> {
    let keys = app.store.vault().keys()?;
    let put = PutChunk {
        upload_id: params.upload_id.clone(),
        index: params.index,
        expected_hash: params.expected_hash,
    };
    let mut source = params.data.0.as_slice();
    app.store.blobs().put_chunk(app.store.db(), &keys, caller, &mut source, &put)
}
