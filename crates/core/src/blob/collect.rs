//! Collecting: contents that nothing has kept for the grace go, in slices, beside everything else.
//!
//! Who is due the [candidates](crate::db::blobs::candidates) say; they are asked again under the locks, in
//! the transaction that removes the rows, so a content that was put or named meanwhile stays.

use std::sync::PoisonError;

use osnova_storage_api::blobs::CollectResult;
use osnova_storage_api::wire::UploadId;

use super::{BlobStore, ROW_WEIGHT};
use crate::caller::Caller;
use crate::db::blobs::candidates::{self, Due};
use crate::db::blobs::{self, Room, Written, uploads};
use crate::db::{Database, Reader, cache};
use crate::error::Result;

/// Contents of a slice: their locks are held over two commits, while puts of the same contents wait.
const SLICE: usize = 64;

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
                self.damaged.healed(&content.hash);
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
        let (by, written, limits) = (caller.clone(), written.to_vec(), self.limits);
        let upload = upload.cloned();
        self.make_room_until(db, caller, move |reader| match &upload {
            None => blobs::room(reader, &by, &written, &limits),
            Some(id) => uploads::room_to_commit(reader, &by, id, &written, &limits),
        })
    }

    /// Makes room: collects what is due and then evicts the cache, as far as is needed.
    ///
    /// # Errors
    /// `quota_exceeded` where there is still none; those of `room`.
    pub(super) fn make_room_until(
        &self,
        db: &Database,
        caller: &Caller,
        room: impl Fn(Reader<'_>) -> Result<Room> + Clone + Send + 'static,
    ) -> Result<()> {
        if db.read(&room)? == Room::Enough {
            return Ok(());
        }
        // One at a time: others would remove what the first has made enough room by.
        let _making = self.making_room.lock().unwrap_or_else(PoisonError::into_inner);
        self.collect(db, &|_| Ok(()), &|| Ok(db.read(&room)? == Room::Enough))?;
        if db.read(&room)? == Room::StoreFull {
            let enough = room.clone();
            self.evict_cache(db, move |reader| Ok(enough(reader)? != Room::StoreFull))?;
        }
        match db.read(&room)? {
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
        enough: impl Fn(Reader<'_>) -> Result<bool> + Clone + Send + 'static,
    ) -> Result<(u64, u64)> {
        // The order is decided by accesses that may still wait to be written.
        db.flush_deferred()?;
        let (mut entries, mut bytes) = (0, 0);
        let mut after = 0;
        while !db.read(&enough)? {
            let chosen = db.read(|reader| cache::evictable(reader, after, SLICE))?;
            let Some(last) = chosen.last() else { break };
            after = last.accessed_seq;
            let chosen: Vec<_> = chosen
                .into_iter()
                .filter(|chosen| !self.readers.has(&chosen.entry.blob_hash))
                .collect();
            if chosen.is_empty() {
                continue;
            }
            let _locks = self.locks.lock_all(chosen.iter().map(|chosen| chosen.entry.blob_hash));
            let chosen: Vec<_> = chosen
                .into_iter()
                .map(|chosen| {
                    let tag = self.tag_to_remove(&chosen.entry.blob_hash);
                    (chosen.entry.autonomi_address, chosen.accessed_seq, tag)
                })
                .collect();
            let (grace, enough) = (self.limits.grace_ms, enough.clone());
            let evicted = db.write(SLICE * ROW_WEIGHT, move |tx| {
                let mut evicted = Vec::new();
                for (address, seq, tag) in &chosen {
                    if enough(tx.reader())? {
                        break;
                    }
                    evicted.extend(cache::evict(tx, address, *seq, grace, *tag)?);
                }
                Ok(evicted)
            })?;
            let mut gone = Vec::new();
            for entry in evicted {
                entries += 1;
                bytes += entry.bytes;
                if entry.unlink {
                    self.damaged.healed(&entry.hash);
                    gone.push(entry.hash);
                }
            }
            self.unlink_and_strike(db, gone);
        }
        Ok((entries, bytes))
    }
}
