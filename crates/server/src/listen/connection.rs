//! A connection: who is at its other end, what it holds, and what it is doing.
//!
//! It is shared by the three that serve it: the stream, which times it by what it is doing; the server,
//! which counts its requests; and `http`, which says who sends them. It owns the connection's place and
//! its share of the caller's account, and gives both back when the socket is gone. It knows no socket
//! and no HTTP.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use osnova_storage_api::ApiError;

use super::places::Place;
use crate::access::{Account, Credential, Peer, Permit};

/// When to come again, where there are too many connections.
pub(super) const RETRY_AFTER_MS: u64 = 1000;

/// What is told where there are too many connections.
pub(super) fn too_many() -> ApiError {
    ApiError::unavailable("too many connections are open", RETRY_AFTER_MS)
}

/// A connection that is served.
pub(crate) struct Connection {
    peer: Peer,
    place: Place,
    /// The account whose caller it is known by, with what it takes of it.
    known_by: Mutex<Option<(Arc<Account>, Permit)>>,
    requests_begun: AtomicU64,
    requests_running: AtomicU32,
    is_upgraded: AtomicBool,
    left_unread: AtomicBool,
}

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    /// No request has ended or runs: so many have.
    Waiting {
        /// How many requests there were.
        after: u64,
    },
    /// A request is being answered.
    Answering,
    /// It is no longer HTTP.
    Upgraded,
}

impl Connection {
    /// A connection that has just been accepted.
    pub(super) fn new(peer: Peer, place: Place) -> Arc<Self> {
        Arc::new(Self {
            peer,
            place,
            known_by: Mutex::default(),
            requests_begun: AtomicU64::new(0),
            requests_running: AtomicU32::new(0),
            is_upgraded: AtomicBool::new(false),
            left_unread: AtomicBool::new(false),
        })
    }

    /// What the listener knows of the other end.
    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Notes by whom a request was sent. From the first on the connection is no stranger, and counts
    /// among those of its caller.
    ///
    /// # Errors
    /// `unavailable` where the caller has as many as he may, or the connection had to give way.
    pub(crate) fn identified(&self, credential: &Arc<Credential>) -> Result<(), ApiError> {
        let account = credential.account();
        // Nobody else ever waits for this lock, and it allocates nothing: each request comes by here.
        let mut known_by = self.lock();
        if known_by.as_ref().is_some_and(|(known, _)| Arc::ptr_eq(known, account)) {
            return Ok(());
        }
        let permit = account.connections.take().ok_or_else(too_many)?;
        if !self.place.keep() {
            return Err(too_many());
        }
        *known_by = Some((Arc::clone(account), permit));
        Ok(())
    }

    /// Notes that the next answer makes a WebSocket of it: its silence is then no longer timed here.
    pub(crate) fn upgraded(&self) {
        self.is_upgraded.store(true, Ordering::Relaxed);
    }

    /// Notes that the body of the latest request was not read to its end: its client may still be
    /// sending when the connection ends.
    pub(crate) fn leaves_unread(&self) {
        self.left_unread.store(true, Ordering::Relaxed);
    }

    /// Whether the body of the latest request was not read to its end.
    pub(super) fn has_left_unread(&self) -> bool {
        self.left_unread.load(Ordering::Relaxed)
    }

    /// Whether a caller has been identified on it.
    pub(super) fn is_known(&self) -> bool {
        self.lock().is_some()
    }

    /// Notes that a request was begun; it ends when the guard is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Running {
        self.left_unread.store(false, Ordering::Relaxed);
        self.requests_begun.fetch_add(1, Ordering::Relaxed);
        self.requests_running.fetch_add(1, Ordering::Relaxed);
        Running(Arc::clone(self))
    }

    /// What it is doing.
    pub(super) fn doing(&self) -> Doing {
        if self.is_upgraded.load(Ordering::Relaxed) {
            Doing::Upgraded
        } else if self.requests_running.load(Ordering::Relaxed) > 0 {
            Doing::Answering
        } else {
            Doing::Waiting { after: self.requests_begun.load(Ordering::Relaxed) }
        }
    }

    /// Its place.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Gives back what it holds: its socket is gone.
    pub(super) fn gone(&self) {
        self.place.free();
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Arc<Account>, Permit)>> {
        // A panic while it is held leaves nothing half done.
        self.known_by.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that runs.
pub(super) struct Running(Arc<Connection>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.requests_running.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use osnova_storage_api::ErrorCode;
    use osnova_storage_api::auth::CredentialKind;
    use osnova_storage_core::Caller;

    use super::super::places::Places;
    use super::*;
    use crate::config::Limits;

    fn credential(account: &Arc<Account>) -> Arc<Credential> {
        let caller = Caller::Owner;
        Arc::new(Credential::new(caller, CredentialKind::OwnerToken, Arc::clone(account)))
    }

    fn code(outcome: Result<(), ApiError>) -> Option<ErrorCode> {
        outcome.err().map(|error| error.code())
    }

    #[test]
    fn a_connection_takes_one_of_its_callers_account() {
        let places = Places::new(9);
        let connect = || Connection::new(Peer::Tcp, places.take().unwrap());
        let account = |connections_per_component| {
            let limits = Limits { connections_per_component, ..Limits::default() };
            Account::of_component(&limits)
        };
        let (small, large) = (account(1), account(2));
        let first = connect();
        for _ in 0..3 {
            assert_eq!(code(first.identified(&credential(&small))), None);
        }
        let second = connect();
        assert_eq!(code(second.identified(&credential(&small))), Some(ErrorCode::Unavailable));
        // Another caller on the same connection: its own is given back.
        assert_eq!(code(first.identified(&credential(&large))), None);
        assert_eq!(code(second.identified(&credential(&small))), None);
        let third = connect();
        assert_eq!(code(third.identified(&credential(&large))), None);
        assert_eq!(code(second.identified(&credential(&large))), Some(ErrorCode::Unavailable));
        // It still has what it had before.
        assert!(small.connections.take().is_none());
        second.gone();
        assert!(small.connections.take().is_some());
    }

    #[test]
    fn what_it_is_doing() {
        let connection = Connection::new(Peer::Tcp, Places::new(1).take().unwrap());
        assert_eq!(connection.doing(), Doing::Waiting { after: 0 });
        let running = connection.begin();
        assert_eq!(connection.doing(), Doing::Answering);
        drop(running);
        assert_eq!(connection.doing(), Doing::Waiting { after: 1 });
        connection.upgraded();
        assert_eq!(connection.doing(), Doing::Upgraded);
    }
}
