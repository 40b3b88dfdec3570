//! `autonomi_cache`: what was fetched from the network and is kept as blobs, in the order of access. The
//! owner's only.

use std::collections::{BTreeMap, HashMap};

use osnova_storage_api::cache::{
    CacheEntry, CachePage, GetParams, ListParams, PutParams, RemoveParams,
};
use osnova_storage_api::components::Direction;
use osnova_storage_api::wire::{
    BlobHash, Deleted, Name, Revision, Role, Timestamp, UnsignedInteger,
};
use osnova_storage_api::{ApiError, ErrorCode};
use rusqlite::{OptionalExtension, Row};

use super::deferred::Touch;
use super::keyset::{self, Listed, Range, Scan};
use super::page::Query;
use super::totals::{self, Change};
use super::tx::{ChangeKind, Reader, Tx, check_revision};
use super::{blobs, columns};
use crate::blob::FileTag;
use crate::caller::Caller;
use crate::error::{Result, StoreError};

/// The bounds of the cache.
#[derive(Debug, Clone, Copy)]
pub struct CacheLimits {
    /// How many bytes of contents its entries may come to.
    pub bytes: u64,
    /// How many entries it may have.
    pub entries: u64,
}

impl Default for CacheLimits {
    fn default() -> Self {
        Self { bytes: 5 << 30, entries: 1_000_000 }
    }
}

/// Entries that a put drops at most: other writes wait for it. The keeper drops the rest.
const DROPPED_BY_A_PUT: usize = 256;

const NAMESPACE: &str = "cache";
/// The contents that it names, each once, among the totals.
const DISTINCT: &str = "cachedContents";
/// What the blob is to its entry.
const ROLE: &str = "content";

/// A query of whole rows, as [`from_row`] reads them.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT autonomi_address, content_hash, blob_hash, size, data_type, cached_at,
                    last_accessed, coalesce(access_count, 0), revision, accessed_seq
             FROM autonomi_cache ",
            $rest
        )
    };
}

/// An entry, and its place in the order of access.
pub(crate) struct Stored {
    pub(crate) entry: CacheEntry,
    pub(crate) accessed_seq: u64,
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Stored> {
    let entry = CacheEntry {
        autonomi_address: columns::text(row, 0)?,
        content_hash: columns::text(row, 1)?,
        blob_hash: columns::hash_text(row, 2)?,
        size: UnsignedInteger(row.get(3)?),
        data_type: columns::text(row, 4)?,
        cached_at: Timestamp(row.get(5)?),
        last_accessed: Timestamp(row.get(6)?),
        access_count: UnsignedInteger(row.get(7)?),
        revision: Revision(row.get(8)?),
    };
    Ok(Stored { entry, accessed_seq: row.get(9)? })
}

fn find(reader: Reader<'_>, address: &Name) -> Result<Option<Stored>> {
    let found = reader
        .connection()
        .prepare_cached(select!("WHERE autonomi_address = ?1"))?
        .query_row([address.as_str()], from_row)
        .optional()?;
    Ok(found)
}

/// Reads an entry; whoever asks decides whether that is an access.
///
/// # Errors
/// `not_found`.
pub fn peek(reader: Reader<'_>, _caller: &Caller, params: &GetParams) -> Result<CacheEntry> {
    find(reader, &params.autonomi_address)?
        .map(|found| found.entry)
        .ok_or_else(|| StoreError::not_found("cached content"))
}

/// The next place in the order of access.
fn next_place(tx: &Tx<'_>) -> Result<u64> {
    let last: u64 = tx
        .connection()
        .prepare_cached("SELECT coalesce(max(accessed_seq), 0) FROM autonomi_cache")?
        .query_row([], |row| row.get(0))?;
    Ok(last + 1)
}

/// Enters a content, which is an access. Where the cache is over its bounds then, the entries that were not
/// accessed for longest go, but none whose content is pinned, named elsewhere or being read.
///
/// # Errors
/// `conflict`: `revision` where `ifRevision` does not match, `foreign_key` where there is no such blob;
/// `quota_exceeded` where it is larger than the cache may be.
pub fn put(tx: &Tx<'_>, caller: &Caller, params: &PutParams) -> Result<CacheEntry> {
    let input = &params.entry;
    let address = &input.autonomi_address;
    let known = find(tx.reader(), address)?;
    check_revision(params.if_revision, known.as_ref().map(|known| known.entry.revision))?;
    let role: Role = ROLE.parse().map_err(StoreError::Internal)?;
    let named = BTreeMap::from([(role, input.blob_hash)]);
    let was = known.as_ref().map(|known| known.entry.blob_hash);
    let distinct = Distinct::before(tx, [was, Some(input.blob_hash)])?;
    blobs::set_references(tx, caller, NAMESPACE, address.as_str(), &named)?;
    distinct.count(tx)?;
    if known.as_ref().is_none_or(|known| known.entry.blob_hash != input.blob_hash) {
        blobs::candidates::hand_to_cache(tx, caller, &input.blob_hash)?;
    }
    let size = blobs::size(tx.reader(), &input.blob_hash)?;
    let limits = tx.cache_limits();
    if size > limits.bytes || limits.entries == 0 {
        let message =
            format!("the cache may hold {} bytes in {} entries", limits.bytes, limits.entries);
        return Err(ApiError::new(ErrorCode::QuotaExceeded, message).into());
    }
    let place = next_place(tx)?;
    let revision = tx.record_change(NAMESPACE, &[address.as_str()], ChangeKind::Put)?;
    tx.connection()
        .prepare_cached(
            "INSERT INTO autonomi_cache (autonomi_address, content_hash, blob_hash, size, data_type,
               cached_at, last_accessed, access_count, revision, accessed_seq)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, 1, ?7, ?8)
             ON CONFLICT (autonomi_address) DO UPDATE SET content_hash = excluded.content_hash,
               blob_hash = excluded.blob_hash, size = excluded.size, data_type = excluded.data_type,
               cached_at = excluded.cached_at,
               last_accessed = max(last_accessed, excluded.last_accessed),
               access_count = coalesce(access_count, 0) + 1, revision = excluded.revision,
               accessed_seq = excluded.accessed_seq",
        )?
        .execute((
            address.as_str(),
            input.content_hash.as_str(),
            input.blob_hash.to_string(),
            size,
            input.data_type.as_str(),
            tx.now(),
            revision.0,
            place,
        ))?;
    let gone = known.map_or_else(Change::default, |known| Change::of(-1, known.entry.size.0, 0));
    totals::add(tx, NAMESPACE, "", gone.and(Change::of(1, size, 0)))?;
    keep_within(tx, limits, place)?;
    find(tx.reader(), address)?
        .map(|stored| stored.entry)
        .ok_or_else(|| StoreError::Internal("a stored entry is not there".to_owned()))
}

