//! Which contents are being read: what the cache leaves alone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use osnova_storage_api::wire::BlobHash;

/// How many read each content. Clones are of the same count.
#[derive(Debug, Clone, Default)]
pub(crate) struct Readers(Arc<Mutex<HashMap<BlobHash, usize>>>);

impl Readers {
    /// Counts one more, until what is answered is dropped.
    pub(crate) fn begin(&self, hash: BlobHash) -> Reading {
        *self.counts().entry(hash).or_default() += 1;
        Reading { readers: self.clone(), hash }
    }

    /// Whether anyone reads it.
    pub(crate) fn has(&self, hash: &BlobHash) -> bool {
        self.counts().contains_key(hash)
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<BlobHash, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who reads a content.
#[derive(Debug)]
pub(crate) struct Reading {
    readers: Readers,
    hash: BlobHash,
}

impl Drop for Reading {
    fn drop(&mut self) {
        let mut counts = self.readers.counts();
        if let Some(count) = counts.get_mut(&self.hash) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.hash);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_is_read_until_the_last_reader_has_gone() {
        let readers = Readers::default();
        let hash = BlobHash::new([1; 32]);
        let first = readers.begin(hash);
        let second = readers.begin(hash);
        drop(first);
        assert!(readers.has(&hash));
        assert!(!readers.has(&BlobHash::new([2; 32])));
        drop(second);
        assert!(!readers.has(&hash));
        assert!(readers.counts().is_empty());
    }
}
