//! `PUT /uploads/{uploadId}/{index}`: a chunk of an upload, streamed.
//!
//! What [`super::blobs`] is to `blobs.put` this is to `blobs.uploadChunk`: the same credentials, scopes and
//! bounds, and a body that ends early is no chunk.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use http::{HeaderMap, Response};
use osnova_storage_api::blobs::{ChunkReceived, UploadChunk};
use osnova_storage_api::wire::{BlobHash, ChunkIndex, HexError, UploadId};
use osnova_storage_api::{ApiError, Method};
use osnova_storage_core::blob::PutChunk;

use super::blobs::{receive, traced};
use crate::access::{self, Credential};
use crate::app::App;

/// The upload and the place that a path names, or why it names none.
type ChunkPath = Result<Path<(String, String)>, PathRejection>;

/// `PUT /uploads/{uploadId}/{index}`: stores the body as a chunk.
pub(super) async fn put(
    State(app): State<Arc<App>>,
    Extension(credential): Extension<Arc<Credential>>,
    path: ChunkPath,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    content: Body,
) -> Response<Body> {
    let answer = store(&app, &credential, path, query.as_deref(), &headers, content);
    traced(&UploadChunk::SPEC, &credential, answer).await
}

async fn store(
    app: &Arc<App>,
    credential: &Arc<Credential>,
    path: ChunkPath,
    query: Option<&str>,
    headers: &HeaderMap,
    content: Body,
) -> Result<ChunkReceived, ApiError> {
    access::admit(credential, &UploadChunk::SPEC)?;
    let put = put_params(path, query, headers)?;
    receive(app, credential, content, move |store, caller, mut source| {
        let keys = store.vault().keys()?;
        store.blobs().put_chunk(store.db(), &keys, caller, &mut source, &put)
    })
    .await
}

/// Which chunk a request puts.
fn put_params(
    path: ChunkPath,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<PutChunk, ApiError> {
    let (upload_id, index) = path.map(|path| path.0).unwrap_or_default();
    let upload_id: UploadId =
        upload_id.parse().map_err(|why: String| ApiError::field("uploadId", why))?;
    let index = Some(index.as_str())
        .filter(|digits| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit()))
        .and_then(|digits| digits.parse::<u32>().ok())
        .filter(|index| i64::from(*index) <= ChunkIndex::MAX)
        .ok_or_else(|| {
            let why = format!("must be an integer from 0 to {}", ChunkIndex::MAX);
            ApiError::field("index", why)
        })?;
    if query.is_some_and(|query| !query.is_empty()) {
        return Err(ApiError::field("query", "is not taken here"));
    }
    let expected_hash = headers
        .get("x-expected-hash")
        .map(|value| value.to_str().ok().ok_or(HexError).and_then(str::parse::<BlobHash>))
        .transpose()
        .map_err(|why| ApiError::field("x-expected-hash", why.to_string()))?;
    Ok(PutChunk { upload_id, index: ChunkIndex(index), expected_hash })
}
