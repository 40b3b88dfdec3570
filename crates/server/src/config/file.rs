//! The configuration file: its sections and keys, each with its default left to whoever reads it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use osnova_storage_core::blob::{BlobLimits, UploadLimits};
use osnova_storage_core::db::cache::CacheLimits;
use osnova_storage_core::logs::LogLimits;
use osnova_storage_core::maintenance::MaintenanceOptions;
use osnova_storage_core::store::CareOptions;
use serde::Deserialize;

use super::{ConfigError, Endpoint};

/// The configuration file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    pub(super) data_root: Option<PathBuf>,
    pub(super) listen: Option<Vec<Endpoint>>,
    pub(super) key_file: Option<PathBuf>,
    pub(super) log: Option<String>,
    pub(super) shutdown_grace_ms: Option<u64>,
    pub(super) access: AccessSection,
    pub(super) database: DatabaseSection,
    pub(super) blobs: BlobsSection,
    pub(super) cache: CacheSection,
    pub(super) storage: StorageSection,
    pub(super) logs: LogsSection,
    pub(super) maintenance: MaintenanceSection,
    pub(super) limits: LimitsSection,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AccessSection {
    pub(super) allowed_origins: Option<Vec<String>>,
    pub(super) dangerously_allow_remote_tcp: Option<bool>,
    pub(super) allowed_hosts: Option<Vec<String>>,
    pub(super) socket_group: Option<String>,
    pub(super) unlock_backoff_ms: Option<u64>,
    pub(super) unlock_backoff_limit_ms: Option<u64>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DatabaseSection {
    pub(super) readers: Option<u32>,
    pub(super) limit_bytes: Option<u64>,
    pub(super) wal_limit_bytes: Option<u64>,
    pub(super) flush_interval_ms: Option<u64>,
    pub(super) queued_calls: Option<usize>,
    pub(super) queued_bytes: Option<usize>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct BlobsSection {
    pub(super) limit_bytes: Option<u64>,
    pub(super) component_limit_bytes: Option<u64>,
    pub(super) disk_reserve_bytes: Option<u64>,
    pub(super) grace_ms: Option<u64>,
    pub(super) care_interval_ms: Option<u64>,
    pub(super) verify_bytes_per_second: Option<u64>,
    pub(super) uploads: Option<u32>,
    pub(super) uploads_per_component: Option<u32>,
    pub(super) upload_expiry_ms: Option<u64>,
}

impl BlobsSection {
    /// What was asked for, over the defaults. 0 takes a component's limit off.
    pub(super) fn limits(&self) -> BlobLimits {
        let default = BlobLimits::default();
        BlobLimits {
            limit_bytes: self.limit_bytes.unwrap_or(default.limit_bytes),
            component_limit_bytes: self
                .component_limit_bytes
                .map_or(default.component_limit_bytes, |bytes| Some(bytes).filter(|it| *it > 0)),
            disk_reserve_bytes: self.disk_reserve_bytes.unwrap_or(default.disk_reserve_bytes),
            grace_ms: self.grace_ms.unwrap_or(default.grace_ms),
            verify_bytes_per_second: self
                .verify_bytes_per_second
                .unwrap_or(default.verify_bytes_per_second),
            uploads: self.upload_limits(),
        }
    }

    fn upload_limits(&self) -> UploadLimits {
        let default = UploadLimits::default();
        UploadLimits {
            of_owner: self.uploads.unwrap_or(default.of_owner),
            of_component: self.uploads_per_component.unwrap_or(default.of_component),
            expiry_ms: self.upload_expiry_ms.unwrap_or(default.expiry_ms),
        }
    }

    /// When the contents are looked after; 0: never without being asked.
    pub(super) fn care(&self) -> CareOptions {
        let default = CareOptions::default();
        let millis = |ms: u64| Some(Duration::from_millis(ms)).filter(|time| !time.is_zero());
        CareOptions { interval: self.care_interval_ms.map_or(default.interval, millis) }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CacheSection {
    pub(super) limit_bytes: Option<u64>,
    pub(super) limit_entries: Option<u64>,
}

impl CacheSection {
    pub(super) fn limits(&self) -> CacheLimits {
        let default = CacheLimits::default();
        CacheLimits {
            bytes: self.limit_bytes.unwrap_or(default.bytes),
            entries: self.limit_entries.unwrap_or(default.entries),
        }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LogsSection {
    pub(super) rotate_bytes: Option<u64>,
    pub(super) rotate_age_hours: Option<u64>,
    pub(super) keep_files: Option<usize>,
}

impl LogsSection {
    pub(super) fn limits(&self) -> LogLimits {
        let default = LogLimits::default();
        let age = |hours: u64| Duration::from_secs(hours.saturating_mul(3600));
        LogLimits {
            rotate_bytes: self.rotate_bytes.unwrap_or(default.rotate_bytes),
            rotate_age: self.rotate_age_hours.map_or(default.rotate_age, age),
            keep_files: self.keep_files.unwrap_or(default.keep_files),
        }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MaintenanceSection {
    pub(super) vacuum_free_percent: Option<u8>,
    pub(super) vacuum_least_free_pages: Option<u64>,
    pub(super) vacuum_idle_ms: Option<u64>,
    pub(super) vacuum_interval_hours: Option<u32>,
}

impl MaintenanceSection {
    /// What was asked for, over the defaults. 0 turns a reason off.
    pub(super) fn options(&self) -> MaintenanceOptions {
        let default = MaintenanceOptions::default();
        let hours = |hours: u32| Duration::from_secs(u64::from(hours) * 60 * 60);
        MaintenanceOptions {
            free_percent: self
                .vacuum_free_percent
                .map_or(default.free_percent, |percent| Some(percent).filter(|it| *it > 0)),
            least_free_pages: self.vacuum_least_free_pages.unwrap_or(default.least_free_pages),
            idle: self.vacuum_idle_ms.map_or(default.idle, Duration::from_millis),
            interval: self
                .vacuum_interval_hours
                .map_or(default.interval, |it| Some(hours(it)).filter(|time| !time.is_zero())),
        }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LimitsSection {
    pub(super) request_bytes: Option<usize>,
    pub(super) response_bytes: Option<usize>,
    pub(super) batch_calls: Option<usize>,
    pub(super) connections: Option<usize>,
    pub(super) connections_per_component: Option<usize>,
    pub(super) calls: Option<usize>,
    pub(super) calls_per_component: Option<usize>,
    pub(super) large_messages_per_component: Option<usize>,
    pub(super) streams: Option<usize>,
    pub(super) streams_per_component: Option<usize>,
    pub(super) header_timeout_ms: Option<u64>,
    pub(super) idle_timeout_ms: Option<u64>,
    pub(super) stall_timeout_ms: Option<u64>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct StorageSection {
    pub(super) component_limit_bytes: Option<u64>,
    pub(super) sweep_interval_ms: Option<u64>,
}

pub(super) fn read_file(path: &Path) -> Result<File, ConfigError> {
    let text = fs::read_to_string(path)
        .map_err(|error| ConfigError(format!("{}: {error}", path.display())))?;
    toml::from_str(&text).map_err(|error| {
        // The library's own text is a drawing of several lines.
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        ConfigError(format!("{}, line {line}: {}", path.display(), error.message()))
    })
}
