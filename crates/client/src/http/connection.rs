//! One HTTP connection, driven by whoever uses it.
//!
//! hyper splits a connection into a sender and a future that does the IO. Usually that future is
//! spawned; here the two stay together, and the IO is done by the task that waits for the answer.
//! That saves two hops between tasks for each call, ends with the caller where the call is dropped,
//! and lets a connection that the daemon closed while it was idle be found out before anything is
//! sent on it.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::Body;
use crate::endpoint::Address;
use crate::error::{BoxError, ClientError, Fault};
use crate::socket::Socket;

/// hyper's future that does the IO.
type Driver = http1::Connection<TokioIo<Socket>, Body>;

/// A connection. At most one request runs on it at a time.
pub(crate) struct Connection {
    sender: http1::SendRequest<Body>,
    /// None once the connection has ended.
    driver: Option<Pin<Box<Driver>>>,
    used: bool,
}

/// How far a request came.
pub(super) enum SendFault {
    /// Not a byte of it was sent; here it is again.
    NotSent(Box<Request<Body>>, io::Error),
    /// It failed on its way, or its answer did.
    Failed(Fault),
}

impl Connection {
    pub(super) async fn open(address: &Address) -> io::Result<Self> {
        let socket = Socket::connect(address).await?;
        let (sender, driver) =
            http1::handshake(TokioIo::new(socket)).await.map_err(io::Error::other)?;
        Ok(Self { sender, driver: Some(Box::pin(driver)), used: false })
    }

    /// Whether a request was sent on it before.
    pub(super) fn was_used(&self) -> bool {
        self.used
    }

    /// Whether it is open and has no request running.
    pub(super) async fn is_usable(&mut self) -> bool {
        poll_fn(|cx| {
            self.drive(cx);
            Poll::Ready(self.driver.is_some() && self.sender.is_ready())
        })
        .await
    }

    /// Does what IO can be done now. An error also reaches the request or body that suffers from it,
    /// so it is not told here.
    fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(driver) = &mut self.driver
            && driver.as_mut().poll(cx).is_ready()
        {
            // Dropping it answers a request that is still queued.
            self.driver = None;
        }
    }

    /// Sends a request; answers with the head of its response.
    pub(super) async fn send(
        &mut self,
        request: Request<Body>,
    ) -> Result<Response<Incoming>, SendFault> {
        let mut response = pin!(self.sender.try_send_request(request));
        let outcome = poll_fn(|cx| {
            self.drive(cx);
            response.as_mut().poll(cx)
        })
        .await;
        match outcome {
            Ok(response) => {
                self.used = true;
                Ok(response)
            }
            Err(mut failed) => match failed.take_message() {
                Some(request) => {
                    let why = io::Error::new(io::ErrorKind::ConnectionAborted, failed.into_error());
                    Err(SendFault::NotSent(Box::new(request), why))
                }
                None => Err(SendFault::Failed(fault(failed.into_error()))),
            },
        }
    }

    /// The next part of a response's body.
    pub(crate) fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
        body: &mut Incoming,
    ) -> Poll<Option<Result<Bytes, BoxError>>> {
        // Twice: what the first look asks for, the IO may have ready for the second.
        for last_look in [false, true] {
            while let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) {
                match frame {
                    None => return Poll::Ready(None),
                    Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                    // Trailers are of no interest.
                    Some(Ok(frame)) => {
                        if let Ok(data) = frame.into_data() {
                            return Poll::Ready(Some(Ok(data)));
                        }
                    }
                }
            }
            if !last_look {
                self.drive(cx);
            }
        }
        Poll::Pending
    }

    /// The whole body of a response, up to a limit.
    pub(super) async fn collect(
        &mut self,
        response: Response<Incoming>,
        limit: usize,
        what: &str,
    ) -> Result<Bytes, Fault> {
        let mut body = response.into_body();
        // Most answers come in one piece, which is then not copied.
        let mut first: Option<Bytes> = None;
        let mut rest = BytesMut::new();
        while let Some(data) = poll_fn(|cx| self.poll_data(cx, &mut body)).await {
            let data = data.map_err(Fault::Lost)?;
            let so_far = first.as_ref().map_or(rest.len(), Bytes::len);
            if so_far + data.len() > limit {
                let why = format!("it is longer than {limit} bytes");
                return Err(ClientError::Answer { method: what.to_owned(), why }.into());
            }
            if so_far == 0 {
                first = Some(data);
                continue;
            }
            if let Some(first) = first.take() {
                rest.extend_from_slice(&first);
            }
            rest.extend_from_slice(&data);
        }
        Ok(first.unwrap_or_else(|| rest.freeze()))
    }
}

/// A failure after part of the request was sent: the caller's reader gave up, or the reply was lost.
fn fault(error: hyper::Error) -> Fault {
    if error.is_user() {
        let source =
            std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<io::Error>());
        if let Some(cause) = source {
            let copy = io::Error::new(cause.kind(), cause.to_string());
            return Fault::Final(ClientError::Source(copy));
        }
    }
    Fault::Lost(error.into())
}
