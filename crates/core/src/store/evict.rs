//! Evicting the cache: entries go in the order in which they were last accessed, with the contents that
//! nothing else keeps.

use osnova_storage_api::cache::{EvictParams, Evicted};

use super::Store;
use crate::caller::Caller;
use crate::db::{Reader, cache};
use crate::error::Result;

impl Store {
    /// Removes the entries that were not accessed for longest, until so many bytes are left.
    ///
    /// # Errors
    /// Where the database or the blob files can't be read or written; what was evicted before stays so.
    pub fn evict_cache(&self, _caller: &Caller, params: &EvictParams) -> Result<Evicted> {
        let target = params.target_bytes.0;
        let enough = move |reader: Reader<'_>| Ok(cache::size(reader)?.1 <= target);
        let (entries, bytes) = self.blobs.evict_cache(&self.db, enough)?;
        Ok(Evicted { entries, bytes, bytes_left: self.db.read(cache::size)?.1 })
    }
}
