//! `PUT /blobs` and `GET`/`HEAD /blobs/{hash}`: contents of any size, streamed.
//!
//! Base64 in JSON costs a third more and memory; here a content passes in constant memory. A body
//! that ends early is never stored, and a failure after the first byte resets the connection.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use osnova_storage_api::blobs::{BlobPut, Get, Put};
use osnova_storage_api::wire::{BlobHash, HexError, JsonText, Name};
use osnova_storage_api::{ApiError, ErrorCode, Method, MethodSpec};
use osnova_storage_core::blob::{OpenBlob, Parts, PutBlob};
use osnova_storage_core::db::blobs::Holding;
use osnova_storage_core::{Caller, Store, StoreError};
use tokio::sync::oneshot;

use super::body::{self, BodyWriter, IncomingReader, Patient};
use super::range::{self, Asked};
use super::{error_object, failure, status_of};
use crate::access::audit::Trace;
use crate::access::{self, Credential, Permit};
use crate::app::App;
use crate::errors;

/// When a stream that found too many others may be tried again.
const RETRY_AFTER_MS: u64 = 100;
/// Browsers embed a content in no foreign page (the Fetch standard, section 3.7).
const CROSS_ORIGIN_RESOURCE_POLICY: header::HeaderName =
    header::HeaderName::from_static("cross-origin-resource-policy");
const NOT_SATISFIABLE: &str = "lies behind the end of the content";

/// The answer to a route that does what a method does, noted as a call of that method.
pub(super) async fn traced<T: serde::Serialize>(
    spec: &MethodSpec,
    credential: &Credential,
    answer: impl Future<Output = Result<T, ApiError>>,
) -> Response<Body> {
    let traced = Trace::start(spec, credential);
    let answer = answer.await;
    traced.finish(answer.as_ref().err().map(|error| error.code().code()));
    match answer {
        Ok(answer) => json(StatusCode::OK, &answer),
        Err(error) => failure(&error),
    }
}

/// `PUT /blobs`: stores the body.
pub(super) async fn put(
    State(app): State<Arc<App>>,
    Extension(credential): Extension<Arc<Credential>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    content: Body,
) -> Response<Body> {
    let answer = store(&app, &credential, query.as_deref(), &headers, content);
    traced(&Put::SPEC, &credential, answer).await
}

async fn store(
    app: &Arc<App>,
    credential: &Arc<Credential>,
    query: Option<&str>,
    headers: &HeaderMap,
    content: Body,
) -> Result<BlobPut, ApiError> {
    access::admit(credential, &Put::SPEC)?;
    let mut put = described(headers, pinned(query)?)?;
    let limit = app.store.blobs().limits().of(credential.caller());
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    put.length = announced.and_then(|length| length.parse().ok());
    if put.length.is_some_and(|length| length > limit) {
        let message = "the content is larger than all that the caller may hold";
        return Err(ApiError::new(ErrorCode::QuotaExceeded, message));
    }
    receive(app, credential, content, move |store, caller, mut source| {
        let keys = store.vault().keys()?;
        store.blobs().put(store.db(), &keys, caller, &mut source, &put)
    })
    .await
}

/// Hands a body to a job on a thread that blocks, within the bounds of streams.
pub(super) async fn receive<T: Send + 'static>(
    app: &Arc<App>,
    credential: &Arc<Credential>,
    content: Body,
    job: impl FnOnce(&Store, &Caller, IncomingReader) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, ApiError> {
    let permits = StreamPermits::take(app, credential)?;
    let content = Patient::new(content, app.limits.stall_timeout);
    let (source, feed) = body::reader(content, Arc::clone(credential));
    let (worker, caller) = (Arc::clone(app), Arc::clone(credential.caller()));
    // The job runs to its end even where the client hangs up meanwhile: what it locks is its own.
    let stored = tokio::task::spawn_blocking(move || {
        let _permits = permits;
        job(&worker.store, &caller, source)
    });
    feed.await;
    match stored.await {
        // It was cut off.
        Ok(Err(_)) if !credential.is_valid() => Err(access::unauthorized()),
        Ok(stored) => stored.map_err(|error| errors::to_api(&app.store, &error)),
        Err(error) => Err(errors::internal(&error.to_string())),
    }
}

/// The hash of a path, or why it is none: a path may hold what is not even text.
type HashPath = Result<Path<String>, PathRejection>;

/// `GET /blobs/{hash}`: the content, or a range of it.
pub(super) async fn get(
    state: State<Arc<App>>,
    credential: Extension<Arc<Credential>>,
    hash: HashPath,
    headers: HeaderMap,
) -> Response<Body> {
    serve(state.0, credential.0, hash, headers, true).await
}

/// `HEAD /blobs/{hash}`: what `GET` would answer, without the content.
pub(super) async fn head(
    state: State<Arc<App>>,
    credential: Extension<Arc<Credential>>,
    hash: HashPath,
    headers: HeaderMap,
) -> Response<Body> {
    serve(state.0, credential.0, hash, headers, false).await
}

