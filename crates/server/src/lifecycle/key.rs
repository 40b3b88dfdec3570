//! Where the master key comes from at start: a file, a systemd credential, or a phrase made for a
//! fresh data root. Never from arguments or the environment, where others can read it.

use std::fs::{self, OpenOptions};
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use osnova_storage_core::files::Files;
use osnova_storage_core::layout::make_private_dir;
use osnova_storage_core::vault::keys::{KeyError, MAX_KEY_FILE_BYTES, MasterKey};
use zeroize::Zeroizing;

use crate::config::Config;

/// The name of the systemd credential.
const CREDENTIAL: &str = "osnova-master-key";

/// Why the key can't be had from where it should be.
#[derive(Debug, thiserror::Error)]
pub enum KeySourceError {
    /// The file can't be read or written.
    #[error("the key file {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others can read the file.
    #[error("the key file {} can be read by others: chmod 600 it", .0.display())]
    NotPrivate(PathBuf),
    /// The file holds no key.
    #[error("the key file {}: {source}", path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyError,
    },
    /// There is no place to store a phrase.
    #[error("--init needs --key-file, or HOME to store the phrase under")]
    NoPlace,
}

/// The key to unlock with, if there is one. `initialized` says whether the data root has a key.
pub(super) fn find(
    config: &Config,
    initialized: bool,
) -> Result<Option<MasterKey>, KeySourceError> {
    if let Some(path) = &config.key_file {
        if config.init && !initialized && !path.exists() {
            return make(path).map(Some);
        }
        return read(path, true).map(Some);
    }
    if let Some(path) = credential() {
        return read(&path, false).map(Some);
    }
    match &config.default_key_file {
        Some(path) if path.exists() => read(path, true).map(Some),
        Some(path) if config.init && !initialized => make(path).map(Some),
        None if config.init && !initialized => Err(KeySourceError::NoPlace),
        _ => Ok(None),
    }
}

/// The file of the systemd credential, where systemd has handed one over.
fn credential() -> Option<PathBuf> {
    let folder = std::env::var_os("CREDENTIALS_DIRECTORY")?;
    let path = Path::new(&folder).join(CREDENTIAL);
    path.exists().then_some(path)
}

fn read(path: &Path, must_be_private: bool) -> Result<MasterKey, KeySourceError> {
    let io = |source| KeySourceError::Io { path: path.to_owned(), source };
    let file = fs::File::open(path).map_err(io)?;
    // systemd guards its credentials by the folder they are in.
    if must_be_private && file.metadata().map_err(io)?.permissions().mode() & 0o077 != 0 {
        return Err(KeySourceError::NotPrivate(path.to_owned()));
    }
    // One byte more than a key may have, so that a longer file is seen to be one.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_KEY_FILE_BYTES + 1));
    file.take(MAX_KEY_FILE_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(io)?;
    MasterKey::parse(&bytes)
        .map_err(|source| KeySourceError::Unfit { path: path.to_owned(), source })
}

/// Makes a phrase, stores it where only this user can read it, and shows it once, to a terminal only.
fn make(path: &Path) -> Result<MasterKey, KeySourceError> {
    let io = |source| KeySourceError::Io { path: path.to_owned(), source };
    let unfit = |source| KeySourceError::Unfit { path: path.to_owned(), source };
    let phrase = MasterKey::generate_phrase().map_err(unfit)?;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        make_private_dir(&Files::real(), folder).map_err(io)?;
    }
    // Never over an existing file: it may be the only copy of a key.
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(io)?;
    writeln!(file, "{}", *phrase).map_err(io)?;
    file.sync_all().map_err(io)?;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        // Without its name on disk too the phrase could be lost to a power cut, and all with it.
        fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)?;
    }
    let mut stderr = io::stderr();
    if stderr.is_terminal() {
        let shown = writeln!(
            stderr,
            "This phrase opens everything that is stored. Write it down; it is shown only now,\n\
             and kept in {}:\n\n    {}\n",
            path.display(),
            *phrase
        );
        shown.map_err(io)?;
    } else {
        tracing::info!(path = %path.display(), "a seed phrase was made and stored");
    }
    MasterKey::from_phrase(&phrase).map_err(unfit)
}
