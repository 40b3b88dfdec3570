//! A stream with deadlines: for the head of a request, for silence between requests, and for a client
//! that does not take its answer.
//!
//! There is one timer for each connection. It is set when something is first waited for, and from then
//! on only moved to an earlier time; when it goes off, it is looked whether a deadline has really passed,
//! and it is set to the next one otherwise. So a request costs a look at the clock and no timer. What the
//! connection is doing is asked of [`Connection`]; the stream knows nothing of HTTP.
//!
//! A part of a head that arrives together with the request before it is not seen as one: until its next
//! byte the connection counts as idle.
//!
//! It lingers where a client may still be sending what nobody will read: closed at once, a socket throws
//! away the answer that its client has not read yet (TCP), or fails the client's writes (Unix), and a
//! client that sends all before it reads would never learn why it was turned away.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::connection::{Connection, Doing};
use crate::config::Limits;

/// How long a socket that has sent its last answer goes on reading what it throws away.
const LINGER: Duration = Duration::from_secs(2);
/// How much of a stranger is thrown away: a request with a small content.
const STRANGER_LINGER_BYTES: usize = 1 << 20;
/// How much of a caller is thrown away: a request far over the default limit of 16 MiB.
const CALLER_LINGER_BYTES: usize = 64 << 20;
/// How much is thrown away at once.
const DISCARDED_BYTES: usize = 16 << 10;

/// How long what may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeouts {
    /// The head of a request, from its first byte; the first one's from the start of the connection.
    header: Duration,
    /// Silence between requests.
    idle: Duration,
    /// A write that gets no further.
    stall: Duration,
}

impl From<&Limits> for Timeouts {
    fn from(limits: &Limits) -> Self {
        Self {
            header: limits.header_timeout,
            idle: limits.idle_timeout,
            stall: limits.stall_timeout,
        }
    }
}

/// What is waited for by a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaited {
    /// The first request.
    First,
    /// The next request, after so many.
    Next { after: u64 },
    /// The rest of a head, after so many requests.
    RestOfHead { after: u64 },
}

/// What is left of the time and the bytes of a lingering end.
#[derive(Debug, Clone, Copy)]
struct Linger {
    deadline: Instant,
    bytes_left: usize,
}

/// A socket, timed. Dropping it frees what the connection holds.
pub(super) struct TimedStream<S> {
    socket: S,
    connection: Arc<Connection>,
    timeouts: Timeouts,
    awaited: Awaited,
    read_deadline: Instant,
    /// After how many requests the last bytes came that belong to none: a head has then begun.
    head_begun_after: Option<u64>,
    write_deadline: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
    linger: Option<Linger>,
}

impl<S> TimedStream<S> {
    /// Times a connection that has just been accepted.
    pub(super) fn new(socket: S, connection: Arc<Connection>, timeouts: Timeouts) -> Self {
        Self {
            socket,
            connection,
            timeouts,
            awaited: Awaited::First,
            read_deadline: Instant::now() + timeouts.header,
            head_begun_after: None,
            write_deadline: None,
            timer: None,
            linger: None,
        }
    }

    fn received(&mut self) {
        if let Doing::Waiting { after } = self.connection.doing() {
            self.head_begun_after = Some(after);
        }
    }

    /// Until when something must come; `None` where it may take its time.
    fn read_deadline(&mut self) -> Option<Instant> {
        let Doing::Waiting { after } = self.connection.doing() else { return None };
        let awaited = match after {
            0 => Awaited::First,
            _ if self.head_begun_after == Some(after) => Awaited::RestOfHead { after },
            _ => Awaited::Next { after },
        };
        if awaited != self.awaited {
            self.awaited = awaited;
            self.read_deadline = Instant::now()
                + match awaited {
                    Awaited::First | Awaited::RestOfHead { .. } => self.timeouts.header,
                    Awaited::Next { .. } => self.timeouts.idle,
                };
        }
        Some(self.read_deadline)
    }

    /// Ready once the deadline has passed.
    fn poll_passed(&mut self, context: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if deadline < timer.deadline() {
            timer.as_mut().reset(deadline);
        }
        loop {
            ready!(timer.as_mut().poll(context));
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
    }

    /// The outcome of a write, or its end where it got no further for too long.
    fn poll_written(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.write_deadline = None;
            return written;
        }
        let stall = self.timeouts.stall;
        let deadline = *self.write_deadline.get_or_insert_with(|| Instant::now() + stall);
        ready!(self.poll_passed(context, deadline));
        Poll::Ready(Err(timed_out("the client does not take its answer")))
    }
}

