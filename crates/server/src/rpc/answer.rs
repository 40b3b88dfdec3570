//! Answers: results and errors as JSON-RPC responses, and the mark that tells ours from the library's.

use jsonrpsee::server::{MethodResponse, ResponsePayload};
use jsonrpsee::types::{ErrorObjectOwned, Id};
use osnova_storage_api::{ApiError, ErrorCode};
use serde::Serialize;

use crate::errors::instead_of_library_error;

/// What kind of answer a response is. It travels in the response's extensions; a response without it
/// was made by the RPC library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An answer to a call or a batch.
    Answer,
    /// No answer: there was nothing but notifications.
    Nothing,
}

/// The mark.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ours(pub(crate) Kind);

/// Marks a response as ours.
pub(super) fn marked(mut response: MethodResponse, kind: Kind) -> MethodResponse {
    response.extensions_mut().insert(Ours(kind));
    response
}

/// The response with this result, or with `too_large` where it is over the limit.
pub(super) fn result<T: Serialize + Clone>(
    id: Id<'_>,
    result: Result<T, ApiError>,
    max_bytes: usize,
) -> MethodResponse {
    match result {
        Ok(value) => {
            let response =
                MethodResponse::response(id.clone(), ResponsePayload::success(value), max_bytes);
            match response.as_error_code() {
                Some(code) => error(id, &instead_of_library_error(code)),
                None => response,
            }
        }
        Err(failure) => error(id, &failure),
    }
}

/// The response with this error.
pub(super) fn error(id: Id<'_>, error: &ApiError) -> MethodResponse {
    let object =
        ErrorObjectOwned::owned(error.code().code(), error.message.clone(), Some(&*error.data));
    MethodResponse::error(id, object)
}

/// A whole JSON-RPC error response with the id null, for failures before a request was read.
pub(crate) fn error_body(failure: &ApiError) -> String {
    error(Id::Null, failure).as_ref().to_owned()
}

/// The body in place of one that the library made for a request it could not read.
pub(crate) fn rewrite_library_body(status: http::StatusCode, body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Theirs<'a> {
        #[serde(borrow)]
        id: Id<'a>,
        error: Code,
    }
    #[derive(serde::Deserialize)]
    struct Code {
        code: i32,
    }
    match serde_json::from_slice::<Theirs<'_>>(body) {
        Ok(theirs) => {
            let told = instead_of_library_error(theirs.error.code);
            error(theirs.id, &told).as_ref().to_owned()
        }
        Err(_) => {
            let message = match status {
                http::StatusCode::METHOD_NOT_ALLOWED => "JSON-RPC is taken by POST",
                http::StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                    "JSON-RPC is taken as Content-Type: application/json"
                }
                _ => "the request is not a JSON-RPC 2.0 request",
            };
            error_body(&ApiError::new(ErrorCode::InvalidRequest, message))
        }
    }
}
