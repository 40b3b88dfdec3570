//! Uploads in chunks, over lost connections and restarts.
//!
//! A chunk is a sealed file of its own, under its own file key, in `blobs/.tmp/<uploadId>/`. It is written
//! beside, synced, renamed to a name that was never used, and then its row is committed, which names it;
//! only then it is acknowledged, and the file that it takes the place of is removed. So a crash leaves
//! either the old chunk or the new one, and at worst a file that no row names, which goes with its folder.
//! A commit reads the chunks in order, each authenticated against the hash in its row, and puts what they
//! hold as any content is put; the transaction that enters the content's row strikes off the chunks.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use osnova_storage_api::blobs::{
    BlobPut, ChunkReceived, CommitUploadParams, UploadList, UploadParams, UploadStatus,
};
use osnova_storage_api::wire::{BlobHash, ChunkIndex, Deleted, UnsignedInteger, UploadId};
use osnova_storage_api::{ApiError, ConflictReason};

use super::format::{AnyBlob, AnyRange, FormatError, SealError, seal_stream};
use super::temporary::Temporary;
use super::{BlobStore, PutBlob, ROW_WEIGHT, ReserveGuard};
use crate::caller::Caller;
use crate::db::blobs::uploads::{self, Chunk, Upload};
use crate::db::{Database, Reader};
use crate::error::{Result, StoreError};
use crate::files::FileHandle;
use crate::health::Cause;
use crate::layout::{make_private_dir, sync_dir};
use crate::vault::keys::KeySet;

/// Rows of chunks that a commit holds in memory.
const CHUNKS_AT_ONCE: usize = 256;
/// Uploads that are dropped between two looks at which have expired.
const EXPIRED_AT_ONCE: usize = 64;

/// The bounds of uploads.
#[derive(Debug, Clone, Copy)]
pub struct UploadLimits {
    /// How many uploads of the owner may be under way at a time.
    pub of_owner: u32,
    /// How many of each component.
    pub of_component: u32,
    /// How long one is kept after it was last touched, in milliseconds of uptime.
    pub expiry_ms: u64,
}

impl Default for UploadLimits {
    fn default() -> Self {
        Self { of_owner: 256, of_component: 16, expiry_ms: 24 * 60 * 60 * 1000 }
    }
}

impl UploadLimits {
    /// How many uploads of the caller may be under way at a time.
    pub fn of(&self, caller: &Caller) -> u32 {
        match caller {
            Caller::Owner => self.of_owner,
            Caller::Component { .. } => self.of_component,
        }
    }
}

/// Which chunk is put.
#[derive(Debug, Clone)]
pub struct PutChunk {
    /// The upload.
    pub upload_id: UploadId,
    /// Its place.
    pub index: ChunkIndex,
    /// Refuse it unless this is its SHA-256.
    pub expected_hash: Option<BlobHash>,
}

