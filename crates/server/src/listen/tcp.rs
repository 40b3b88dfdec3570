//! TCP sockets: anyone on this machine may connect, so every request needs a token.

use std::io;
use std::net::SocketAddr;

use tokio::net::{self, TcpListener};

use super::{ListenError, Stream};
use crate::access::Peer;

/// Connections that the system accepts before the daemon does: a crowd must not fill it, for whoever
/// finds it full waits for a second.
const BACKLOG: u32 = 4096;

/// A bound TCP socket.
pub(crate) struct TcpSocket {
    listener: TcpListener,
    address: SocketAddr,
}

impl TcpSocket {
    pub(super) fn bind(address: SocketAddr) -> Result<Self, ListenError> {
        let endpoint = || format!("tcp:{address}");
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => ListenError::InUse(endpoint()),
            _ => ListenError::Io { endpoint: endpoint(), source },
        };
        let listen = || {
            let socket = match address {
                SocketAddr::V4(_) => net::TcpSocket::new_v4(),
                SocketAddr::V6(_) => net::TcpSocket::new_v6(),
            }?;
            // Connections of the daemon's last run that still linger do not hold the port.
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            socket.listen(BACKLOG)
        };
        let listener = listen().map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// The address with the port that was given, where 0 was asked for.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) async fn accept(&mut self) -> io::Result<(Box<dyn Stream>, Peer)> {
        let (stream, _) = self.listener.accept().await?;
        // A small answer must not wait for more to send with it.
        stream.set_nodelay(true)?;
        Ok((Box::new(stream), Peer::Tcp))
    }
}
