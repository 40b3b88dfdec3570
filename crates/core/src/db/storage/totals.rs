//! How much each component stores, held against the limit.

use osnova_storage_api::{ApiError, ErrorCode};

use super::{NAMESPACE, seal};
use crate::db::totals::{self, Change};
use crate::db::tx::Tx;
use crate::error::{Result, StoreError};

/// What a row comes to, coming (1) or going (-1): its value, and what it takes with its id and its key.
pub(super) fn of_row(count: i64, component: &str, key: &str, sealed_len: u64) -> Change {
    let value = sealed_len.saturating_sub(seal::OVERHEAD as u64);
    Change::of(count, value, component.len() as u64 + key.len() as u64 + sealed_len)
}

/// Enters a change. What makes the rows smaller is always allowed.
///
/// # Errors
/// `quota_exceeded` where the component would take more than it may.
pub(super) fn apply(tx: &Tx<'_>, component: &str, change: Change) -> Result<()> {
    let stored = totals::add(tx, NAMESPACE, component, change)?;
    match tx.storage_limits().component_limit_bytes {
        Some(limit) if change.stored_bytes > 0 && stored > limit => {
            let message = format!("the values of a component may take {limit} bytes");
            Err(StoreError::Refused(ApiError::new(ErrorCode::QuotaExceeded, message)))
        }
        _ => Ok(()),
    }
}