impl BlobStore {
    /// Stores a chunk of an upload, in place of one that was there. Blocks on disk; memory does not grow
    /// with the chunk.
    ///
    /// # Errors
    /// `not_found`; `conflict` where the upload is committed; `unavailable` while it is being committed;
    /// `validation_error` where the chunk has a wrong length, place or hash; `quota_exceeded`,
    /// [`StoreError::DiskFull`], IO errors of the files and of `source`. What was there stays then.
    pub fn put_chunk(
        &self,
        db: &Database,
        keys: &KeySet,
        caller: &Caller,
        source: &mut dyn Read,
        put: &PutChunk,
    ) -> Result<ChunkReceived> {
        let id = &put.upload_id;
        let upload = db.read(|reader| uploads::get_open(reader, caller, id))?;
        let caller = &upload.holder;
        let length = upload.length_of(put.index.0)?;
        let temporary = Temporary::create(self.files(), &self.layout.blobs_tmp())
            .map_err(|error| self.noted_file_error(error))?;
        let mut source = ReserveGuard { source, store: self, until_check: 0 };
        let (Ok(most) | Err(most)) = length;
        let sealed = match seal_stream(&mut source, temporary.file(), keys, most) {
            Err(SealError::TooLarge { .. }) => return Err(wrong_length(length)),
            sealed => sealed.map_err(|error| self.seal_error(error, caller))?,
        };
        if sealed.size == 0 || length.is_ok_and(|exactly| exactly != sealed.size) {
            return Err(wrong_length(length));
        }
        let hash = BlobHash::new(sealed.sha256);
        if put.expected_hash.is_some_and(|expected| expected != hash) {
            let why = "is not the hash of the chunk";
            return Err(StoreError::Refused(ApiError::field("expectedHash", why)));
        }
        let chunk = Chunk {
            index: put.index.0,
            sha256: sealed.sha256,
            size: sealed.size,
            stored_size: sealed.stored_size,
            file_id: random_file_id()?,
        };
        let (by, of, limits) = (caller.clone(), id.clone(), self.limits);
        let room = move |reader: Reader<'_>| uploads::room(reader, &by, &of, &chunk, &limits);
        self.make_room_until(db, caller, room)?;
        temporary.sync().map_err(|error| self.noted_file_error(error))?;
        self.enter_chunk(db, caller, id, temporary, chunk)?;
        Ok(ChunkReceived { index: put.index, size: UnsignedInteger(chunk.size), hash })
    }

    /// Gives a chunk's file its name and its row, and removes the file that it takes the place of.
    fn enter_chunk(
        &self,
        db: &Database,
        caller: &Caller,
        id: &UploadId,
        temporary: Temporary,
        chunk: Chunk,
    ) -> Result<()> {
        let _lock = self.uploads.share(id)?;
        // It may have been committed or dropped while the chunk came.
        db.read(|reader| uploads::get_open(reader, caller, id))?;
        let folder = self.upload_folder(id);
        let path = self.chunk_file(id, &chunk);
        let placed = make_private_dir(self.files(), &folder)
            .map_err(|source| StoreError::io("make", &folder, source))
            .and_then(|()| temporary.rename(&path))
            .and_then(|()| sync_dir(self.files(), &folder));
        placed.map_err(|error| self.noted_file_error(error))?;
        self.health.clear(Cause::BlobsIo);
        let (by, upload_id) = (caller.clone(), id.clone());
        let entered =
            db.write(ROW_WEIGHT, move |tx| uploads::enter_chunk(tx, &by, &upload_id, &chunk));
        match entered {
            Ok(before) => {
                if let Some(before) = before {
                    self.remove_chunk_file(id, &before);
                }
                Ok(())
            }
            Err(error) => {
                if !matches!(error, StoreError::OutcomeUnknown | StoreError::Internal(_))
                    && db.is_settled()
                {
                    // No row names it, and none will.
                    self.remove_chunk_file(id, &chunk);
                }
                Err(error)
            }
        }
    }

    /// How far an upload of the caller's is.
    ///
    /// # Errors
    /// `not_found`.
    pub fn upload_status(
        &self,
        db: &Database,
        caller: &Caller,
        params: &UploadParams,
    ) -> Result<UploadStatus> {
        // Asked before the rows: a commit that ends between the two is not told as one that never was.
        let committing = self.uploads.is_alone(&params.upload_id);
        let uptime_ms = db.uptime_ms();
        let mut status = db.read(|reader| {
            let upload = uploads::get(reader, caller, &params.upload_id)?;
            uploads::status(reader, &upload, true, &self.limits, uptime_ms)
        })?;
        status.committing = committing && status.hash.is_none();
        Ok(status)
    }

    /// The uploads of the caller that are not committed.
    ///
    /// # Errors
    /// Where the database can't be read.
    pub fn list_uploads(&self, db: &Database, caller: &Caller) -> Result<UploadList> {
        let uptime_ms = db.uptime_ms();
        let mut items = db.read(|reader| {
            let found = uploads::list(reader, caller)?;
            let status =
                |upload: &Upload| uploads::status(reader, upload, false, &self.limits, uptime_ms);
            found.iter().map(status).collect::<Result<Vec<_>>>()
        })?;
        for item in &mut items {
            item.committing = self.uploads.is_alone(&item.upload_id);
        }
        Ok(UploadList { items })
    }