/// Forgets the entries that were not accessed for longest until the cache is within its bounds, a few at the
/// most. Their contents may be collected at once. Never the entry at `last`.
fn keep_within(tx: &Tx<'_>, limits: &CacheLimits, last: u64) -> Result<()> {
    if is_within(tx.reader(), limits)? {
        return Ok(());
    }
    for found in evictable(tx.reader(), 0, DROPPED_BY_A_PUT)? {
        if found.accessed_seq == last || is_within(tx.reader(), limits)? {
            break;
        }
        if !tx.is_being_read(&found.entry.blob_hash) {
            forget(tx, &found.entry)?;
            blobs::candidates::expire(tx, &found.entry.blob_hash)?;
        }
    }
    Ok(())
}

/// Whether the cache is within its bounds.
///
/// # Errors
/// Where the database can't be read.
pub(crate) fn is_within(reader: Reader<'_>, limits: &CacheLimits) -> Result<bool> {
    let (entries, bytes) = size(reader)?;
    Ok(entries <= limits.entries && bytes <= limits.bytes)
}

/// Writes pending accesses in the order in which they were made; entries removed meanwhile are passed
/// over.
///
/// # Errors
/// Where the rows can't be written.
pub(super) fn flush_hits(tx: &Tx<'_>, hits: &HashMap<String, Touch>) -> Result<()> {
    if hits.is_empty() {
        return Ok(());
    }
    let mut in_order: Vec<(&String, &Touch)> = hits.iter().collect();
    in_order.sort_unstable_by_key(|(_, hit)| hit.order);
    let first = next_place(tx)?;
    let mut update = tx.connection().prepare_cached(
        "UPDATE autonomi_cache SET last_accessed = max(last_accessed, ?2),
           access_count = coalesce(access_count, 0) + ?3, accessed_seq = ?4
         WHERE autonomi_address = ?1",
    )?;
    for (place, (address, hit)) in (first..).zip(in_order) {
        update.execute((address, hit.used_at, hit.count, place))?;
    }
    Ok(())
}

/// A page of the cache, in the order of access.
///
/// # Errors
/// `validation_error` where the cursor is another list's.
pub fn list(reader: Reader<'_>, _caller: &Caller, params: &ListParams) -> Result<CachePage> {
    let direction = params.direction.unwrap_or(Direction::Ascending);
    let content = params.content_hash.as_ref().map(Name::as_str);
    let filter = [content.unwrap_or_default(), direction.as_str()];
    let query = Query::new("cache.list", &filter, params.limit);
    let scan = Scan {
        select: select!(""),
        ranges: &[Range::by("accessed_seq")],
        id: "autonomi_address",
        direction,
        arms: if content.is_some() { &["content_hash = :content"] } else { &["1"] },
        filters: &[],
        bound: &[(":content", keyset::text(content))],
    };
    let (items, next_cursor) =
        keyset::list(reader, &query, params.cursor.as_ref(), &scan, |row| {
            let Stored { entry, accessed_seq } = from_row(row)?;
            Ok(Listed {
                order: accessed_seq.into(),
                id: entry.autonomi_address.as_str().to_owned(),
                bytes: 3000,
                item: entry,
            })
        })?;
    Ok(CachePage { items, next_cursor })
}

