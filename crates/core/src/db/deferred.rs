//! Deferred writes: what is not worth a commit of its own, merged in memory until the next group.
//!
//! A time merges by its maximum, an order by the latest. They stay in memory until the COMMIT that
//! holds them has succeeded, are put back where it has not, and are bounded. A crash may lose at most
//! the flush interval; a clean stop loses none. They change neither revision nor feed.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use osnova_storage_api::ApiError;

use super::components;
use super::tx::Tx;
use crate::error::{Result, StoreError};

/// How many records may have something pending.
const MAX_PENDING: usize = 100_000;

/// When a record was used, as it will be written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Touch {
    /// The latest time that was said.
    pub(crate) used_at: i64,
    /// The place of the latest call among all of them.
    pub(crate) order: u64,
}

/// Everything that is pending.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    pub(crate) component_touches: HashMap<String, Touch>,
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.component_touches.is_empty()
    }

    /// Writes it all; the writer runs this in a savepoint of its own.
    pub(crate) fn flush(&self, tx: &Tx<'_>) -> Result<()> {
        components::flush_touches(tx, &self.component_touches)
    }
}

/// The pending writes, shared by those who add and the writer who flushes.
#[derive(Debug, Default)]
pub(crate) struct Deferred(Mutex<(Pending, u64)>);

impl Deferred {
    /// Notes that a component was used. The caller has seen that it exists.
    ///
    /// # Errors
    /// `unavailable` where too much is pending already.
    pub(crate) fn touch_component(&self, id: &str, used_at: i64) -> Result<()> {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (pending, order) = &mut *guard;
        if pending.component_touches.len() >= MAX_PENDING
            && !pending.component_touches.contains_key(id)
        {
            return Err(StoreError::Refused(ApiError::unavailable(
                "too many deferred writes are pending",
                200,
            )));
        }
        *order += 1;
        merge(pending, id.to_owned(), Touch { used_at, order: *order });
        Ok(())
    }

    /// Whether nothing is pending.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.is_empty()
    }

    /// Takes what is pending, if anything is.
    pub(crate) fn take(&self) -> Option<Pending> {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (!guard.0.is_empty()).then(|| std::mem::take(&mut guard.0))
    }

    /// Puts back what could not be written, beside what has come since.
    pub(crate) fn put_back(&self, unwritten: Pending) {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, touch) in unwritten.component_touches {
            merge(&mut guard.0, id, touch);
        }
    }
}

fn merge(pending: &mut Pending, id: String, touch: Touch) {
    pending
        .component_touches
        .entry(id)
        .and_modify(|known| {
            known.used_at = known.used_at.max(touch.used_at);
            known.order = known.order.max(touch.order);
        })
        .or_insert(touch);
}