async fn serve(
    app: Arc<App>,
    credential: Arc<Credential>,
    hash: HashPath,
    headers: HeaderMap,
    with_content: bool,
) -> Response<Body> {
    let traced = Trace::start(&Get::SPEC, &credential);
    let opened = open(&app, &credential, hash).await;
    traced.finish(opened.as_ref().err().map(|error| error.code().code()));
    match opened {
        Ok(opened) => respond(&app, &credential, opened, &headers, with_content).await,
        Err(error) => failure(&error),
    }
}

async fn open(
    app: &Arc<App>,
    credential: &Arc<Credential>,
    hash: HashPath,
) -> Result<(OpenBlob, StreamPermits), ApiError> {
    access::admit(credential, &Get::SPEC)?;
    let hash = hash.map(|hash| hash.0).unwrap_or_default();
    let hash: BlobHash =
        hash.parse().map_err(|why: HexError| ApiError::field("hash", why.to_string()))?;
    let permits = StreamPermits::take(app, credential)?;
    let (worker, caller) = (Arc::clone(app), Arc::clone(credential.caller()));
    let opened = tokio::task::spawn_blocking(move || {
        let keys = worker.store.vault().keys()?;
        worker.store.blobs().open(worker.store.db(), &keys, &caller, &hash)
    });
    match opened.await {
        Ok(Ok(blob)) => Ok((blob, permits)),
        Ok(Err(error)) => Err(errors::to_api(&app.store, &error)),
        Err(error) => Err(errors::internal(&error.to_string())),
    }
}

/// Answers with the part of an open content that the headers ask for.
async fn respond(
    app: &Arc<App>,
    credential: &Arc<Credential>,
    (blob, permits): (OpenBlob, StreamPermits),
    headers: &HeaderMap,
    with_content: bool,
) -> Response<Body> {
    let size = blob.size();
    let etag = format!("\"{}\"", blob.hash());
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let known = text(header::IF_NONE_MATCH).is_some_and(|list| {
        list.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
    });
    // A range of another content than the client has begun is of no use to it.
    let same = text(header::IF_RANGE).is_none_or(|tag| tag.trim() == etag);
    let asked = if same { range::parse(text(header::RANGE), size) } else { Asked::Whole };
    let (status, offset, length) = match asked {
        _ if known => (StatusCode::NOT_MODIFIED, 0, 0),
        Asked::Whole => (StatusCode::OK, 0, size),
        Asked::Part { offset, length } => (StatusCode::PARTIAL_CONTENT, offset, length),
        Asked::Unsatisfiable => {
            let mut response = failure(&ApiError::field("range", NOT_SATISFIABLE));
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            set(&mut response, header::CONTENT_RANGE, &format!("bytes */{size}"));
            return response;
        }
    };
    let content_type =
        blob.content_type().map_or("application/octet-stream", Name::as_str).to_owned();
    let content = if with_content && length > 0 {
        let content = match blob.parts(offset, length) {
            Ok(parts) => stream(app, credential, parts, length, permits).await,
            Err(error) => Err(error),
        };
        match content {
            Ok(content) => content,
            Err(error) => return failure(&errors::to_api(&app.store, &error)),
        }
    } else {
        Body::empty()
    };
    let mut response = Response::new(content);
    *response.status_mut() = status;
    set(&mut response, header::ETAG, &etag);
    // The content under a hash never changes.
    set(&mut response, header::CACHE_CONTROL, "private, max-age=31536000, immutable");
    if known {
        return response;
    }
    set(&mut response, header::CONTENT_TYPE, &content_type);
    set(&mut response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    // A content that is a page must be no page of the daemon's: it could read all that is here.
    set(&mut response, header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'");
    set(&mut response, CROSS_ORIGIN_RESOURCE_POLICY, "same-origin");
    set(&mut response, header::ACCEPT_RANGES, "bytes");
    set(&mut response, header::CONTENT_LENGTH, &length.to_string());
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {offset}-{}/{size}", offset + length - 1);
        set(&mut response, header::CONTENT_RANGE, &range);
    }
    response
}

/// A body that a blocking thread reads, authenticates and sends part by part.
///
/// The first part is read before the answer begins, so that a failure there can still be told; a
/// later one can only break the answer off.
async fn stream(
    app: &Arc<App>,
    credential: &Arc<Credential>,
    mut parts: Parts,
    length: u64,
    permits: StreamPermits,
) -> Result<Body, StoreError> {
    let (writer, body) = body::writer(length, Arc::clone(credential));
    let (begin, begun) = oneshot::channel();
    let app = Arc::clone(app);
    tokio::task::spawn_blocking(move || {
        let _permits = permits;
        let first = match parts.next_part() {
            Ok(first) => first,
            // Nobody hears it where the client has hung up.
            Err(error) => return drop(begin.send(Err(error))),
        };
        drop(begin.send(Ok(())));
        if let Err(error) = send_all(first, &mut parts, &writer) {
            errors::to_api(&app.store, &error);
            writer.send(Err(std::io::Error::other("the content can't be read")));
        }
    });
    let ended = |_| Err(StoreError::Internal("a blob stream ended early".to_owned()));
    begun.await.unwrap_or_else(ended)?;
    Ok(Body::new(body))
}

/// Sends all parts; ends early where the client has hung up.
fn send_all(
    first: Option<Vec<u8>>,
    parts: &mut Parts,
    writer: &BodyWriter,
) -> Result<(), StoreError> {
    let mut next = first;
    while let Some(part) = next {
        if !writer.send(Ok(Bytes::from(part))) {
            return Ok(());
        }
        next = parts.next_part()?;
    }
    Ok(())
}

/// That a stream may be open: one permit of the daemon's, one of the caller's.
pub(super) struct StreamPermits {
    _all: Permit,
    _callers: Permit,
}

impl StreamPermits {
    pub(super) fn take(app: &App, credential: &Credential) -> Result<Self, ApiError> {
        let busy = || ApiError::unavailable("too many blob streams are open", RETRY_AFTER_MS);
        let callers = credential.account().streams.take().ok_or_else(busy)?;
        Ok(Self { _callers: callers, _all: app.streams.take().ok_or_else(busy)? })
    }
}

/// What headers say of a content.
pub(super) fn described(headers: &HeaderMap, pinned: bool) -> Result<PutBlob, ApiError> {
    let text = |name: &'static str| {
        headers
            .get(name)
            .map(|value| value.to_str().map_err(|_| ApiError::field(name, "must be ASCII")))
            .transpose()
    };
    let parse_name =
        |field, text: String| Name::try_from(text).map_err(|why| ApiError::field(field, why));
    let content_type = text("content-type")?
        .map(|text| parse_name("content-type", text.to_owned()))
        .transpose()?;
    let name =
        text("x-name")?.map(|text| parse_name("x-name", percent_decoded(text)?)).transpose()?;
    let metadata = text("x-metadata")?
        .map(|text| {
            JsonText::parse(text.to_owned()).map_err(|why| ApiError::field("x-metadata", why))
        })
        .transpose()?;
    let expected_hash = text("x-expected-hash")?
        .map(|text| {
            text.parse().map_err(|why| ApiError::field("x-expected-hash", format!("{why}")))
        })
        .transpose()?;
    let holding = Holding { name, content_type, metadata, pinned };
    Ok(PutBlob { holding, expected_hash, length: None })
}

