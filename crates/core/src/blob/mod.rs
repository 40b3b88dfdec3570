//! The blob store: contents as encrypted files, each entered in the database.
//!
//! The order of steps is what makes it safe (design, section 5.2). A put writes to `blobs/.tmp/`,
//! syncs, renames to the final name, syncs the folder, and then commits the row: a row never points at
//! a missing file. A removal commits the end of the row, with the hash in `blob_unlinks`, and then
//! unlinks the file: a file is unlinked only when it is known to be rubbish. Both hold the
//! [lock](locks) on the hash throughout; it belongs to the job on its thread, not to the call, which
//! ends when its client hangs up.

mod adopt;
mod collect;
mod damaged;
mod enter;
mod folder_sync;
pub mod format;
mod locks;
mod readers;
mod reading;
mod sealed;
mod temporary;
mod upgrade;
mod upload_locks;
mod uploads;
mod verify;
mod whole;

pub(crate) use collect::GoOn;
pub(crate) use readers::Readers;
pub(crate) use whole::FileTag;

pub use reading::{OpenBlob, Parts};
pub use sealed::{Batch, SYNCED_TOGETHER};
pub use uploads::{PutChunk, UploadLimits};

use std::io::{self, Read};
use std::sync::{Arc, Mutex};

use osnova_storage_api::ApiError;
use osnova_storage_api::blobs::{BlobPut, DeleteParams};
use osnova_storage_api::wire::{BlobHash, Deleted, UploadId};

use crate::caller::Caller;
use crate::db::Database;
use crate::db::blobs::{self, Holding, Written};
use crate::error::{Result, StoreError};
use crate::files::{FileHandle, Files};
use crate::health::{Cause, Health};
use crate::layout::Layout;
use crate::vault::keys::KeySet;
use adopt::name_of;
use damaged::Damaged;
use folder_sync::FolderSync;
use format::{AnyBlob, SealError, Sealed, UNAUTHENTIC, seal_stream};
use locks::HashLocks;
use reading::Watch;
use sealed::{SealedBlob, SealedFile};
use temporary::Temporary;
use upload_locks::UploadLocks;
use whole::Fault;

/// About how many bytes the row of a content takes in the database.
const ROW_WEIGHT: usize = 512;
/// Free space is looked at again after this many bytes of a put.
const RESERVE_CHECK_BYTES: u64 = 16 << 20;

/// How many files under another key refuse a key where the root has no check value; and of format 0, which
/// don't name theirs.
const KEY_SAMPLES: usize = 8;
/// How many files a key is tried on.
const KEY_LOOKS: usize = 1000;

/// The bounds of the blob store.
#[derive(Debug, Clone, Copy)]
pub struct BlobLimits {
    /// How many bytes all contents may take on disk.
    pub limit_bytes: u64,
    /// How many bytes of contents, as they were put, a component may hold; `None`: as the store allows.
    pub component_limit_bytes: Option<u64>,
    /// Puts are refused where less than this is free, so that records and deletes still commit.
    pub disk_reserve_bytes: u64,
    /// For how long a content that nothing keeps stays, in milliseconds of uptime.
    pub grace_ms: u64,
    /// How many bytes a verification reads in a second, where whoever asks for it says nothing else.
    pub verify_bytes_per_second: u64,
    /// The bounds of uploads in chunks.
    pub uploads: UploadLimits,
}

impl Default for BlobLimits {
    fn default() -> Self {
        Self {
            limit_bytes: 10 << 30,
            component_limit_bytes: Some(2 << 30),
            disk_reserve_bytes: 256 << 20,
            grace_ms: 60 * 60 * 1000,
            verify_bytes_per_second: 100 << 20,
            uploads: UploadLimits::default(),
        }
    }
}

impl BlobLimits {
    /// How many bytes of contents the caller may hold.
    pub fn of(&self, caller: &Caller) -> u64 {
        match (caller, self.component_limit_bytes) {
            (Caller::Component { .. }, Some(bytes)) => bytes.min(self.limit_bytes),
            _ => self.limit_bytes,
        }
    }
}

