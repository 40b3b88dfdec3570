//! One lock for each content hash, held by the job that adds or removes the content.
//!
//! A hash is locked only while its file or its row appears or vanishes. The writer never waits for
//! one; whoever holds one may wait for the writer.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Condvar, Mutex, PoisonError};

use osnova_storage_api::wire::BlobHash;

/// The hashes that are locked.
#[derive(Default)]
pub(crate) struct HashLocks {
    held: Mutex<HashSet<BlobHash>>,
    released: Condvar,
}

/// A held lock.
pub(crate) struct HashLock<'a> {
    locks: &'a HashLocks,
    hash: BlobHash,
}

impl HashLocks {
    /// Waits for the locks on several hashes, one after the other in ascending order, so that two who do so
    /// never wait for each other.
    pub(crate) fn lock_all(&self, hashes: impl IntoIterator<Item = BlobHash>) -> Vec<HashLock<'_>> {
        let in_order: BTreeSet<BlobHash> = hashes.into_iter().collect();
        in_order.into_iter().map(|hash| self.lock(hash)).collect()
    }

    /// Waits for the lock on a hash.
    pub(crate) fn lock(&self, hash: BlobHash) -> HashLock<'_> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held = self
            .released
            .wait_while(held, |held| held.contains(&hash))
            .unwrap_or_else(PoisonError::into_inner);
        held.insert(hash);
        HashLock { locks: self, hash }
    }
}

impl Drop for HashLock<'_> {
    fn drop(&mut self) {
        self.locks.held.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.hash);
        self.locks.released.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn one_holder_at_a_time() {
        let locks = HashLocks::default();
        let inside = AtomicU32::new(0);
        let hash = BlobHash::new([7; 32]);
        let other = locks.lock(BlobHash::new([8; 32]));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        let _lock = locks.lock(hash);
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        drop(other);
        assert!(locks.held.lock().unwrap().is_empty());
    }
}
