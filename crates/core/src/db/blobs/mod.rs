//! `blob_contents`, `blob_holders`, `blob_references`, `blob_unlinks`: which contents there are, who
//! holds them, which records name them, and which files are rubbish.
//!
//! These operations know rows only. Content rows appear ([`insert`]) and vanish ([`remove`]) only
//! under the lock on the hash, which the [blob store](crate::blob) holds around them; record
//! operations only add and drop references.

pub(crate) mod candidates;
mod files;
mod list;
mod removal;
pub mod uploads;

use std::collections::{BTreeMap, BTreeSet};

use osnova_storage_api::blobs::{
    BlobStat, BlobUsage, BlobsPresent, GrantParams, HasParams, HashParams,
};
use osnova_storage_api::wire::{BlobHash, JsonText, Name, Role, Timestamp, UnsignedInteger};
use osnova_storage_api::{ApiError, ErrorCode};
use rusqlite::{OptionalExtension, Row};

pub(crate) use files::{
    adopt, bytes, contents_after, count_of_format_0, is_rubbish, of_format_0, strike_unlinks,
    unlinks, without_row,
};
pub use list::list;
pub(crate) use removal::{drop_unkept, remove};

use super::columns;
use super::totals::{self, Change};
use super::tx::{Reader, Tx};
use crate::blob::BlobLimits;
use crate::caller::{Caller, Scopes};
use crate::error::{Result, StoreError};

/// What the owner sees of a content: all there are. Name and type are the owner's own where he holds
/// it, else those of the first who does ('' sorts before every component).
macro_rules! select_as_owner {
    ($rest:literal) => {
        concat!(
            "SELECT contents.hash, contents.size, holders.content_type, holders.name,
                    holders.metadata_json,
                    EXISTS (SELECT 1 FROM blob_holders AS any_holder
                            WHERE any_holder.content_id = contents.content_id AND any_holder.pinned),
                    contents.created_at,
                    (SELECT count(*) FROM blob_references AS named
                     WHERE named.content_id = contents.content_id),
                    contents.stored_size, contents.codec
             FROM blob_contents AS contents
             LEFT JOIN blob_holders AS holders ON holders.content_id = contents.content_id
               AND holders.holder = (SELECT min(holder) FROM blob_holders AS first
                                     WHERE first.content_id = contents.content_id) ",
            $rest
        )
    };
}
use select_as_owner;

/// What a component sees of a content: its own holder's row.
macro_rules! select_as_holder {
    ($rest:literal) => {
        concat!(
            "SELECT holders.hash, contents.size, holders.content_type, holders.name,
                    holders.metadata_json, holders.pinned, holders.created_at,
                    (SELECT count(*) FROM blob_references AS named
                     WHERE named.content_id = contents.content_id
                       AND (named.namespace IN ('components', 'applications')
                            OR (named.namespace = 'messages' AND EXISTS (
                                  SELECT 1 FROM messages
                                  WHERE messages.message_id = named.record_key
                                    AND messages.component_id = holders.holder)))),
                    NULL, NULL
             FROM blob_holders AS holders JOIN blob_contents AS contents USING (content_id) ",
            $rest
        )
    };
}
use select_as_holder;

/// The format in which files are written.
const FORMAT: u8 = 1;

fn stat_from_row(row: &Row<'_>) -> rusqlite::Result<BlobStat> {
    Ok(BlobStat {
        hash: columns::hash(row, 0)?,
        size: UnsignedInteger(row.get(1)?),
        content_type: columns::optional_text(row, 2)?,
        name: columns::optional_text(row, 3)?,
        metadata: columns::optional_json(row, 4)?,
        pinned: row.get(5)?,
        created_at: Timestamp(row.get(6)?),
        references: UnsignedInteger(row.get(7)?),
        stored_size: row.get::<_, Option<u64>>(8)?.map(UnsignedInteger),
        codec: row.get::<_, Option<u8>>(9)?.map(|codec| codec_name(codec).to_owned()),
    })
}

fn codec_name(codec: u8) -> &'static str {
    match codec {
        0 => "none",
        1 => "zstd",
        _ => "unknown",
    }
}

