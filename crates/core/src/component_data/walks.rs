//! Who walks through files at the moment: a component's once at a time, and few at a time at all.
//!
//! A walk may take long and holds a descriptor for each level, so nobody may begin many.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use osnova_storage_api::ApiError;
use osnova_storage_api::wire::ComponentId;

use super::BOUNDS;
use crate::error::Result;

/// Walks that may run at a time.
const MAX_WALKS: usize = 2;
/// The most files that all walks have open: a copy has two for each level, and two that it copies.
pub const MAX_OPEN_FILES: u64 = (MAX_WALKS * (2 * (BOUNDS.depth + 1) + 2)) as u64;
/// When a call that found a walk running may be tried again.
const RETRY_AFTER_MS: u64 = 100;

/// The components whose files are being walked through.
#[derive(Debug, Default)]
pub(super) struct Walks(Mutex<BTreeSet<ComponentId>>);

impl Walks {
    /// Begins a walk through a component's files, until what is returned is dropped.
    ///
    /// # Errors
    /// `unavailable` where one runs already, or too many of others.
    pub(super) fn begin(&self, id: &ComponentId) -> Result<Walk<'_>> {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let busy = |message: &str| Err(ApiError::unavailable(message, RETRY_AFTER_MS).into());
        if running.contains(id) {
            return busy("the component's files are being counted, copied or removed");
        }
        if running.len() >= MAX_WALKS {
            return busy("the files of too many components are being counted, copied or removed");
        }
        running.insert(id.clone());
        Ok(Walk { walks: self, id: id.clone() })
    }
}

/// A walk that runs.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    walks: &'a Walks,
    id: ComponentId,
}

impl Drop for Walk<'_> {
    fn drop(&mut self) {
        self.walks.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use osnova_storage_api::ErrorCode;

    use super::*;

    #[test]
    fn one_at_a_time_of_a_component_and_few_at_all() {
        let ids: Vec<ComponentId> =
            (0..=MAX_WALKS).map(|number| format!("c{number}").parse().unwrap()).collect();
        let walks = Walks::default();
        let refused = |id| walks.begin(id).unwrap_err().to_api().code() == ErrorCode::Unavailable;
        let mut running: Vec<_> = ids[1..].iter().map(|id| walks.begin(id).unwrap()).collect();
        assert!(refused(&ids[1]));
        assert!(refused(&ids[0]));
        running.pop();
        assert!(refused(&ids[1]));
        assert!(walks.begin(&ids[0]).is_ok());
    }
}
