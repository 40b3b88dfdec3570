//! `blob_uploads`, `blob_upload_chunks`: uploads under way, which of their chunks are on disk, and, for as
//! long as an upload is kept, what it was committed to.
//!
//! The rows decide. A chunk's file that no row names is rubbish; one that a row names and that is missing
//! or damaged is struck off and must be sent again. What chunks take is summed up in the transactions that
//! change it, as is what contents take. The [blob store](crate::blob) knows the files.

use osnova_storage_api::blobs::{
    BeginUploadParams, BlobPut, ChunkRange, UploadBegun, UploadStatus,
};
use osnova_storage_api::wire::{
    BlobHash, ChunkBytes, ChunkIndex, JsonText, Name, Timestamp, UnsignedInteger, UploadId,
};
use osnova_storage_api::{ApiError, ConflictReason, ErrorCode};
use rusqlite::{OptionalExtension, Row};

use super::{Holding, Room, Written, insert, over_limit, room_for, size, visible_content};
use crate::blob::BlobLimits;
use crate::caller::{Caller, Scopes};
use crate::db::columns;
use crate::db::totals::{self, Change};
use crate::db::tx::{Reader, Tx};
use crate::error::{Result, StoreError};

/// How long a chunk is where the caller does not say.
const DEFAULT_CHUNK_BYTES: u64 = 8 << 20;
/// The longest chunk, as [`ChunkBytes`] has it.
const MAX_CHUNK_BYTES: u64 = 64 << 20;
/// The most chunks of an upload, as [`ChunkIndex`] has it.
const MAX_CHUNKS: u64 = 1 << 20;
/// The most stretches of chunks that the status lists.
const LISTED_RANGES: u32 = 1000;
/// So many committed uploads of a holder are kept, to be committed again by who lost the answer.
const KEPT_COMMITTED: u32 = 256;

/// All chunks there are.
const ALL: &str = "uploads";
/// The chunks of a holder.
const OF_HOLDER: &str = "uploading";

/// An upload.
#[derive(Debug, Clone)]
pub(crate) struct Upload {
    pub(crate) id: UploadId,
    /// Whose it is, and whose the content will be, whoever sends it.
    pub(crate) holder: Caller,
    pub(crate) holding: Holding,
    pub(crate) expected_hash: Option<BlobHash>,
    pub(crate) size: Option<u64>,
    pub(crate) chunk_bytes: u64,
    /// What it was committed to.
    pub(crate) committed: Option<BlobPut>,
    created_at: i64,
    touched_ms: u64,
}

/// A chunk that is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) index: u32,
    pub(crate) sha256: [u8; 32],
    pub(crate) size: u64,
    pub(crate) stored_size: u64,
    /// Names its file, together with its index; never used twice.
    pub(crate) file_id: i64,
}

impl Upload {
    /// How many chunks there must be, where the size is known.
    pub(crate) fn chunks(&self) -> Option<u64> {
        self.size.map(|size| size.div_ceil(self.chunk_bytes))
    }

    /// How long the chunk at a place is: `Ok` exactly, `Err` at most.
    ///
    /// # Errors
    /// `validation_error` where the content ends before it.
    pub(crate) fn length_of(&self, index: u32) -> Result<std::result::Result<u64, u64>> {
        let Some(size) = self.size else { return Ok(Err(self.chunk_bytes)) };
        let begins = u64::from(index) * self.chunk_bytes;
        match size.saturating_sub(begins).min(self.chunk_bytes) {
            0 => {
                let why = "lies behind the end of the content";
                Err(StoreError::Refused(ApiError::field("index", why)))
            }
            length => Ok(Ok(length)),
        }
    }
}

