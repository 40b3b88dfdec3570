//! Listeners: they accept connections, note who is at the other end, and serve each until it ends.

mod tcp;
mod unix;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use jsonrpsee::server::{StopHandle, serve_with_graceful_shutdown};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::access::Peer;
use crate::app::App;
use crate::config::Endpoint;
use crate::http::Http;

/// After an accept that failed (too many open files), accepting rests for this long.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// A socket that is bound, not yet served.
pub(crate) enum Listener {
    /// A Unix socket; its file is removed when it is dropped.
    Unix(unix::UnixSocket),
    /// A TCP socket.
    Tcp(tcp::TcpSocket),
}

/// Why a socket can't be bound.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another process listens there.
    #[error("{0} is in use")]
    InUse(String),
    /// Something that is not a socket is in the way, or the path is not usable.
    #[error("{endpoint}: {why}")]
    Unusable {
        /// Where.
        endpoint: String,
        /// What is wrong.
        why: String,
    },
    /// It failed otherwise.
    #[error("{endpoint}: {source}")]
    Io {
        /// Where.
        endpoint: String,
        /// Why.
        source: io::Error,
    },
}

impl Listener {
    /// Binds an endpoint. A socket file that nobody listens on any more is replaced.
    ///
    /// # Errors
    /// See [`ListenError`].
    pub(crate) async fn bind(endpoint: &Endpoint) -> Result<Self, ListenError> {
        match endpoint {
            Endpoint::Unix(path) => unix::UnixSocket::bind(path).await.map(Listener::Unix),
            Endpoint::Tcp(address) => tcp::TcpSocket::bind(*address).await.map(Listener::Tcp),
        }
    }

    /// The endpoint for the ready line: as a client would name it.
    pub(crate) fn endpoint(&self) -> String {
        match self {
            Listener::Unix(socket) => format!("unix:{}", socket.path().display()),
            Listener::Tcp(socket) => format!("http://{}", socket.address()),
        }
    }

    /// Accepts and serves connections until the daemon is to stop; then waits for those it has.
    pub(crate) async fn serve(
        self,
        app: Arc<App>,
        http: Http,
        stop: StopHandle,
        places: Arc<Semaphore>,
    ) {
        let mut connections = JoinSet::new();
        let mut stopped = std::pin::pin!(app.stopped());
        loop {
            // A connection is not accepted before there is a place for it: it waits in the backlog.
            let place = tokio::select! {
                () = &mut stopped => break,
                place = Arc::clone(&places).acquire_owned() => place,
            };
            let accepted = tokio::select! {
                () = &mut stopped => break,
                accepted = self.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let (http, stop) = (http.clone(), stop.clone());
                    connections.spawn(async move {
                        let _place = place;
                        serve_connection(stream, peer, http, stop).await;
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_REST).await;
                }
            }
            while connections.try_join_next().is_some() {}
        }
        drop(self);
        while connections.join_next().await.is_some() {}
    }

    async fn accept(&self) -> io::Result<(Box<dyn Stream>, Peer)> {
        match self {
            Listener::Unix(socket) => socket.accept().await,
            Listener::Tcp(socket) => socket.accept().await,
        }
    }
}

/// A connection's bytes, whatever carries them.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

async fn serve_connection(stream: Box<dyn Stream>, peer: Peer, http: Http, stop: StopHandle) {
    let service = tower::service_fn(move |request| http.clone().answer(peer, request));
    let served = serve_with_graceful_shutdown(stream, service, stop.shutdown()).await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended early");
    }
}
