//! Uses of records: noted in memory and written later, since none is worth a commit of its own.

use std::sync::atomic::{AtomicU64, Ordering};

use osnova_storage_api::cache::{CacheEntry, CacheTotals, GetParams};
use osnova_storage_api::components::TouchParams;
use osnova_storage_api::keys::TouchParams as TouchKeyParams;
use osnova_storage_api::registry::{HeartbeatParams, ReapParams, Reaped};
use osnova_storage_api::wire::{Accepted, Timestamp};
use osnova_storage_api::{ApiError, ErrorCode};

use super::Store;
use crate::caller::Caller;
use crate::db::deferred::{Heartbeat, Touch};
use crate::db::{cache, components, keys, registry};
use crate::error::{Result, StoreError};

/// About how many bytes reaping writes.
const REAP_WEIGHT: usize = 4096;

/// How often the cache had what was asked for, since the start.
#[derive(Debug, Default)]
pub(super) struct CacheCounts {
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Store {
    /// Notes that a component was used (deferred).
    ///
    /// # Errors
    /// `not_found`; `unavailable` where too much is pending.
    pub fn touch_component(&self, _caller: &Caller, params: &TouchParams) -> Result<Accepted> {
        if !self.db.read(|reader| components::exists(reader, &params.component_id))? {
            return Err(StoreError::not_found("component"));
        }
        let touch = self.touch(params.used_at);
        self.db.defer(
            |pending| &mut pending.component_touches,
            params.component_id.as_str(),
            touch,
        )?;
        Ok(Accepted::YES)
    }

    /// Notes that a key was used (deferred).
    ///
    /// # Errors
    /// `not_found`; `unavailable` where too much is pending.
    pub fn touch_key(&self, caller: &Caller, params: &TouchKeyParams) -> Result<Accepted> {
        self.db.read(|reader| keys::check_touch(reader, caller, params))?;
        let touch = self.touch(params.used_at);
        self.db.defer(|pending| &mut pending.key_touches, params.public_key.as_str(), touch)?;
        Ok(Accepted::YES)
    }

    /// Notes that a component lives (deferred).
    ///
    /// # Errors
    /// `not_found`; `conflict`, reason `transition`, where another process of it is registered, or it has
    /// ended; `unavailable` where too much is pending.
    pub fn heartbeat(&self, caller: &Caller, params: &HeartbeatParams) -> Result<Accepted> {
        let id = self.db.read(|reader| registry::heartbeat_of(reader, caller, params).cloned())?;
        let beat = Heartbeat { at: self.clock.now(), monotonic_ms: self.clock.monotonic_ms() };
        self.db.defer(|pending| &mut pending.heartbeats, id.as_str(), |_| beat)?;
        Ok(Accepted::YES)
    }

    /// Marks as ended what is not there any more.
    ///
    /// # Errors
    /// Where the database can't be read or written.
    pub fn reap(&self, caller: &Caller, params: &ReapParams) -> Result<Reaped> {
        // What decides by heartbeats that may still wait to be written; a group has them at its head.
        self.db.flush_deferred()?;
        let (by, asked) = (caller.clone(), params.clone());
        self.db.write(REAP_WEIGHT, move |tx| registry::reap(tx, &by, &asked))
    }

    /// Reads an entry of the cache, and notes the access (deferred).
    ///
    /// # Errors
    /// `not_found`; `unavailable` where too much is pending.
    pub fn cache_get(&self, caller: &Caller, params: &GetParams) -> Result<CacheEntry> {
        let found = self.db.read(|reader| cache::peek(reader, caller, params));
        match &found {
            Ok(_) => {
                self.cache_counts.hits.fetch_add(1, Ordering::Relaxed);
                let address = params.autonomi_address.as_str();
                self.db.defer(|pending| &mut pending.cache_hits, address, self.touch(None))?;
            }
            Err(StoreError::Refused(ApiError { data, .. })) if data.code == ErrorCode::NotFound => {
                self.cache_counts.misses.fetch_add(1, Ordering::Relaxed);
            }
            Err(_) => {}
        }
        found
    }

    /// What the cache comes to.
    ///
    /// # Errors
    /// Where the database can't be read.
    pub fn cache_stats(&self, _caller: &Caller) -> Result<CacheTotals> {
        let (entries, bytes) = self.db.read(cache::size)?;
        let hits = self.cache_counts.hits.load(Ordering::Relaxed);
        let misses = self.cache_counts.misses.load(Ordering::Relaxed);
        let saved_bytes = self.db.read(cache::saved_bytes)?;
        Ok(CacheTotals { entries, bytes, saved_bytes, hits, misses })
    }

    fn touch(&self, used_at: Option<Timestamp>) -> impl FnOnce(u64) -> Touch + use<> {
        let used_at = used_at.map_or_else(|| self.clock.now(), |time| time.0);
        move |order| Touch { used_at, order, count: 1 }
    }
}
