//! Listeners: they accept connections, note who is at the other end, and serve each until it ends.
//!
//! `unix` and `tcp` bind sockets; `component_sockets` binds those that the owner has opened for a
//! component, at run time; `accept` gives each connection a place of `places`; `serve` answers its
//! requests over the stream of `timed`. What a request may do is not known here.

mod accept;
mod component_sockets;
mod connection;
mod group;
mod places;
mod serve;
mod tcp;
mod timed;
mod unix;

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::access::Peer;
use crate::config::{Config, Endpoint};

pub(crate) use accept::Serving;
pub(crate) use component_sockets::ComponentSockets;
pub(crate) use connection::Connection;

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
    /// Binds an endpoint of the configuration. A socket file that nobody listens on any more is
    /// replaced.
    ///
    /// # Errors
    /// See [`ListenError`].
    pub(crate) fn bind(endpoint: &Endpoint, config: &Config) -> Result<Self, ListenError> {
        match endpoint {
            Endpoint::Unix(path) => unix::UnixSocket::bind_owner(path).map(Listener::Unix),
            Endpoint::Component(path) => {
                let owners = config.listen.iter().filter_map(|endpoint| match endpoint {
                    Endpoint::Unix(path) => Some(path.as_path()),
                    Endpoint::Component(_) | Endpoint::Tcp(_) => None,
                });
                let group = config.socket_group.as_deref();
                unix::UnixSocket::bind_component(path, group, owners).map(Listener::Unix)
            }
            Endpoint::Tcp(address) => tcp::TcpSocket::bind(*address).map(Listener::Tcp),
        }
    }

    /// The endpoint for the ready line: as a client would name it.
    pub(crate) fn endpoint(&self) -> String {
        match self {
            Listener::Unix(socket) => socket.endpoint(),
            Listener::Tcp(socket) => format!("http://{}", socket.address()),
        }
    }

    /// Accepts and serves connections, so many at a time, until the daemon is to stop; then waits for
    /// those it has.
    pub(crate) async fn serve(self, serving: Serving, places: usize) {
        let places = serving.all_places.of_endpoint(places);
        let stopped = serving.app.stopped();
        accept::run(self, places, serving, stopped).await;
    }

    /// Accepts a connection. An accept that is given up may lose one.
    async fn accept(&mut self) -> io::Result<(Box<dyn Stream>, Peer)> {
        match self {
            Listener::Unix(socket) => socket.accept().await,
            Listener::Tcp(socket) => socket.accept().await,
        }
    }
}

/// A connection's bytes, whatever carries them.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}
