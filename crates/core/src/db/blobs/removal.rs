//! How contents go: what is held of them is dropped, and where nobody holds and no record names one, its row
//! goes, and its file is known to be rubbish.

use osnova_storage_api::blobs::DeleteParams;
use osnova_storage_api::wire::{BlobHash, Deleted};
use osnova_storage_api::{ApiError, ConflictReason};
use rusqlite::OptionalExtension;

use super::{candidates, files, not_found, visible_content};
use crate::blob::FileTag;
use crate::caller::Caller;
use crate::db::totals::{self, Change};
use crate::db::tx::Tx;
use crate::error::{Result, StoreError};

/// Whether anything keeps `contents`: someone has pinned it, or a record names it.
macro_rules! is_kept {
    () => {
        "(EXISTS (SELECT 1 FROM blob_holders AS holders
                  WHERE holders.content_id = contents.content_id AND holders.pinned)
          OR EXISTS (SELECT 1 FROM blob_references AS named
                     WHERE named.content_id = contents.content_id))"
    };
}
pub(super) use is_kept;

/// What is left to do after [`remove`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Removal {
    /// The answer to the caller.
    pub(crate) answer: Deleted,
    /// The content's row is gone: its file is rubbish once this is committed.
    pub(crate) unlink: bool,
}

/// Drops what the caller holds of a content, and its row where nobody holds it and no record names it
/// then. For the owner: what everyone holds, or only the component he names.
///
/// # Errors
/// `conflict`, reason `referenced`, while a record that the caller may see names it; another's record
/// keeps the content, and nothing is said of it. `not_found` where a component names another.
pub(crate) fn remove(
    tx: &Tx<'_>,
    caller: &Caller,
    params: &DeleteParams,
    tag: Option<FileTag>,
) -> Result<Removal> {
    let whose = match (caller, &params.component_id) {
        (Caller::Owner, None) => None,
        (Caller::Owner, Some(id)) => Some(id.as_str()),
        (Caller::Component { id, .. }, Some(named)) if named != id => return Err(not_found()),
        (Caller::Component { id, .. }, _) => Some(id.as_str()),
    };
    let nothing = Removal { answer: Deleted { deleted: false }, unlink: false };
    let Some(content_id) = visible_content(tx.reader(), caller, &params.hash)? else {
        return Ok(nothing);
    };
    // To take back a grant takes nothing from the records that name the content.
    let is_grant = caller.is_owner() && whose.is_some();
    let holders = if is_grant { Vec::new() } else { naming_records(tx, caller, content_id)? };
    if !holders.is_empty() {
        let mut error =
            ApiError::conflict(ConflictReason::Referenced, "records still name this content");
        error.data.holders = Some(holders);
        return Err(StoreError::Refused(error));
    }
    let (size, stored_size): (u64, u64) = tx
        .connection()
        .prepare_cached("SELECT size, stored_size FROM blob_contents WHERE content_id = ?1")?
        .query_row([content_id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let dropped = drop_holders(tx, content_id, whose, size, stored_size)?;
    if dropped == 0 && whose.is_some() {
        return Ok(nothing);
    }
    let content = Removed { hash: params.hash, size, stored_size };
    let unlink = !is_held(tx, content_id)?;
    if unlink {
        remove_row(tx, content_id, &content, tag)?;
    } else {
        candidates::note(tx, content_id)?;
    }
    Ok(Removal { answer: Deleted { deleted: true }, unlink })
}

/// What a removed content took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Removed {
    pub(crate) hash: BlobHash,
    pub(crate) size: u64,
    pub(crate) stored_size: u64,
}

/// Whether anyone holds a content, pinned or not, or a record names it.
fn is_held(tx: &Tx<'_>, content_id: i64) -> Result<bool> {
    let held = tx
        .connection()
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM blob_holders WHERE content_id = ?1)
                 OR EXISTS (SELECT 1 FROM blob_references WHERE content_id = ?1)",
        )?
        .query_row([content_id], |row| row.get(0))?;
    Ok(held)
}

/// Removes the row of a content that nobody holds any more: its file, which the tag tells, is rubbish then.
pub(super) fn remove_row(
    tx: &Tx<'_>,
    content_id: i64,
    content: &Removed,
    tag: Option<FileTag>,
) -> Result<()> {
    candidates::strike(tx, content_id)?;
    files::note_rubbish(tx, &content.hash, tag)?;
    tx.connection()
        .prepare_cached("DELETE FROM blob_contents WHERE content_id = ?1")?
        .execute([content_id])?;
    totals::add(tx, "contents", "", Change::of(-1, content.size, content.stored_size))?;
    Ok(())
}

/// Removes a content that nobody has pinned and no record names, and what is held of it, unless it was put
/// within the grace and not for the cache; true where its file is rubbish then. Under the lock on
/// the hash.
pub(crate) fn drop_unkept(
    tx: &Tx<'_>,
    hash: &BlobHash,
    grace_ms: u64,
    tag: Option<FileTag>,
) -> Result<bool> {
    let found: Option<(i64, u64, u64)> = tx
        .connection()
        .prepare_cached(concat!(
            "SELECT content_id, size, stored_size FROM blob_contents AS contents
             WHERE hash = ?1 AND NOT ",
            is_kept!(),
            " AND NOT EXISTS (
                SELECT 1 FROM blob_holders AS holders JOIN blob_candidates USING (content_id)
                WHERE holders.content_id = contents.content_id AND holders.unnamed_puts > 0
                  AND blob_candidates.since_ms + ?2 > ?3)"
        ))?
        .query_row((hash.as_bytes(), grace_ms, tx.uptime_ms()), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let Some((content_id, size, stored_size)) = found else { return Ok(false) };
    drop_holders(tx, content_id, None, size, stored_size)?;
    remove_row(tx, content_id, &Removed { hash: *hash, size, stored_size }, tag)?;
    Ok(true)
}

/// Drops what is held of a content, by all or by one; says how many held it.
pub(super) fn drop_holders(
    tx: &Tx<'_>,
    content_id: i64,
    whose: Option<&str>,
    size: u64,
    stored_size: u64,
) -> Result<usize> {
    let dropped: Vec<String> = tx
        .connection()
        .prepare_cached(
            "DELETE FROM blob_holders WHERE content_id = ?1 AND (?2 IS NULL OR holder = ?2)
             RETURNING holder",
        )?
        .query_map((content_id, whose), |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for holder in &dropped {
        totals::add(tx, "held", holder, Change::of(-1, size, stored_size))?;
    }
    Ok(dropped.len())
}

/// The records that name a content, as far as the caller may see them.
fn naming_records(tx: &Tx<'_>, caller: &Caller, content_id: i64) -> Result<Vec<String>> {
    let mut statement = tx.connection().prepare_cached(
        "SELECT DISTINCT namespace, record_key FROM blob_references
         WHERE content_id = ?1 AND (?2 = '' OR namespace IN ('components', 'applications')
           OR (namespace = 'messages' AND EXISTS (
                 SELECT 1 FROM messages WHERE message_id = record_key AND component_id = ?2)))
         LIMIT 100",
    )?;
    let rows = statement.query_map((content_id, caller.holder()), |row| {
        let (namespace, key): (String, String) = (row.get(0)?, row.get(1)?);
        Ok(format!("{namespace}/{key}"))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
