//! What can go wrong in the store.
//!
//! Two texts exist for a failure (design, section 2): what the caller is told is an
//! [`ApiError`], made by [`StoreError::to_api`]; what the log says is the error itself with its
//! cause, and it may name paths and SQL. An internal error reaches the caller only as an incident id,
//! which the server adds where it logs the cause.

use std::io;
use std::path::{Path, PathBuf};

use osnova_storage_api::{ApiError, ConflictReason, ErrorCode};
use rusqlite::ffi;

use crate::blob::format::FormatError;
use crate::db::storage::UnsealError;

/// A failed operation of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The caller asked for what can't be; the error is said in the words of the contract.
    #[error("{0}")]
    Refused(ApiError),
    /// The call needs the master key and none is loaded.
    #[error("the vault is locked")]
    Locked,
    /// The key given is not the key of this data root.
    #[error("the key is not this data root's")]
    WrongKey,
    /// The disk is full, or the share of it that may be used.
    #[error("disk full: {0}")]
    DiskFull(String),
    /// The file of a content is damaged, or is not there.
    #[error("damaged: {0}")]
    Damaged(String),
    /// Records of the database are damaged, or do not fit together.
    #[error("damaged records: {0}")]
    RecordsDamaged(String),
    /// A sealed value of a component can't be opened.
    #[error("a value of storage, revision {revision}: {why}")]
    Sealed {
        /// The revision of its record, which names it in the log.
        revision: u64,
        /// Why.
        why: UnsealError,
    },
    /// Reading or writing a file failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done, with the path.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// A commit failed at its sync or after it: nobody can say whether the change is durable.
    #[error("a commit failed at its sync or after it")]
    OutcomeUnknown,
    /// The database failed.
    #[error("database: {0}")]
    Database(#[from] rusqlite::Error),
    /// A job was cancelled: its body hands this on, and no caller ever meets it.
    #[error("cancelled")]
    Cancelled,
    /// A part of the store is gone: a thread ended, a lock was poisoned.
    #[error("internal: {0}")]
    Internal(String),
}

/// The result of an operation of the store.
pub type Result<T> = std::result::Result<T, StoreError>;

impl StoreError {
    /// An IO error with what was being done.
    pub fn io(what: &str, path: &Path, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::StorageFull {
            return StoreError::DiskFull(format!("{what} {}", path.display()));
        }
        StoreError::Io { what: format!("{what} {}", path.display()), source }
    }

    /// There is no such thing, or it is not this caller's to see: the same words for both.
    pub fn not_found(what: &str) -> Self {
        StoreError::Refused(ApiError::new(ErrorCode::NotFound, format!("there is no such {what}")))
    }

    /// What is to be made is there already, as another, or as another's.
    pub fn exists(message: &str) -> Self {
        StoreError::Refused(ApiError::conflict(ConflictReason::Exists, message))
    }

    /// A record names something that its caller can't name.
    pub fn foreign_key(message: &str) -> Self {
        StoreError::Refused(ApiError::conflict(ConflictReason::ForeignKey, message))
    }

    /// The same error, said of the operation at `index` among many.
    pub fn at_index(self, index: usize) -> Self {
        match self {
            StoreError::Refused(error) => StoreError::Refused(error.at_index(index)),
            other => other,
        }
    }

    /// Whether the database could not be written for want of space.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, StoreError::DiskFull(_)) || self.sqlite_code() == Some(ffi::SQLITE_FULL)
    }

    /// The primary result code of SQLite, where it is its error.
    fn sqlite_code(&self) -> Option<i32> {
        match self {
            StoreError::Database(rusqlite::Error::SqliteFailure(error, _)) => {
                Some(error.extended_code & 0xff)
            }
            _ => None,
        }
    }

    /// What the caller is told. The one mapping of the store's errors to the wire.
    ///
    /// [`ErrorCode::InternalError`] comes without an incident: whoever logs the cause adds it.
    pub fn to_api(&self) -> ApiError {
        match self {
            StoreError::Refused(error) => error.clone(),
            StoreError::Locked => {
                ApiError::new(ErrorCode::Locked, "the vault is locked: unlock it first")
            }
            StoreError::WrongKey => {
                ApiError::new(ErrorCode::WrongKey, "the key is not the key of this data root")
            }
            StoreError::DiskFull(_) => disk_full(),
            StoreError::Damaged(_) | StoreError::RecordsDamaged(_) | StoreError::Sealed { .. } => {
                damaged()
            }
            StoreError::Io { .. } => io_error(),
            StoreError::OutcomeUnknown => {
                let mut error = ApiError::new(
                    ErrorCode::IoError,
                    "the commit could not be finished: the change may or may not be durable",
                );
                error.data.outcome = Some("unknown".to_owned());
                error
            }
            // A stored value does not fit its type: someone else wrote it.
            StoreError::Database(
                rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::Utf8Error(..),
            ) => damaged(),
            StoreError::Database(_) => match self.sqlite_code() {
                Some(ffi::SQLITE_FULL) => disk_full(),
                Some(ffi::SQLITE_CORRUPT | ffi::SQLITE_NOTADB) => damaged(),
                Some(ffi::SQLITE_IOERR | ffi::SQLITE_READONLY | ffi::SQLITE_CANTOPEN) => io_error(),
                Some(ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED | ffi::SQLITE_NOMEM) => {
                    ApiError::unavailable("the database is busy", 50)
                }
                _ => internal(),
            },
            StoreError::Cancelled => ApiError::unavailable("it was cancelled", 1000),
            StoreError::Internal(_) => internal(),
        }
    }
}

fn disk_full() -> ApiError {
    ApiError::new(ErrorCode::DiskFull, "there is no space left for this")
}

fn damaged() -> ApiError {
    ApiError::new(ErrorCode::IntegrityError, "stored data is damaged")
}

fn io_error() -> ApiError {
    ApiError::new(ErrorCode::IoError, "reading or writing failed")
}

fn internal() -> ApiError {
    ApiError::new(ErrorCode::InternalError, "internal error")
}

impl From<ApiError> for StoreError {
    fn from(error: ApiError) -> Self {
        StoreError::Refused(error)
    }
}

impl From<FormatError> for StoreError {
    fn from(error: FormatError) -> Self {
        match error {
            FormatError::Io(source) => StoreError::Io { what: "blob file".to_owned(), source },
            other => StoreError::Damaged(other.to_string()),
        }
    }
}

/// Why a data root can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another daemon has it.
    #[error("the data root {} is in use by the daemon with pid {pid}", root.display())]
    InUse {
        /// The data root.
        root: PathBuf,
        /// What that daemon wrote into the lock file.
        pid: String,
    },
    /// It belongs to another user, or others may write it, or it can't be made.
    #[error("the data root {}: {why}", root.display())]
    NotOurs {
        /// The data root.
        root: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// It is damaged, not ours, or newer than this program.
    #[error("the data root {}: {why}", root.display())]
    Unusable {
        /// The data root.
        root: PathBuf,
        /// What is wrong, and what can be done.
        why: String,
    },
    /// Opening it failed otherwise.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        OpenError::Store(error.into())
    }
}
