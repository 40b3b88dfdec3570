//! Lists in pages: cursors, and how a page is filled.
//!
//! A page goes on after the last item of the one before by that item's key, never by counting, so it
//! is stable under inserts. A cursor holds the version of its form, a fingerprint of method and
//! filter, and that key; it survives restarts and is refused with any other method or filter.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use osnova_storage_api::ApiError;
use osnova_storage_api::wire::{Cursor, Limit};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Result, StoreError};

const CURSOR_VERSION: u8 = 1;
/// A page ends at half the limit of a response (16 MiB), so that its answer always fits.
pub(crate) const PAGE_BYTES: usize = 8 << 20;

/// A control character of one byte takes six in JSON (`\\u0001`), and a text may hold nothing else.
pub(crate) const ESCAPED: usize = 6;

/// What a list was asked for, without where to begin.
pub(crate) struct Query {
    fingerprint: String,
    limit: usize,
}

#[derive(Serialize, Deserialize)]
struct Position<K> {
    v: u8,
    f: String,
    k: K,
}

impl Query {
    /// A query of `method` with this filter.
    pub(crate) fn new(method: &str, filter: &[&str], limit: Option<Limit>) -> Self {
        let mut hash = Sha256::new();
        for part in std::iter::once(&method).chain(filter) {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let fingerprint = URL_SAFE_NO_PAD.encode(&hash.finalize()[..9]);
        Self { fingerprint, limit: usize::from(limit.unwrap_or_default().0) }
    }

    /// The key to go on after.
    ///
    /// # Errors
    /// `validation_error` where the cursor is not of this method and filter.
    pub(crate) fn after<K: for<'de> Deserialize<'de>>(
        &self,
        cursor: Option<&Cursor>,
    ) -> Result<Option<K>> {
        let Some(cursor) = cursor else { return Ok(None) };
        let foreign = || {
            StoreError::Refused(ApiError::field(
                "cursor",
                "is not a nextCursor of this method with this filter",
            ))
        };
        let bytes = URL_SAFE_NO_PAD.decode(cursor.as_str()).map_err(|_| foreign())?;
        let position: Position<K> = serde_json::from_slice(&bytes).map_err(|_| foreign())?;
        if position.v != CURSOR_VERSION || position.f != self.fingerprint {
            return Err(foreign());
        }
        Ok(Some(position.k))
    }

    /// The cursor of what comes after a key.
    pub(crate) fn cursor<K: Serialize>(&self, key: K) -> Result<Cursor> {
        let position = Position { v: CURSOR_VERSION, f: self.fingerprint.clone(), k: key };
        let text = serde_json::to_vec(&position)
            .map_err(|error| StoreError::Internal(format!("cursor: {error}")))?;
        Cursor::try_from(URL_SAFE_NO_PAD.encode(text))
            .map_err(|why| StoreError::Internal(format!("cursor {why}")))
    }

    /// How many items a page may hold.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// How many rows to ask for: one more than the page holds tells whether there is another.
    pub(crate) fn rows(&self) -> u32 {
        // The limit is at most 1000.
        u32::try_from(self.limit + 1).unwrap_or(u32::MAX)
    }

    /// An empty page.
    pub(crate) fn page<T, K: Serialize>(&self) -> Page<'_, T, K> {
        Page { query: self, items: Vec::new(), bytes: 0, last: None, more: false }
    }
}

/// A page being filled.
pub(crate) struct Page<'q, T, K> {
    query: &'q Query,
    items: Vec<T>,
    bytes: usize,
    last: Option<K>,
    more: bool,
}

impl<T, K: Serialize> Page<'_, T, K> {
    /// How many more rows there are to ask for.
    pub(crate) fn rows_left(&self) -> u32 {
        self.query.rows().saturating_sub(u32::try_from(self.items.len()).unwrap_or(u32::MAX))
    }

    /// Adds an item with its key and its size on the wire; false where the page is full, and the item
    /// belongs to the next.
    pub(crate) fn push(&mut self, item: T, key: K, bytes: usize) -> bool {
        let full = self.items.len() == self.query.limit
            || (!self.items.is_empty() && self.bytes + bytes > PAGE_BYTES);
        if full {
            self.more = true;
        } else {
            self.items.push(item);
            self.bytes += bytes;
            self.last = Some(key);
        }
        !full
    }

    /// Ends the page here, though nothing is known of what comes after this key.
    pub(crate) fn end_after(&mut self, key: K) {
        self.last = Some(key);
        self.more = true;
    }

    /// Whether another item was refused, or the page was ended.
    pub(crate) fn is_full(&self) -> bool {
        self.more
    }

    /// The items, and the cursor of the next page where there is one.
    pub(crate) fn finish(self) -> Result<(Vec<T>, Option<Cursor>)> {
        let cursor = match self.last {
            Some(key) if self.more => Some(self.query.cursor(key)?),
            _ => None,
        };
        Ok((self.items, cursor))
    }
}