    /// Makes a content of the chunks of an upload; answers the same again where that was done.
    ///
    /// # Errors
    /// `not_found`; `conflict` with the index of a chunk that must be sent, or sent again; `unavailable`
    /// while another commits it; those of [`put`](Self::put). The chunks stay then.
    pub fn commit_upload(
        &self,
        db: &Database,
        keys: &KeySet,
        caller: &Caller,
        params: &CommitUploadParams,
    ) -> Result<BlobPut> {
        let id = &params.upload_id;
        let _lock = self.uploads.alone(id)?;
        let upload = db.read(|reader| uploads::get(reader, caller, id))?;
        let caller = &upload.holder;
        let asked = params.expected_hash.or(upload.expected_hash);
        if params.expected_hash.zip(upload.expected_hash).is_some_and(|(now, then)| now != then) {
            return Err(unexpected("is not the one that the upload was begun with"));
        }
        if let Some(put) = upload.committed {
            return match asked {
                Some(hash) if hash != put.hash => Err(unexpected("is not the hash of the content")),
                _ => Ok(put),
            };
        }
        if let Some(put) = self.put_present(db, keys, caller, &upload, asked)? {
            return Ok(put);
        }
        let chunks = params.chunks.map(|chunks| chunks.0);
        if let Some(index) = db.read(|reader| uploads::first_wanting(reader, &upload, chunks))? {
            return Err(wanting(
                index,
                "a chunk is missing, or too short to be followed by another",
            ));
        }
        let mut source = ChunkSource::new(self, db, keys, id);
        let put =
            PutBlob { holding: upload.holding.clone(), expected_hash: asked, length: upload.size };
        let stored = self.put_as(db, keys, caller, &mut source, &put, Some(id));
        match (stored, source.failed) {
            (Ok(stored), _) => {
                self.remove_upload_folder(id);
                Ok(stored)
            }
            (Err(_), Some(Failed::Chunk(chunk, why))) => {
                tracing::warn!(%why, upload = %id, chunk = chunk.index, "a chunk is struck off");
                let (holder, upload_id) = (caller.holder().to_owned(), id.clone());
                db.write(ROW_WEIGHT, move |tx| {
                    uploads::strike_chunk(tx, &holder, &upload_id, &chunk)
                })?;
                self.remove_chunk_file(id, &chunk);
                Err(wanting(chunk.index.into(), "a chunk was damaged on disk: send it again"))
            }
            (Err(_), Some(Failed::Store(error))) => Err(error),
            (Err(error), None) => Err(error),
        }
    }

    /// Puts a content once more that the caller can see already, for an upload of which nothing was sent.
    fn put_present(
        &self,
        db: &Database,
        keys: &KeySet,
        caller: &Caller,
        upload: &Upload,
        hash: Option<BlobHash>,
    ) -> Result<Option<BlobPut>> {
        let Some(hash) = hash else { return Ok(None) };
        let _lock = self.locks.lock(hash);
        if !db.read(|reader| uploads::is_present(reader, caller, upload, &hash))? {
            return Ok(None);
        }
        match self.open_file(keys, &hash) {
            Ok(_) => {}
            // What is sent heals it.
            Err(StoreError::Damaged(_)) => return Ok(None),
            Err(error) => return Err(error),
        }
        let (by, upload) = (caller.clone(), upload.clone());
        let put = db.write(ROW_WEIGHT, move |tx| uploads::put_present(tx, &by, &upload, &hash))?;
        Ok(Some(put))
    }