fn not_found() -> StoreError {
    StoreError::not_found("blob")
}

/// What is known of a content that the caller can see.
///
/// # Errors
/// `not_found`.
pub fn stat(reader: Reader<'_>, caller: &Caller, params: &HashParams) -> Result<BlobStat> {
    let hash = params.hash.as_bytes();
    let connection = reader.connection();
    let found = match caller {
        Caller::Owner => connection
            .prepare_cached(select_as_owner!("WHERE contents.hash = ?1"))?
            .query_row([hash], stat_from_row),
        Caller::Component { id, .. } => connection
            .prepare_cached(select_as_holder!("WHERE holders.holder = ?1 AND holders.hash = ?2"))?
            .query_row((id.as_str(), hash), stat_from_row),
    };
    found.optional()?.ok_or_else(not_found)
}

/// Which of many contents the caller can see.
///
/// # Errors
/// Where the database can't be read.
pub fn has(reader: Reader<'_>, caller: &Caller, params: &HasParams) -> Result<BlobsPresent> {
    let seen = |hash: &BlobHash| Ok(visible_content(reader, caller, hash)?.is_some());
    let present = params.hashes.iter().map(seen).collect::<Result<_>>()?;
    Ok(BlobsPresent { present })
}

/// The row of a content that the caller can see: for the owner any, for a component what it holds.
fn visible_content(reader: Reader<'_>, caller: &Caller, hash: &BlobHash) -> Result<Option<i64>> {
    let connection = reader.connection();
    let found = match caller {
        Caller::Owner => connection
            .prepare_cached("SELECT content_id FROM blob_contents WHERE hash = ?1")?
            .query_row([hash.as_bytes()], |row| row.get(0)),
        Caller::Component { id, .. } => connection
            .prepare_cached("SELECT content_id FROM blob_holders WHERE holder = ?1 AND hash = ?2")?
            .query_row((id.as_str(), hash.as_bytes()), |row| row.get(0)),
    };
    Ok(found.optional()?)
}

/// How much the caller holds; for the owner, how much there is.
///
/// # Errors
/// Where the database can't be read.
pub fn usage(reader: Reader<'_>, caller: &Caller, limits: &BlobLimits) -> Result<BlobUsage> {
    let (what, holder) = match caller {
        Caller::Owner => ("contents", ""),
        Caller::Component { id, .. } => ("held", id.as_str()),
    };
    let total = totals::get(reader, what, holder)?;
    let for_owner = |value: u64| caller.is_owner().then_some(UnsignedInteger(value));
    Ok(BlobUsage {
        count: UnsignedInteger(total.count),
        bytes: UnsignedInteger(total.bytes),
        stored_bytes: for_owner(total.stored_bytes),
        limit_bytes: UnsignedInteger(limits.of(caller)),
    })
}

/// How many bytes all contents take on disk.
fn stored_bytes(reader: Reader<'_>) -> Result<u64> {
    Ok(totals::get(reader, "contents", "")?.stored_bytes)
}

/// What a caller says of a content when he puts it.
#[derive(Debug, Clone)]
pub struct Holding {
    /// What to call it.
    pub name: Option<Name>,
    /// What it is.
    pub content_type: Option<Name>,
    /// What else to say of it.
    pub metadata: Option<JsonText>,
    /// Whether it stays until the caller deletes it.
    pub pinned: bool,
}

/// A content as it was written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Written {
    pub(crate) hash: BlobHash,
    pub(crate) size: u64,
    pub(crate) stored_size: u64,
    pub(crate) codec: u8,
}

/// Whether a content is stored, whoever holds it. For the blob store, under the lock on the hash.
pub(crate) fn is_stored(reader: Reader<'_>, hash: &BlobHash) -> Result<bool> {
    Ok(visible_content(reader, &Caller::Owner, hash)?.is_some())
}

/// Whether there is room for a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// There is.
    Enough,
    /// The store would pass its limit.
    StoreFull,
    /// The component would pass its own.
    ComponentFull,
}

