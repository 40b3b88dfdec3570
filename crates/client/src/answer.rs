//! Reading what the daemon answered: results, and errors in each of the forms they travel in.

use osnova_storage_api::{ApiError, ErrorCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::error::{ClientError, Fault};

/// What jsonrpsee answers, without `data`, to a message over its limit on a WebSocket.
const LIBRARY_TOO_LARGE: i32 = -32007;

/// A JSON-RPC response.
#[derive(Deserialize)]
struct Response<R> {
    #[serde(default = "none")]
    result: Option<R>,
    error: Option<ErrorObject>,
}

fn none<R>() -> Option<R> {
    None
}

/// An error object of which no more is asked than JSON-RPC does.
#[derive(Deserialize)]
struct ErrorObject {
    code: i32,
    #[serde(default)]
    message: String,
    data: Option<Box<RawValue>>,
}

/// Reads a JSON-RPC response, or, from a plain HTTP route or a proxy's error page, what can be made of it.
pub(crate) fn rpc<R: DeserializeOwned>(method: &str, status: u16, body: &[u8]) -> Result<R, Fault> {
    match serde_json::from_slice::<Response<R>>(body) {
        Ok(Response { error: Some(error), .. }) => Err(ClientError::from(error).into()),
        Ok(Response { result: Some(result), .. }) => Ok(result),
        // An answer of null reads as none at all.
        Ok(_) if status == 200 => {
            serde_json::from_str("null").map_err(|error| unreadable(method, &error).into())
        }
        Ok(_) => Err(failure(method, status, body)),
        Err(error) if status == 200 => Err(unreadable(method, &error).into()),
        Err(_) => Err(failure(method, status, body)),
    }
}

/// Reads the error that a plain HTTP route answered: the error object, bare or in a JSON-RPC response.
pub(crate) fn failure(method: &str, status: u16, body: &[u8]) -> Fault {
    if let Ok(error) = serde_json::from_slice::<ErrorObject>(body) {
        return ClientError::from(error).into();
    }
    if let Ok(Response::<Box<RawValue>> { error: Some(error), .. }) = serde_json::from_slice(body) {
        return ClientError::from(error).into();
    }
    let why = "without an error object: what listens there may not be the daemon";
    let error = from_status(method, status, why);
    match error.code() {
        Some(ErrorCode::Unavailable) => Fault::Unexplained(error),
        _ => Fault::Final(error),
    }
}

/// What an HTTP status says by itself; `why` says why there is no more.
pub(crate) fn from_status(method: &str, status: u16, why: &str) -> ClientError {
    let code = match status {
        401 => ErrorCode::Unauthorized,
        403 => ErrorCode::Forbidden,
        404 => ErrorCode::NotFound,
        413 => ErrorCode::TooLarge,
        429 | 503 => ErrorCode::Unavailable,
        _ => {
            return ClientError::Answer {
                method: method.to_owned(),
                why: format!("HTTP status {status} {why}"),
            };
        }
    };
    ApiError::new(code, format!("HTTP status {status} {why}")).into()
}

/// Reads an error object that another library has taken apart.
pub(crate) fn error_object(code: i32, message: &str, data: Option<&RawValue>) -> ClientError {
    ErrorObject { code, message: message.to_owned(), data: data.map(ToOwned::to_owned) }.into()
}

fn unreadable(method: &str, error: &serde_json::Error) -> ClientError {
    ClientError::Answer { method: method.to_owned(), why: error.to_string() }
}

impl From<ErrorObject> for ClientError {
    fn from(object: ErrorObject) -> Self {
        let data = object.data.as_ref().and_then(|data| serde_json::from_str(data.get()).ok());
        if let Some(data) = data {
            return ApiError { message: object.message, data: Box::new(data) }.into();
        }
        // No data, or data with a word that this version does not know: the code still says what it is.
        let known = match object.code {
            LIBRARY_TOO_LARGE => Some(ErrorCode::TooLarge),
            code => ErrorCode::from_code(code),
        };
        match known {
            Some(code) => ApiError::new(code, object.message).into(),
            None => ClientError::UnknownError { code: object.code, message: object.message },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code_of(status: u16, body: &str) -> Option<ErrorCode> {
        match rpc::<bool>("a.b", status, body.as_bytes()).unwrap_err() {
            Fault::Final(error) | Fault::Unexplained(error) => error.code(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn results_and_null() {
        assert!(rpc::<bool>("a.b", 200, br#"{"jsonrpc":"2.0","id":1,"result":true}"#).unwrap());
        assert_eq!(rpc::<Option<u8>>("a.b", 200, br#"{"id":1,"result":null}"#).unwrap(), None);
        let raw: Box<RawValue> = rpc("a.b", 200, br#"{"id":1,"result":{ "a":1.0 }}"#).unwrap();
        assert_eq!(raw.get(), r#"{ "a":1.0 }"#);
        assert!(rpc::<Box<RawValue>>("a.b", 200, b"<html>").is_err());
    }

    #[test]
    fn errors_in_every_form() {
        let object = r#"{"code":-32001,"message":"no","data":{"code":"not_found"}}"#;
        assert_eq!(
            code_of(200, &format!(r#"{{"id":1,"error":{object}}}"#)),
            Some(ErrorCode::NotFound)
        );
        assert_eq!(code_of(404, object), Some(ErrorCode::NotFound));
        assert_eq!(code_of(401, ""), Some(ErrorCode::Unauthorized));
        assert_eq!(code_of(503, "busy"), Some(ErrorCode::Unavailable));
        assert_eq!(
            code_of(200, r#"{"error":{"code":-32007,"message":"big"}}"#),
            Some(ErrorCode::TooLarge)
        );
        let newer =
            r#"{"error":{"code":-32021,"message":"x","data":{"code":"conflict","reason":"new"}}}"#;
        assert_eq!(code_of(200, newer), Some(ErrorCode::Conflict));
        assert_eq!(code_of(200, r#"{"error":{"code":-31999,"message":"x"}}"#), None);
        assert_eq!(code_of(500, "oops"), None);
    }
}