/// Whether the query of a put says that its contents are pinned.
pub(super) fn pinned(query: Option<&str>) -> Result<bool, ApiError> {
    let mut pinned = true;
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        pinned = match pair {
            "pin=true" => true,
            "pin=false" => false,
            _ if pair.starts_with("pin=") => {
                return Err(ApiError::field("pin", "must be true or false"));
            }
            _ => return Err(ApiError::field("query", "takes only pin")),
        };
    }
    Ok(pinned)
}

/// Headers are ASCII, so `X-Name` is percent-encoded UTF-8 (RFC 3986, section 2.1).
fn percent_decoded(text: &str) -> Result<String, ApiError> {
    let bad = || ApiError::field("x-name", "must be percent-encoded UTF-8");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%' {
            let digits = rest.get(..2).filter(|pair| pair.iter().all(u8::is_ascii_hexdigit));
            let value = digits
                .and_then(|digits| std::str::from_utf8(digits).ok())
                .and_then(|digits| u8::from_str_radix(digits, 16).ok());
            bytes.push(value.ok_or_else(bad)?);
            rest = &rest[2..];
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).map_err(|_| bad())
}

fn set(response: &mut Response<Body>, name: header::HeaderName, value: &str) {
    // A stored content type is printable, but may hold what a header can't.
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

pub(super) fn json<T: serde::Serialize>(status: StatusCode, value: &T) -> Response<Body> {
    let body = serde_json::to_string(value);
    match body {
        Ok(body) => {
            let mut response = Response::new(Body::from(body));
            *response.status_mut() = status;
            set(&mut response, header::CONTENT_TYPE, "application/json");
            response
        }
        Err(error) => {
            let error = errors::internal(&error.to_string());
            let mut response = Response::new(Body::from(error_object(&error)));
            *response.status_mut() = status_of(&error);
            response
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_decoded() {
        assert_eq!(percent_decoded("a%20b%C3%A9.txt").unwrap(), "a bé.txt");
        for bad in ["%", "%2", "%zz", "%ff", "%+1"] {
            assert!(percent_decoded(bad).is_err(), "{bad}");
        }
    }
}