/// Removes an entry and its reference.
///
/// # Errors
/// `conflict` where `ifRevision` does not match.
pub fn remove(tx: &Tx<'_>, _caller: &Caller, params: &RemoveParams) -> Result<Deleted> {
    let known = find(tx.reader(), &params.autonomi_address)?;
    check_revision(params.if_revision, known.as_ref().map(|known| known.entry.revision))?;
    match known {
        Some(known) => {
            forget(tx, &known.entry)?;
            Ok(Deleted { deleted: true })
        }
        None => Ok(Deleted { deleted: false }),
    }
}

fn forget(tx: &Tx<'_>, entry: &CacheEntry) -> Result<()> {
    let address = entry.autonomi_address.as_str();
    let distinct = Distinct::before(tx, [Some(entry.blob_hash), None])?;
    blobs::set_references(tx, &Caller::Owner, NAMESPACE, address, &BTreeMap::new())?;
    distinct.count(tx)?;
    tx.connection()
        .prepare_cached("DELETE FROM autonomi_cache WHERE autonomi_address = ?1")?
        .execute([address])?;
    totals::add(tx, NAMESPACE, "", Change::of(-1, entry.size.0, 0))?;
    tx.record_change(NAMESPACE, &[address], ChangeKind::Delete)?;
    Ok(())
}

/// Contents that the cache names, and whether it did before a change: what is counted once, however many
/// entries name it.
struct Distinct(Vec<(BlobHash, bool)>);

impl Distinct {
    fn before(tx: &Tx<'_>, hashes: [Option<BlobHash>; 2]) -> Result<Self> {
        let [first, second] = hashes;
        let hashes = first.into_iter().chain(second.filter(|hash| Some(*hash) != first));
        let seen =
            hashes.map(|hash| Ok((hash, blobs::is_named_in(tx.reader(), NAMESPACE, &hash)?)));
        Ok(Self(seen.collect::<Result<_>>()?))
    }

    /// Counts what is named now and was not before, or the reverse.
    fn count(self, tx: &Tx<'_>) -> Result<()> {
        for (hash, before) in self.0 {
            let now = blobs::is_named_in(tx.reader(), NAMESPACE, &hash)?;
            if now != before {
                let change =
                    Change::of(if now { 1 } else { -1 }, blobs::size(tx.reader(), &hash)?, 0);
                totals::add(tx, DISTINCT, "", change)?;
            }
        }
        Ok(())
    }
}

/// How many bytes its entries would take more if each had a content of its own.
///
/// # Errors
/// Where the database can't be read.
pub(crate) fn saved_bytes(reader: Reader<'_>) -> Result<u64> {
    let distinct = totals::get(reader, DISTINCT, "")?.bytes;
    Ok(size(reader)?.1.saturating_sub(distinct))
}

/// How many entries there are, and their bytes.
///
/// # Errors
/// Where the database can't be read.
pub(crate) fn size(reader: Reader<'_>) -> Result<(u64, u64)> {
    let total = totals::get(reader, NAMESPACE, "")?;
    Ok((total.count, total.bytes))
}

/// The entries after a place in the order of access that may be evicted, in that order: nobody has pinned
/// their blobs, and no other record names them.
pub(crate) fn evictable(reader: Reader<'_>, after: u64, limit: usize) -> Result<Vec<Stored>> {
    let mut statement = reader.connection().prepare_cached(select!(
        "WHERE accessed_seq > ?1 AND NOT EXISTS (
           SELECT 1 FROM blob_contents AS contents
           WHERE contents.hash = unhex(blob_hash) AND (
             EXISTS (SELECT 1 FROM blob_holders AS holders
                     WHERE holders.content_id = contents.content_id AND holders.pinned)
             OR EXISTS (SELECT 1 FROM blob_references AS named
                        WHERE named.content_id = contents.content_id
                          AND named.namespace <> 'cache')))
         ORDER BY accessed_seq, autonomi_address LIMIT ?2"
    ))?;
    let rows = statement.query_map((after, limit), from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// An entry that was evicted.
pub(crate) struct Evicted {
    pub(crate) hash: BlobHash,
    pub(crate) bytes: u64,
    /// The file of its content is rubbish.
    pub(crate) unlink: bool,
}

/// Evicts an entry, unless it was accessed since it was chosen; and its content, unless anything else
/// keeps it. Under the lock on the hash.
pub(crate) fn evict(
    tx: &Tx<'_>,
    chosen: &Name,
    seq: u64,
    grace_ms: u64,
    tag: Option<FileTag>,
) -> Result<Option<Evicted>> {
    let Some(found) = find(tx.reader(), chosen)?.filter(|found| found.accessed_seq == seq) else {
        return Ok(None);
    };
    forget(tx, &found.entry)?;
    let hash = found.entry.blob_hash;
    let unlink = blobs::drop_unkept(tx, &hash, grace_ms, tag)?;
    Ok(Some(Evicted { hash, bytes: found.entry.size.0, unlink }))
}
