//! The layer under all access of this crate to files, where faults are injected.
//!
//! [`Files`] is handed in when the store is opened, as the clock is. It does what the system does, and
//! asks an [`Observer`] before each step where it was made with one: a test fails the n-th step, cuts a
//! write short, or notes the order of steps. There is no second file system: what an observer lets pass
//! is done for real. Where nobody observes a step costs one look at an empty place.
//!
//! Two things go around it. SQLite opens its own files (the database, `-wal`, `-shm`; only their lengths
//! are asked for elsewhere): its faults are injected from under it, by the file systems of the crash
//! tests. And reads of `/proc` ask the system about a process, not a file.
//!
//! It must not know what the files are for.

mod handle;
mod observer;

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, ReadDir};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use handle::FileHandle;
pub use observer::{Action, Observer, Step, Verdict};
pub use rustix::io::Errno;

/// Access to files. Cheap to clone.
#[derive(Clone, Default)]
pub struct Files {
    observer: Option<Arc<dyn Observer>>,
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Files").field("observed", &self.is_observed()).finish()
    }
}

impl Files {
    /// What the system does.
    pub fn real() -> Self {
        Self::default()
    }

    /// The same, where this observer lets it.
    pub fn observed(observer: Arc<dyn Observer>) -> Self {
        Self { observer: Some(observer) }
    }

    /// Whether anyone wants to know the paths of steps.
    pub(crate) fn is_observed(&self) -> bool {
        self.observer.is_some()
    }

    /// To be called before a step that moves no bytes.
    pub(crate) fn before(&self, action: Action<'_>, path: &Path) -> Result<(), Errno> {
        self.allowed(action, path, 0).map(drop)
    }

    /// To be called before a step that moves so many bytes; how many it may move.
    fn allowed(&self, action: Action<'_>, path: &Path, length: usize) -> Result<usize, Errno> {
        let Some(observer) = &self.observer else { return Ok(length) };
        match observer.before(&Step { action, path }) {
            Verdict::Go => Ok(length),
            Verdict::Fail(errno) => Err(errno),
            Verdict::Short(bytes) => Ok(bytes.max(1).min(length)),
        }
    }

    /// A file that was opened otherwise, by a name in an open folder.
    pub(crate) fn handle(&self, file: File, path: PathBuf) -> FileHandle {
        FileHandle::new(file, self.clone(), path)
    }

    fn opened(&self, file: File, path: &Path) -> FileHandle {
        let path = if self.is_observed() { path.to_owned() } else { PathBuf::new() };
        self.handle(file, path)
    }

    /// Makes an empty file that only this user can read and write.
    ///
    /// # Errors
    /// `AlreadyExists`; where it can't be made.
    pub fn create_new(&self, path: &Path) -> io::Result<FileHandle> {
        self.before(Action::Create, path)?;
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).mode(0o600).open(path)?;
        Ok(self.opened(file, path))
    }

    /// Opens a file to read and write it as it is, making it, for this user alone, where it is missing.
    ///
    /// # Errors
    /// Where it can't be opened or made.
    pub fn open_or_create(&self, path: &Path) -> io::Result<FileHandle> {
        self.before(Action::Create, path)?;
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        Ok(self.opened(options.open(path)?, path))
    }

    /// Opens a file to read it.
    ///
    /// # Errors
    /// `NotFound`; where it can't be opened.
    pub fn open(&self, path: &Path) -> io::Result<FileHandle> {
        self.before(Action::Open, path)?;
        Ok(self.opened(File::open(path)?, path))
    }

    /// Gives a file another name, in the place of what has it.
    ///
    /// # Errors
    /// Where the system refuses; then it has the old one.
    pub fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.before(Action::Rename { to }, from)?;
        fs::rename(from, to)
    }

    /// Removes the name of a file.
    ///
    /// # Errors
    /// `NotFound`; where the system refuses.
    pub fn unlink(&self, path: &Path) -> io::Result<()> {
        self.before(Action::Unlink, path)?;
        fs::remove_file(path)
    }

    /// The entries of a folder, read as the caller goes.
    ///
    /// # Errors
    /// Where it can't be read.
    pub fn read_dir(&self, folder: &Path) -> io::Result<ReadDir> {
        self.before(Action::List, folder)?;
        fs::read_dir(folder)
    }

    /// Makes a folder that only this user can enter.
    ///
    /// # Errors
    /// `AlreadyExists`; where it can't be made.
    pub fn make_folder(&self, path: &Path) -> io::Result<()> {
        self.before(Action::MakeFolder, path)?;
        DirBuilder::new().mode(0o700).create(path)
    }

    /// Removes an empty folder.
    ///
    /// # Errors
    /// `NotFound`, `DirectoryNotEmpty`; where the system refuses.
    pub fn remove_folder(&self, path: &Path) -> io::Result<()> {
        self.before(Action::RemoveFolder, path)?;
        fs::remove_dir(path)
    }

    /// The names in a folder are on disk when this returns.
    ///
    /// # Errors
    /// Where it can't be opened or synced.
    pub fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.before(Action::SyncFolder, path)?;
        File::open(path)?.sync_all()
    }

    /// What the file system knows of a file or a folder, or of what a link points to.
    ///
    /// # Errors
    /// `NotFound`; where it does not tell.
    pub fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.before(Action::Look, path)?;
        fs::metadata(path)
    }

    /// How many bytes this user may still write to the file system of a path.
    ///
    /// # Errors
    /// Where it does not tell.
    pub fn free_space(&self, path: &Path) -> io::Result<u64> {
        self.before(Action::FreeSpace, path)?;
        let stat = rustix::fs::statvfs(path)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}
