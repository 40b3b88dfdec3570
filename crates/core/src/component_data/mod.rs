//! The components' own files: `components/<name of the id>/v<major>.<minor>/{config.json,data/}`.
//!
//! The tree is the component's to write, at any time. So the daemon goes through it by
//! [`tree`](crate::tree) alone, opens `config.json` only as a regular file, and makes and removes whole
//! folders in a yard of its own (`components/.tmp/`), from where and to where they are renamed: a
//! version is there complete, or not there.

mod migrate;
mod walks;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use osnova_storage_api::component_data::{
    DataConfig, DataUsage, DataVersionInfo, DataVersionPage, ListParams, PreparedData,
    SetConfigParams, UsageParams, VersionParams,
};
use osnova_storage_api::error::MAX_SAFE_INTEGER;
use osnova_storage_api::wire::{
    ComponentId, DataVersion, Deleted, JsonText, Timestamp, UnsignedInteger,
};
use osnova_storage_api::{ApiError, ConflictReason, ErrorCode};

use crate::caller::Caller;
use crate::db::page::Query;
use crate::error::{OpenError, Result, StoreError};
use crate::layout::Layout;
use crate::names::file_name;
use crate::tree::{self, Bounds, Folder, Kind, Usage, Yard};
pub use walks::MAX_OPEN_FILES;
use walks::Walks;

/// How far the files of a component are walked and copied.
const BOUNDS: Bounds = Bounds { depth: 64, entries: 1_000_000, copied_bytes: 16 << 30 };
/// The most versions of a component that have data.
const MAX_VERSIONS: usize = 1000;
/// The most names that are read of a component's folder, whatever it has put there.
const MAX_NAMES: usize = 100_000;
/// The longest name of a component's folder, in bytes: what every file system takes.
const MAX_NAME_BYTES: usize = 200;
/// A configuration that the component wrote itself may have so much white space around it.
const MAX_CONFIG_BYTES: usize = JsonText::MAX_BYTES + 4096;
/// About how much an item of a page takes.
const ITEM_BYTES: usize = 512;

const CONFIG: &str = "config.json";
const DATA: &str = "data";
/// What a fresh configuration holds.
const EMPTY_CONFIG: &[u8] = b"{}\n";

/// The folder of the components.
#[derive(Debug)]
pub struct ComponentData {
    path: PathBuf,
    root: Folder,
    yard: Arc<Yard>,
    /// Held by whoever changes which versions there are, or a configuration; never for long.
    changes: Mutex<()>,
    walks: Walks,
    /// So much of the disk is left free by copies.
    disk_reserve_bytes: u64,
}

impl ComponentData {
    /// Opens the folder. What a crash has left in the making is removed by a thread of its own, for it
    /// may be much.
    pub(crate) fn open(
        layout: &Layout,
        disk_reserve_bytes: u64,
    ) -> std::result::Result<Self, OpenError> {
        let root = Folder::open_own(layout.files(), &layout.components(), "components")?;
        let yard = Arc::new(Yard::open(&root)?);
        let left = yard.names()?;
        if !left.is_empty() {
            let sweeper = Arc::clone(&yard);
            let sweep = move || {
                for name in left {
                    // What resists is tried again at the next start.
                    if let Err(error) = sweeper.remove(&name) {
                        tracing::warn!(%error, "what a crash left can't be removed");
                    }
                }
            };
            let thread = std::thread::Builder::new().name("sweep".to_owned()).spawn(sweep);
            // Nothing depends on it, so nobody waits for it.
            drop(thread);
        }
        let path = std::path::absolute(layout.components())
            .map_err(|source| StoreError::io("folder", &layout.components(), source))?;
        let (changes, walks) = (Mutex::default(), Walks::default());
        Ok(Self { path, root, yard, changes, walks, disk_reserve_bytes })
    }

    /// Makes the folder of a version where it, or a part of it, is missing.
    ///
    /// # Errors
    /// `conflict` where something else stands in its place; `quota_exceeded` past so many versions.
    pub fn prepare(&self, caller: &Caller, params: &VersionParams) -> Result<PreparedData> {
        let id = caller.own(params.component_id.as_ref(), "component")?;
        let version = params.version;
        let _changes = self.take_changes();
        let component = self.root.make_child(component_name(id).as_str())?;
        self.root.sync()?;
        let name = version_name(version);
        let created = match component.kind(name.as_str())? {
            Kind::Folder => {
                let folder = component.child(name.as_str())?.ok_or_else(in_the_way)?;
                self.complete(&folder)?
            }
            Kind::Absent => {
                self.room_for_one_more(&component)?;
                let (made, folder) = self.yard.make()?;
                let put = self
                    .complete(&folder)
                    .and_then(|_| self.yard.put(&made, &component, &name))
                    .inspect_err(|_| self.yard.forget(&made))?;
                if !put {
                    self.yard.remove(&made)?;
                    return Err(in_the_way());
                }
                true
            }
            Kind::File | Kind::Other => return Err(in_the_way()),
        };
        let place = self.place(id, version);
        Ok(PreparedData {
            component_id: id.clone(),
            version,
            path: text(&place),
            config_path: text(&place.join(CONFIG)),
            data_path: text(&place.join(DATA)),
            created,
        })
    }

