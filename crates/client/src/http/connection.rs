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
use super::early::{EarlySocket, Sent};
use crate::endpoint::Address;
use crate::error::{BoxError, ClientError, Fault};
use crate::socket::Socket;

/// hyper's future that does the IO.
type Driver = http1::Connection<TokioIo<EarlySocket>, Body>;

/// A connection. At most one request runs on it at a time.
pub(crate) struct Connection {
    sender: http1::SendRequest<Body>,
    /// None once the connection has ended.
    driver: Option<Pin<Box<Driver>>>,
    used: bool,
    sent: Sent,
    reset_means_unread: bool,
}

/// How far a request came.
pub(super) enum SendFault {
    /// hyper did not begin with it; here it is again.
    NotSent(Box<Request<Body>>, io::Error),
    /// It failed on its way, or its answer did.
    Failed(Fault),
}

impl Connection {
    pub(super) async fn open(address: &Address) -> io::Result<Self> {
        let sent = Sent::default();
        let socket = EarlySocket::new(Socket::connect(address).await?, sent.clone());
        let (sender, driver) =
            http1::handshake(TokioIo::new(socket)).await.map_err(io::Error::other)?;
        // Linux resets a Unix socket's peer only where bytes of his lay unread at the closing
        // (net/unix/af_unix.c, unix_release_sock); a TCP reset has other causes too.
        let reset_means_unread = cfg!(target_os = "linux") && matches!(address, Address::Unix(_));
        Ok(Self { sender, driver: Some(Box::pin(driver)), used: false, sent, reset_means_unread })
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
        self.sent.reset();
        // A call is run when it was read to its end. A content that breaks off half-way is not one
        // that was never sent.
        let is_call = matches!(request.body(), Body::Whole(_));
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
                None => {
                    let error = failed.into_error();
                    let unread = self.reset_means_unread && is_call && was_reset(&error);
                    Err(SendFault::Failed(match fault(error) {
                        Fault::Lost(why) if unread || self.sent.is_nothing() => {
                            Fault::NotSent(io::Error::new(io::ErrorKind::ConnectionAborted, why))
                        }
                        fault => fault,
                    }))
                }
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

/// Whether the other side closed without reading all that it was sent.
fn was_reset(error: &hyper::Error) -> bool {
    let cause =
        std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::ConnectionReset)
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

#[cfg(all(test, unix))]
mod tests {
    use std::io::{Read, Write};
    use std::net::Shutdown;
    use std::os::unix::net::UnixListener;

    use super::*;

    /// A daemon that closes at the very moment at which a request is written: the write fails, and only
    /// then does the connection end. The system took nothing, so the call may be any to be sent again.
    #[tokio::test]
    async fn a_request_of_which_nothing_was_taken_was_not_sent() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("storage.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let mut connection = Connection::open(&Address::Unix(path)).await.unwrap();
        let (mut daemon, _) = listener.accept().unwrap();
        let request = || Request::post("/").body(Body::from(Bytes::from_static(b"{}"))).unwrap();
        daemon.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
        assert!(connection.send(request()).await.is_ok());
        assert!(daemon.read(&mut [0; 1000]).unwrap() > 0);
        assert!(connection.is_usable().await);
        daemon.shutdown(Shutdown::Read).unwrap();

        let closes = async move { drop(daemon) };
        let (sent, ()) = tokio::join!(biased; connection.send(request()), closes);
        assert!(matches!(sent, Err(SendFault::Failed(Fault::NotSent(_)))));
    }
}