/// What is said of a content that is put.
#[derive(Debug, Clone)]
pub struct PutBlob {
    /// What the caller says of it.
    pub holding: Holding,
    /// Refuse it unless this is its hash.
    pub expected_hash: Option<BlobHash>,
    /// What its source holds at most, where that is known before. It may then be compressed in a store
    /// for contents so long that they are not.
    pub length: Option<u64>,
}

/// The contents of a data root.
pub struct BlobStore {
    layout: Layout,
    locks: HashLocks,
    limits: BlobLimits,
    health: Health,
    damaged: Arc<Damaged>,
    readers: Readers,
    /// Held by the one who makes room.
    making_room: Mutex<()>,
    folder_sync: FolderSync,
    uploads: UploadLocks,
}

impl BlobStore {
    /// The blob store of a data root that has been [prepared](Layout::prepare).
    pub(crate) fn new(
        layout: Layout,
        limits: BlobLimits,
        health: Health,
        readers: Readers,
    ) -> Self {
        let damaged = Arc::new(Damaged::new(health.clone()));
        let locks = HashLocks::default();
        let (making_room, folder_sync) = (Mutex::default(), FolderSync::default());
        let uploads = UploadLocks::default();
        Self { layout, locks, limits, health, damaged, readers, making_room, folder_sync, uploads }
    }

    fn files(&self) -> &Files {
        self.layout.files()
    }

    /// The bounds of the store.
    pub fn limits(&self) -> &BlobLimits {
        &self.limits
    }

    /// Stores what `source` holds to its end. Blocks on disk; memory does not grow with the content.
    ///
    /// # Errors
    /// `validation_error` where the hash is not the one expected, `quota_exceeded`,
    /// [`StoreError::DiskFull`], IO errors of the files and of `source`. Nothing is stored then.
    pub fn put(
        &self,
        db: &Database,
        keys: &KeySet,
        caller: &Caller,
        source: &mut dyn Read,
        put: &PutBlob,
    ) -> Result<BlobPut> {
        self.put_as(db, keys, caller, source, put, None)
    }

    /// [Puts](Self::put) a content; where it is that of an upload, in place of its chunks.
    fn put_as(
        &self,
        db: &Database,
        keys: &KeySet,
        caller: &Caller,
        source: &mut dyn Read,
        put: &PutBlob,
        upload: Option<&UploadId>,
    ) -> Result<BlobPut> {
        let mut sealed = self.seal(keys, caller, source, put)?;
        sealed.upload = upload.cloned();
        let mut entered = self.enter(db, keys, caller, vec![sealed])?;
        entered.pop().ok_or_else(|| StoreError::Internal("a content was not entered".to_owned()))
    }