/// A query of whole uploads, as [`from_row`] reads them.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT upload_id, name, content_type, metadata_json, pinned, expected_hash, size,
                    chunk_bytes, hash, created, created_at, touched_ms, nullif(holder, '')
             FROM blob_uploads ",
            $rest
        )
    };
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Upload> {
    let size: Option<u64> = row.get(6)?;
    let hash = row.get::<_, Option<[u8; 32]>>(8)?.map(BlobHash::new);
    let created: Option<bool> = row.get(9)?;
    Ok(Upload {
        id: columns::text(row, 0)?,
        holder: match columns::optional_text(row, 12)? {
            Some(id) => Caller::Component { id, scopes: Scopes::All },
            None => Caller::Owner,
        },
        holding: Holding {
            name: columns::optional_text(row, 1)?,
            content_type: columns::optional_text(row, 2)?,
            metadata: columns::optional_json(row, 3)?,
            pinned: row.get(4)?,
        },
        expected_hash: row.get::<_, Option<[u8; 32]>>(5)?.map(BlobHash::new),
        size,
        chunk_bytes: row.get(7)?,
        committed: hash.map(|hash| BlobPut {
            hash,
            size: UnsignedInteger(size.unwrap_or_default()),
            created: created.unwrap_or_default(),
        }),
        created_at: row.get(10)?,
        touched_ms: row.get(11)?,
    })
}

/// Begins an upload.
///
/// # Errors
/// `quota_exceeded` where the caller has too many under way, or may not hold so much; `validation_error`
/// where the content would have too many chunks of the length asked for.
pub fn begin(tx: &Tx<'_>, caller: &Caller, params: &BeginUploadParams) -> Result<UploadBegun> {
    let limits = tx.blob_limits();
    let chunk_bytes = chunk_bytes(params)?;
    if params.size.is_some_and(|size| size.0 > limits.of(caller)) {
        return Err(over_limit(caller, limits));
    }
    let most = limits.uploads.of(caller);
    let under_way: u32 = tx
        .connection()
        .prepare_cached("SELECT count(*) FROM blob_uploads WHERE holder = ?1 AND hash IS NULL")?
        .query_row([caller.holder()], |row| row.get(0))?;
    if under_way >= most {
        let message = format!("{most} uploads are under way already: commit or abort one");
        return Err(StoreError::Refused(ApiError::new(ErrorCode::QuotaExceeded, message)));
    }
    let upload_id = random_id()?;
    tx.connection()
        .prepare_cached(
            "INSERT INTO blob_uploads (upload_id, holder, name, content_type, metadata_json, pinned,
               expected_hash, size, chunk_bytes, created_at, touched_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute((
            upload_id.as_str(),
            caller.holder(),
            params.name.as_ref().map(Name::as_str),
            params.content_type.as_ref().map(Name::as_str),
            params.metadata.as_ref().map(JsonText::get),
            params.pin.unwrap_or(true),
            params.expected_hash.as_ref().map(BlobHash::as_bytes),
            params.size.map(|size| size.0),
            chunk_bytes.0,
            tx.now(),
            tx.uptime_ms(),
        ))?;
    let present = match &params.expected_hash {
        Some(hash) => visible_content(tx.reader(), caller, hash)?.is_some(),
        None => false,
    };
    let expires_after_seconds = UnsignedInteger(limits.uploads.expiry_ms / 1000);
    Ok(UploadBegun { upload_id, chunk_bytes, expires_after_seconds, present })
}

/// How long the chunks of an upload are.
fn chunk_bytes(params: &BeginUploadParams) -> Result<ChunkBytes> {
    let size = params.size.map_or(0, |size| size.0);
    let least = size.div_ceil(MAX_CHUNKS);
    let bytes = match params.chunk_bytes {
        Some(bytes) => u64::from(bytes.0),
        None => least.next_power_of_two().clamp(DEFAULT_CHUNK_BYTES, MAX_CHUNK_BYTES),
    };
    if bytes < least {
        let (field, why) = match params.chunk_bytes {
            Some(_) => ("chunkBytes", format!("must be at least {least} for so large a content")),
            None => ("size", format!("must be at most {}", MAX_CHUNK_BYTES * MAX_CHUNKS)),
        };
        return Err(StoreError::Refused(ApiError::field(field, why)));
    }
    // Both bounds lie inside.
    Ok(ChunkBytes(u32::try_from(bytes).unwrap_or(u32::MAX)))
}

/// An id that nobody can guess.
fn random_id() -> Result<UploadId> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| StoreError::Internal(format!("no randomness: {error}")))?;
    UploadId::try_from(format!("{:032x}", u128::from_be_bytes(bytes))).map_err(StoreError::Internal)
}