impl<S: AsyncRead + Unpin> TimedStream<S> {
    /// Reads and throws away what still comes, until the client has said all, or its time or its bytes
    /// are used up.
    fn poll_discarded(&mut self, context: &mut Context<'_>, mut linger: Linger) -> Poll<()> {
        let mut space = [0; DISCARDED_BYTES];
        while linger.bytes_left > 0 {
            let mut buffer = ReadBuf::new(&mut space);
            match Pin::new(&mut self.socket).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    linger.bytes_left = linger.bytes_left.saturating_sub(buffer.filled().len());
                    self.linger = Some(linger);
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return self.poll_passed(context, linger.deadline),
            }
        }
        Poll::Ready(())
    }
}

fn timed_out(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what)
}

impl<S> Drop for TimedStream<S> {
    fn drop(&mut self) {
        self.connection.gone();
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TimedStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut this.socket).poll_read(context, buffer) {
            if buffer.filled().len() > before {
                this.received();
            }
            return Poll::Ready(read);
        }
        let Some(deadline) = this.read_deadline() else { return Poll::Pending };
        ready!(this.poll_passed(context, deadline));
        Poll::Ready(Err(timed_out("no request came in time")))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TimedStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.socket).poll_write(context, bytes);
        this.poll_written(context, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.socket).poll_write_vectored(context, parts);
        this.poll_written(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    // Sockets keep nothing back, so this never waits.
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let linger = match this.linger {
            Some(linger) => linger,
            None => {
                // The client is told first that nothing more comes: it must not wait for that.
                ready!(Pin::new(&mut this.socket).poll_shutdown(context))?;
                if !this.connection.has_left_unread() {
                    return Poll::Ready(Ok(()));
                }
                let known = this.connection.is_known();
                let bytes_left = if known { CALLER_LINGER_BYTES } else { STRANGER_LINGER_BYTES };
                *this.linger.insert(Linger { deadline: Instant::now() + LINGER, bytes_left })
            }
        };
        this.poll_discarded(context, linger).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::{advance, sleep, timeout};

    use super::super::places::Places;
    use super::*;
    use crate::access::Peer;

    const HEADER: Duration = Duration::from_secs(10);
    const IDLE: Duration = Duration::from_secs(300);
    const STALL: Duration = Duration::from_secs(60);
    const SECOND: Duration = Duration::from_secs(1);
    /// So many bytes are on their way at a time.
    const WAY: usize = 64;

    struct Setup {
        stream: TimedStream<DuplexStream>,
        client: DuplexStream,
        connection: Arc<Connection>,
        started: Instant,
    }

    fn setup() -> Setup {
        let connection = Connection::new(Peer::Tcp, Places::new(1).take().unwrap());
        let (client, server) = duplex(WAY);
        let timeouts = Timeouts { header: HEADER, idle: IDLE, stall: STALL };
        let stream = TimedStream::new(server, Arc::clone(&connection), timeouts);
        Setup { stream, client, connection, started: Instant::now() }
    }

    impl Setup {
        /// Has the client send a byte, and the server read it.
        async fn pass(&mut self) {
            self.client.write_all(b"x").await.unwrap();
            assert_eq!(self.stream.read_u8().await.unwrap(), b'x');
        }

        /// After how long from now a read of what never comes fails.
        async fn silence(&mut self) -> Duration {
            let from = Instant::now();
            let error = self.stream.read_u8().await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            from.elapsed()
        }

        /// That a read still waits after so long.
        async fn is_patient(&mut self, time: Duration) {
            assert!(timeout(time, self.stream.read_u8()).await.is_err());
        }
    }

    /// The timer of the runtime is exact to a millisecond.
    fn about(found: Duration, expected: Duration) -> bool {
        found >= expected && found < expected + Duration::from_millis(5)
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_head_is_due_from_the_start_of_the_connection() {
        let mut silent = setup();
        assert!(about(silent.silence().await, HEADER));
        // Bytes that trickle in win no time.
        let mut slow = setup();
        for _ in 0..9 {
            slow.is_patient(SECOND).await;
            slow.pass().await;
        }
        slow.silence().await;
        assert!(about(slow.started.elapsed(), HEADER));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_runs_has_no_read_deadline() {
        let mut setup = setup();
        setup.pass().await;
        let running = setup.connection.begin();
        setup.is_patient(IDLE * 10).await;
        setup.pass().await;
        setup.is_patient(IDLE * 10).await;
        drop(running);
        // The bytes of its body are no head.
        assert!(about(setup.silence().await, IDLE));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_may_lie_idle_between_requests_but_heads_must_come() {
        let mut setup = setup();
        for _ in 0..3 {
            setup.pass().await;
            drop(setup.connection.begin());
            setup.is_patient(IDLE - SECOND).await;
        }
        setup.pass().await;
        setup.is_patient(HEADER - SECOND).await;
        setup.pass().await;
        assert!(about(setup.silence().await, SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_must_get_on() {
        let mut setup = setup();
        let _running = setup.connection.begin();
        let Setup { stream, client, .. } = &mut setup;
        let answer = [b'x'; WAY * 3];
        let writing = stream.write_all(&answer);
        let from = Instant::now();
        // The client takes a part each time just before it would be cut off, then nothing more.
        let taking = async {
            for _ in 0..2 {
                sleep(STALL - SECOND).await;
                client.read_exact(&mut [0; WAY / 2]).await.unwrap();
            }
            std::future::pending::<()>().await;
        };
        let error = tokio::select! {
            written = writing => written.unwrap_err(),
            () = taking => unreachable!("it never ends"),
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(about(from.elapsed(), (STALL - SECOND) * 2 + STALL));
    }

    #[tokio::test(start_paused = true)]
    async fn an_earlier_deadline_moves_the_timer_and_a_later_one_does_not_wait_for_it() {
        let mut setup = setup();
        setup.pass().await;
        drop(setup.connection.begin());
        // Idle: the timer is set to a time far off.
        setup.is_patient(HEADER * 2).await;
        let running = setup.connection.begin();
        let full = [b'x'; WAY + 1];
        let from = Instant::now();
        let error = setup.stream.write_all(&full).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(about(from.elapsed(), STALL));
        drop(running);
        assert!(about(setup.silence().await, IDLE));
    }

    #[tokio::test(start_paused = true)]
    async fn after_an_upgrade_only_writes_are_timed() {
        let mut setup = setup();
        setup.connection.upgraded();
        setup.is_patient(IDLE * 10).await;
        setup.pass().await;
        setup.is_patient(IDLE * 10).await;
        let error = setup.stream.write_all(&[b'x'; WAY + 1]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    /// A client that sends all before it reads got a broken pipe, or a reset, in place of the answer that
    /// turned it away: the socket was closed while the client still sent.
    #[tokio::test(start_paused = true)]
    async fn an_end_lingers_for_what_was_left_unread() {
        let ends = |unread: bool, sent: usize, hangs_up: bool| async move {
            let Setup { mut stream, mut client, connection, .. } = setup();
            let from = Instant::now();
            if unread {
                connection.leaves_unread();
            }
            let sending = async {
                client.write_all(&vec![b'x'; sent]).await.unwrap();
                if !hangs_up {
                    std::future::pending::<()>().await;
                }
                drop(client);
            };
            let sent_all_and_waits = async {
                sending.await;
                std::future::pending::<()>().await;
            };
            tokio::select! {
                ended = stream.shutdown() => ended.unwrap(),
                () = sent_all_and_waits => unreachable!("it never ends"),
            }
            from.elapsed()
        };
        assert!(about(ends(false, 0, false).await, Duration::ZERO));
        assert!(about(ends(true, 0, true).await, Duration::ZERO));
        assert!(about(ends(true, WAY * 100, true).await, Duration::ZERO));
        assert!(about(ends(true, WAY * 100, false).await, LINGER));
        // A stranger that sends without end is not listened to for long.
        assert!(about(ends(true, STRANGER_LINGER_BYTES * 2, false).await, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_is_seen_as_one_and_frees_the_place() {
        let places = Places::new(1);
        let connection = Connection::new(Peer::Tcp, places.take().unwrap());
        let (client, server) = duplex(WAY);
        let timeouts = Timeouts { header: HEADER, idle: IDLE, stall: STALL };
        let mut stream = TimedStream::new(server, Arc::clone(&connection), timeouts);
        drop(client);
        advance(IDLE * 2).await;
        assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
        assert!(places.are_taken());
        drop(stream);
        assert!(!places.are_taken());
        drop(connection);
    }
}
