//! `access_tokens`: tokens of components, each known by its hash.

use osnova_storage_api::auth::{ListTokensParams, TokenInfo, TokenPage};
use osnova_storage_api::wire::{ComponentId, Name, Timestamp, TokenId};
use rusqlite::Row;

use super::{quota, scopes_column, scopes_from_row};
use crate::caller::{Caller, Scopes};
use crate::db::columns;
use crate::db::page::Query;
use crate::db::tx::{Reader, Tx};
use crate::error::Result;

/// How many tokens there may be; the daemon has all of them in memory.
pub const MAX_TOKENS: u64 = 10_000;
/// How long a token that expired is still listed, in seconds.
const EXPIRED_KEPT_SECONDS: i64 = 30 * 24 * 60 * 60;

/// A token as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredToken {
    /// Its public part.
    pub token_id: TokenId,
    /// SHA-256 of the whole token.
    pub hash: [u8; 32],
    /// Whose it is.
    pub component_id: ComponentId,
    /// What the owner called it.
    pub name: Option<Name>,
    /// What it may do.
    pub scopes: Scopes,
    /// From when on it is no longer taken, in Unix seconds.
    pub expires_at: Option<i64>,
}

/// A query of whole rows, as [`from_row`] reads them.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, token_id, token_hash, component_id, name, scopes_json, created_at, expires_at
             FROM access_tokens ",
            $rest
        )
    };
}

/// A row: its place in the list, the token, and when it was made.
fn from_row(row: &Row<'_>) -> rusqlite::Result<(i64, StoredToken, i64)> {
    let token = StoredToken {
        token_id: columns::text(row, 1)?,
        hash: row.get(2)?,
        component_id: columns::text(row, 3)?,
        name: columns::optional_text(row, 4)?,
        scopes: scopes_from_row(row, 5)?,
        expires_at: row.get(7)?,
    };
    Ok((row.get(0)?, token, row.get(6)?))
}

fn info(token: StoredToken, created_at: i64) -> TokenInfo {
    TokenInfo {
        token_id: token.token_id,
        component_id: token.component_id,
        name: token.name,
        scopes: token.scopes.listed().map(<[_]>::to_vec),
        created_at: Timestamp(created_at),
        expires_at: token.expires_at.map(Timestamp),
    }
}

/// Enters a token; those that expired long ago go.
///
/// # Errors
/// `quota_exceeded` where there are as many as there may be.
pub fn create(tx: &Tx<'_>, _caller: &Caller, token: &StoredToken) -> Result<TokenInfo> {
    tx.connection()
        .prepare_cached("DELETE FROM access_tokens WHERE expires_at < ?1")?
        .execute([tx.now() - EXPIRED_KEPT_SECONDS])?;
    let count: u64 = tx
        .connection()
        .prepare_cached("SELECT count(*) FROM access_tokens")?
        .query_row([], |row| row.get(0))?;
    if count >= MAX_TOKENS {
        return Err(quota("there are as many tokens as there may be: revoke some"));
    }
    tx.connection()
        .prepare_cached(
            "INSERT INTO access_tokens
               (token_id, token_hash, component_id, name, scopes_json, created_at, expires_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute((
            token.token_id.as_str(),
            token.hash,
            token.component_id.as_str(),
            token.name.as_ref().map(Name::as_str),
            scopes_column(&token.scopes)?,
            tx.now(),
            token.expires_at,
        ))?;
    Ok(info(token.clone(), tx.now()))
}

/// Removes a token; false where there was none.
///
/// # Errors
/// Where the row can't be removed.
pub fn revoke(tx: &Tx<'_>, _caller: &Caller, token_id: &TokenId) -> Result<bool> {
    let removed = tx
        .connection()
        .prepare_cached("DELETE FROM access_tokens WHERE token_id = ?1")?
        .execute([token_id.as_str()])?;
    Ok(removed > 0)
}

/// A page of tokens, the oldest first.
///
/// # Errors
/// `validation_error` where the cursor is another list's.
pub fn list(reader: Reader<'_>, _caller: &Caller, params: &ListTokensParams) -> Result<TokenPage> {
    let component = params.component_id.as_ref().map_or("", ComponentId::as_str);
    let query = Query::new("auth.listTokens", &[component], params.limit);
    let after: i64 = query.after(params.cursor.as_ref())?.unwrap_or(0);
    let mut page = query.page();
    let connection = reader.connection();
    let mut statement = match &params.component_id {
        Some(_) => connection
            .prepare_cached(select!("WHERE component_id = ?1 AND id > ?2 ORDER BY id LIMIT ?3"))?,
        None => {
            connection.prepare_cached(select!("WHERE ?1 = '' AND id > ?2 ORDER BY id LIMIT ?3"))?
        }
    };
    for row in statement.query_map((component, after, query.rows()), from_row)? {
        let (id, token, created_at) = row?;
        let scopes = token.scopes.listed().map_or(0, <[_]>::len);
        if !page.push(info(token, created_at), id, 1024 + 64 * scopes) {
            break;
        }
    }
    let (items, next_cursor) = page.finish()?;
    Ok(TokenPage { items, next_cursor })
}

/// All tokens, for the server when it starts.
///
/// # Errors
/// Where the rows can't be read.
pub fn all(reader: Reader<'_>) -> Result<Vec<StoredToken>> {
    let mut statement = reader.connection().prepare_cached(select!("ORDER BY id"))?;
    let rows = statement.query_map([], |row| from_row(row).map(|(_, token, _)| token))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
