//! What is wrong with the daemon, or was found at start: the source of `status.get`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use osnova_storage_api::status::{Health as Level, Notice};
use osnova_storage_api::wire::Timestamp;

use crate::clock::Clock;

/// What a part of the daemon suffers from. Each cause stands once, until it is cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The database could not be written for want of space.
    DatabaseFull,
    /// Reading or writing the database failed.
    DatabaseIo,
    /// The database is damaged.
    DatabaseDamaged,
    /// Records of the database are damaged, or do not fit together.
    RecordsDamaged,
    /// The search index is damaged and being built anew: searches miss records.
    SearchStale,
    /// The WAL grows past its bounds: a reader holds it, or it can't be copied into the database.
    WalOverLimit,
    /// Blob puts are refused: the disk is nearly full.
    BlobsFull,
    /// Blob puts fail: their files can't be written.
    BlobsIo,
    /// A blob file is missing or damaged.
    BlobDamaged,
    /// Files were put aside; nothing is wrong but what is told by itself.
    Quarantine,
    /// Files without a row were given one; nothing is wrong.
    Adopted,
    /// Files without a row can't be read.
    Unadopted,
    /// A sealed value of a component does not open.
    ValueDamaged,
    /// The wall clock jumped: what has expired is not deleted until it can be trusted again.
    ClockJumped,
    /// Logs of components can't be written.
    LogsIo,
    /// A socket that is bound to a component could not be opened.
    Sockets,
    /// What the last run left was cleaned up at start; nothing is wrong.
    Recovered,
}

impl Cause {
    /// The part of the daemon that suffers.
    pub fn service(self) -> &'static str {
        match self {
            Cause::DatabaseFull
            | Cause::DatabaseIo
            | Cause::DatabaseDamaged
            | Cause::RecordsDamaged
            | Cause::ValueDamaged
            | Cause::ClockJumped
            | Cause::SearchStale
            | Cause::WalOverLimit => "database",
            Cause::BlobsFull
            | Cause::BlobsIo
            | Cause::BlobDamaged
            | Cause::Quarantine
            | Cause::Adopted
            | Cause::Unadopted
            | Cause::Recovered => "blobs",
            Cause::LogsIo => "logs",
            Cause::Sockets => "sockets",
        }
    }

    /// How bad it is.
    pub fn level(self) -> Level {
        match self {
            Cause::Recovered | Cause::Quarantine | Cause::Adopted => Level::Ok,
            Cause::DatabaseDamaged => Level::Error,
            _ => Level::Degraded,
        }
    }
}

/// The causes that hold now. Cheap to clone, shared by all parts of the store.
#[derive(Clone)]
pub struct Health {
    causes: Arc<Mutex<BTreeMap<Cause, Notice>>>,
    clock: Arc<dyn Clock>,
}

impl Health {
    /// All is well.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { causes: Arc::default(), clock }
    }

    /// Notes a cause; one that stands already keeps its time.
    pub fn note(&self, cause: Cause, message: impl Into<String>) {
        let mut causes = self.causes.lock().unwrap_or_else(PoisonError::into_inner);
        let message = message.into();
        causes.entry(cause).or_insert_with(|| {
            tracing::warn!(?cause, "{message}");
            Notice { message, since: Timestamp(self.clock.now()) }
        });
    }

    /// Strikes a cause off.
    pub fn clear(&self, cause: Cause) {
        let mut causes = self.causes.lock().unwrap_or_else(PoisonError::into_inner);
        if causes.remove(&cause).is_some() {
            tracing::info!(?cause, "well again");
        }
    }

    /// The causes that hold now.
    pub fn causes(&self) -> Vec<(Cause, Notice)> {
        let causes = self.causes.lock().unwrap_or_else(PoisonError::into_inner);
        causes.iter().map(|(cause, notice)| (*cause, notice.clone())).collect()
    }
}
