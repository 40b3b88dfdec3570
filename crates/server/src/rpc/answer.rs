//! Answers: results and errors as JSON-RPC responses.

use std::io::{self, Write};

use jsonrpsee::server::{MethodResponse, ResponsePayload};
use jsonrpsee::types::{ErrorObjectOwned, Id};
use osnova_storage_api::ApiError;
use osnova_storage_core::StoreError;
use serde::Serialize;

use crate::errors::instead_of_library_error;

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

/// How long the result of a response may be.
pub(super) fn room_for_result(id: &Id<'_>, max_bytes: usize) -> usize {
    let around = r#"{"jsonrpc":"2.0","id":,"result":}"#.len();
    // An id is a text, a number or null, which can always be written.
    let id = serde_json::to_string(id).map_or(0, |id| id.len());
    max_bytes.saturating_sub(around + id)
}

/// Whether a result is no longer than this.
///
/// # Errors
/// Where it can't be written as JSON.
pub(super) fn fits<T: Serialize>(result: &T, max_bytes: usize) -> Result<bool, StoreError> {
    let mut room = Room { left: max_bytes, over: false };
    match serde_json::to_writer(&mut room, result) {
        Ok(()) => Ok(true),
        Err(_) if room.over => Ok(false),
        Err(error) => Err(StoreError::Internal(format!("an answer can't be written: {error}"))),
    }
}

/// Counts what is written to it, and fails where it is too much.
struct Room {
    left: usize,
    over: bool,
}

impl Write for Room {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(left) = self.left.checked_sub(bytes.len()) else {
            self.over = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        };
        self.left = left;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The response with this error.
pub(super) fn error(id: Id<'_>, error: &ApiError) -> MethodResponse {
    let object =
        ErrorObjectOwned::owned(error.code().code(), error.message.clone(), Some(&*error.data));
    MethodResponse::error(id, object)
}

/// A whole JSON-RPC error response, for failures before a request reached its method.
pub(crate) fn error_body(id: Id<'_>, failure: &ApiError) -> String {
    error(id, failure).as_ref().to_owned()
}