    /// Reads a configuration.
    ///
    /// # Errors
    /// `not_found`; `integrity_error` where the component wrote what is no JSON within the limits.
    pub fn get_config(&self, caller: &Caller, params: &VersionParams) -> Result<DataConfig> {
        let id = caller.own(params.component_id.as_ref(), "version")?;
        let (_, folder) = self.version(id, params.version)?;
        let bytes = match folder.read(CONFIG, MAX_CONFIG_BYTES) {
            Ok(bytes) => bytes.ok_or_else(|| StoreError::not_found("configuration"))?,
            Err(StoreError::Io { source, .. })
                if source.kind() == std::io::ErrorKind::FileTooLarge =>
            {
                return Err(bad_config());
            }
            Err(error) => return Err(error),
        };
        let text = String::from_utf8(bytes).map_err(|_| bad_config())?;
        let config = JsonText::parse(text.trim().to_owned()).map_err(|_| bad_config())?;
        self.config(id, params.version, &folder, config)
    }

    /// Replaces a configuration.
    ///
    /// # Errors
    /// `not_found` where the version was not prepared; `conflict` where a folder stands in its place.
    pub fn set_config(&self, caller: &Caller, params: &SetConfigParams) -> Result<DataConfig> {
        let id = caller.own(params.component_id.as_ref(), "version")?;
        let _changes = self.take_changes();
        let (_, folder) = self.version(id, params.version)?;
        self.write_config(&folder, params.config.get().as_bytes())?;
        self.config(id, params.version, &folder, params.config.clone())
    }

    /// Lists the versions that have data.
    ///
    /// # Errors
    /// `validation_error` where the cursor is another list's.
    pub fn list(&self, caller: &Caller, params: &ListParams) -> Result<DataVersionPage> {
        let id = caller.own(params.component_id.as_ref(), "component")?;
        let query = Query::new("componentData.list", &[id.as_str()], params.limit);
        let after: Option<(u32, u32)> = query.after(params.cursor.as_ref())?;
        let mut page = query.page();
        if let Some(component) = self.component(id)? {
            for version in versions(&component)? {
                let key = (version.major, version.minor);
                if after.is_some_and(|after| key <= after) {
                    continue;
                }
                let Some(folder) = component.child(version_name(version).as_str())? else {
                    continue;
                };
                let path = text(&self.place(id, version));
                let bytes = path.len() + ITEM_BYTES;
                let updated_at = Timestamp(updated_at(&folder)?);
                if !page.push(DataVersionInfo { version, path, updated_at }, key, bytes) {
                    break;
                }
            }
        }
        let (items, next_cursor) = page.finish()?;
        Ok(DataVersionPage { items, next_cursor })
    }

    /// Counts the regular files of a version, or of all.
    ///
    /// # Errors
    /// `not_found` where the version is absent; `too_large` past the bounds; `unavailable` where the
    /// component's files are walked already.
    pub fn usage(&self, caller: &Caller, params: &UsageParams) -> Result<DataUsage> {
        let id = caller.own(params.component_id.as_ref(), "version")?;
        let _walk = self.walks.begin(id)?;
        let folder = match params.version {
            Some(version) => Some(self.version(id, version)?.1),
            None => self.component(id)?,
        };
        let usage = folder.map_or(Ok(Usage::default()), |folder| tree::usage(folder, BOUNDS))?;
        Ok(DataUsage {
            bytes: wire_count(usage.bytes),
            files: wire_count(usage.files),
            skipped: wire_count(usage.skipped),
        })
    }

    /// Removes a version. It is gone at once, and then its parts are.
    ///
    /// # Errors
    /// `unavailable` where the component's files are walked already; where a part can't be removed.
    pub fn remove(&self, caller: &Caller, params: &VersionParams) -> Result<Deleted> {
        let id = caller.own(params.component_id.as_ref(), "version")?;
        let _walk = self.walks.begin(id)?;
        let taken = {
            let _changes = self.take_changes();
            match self.component(id)? {
                Some(component) => self.yard.take(&component, &version_name(params.version))?,
                None => None,
            }
        };
        let Some(taken) = taken else { return Ok(Deleted { deleted: false }) };
        self.yard.remove(&taken)?;
        Ok(Deleted { deleted: true })
    }

