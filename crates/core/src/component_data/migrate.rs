//! The files of one version copied to another.
//!
//! The copy is made in the yard and renamed over an empty folder, which the system does in one step and
//! refuses where anything is in it. A target that `prepare` has made is emptied first of exactly what
//! that put there; a crash in between leaves a target that `prepare` completes again. So nothing that a
//! component has written is ever in the way of the rename and lost.

use std::ffi::CStr;

use osnova_storage_api::component_data::{MigrateParams, MigratedData};
use osnova_storage_api::{ApiError, ConflictReason};

use super::{
    BOUNDS, CONFIG, ComponentData, DATA, EMPTY_CONFIG, in_the_way, text, version_name, wire_count,
};
use crate::caller::Caller;
use crate::error::{Result, StoreError};
use crate::tree::{self, Bounds, Folder, Kind, Usage};

impl ComponentData {
    /// Copies the configuration and the files of a version to another one that holds nothing yet.
    ///
    /// # Errors
    /// `not_found` where the old version is absent; `conflict` where the new one holds something;
    /// `too_large` past the bounds; [`StoreError::DiskFull`] where the copy would leave less of the disk than
    /// what is kept free; `unavailable` where the component's files are walked already.
    pub fn migrate(&self, caller: &Caller, params: &MigrateParams) -> Result<MigratedData> {
        let id = caller.own(params.component_id.as_ref(), "version")?;
        if params.from_version == params.to_version {
            return Err(ApiError::field("toVersion", "must be another version").into());
        }
        let _walk = self.walks.begin(id)?;
        let (component, from) = self.version(id, params.from_version)?;
        let name = version_name(params.to_version);
        match component.kind(name.as_str())? {
            Kind::Absent => self.room_for_one_more(&component)?,
            // Said before the copying, and looked at again after it.
            _ => drop(untouched(&component, &name)?.ok_or_else(occupied)?),
        }
        let (made, copy) = self.yard.make()?;
        let migrated = self
            .fill(from, copy)
            .and_then(|usage| self.settle(&made, &component, &name).map(|()| usage));
        let usage = migrated.inspect_err(|_| self.yard.forget(&made))?;
        let place = self.place(id, params.to_version);
        Ok(MigratedData {
            component_id: id.clone(),
            version: params.to_version,
            path: text(&place),
            config_path: text(&place.join(CONFIG)),
            data_path: text(&place.join(DATA)),
            bytes: wire_count(usage.bytes),
            files: wire_count(usage.files),
            skipped: wire_count(usage.skipped),
        })
    }

    fn fill(&self, from: Folder, copy: Folder) -> Result<Usage> {
        let whole = copy.try_clone()?;
        let disk = rustix::fs::statvfs(&self.path)
            .map_err(|error| StoreError::io("the disk of", &self.path, error.into()))?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        let room = free.saturating_sub(self.disk_reserve_bytes);
        let full = || StoreError::DiskFull("copying the files of a component".to_owned());
        if room == 0 {
            return Err(full());
        }
        let bounds = Bounds { copied_bytes: BOUNDS.copied_bytes.min(room), ..BOUNDS };
        let wanted = |name: &CStr, kind| match kind {
            Kind::File => name.to_bytes() == CONFIG.as_bytes(),
            Kind::Folder => name.to_bytes() == DATA.as_bytes(),
            Kind::Absent | Kind::Other => false,
        };
        let usage = tree::copy(from, copy, bounds, wanted).map_err(|error| match error {
            // A tree that is too deep is told so when there is room to find out.
            StoreError::Refused(_) if bounds.copied_bytes < BOUNDS.copied_bytes => full(),
            error => error,
        })?;
        self.complete(&whole)?;
        Ok(usage)
    }

    /// Puts the copy in its place.
    fn settle(&self, made: &str, component: &Folder, name: &str) -> Result<()> {
        let _changes = self.take_changes();
        let prepared = match component.kind(name)? {
            Kind::Absent => None,
            _ => Some(untouched(component, name)?.ok_or_else(occupied)?),
        };
        if let Some(prepared) = &prepared {
            // The files first: something may have come among them, and then nothing is changed.
            if !prepared.remove_empty(DATA)? {
                return Err(occupied());
            }
            prepared.unlink(CONFIG)?;
        }
        if self.yard.put(made, component, name)? {
            return Ok(());
        }
        if let Some(prepared) = &prepared {
            self.complete(prepared)?;
        }
        Err(occupied())
    }
}

fn occupied() -> StoreError {
    let message = "the new version holds something already: remove it, or migrate to another";
    ApiError::conflict(ConflictReason::Exists, message).into()
}

/// The folder of a version that is as `prepare` has made it, or less; `None` where there is more to it.
fn untouched(component: &Folder, name: &str) -> Result<Option<Folder>> {
    let folder = component.child(name)?.ok_or_else(in_the_way)?;
    let fresh = |part: &String| {
        Ok(match part.as_str() {
            CONFIG => {
                folder.read(CONFIG, EMPTY_CONFIG.len()).ok().flatten().as_deref()
                    == Some(EMPTY_CONFIG)
            }
            DATA => match folder.child(DATA)? {
                Some(data) => data.is_empty()?,
                None => false,
            },
            _ => false,
        })
    };
    let parts = match folder.names(2) {
        Ok(parts) => parts,
        Err(StoreError::Refused(_)) => return Ok(None),
        Err(error) => return Err(error),
    };
    let fresh = parts.iter().map(fresh).collect::<Result<Vec<bool>>>()?;
    // A name that is no text is not among them; it is in the way of the rename.
    Ok(fresh.iter().all(|fresh| *fresh).then_some(folder))
}
