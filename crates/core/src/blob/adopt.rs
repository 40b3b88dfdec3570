//! Files with the name of a content and no row: after a crash between rename and commit, beside a database
//! that is older or new, or dropped in by someone. None is removed: each becomes the owner's, or is put aside.

use std::ffi::OsStr;

use osnova_storage_api::blobs::AdoptResult;
use osnova_storage_api::wire::BlobHash;

use super::{BlobStore, GoOn, ROW_WEIGHT};
use crate::db::{Database, blobs};
use crate::error::{Result, StoreError};
use crate::health::Cause;
use crate::vault::keys::KeySet;

/// Files that are looked up together.
const LOOKED_UP_AT_ONCE: usize = 500;

/// The content whose file has this name, or had it before it was put aside.
pub(super) fn name_of(name: &OsStr) -> Option<BlobHash> {
    let stem = name.to_str()?.strip_suffix(".enc")?;
    let (hash, _number) = stem.split_once('.').unwrap_or((stem, ""));
    hash.parse().ok()
}

impl BlobStore {
    /// Whether there are files without a row. Looks at all names, slowly: `go_on` is told now and then how
    /// many it has looked at, and may pause.
    ///
    /// # Errors
    /// Those of `go_on`; where the folder or the database can't be read.
    pub(crate) fn has_unknown_files(&self, db: &Database, go_on: GoOn<'_>) -> Result<bool> {
        let mut found = false;
        self.each_slice(go_on, &mut |hashes| {
            // A put that is under way has its file before its row: only what is still so is unknown.
            for hash in db.read(|reader| blobs::without_row(reader, hashes))? {
                let _lock = self.locks.lock(hash);
                let is_unknown = !db.read(|reader| blobs::is_stored(reader, &hash))?;
                found = found || is_unknown && self.has_file(&hash);
            }
            Ok(!found)
        })?;
        Ok(found)
    }

    /// Gives every file without a row its place: the owner holds it, pinned, or it is put aside.
    ///
    /// # Errors
    /// Those of `go_on`, which is told how many files were looked at; where files or the database can't be
    /// read or written. What was done before stays so.
    pub(crate) fn adopt(
        &self,
        db: &Database,
        keys: &KeySet,
        go_on: GoOn<'_>,
    ) -> Result<AdoptResult> {
        let mut result = AdoptResult::default();
        self.each_slice(&|_| Ok(()), &mut |hashes| {
            for hash in db.read(|reader| blobs::without_row(reader, hashes))? {
                go_on(0)?;
                match self.adopt_one(db, keys, hash, go_on, &mut result) {
                    // One that can't be read keeps none of the others waiting.
                    Err(error @ (StoreError::Io { .. } | StoreError::DiskFull(_))) => {
                        tracing::warn!(%hash, %error, "a file without a row can't be adopted");
                        result.unreadable.0 += 1;
                    }
                    outcome => outcome?,
                }
            }
            result.files.0 += hashes.len() as u64;
            go_on(hashes.len() as u64)?;
            Ok(true)
        })?;
        match result.unreadable.0 {
            0 => self.health.clear(Cause::Unadopted),
            count => self.health.note(
                Cause::Unadopted,
                format!("{count} files in blobs/ have no row and can't be read: see the log"),
            ),
        }
        if result.adopted.0 > 0 {
            self.health.note(
                Cause::Adopted,
                format!("{} files that had no row are the owner's now, pinned", result.adopted.0),
            );
        }
        Ok(result)
    }

    fn adopt_one(
        &self,
        db: &Database,
        keys: &KeySet,
        hash: BlobHash,
        go_on: GoOn<'_>,
        result: &mut AdoptResult,
    ) -> Result<()> {
        let path = self.layout.blob(&hash);
        let kind =
            self.files().metadata(&path).map_err(|source| StoreError::io("read", &path, source))?;
        if !kind.is_file() {
            let source = std::io::Error::other("it is no regular file");
            return Err(StoreError::io("read", &path, source));
        }
        // Read before the lock is taken: a put of the same content need not wait for that long. Who renames
        // to this name meanwhile enters a row for it, which is looked for again below.
        let read = self.file_tag(&hash)?;
        let found = self.read_whole(keys, &hash, &|_| go_on(0))?;
        let _lock = self.locks.lock(hash);
        if db.read(|reader| blobs::is_stored(reader, &hash))? {
            return Ok(());
        }
        let tag = self.file_tag(&hash)?;
        if tag != read {
            // Another lies there by now: the next look finds it.
            return Ok(());
        }
        let Some(tag) = tag else { return self.put_aside(&hash, result) };
        if db.read(|reader| blobs::is_rubbish(reader, &hash, &tag))? {
            self.unlink_and_strike(db, vec![hash]);
            result.removed.0 += 1;
            return Ok(());
        }
        match found {
            Ok((written, format)) => {
                db.write(ROW_WEIGHT, move |tx| blobs::adopt(tx, &written, format))?;
                tracing::info!(%hash, bytes = written.size, "a file without a row was adopted");
                result.adopted.0 += 1;
                result.bytes.0 += written.size;
                Ok(())
            }
            Err(fault) => {
                tracing::warn!(%hash, %fault, "a file without a row can't be adopted");
                self.put_aside(&hash, result)
            }
        }
    }

    fn put_aside(&self, hash: &BlobHash, result: &mut AdoptResult) -> Result<()> {
        if self.has_file(hash) {
            self.quarantine(hash)?;
            result.quarantined.0 += 1;
        }
        Ok(())
    }

    /// Hands out the names of all contents that have a file, slice by slice, until the body says that it has
    /// seen enough.
    fn each_slice(
        &self,
        go_on: GoOn<'_>,
        body: &mut dyn FnMut(&[BlobHash]) -> Result<bool>,
    ) -> Result<()> {
        let folder = self.layout.blobs();
        let failed = |source| StoreError::io("list", &folder, source);
        let mut slice = Vec::new();
        for entry in self.files().read_dir(&folder).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            // What has another name was never a content.
            slice.extend(
                name_of(&name).filter(|hash| self.layout.blob(hash).file_name() == Some(&name)),
            );
            if slice.len() == LOOKED_UP_AT_ONCE {
                go_on(slice.len() as u64)?;
                if !body(&slice)? {
                    return Ok(());
                }
                slice.clear();
            }
        }
        if !slice.is_empty() {
            body(&slice)?;
        }
        Ok(())
    }
}
