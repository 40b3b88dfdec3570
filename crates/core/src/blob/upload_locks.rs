//! Who does something with an upload: many enter chunks at the same time, one alone commits or drops it.
//!
//! Nobody waits long: a commit may take minutes, and whoever finds one is told to come again. Chunks are
//! entered in moments, so those are waited for.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use osnova_storage_api::ApiError;
use osnova_storage_api::wire::UploadId;

use crate::error::{Result, StoreError};

/// How long is waited for chunks that are being entered.
const PATIENCE: Duration = Duration::from_secs(5);
/// When a caller who found a commit may come again, in milliseconds.
const RETRY_AFTER_MS: u64 = 250;

/// The uploads with which something is done.
#[derive(Default)]
pub(super) struct UploadLocks {
    uses: Mutex<HashMap<UploadId, Uses>>,
    released: Condvar,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Uses {
    /// So many enter chunks.
    Shared(usize),
    /// It is being committed or dropped.
    Alone,
}

/// That something is being done with an upload.
pub(super) struct UploadLock<'a> {
    locks: &'a UploadLocks,
    id: UploadId,
}

impl UploadLocks {
    /// Enters a chunk beside others who do.
    ///
    /// # Errors
    /// `unavailable` while it is being committed or dropped.
    pub(super) fn share(&self, id: &UploadId) -> Result<UploadLock<'_>> {
        match self.uses().entry(id.clone()).or_insert(Uses::Shared(0)) {
            Uses::Alone => return Err(busy()),
            Uses::Shared(count) => *count += 1,
        }
        Ok(UploadLock { locks: self, id: id.clone() })
    }

    /// Commits or drops it.
    ///
    /// # Errors
    /// `unavailable` while another does, or where chunks are entered without end.
    pub(super) fn alone(&self, id: &UploadId) -> Result<UploadLock<'_>> {
        let shared =
            |uses: &mut HashMap<UploadId, Uses>| matches!(uses.get(id), Some(Uses::Shared(_)));
        let (mut uses, _) = self
            .released
            .wait_timeout_while(self.uses(), PATIENCE, shared)
            .unwrap_or_else(PoisonError::into_inner);
        if uses.contains_key(id) {
            return Err(busy());
        }
        uses.insert(id.clone(), Uses::Alone);
        drop(uses);
        Ok(UploadLock { locks: self, id: id.clone() })
    }

    /// Whether it is being committed or dropped.
    pub(super) fn is_alone(&self, id: &UploadId) -> bool {
        self.uses().get(id) == Some(&Uses::Alone)
    }

    /// Whether anything is done with it.
    pub(super) fn is_used(&self, id: &UploadId) -> bool {
        self.uses().contains_key(id)
    }

    fn uses(&self) -> MutexGuard<'_, HashMap<UploadId, Uses>> {
        self.uses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn busy() -> StoreError {
    let why = "the upload is being committed or dropped";
    StoreError::Refused(ApiError::unavailable(why, RETRY_AFTER_MS))
}

impl Drop for UploadLock<'_> {
    fn drop(&mut self) {
        let mut uses = self.locks.uses();
        match uses.get_mut(&self.id) {
            Some(Uses::Shared(count)) if *count > 1 => *count -= 1,
            _ => {
                uses.remove(&self.id);
                self.locks.released.notify_all();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn many_enter_chunks_and_one_alone_commits() {
        let locks = UploadLocks::default();
        let (id, other): (UploadId, UploadId) = ("a".parse().unwrap(), "b".parse().unwrap());
        let first = locks.share(&id).unwrap();
        let second = locks.share(&id).unwrap();
        drop(first);
        assert!(locks.is_used(&id) && !locks.is_alone(&id));
        let alone = thread::scope(|scope| {
            let (begin, begun) = mpsc::channel();
            let (locks, id) = (&locks, &id);
            let waiting = scope.spawn(move || {
                begin.send(()).unwrap();
                locks.alone(id).unwrap()
            });
            // Whether it waits already or comes just now, it is let in.
            begun.recv().unwrap();
            drop(second);
            waiting.join().unwrap()
        });
        assert!(locks.is_alone(&id));
        assert!(locks.share(&id).is_err() && locks.alone(&id).is_err());
        drop(locks.alone(&other).unwrap());
        drop(alone);
        assert!(locks.uses().is_empty());
    }
}
