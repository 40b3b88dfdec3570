//! Contents that are known not to be as they were put, and files that are put aside.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use osnova_storage_api::wire::BlobHash;

use super::{BlobStore, name_of};
use crate::db::{Database, blobs};
use crate::error::{Result, StoreError};
use crate::health::{Cause, Health};
use crate::layout::{make_private_dir, sync_dir};

/// The contents whose files are known to be missing or damaged. The status says so until the last of them
/// was put again or deleted.
pub(super) struct Damaged {
    hashes: Mutex<BTreeSet<BlobHash>>,
    health: Health,
}

impl Damaged {
    pub(super) fn new(health: Health) -> Self {
        Self { hashes: Mutex::default(), health }
    }

    /// The file of this content is missing or damaged.
    pub(super) fn note(&self, hash: BlobHash) {
        self.hashes().insert(hash);
        self.health.note(
            Cause::BlobDamaged,
            "blob files are missing or damaged: blobs.verify says which, putting them again heals",
        );
    }

    /// The file of this content is whole again, or the content is gone.
    pub(super) fn healed(&self, hash: &BlobHash) {
        let mut hashes = self.hashes();
        hashes.remove(hash);
        if hashes.is_empty() {
            self.health.clear(Cause::BlobDamaged);
        }
    }

    /// Whether it is known to be missing or damaged.
    pub(super) fn has(&self, hash: &BlobHash) -> bool {
        self.hashes().contains(hash)
    }

    fn hashes(&self) -> MutexGuard<'_, BTreeSet<BlobHash>> {
        self.hashes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BlobStore {
    /// Puts the file of a content aside, where nothing looks for it and nothing removes it. Under the lock
    /// on the hash.
    ///
    /// # Errors
    /// Where it can't be renamed, or the folders can't be synced.
    pub(super) fn quarantine(&self, hash: &BlobHash) -> Result<()> {
        let folder = self.layout.quarantine();
        make_private_dir(self.files(), &folder)
            .map_err(|source| StoreError::io("make", &folder, source))?;
        let from = self.layout.blob(hash);
        let to = self.free_name(hash);
        self.files()
            .rename(&from, &to)
            .map_err(|source| StoreError::io("rename to", &to, source))?;
        if let Err(error) = sync_dir(self.files(), &folder).and_then(|()| self.sync_folder()) {
            // Nobody shall find it missing.
            if self.files().rename(&to, &from).is_err() {
                self.damaged.note(*hash);
            }
            return Err(error);
        }
        tracing::error!(path = %to.display(), "a blob file that is not what its name says was put aside");
        self.note_quarantine();
        Ok(())
    }

    /// A name under which nothing lies yet; under the lock on the hash nobody else takes it.
    fn free_name(&self, hash: &BlobHash) -> PathBuf {
        let folder = self.layout.quarantine();
        let numbered = (1..).map(|number: u64| folder.join(format!("{hash}.{number}.enc")));
        let mut names = std::iter::once(folder.join(format!("{hash}.enc"))).chain(numbered);
        // There are more names than files, so one is free.
        names.find(|name| self.files().metadata(name).is_err()).unwrap_or(folder)
    }

    fn note_quarantine(&self) {
        self.health.note(
            Cause::Quarantine,
            "files that are not what their names say lie in blobs/.quarantine",
        );
    }

    /// After a start: says what was put aside before, and which contents lack their files for it.
    ///
    /// # Errors
    /// Where the folder or the database can't be read.
    pub(super) fn look_into_quarantine(&self, db: &Database) -> Result<()> {
        let folder = self.layout.quarantine();
        let failed = |source| StoreError::io("list", &folder, source);
        let entries = match self.files().read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(failed)?,
        };
        let mut any = false;
        for entry in entries {
            any = true;
            let Some(hash) = name_of(&entry.map_err(failed)?.file_name()) else { continue };
            let is_missing = !self.has_file(&hash);
            if is_missing && db.read(|reader| blobs::is_stored(reader, &hash))? {
                self.damaged.note(hash);
            }
        }
        if any {
            self.note_quarantine();
        }
        Ok(())
    }
}
