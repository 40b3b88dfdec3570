//! `POST /`: from a body to a call or a batch, and from its answer to a response.
//!
//! A message of a WebSocket is answered by the same reader. The RPC library has one of its own, which is
//! not used: it takes a request whose id is not one (`-1`, `1.5`, an object) for a notification, so that
//! its client would wait for ever, and can't tell a body over the limit that comes in chunks from one
//! that broke off.

use std::sync::Arc;

use http::{HeaderValue, Method, StatusCode, header};
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use jsonrpsee::core::middleware::{Batch, BatchEntry, BatchEntryErr, Notification, RpcServiceT};
use jsonrpsee::server::{HttpResponse, MethodResponse, http::content_type_is_json};
use jsonrpsee::types::{ErrorCode as LibraryCode, Id, Request};
use osnova_storage_api::{ApiError, ErrorCode};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::body::Patient;
use super::{Incoming, plain};
use crate::access::{Credential, Held, LARGE_BYTES};
use crate::app::App;
use crate::rpc::{Opened, Rpc, error_body};

/// Answers a request on the path `/` that is not for a WebSocket.
pub(super) async fn answer(app: &App, rpc: &Rpc, request: Incoming) -> HttpResponse {
    if request.method() != Method::POST {
        let error = ApiError::new(ErrorCode::InvalidRequest, "JSON-RPC is taken by POST");
        let mut response = failed(StatusCode::METHOD_NOT_ALLOWED, Id::Null, &error);
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        return response;
    }
    if !content_type_is_json(&request) {
        let message = "JSON-RPC is taken as Content-Type: application/json";
        let error = ApiError::new(ErrorCode::InvalidRequest, message);
        return failed(StatusCode::UNSUPPORTED_MEDIA_TYPE, Id::Null, &error);
    }
    let (parts, body) = request.into_parts();
    let _room = match room(app, &parts, body.size_hint().exact()).await {
        Ok(room) => room,
        Err(error) => return super::unavailable(&error),
    };
    let body = Patient::new(body, app.limits.stall_timeout);
    let body = match Limited::new(body, app.limits.request_bytes).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            let error = ApiError::new(ErrorCode::TooLarge, "the request is larger than the limit");
            return failed(StatusCode::PAYLOAD_TOO_LARGE, Id::Null, &error);
        }
        Err(_) => {
            let error = ApiError::new(ErrorCode::InvalidRequest, "the request broke off");
            return failed(StatusCode::BAD_REQUEST, Id::Null, &error);
        }
    };
    // JSON-RPC errors are answers too, and have the status 200.
    match answer_text(rpc, &body, &parts.extensions).await {
        Some(Answer { text, room, .. }) => {
            let mut response = plain(StatusCode::OK, "application/json", text);
            if let Some(room) = room {
                response.extensions_mut().insert(room);
            }
            response
        }
        None => plain(StatusCode::NO_CONTENT, "application/json", String::new()),
    }
}

/// Waits for room for a large request, or one of unknown length.
async fn room(
    app: &App,
    parts: &http::request::Parts,
    length: Option<u64>,
) -> Result<Option<Held>, ApiError> {
    let small = length.is_some_and(|length| length <= LARGE_BYTES as u64);
    let Some(credential) = parts.extensions.get::<Arc<Credential>>().filter(|_| !small) else {
        return Ok(None);
    };
    let room = Arc::clone(&credential.account().large_requests).acquire_owned();
    match tokio::time::timeout(app.limits.stall_timeout, room).await {
        Ok(room) => Ok(room.ok().map(Arc::new)),
        Err(_) => Err(ApiError::unavailable("too many large requests are on their way", 1000)),
    }
}

/// An answer, the room it takes where it is large, to be held until it is taken, and the subscriptions
/// that begin once it is on its way.
pub(super) struct Answer {
    pub(super) text: String,
    pub(super) room: Option<Held>,
    pub(super) opened: Option<Opened>,
}

impl From<String> for Answer {
    fn from(text: String) -> Self {
        Self { text, room: None, opened: None }
    }
}