    /// Drops an upload of the caller's; a content that it was committed to stays.
    ///
    /// # Errors
    /// `unavailable` while it is being committed.
    pub fn abort_upload(
        &self,
        db: &Database,
        caller: &Caller,
        params: &UploadParams,
    ) -> Result<Deleted> {
        let id = &params.upload_id;
        let upload = match db.read(|reader| uploads::get(reader, caller, id)) {
            Ok(upload) => upload,
            // Another's is not even waited for.
            Err(StoreError::Refused(_)) => return Ok(Deleted { deleted: false }),
            Err(error) => return Err(error),
        };
        let _lock = self.uploads.alone(id)?;
        let (holder, upload_id) = (upload.holder.holder().to_owned(), id.clone());
        let deleted = db.write(ROW_WEIGHT, move |tx| uploads::remove(tx, &holder, &upload_id))?;
        if deleted {
            self.remove_upload_folder(id);
        }
        Ok(Deleted { deleted })
    }

    /// Drops the uploads that were not touched for too long; says how many. One with which something is
    /// done just now is left for the next time.
    ///
    /// # Errors
    /// Where the database can't be read or written.
    pub(crate) fn expire_uploads(&self, db: &Database) -> Result<usize> {
        let Some(until) = db.uptime_ms().checked_sub(self.limits.uploads.expiry_ms) else {
            return Ok(0);
        };
        let mut dropped = 0;
        loop {
            let mut found = db.read(|reader| uploads::expired(reader, until, EXPIRED_AT_ONCE))?;
            found.retain(|id| !self.uploads.is_used(id));
            let before = dropped;
            for id in found {
                let Ok(_lock) = self.uploads.alone(&id) else { continue };
                let upload_id = id.clone();
                let removed =
                    db.write(ROW_WEIGHT, move |tx| uploads::remove_expired(tx, &upload_id, until))?;
                if removed {
                    self.remove_upload_folder(&id);
                    dropped += 1;
                }
            }
            if dropped == before {
                return Ok(dropped);
            }
        }
    }

    /// After a start: removes the folders of uploads that are not under way any more; says how many. The
    /// chunks of the others are not looked at.
    pub(super) fn recover_uploads(&self, db: &Database) -> Result<usize> {
        let folder = self.layout.blobs_tmp();
        let failed = |source| StoreError::io("clean", &folder, source);
        let mut removed = 0;
        for entry in self.files().read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if !entry.file_type().map_err(failed)?.is_dir() {
                continue;
            }
            let id = entry.file_name().to_str().and_then(|name| name.parse::<UploadId>().ok());
            let open = match id {
                Some(id) => db.read(|reader| uploads::is_open(reader, &id))?,
                None => false,
            };
            if !open {
                // What can't be removed is in nobody's way.
                match self.remove_with_files(&entry.path()) {
                    Ok(()) => removed += 1,
                    Err(error) => tracing::warn!(%error, path = %entry.path().display(), "left"),
                }
            }
        }
        Ok(removed)
    }

    fn upload_folder(&self, id: &UploadId) -> PathBuf {
        self.layout.blobs_tmp().join(id.as_str())
    }

    fn chunk_file(&self, id: &UploadId, chunk: &Chunk) -> PathBuf {
        self.upload_folder(id).join(format!("{}-{:016x}", chunk.index, chunk.file_id))
    }

    /// Removes the file of a chunk that no row names. Where that fails it goes with its folder.
    fn remove_chunk_file(&self, id: &UploadId, chunk: &Chunk) {
        let path = self.chunk_file(id, chunk);
        if let Err(error) = self.files().unlink(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, path = %path.display(), "a chunk's file is still there");
        }
    }

    /// Removes a folder and the files in it.
    fn remove_with_files(&self, folder: &Path) -> io::Result<()> {
        for entry in self.files().read_dir(folder)? {
            self.files().unlink(&entry?.path())?;
        }
        self.files().remove_folder(folder)
    }

    /// Removes the folder of an upload that is not under way any more. Where that fails the next start
    /// removes it.
    fn remove_upload_folder(&self, id: &UploadId) {
        let path = self.upload_folder(id);
        if let Err(error) = self.remove_with_files(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, path = %path.display(), "an upload's folder is still there");
        }
    }
}

/// A number that names no other file, and that SQLite holds.
fn random_file_id() -> Result<i64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)
        .map_err(|error| StoreError::Internal(format!("no randomness: {error}")))?;
    Ok(i64::from_be_bytes(bytes) & i64::MAX)
}

