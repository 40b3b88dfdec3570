//! The owner's token: for whoever can't be known by a Unix socket's uid.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use zeroize::Zeroizing;

/// Random bytes in a token.
const TOKEN_BYTES: usize = 32;
/// A token file longer than this is not one.
const MAX_FILE_BYTES: u64 = 256;

/// The owner's token; never printed, wiped when dropped.
pub struct OwnerToken(Zeroizing<String>);

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file can't be read or written.
    #[error("the token file: {0}")]
    Io(#[from] io::Error),
    /// Others can read the file, or it holds something else.
    #[error("the token file {0}")]
    Unfit(&'static str),
}

impl OwnerToken {
    /// A new random token.
    ///
    /// # Errors
    /// Where the system gives no random bytes.
    pub fn generate() -> Result<Self, TokenError> {
        let mut bytes = Zeroizing::new([0; TOKEN_BYTES]);
        fs::File::open("/dev/urandom")?.read_exact(bytes.as_mut_slice())?;
        let digits = bytes.iter().fold(Zeroizing::new(String::new()), |mut text, byte| {
            use std::fmt::Write;
            // Writing to a String does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        });
        Ok(Self(digits))
    }

    /// The token of the file; a new one where there is no file. It is kept over restarts.
    ///
    /// # Errors
    /// Where the file is not private, or holds something else, or can't be read or written.
    pub fn load_or_create(path: &Path) -> Result<Self, TokenError> {
        match OpenOptions::new().read(true).open(path) {
            Ok(file) => {
                if file.metadata()?.permissions().mode() & 0o077 != 0 {
                    return Err(TokenError::Unfit("can be read by others: chmod 600 it"));
                }
                let mut text = Zeroizing::new(String::new());
                file.take(MAX_FILE_BYTES).read_to_string(&mut text)?;
                let token = text.trim();
                if token.len() < 2 * TOKEN_BYTES || !token.bytes().all(|b| b.is_ascii_hexdigit()) {
                    return Err(TokenError::Unfit("holds no token: remove it"));
                }
                Ok(Self(Zeroizing::new(token.to_owned())))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let token = Self::generate()?;
                let mut file =
                    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
                writeln!(file, "{}", *token.0)?;
                file.sync_all()?;
                Ok(token)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether this is the token. Takes the same time wherever the two differ.
    pub fn matches(&self, presented: &str) -> bool {
        let (own, other) = (self.0.as_bytes(), presented.as_bytes());
        let difference = own.iter().zip(other).fold(0, |seen, (a, b)| seen | (a ^ b));
        std::hint::black_box(difference) == 0 && own.len() == other.len()
    }

    /// The token's text, to hand it to a client.
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// The token of an `Authorization` header (RFC 6750, section 2.1).
pub(super) fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
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
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(OwnerToken::load_or_create(&path), Err(TokenError::Unfit(_))));
    }
}
