//! Files being written: under a random name in `blobs/.tmp/` until they are whole.

use std::path::{Path, PathBuf};

use crate::error::{Result, StoreError};
use crate::files::{FileHandle, Files};

/// An open file that is removed when it is dropped, unless it was given its name.
pub(super) struct Temporary {
    file: FileHandle,
    name: TemporaryName,
}

/// The name of such a file, open or not.
pub(super) struct TemporaryName {
    files: Files,
    path: Option<PathBuf>,
}

impl Temporary {
    /// Makes an empty file that only this user can read.
    pub(super) fn create(files: &Files, folder: &Path) -> Result<Self> {
        let mut random = [0; 16];
        getrandom::fill(&mut random)
            .map_err(|error| StoreError::Internal(format!("no randomness: {error}")))?;
        let path = folder.join(format!("{:032x}", u128::from_ne_bytes(random)));
        let file = files.create_new(&path);
        let file = file.map_err(|source| StoreError::io("create", &path, source))?;
        let name = TemporaryName { files: files.clone(), path: Some(path) };
        Ok(Self { file, name })
    }

    pub(super) fn file(&self) -> &FileHandle {
        &self.file
    }

    /// Writes its content to disk.
    pub(super) fn sync(&self) -> Result<()> {
        let path = self.name.path.as_deref().unwrap_or(Path::new(""));
        self.file.sync_data().map_err(|source| StoreError::io("sync of", path, source))
    }

    /// Closes it. What was not [synced](Self::sync) before can't be any more: another handle on the file
    /// may not be told what went wrong meanwhile.
    pub(super) fn close(self) -> TemporaryName {
        self.name
    }

    /// Gives it its final name.
    pub(super) fn rename(self, to: &Path) -> Result<()> {
        self.name.rename(to)
    }
}

impl TemporaryName {
    /// Gives the file its final name.
    pub(super) fn rename(mut self, to: &Path) -> Result<()> {
        if let Some(path) = self.path.take() {
            self.files.rename(&path, to).map_err(|source| {
                let error = StoreError::io("rename to", to, source);
                self.path = Some(path);
                error
            })?;
        }
        Ok(())
    }
}

impl Drop for TemporaryName {
    fn drop(&mut self) {
        if let Some(path) = &self.path
            && let Err(error) = self.files.unlink(path)
        {
            tracing::warn!(%error, path = %path.display(), "a temporary file could not be removed");
        }
    }
}

/// Removes what an earlier run left unfinished; returns how many files that were.
pub(super) fn remove_all(files: &Files, folder: &Path) -> Result<usize> {
    let failed = |source| StoreError::io("clean", folder, source);
    let mut removed = 0;
    for entry in files.read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_type().map_err(failed)?.is_file() {
            files.unlink(&entry.path()).map_err(failed)?;
            removed += 1;
        }
    }
    Ok(removed)
}