/// Whether there is room for contents together, as [`insert`] sees it.
///
/// # Errors
/// Where the database can't be read.
pub(crate) fn room(
    reader: Reader<'_>,
    caller: &Caller,
    all: &[Written],
    limits: &BlobLimits,
) -> Result<Room> {
    let (mut size, mut stored_size) = (0_u64, 0_u64);
    for written in all {
        let content_id = visible_content(reader, &Caller::Owner, &written.hash)?;
        let held = content_id.map_or(Ok(false), |id| is_held(reader, id, caller))?;
        if takes_room(caller, content_id.is_some(), held) {
            size = size.saturating_add(written.size);
            stored_size = stored_size.saturating_add(written.stored_size);
        }
    }
    match stored_size {
        0 => Ok(Room::Enough),
        _ => room_for(reader, caller, size, stored_size, limits),
    }
}

/// Whether a put takes room. A component's does, whether another holds the content or not.
fn takes_room(caller: &Caller, is_there: bool, is_held: bool) -> bool {
    !is_there || (!caller.is_owner() && !is_held)
}

fn room_for(
    reader: Reader<'_>,
    caller: &Caller,
    size: u64,
    stored_size: u64,
    limits: &BlobLimits,
) -> Result<Room> {
    // A component's own first: what it may not have anyway must cost nobody anything.
    if !caller.is_owner() {
        let uploads = uploads::bytes_of(reader, caller)?;
        let held = totals::get(reader, "held", caller.holder())?.bytes;
        if held.saturating_add(uploads).saturating_add(size) > limits.of(caller) {
            return Ok(Room::ComponentFull);
        }
    }
    let uploads = uploads::stored_bytes(reader)?;
    let stored = stored_bytes(reader)?.saturating_add(uploads).saturating_add(stored_size);
    Ok(if stored > limits.limit_bytes { Room::StoreFull } else { Room::Enough })
}

/// Enters a content whose file lies at its place, unless it is there already, and makes the caller a
/// holder of it. True where the caller did not hold it before.
///
/// # Errors
/// `quota_exceeded` where the store would pass its limit, or the component its own. A component is told
/// so whether another holds the content or not, or it could find out what others hold by trying.
pub(crate) fn insert(
    tx: &Tx<'_>,
    caller: &Caller,
    written: &Written,
    holding: &Holding,
    limits: &BlobLimits,
) -> Result<bool> {
    let known: Option<(i64, u64)> = tx
        .connection()
        .prepare_cached("SELECT content_id, stored_size FROM blob_contents WHERE hash = ?1")?
        .query_row([written.hash.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let held = match known {
        Some((content_id, _)) => is_held(tx.reader(), content_id, caller)?,
        None => false,
    };
    if takes_room(caller, known.is_some(), held)
        && room_for(tx.reader(), caller, written.size, written.stored_size, limits)? != Room::Enough
    {
        return Err(over_limit(caller, limits));
    }
    let (content_id, stored_size) = match known {
        Some(known) => known,
        None => (enter_content(tx, written, FORMAT)?, written.stored_size),
    };
    hold(tx, caller, content_id, &written.hash, holding)?;
    if !held {
        totals::add(tx, "held", caller.holder(), Change::of(1, written.size, stored_size))?;
    }
    Ok(!held)
}

/// Enters a content that is not there; its number.
fn enter_content(tx: &Tx<'_>, written: &Written, format: u8) -> Result<i64> {
    totals::add(tx, "contents", "", Change::of(1, written.size, written.stored_size))?;
    strike_unlinks(tx, &[written.hash])?;
    let content_id = tx
        .connection()
        .prepare_cached(
            "INSERT INTO blob_contents (hash, size, stored_size, codec, created_at, format)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING content_id",
        )?
        .query_row(
            (
                written.hash.as_bytes(),
                written.size,
                written.stored_size,
                written.codec,
                tx.now(),
                format,
            ),
            |row| row.get(0),
        )?;
    Ok(content_id)
}

/// Notes that the file of a content was written anew.
///
/// # Errors
/// Where the row can't be written.
pub(crate) fn set_stored(tx: &Tx<'_>, written: &Written) -> Result<()> {
    let before: u64 = tx
        .connection()
        .prepare_cached("SELECT stored_size FROM blob_contents WHERE hash = ?1")?
        .query_row([written.hash.as_bytes()], |row| row.get(0))?;
    tx.connection()
        .prepare_cached(
            "UPDATE blob_contents SET stored_size = ?2, codec = ?3, format = ?4 WHERE hash = ?1",
        )?
        .execute((written.hash.as_bytes(), written.stored_size, written.codec, FORMAT))?;
    tx.connection()
        .prepare_cached(
            "UPDATE totals SET stored_bytes = stored_bytes - ?2 + ?3
             WHERE (what = 'contents' AND holder = '') OR (what = 'held' AND holder IN (
               SELECT holder FROM blob_holders WHERE content_id = (
                 SELECT content_id FROM blob_contents WHERE hash = ?1)))",
        )?
        .execute((written.hash.as_bytes(), before, written.stored_size))?;
    Ok(())
}

/// Whether the caller holds a content.
fn is_held(reader: Reader<'_>, content_id: i64, caller: &Caller) -> Result<bool> {
    let held = reader
        .connection()
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM blob_holders WHERE content_id = ?1 AND holder = ?2)",
        )?
        .query_row((content_id, caller.holder()), |row| row.get(0))?;
    Ok(held)
}

