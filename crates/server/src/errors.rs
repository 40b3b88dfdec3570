//! From failures to what the caller is told: the one place where internal errors get an incident and
//! go to the log, and where the RPC library's own errors are rewritten.

use osnova_storage_api::{ApiError, ErrorCode};
use osnova_storage_core::{Store, StoreError};

/// What the caller is told of a failed operation; logs what he is not told.
pub(crate) fn to_api(store: &Store, error: &StoreError) -> ApiError {
    store.note_error(error);
    let mut told = error.to_api();
    match told.code() {
        ErrorCode::InternalError => {
            let incident = incident();
            tracing::error!(incident, %error, "internal error");
            told.data.incident = Some(incident);
        }
        ErrorCode::IntegrityError | ErrorCode::IoError | ErrorCode::DiskFull => {
            tracing::warn!(%error, "a call failed");
        }
        _ => {}
    }
    told
}

/// An internal error of the daemon itself, logged with its cause.
pub(crate) fn internal(cause: &str) -> ApiError {
    let incident = incident();
    tracing::error!(incident, cause, "internal error");
    let mut told = ApiError::new(ErrorCode::InternalError, "internal error");
    told.data.incident = Some(incident);
    told
}

/// The error of one among many things that were sent together: its fields are named within it.
pub(crate) fn within(path: &str, error: StoreError) -> StoreError {
    match error {
        StoreError::Refused(error) => error.within(path).into(),
        other => other,
    }
}

/// A random name under which the log tells more.
fn incident() -> String {
    // Uniqueness is all that is asked of it; the hasher's keys are random for each call.
    use std::hash::{BuildHasher, RandomState};
    format!("{:016x}", RandomState::new().hash_one(std::time::Instant::now()))
}

/// The error in place of one of the RPC library's own, known by its code. The library uses codes that
/// are other things here, so none of them may pass.
pub(crate) fn instead_of_library_error(code: i32) -> ApiError {
    let (code, message) = match code {
        -32700 => (ErrorCode::ParseError, "the request is not JSON"),
        -32601 => (ErrorCode::MethodNotFound, "there is no method of this name"),
        -32602 => (ErrorCode::InvalidParams, "params must be an object or an array"),
        -32600 => (ErrorCode::InvalidRequest, "the request is not a JSON-RPC 2.0 request"),
        // Request, response, batch and batch response too large (jsonrpsee-types, error.rs).
        -32007 => (ErrorCode::TooLarge, "the request is larger than the limit"),
        -32008 => (ErrorCode::TooLarge, "the answer is larger than the limit"),
        -32010 => (ErrorCode::TooLarge, "the batch has more calls than the limit"),
        -32011 => (ErrorCode::TooLarge, "the answers of the batch are larger than the limit"),
        -32009 => return ApiError::unavailable("the daemon is busy", 100),
        _ => return internal("the RPC library failed"),
    };
    ApiError::new(code, message)
}