    /// Seals what `source` holds to its end into a file that has neither name nor row yet: [`enter`](Self::enter)
    /// gives it both. It is gone when it is dropped.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    fn seal(
        &self,
        keys: &KeySet,
        caller: &Caller,
        source: &mut dyn Read,
        put: &PutBlob,
    ) -> Result<SealedBlob> {
        let temporary = Temporary::create(self.files(), &self.layout.blobs_tmp())
            .map_err(|error| self.noted_file_error(error))?;
        let mut source = ReserveGuard { source, store: self, until_check: 0 };
        // Whether there is room for it is decided when its hash is known: what is stored already
        // takes none, or a put whose answer was lost could not be repeated in a full store.
        let most = self.limits.of(caller).min(put.length.unwrap_or(u64::MAX));
        let sealed = seal_stream(&mut source, temporary.file(), keys, most)
            .map_err(|error| self.seal_error(error, caller))?;
        let written = written(&sealed);
        if put.expected_hash.is_some_and(|expected| expected != written.hash) {
            return Err(StoreError::Refused(ApiError::field(
                "expectedHash",
                "is not the hash of the content",
            )));
        }
        let (file, holding) = (SealedFile::Open(temporary), put.holding.clone());
        Ok(SealedBlob { file, written, holding, upload: None })
    }

    /// Whether anything lies under the name of a content.
    fn has_file(&self, hash: &BlobHash) -> bool {
        self.files().metadata(&self.layout.blob(hash)).is_ok()
    }

    /// Notes in the health what the failure of a put's own files says of the disk.
    fn noted_file_error(&self, error: StoreError) -> StoreError {
        match &error {
            StoreError::DiskFull(_) => {
                self.health.note(Cause::BlobsFull, "blobs can't be put: the disk is nearly full");
            }
            StoreError::Io { .. } => {
                self.health.note(Cause::BlobsIo, "blobs can't be put: writing their files failed");
            }
            _ => {}
        }
        error
    }

    fn seal_error(&self, error: SealError, caller: &Caller) -> StoreError {
        let io = |what: &str, source: io::Error| {
            if source.kind() == io::ErrorKind::StorageFull {
                self.noted_file_error(StoreError::DiskFull(what.to_owned()))
            } else {
                StoreError::Io { what: what.to_owned(), source }
            }
        };
        match error {
            SealError::Source(source) => io("reading the content", source),
            SealError::Output(source) => self.noted_file_error(io("writing a blob file", source)),
            SealError::System(source) => io("sealing", source),
            SealError::TooLarge { .. } => blobs::over_limit(caller, &self.limits),
        }
    }

    /// Whether there is room on the disk for blobs.
    fn check_reserve(&self) -> io::Result<()> {
        if self.files().free_space(self.layout.root())? < self.limits.disk_reserve_bytes {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        self.health.clear(Cause::BlobsFull);
        Ok(())
    }

    /// Opens a content that the caller can see.
    ///
    /// # Errors
    /// `not_found`; [`StoreError::Damaged`] where its file is missing or does not authenticate.
    pub fn open(
        &self,
        db: &Database,
        keys: &KeySet,
        caller: &Caller,
        hash: &BlobHash,
    ) -> Result<OpenBlob> {
        let params = osnova_storage_api::blobs::HashParams { hash: *hash };
        let stat = db.read(|reader| blobs::stat(reader, caller, &params))?;
        // From here on the cache leaves it alone.
        let reading = self.readers.begin(*hash);
        let mut opened = self.open_file(keys, hash);
        if matches!(opened, Err(StoreError::Damaged(_))) {
            // Someone may have deleted it between the look and the opening, or put it again. Under
            // the lock row and file agree, so this second verdict counts.
            let _lock = self.locks.lock(*hash);
            db.read(|reader| blobs::stat(reader, caller, &params))?;
            opened = self.open_file(keys, hash);
            if matches!(opened, Err(StoreError::Damaged(_))) {
                self.damaged.note(*hash);
            }
        }
        let watch = Watch { reading, damaged: Arc::clone(&self.damaged) };
        Ok(OpenBlob::new(opened?, *hash, stat.content_type, watch))
    }

    fn open_file(&self, keys: &KeySet, hash: &BlobHash) -> Result<AnyBlob<Arc<FileHandle>>> {
        self.open_raw(keys, hash)?.map_err(|fault| {
            StoreError::Damaged(format!("{}: {fault}", self.layout.blob(hash).display()))
        })
    }

    /// Whether these keys open what is stored: one file that opens says so, and a few are tried, for one may
    /// be damaged: that says nothing of a key. `None` where nothing is stored.
    pub(crate) fn keys_fit(&self, db: &Database, keys: &KeySet) -> Result<Option<bool>> {
        let folder = self.layout.blobs();
        let failed = |source| StoreError::io("list", &folder, source);
        let mut refused = 0;
        for entry in self.files().read_dir(&folder).map_err(failed)?.take(KEY_LOOKS) {
            let Some(hash) = name_of(&entry.map_err(failed)?.file_name()) else { continue };
            match self.open_raw(keys, &hash) {
                Ok(Ok(_)) => return Ok(Some(true)),
                Ok(Err(Fault::OtherKey)) => refused += KEY_SAMPLES,
                // A file of format 0 that is sealed under another key can't be told from a damaged one.
                Ok(Err(Fault::Damaged(what))) if what == UNAUTHENTIC => refused += 1,
                Ok(Err(_)) => {}
                Err(error) => tracing::warn!(%error, "a blob file can't be read"),
            }
            if refused >= KEY_SAMPLES * KEY_SAMPLES {
                break;
            }
        }
        if refused >= KEY_SAMPLES {
            return Ok(Some(false));
        }
        Ok(db.read(blobs::any_content)?.then_some(false))
    }

    /// Drops what the caller holds of a content, and the content where nobody holds or names it then.
    ///
    /// # Errors
    /// See [`blobs::remove`].
    pub fn delete(&self, db: &Database, caller: &Caller, params: &DeleteParams) -> Result<Deleted> {
        let hash = params.hash;
        let _lock = self.locks.lock(hash);
        let (by, what) = (caller.clone(), params.clone());
        let tag = self.tag_to_remove(&hash);
        let removal = db.write(ROW_WEIGHT, move |tx| blobs::remove(tx, &by, &what, tag))?;
        if removal.unlink {
            self.damaged.healed(&hash);
            self.unlink_and_strike(db, vec![hash]);
        }
        Ok(removal.answer)
    }

    /// Removes the files of contents whose rows are gone. Under the locks on the hashes.
    fn unlink_and_strike(&self, db: &Database, mut hashes: Vec<BlobHash>) {
        hashes.retain(|hash| self.unlink(hash));
        if !hashes.is_empty()
            && let Err(error) = self.strike(db, hashes)
        {
            // The contents are gone all the same; the next start strikes them off.
            tracing::debug!(%error, "removed files are not struck off");
        }
    }

    /// Strikes unlinked files off, once their names are gone for good: one that came back after a
    /// power cut would else be found as a content without a row.
    fn strike(&self, db: &Database, gone: Vec<BlobHash>) -> Result<()> {
        self.sync_folder()?;
        db.write(ROW_WEIGHT, move |tx| blobs::strike_unlinks(tx, &gone))
    }

    /// Removes a file that is known to be rubbish; true where it is gone.
    fn unlink(&self, hash: &BlobHash) -> bool {
        let path = self.layout.blob(hash);
        match self.files().unlink(&path) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "a removed blob's file is still there");
                false
            }
        }
    }

    /// After a start: removes what the last run left half done. Never looks at all blobs.
    ///
    /// # Errors
    /// Where the database or the folders can't be read or written.
    pub fn recover(&self, db: &Database) -> Result<()> {
        let temporaries = temporary::remove_all(self.files(), &self.layout.blobs_tmp())?
            + self.recover_uploads(db)?;
        let rubbish = db.read(blobs::unlinks)?;
        let mut gone = Vec::new();
        let mut unlinked = 0;
        for (hash, tag) in rubbish {
            // Another file may lie there than the one that was removed, where an older database was put
            // back: it has no row, and is found as such.
            match self.file_tag(&hash) {
                Ok(Some(lies_there)) if Some(lies_there) == tag => {
                    if self.unlink(&hash) {
                        unlinked += 1;
                        gone.push(hash);
                    }
                }
                Ok(_) => gone.push(hash),
                // The next start tells.
                Err(error) => tracing::warn!(%error, "a file that may be rubbish can't be read"),
            }
        }
        if !gone.is_empty() {
            self.strike(db, gone)?;
        }
        self.look_into_quarantine(db)?;
        if temporaries + unlinked > 0 {
            self.health.note(
                Cause::Recovered,
                format!(
                    "cleaned up at start: {temporaries} unfinished blobs, {unlinked} deleted ones"
                ),
            );
        }
        Ok(())
    }
}

/// What was sealed, as it is entered.
fn written(sealed: &Sealed) -> Written {
    Written {
        hash: BlobHash::new(sealed.sha256),
        size: sealed.size,
        stored_size: sealed.stored_size,
        codec: sealed.codec.number(),
    }
}

/// Passes content through, and stops it when the disk is nearly full.
struct ReserveGuard<'a> {
    source: &'a mut dyn Read,
    store: &'a BlobStore,
    until_check: u64,
}

impl Read for ReserveGuard<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.until_check == 0 {
            self.store.check_reserve()?;
            self.until_check = RESERVE_CHECK_BYTES;
        }
        let read = self.source.read(buffer)?;
        self.until_check = self.until_check.saturating_sub(read as u64);
        Ok(read)
    }
}
