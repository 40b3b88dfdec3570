//! Bodies of requests: bytes at hand, or what a reader gives, in constant memory.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use tokio::io::AsyncRead;
use tokio_util::io::poll_read_buf;

use crate::blobs::Progress;

/// How much is read at a time: large enough that a file read on a thread of its own is worth the hop.
const CHUNK_BYTES: usize = 256 << 10;

pub(crate) enum Body {
    Whole(Bytes),
    Reader(ReaderBody),
}

/// A body that a reader gives.
pub(crate) struct ReaderBody {
    reader: Pin<Box<dyn AsyncRead + Send>>,
    buffer: BytesMut,
    length: Option<u64>,
    given: u64,
    ended: bool,
    progress: Option<Arc<dyn Progress>>,
}

impl ReaderBody {
    pub(crate) fn new(
        reader: Pin<Box<dyn AsyncRead + Send>>,
        length: Option<u64>,
        progress: Option<Arc<dyn Progress>>,
    ) -> Self {
        Self { reader, buffer: BytesMut::new(), length, given: 0, ended: false, progress }
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        self.buffer.reserve(CHUNK_BYTES);
        let read = std::task::ready!(poll_read_buf(self.reader.as_mut(), cx, &mut self.buffer));
        let count = match read {
            Ok(count) => count as u64,
            Err(error) => return Poll::Ready(Some(Err(error))),
        };
        self.given += count;
        // What was announced is what must come: a file that changes under the upload is an error
        // here, and not a content that is cut.
        let wrong_length = match self.length {
            Some(length) => self.given > length || (count == 0 && self.given < length),
            None => false,
        };
        if wrong_length {
            let why = "the content is not as long as was said";
            return Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::InvalidData, why))));
        }
        if count == 0 {
            self.ended = true;
            return Poll::Ready(None);
        }
        if let Some(progress) = &self.progress {
            progress.transferred(self.given);
        }
        Poll::Ready(Some(Ok(self.buffer.split().freeze())))
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Body::Whole(bytes)
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.get_mut() {
            Body::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Body::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Body::Reader(body) => {
                body.poll_chunk(cx).map(|chunk| chunk.map(|bytes| bytes.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Body::Whole(bytes) => bytes.is_empty(),
            // A reader that was announced as empty is asked once all the same: it may not be.
            Body::Reader(body) => body.ended,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Body::Reader(body) => match body.length {
                Some(length) => SizeHint::with_exact(length.saturating_sub(body.given)),
                None => SizeHint::default(),
            },
        }
    }
}