/// An upload of the caller's own; for the owner, anyone's.
///
/// # Errors
/// `not_found`.
pub(crate) fn get(reader: Reader<'_>, caller: &Caller, id: &UploadId) -> Result<Upload> {
    reader
        .connection()
        .prepare_cached(select!("WHERE upload_id = ?1 AND (holder = ?2 OR ?3)"))?
        .query_row((id.as_str(), caller.holder(), caller.is_owner()), from_row)
        .optional()?
        .ok_or_else(|| StoreError::not_found("upload"))
}

/// An upload, as [`get`] finds it, that can still take chunks.
///
/// # Errors
/// `not_found`; `conflict` where it is committed.
pub(crate) fn get_open(reader: Reader<'_>, caller: &Caller, id: &UploadId) -> Result<Upload> {
    let upload = get(reader, caller, id)?;
    match upload.committed {
        None => Ok(upload),
        Some(_) => Err(StoreError::Refused(ApiError::conflict(
            ConflictReason::Transition,
            "the upload is committed already",
        ))),
    }
}

/// How far an upload is. Whether a commit runs the caller of this knows.
///
/// # Errors
/// Where the database can't be read.
pub(crate) fn status(
    reader: Reader<'_>,
    upload: &Upload,
    with_ranges: bool,
    limits: &BlobLimits,
    uptime_ms: u64,
) -> Result<UploadStatus> {
    let bytes = match &upload.committed {
        Some(put) => put.size.0,
        None => chunks_total(reader, &upload.id)?.bytes,
    };
    let left_ms =
        limits.uploads.expiry_ms.saturating_sub(uptime_ms.saturating_sub(upload.touched_ms));
    Ok(UploadStatus {
        upload_id: upload.id.clone(),
        chunk_bytes: ChunkBytes(u32::try_from(upload.chunk_bytes).unwrap_or(u32::MAX)),
        size: upload.size.map(UnsignedInteger),
        name: upload.holding.name.clone(),
        content_type: upload.holding.content_type.clone(),
        expected_hash: upload.expected_hash,
        pinned: upload.holding.pinned,
        received: if with_ranges { ranges(reader, &upload.id)? } else { Vec::new() },
        bytes: UnsignedInteger(bytes),
        created_at: Timestamp(upload.created_at),
        expires_after_seconds: UnsignedInteger(left_ms / 1000),
        committing: false,
        hash: upload.committed.as_ref().map(|put| put.hash),
    })
}

