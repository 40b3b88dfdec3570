//! The owner's token, in its file: for whoever can't be known by a Unix socket's uid.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use osnova_storage_core::StoreError;
use osnova_storage_core::files::Files;
use osnova_storage_core::layout::sync_dir;
use zeroize::Zeroizing;

use super::token::{self, NoRandomness, SECRET_DIGITS};

/// A token file longer than this is not one.
const MAX_FILE_BYTES: u64 = 256;

/// The owner's token; never printed, wiped when dropped.
pub(super) struct OwnerToken(Zeroizing<String>);

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file can't be read or written.
    #[error("the token file {0}: {1}")]
    Io(String, io::Error),
    /// Others can read the file, or it holds something else.
    #[error("the token file {0} {1}")]
    Unfit(String, &'static str),
    /// The system has no random numbers.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// What is kept of the components' tokens and sockets can't be read.
    #[error("the credentials of components: {0}")]
    Store(#[from] StoreError),
}

impl OwnerToken {
    /// The token of the file; a new one where there is no file. It is kept over restarts.
    ///
    /// # Errors
    /// Where the file is not private, or holds something else, or can't be read or written.
    pub(super) fn load_or_create(path: &Path) -> Result<Self, TokenError> {
        let name = || path.display().to_string();
        let file = match OpenOptions::new().read(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Self::renew(path),
            Err(error) => return Err(TokenError::Io(name(), error)),
        };
        let metadata = file.metadata().map_err(|error| TokenError::Io(name(), error))?;
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(TokenError::Unfit(name(), "can be read by others: chmod 600 it"));
        }
        let mut text = Zeroizing::new(String::new());
        file.take(MAX_FILE_BYTES)
            .read_to_string(&mut text)
            .map_err(|error| TokenError::Io(name(), error))?;
        let token = text.trim();
        if token.len() != SECRET_DIGITS || !token.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(TokenError::Unfit(name(), "holds no token: remove it"));
        }
        Ok(Self(Zeroizing::new(token.to_owned())))
    }

    /// Makes a new token and puts it in the file, in place of the one before; it is on disk then.
    ///
    /// # Errors
    /// Where the file can't be written; the one before stays.
    pub(super) fn renew(path: &Path) -> Result<Self, TokenError> {
        let token = Self(token::new_secret()?);
        let beside = path.with_extension("new");
        let folder = path.parent().unwrap_or(Path::new("."));
        let write = || {
            // A crash may have left one; whoever made it, it is not written through.
            match fs::remove_file(&beside) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file =
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
            writeln!(file, "{}", *token.0)?;
            file.sync_all()?;
            fs::rename(&beside, path)
        };
        write().map_err(|error| TokenError::Io(path.display().to_string(), error))?;
        sync_dir(&Files::real(), folder)?;
        Ok(token)
    }

    /// Whether this is the token. Takes the same time wherever the two differ.
    pub(super) fn matches(&self, presented: &str) -> bool {
        token::same(self.0.as_bytes(), presented.as_bytes())
    }

    /// The token's text, to hand it to a client.
    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_kept_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let first = OwnerToken::load_or_create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(OwnerToken::load_or_create(&path).unwrap().matches(first.text()));
        assert!(!first.matches(&first.text()[1..]));
        assert!(!first.matches(""));
        let second = OwnerToken::renew(&path).unwrap();
        assert!(!first.matches(second.text()));
        assert!(OwnerToken::load_or_create(&path).unwrap().matches(second.text()));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(OwnerToken::load_or_create(&path), Err(TokenError::Unfit(..))));
    }
}
