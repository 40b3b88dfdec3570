//! Answers: results and errors as JSON-RPC responses.

use jsonrpsee::server::{MethodResponse, ResponsePayload};
use jsonrpsee::types::{ErrorObjectOwned, Id};
use osnova_storage_api::ApiError;
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