/// The chunks that are there, as stretches without a gap.
fn ranges(reader: Reader<'_>, id: &UploadId) -> Result<Vec<ChunkRange>> {
    let mut statement = reader.connection().prepare_cached(
        "SELECT min(chunk_index), max(chunk_index)
         FROM (SELECT chunk_index, chunk_index - row_number() OVER (ORDER BY chunk_index) AS stretch
               FROM blob_upload_chunks WHERE upload_id = ?1 AND size > 0)
         GROUP BY stretch ORDER BY stretch LIMIT ?2",
    )?;
    let rows = statement.query_map((id.as_str(), LISTED_RANGES), |row| {
        Ok(ChunkRange { from: ChunkIndex(row.get(0)?), to: ChunkIndex(row.get(1)?) })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The caller's uploads that are not committed; there are never many.
///
/// # Errors
/// Where the database can't be read.
pub(crate) fn list(reader: Reader<'_>, caller: &Caller) -> Result<Vec<Upload>> {
    let mut statement = reader.connection().prepare_cached(select!(
        "WHERE holder = ?1 AND hash IS NULL ORDER BY touched_ms DESC, upload_id"
    ))?;
    let rows = statement.query_map([caller.holder()], from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Whether there is room for a chunk, in place of the one that is there.
///
/// # Errors
/// Where the database can't be read.
pub(crate) fn room(
    reader: Reader<'_>,
    caller: &Caller,
    id: &UploadId,
    chunk: &Chunk,
    limits: &BlobLimits,
) -> Result<Room> {
    let before = chunks(reader, id, chunk.index.into(), 1)?;
    let before = before.first().filter(|before| before.index == chunk.index);
    let (size, stored_size) = before.map_or((0, 0), |before| (before.size, before.stored_size));
    let size = chunk.size.saturating_sub(size);
    room_for(reader, caller, size, chunk.stored_size.saturating_sub(stored_size), limits)
}

/// Whether there is room for the content that takes the place of the chunks of an upload.
///
/// # Errors
/// Where the database can't be read.
pub(crate) fn room_to_commit(
    reader: Reader<'_>,
    caller: &Caller,
    id: &UploadId,
    written: &[Written],
    limits: &BlobLimits,
) -> Result<Room> {
    let chunks = chunks_total(reader, id)?;
    let (all, all_stored): (u64, u64) = (
        written.iter().map(|written| written.size).sum(),
        written.iter().map(|written| written.stored_size).sum(),
    );
    let size = all.saturating_sub(chunks.bytes);
    let stored_size = all_stored.saturating_sub(chunks.stored_bytes);
    room_for(reader, caller, size, stored_size, limits)
}

/// Enters a chunk whose file lies at its place, instead of the one before, which is answered.
///
/// # Errors
/// `not_found`, `conflict` where the upload is committed, `quota_exceeded`.
pub(crate) fn enter_chunk(
    tx: &Tx<'_>,
    caller: &Caller,
    id: &UploadId,
    chunk: &Chunk,
) -> Result<Option<Chunk>> {
    get_open(tx.reader(), caller, id)?;
    let before = take_chunk(tx, caller.holder(), id, chunk.index)?;
    let limits = tx.blob_limits();
    if room(tx.reader(), caller, id, chunk, limits)? != Room::Enough {
        return Err(over_limit(caller, limits));
    }
    tx.connection()
        .prepare_cached(
            "INSERT INTO blob_upload_chunks (upload_id, chunk_index, sha256, size, stored_size, file_id)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute((
            id.as_str(),
            chunk.index,
            &chunk.sha256,
            chunk.size,
            chunk.stored_size,
            chunk.file_id,
        ))?;
    add(tx, caller.holder(), Change::of(1, chunk.size, chunk.stored_size))?;
    touch(tx, id)?;
    Ok(before)
}

/// Strikes a chunk off; what it was.
///
/// # Errors
/// Where the rows can't be written.
pub(crate) fn take_chunk(
    tx: &Tx<'_>,
    holder: &str,
    id: &UploadId,
    index: u32,
) -> Result<Option<Chunk>> {
    let taken = tx
        .connection()
        .prepare_cached(
            "DELETE FROM blob_upload_chunks WHERE upload_id = ?1 AND chunk_index = ?2
             RETURNING chunk_index, sha256, size, stored_size, file_id",
        )?
        .query_row((id.as_str(), index), chunk_from_row)
        .optional()?;
    if let Some(chunk) = &taken {
        add(tx, holder, Change::of(-1, chunk.size, chunk.stored_size))?;
    }
    Ok(taken)
}

/// Strikes a chunk off that is damaged. Its place stays taken, or an upload of unknown length that lost its
/// last chunk would be taken for one that is whole without it.
///
/// # Errors
/// Where the rows can't be written.
pub(crate) fn strike_chunk(tx: &Tx<'_>, holder: &str, id: &UploadId, chunk: &Chunk) -> Result<()> {
    let struck = tx
        .connection()
        .prepare_cached(
            "UPDATE blob_upload_chunks SET size = 0, stored_size = 0
             WHERE upload_id = ?1 AND chunk_index = ?2 AND file_id = ?3",
        )?
        .execute((id.as_str(), chunk.index, chunk.file_id))?;
    if struck > 0 {
        let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        let (bytes, stored_bytes) = (-bytes(chunk.size), -bytes(chunk.stored_size));
        add(tx, holder, Change { count: 0, bytes, stored_bytes })?;
    }
    Ok(())
}

fn chunk_from_row(row: &Row<'_>) -> rusqlite::Result<Chunk> {
    Ok(Chunk {
        index: row.get(0)?,
        sha256: row.get(1)?,
        size: row.get(2)?,
        stored_size: row.get(3)?,
        file_id: row.get(4)?,
    })
}

/// Notes that something was done with an upload: its time begins anew.
///
/// # Errors
/// Where the row can't be written.
pub(crate) fn touch(tx: &Tx<'_>, id: &UploadId) -> Result<()> {
    tx.connection()
        .prepare_cached("UPDATE blob_uploads SET touched_ms = ?2 WHERE upload_id = ?1")?
        .execute((id.as_str(), tx.uptime_ms()))?;
    Ok(())
}

/// So many chunks of an upload, from a place on, in order.
///
/// # Errors
/// Where the database can't be read.
pub(crate) fn chunks(
    reader: Reader<'_>,
    id: &UploadId,
    from: u64,
    limit: usize,
) -> Result<Vec<Chunk>> {
    let mut statement = reader.connection().prepare_cached(
        "SELECT chunk_index, sha256, size, stored_size, file_id FROM blob_upload_chunks
         WHERE upload_id = ?1 AND chunk_index >= ?2 ORDER BY chunk_index LIMIT ?3",
    )?;
    let rows = statement.query_map((id.as_str(), from, limit), chunk_from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The first chunk that must be sent, or sent again, before an upload of so many chunks is whole: one that
/// is missing, or one but the last that is not full. Where neither a number nor the size is known, the last
/// one there is ends it.
///
/// # Errors
/// `validation_error` where there are, or must be, other than so many.
pub(crate) fn first_wanting(
    reader: Reader<'_>,
    upload: &Upload,
    chunks: Option<u64>,
) -> Result<Option<u64>> {
    type Found = (u64, Option<u64>, Option<u64>, Option<u64>);
    let (count, last, short, struck): Found = reader
        .connection()
        .prepare_cached(
            "SELECT count(*), max(chunk_index), min(chunk_index) FILTER (WHERE size < ?2),
               min(chunk_index) FILTER (WHERE size = 0)
             FROM blob_upload_chunks WHERE upload_id = ?1",
        )?
        .query_row((upload.id.as_str(), upload.chunk_bytes), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?;
    let there = last.map_or(0, |last| last + 1);
    let known = upload.chunks();
    if chunks.is_some_and(|chunks| chunks < there || known.is_some_and(|known| known != chunks)) {
        let why = format!("there are {}", known.unwrap_or(there));
        return Err(StoreError::Refused(ApiError::field("chunks", why)));
    }
    let wanted = known.or(chunks).unwrap_or(there);
    let missing = if count < there {
        reader
            .connection()
            .prepare_cached(
                "SELECT iif(NOT EXISTS (SELECT 1 FROM blob_upload_chunks
                                        WHERE upload_id = ?1 AND chunk_index = 0), 0,
                   (SELECT min(chunk_index) + 1 FROM blob_upload_chunks AS chunk
                    WHERE upload_id = ?1 AND NOT EXISTS (
                      SELECT 1 FROM blob_upload_chunks AS next
                      WHERE next.upload_id = ?1 AND next.chunk_index = chunk.chunk_index + 1)))",
            )?
            .query_row([upload.id.as_str()], |row| row.get::<_, Option<u64>>(0))?
    } else {
        (there < wanted).then_some(there)
    };
    // Of known size, the last chunk's length was checked when it came.
    let short = short.filter(|short| short + 1 < wanted.max(there));
    Ok([missing, short, struck].into_iter().flatten().min())
}

/// Enters the content of an upload in place of its chunks. True where the caller did not hold it before.
///
/// # Errors
/// Those of [`insert`].
pub(crate) fn commit(
    tx: &Tx<'_>,
    caller: &Caller,
    id: &UploadId,
    written: &Written,
    holding: &Holding,
) -> Result<bool> {
    // First, for there may be room for it only without them.
    drop_chunks(tx, caller.holder(), id)?;
    let created = insert(tx, caller, written, holding, tx.blob_limits())?;
    let size = UnsignedInteger(written.size);
    finish(tx, caller, id, &BlobPut { hash: written.hash, size, created })?;
    Ok(created)
}

/// Whether there are uploads, committed or not: how long they stay is counted by the uptime.
///
/// # Errors
/// Where the database can't be read.
pub(crate) fn any(reader: Reader<'_>) -> Result<bool> {
    let any = reader
        .connection()
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM blob_uploads)")?
        .query_row([], |row| row.get(0))?;
    Ok(any)
}

/// Whether nothing was sent of an upload, and the content that it would be is one that the caller can see.
///
/// # Errors
/// Where the database can't be read.
pub(crate) fn is_present(
    reader: Reader<'_>,
    caller: &Caller,
    upload: &Upload,
    hash: &BlobHash,
) -> Result<bool> {
    let nothing_sent = chunks(reader, &upload.id, 0, 1)?.is_empty();
    if !nothing_sent || visible_content(reader, caller, hash)?.is_none() {
        return Ok(false);
    }
    let size = size(reader, hash)?;
    Ok(upload.size.is_none_or(|expected| expected == size))
}

/// Makes the caller a holder, as an upload says, of the content that it would be; he can see it. Under the
/// lock on its hash.
///
/// # Errors
/// Where the rows can't be written.
pub(crate) fn put_present(
    tx: &Tx<'_>,
    caller: &Caller,
    upload: &Upload,
    hash: &BlobHash,
) -> Result<BlobPut> {
    // That he sees it takes no room of anyone's; nothing of what is said of its file is looked at.
    let size = size(tx.reader(), hash)?;
    let written = Written { hash: *hash, size, stored_size: 0, codec: 0 };
    let created = commit(tx, caller, &upload.id, &written, &upload.holding)?;
    Ok(BlobPut { hash: *hash, size: UnsignedInteger(size), created })
}

/// Notes what an upload was committed to, and forgets the oldest of the holder's that were.
fn finish(tx: &Tx<'_>, caller: &Caller, id: &UploadId, put: &BlobPut) -> Result<()> {
    tx.connection()
        .prepare_cached(
            "UPDATE blob_uploads SET hash = ?2, size = ?3, created = ?4, touched_ms = ?5
             WHERE upload_id = ?1",
        )?
        .execute((id.as_str(), put.hash.as_bytes(), put.size.0, put.created, tx.uptime_ms()))?;
    tx.connection()
        .prepare_cached(
            "DELETE FROM blob_uploads WHERE upload_id IN (
               SELECT upload_id FROM blob_uploads
               WHERE holder = ?1 AND hash IS NOT NULL AND upload_id <> ?2
               ORDER BY touched_ms DESC LIMIT -1 OFFSET ?3)",
        )?
        .execute((caller.holder(), id.as_str(), KEPT_COMMITTED))?;
    Ok(())
}

/// Strikes off all chunks of an upload.
///
/// # Errors
/// Where the rows can't be written.
pub(crate) fn drop_chunks(tx: &Tx<'_>, holder: &str, id: &UploadId) -> Result<()> {
    let total = chunks_total(tx.reader(), id)?;
    tx.connection()
        .prepare_cached("DELETE FROM blob_upload_chunks WHERE upload_id = ?1")?
        .execute([id.as_str()])?;
    let negative = |value: u64| i64::try_from(value).map_or(i64::MIN, |value| -value);
    let change = Change {
        count: negative(total.count),
        bytes: negative(total.bytes),
        stored_bytes: negative(total.stored_bytes),
    };
    add(tx, holder, change)
}

/// Drops an upload with its chunks; false where the caller has none of this id.
///
/// # Errors
/// Where the rows can't be written.
pub(crate) fn remove(tx: &Tx<'_>, holder: &str, id: &UploadId) -> Result<bool> {
    let there: bool = tx
        .connection()
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM blob_uploads WHERE upload_id = ?1 AND holder = ?2)",
        )?
        .query_row((id.as_str(), holder), |row| row.get(0))?;
    if there {
        drop_chunks(tx, holder, id)?;
        tx.connection()
            .prepare_cached("DELETE FROM blob_uploads WHERE upload_id = ?1")?
            .execute([id.as_str()])?;
    }
    Ok(there)
}

/// Drops an upload that has not been touched since; false where it was, or is not there.
///
/// # Errors
/// Where the rows can't be written.
pub(crate) fn remove_expired(tx: &Tx<'_>, id: &UploadId, touched_until_ms: u64) -> Result<bool> {
    let holder: Option<String> = tx
        .connection()
        .prepare_cached(
            "SELECT holder FROM blob_uploads WHERE upload_id = ?1 AND touched_ms <= ?2",
        )?
        .query_row((id.as_str(), touched_until_ms), |row| row.get(0))
        .optional()?;
    holder.map_or(Ok(false), |holder| remove(tx, &holder, id))
}

/// Some uploads that were not touched since, the oldest first.
///
/// # Errors
/// Where the database can't be read.
pub(crate) fn expired(
    reader: Reader<'_>,
    touched_until_ms: u64,
    limit: usize,
) -> Result<Vec<UploadId>> {
    let mut statement = reader.connection().prepare_cached(
        "SELECT upload_id FROM blob_uploads WHERE touched_ms <= ?1
         ORDER BY touched_ms, upload_id LIMIT ?2",
    )?;
    let rows = statement.query_map((touched_until_ms, limit), |row| columns::text(row, 0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Whether an upload of this id, whoever's it is, may have chunks.
///
/// # Errors
/// Where the database can't be read.
pub(crate) fn is_open(reader: Reader<'_>, id: &UploadId) -> Result<bool> {
    let open = reader
        .connection()
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM blob_uploads WHERE upload_id = ?1 AND hash IS NULL)",
        )?
        .query_row([id.as_str()], |row| row.get(0))?;
    Ok(open)
}

/// How many bytes the chunks of all uploads take on disk.
pub(super) fn stored_bytes(reader: Reader<'_>) -> Result<u64> {
    Ok(totals::get(reader, ALL, "")?.stored_bytes)
}

/// How many bytes of chunks a caller has.
pub(super) fn bytes_of(reader: Reader<'_>, caller: &Caller) -> Result<u64> {
    Ok(totals::get(reader, OF_HOLDER, caller.holder())?.bytes)
}

fn add(tx: &Tx<'_>, holder: &str, change: Change) -> Result<()> {
    totals::add(tx, ALL, "", change)?;
    totals::add(tx, OF_HOLDER, holder, change)?;
    Ok(())
}

/// What the chunks of an upload take.
#[derive(Debug, Clone, Copy)]
struct ChunksTotal {
    count: u64,
    bytes: u64,
    stored_bytes: u64,
}

fn chunks_total(reader: Reader<'_>, id: &UploadId) -> Result<ChunksTotal> {
    let total = reader
        .connection()
        .prepare_cached(
            "SELECT count(*), coalesce(sum(size), 0), coalesce(sum(stored_size), 0)
             FROM blob_upload_chunks WHERE upload_id = ?1",
        )?
        .query_row([id.as_str()], |row| {
            Ok(ChunksTotal { count: row.get(0)?, bytes: row.get(1)?, stored_bytes: row.get(2)? })
        })?;
    Ok(total)
}