fn wrong_length(length: std::result::Result<u64, u64>) -> StoreError {
    let why = match length {
        Ok(exactly) => format!("must be {exactly} bytes long"),
        Err(most) => format!("must be 1 to {most} bytes long"),
    };
    StoreError::Refused(ApiError::field("data", why))
}

fn unexpected(why: &str) -> StoreError {
    StoreError::Refused(ApiError::field("expectedHash", why))
}

/// The refusal of a commit until a chunk was sent.
fn wanting(index: u64, why: &str) -> StoreError {
    let message = format!("chunk {index}: {why}");
    let error = ApiError::conflict(ConflictReason::Transition, message);
    StoreError::Refused(error).at_index(usize::try_from(index).unwrap_or(usize::MAX))
}

/// Why the chunks of an upload can't be read to their end.
enum Failed {
    /// This one must be sent again.
    Chunk(Chunk, FormatError),
    /// It has to do with none of them.
    Store(StoreError),
}

/// What the chunks of an upload hold, one behind the other.
struct ChunkSource<'a> {
    store: &'a BlobStore,
    db: &'a Database,
    keys: &'a KeySet,
    id: &'a UploadId,
    /// Chunks whose rows were read.
    waiting: VecDeque<Chunk>,
    /// The place of the next one whose row was not.
    next: u64,
    current: Option<(Chunk, AnyRange<Arc<FileHandle>>)>,
    failed: Option<Failed>,
}

impl<'a> ChunkSource<'a> {
    fn new(store: &'a BlobStore, db: &'a Database, keys: &'a KeySet, id: &'a UploadId) -> Self {
        let waiting = VecDeque::new();
        Self { store, db, keys, id, waiting, next: 0, current: None, failed: None }
    }

    /// Opens the next chunk; false behind the last.
    fn open_next(&mut self) -> std::result::Result<bool, Failed> {
        if self.waiting.is_empty() {
            let next = self.next;
            let rows =
                self.db.read(|reader| uploads::chunks(reader, self.id, next, CHUNKS_AT_ONCE));
            self.waiting.extend(rows.map_err(Failed::Store)?);
        }
        let Some(chunk) = self.waiting.pop_front() else { return Ok(false) };
        self.next = u64::from(chunk.index) + 1;
        let path = self.store.chunk_file(self.id, &chunk);
        let file = self.store.files().open(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => Failed::Chunk(chunk, source.into()),
            _ => Failed::Store(StoreError::io("open", &path, source)),
        })?;
        let opened = AnyBlob::open(Arc::new(file), &chunk.sha256, &[self.keys]);
        let blob = opened.map_err(|error| self.failure(chunk, error))?;
        if blob.plaintext_len() != chunk.size {
            let error = FormatError::damaged("it has another length than its row says");
            return Err(Failed::Chunk(chunk, error));
        }
        self.current = Some((chunk, blob.whole()));
        Ok(true)
    }

    /// What the failure to read a chunk says: of the disk, or of the chunk.
    fn failure(&self, chunk: Chunk, error: FormatError) -> Failed {
        match error {
            FormatError::Io(source) => {
                let path = self.store.chunk_file(self.id, &chunk);
                Failed::Store(StoreError::io("read", &path, source))
            }
            damaged => Failed::Chunk(chunk, damaged),
        }
    }

    fn fill(&mut self, buffer: &mut [u8]) -> std::result::Result<usize, Failed> {
        loop {
            if let Some((chunk, range)) = &mut self.current {
                let chunk = *chunk;
                match range.fill(buffer) {
                    Ok(0) => self.current = None,
                    Ok(length) => return Ok(length),
                    Err(error) => return Err(self.failure(chunk, error)),
                }
            }
            if !self.open_next()? {
                return Ok(0);
            }
        }
    }
}

impl Read for ChunkSource<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.fill(buffer).map_err(|failed| {
            self.failed = Some(failed);
            io::Error::other("a chunk can't be read")
        })
    }
}
