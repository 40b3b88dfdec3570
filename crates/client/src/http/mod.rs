//! Calls over HTTP: a request, its connection from the pool, its answer.

mod body;
mod connection;
mod early;
mod pool;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use http::{Method, Request, Response};
use hyper::body::Incoming;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

use crate::answer;
use crate::endpoint::Endpoint;
use crate::error::{ClientError, Fault};
use crate::prepared::Prepared;

pub(crate) use body::{Body, ReaderBody};
pub(crate) use connection::Connection;
pub(crate) use pool::Pool;

use connection::SendFault;

/// The answer to a plain HTTP request that is an error object is never longer than this.
const MAX_ERROR_BYTES: usize = 1 << 20;

/// What requests have in common.
pub(crate) struct Http {
    pub(crate) pool: Arc<Pool>,
    host: HeaderValue,
    authorization: Option<HeaderValue>,
    request_timeout: Duration,
    max_response_bytes: usize,
    /// One permit for each call that may have a connection of its own.
    calls: Semaphore,
}

impl Http {
    pub(crate) fn new(
        endpoint: &Endpoint,
        authorization: Option<HeaderValue>,
        request_timeout: Duration,
        max_response_bytes: usize,
        max_connections: usize,
    ) -> Result<Self, ClientError> {
        let host = HeaderValue::from_str(&endpoint.host())
            .map_err(|_| ClientError::Params("the endpoint's host can't be sent".to_owned()))?;
        Ok(Self {
            pool: Arc::new(Pool::new(endpoint.address.clone())),
            host,
            authorization,
            request_timeout,
            max_response_bytes,
            calls: Semaphore::new(max_connections),
        })
    }

    /// Whether requests carry a token.
    pub(crate) fn has_token(&self) -> bool {
        self.authorization.is_some()
    }

    /// Makes a connection, so that one knows that it can be made.
    pub(crate) async fn reach(&self) -> Result<(), Fault> {
        let connection = self.pool.take().await.map_err(Fault::NotSent)?;
        self.pool.put_back(connection);
        Ok(())
    }

    /// One try of a call.
    pub(crate) async fn call<R: DeserializeOwned>(&self, call: &Prepared) -> Result<R, Fault> {
        // The semaphore is never closed; without it the call would only run unbounded.
        let _permit = self.calls.acquire().await.ok();
        let request = self
            .request(Method::POST, "/")
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(Body::from(call.request.clone()));
        let exchange = async {
            let (mut connection, response) = self.exchange(built(request)?).await?;
            let status = response.status().as_u16();
            let body = connection.collect(response, self.max_response_bytes, &call.method).await?;
            self.pool.put_back(connection);
            answer::rpc(&call.method, status, &body)
        };
        match tokio::time::timeout(self.request_timeout, exchange).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Fault::TimedOut(self.request_timeout)),
        }
    }

    /// A request with what every request carries.
    pub(crate) fn request(&self, method: Method, target: &str) -> http::request::Builder {
        let request = Request::builder().method(method).uri(target).header(HOST, &self.host);
        match &self.authorization {
            Some(value) => request.header(AUTHORIZATION, value),
            None => request,
        }
    }

    /// Sends a request and waits for the head of its response. A connection of the pool that turns
    /// out to be closed is replaced, for as long as not a byte of the request was sent.
    pub(crate) async fn exchange(
        &self,
        mut request: Request<Body>,
    ) -> Result<(Connection, Response<Incoming>), Fault> {
        loop {
            let mut connection = self.pool.take().await.map_err(Fault::NotSent)?;
            match connection.send(request).await {
                Ok(response) => return Ok((connection, response)),
                Err(SendFault::NotSent(back, _)) if connection.was_used() => request = *back,
                Err(SendFault::NotSent(_, why)) => return Err(Fault::NotSent(why)),
                Err(SendFault::Failed(fault)) => return Err(fault),
            }
        }
    }

    /// Reads the error object of a response that is not what was asked for.
    pub(crate) async fn refusal(
        &self,
        mut connection: Connection,
        response: Response<Incoming>,
        what: &str,
    ) -> Fault {
        let status = response.status().as_u16();
        match connection.collect(response, MAX_ERROR_BYTES, what).await {
            Ok(body) => answer::failure(what, status, &body),
            // The head was read: what it says is known, though the rest is lost.
            Err(_) => answer::from_status(what, status, "whose body was lost").into(),
        }
    }

    /// Reads the whole of a short answer, and gives the connection back.
    pub(crate) async fn short_answer(
        &self,
        mut connection: Connection,
        response: Response<Incoming>,
        what: &str,
    ) -> Result<Bytes, Fault> {
        let body = connection.collect(response, self.max_response_bytes, what).await?;
        self.pool.put_back(connection);
        Ok(body)
    }
}

/// A request whose parts may have held something that can't be sent.
pub(crate) fn built(request: Result<Request<Body>, http::Error>) -> Result<Request<Body>, Fault> {
    request.map_err(|error| ClientError::Params(error.to_string()).into())
}
