//! HTTP: one request at a time, from its bytes to JSON-RPC or to one of the plain routes.
//!
//! `/` is JSON-RPC by POST and by WebSocket; `/blobs` and `/uploads` stream contents; `/healthz` says ok. A path may
//! begin with `/t/<token>`, for clients that can't set headers.

mod blobs;
mod body;
mod calls;
mod many;
mod multipart;
mod range;
mod uploads;
mod websocket;

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, put};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use jsonrpsee::server::{HttpBody, HttpRequest, HttpResponse};
use jsonrpsee::types::Id;
use osnova_storage_api::status::Health;
use osnova_storage_api::{ApiError, ErrorCode};
use tower::ServiceExt;

use self::body::Watched;
use crate::access::{Credential, audit, cors};
use crate::app::App;
use crate::listen::Connection;
use crate::rpc::{Rpc, error_body};

/// A request as it comes in.
type Incoming = HttpRequest<Watched<hyper::body::Incoming>>;

/// Serves the requests of all connections.
#[derive(Clone)]
pub(crate) struct Http {
    app: Arc<App>,
    rpc: Rpc,
    routes: Router,
}

impl Http {
    /// The service of this daemon.
    pub(crate) fn new(app: Arc<App>) -> Self {
        let routes = Router::new()
            .route("/blobs", put(blobs::put).post(many::post))
            .route("/blobs/{hash}", get(blobs::get).head(blobs::head))
            .route("/uploads/{upload_id}/{index}", put(uploads::put))
            .fallback(no_such_route)
            .method_not_allowed_fallback(no_such_method)
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(&app));
        Self { rpc: Rpc::new(Arc::clone(&app)), app, routes }
    }

    /// Answers one request of a connection.
    pub(crate) async fn answer(
        self,
        connection: Arc<Connection>,
        request: HttpRequest<hyper::body::Incoming>,
    ) -> Result<HttpResponse, Infallible> {
        let mut request = request.map(|body| Watched::new(body, Arc::clone(&connection)));
        let path_token = take_path_token(&mut request);
        if request.uri().path() == "/healthz" {
            return Ok(self.health());
        }
        let is_rpc = request.uri().path() == "/";
        if let Err(error) = self.app.gate.check_origin(connection.peer(), &request) {
            return Ok(turned_away(&connection, is_rpc, &error));
        }
        let cors = cors(request.headers());
        if let Some(preflight) = cors.as_ref().and_then(|cors| cors.preflight(&request)) {
            return Ok(preflight);
        }
        let admitted = self
            .app
            .gate
            .identify(connection.peer(), &request, path_token.as_deref())
            .and_then(|credential| connection.identified(&credential).map(|()| credential));
        let mut response = match admitted {
            Ok(credential) => self.serve(&connection, credential, request, is_rpc).await,
            Err(error) => turned_away(&connection, is_rpc, &error),
        };
        if let Some(cors) = cors {
            cors.apply(&mut response);
        }
        Ok(response)
    }

    /// Serves a request whose sender is known.
    async fn serve(
        self,
        connection: &Arc<Connection>,
        credential: Arc<Credential>,
        mut request: Incoming,
        is_rpc: bool,
    ) -> HttpResponse {
        if is_rpc && websocket::is_asked_for(&request) {
            return websocket::upgrade(&self.app, self.rpc, connection, credential, request).await;
        }
        request.extensions_mut().insert(credential);
        if is_rpc {
            return calls::answer(&self.app, &self.rpc, request).await;
        }
        let Ok(response) = self.routes.oneshot(request).await;
        response.map(HttpBody::new)
    }

    /// `GET /healthz`: says only ok or not, to whoever asks.
    fn health(&self) -> HttpResponse {
        let well = self.app.store.status("").status != Health::Error;
        if well && !self.app.is_stopping() {
            plain(StatusCode::OK, "text/plain", "ok\n".to_owned())
        } else {
            plain(StatusCode::SERVICE_UNAVAILABLE, "text/plain", "not ok\n".to_owned())
        }
    }
}

/// The answer to a request that is not let in. Its connection ends: whoever guesses must connect anew
/// for each guess, and a crowd does not lie idle. What it still sends is thrown away for a while, so that
/// it reads this answer (`listen/timed.rs`).
fn turned_away(connection: &Connection, is_rpc: bool, error: &ApiError) -> HttpResponse {
    let route = if is_rpc { "/" } else { "another route" };
    audit::turned_away(connection.peer(), route, error);
    let body = if is_rpc { error_body(Id::Null, error) } else { error_object(error) };
    let mut response = refused(error, body);
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Takes `/t/<token>` off the front of the path, so that nothing behind sees or logs it.
fn take_path_token<B>(request: &mut Request<B>) -> Option<String> {
    let path_and_query = request.uri().path_and_query()?.as_str();
    let rest = path_and_query.strip_prefix("/t/")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let token = rest[..end].to_owned();
    let rest = &rest[end..];
    let path = if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") };
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    // A part of a path that was valid is valid; "/" in its place would only be not found.
    parts.path_and_query = path.parse().ok().or_else(|| "/".parse().ok());
    *request.uri_mut() = http::Uri::from_parts(parts).unwrap_or_default();
    Some(token)
}

/// A response with a whole body.
fn plain(status: StatusCode, content_type: &'static str, body: String) -> HttpResponse {
    let mut response = Response::new(HttpBody::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// The status of an error's code.
fn status_of(error: &ApiError) -> StatusCode {
    StatusCode::from_u16(error.code().http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn refused(error: &ApiError, body: String) -> HttpResponse {
    let mut response = plain(status_of(error), "application/json", body);
    if error.code() == ErrorCode::Unauthorized {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some(millis) = error.data.retry_after_ms {
        let seconds = HeaderValue::from(millis.div_ceil(1000));
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}

/// The body of a plain route's failure: the error object itself.
fn error_object(error: &ApiError) -> String {
    serde_json::to_string(error).unwrap_or_default()
}

/// The answer on `/` to a caller who has too much of something.
fn unavailable(error: &ApiError) -> HttpResponse {
    refused(error, error_body(Id::Null, error))
}

async fn no_such_route() -> Response<axum::body::Body> {
    failure(&ApiError::new(ErrorCode::NotFound, "there is no such route"))
}

async fn no_such_method(method: Method) -> Response<axum::body::Body> {
    let error = ApiError::new(ErrorCode::InvalidRequest, format!("{method} is not taken here"));
    let mut response = failure(&error);
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
}

/// The response of a plain route that failed.
fn failure(error: &ApiError) -> Response<axum::body::Body> {
    refused(error, error_object(error)).map(axum::body::Body::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_in_the_path_is_taken_out() {
        for (path, token, rest) in [
            ("/t/secret/", Some("secret"), "/"),
            ("/t/secret", Some("secret"), "/"),
            ("/t/secret/blobs?pin=false", Some("secret"), "/blobs?pin=false"),
            ("/t/secret?x=1", Some("secret"), "/?x=1"),
            ("/t//", Some(""), "/"),
            ("/blobs", None, "/blobs"),
            ("/", None, "/"),
        ] {
            let mut request = Request::builder().uri(path).body(()).unwrap();
            assert_eq!(take_path_token(&mut request).as_deref(), token, "{path}");
            assert_eq!(request.uri().to_string(), rest, "{path}");
        }
    }
}
