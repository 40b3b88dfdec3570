//! What the database knows of files: which have a row, which are known to be rubbish, in which format they lie.

use osnova_storage_api::wire::BlobHash;

use super::{Holding, Written, enter_content, hold, is_stored};
use crate::blob::FileTag;
use crate::caller::Caller;
use crate::db::columns;
use crate::db::totals::{self, Change};
use crate::db::tx::{Reader, Tx};
use crate::error::Result;

/// Those of the contents that have no row.
///
/// # Errors
/// Where the database can't be read.
pub(crate) fn without_row(reader: Reader<'_>, hashes: &[BlobHash]) -> Result<Vec<BlobHash>> {
    let mut unknown = Vec::new();
    for hash in hashes {
        if !is_stored(reader, hash)? {
            unknown.push(*hash);
        }
    }
    Ok(unknown)
}

/// Makes the owner the holder of a content whose file lay there without a row. It counts against no limit:
/// it takes its room already.
///
/// # Errors
/// Where the rows can't be written.
pub(crate) fn adopt(tx: &Tx<'_>, written: &Written, format: u8) -> Result<()> {
    let content_id = enter_content(tx, written, format)?;
    let holding = Holding { name: None, content_type: None, metadata: None, pinned: true };
    hold(tx, &Caller::Owner, content_id, &written.hash, &holding)?;
    totals::add(tx, "held", "", Change::of(1, written.size, written.stored_size))?;
    Ok(())
}

/// Contents in the order in which they were entered.
///
/// # Errors
/// Where the database can't be read.
pub(crate) fn contents_after(
    reader: Reader<'_>,
    after: i64,
    limit: usize,
) -> Result<Vec<(i64, BlobHash)>> {
    listed(
        reader,
        "SELECT content_id, hash FROM blob_contents WHERE content_id > ?1
         ORDER BY content_id LIMIT ?2",
        after,
        limit,
    )
}

/// The same of those whose files are of format 0.
///
/// # Errors
/// Where the database can't be read.
pub(crate) fn of_format_0(
    reader: Reader<'_>,
    after: i64,
    limit: usize,
) -> Result<Vec<(i64, BlobHash)>> {
    listed(
        reader,
        "SELECT content_id, hash FROM blob_contents WHERE format = 0 AND content_id > ?1
         ORDER BY content_id LIMIT ?2",
        after,
        limit,
    )
}

fn listed(reader: Reader<'_>, sql: &str, after: i64, limit: usize) -> Result<Vec<(i64, BlobHash)>> {
    let mut statement = reader.connection().prepare_cached(sql)?;
    let rows =
        statement.query_map((after, limit), |row| Ok((row.get(0)?, columns::hash(row, 1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// How many bytes all contents come to.
///
/// # Errors
/// Where the database can't be read.
pub(crate) fn bytes(reader: Reader<'_>) -> Result<u64> {
    Ok(totals::get(reader, "contents", "")?.bytes)
}

/// How many contents lie in files of format 0.
///
/// # Errors
/// Where the database can't be read.
pub(crate) fn count_of_format_0(reader: Reader<'_>) -> Result<u64> {
    let count = reader
        .connection()
        .prepare_cached("SELECT count(*) FROM blob_contents WHERE format = 0")?
        .query_row([], |row| row.get(0))?;
    Ok(count)
}

/// The files that are known to be rubbish: no content has their hash. Which file of that name is meant
/// stands beside it.
///
/// # Errors
/// Where the database can't be read.
pub(crate) fn unlinks(reader: Reader<'_>) -> Result<Vec<(BlobHash, Option<FileTag>)>> {
    let mut statement = reader.connection().prepare_cached(
        "SELECT hash, tag FROM blob_unlinks
         WHERE hash NOT IN (SELECT hash FROM blob_contents) LIMIT 10000",
    )?;
    let rows = statement.query_map([], |row| Ok((columns::hash(row, 0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Whether this very file of a content is known to be rubbish.
///
/// # Errors
/// Where the database can't be read.
pub(crate) fn is_rubbish(reader: Reader<'_>, hash: &BlobHash, tag: &FileTag) -> Result<bool> {
    let known = reader
        .connection()
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM blob_unlinks WHERE hash = ?1 AND tag = ?2)")?
        .query_row((hash.as_bytes(), tag), |row| row.get(0))?;
    Ok(known)
}

/// Notes that the file of a content is rubbish once this is committed.
pub(super) fn note_rubbish(tx: &Tx<'_>, hash: &BlobHash, tag: Option<FileTag>) -> Result<()> {
    tx.connection()
        .prepare_cached("INSERT OR REPLACE INTO blob_unlinks (hash, tag) VALUES (?1, ?2)")?
        .execute((hash.as_bytes(), tag))?;
    Ok(())
}

/// Strikes off files that are gone.
///
/// # Errors
/// Where the rows can't be written.
pub(crate) fn strike_unlinks(tx: &Tx<'_>, gone: &[BlobHash]) -> Result<()> {
    for hash in gone {
        tx.connection()
            .prepare_cached("DELETE FROM blob_unlinks WHERE hash = ?1")?
            .execute([hash.as_bytes()])?;
    }
    Ok(())
}
