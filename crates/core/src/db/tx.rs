//! What an operation works on: a transaction that writes, or a reader.
//!
//! A record operation is a plain function over a [`Tx`] or a [`Reader`], so the same one serves a
//! call of its own, one among many in a batch, the importer and the tests. An operation touches
//! nothing outside its transaction, since a group of them may have to be run again.

use std::sync::Arc;

use osnova_storage_api::ApiError;
pub(crate) use osnova_storage_api::events::ChangeKind;
use osnova_storage_api::wire::{BlobHash, Revision};
use rusqlite::Connection;

use super::cache::CacheLimits;
use super::feed::Change;
use super::recorder::Recorder;
use super::search::{self, Notes, SearchState, Searched};
use super::storage::StorageLimits;
use crate::blob::{BlobLimits, Readers};
use crate::clock::{Clock, Uptime};
use crate::error::{Result, StoreError};
use crate::vault::Vault;
use crate::vault::keys::KeySet;

/// What operations need beside rows: the time, the keys, the bounds.
pub(crate) struct Environment {
    /// Tells the time.
    pub(crate) clock: Arc<dyn Clock>,
    /// For how long the root has been up.
    pub(crate) uptime: Uptime,
    /// The keys, while they are loaded.
    pub(crate) vault: Vault,
    /// The bounds of `storage`.
    pub(crate) storage: StorageLimits,
    /// The bounds of the cache.
    pub(crate) cache: CacheLimits,
    /// The bounds of contents.
    pub(crate) blobs: BlobLimits,
    /// The contents that are being read.
    pub(crate) readers: Readers,
    /// How the search indices are.
    pub(crate) search: Arc<SearchState>,
}

/// A transaction on the write connection, as one operation sees it.
///
/// An operation may be one of thousands in its savepoint. A statement with RETURNING, or one that inserts
/// from a SELECT, has a savepoint of its own, and to end it SQLite walks what the outer one keeps for undoing:
/// in a large call each such statement costs as much as all before it. So what runs for each record reads
/// and writes in two statements.
pub struct Tx<'a> {
    connection: &'a Connection,
    recorder: &'a Recorder,
    environment: &'a Environment,
    search_notes: &'a Notes,
    now: i64,
}

impl<'a> Tx<'a> {
    pub(crate) fn new(
        connection: &'a Connection,
        recorder: &'a Recorder,
        environment: &'a Environment,
        search_notes: &'a Notes,
        now: i64,
    ) -> Self {
        Self { connection, recorder, environment, search_notes, now }
    }

    /// The connection, inside the transaction.
    pub fn connection(&self) -> &Connection {
        self.connection
    }

    /// The time of the transaction, in Unix seconds.
    pub fn now(&self) -> i64 {
        self.now
    }

    /// Milliseconds of the clock that only runs.
    pub(crate) fn monotonic_ms(&self) -> u64 {
        self.environment.clock.monotonic_ms()
    }

    /// For how long the root has been up over all its starts, in milliseconds.
    pub(crate) fn uptime_ms(&self) -> u64 {
        self.environment.uptime.now_ms()
    }

    /// The keys, for as long as the operation holds them.
    ///
    /// # Errors
    /// [`StoreError::Locked`].
    pub(crate) fn keys(&self) -> Result<Arc<KeySet>> {
        self.environment.vault.keys()
    }

    /// The bounds of `storage`.
    pub(crate) fn storage_limits(&self) -> &StorageLimits {
        &self.environment.storage
    }

    /// The bounds of the cache.
    pub(crate) fn cache_limits(&self) -> &CacheLimits {
        &self.environment.cache
    }

    /// The bounds of contents.
    pub(crate) fn blob_limits(&self) -> &BlobLimits {
        &self.environment.blobs
    }

    /// Whether a content is being read just now.
    pub(crate) fn is_being_read(&self, hash: &BlobHash) -> bool {
        self.environment.readers.has(hash)
    }

    /// Notes that what a record says has changed: the writer brings its index up to it before COMMIT.
    pub(crate) fn note_search(&self, what: Searched, key: &str) {
        self.search_notes.add(what, key);
    }

    /// The same of a record that is about to say these texts, in the order of its index; it is not noted
    /// where it says them already: to write its row of the index again costs more than the record itself.
    ///
    /// # Errors
    /// Where the record can't be read.
    pub(crate) fn note_search_of(
        &self,
        what: Searched,
        key: &str,
        texts: [Option<&str>; 4],
    ) -> Result<()> {
        if !search::index::is_of(self.connection, what, key, texts)? {
            self.note_search(what, key);
        }
        Ok(())
    }

    /// What this transaction sees, itself included.
    pub fn reader(&self) -> Reader<'_> {
        Reader { connection: self.connection, environment: self.environment, now: self.now }
    }

    /// Enters a change of a record in the feed; its position is the record's new revision.
    ///
    /// # Errors
    /// Where the row can't be written.
    pub(crate) fn record_change(
        &self,
        namespace: &str,
        key: &[&str],
        kind: ChangeKind,
    ) -> Result<Revision> {
        self.record_change_of(None, namespace, key, kind)
    }

    /// The same of a component's own thing: that component may see the change.
    ///
    /// # Errors
    /// Where the row can't be written.
    pub(crate) fn record_change_of(
        &self,
        component: Option<&str>,
        namespace: &str,
        key: &[&str],
        kind: ChangeKind,
    ) -> Result<Revision> {
        let seq = self.recorder.next();
        let key = serde_json::value::to_raw_value(key).map_err(|error| {
            StoreError::Internal(format!("a feed key can't be written: {error}"))
        })?;
        self.connection
            .prepare_cached(
                "INSERT INTO change_feed (seq, namespace, key_json, kind, component_id)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute((seq, namespace, key.get(), kind.as_str(), component))?;
        self.recorder.record(Change {
            position: seq,
            namespace: namespace.to_owned(),
            key,
            kind,
            component: component.map(str::to_owned),
        });
        Ok(Revision(seq))
    }
}

/// A connection to read by, as one operation sees it; held only while the operation runs.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    connection: &'a Connection,
    environment: &'a Environment,
    now: i64,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(connection: &'a Connection, environment: &'a Environment) -> Self {
        Self { connection, environment, now: environment.clock.now() }
    }

    /// The time at which the operation began, in Unix seconds.
    pub fn now(&self) -> i64 {
        self.now
    }

    /// The keys, for as long as the operation holds them.
    ///
    /// # Errors
    /// [`StoreError::Locked`].
    pub(crate) fn keys(&self) -> Result<Arc<KeySet>> {
        self.environment.vault.keys()
    }

    /// How the search indices are.
    pub(crate) fn search_state(&self) -> &'a SearchState {
        &self.environment.search
    }

    /// The connection.
    pub fn connection(&self) -> &'a Connection {
        self.connection
    }
}

/// Checks `ifRevision` against the record's revision, 0 where it is absent.
///
/// # Errors
/// `conflict`, reason `revision`, with the current one.
pub(crate) fn check_revision(expected: Option<Revision>, current: Option<Revision>) -> Result<()> {
    let current = current.unwrap_or(Revision(0));
    match expected {
        Some(expected) if expected != current => {
            Err(StoreError::Refused(ApiError::revision(current.0)))
        }
        _ => Ok(()),
    }
}
