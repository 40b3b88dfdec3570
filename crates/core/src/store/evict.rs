//! Evicting the cache: entries go in the order in which they were last accessed, with the contents that
//! nothing else keeps.

use osnova_storage_api::cache::{EvictParams, Evicted};

use super::Store;
use crate::caller::Caller;
use crate::db::cache;
use crate::error::Result;

/// Entries that are looked at with one reader.
const CHOSEN_AT_ONCE: u32 = 100;

impl Store {
    /// Removes the entries that were not accessed for longest, until so many bytes are left.
    ///
    /// # Errors
    /// Where the database or the blob files can't be read or written; what was evicted before stays so.
    pub fn evict_cache(&self, _caller: &Caller, params: &EvictParams) -> Result<Evicted> {
        // The order is decided by accesses that may still wait to be written.
        self.db.flush_deferred()?;
        let mut evicted =
            Evicted { entries: 0, bytes: 0, bytes_left: self.db.read(cache::size)?.1 };
        let mut after = 0;
        while evicted.bytes_left > params.target_bytes.0 {
            let chosen = self.db.read(|reader| cache::evictable(reader, after, CHOSEN_AT_ONCE))?;
            let Some(last) = chosen.last() else { break };
            after = last.accessed_seq;
            for entry in chosen {
                if evicted.bytes_left <= params.target_bytes.0 {
                    break;
                }
                if let Some(bytes) = self.blobs.evict(&self.db, &entry)? {
                    evicted.entries += 1;
                    evicted.bytes += bytes;
                    evicted.bytes_left = self.db.read(cache::size)?.1;
                }
            }
        }
        Ok(evicted)
    }
}
