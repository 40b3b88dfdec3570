//! Files being written: under a random name in `blobs/.tmp/` until they are whole.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::error::{Result, StoreError};

/// A file that is removed when it is dropped, unless it was given its name.
pub(super) struct Temporary {
    file: File,
    path: Option<PathBuf>,
}

impl Temporary {
    /// Makes an empty file that only this user can read.
    pub(super) fn create(folder: &Path) -> Result<Self> {
        let mut random = [0; 16];
        getrandom::fill(&mut random)
            .map_err(|error| StoreError::Internal(format!("no randomness: {error}")))?;
        let path = folder.join(format!("{:032x}", u128::from_ne_bytes(random)));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|source| StoreError::io("create", &path, source))?;
        Ok(Self { file, path: Some(path) })
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Writes its content to disk.
    pub(super) fn sync(&self) -> Result<()> {
        let path = self.path.as_deref().unwrap_or(Path::new(""));
        self.file.sync_data().map_err(|source| StoreError::io("sync of", path, source))
    }

    /// Gives it its final name.
    pub(super) fn rename(mut self, to: &Path) -> Result<()> {
        if let Some(path) = self.path.take() {
            fs::rename(&path, to).map_err(|source| {
                let error = StoreError::io("rename to", to, source);
                self.path = Some(path);
                error
            })?;
        }
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(path) = &self.path
            && let Err(error) = fs::remove_file(path)
        {
            tracing::warn!(%error, path = %path.display(), "a temporary file could not be removed");
        }
    }
}

/// Removes what an earlier run left unfinished; returns how many files that were.
pub(super) fn remove_all(folder: &Path) -> Result<usize> {
    let failed = |source| StoreError::io("clean", folder, source);
    let mut removed = 0;
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_type().map_err(failed)?.is_file() {
            fs::remove_file(entry.path()).map_err(failed)?;
            removed += 1;
        }
    }
    Ok(removed)
}
