//! What can go wrong with a call, as the caller sees it.
//!
//! Inside, a transport reports a [`Fault`], which says how far the call came; [`crate::repeat`]
//! decides whether to try again, and makes a [`ClientError`] of what is left.

use std::io;
use std::time::Duration;

use osnova_storage_api::{ApiError, ErrorCode};

use crate::endpoint::EndpointError;

/// Any error, where only its text matters.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The daemon answered with an error of the contract; [`ApiError::code`] says which.
    #[error(transparent)]
    Api(#[from] ApiError),

    /// The daemon answered with an error code that this version of the client does not know.
    #[error("error {code}: {message}")]
    UnknownError {
        /// The number on the wire.
        code: i32,
        /// What the daemon says of it.
        message: String,
    },

    /// No connection could be made, or it was closed before the call was read: nothing was done.
    #[error("cannot connect to {endpoint}: {source}")]
    Connect {
        /// Where to, without its token.
        endpoint: String,
        /// Why not.
        source: io::Error,
    },

    /// The reply was lost, and lost again as often as [`Repeat`](crate::Repeat) allows; the call only
    /// reads, so nothing else is.
    #[error("the reply to {method} was lost: {source}")]
    Transport {
        /// What was called.
        method: String,
        /// How the connection ended.
        source: BoxError,
    },

    /// The reply to a call that may change something was lost, and repeating it is not known to be
    /// safe or did not help: it may have taken effect.
    #[error("the reply to {method} was lost, and it is not known whether it took effect: {source}")]
    OutcomeUnknown {
        /// What was called.
        method: String,
        /// How the connection ended.
        source: BoxError,
    },

    /// No reply came in time; the call may have taken effect, or may yet.
    #[error("no reply to {method} within {after:?}")]
    Timeout {
        /// What was called.
        method: String,
        /// How long the client waited.
        after: Duration,
    },

    /// The daemon answered something that the contract does not allow.
    #[error("the answer to {method} can't be read: {why}")]
    Answer {
        /// What was called.
        method: String,
        /// What is wrong with the answer.
        why: String,
    },

    /// The endpoint's text can't be read.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),

    /// The params can't be sent as they are.
    #[error("{0}")]
    Params(String),

    /// The reader whose content was to be put failed.
    #[error("reading the content failed: {0}")]
    Source(#[source] io::Error),
}

impl ClientError {
    /// The code of the contract, where the daemon answered with one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            ClientError::Api(error) => Some(error.code()),
            _ => None,
        }
    }
}

/// How far a call came before it failed.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Not a byte of it was sent, or the daemon did not read it to its end: it was not run.
    NotSent(io::Error),
    /// It was sent, or part of it, and no reply came.
    Lost(BoxError),
    /// It was sent, and no reply came in time.
    TimedOut(Duration),
    /// A status says that the call can't be taken now, and no error object of the daemon's does:
    /// whatever answered may have passed the call on.
    Unexplained(ClientError),
    /// The daemon answered, or the caller's own part failed: trying again is not a matter of luck.
    Final(ClientError),
}

impl From<ClientError> for Fault {
    fn from(error: ClientError) -> Self {
        Fault::Final(error)
    }
}