/// Answers a text: a call or a batch, or what is neither. None where only notifications were in it.
/// The credential of whoever sent it stands in the extensions.
pub(super) async fn answer_text(
    rpc: &Rpc,
    text: &[u8],
    extensions: &http::Extensions,
) -> Option<Answer> {
    let not_json = || {
        let error = ApiError::new(ErrorCode::ParseError, "the request is not JSON");
        Some(error_body(Id::Null, &error).into())
    };
    let Ok(text) = std::str::from_utf8(text) else { return not_json() };
    if !text.trim_start().starts_with('[') {
        return match entry(text, extensions) {
            Ok(BatchEntry::Call(request)) => written(rpc.call(request).await),
            Ok(BatchEntry::Notification(notice)) => written(rpc.notification(notice).await),
            Err(_) if serde_json::from_str::<IgnoredAny>(text).is_err() => not_json(),
            Err(id) => {
                let message = "the request is not a JSON-RPC 2.0 request";
                Some(error_body(id, &ApiError::new(ErrorCode::InvalidRequest, message)).into())
            }
        };
    }
    let Ok(entries) = serde_json::from_str::<Vec<&RawValue>>(text) else { return not_json() };
    let entries = entries.into_iter().map(|text| {
        entry(text.get(), extensions)
            .map_err(|id| BatchEntryErr::new(id, LibraryCode::InvalidRequest.into()))
    });
    let batch = Batch::from(entries.collect::<Vec<_>>());
    written(rpc.batch(batch).await)
}

/// Reads a request or a notification; the id to answer to where it is neither.
fn entry<'a>(text: &'a str, extensions: &http::Extensions) -> Result<BatchEntry<'a>, Id<'a>> {
    if let Ok(mut request) = serde_json::from_str::<Request<'a>>(text) {
        request.extensions = extensions.clone();
        return Ok(BatchEntry::Call(request));
    }
    /// Only its id: a null is an id as well.
    #[derive(Deserialize)]
    struct Identified<'a> {
        #[serde(borrow, default, deserialize_with = "present")]
        id: Option<&'a RawValue>,
    }
    match serde_json::from_str::<Identified<'a>>(text) {
        Ok(Identified { id: Some(id) }) => Err(serde_json::from_str(id.get()).unwrap_or(Id::Null)),
        Ok(Identified { id: None }) => serde_json::from_str::<Notification<'a>>(text)
            .map(BatchEntry::Notification)
            .map_err(|_| Id::Null),
        Err(_) => Err(Id::Null),
    }
}

fn present<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

/// The text of an answer; notifications have none.
fn written(answer: MethodResponse) -> Option<Answer> {
    if answer.is_notification() {
        return None;
    }
    let (text, _, mut extensions) = answer.into_parts();
    let room = extensions.remove::<Held>();
    let opened = extensions.remove::<Opened>();
    Some(Answer { text: Box::<str>::from(text).into_string(), room, opened })
}

fn failed(status: StatusCode, id: Id<'_>, error: &ApiError) -> HttpResponse {
    plain(status, "application/json", error_body(id, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_notifications_and_neither() {
        let read = |text| match entry(text, &http::Extensions::new()) {
            Ok(BatchEntry::Call(request)) => format!("call {}", request.id),
            Ok(BatchEntry::Notification(_)) => "notification".to_owned(),
            Err(id) => format!("invalid {id}"),
        };
        for (text, expected) in [
            (r#"{"jsonrpc":"2.0","id":7,"method":"m"}"#, "call 7"),
            (r#"{"jsonrpc":"2.0","id":null,"method":"m"}"#, "call null"),
            (r#"{"jsonrpc":"2.0","method":"m","params":[]}"#, "notification"),
            (r#"{"jsonrpc":"2.0","method":"m"}"#, "notification"),
            (r#"{"jsonrpc":"2.0","id":-1,"method":"m"}"#, "invalid null"),
            (r#"{"jsonrpc":"2.0","id":1.5,"method":"m"}"#, "invalid null"),
            (r#"{"jsonrpc":"2.0","id":{},"method":"m"}"#, "invalid null"),
            (r#"{"jsonrpc":"2.0","id":7}"#, "invalid 7"),
            (r#"{"jsonrpc":"1.0","id":"x","method":"m"}"#, "invalid x"),
            (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"m"}"#, "invalid null"),
            ("{}", "invalid null"),
            ("7", "invalid null"),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }
}