    fn take_changes(&self) -> MutexGuard<'_, ()> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place(&self, id: &ComponentId, version: DataVersion) -> PathBuf {
        self.path.join(component_name(id)).join(version_name(version))
    }

    fn component(&self, id: &ComponentId) -> Result<Option<Folder>> {
        self.root.child(component_name(id).as_str())
    }

    /// The folder of a component and that of a version of it.
    fn version(&self, id: &ComponentId, version: DataVersion) -> Result<(Folder, Folder)> {
        let absent = || StoreError::not_found("version");
        let component = self.component(id)?.ok_or_else(absent)?;
        let folder = component.child(version_name(version).as_str())?.ok_or_else(absent)?;
        Ok((component, folder))
    }

    /// Makes what is missing in the folder of a version; whether anything was.
    fn complete(&self, folder: &Folder) -> Result<bool> {
        let (config, data) = (folder.kind(CONFIG)?, folder.kind(DATA)?);
        if !matches!(config, Kind::Absent | Kind::File)
            || !matches!(data, Kind::Absent | Kind::Folder)
        {
            return Err(in_the_way());
        }
        if data == Kind::Absent {
            folder.make_child(DATA)?;
        }
        if config == Kind::Absent {
            self.write_config(folder, EMPTY_CONFIG)?;
        }
        folder.sync()?;
        Ok(config == Kind::Absent || data == Kind::Absent)
    }

    fn write_config(&self, folder: &Folder, config: &[u8]) -> Result<()> {
        // Written where the component does not reach it, for it could exchange it before the rename.
        let made = self.yard.make_file(config)?;
        let put = self.yard.put_file(&made, folder, CONFIG);
        if put.inspect_err(|_| self.yard.forget(&made))? {
            return Ok(());
        }
        self.yard.remove(&made)?;
        Err(in_the_way())
    }

    fn config(
        &self,
        id: &ComponentId,
        version: DataVersion,
        folder: &Folder,
        config: JsonText,
    ) -> Result<DataConfig> {
        let updated_at = folder.file_times(CONFIG)?.map_or(0, |(modified, _)| modified);
        let updated_at = Timestamp(updated_at);
        Ok(DataConfig { component_id: id.clone(), version, config, updated_at })
    }

    fn room_for_one_more(&self, component: &Folder) -> Result<()> {
        if versions(component)?.len() >= MAX_VERSIONS {
            let message = format!("{MAX_VERSIONS} versions have data already: remove some");
            return Err(ApiError::new(ErrorCode::QuotaExceeded, message).into());
        }
        Ok(())
    }
}

fn component_name(id: &ComponentId) -> String {
    file_name(id.as_str(), MAX_NAME_BYTES)
}

fn version_name(version: DataVersion) -> String {
    format!("v{version}")
}

/// The versions whose folders stand in that of a component, from the lowest to the highest.
fn versions(component: &Folder) -> Result<Vec<DataVersion>> {
    let mut versions = Vec::new();
    for name in component.names(MAX_NAMES)? {
        let version = name.strip_prefix('v').and_then(|text| text.parse::<DataVersion>().ok());
        // Of several spellings of a version one is its name.
        if let Some(version) = version.filter(|version| version_name(*version) == name) {
            versions.push(version);
        }
    }
    versions.sort_unstable();
    Ok(versions)
}

/// When the configuration or a name among the files was last changed.
fn updated_at(folder: &Folder) -> Result<i64> {
    let config = folder.file_times(CONFIG)?.map(|(modified, _)| modified);
    let data = folder.child(DATA)?.map(|data| data.modified()).transpose()?;
    config.max(data).map_or_else(|| folder.modified(), Ok)
}

/// A component may claim any size: a sparse file, many times.
fn wire_count(count: u64) -> UnsignedInteger {
    UnsignedInteger(count.min(MAX_SAFE_INTEGER.unsigned_abs()))
}

fn text(path: &std::path::Path) -> String {
    path.display().to_string()
}

fn in_the_way() -> StoreError {
    let message = "something else stands in the place of the version or of a part of it";
    ApiError::conflict(ConflictReason::Exists, message).into()
}

fn bad_config() -> StoreError {
    let message = "the component's config.json is not JSON within the limits";
    ApiError::new(ErrorCode::IntegrityError, message).into()
}