/// The refusal of a put that would take the store, or the component, past its limit.
pub(crate) fn over_limit(caller: &Caller, limits: &BlobLimits) -> StoreError {
    let message = match caller {
        Caller::Owner => {
            "the blob store is full: delete blobs, or raise blobs.limit_bytes".to_owned()
        }
        Caller::Component { .. } => {
            format!("a component may hold {} bytes, as the store allows", limits.of(caller))
        }
    };
    StoreError::Refused(ApiError::new(ErrorCode::QuotaExceeded, message))
}

fn hold(
    tx: &Tx<'_>,
    caller: &Caller,
    content_id: i64,
    hash: &BlobHash,
    holding: &Holding,
) -> Result<()> {
    tx.connection()
        .prepare_cached(
            "INSERT INTO blob_holders (content_id, holder, hash, name, content_type, metadata_json,
               pinned, created_at, unnamed_puts)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, NOT ?7)
             ON CONFLICT (content_id, holder) DO UPDATE SET name = excluded.name,
               content_type = excluded.content_type, metadata_json = excluded.metadata_json,
               pinned = excluded.pinned,
               unnamed_puts = unnamed_puts + NOT excluded.pinned",
        )?
        .execute((
            content_id,
            caller.holder(),
            hash.as_bytes(),
            holding.name.as_ref().map(Name::as_str),
            holding.content_type.as_ref().map(Name::as_str),
            holding.metadata.as_ref().map(JsonText::get),
            holding.pinned,
            tx.now(),
        ))?;
    if !holding.pinned {
        candidates::note(tx, content_id)?;
    }
    Ok(())
}

/// Pins a content for the caller. The owner becomes a holder of what he did not hold.
///
/// # Errors
/// `not_found`.
pub fn pin(tx: &Tx<'_>, caller: &Caller, params: &HashParams) -> Result<BlobStat> {
    let before = stat(tx.reader(), caller, params)?;
    if set_pinned(tx, caller, &params.hash, true)? == 0 {
        let content_id =
            visible_content(tx.reader(), caller, &params.hash)?.ok_or_else(not_found)?;
        hold_as_seen(tx, caller, content_id, before, true)?;
    }
    stat(tx.reader(), caller, params)
}

/// Makes someone a holder of what he did not hold, as the owner saw it before.
fn hold_as_seen(
    tx: &Tx<'_>,
    holder: &Caller,
    content_id: i64,
    seen: BlobStat,
    pinned: bool,
) -> Result<()> {
    let holding = Holding {
        name: seen.name,
        content_type: seen.content_type,
        metadata: seen.metadata,
        pinned,
    };
    hold(tx, holder, content_id, &seen.hash, &holding)?;
    let stored_size = seen.stored_size.map_or(0, |size| size.0);
    totals::add(tx, "held", holder.holder(), Change::of(1, seen.size.0, stored_size))?;
    Ok(())
}

