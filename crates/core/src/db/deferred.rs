//! Deferred writes: what is not worth a commit of its own, merged in memory until the next group.
//!
//! A time merges by its maximum, an order by the latest, a count by the sum. They stay in memory until
//! the COMMIT that holds them has succeeded, are put back where it has not, and are bounded. A crash may
//! lose at most the flush interval; a clean stop loses none. They change neither revision nor feed.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use osnova_storage_api::ApiError;

use super::tx::Tx;
use super::{cache, components, keys, registry};
use crate::error::{Result, StoreError};

/// How many records may have something pending.
const MAX_PENDING: usize = 100_000;

/// What is pending of one record, and how it takes in what comes later.
pub(crate) trait Merge {
    /// Takes in what came beside it, earlier or later.
    fn merge(&mut self, other: Self);
}

/// When a record was used, as it will be written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Touch {
    /// The latest time that was said.
    pub(crate) used_at: i64,
    /// The place of the latest call among all of them.
    pub(crate) order: u64,
    /// How many calls there were.
    pub(crate) count: u64,
}

impl Merge for Touch {
    fn merge(&mut self, other: Self) {
        self.used_at = self.used_at.max(other.used_at);
        self.order = self.order.max(other.order);
        self.count += other.count;
    }
}

/// The last sign of life of a component.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heartbeat {
    /// When, by the wall clock.
    pub(crate) at: i64,
    /// When, by the clock that only runs.
    pub(crate) monotonic_ms: u64,
}

impl Merge for Heartbeat {
    fn merge(&mut self, other: Self) {
        self.at = self.at.max(other.at);
        self.monotonic_ms = self.monotonic_ms.max(other.monotonic_ms);
    }
}

/// What is pending of a table, by the key of its records.
pub(crate) type Table<T> = HashMap<String, T>;

/// Everything that is pending.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    pub(crate) component_touches: Table<Touch>,
    pub(crate) key_touches: Table<Touch>,
    pub(crate) cache_hits: Table<Touch>,
    pub(crate) heartbeats: Table<Heartbeat>,
}

impl Pending {
    fn len(&self) -> usize {
        self.component_touches.len()
            + self.key_touches.len()
            + self.cache_hits.len()
            + self.heartbeats.len()
    }

    /// Writes it all; the writer runs this in a savepoint of its own.
    pub(crate) fn flush(&self, tx: &Tx<'_>) -> Result<()> {
        components::flush_touches(tx, &self.component_touches)?;
        keys::flush_touches(tx, &self.key_touches)?;
        cache::flush_hits(tx, &self.cache_hits)?;
        registry::flush_heartbeats(tx, &self.heartbeats)
    }
}

/// The pending writes, shared by those who add and the writer who flushes.
#[derive(Debug, Default)]
pub(crate) struct Deferred(Mutex<(Pending, u64)>);

impl Deferred {
    /// Notes something of a record that the caller has seen: `value` is told its place among all that was
    /// ever noted.
    ///
    /// # Errors
    /// `unavailable` where too much is pending already.
    pub(crate) fn add<T: Merge>(
        &self,
        table: fn(&mut Pending) -> &mut Table<T>,
        key: &str,
        value: impl FnOnce(u64) -> T,
    ) -> Result<()> {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (pending, order) = &mut *guard;
        let full = pending.len() >= MAX_PENDING;
        let table = table(pending);
        if full && !table.contains_key(key) {
            return Err(StoreError::Refused(ApiError::unavailable(
                "too many deferred writes are pending",
                200,
            )));
        }
        *order += 1;
        merge(table, key.to_owned(), value(*order));
        Ok(())
    }

    /// Whether nothing is pending.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.len() == 0
    }

    /// Takes what is pending, if anything is.
    pub(crate) fn take(&self) -> Option<Pending> {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (guard.0.len() > 0).then(|| std::mem::take(&mut guard.0))
    }

    /// Puts back what could not be written, beside what has come since.
    pub(crate) fn put_back(&self, unwritten: Pending) {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pending = &mut guard.0;
        merge_all(&mut pending.component_touches, unwritten.component_touches);
        merge_all(&mut pending.key_touches, unwritten.key_touches);
        merge_all(&mut pending.cache_hits, unwritten.cache_hits);
        merge_all(&mut pending.heartbeats, unwritten.heartbeats);
    }
}

fn merge_all<T: Merge>(table: &mut Table<T>, others: Table<T>) {
    for (key, value) in others {
        merge(table, key, value);
    }
}

fn merge<T: Merge>(table: &mut Table<T>, key: String, value: T) {
    match table.get_mut(&key) {
        Some(known) => known.merge(value),
        None => {
            table.insert(key, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use osnova_storage_api::ErrorCode;

    use super::*;

    fn touched(used_at: i64) -> impl FnOnce(u64) -> Touch {
        move |order| Touch { used_at, order, count: 1 }
    }

    #[test]
    fn what_is_pending_is_bounded_and_what_is_known_is_still_merged() {
        let deferred = Deferred::default();
        let touch = |key: &str| deferred.add(|all| &mut all.key_touches, key, touched(1));
        for index in 0..MAX_PENDING {
            touch(&index.to_string()).unwrap();
        }
        assert_eq!(touch("another").unwrap_err().to_api().code(), ErrorCode::Unavailable);
        touch("7").unwrap();
        let taken = deferred.take().unwrap();
        assert_eq!((taken.key_touches.len(), taken.key_touches["7"].count), (MAX_PENDING, 2));
        assert!(deferred.is_empty());
        touch("another").unwrap();
    }
}
