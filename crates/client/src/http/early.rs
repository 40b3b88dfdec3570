//! The bytes under an HTTP connection, so kept that an answer which comes early is read.
//!
//! A daemon that has no room for another connection answers at once and closes, perhaps before the
//! request is on its way. hyper takes bytes that come before a request for a fault, and a write that
//! fails for the end of it all, though the answer lies there. So what comes on a new connection
//! before anything was written is held back until then; and a write that fails since the other side
//! has closed is left pending: what is still to be read says how the exchange ends.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::socket::Socket;

/// So much is read of what comes before the first request; the rest waits in the socket.
const EARLY_BYTES: usize = 4096;

/// How many bytes of a request the system took, seen from outside of hyper.
#[derive(Clone, Default)]
pub(super) struct Sent(Arc<AtomicU64>);

impl Sent {
    /// Counts from 0 again.
    pub(super) fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// Whether not a single byte was taken.
    pub(super) fn is_nothing(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

/// A socket that holds early answers back, and reads on after a write that failed.
pub(super) struct EarlySocket {
    socket: Socket,
    sent: Sent,
    /// What came before anything was written, not yet handed on.
    early: Vec<u8>,
    /// Whether anything was written, or tried to be.
    begun: bool,
    /// Whether the other side takes no more.
    deaf: bool,
    /// Who waits to read what is held back.
    reader: Option<Waker>,
}

impl EarlySocket {
    pub(super) fn new(socket: Socket, sent: Sent) -> Self {
        Self { socket, sent, early: Vec::new(), begun: false, deaf: false, reader: None }
    }

    /// Takes note of a write: from now on all that comes is handed on.
    fn wrote(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        let written = match ready!(written) {
            Ok(count) => {
                self.sent.0.fetch_add(count as u64, Ordering::Relaxed);
                Poll::Ready(Ok(count))
            }
            Err(error) if is_closed(&error) => {
                self.deaf = true;
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        };
        self.begun = true;
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        written
    }
}

/// Whether a write failed because the other side has closed.
fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

impl AsyncRead for EarlySocket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.begun {
            if this.early.is_empty() {
                return Pin::new(&mut this.socket).poll_read(cx, buffer);
            }
            let count = this.early.len().min(buffer.remaining());
            buffer.put_slice(&this.early[..count]);
            this.early.drain(..count);
            return Poll::Ready(Ok(()));
        }
        this.reader = Some(cx.waker().clone());
        if this.early.is_empty() {
            let mut bytes = [0; EARLY_BYTES];
            let mut early = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut this.socket).poll_read(cx, &mut early))?;
            if early.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            this.early.extend_from_slice(early.filled());
        }
        Poll::Pending
    }
}

impl AsyncWrite for EarlySocket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.deaf {
            return Poll::Pending;
        }
        let written = Pin::new(&mut this.socket).poll_write(cx, bytes);
        this.wrote(written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.deaf {
            return Poll::Pending;
        }
        let written = Pin::new(&mut this.socket).poll_write_vectored(cx, slices);
        this.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;

    use super::*;

    #[tokio::test]
    async fn what_comes_early_is_read_once_something_was_written() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(b"early").await.unwrap();
        let sent = Sent::default();
        let socket = EarlySocket::new(Socket::Unix(ours), sent.clone());
        let (mut reader, mut writer) = tokio::io::split(socket);
        let reading = tokio::spawn(async move {
            let mut bytes = [0; 5];
            reader.read_exact(&mut bytes).await.unwrap();
            bytes
        });
        // Often enough for the runtime to look what there is to read.
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
        assert!(!reading.is_finished() && sent.is_nothing());

        // Nothing more comes that could wake the reader.
        writer.write_all(b"x").await.unwrap();
        let read = tokio::time::timeout(Duration::from_secs(5), reading).await;
        assert_eq!(&read.unwrap().unwrap(), b"early");
        assert!(!sent.is_nothing());
    }
}
