//! Writing files of format 0 anew as format 1.

use osnova_storage_api::blobs::UpgradeResult;
use osnova_storage_api::wire::BlobHash;

use super::format::seal_stream;
use super::temporary::Temporary;
use super::{BlobStore, FileTag, GoOn, ROW_WEIGHT, ReserveGuard, written};
use crate::caller::Caller;
use crate::db::{Database, blobs};
use crate::error::Result;
use crate::vault::keys::KeySet;

/// Contents that are listed with one reader.
const LISTED_AT_ONCE: usize = 100;

impl BlobStore {
    /// Writes all files of format 0 anew.
    ///
    /// # Errors
    /// Those of `go_on`, which is told how many files were written; where files or the database can't be
    /// read or written. What was done before stays so.
    pub(crate) fn upgrade(
        &self,
        db: &Database,
        keys: &KeySet,
        go_on: GoOn<'_>,
    ) -> Result<UpgradeResult> {
        let mut result = UpgradeResult::default();
        let mut after = 0;
        loop {
            let listed = db.read(|reader| blobs::of_format_0(reader, after, LISTED_AT_ONCE))?;
            let Some((last, _)) = listed.last() else { return Ok(result) };
            after = *last;
            for (_, hash) in listed {
                go_on(0)?;
                self.upgrade_one(db, keys, hash, &mut result)?;
                go_on(1)?;
            }
        }
    }

    fn upgrade_one(
        &self,
        db: &Database,
        keys: &KeySet,
        hash: BlobHash,
        result: &mut UpgradeResult,
    ) -> Result<()> {
        let read = self.file_tag(&hash)?;
        let blob = match self.open_raw(keys, &hash)? {
            Ok(blob) => blob,
            Err(_) => return self.note_if_there(db, hash, read, result),
        };
        // It is written anew before the lock is taken: puts of the same content need not wait for that.
        let temporary = Temporary::create(self.files(), &self.layout.blobs_tmp())
            .map_err(|error| self.noted_file_error(error))?;
        let mut content = blob.whole();
        let mut source = ReserveGuard { source: &mut content, store: self, until_check: 0 };
        // Its content was verified when it was opened, and has the hash that it is known by.
        let sealed = seal_stream(&mut source, temporary.file(), keys, u64::MAX)
            .map_err(|error| self.seal_error(error, &Caller::Owner))?;
        let sealed = written(&sealed);
        if sealed.hash != hash {
            return self.note_if_there(db, hash, read, result);
        }
        temporary.sync().map_err(|error| self.noted_file_error(error))?;
        let _lock = self.locks.lock(hash);
        if self.file_tag(&hash)? != read || !db.read(|reader| blobs::is_stored(reader, &hash))? {
            // It was deleted or put again meanwhile.
            return Ok(());
        }
        temporary.rename(&self.layout.blob(&hash)).map_err(|error| self.noted_file_error(error))?;
        self.sync_folder().map_err(|error| self.noted_file_error(error))?;
        db.write(ROW_WEIGHT, move |tx| blobs::set_stored(tx, &sealed))?;
        result.contents.0 += 1;
        result.bytes.0 += sealed.size;
        Ok(())
    }

    /// Counts a content as damaged, unless it was deleted or put again since its file was looked at.
    fn note_if_there(
        &self,
        db: &Database,
        hash: BlobHash,
        read: Option<FileTag>,
        result: &mut UpgradeResult,
    ) -> Result<()> {
        let _lock = self.locks.lock(hash);
        if self.file_tag(&hash)? == read && db.read(|reader| blobs::is_stored(reader, &hash))? {
            self.damaged.note(hash);
            result.damaged.0 += 1;
        }
        Ok(())
    }
}
