//! Idle connections, kept for the next call.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Connection;
use crate::endpoint::Address;

/// At most this many connections are kept while nobody uses them.
const MAX_IDLE_CONNECTIONS: usize = 16;
/// A connection that was idle for longer is closed when it is next looked at: the daemon closes idle
/// ones too, and a request that meets that closing on its way costs a repeat.
const MAX_IDLE_TIME: Duration = Duration::from_secs(10);

/// The idle connections to one address.
pub(crate) struct Pool {
    address: Address,
    /// The one used last stands last, and goes first.
    idle: Mutex<Vec<(Connection, Instant)>>,
}

impl Pool {
    pub(super) fn new(address: Address) -> Self {
        Self { address, idle: Mutex::new(Vec::new()) }
    }

    /// An idle connection that is still open, or a new one.
    pub(super) async fn take(&self) -> io::Result<Connection> {
        while let Some(mut connection) = self.pop() {
            if connection.is_usable().await {
                return Ok(connection);
            }
        }
        Connection::open(&self.address).await
    }

    fn pop(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let (connection, since) = idle.pop()?;
        if since.elapsed() > MAX_IDLE_TIME {
            // All the others have been idle for longer.
            idle.clear();
            return None;
        }
        Some(connection)
    }

    /// Keeps a connection whose answer was read to its end.
    pub(crate) fn put_back(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE_CONNECTIONS {
            idle.push((connection, Instant::now()));
        }
    }
}
