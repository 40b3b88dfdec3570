//! Contents that are sealed in files of their own and not entered yet: how many of them are gathered, and get
//! to the disk together.

use std::io::Read;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use osnova_storage_api::blobs::BlobPut;
use osnova_storage_api::wire::UploadId;

use super::temporary::{Temporary, TemporaryName};
use super::{BlobStore, PutBlob};
use crate::caller::Caller;
use crate::db::Database;
use crate::db::blobs::{Holding, Written};
use crate::error::Result;
use crate::vault::keys::KeySet;

/// How many files of a [`Batch`] are synced at the same time, and thus open. Each waits for the disk alone,
/// and the file system serves those who wait with one commit of its journal and one flush of the disk
/// (measured on ext4: 1,000 files of 4 KiB take 4 s one after another, 0.2 s by eight).
pub const SYNCED_TOGETHER: usize = 8;

/// A content that is sealed and has neither name nor row. Its file is gone when it is dropped.
pub(super) struct SealedBlob {
    pub(super) file: SealedFile,
    pub(super) written: Written,
    pub(super) holding: Holding,
    /// The upload of which it is the content.
    pub(super) upload: Option<UploadId>,
}

/// The file of such a content.
pub(super) enum SealedFile {
    /// Open, and not on disk for sure.
    Open(Temporary),
    /// On disk, and closed.
    OnDisk(TemporaryName),
}

impl SealedFile {
    /// Writes its content to disk, where it may not be there yet.
    pub(super) fn sync(&self) -> Result<()> {
        match self {
            SealedFile::Open(file) => file.sync(),
            SealedFile::OnDisk(_) => Ok(()),
        }
    }

    /// Gives it its final name.
    pub(super) fn rename(self, to: &Path) -> Result<()> {
        match self {
            SealedFile::Open(file) => file.rename(to),
            SealedFile::OnDisk(name) => name.rename(to),
        }
    }

    /// The same, closed; it was synced.
    fn synced(self) -> Self {
        match self {
            SealedFile::Open(file) => SealedFile::OnDisk(file.close()),
            on_disk @ SealedFile::OnDisk(_) => on_disk,
        }
    }
}

/// Contents of a caller that are sealed one after another, to be entered together.
///
/// However many there are, few files are open, and no more is on disk than the caller may hold. What was not
/// entered is gone when it is dropped.
pub struct Batch<'a> {
    store: &'a BlobStore,
    keys: &'a KeySet,
    caller: &'a Caller,
    on_disk: Vec<SealedBlob>,
    open: Vec<SealedBlob>,
    /// How many bytes more the caller may hold at most.
    room: u64,
}

impl Batch<'_> {
    /// How many contents there are.
    pub fn count(&self) -> usize {
        self.on_disk.len() + self.open.len()
    }

    /// Seals what `source` holds to its end.
    ///
    /// # Errors
    /// As [`BlobStore::put`].
    pub fn seal(&mut self, source: &mut dyn Read, put: &PutBlob) -> Result<()> {
        let length = self.room.min(put.length.unwrap_or(u64::MAX));
        let put = PutBlob { length: Some(length), ..put.clone() };
        let sealed = self.store.seal(self.keys, self.caller, source, &put)?;
        self.room = self.room.saturating_sub(sealed.written.size);
        self.open.push(sealed);
        if self.open.len() == SYNCED_TOGETHER {
            self.store.sync_sealed(&self.open)?;
            let synced = |sealed: SealedBlob| SealedBlob { file: sealed.file.synced(), ..sealed };
            self.on_disk.extend(self.open.drain(..).map(synced));
        }
        Ok(())
    }

    /// Gives all of them their names and their rows, all or none. The answers stand in the order in which
    /// they were sealed.
    ///
    /// # Errors
    /// As [`BlobStore::put`]. Nothing is entered then.
    pub fn enter(mut self, db: &Database) -> Result<Vec<BlobPut>> {
        self.on_disk.append(&mut self.open);
        self.store.enter(db, self.keys, self.caller, self.on_disk)
    }
}

impl BlobStore {
    /// Many contents that are put together.
    pub fn batch<'a>(&'a self, keys: &'a KeySet, caller: &'a Caller) -> Batch<'a> {
        let room = self.limits.of(caller);
        Batch { store: self, keys, caller, on_disk: Vec::new(), open: Vec::new(), room }
    }

    /// Writes files to disk; all of them are there when this returns.
    ///
    /// Each is synced by itself, so that it holds on every file system, and each is told of its own errors:
    /// a sync of one file need not write another's data (btrfs), one of the whole file system would also
    /// wait for what others write there. What makes many cheap is that they are waited for at once.
    pub(super) fn sync_sealed<'s>(
        &self,
        sealed: impl IntoIterator<Item = &'s SealedBlob>,
    ) -> Result<()> {
        let is_open = |sealed: &&SealedBlob| matches!(sealed.file, SealedFile::Open(_));
        let files: Vec<&SealedFile> =
            sealed.into_iter().filter(is_open).map(|sealed| &sealed.file).collect();
        let next = AtomicUsize::new(0);
        let sync_some = || {
            while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                if let Err(error) = file.sync() {
                    // No more is of use.
                    next.store(files.len(), Ordering::Relaxed);
                    return Err(error);
                }
            }
            Ok(())
        };
        let helpers = files.len().min(SYNCED_TOGETHER).saturating_sub(1);
        let synced = thread::scope(|scope| {
            let spawn = |_| {
                let helper = thread::Builder::new().name("blob-sync".to_owned());
                helper.spawn_scoped(scope, sync_some)
            };
            // Where there are no more threads, fewer do it.
            let helpers: Vec<_> = (0..helpers).map_while(|at| spawn(at).ok()).collect();
            let ours = sync_some();
            let join = |synced: Result<()>, helper: thread::ScopedJoinHandle<'_, Result<()>>| {
                synced.and(helper.join().unwrap_or_else(|panic| resume_unwind(panic)))
            };
            helpers.into_iter().fold(ours, join)
        });
        synced.map_err(|error| self.noted_file_error(error))
    }
}
