//! Collecting: contents that nothing has kept for the grace go, in slices, beside everything else.
//!
//! Who is due the [candidates](crate::db::blobs::candidates) say; they are asked again under the locks, in
//! the transaction that removes the rows, so a content that was put or named meanwhile stays.

use osnova_storage_api::blobs::CollectResult;
use osnova_storage_api::wire::{BlobHash, UploadId};

use super::{BlobStore, ROW_WEIGHT};
use crate::caller::Caller;
use crate::db::blobs::candidates::{self, Due};
use crate::db::blobs::{self, Room, Written, uploads};
use crate::db::{Database, cache};
use crate::error::Result;

/// Contents of a slice: their locks are held over two commits, while puts of the same contents wait.
const SLICE: usize = 64;
/// Entries of the cache that are looked at together.
const CHOSEN_AT_ONCE: u32 = 100;

/// What stops long work between two steps, and is told how much was done since the last time.
pub(crate) type GoOn<'a> = &'a dyn Fn(u64) -> Result<()>;

impl BlobStore {
    /// What was noted at this uptime or before is due. While the root is younger than the grace, that is
    /// before its first moment.
    fn due_until(&self, db: &Database) -> i64 {
        let until = db.uptime_ms().checked_sub(self.limits.grace_ms);
        until.map_or(-1, |until| i64::try_from(until).unwrap_or(i64::MAX))
    }

    /// How many candidates are due; some of them may be kept after all.
    ///
    /// # Errors
    /// Where the database can't be read.
    pub(crate) fn count_due(&self, db: &Database) -> Result<u64> {
        let until = self.due_until(db);
        db.read(|reader| candidates::count_due(reader, until))
    }

    /// Removes the contents that are due, until `enough` says so or there are no more.
    ///
    /// # Errors
    /// Those of `go_on` and `enough`, and of the database; what was removed before stays so.
    pub(crate) fn collect(
        &self,
        db: &Database,
        go_on: GoOn<'_>,
        enough: &dyn Fn() -> Result<bool>,
    ) -> Result<CollectResult> {
        let until = self.due_until(db);
        let mut result = CollectResult::default();
        let mut after: Option<Due> = None;
        while !enough()? {
            let chosen = db.read(|reader| candidates::due(reader, until, after, SLICE))?;
            let Some(last) = chosen.last() else { break };
            after = Some(*last);
            let looked_at = chosen.len() as u64;
            let _locks = self.locks.lock_all(chosen.iter().map(|due| due.hash));
            let chosen: Vec<_> =
                chosen.into_iter().map(|due| (due, self.tag_to_remove(&due.hash))).collect();
            let removed =
                db.write(SLICE * ROW_WEIGHT, move |tx| candidates::remove_due(tx, &chosen))?;
            for content in &removed {
                result.contents.0 += 1;
                result.bytes.0 += content.size;
                result.stored_bytes.0 += content.stored_size;
            }
            self.unlink_and_strike(db, removed.into_iter().map(|content| content.hash).collect());
            go_on(looked_at)?;
        }
        Ok(result)
    }

    /// Makes room for contents, of which one may be that of an upload.
    ///
    /// # Errors
    /// As [`make_room_until`](Self::make_room_until).
    pub(super) fn make_room(
        &self,
        db: &Database,
        caller: &Caller,
        written: &[Written],
        upload: Option<&UploadId>,
    ) -> Result<()> {
        let room = || {
            db.read(|reader| match upload {
                None => blobs::room(reader, caller, written, &self.limits),
                Some(id) => uploads::room_to_commit(reader, caller, id, written, &self.limits),
            })
        };
        self.make_room_until(db, caller, &room)
    }

    /// Makes room: collects what is due and then evicts the cache, as far as is needed.
    ///
    /// # Errors
    /// `quota_exceeded` where there is still none; those of `room`.
    pub(super) fn make_room_until(
        &self,
        db: &Database,
        caller: &Caller,
        room: &dyn Fn() -> Result<Room>,
    ) -> Result<()> {
        if room()? == Room::Enough {
            return Ok(());
        }
        // One at a time: others would remove what the first has made enough room by.
        let _making = self.making_room.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.collect(db, &|_| Ok(()), &|| Ok(room()? == Room::Enough))?;
        if room()? == Room::StoreFull {
            self.evict_cache(db, &|| Ok(room()? != Room::StoreFull))?;
        }
        match room()? {
            Room::Enough => Ok(()),
            Room::StoreFull | Room::ComponentFull => Err(blobs::over_limit(caller, &self.limits)),
        }
    }

    /// Evicts entries of the cache in the order of their last access, with the contents that nothing else
    /// keeps, until `enough` says so or there are none left that may go. How many entries, and their bytes.
    ///
    /// # Errors
    /// Those of `enough` and of the database; what was evicted before stays so.
    pub(crate) fn evict_cache(
        &self,
        db: &Database,
        enough: &dyn Fn() -> Result<bool>,
    ) -> Result<(u64, u64)> {
        // The order is decided by accesses that may still wait to be written.
        db.flush_deferred()?;
        let (mut entries, mut bytes) = (0, 0);
        let mut after = 0;
        while !enough()? {
            let chosen = db.read(|reader| cache::evictable(reader, after, CHOSEN_AT_ONCE))?;
            let Some(last) = chosen.last() else { break };
            after = last.accessed_seq;
            for entry in chosen {
                if enough()? {
                    break;
                }
                if let Some(evicted) = self.evict(db, &entry)? {
                    entries += 1;
                    bytes += evicted;
                }
            }
        }
        Ok((entries, bytes))
    }

    /// Evicts an entry of the cache, and its content where nothing else keeps it; the entry's bytes, or
    /// nothing where it was accessed since it was chosen, or its content is being read.
    fn evict(&self, db: &Database, chosen: &cache::Stored) -> Result<Option<u64>> {
        let hash: BlobHash = chosen.entry.blob_hash;
        if self.readers.has(&hash) {
            return Ok(None);
        }
        let _lock = self.locks.lock(hash);
        let (address, seq) = (chosen.entry.autonomi_address.clone(), chosen.accessed_seq);
        let grace = self.limits.grace_ms;
        let tag = self.tag_to_remove(&hash);
        let evicted =
            db.write(ROW_WEIGHT, move |tx| cache::evict(tx, &address, seq, grace, tag))?;
        if let Some((_, true)) = evicted {
            self.unlink_and_strike(db, vec![hash]);
        }
        Ok(evicted.map(|(bytes, _)| bytes))
    }
}
