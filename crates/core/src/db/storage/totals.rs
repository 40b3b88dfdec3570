//! How much each component stores, kept in the transactions that change it, and held against the limit.

use osnova_storage_api::{ApiError, ErrorCode};

use super::seal;
use crate::db::tx::Tx;
use crate::error::{Result, StoreError};

/// By how much a component's totals change.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Change {
    count: i64,
    /// The texts of the values.
    bytes: i64,
    /// What the rows take: id, key and sealed value.
    stored_bytes: i64,
}

impl Change {
    /// A row is there.
    pub(super) fn add(&mut self, component: &str, key: &str, sealed_len: u64) {
        self.count += 1;
        self.bytes += signed(sealed_len.saturating_sub(seal::OVERHEAD as u64));
        self.stored_bytes += signed(row_bytes(component, key, sealed_len));
    }

    /// A row is there no more.
    pub(super) fn remove(&mut self, component: &str, key: &str, sealed_len: u64) {
        self.count -= 1;
        self.bytes -= signed(sealed_len.saturating_sub(seal::OVERHEAD as u64));
        self.stored_bytes -= signed(row_bytes(component, key, sealed_len));
    }
}

fn row_bytes(component: &str, key: &str, sealed_len: u64) -> u64 {
    component.len() as u64 + key.len() as u64 + sealed_len
}

/// A row is far smaller than this could not hold.
fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Enters a change. What makes the rows smaller is always allowed.
///
/// # Errors
/// `quota_exceeded` where the component would take more than it may.
pub(super) fn apply(tx: &Tx<'_>, component: &str, change: Change) -> Result<()> {
    let stored: u64 = tx
        .connection()
        .prepare_cached(
            "INSERT INTO totals (what, holder, count, bytes, stored_bytes)
             VALUES ('storage', ?1, ?2, ?3, ?4)
             ON CONFLICT (what, holder) DO UPDATE SET count = count + excluded.count,
               bytes = bytes + excluded.bytes, stored_bytes = stored_bytes + excluded.stored_bytes
             RETURNING stored_bytes",
        )?
        .query_row((component, change.count, change.bytes, change.stored_bytes), |row| {
            row.get(0)
        })?;
    match tx.storage_limits().component_limit_bytes {
        Some(limit) if change.stored_bytes > 0 && stored > limit => {
            let message = format!("the values of a component may take {limit} bytes");
            Err(StoreError::Refused(ApiError::new(ErrorCode::QuotaExceeded, message)))
        }
        _ => Ok(()),
    }
}

/// Strikes off a component that stores nothing any more.
pub(super) fn forget(tx: &Tx<'_>, component: &str) -> Result<()> {
    tx.connection()
        .prepare_cached("DELETE FROM totals WHERE what = 'storage' AND holder = ?1")?
        .execute([component])?;
    Ok(())
}
