//! Bodies between the async side and threads that block: bounded channels, so that memory stays
//! constant and the slower side sets the pace.

use std::io::{self, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::sync::mpsc;
use tokio::time::Sleep;

use crate::access::Credential;
use crate::listen::Connection;

/// Parts of an incoming body on their way, at most: each is what was read from the connection at once, up
/// to 400 KiB.
const INCOMING_PARTS: usize = 4;
/// Parts of an outgoing body on their way, at most. They are large, and more are ready behind them: a
/// longer queue makes nothing faster, and every slow reader would hold one.
const OUTGOING_PARTS: usize = 2;

/// A part of an incoming body, or its end. A channel that closes without the end was cut off.
enum Part {
    Data(Bytes),
    Failed(io::Error),
    End,
}

/// An incoming body, read by a thread that blocks.
pub(super) struct IncomingReader {
    parts: mpsc::Receiver<Part>,
    current: Bytes,
    ended: bool,
}

/// Splits a body into a reader for a blocking thread, and a future that feeds it. The body is cut off
/// once its credential has ended.
pub(super) fn reader<B>(
    body: B,
    credential: Arc<Credential>,
) -> (IncomingReader, impl Future<Output = ()>)
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let (sender, parts) = mpsc::channel(INCOMING_PARTS);
    let feed = async move {
        let mut body = body;
        let mut ended = std::pin::pin!(credential.ended());
        loop {
            let frame = tokio::select! {
                biased;
                () = &mut ended => Some(Err(io::ErrorKind::PermissionDenied.to_string())),
                frame = body.frame() => frame.map(|frame| frame.map_err(|error| error.to_string())),
            };
            let part = match frame {
                None => Part::End,
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => Part::Data(data),
                    // Trailers carry nothing for us.
                    Err(_) => continue,
                },
                Some(Err(why)) => Part::Failed(io::Error::other(why)),
            };
            let last = !matches!(part, Part::Data(_));
            if sender.send(part).await.is_err() || last {
                return;
            }
        }
    };
    (IncomingReader { parts, current: Bytes::new(), ended: false }, feed)
}

impl Read for IncomingReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !self.ended {
            match self.parts.blocking_recv() {
                Some(Part::Data(data)) => self.current = data,
                Some(Part::End) => self.ended = true,
                Some(Part::Failed(error)) => return Err(error),
                None => return Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
            }
        }
        let count = buffer.len().min(self.current.len());
        buffer[..count].copy_from_slice(&self.current.split_to(count));
        Ok(count)
    }
}

/// The body of a request. Where it is dropped before its end, its connection is told.
pub(super) struct Watched<B: Body> {
    body: B,
    connection: Arc<Connection>,
    is_over: bool,
}

impl<B: Body> Watched<B> {
    /// A body that came by this connection.
    pub(super) fn new(body: B, connection: Arc<Connection>) -> Self {
        Self { body, connection, is_over: false }
    }
}

impl<B: Body + Unpin> Body for Watched<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        self.is_over |= matches!(frame, Poll::Ready(None | Some(Err(_))));
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B: Body> Drop for Watched<B> {
    fn drop(&mut self) {
        if !self.is_over && !self.body.is_end_stream() {
            self.connection.leaves_unread();
        }
    }
}

/// An incoming body that fails once nothing of it has come for so long.
pub(super) struct Patient<B> {
    body: B,
    timeout: Duration,
    /// Made only where something has to be waited for: most bodies come with their head.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<B> Patient<B> {
    /// A body and the time it may stand still.
    pub(super) fn new(body: B, timeout: Duration) -> Self {
        Self { body, timeout, waiting: None }
    }
}

impl<B> Body for Patient<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            this.waiting = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let timeout = this.timeout;
        let waiting = this.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        let timed_out = || io::Error::from(io::ErrorKind::TimedOut);
        waiting.as_mut().poll(context).map(|()| Some(Err(timed_out().into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An outgoing body of known length, written by a thread that blocks. It breaks off once its credential
/// has ended.
pub(super) struct OutgoingBody {
    parts: mpsc::Receiver<io::Result<Bytes>>,
    left: u64,
    credential: Arc<Credential>,
}

/// The writing end of an [`OutgoingBody`].
pub(super) struct BodyWriter(mpsc::Sender<io::Result<Bytes>>);

/// A body of `length` bytes, and its writing end.
pub(super) fn writer(length: u64, credential: Arc<Credential>) -> (BodyWriter, OutgoingBody) {
    let (sender, parts) = mpsc::channel(OUTGOING_PARTS);
    (BodyWriter(sender), OutgoingBody { parts, left: length, credential })
}

impl BodyWriter {
    /// Sends a part, waiting while the client is slow; false where it has hung up.
    pub(super) fn send(&self, part: io::Result<Bytes>) -> bool {
        self.0.blocking_send(part).is_ok()
    }
}

impl Body for OutgoingBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if !self.credential.is_valid() {
            return Poll::Ready(Some(Err(io::ErrorKind::PermissionDenied.into())));
        }
        self.parts.poll_recv(context).map(|part| match part {
            Some(Ok(data)) => {
                self.left = self.left.saturating_sub(data.len() as u64);
                Some(Ok(Frame::data(data)))
            }
            Some(Err(error)) => Some(Err(error)),
            // The thread ended early: the connection must be reset, not closed as if all were sent.
            None if self.left > 0 => Some(Err(io::Error::from(io::ErrorKind::UnexpectedEof))),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
