//! The data root: where what lies, who may touch it, and the lock that keeps it to one daemon.
//!
//! ```text
//! $DATA_ROOT/            0700
//!   .lock                locked by the daemon while it runs; holds its pid
//!   osnova.db[-wal|-shm] opened by SQLite alone
//!   blobs/<sha256>.enc   one file a content
//!   blobs/.tmp/          contents being written; <upload id>/ has the chunks of an upload
//!   blobs/.quarantine/   files that are not what their names say
//!   identity/<user>/     keys.cocoon, the one before, and whose they are
//!   components/<id>/     v<major>.<minor>/{config.json,data/}: the components' own to write
//!   logs/components/     <id>.log, and rotated <id>.log.<n>.zst
//!   run/                 sockets and the owner's token (the server's)
//! ```

use std::fs::TryLockError;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use osnova_storage_api::wire::BlobHash;

use crate::error::{OpenError, StoreError};
use crate::files::{FileHandle, Files};

/// The paths of a data root, and the layer through which what lies there is touched.
#[derive(Debug, Clone)]
pub struct Layout {
    root: PathBuf,
    files: Files,
}

impl Layout {
    /// The layout of this root; touches nothing.
    pub fn new(root: PathBuf, files: Files) -> Self {
        Self { root, files }
    }

    /// The layer under all access to its files.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// The data root itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The database. Nothing but SQLite opens it: closing any descriptor of it would drop the
    /// process's POSIX locks on it.
    pub fn database(&self) -> PathBuf {
        self.root.join("osnova.db")
    }

    /// The folder of the blob files.
    pub fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    /// The folder of contents being written.
    pub fn blobs_tmp(&self) -> PathBuf {
        self.root.join("blobs").join(".tmp")
    }

    /// The folder of files that are not what their names say.
    pub fn quarantine(&self) -> PathBuf {
        self.root.join("blobs").join(".quarantine")
    }

    /// The file of a content.
    pub fn blob(&self, hash: &BlobHash) -> PathBuf {
        self.blobs().join(format!("{hash}.enc"))
    }

    /// The folder of the users' keys.
    pub fn identity(&self) -> PathBuf {
        self.root.join("identity")
    }

    /// The folder of the components' own files.
    pub fn components(&self) -> PathBuf {
        self.root.join("components")
    }

    /// The folder of the components' logs.
    pub fn component_logs(&self) -> PathBuf {
        self.root.join("logs").join("components")
    }

    /// The folder of sockets and the owner's token.
    pub fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    /// Makes what is missing and checks that the root belongs to this user alone.
    ///
    /// # Errors
    /// [`OpenError::NotOurs`] where it can't be made, is another user's, or others may write it.
    pub fn prepare(&self) -> Result<(), OpenError> {
        let failed = |why: String| OpenError::NotOurs { root: self.root.clone(), why };
        make_private_dir(&self.files, &self.root).map_err(|error| failed(error.to_string()))?;
        check_ours(&self.files, &self.root).map_err(failed)?;
        let folders = [
            self.blobs(),
            self.blobs_tmp(),
            self.identity(),
            self.components(),
            self.component_logs(),
            self.run(),
        ];
        for folder in folders {
            let why = |why: String| failed(format!("{}: {why}", folder.display()));
            make_private_dir(&self.files, &folder).map_err(|error| why(error.to_string()))?;
            check_ours(&self.files, &folder).map_err(why)?;
        }
        Ok(())
    }

    /// Takes the lock on the root, held until the returned file is dropped or the process ends.
    ///
    /// # Errors
    /// [`OpenError::InUse`] with the other daemon's pid where it is taken.
    pub fn lock(&self) -> Result<FileHandle, OpenError> {
        let path = self.root.join(".lock");
        let io = |source| OpenError::Store(StoreError::io("lock", &path, source));
        let file = self.files.open_or_create(&path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                file.take(32).read_to_string(&mut pid).map_err(io)?;
                let pid = if pid.trim().is_empty() { "unknown" } else { pid.trim() };
                return Err(OpenError::InUse { root: self.root.clone(), pid: pid.to_owned() });
            }
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
        file.set_len(0).map_err(io)?;
        let pid = format!("{}\n", std::process::id());
        file.write_all_at(pid.as_bytes(), 0).map_err(io)?;
        Ok(file)
    }
}

/// Makes a folder that only this user can enter, with its parents; one that exists is left as it is.
/// The names of those that are made are on disk afterwards.
///
/// # Errors
/// Where a folder can't be made or synced.
pub fn make_private_dir(files: &Files, path: &Path) -> std::io::Result<()> {
    if path.as_os_str().is_empty() || is_folder(files, path)? {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        make_private_dir(files, parent)?;
    }
    match files.make_folder(path) {
        // Someone else has made it meanwhile.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && is_folder(files, path)? => {}
        made => made?,
    }
    files.sync_folder(parent.unwrap_or(Path::new(".")))
}

/// Whether a folder is there; false where something else is, which making it will then say.
fn is_folder(files: &Files, path: &Path) -> std::io::Result<bool> {
    match files.metadata(path) {
        Ok(metadata) => Ok(metadata.is_dir()),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Checks that a folder is this user's and no other may write it.
fn check_ours(files: &Files, path: &Path) -> Result<(), String> {
    let metadata = files.metadata(path).map_err(|error| error.to_string())?;
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err("belongs to another user".to_owned());
    }
    if metadata.permissions().mode() & 0o022 != 0 {
        return Err("others may write it: chmod go-w it".to_owned());
    }
    Ok(())
}

/// Writes the names in a folder to disk, so that a rename in it survives a power cut.
///
/// # Errors
/// Where the folder can't be opened or synced.
pub fn sync_dir(files: &Files, path: &Path) -> Result<(), StoreError> {
    files.sync_folder(path).map_err(|source| StoreError::io("sync of the folder", path, source))
}