/// Takes the caller's pin off a content.
///
/// # Errors
/// `not_found`.
pub fn unpin(tx: &Tx<'_>, caller: &Caller, params: &HashParams) -> Result<BlobStat> {
    if set_pinned(tx, caller, &params.hash, false)? > 0
        && let Some(content_id) = visible_content(tx.reader(), caller, &params.hash)?
    {
        candidates::note(tx, content_id)?;
    }
    stat(tx.reader(), caller, params)
}

fn set_pinned(tx: &Tx<'_>, caller: &Caller, hash: &BlobHash, pinned: bool) -> Result<usize> {
    let changed = tx
        .connection()
        .prepare_cached(
            "UPDATE blob_holders
             SET pinned = ?3, unnamed_puts = iif(?3, unnamed_puts, max(unnamed_puts, 1))
             WHERE holder = ?1 AND hash = ?2",
        )?
        .execute((caller.holder(), hash.as_bytes(), pinned))?;
    Ok(changed)
}

/// Makes a component a holder of a content: it sees what the owner sees of it.
///
/// # Errors
/// `not_found`.
pub fn grant(tx: &Tx<'_>, caller: &Caller, params: &GrantParams) -> Result<BlobStat> {
    let asked = HashParams { hash: params.hash };
    let seen = stat(tx.reader(), caller, &asked)?;
    let content_id = visible_content(tx.reader(), caller, &params.hash)?.ok_or_else(not_found)?;
    let component = Caller::Component { id: params.component_id.clone(), scopes: Scopes::All };
    let pinned = params.pin.unwrap_or(true);
    if is_held(tx.reader(), content_id, &component)? {
        // What the component said of it itself stays; a grant takes nothing away.
        if pinned {
            set_pinned(tx, &component, &params.hash, true)?;
        }
    } else {
        hold_as_seen(tx, &component, content_id, seen, pinned)?;
    }
    stat(tx.reader(), caller, &asked)
}

/// The size of a content that is there.
pub(crate) fn size(reader: Reader<'_>, hash: &BlobHash) -> Result<u64> {
    let size = reader
        .connection()
        .prepare_cached("SELECT size FROM blob_contents WHERE hash = ?1")?
        .query_row([hash.as_bytes()], |row| row.get(0))?;
    Ok(size)
}

/// Whether any record of a namespace names a content.
pub(crate) fn is_named_in(reader: Reader<'_>, namespace: &str, hash: &BlobHash) -> Result<bool> {
    let named = reader
        .connection()
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM blob_references JOIN blob_contents USING (content_id)
                            WHERE hash = ?1 AND namespace = ?2)",
        )?
        .query_row((hash.as_bytes(), namespace), |row| row.get(0))?;
    Ok(named)
}

/// Makes these the contents that a record names, in place of those it named before.
///
/// # Errors
/// `conflict`, reason `foreign_key`, for a content that the caller can't see, absent or not.
pub(crate) fn set_references(
    tx: &Tx<'_>,
    caller: &Caller,
    namespace: &str,
    key: &str,
    named: &BTreeMap<Role, BlobHash>,
) -> Result<()> {
    let mut released: BTreeSet<i64> = tx
        .connection()
        .prepare_cached(
            "SELECT content_id FROM blob_references WHERE namespace = ?1 AND record_key = ?2",
        )?
        .query_map((namespace, key), |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    if !released.is_empty() {
        tx.connection()
            .prepare_cached("DELETE FROM blob_references WHERE namespace = ?1 AND record_key = ?2")?
            .execute((namespace, key))?;
    }
    for (role, hash) in named {
        let content_id = visible_content(tx.reader(), caller, hash)?
            .ok_or_else(|| StoreError::foreign_key("the record names a blob that is not there"))?;
        tx.connection()
            .prepare_cached(
                "INSERT INTO blob_references (namespace, record_key, role, content_id)
                 VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute((namespace, key, role.as_str(), content_id))?;
        released.remove(&content_id);
    }
    for content_id in released {
        candidates::note(tx, content_id)?;
    }
    Ok(())
}

/// Whether any content is stored.
pub(crate) fn any_content(reader: Reader<'_>) -> Result<bool> {
    let found = reader.connection().query_row(
        "SELECT EXISTS (SELECT 1 FROM blob_contents)",
        [],
        |row| row.get(0),
    )?;
    Ok(found)
}
