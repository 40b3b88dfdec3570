//! The folder of what is being made and what is being removed.
//!
//! A tree is made here and then renamed to where it belongs, or renamed to here and then removed: so
//! what has a name elsewhere is always whole, and what a crash leaves is all in one place, to be removed
//! at the next start. It lies beside what it serves, on the same file system.

use super::{Folder, Kind, remove};
use crate::error::{Result, StoreError};

/// Its name. No id's folder is called so: their names never begin with a dot.
pub(crate) const YARD: &str = ".tmp";

/// The most that a crash may leave: a call at a time of each thread.
const MAX_LEFT: usize = 1_000_000;

/// The open folder.
#[derive(Debug)]
pub(crate) struct Yard {
    folder: Folder,
}

impl Yard {
    /// Opens it in this folder, making it where it is missing.
    pub(crate) fn open(parent: &Folder) -> Result<Self> {
        Ok(Self { folder: parent.make_child(YARD)? })
    }

    /// Makes a folder under a name that nothing has.
    pub(crate) fn make(&self) -> Result<(String, Folder)> {
        let name = fresh_name()?;
        let made = self.folder.make_child(name.as_str());
        let folder = made.inspect_err(|_| self.forget(&name))?;
        Ok((name, folder))
    }

    /// Makes a file with this content under a name that nothing has.
    pub(crate) fn make_file(&self, content: &[u8]) -> Result<String> {
        let name = fresh_name()?;
        self.folder.write_new(&name, content).inspect_err(|_| self.forget(&name))?;
        Ok(name)
    }

    /// Puts a file that was made in the place of another or of nothing; false where a folder is there.
    pub(crate) fn put_file(&self, name: &str, to: &Folder, new_name: &str) -> Result<bool> {
        let put = self.folder.rename_over_file(name, to, new_name)?;
        to.sync()?;
        Ok(put)
    }

    /// Takes what stands under a name elsewhere, of whatever kind; `None` where there is nothing.
    pub(crate) fn take(&self, from: &Folder, name: &str) -> Result<Option<String>> {
        if from.kind(name)? == Kind::Absent {
            return Ok(None);
        }
        let fresh = fresh_name()?;
        from.rename(name, &self.folder, &fresh)?;
        from.sync()?;
        Ok(Some(fresh))
    }

    /// Puts what was made to where it belongs; false where something is there that is not an empty
    /// folder.
    pub(crate) fn put(&self, name: &str, to: &Folder, new_name: &str) -> Result<bool> {
        self.folder.sync()?;
        let put = self.folder.rename_over_empty(name, to, new_name)?;
        to.sync()?;
        Ok(put)
    }

    /// Removes what stands here under a name.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        remove(&self.folder, name, fresh_name)
    }

    /// The same, of what could not be finished. What can't be removed now is removed at the next start.
    pub(crate) fn forget(&self, name: &str) {
        drop(self.remove(name));
    }

    /// What stands here: right after the start, what a crash has left.
    pub(crate) fn names(&self) -> Result<Vec<String>> {
        self.folder.names(MAX_LEFT)
    }
}

/// 128 random bits: no two are ever the same.
fn fresh_name() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| StoreError::Internal(format!("randomness: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
