//! Answers kept under a caller's `requestId`, so that a call whose answer was lost may be repeated.
//!
//! The answer is stored in the call's own savepoint: it is there if and only if the change is.
//! Failures are not stored, and no method whose answer holds a secret takes a `requestId`. What was asked
//! is kept as a hash, under a key where it holds values that are stored sealed.

use osnova_storage_api::method::RequestIdentity;
use osnova_storage_api::wire::RequestId;
use osnova_storage_api::{ApiError, ConflictReason};
use rusqlite::{Connection, OptionalExtension};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::tx::Tx;
use crate::caller::Caller;
use crate::error::{Result, StoreError};

/// How long an answer is kept, in seconds.
const KEPT_SECONDS: i64 = 24 * 60 * 60;
/// How many answers are kept; the oldest go first.
const KEPT_ROWS: u64 = 100_000;
/// How many bytes of answers are kept; the oldest go first.
const KEPT_BYTES: u64 = 64 << 20;
/// The table is pruned after so many calls, with a `requestId` or without.
const PRUNE_AFTER_CALLS: usize = 256;
/// And after so many bytes of answers, which may be many times what was asked.
const PRUNE_AFTER_BYTES: u64 = 4 << 20;
/// Answers that one look removes at most: several times what can have come since the last.
const PRUNED_AT_ONCE: u64 = 4096;

/// A call that may be repeated: its id, its method, and what it was asked.
#[derive(Debug, Clone)]
pub struct Request {
    id: RequestId,
    method: &'static str,
    params_hash: [u8; 32],
    holds_sealed_values: bool,
}

impl Request {
    /// A request with its params; they are compared by their hash.
    ///
    /// # Errors
    /// Where the params can't be written as JSON.
    pub fn new<P: Serialize + RequestIdentity>(
        id: RequestId,
        method: &'static str,
        params: &P,
    ) -> Result<Self> {
        let text = serde_json::to_vec(params)
            .map_err(|error| StoreError::Internal(format!("params can't be written: {error}")))?;
        Ok(Self {
            id,
            method,
            params_hash: Sha256::digest(text).into(),
            holds_sealed_values: params.hold_sealed_values(),
        })
    }

    /// The hash that is kept. From a plain one whoever reads the database could guess a short value.
    fn kept_hash(&self, tx: &Tx<'_>) -> Result<[u8; 32]> {
        if self.holds_sealed_values {
            return Ok(tx.keys()?.db_key().request_hash(&self.params_hash));
        }
        Ok(self.params_hash)
    }
}

/// Runs `operation`, or answers what it answered when the same request was run before.
///
/// # Errors
/// The operation's own; [`StoreError::Locked`] where what was asked holds values that are stored sealed;
/// `conflict`, reason `request_reused`, where the id was used for another call.
pub fn once<T: Serialize + DeserializeOwned>(
    tx: &Tx<'_>,
    caller: &Caller,
    request: Option<&Request>,
    operation: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let Some(request) = request else { return operation() };
    let kept_hash = request.kept_hash(tx)?;
    let known: Option<(String, [u8; 32], String)> = tx
        .connection()
        .prepare_cached(
            "SELECT method, params_hash, answer FROM request_answers
             WHERE caller = ?1 AND request_id = ?2 AND created_at > ?3",
        )?
        .query_row((caller.holder(), request.id.as_str(), tx.now() - KEPT_SECONDS), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    if let Some((method, params_hash, answer)) = known {
        if method != request.method || params_hash != kept_hash {
            return Err(StoreError::Refused(ApiError::conflict(
                ConflictReason::RequestReused,
                "the requestId was used for another call",
            )));
        }
        return serde_json::from_str(&answer).map_err(|error| {
            StoreError::RecordsDamaged(format!("a kept answer can't be read: {error}"))
        });
    }
    let result = operation()?;
    let answer = serde_json::to_string(&result)
        .map_err(|error| StoreError::Internal(format!("an answer can't be written: {error}")))?;
    tx.connection()
        .prepare_cached(
            "INSERT INTO request_answers
               (caller, request_id, method, params_hash, answer, created_at, running_bytes)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, octet_length(?5) + coalesce(
               (SELECT running_bytes FROM request_answers ORDER BY id DESC LIMIT 1), 0))
             ON CONFLICT (caller, request_id) DO UPDATE SET id = (SELECT max(id) + 1 FROM request_answers),
               method = excluded.method, params_hash = excluded.params_hash, answer = excluded.answer,
               created_at = excluded.created_at, running_bytes = excluded.running_bytes",
        )?
        .execute((
            caller.holder(),
            request.id.as_str(),
            request.method,
            kept_hash,
            answer,
            tx.now(),
        ))?;
    Ok(result)
}

/// Keeps the table bounded.
pub(crate) struct Pruner {
    calls: usize,
    /// The bytes of all answers ever kept, at the last look.
    all_bytes: u64,
}

impl Pruner {
    pub(crate) fn new() -> Self {
        // Looks at the first group after a start, for the count is not kept over restarts.
        Self { calls: PRUNE_AFTER_CALLS, all_bytes: 0 }
    }

    /// Notes calls, and prunes where it is time; call inside a transaction.
    pub(crate) fn prune(
        &mut self,
        connection: &Connection,
        now: i64,
        calls: usize,
    ) -> rusqlite::Result<()> {
        self.calls += calls;
        let newest: Option<(u64, u64)> = connection
            .prepare_cached(
                "SELECT id, running_bytes FROM request_answers ORDER BY id DESC LIMIT 1",
            )?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let all_bytes = newest.map_or(0, |(_, all_bytes)| all_bytes);
        if self.calls < PRUNE_AFTER_CALLS && all_bytes < self.all_bytes + PRUNE_AFTER_BYTES {
            return Ok(());
        }
        if let Some((newest_id, all_bytes)) = newest {
            // Answers are numbered in the order in which they were kept, so those to go are the
            // first; each look ends at the first that stays.
            connection
                .prepare_cached(
                    "DELETE FROM request_answers WHERE id <= coalesce((
                       SELECT max(id) FROM (
                         SELECT id, created_at, running_bytes - octet_length(answer) AS bytes_before
                         FROM request_answers ORDER BY id LIMIT ?1)
                       WHERE id <= ?2 OR (?3 > 0 AND bytes_before < ?3) OR created_at <= ?4), -1)",
                )?
                .execute((
                    PRUNED_AT_ONCE,
                    newest_id.saturating_sub(KEPT_ROWS),
                    all_bytes.saturating_sub(KEPT_BYTES),
                    now - KEPT_SECONDS,
                ))?;
        }
        (self.calls, self.all_bytes) = (0, all_bytes);
        Ok(())
    }
}
