//! Who calls, and whether he may: checked once for each request, before any method runs.
//!
//! A connection brings what the kernel says of its peer; a request may bring a token. A token that is
//! presented and not valid is refused, and never falls back to the peer's uid. Whoever is let in is
//! known by a [`Credential`], which is looked at again by each call of a WebSocket: it may have ended.

pub(crate) mod audit;
mod browser;
mod credential;
mod gate;
mod meter;
mod owner_token;
mod socket_path;
pub(crate) mod token;
mod unlock;

use std::fmt;
use std::sync::Arc;

use osnova_storage_api::{ApiError, ErrorCode, MethodSpec};

pub(crate) use browser::cors;
pub(crate) use credential::Credential;
pub(crate) use gate::Gate;
pub(crate) use meter::{Account, Held, LARGE_BYTES, Meter, Permit};
pub use owner_token::TokenError;
pub(crate) use socket_path::socket_path;
pub(crate) use unlock::UnlockGuard;

/// What is known of a connection's other end.
#[derive(Clone)]
pub(crate) enum Peer {
    /// The owner's Unix socket; the peer's uid, from the kernel.
    Owner {
        /// The uid.
        uid: u32,
    },
    /// A Unix socket for components, where no uid makes an owner.
    Component {
        /// The uid.
        uid: u32,
    },
    /// A Unix socket that is bound to one component.
    Bound(Arc<Credential>),
    /// A TCP socket: anyone on this machine, browsers included.
    Tcp,
}

impl fmt::Display for Peer {
    /// As the log names whoever was not let in.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Owner { uid } => write!(f, "uid {uid} on the owner's socket"),
            Peer::Component { uid } => write!(f, "uid {uid} on the components' socket"),
            Peer::Bound(socket) => write!(f, "socket of {}", audit::name(socket.caller())),
            Peer::Tcp => f.write_str("tcp"),
        }
    }
}

pub(crate) fn unauthorized() -> ApiError {
    ApiError::new(ErrorCode::Unauthorized, "a valid token is needed")
}

/// Whether the credential is still taken, and allows the method: the one place where this is asked, for
/// JSON-RPC and for the plain routes.
///
/// # Errors
/// `unauthorized` where it ended since the connection was opened; `forbidden`. Either is audited.
pub(crate) fn admit(credential: &Credential, spec: &MethodSpec) -> Result<(), ApiError> {
    let refusal = if !credential.is_valid() {
        unauthorized()
    } else if credential.caller().may_call(spec) {
        return Ok(());
    } else {
        ApiError::new(ErrorCode::Forbidden, "the credential does not allow this method")
    };
    audit::denied(credential, spec.name, &refusal);
    Err(refusal)
}
