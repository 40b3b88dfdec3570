//! Unix sockets: private to this user, and telling who is at the other end.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use osnova_storage_core::layout::make_private_dir;
use tokio::net::{UnixListener, UnixStream};

use super::{ListenError, Stream};
use crate::access::Peer;

/// A bound Unix socket. Its file is removed when this is dropped, if it is still the same.
pub(crate) struct UnixSocket {
    listener: UnixListener,
    path: PathBuf,
    inode: u64,
}

impl UnixSocket {
    /// Binds the path, in a folder of this user's alone where it has to be made.
    pub(super) async fn bind(path: &Path) -> Result<Self, ListenError> {
        let endpoint = || format!("unix:{}", path.display());
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => ListenError::InUse(endpoint()),
            // The only text the system gives for a path that does not fit its 108 bytes.
            io::ErrorKind::InvalidInput => ListenError::Unusable {
                endpoint: endpoint(),
                why: "the path is too long for a socket: choose a shorter one".to_owned(),
            },
            _ => ListenError::Io { endpoint: endpoint(), source },
        };
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            make_private_dir(folder).map_err(failed)?;
        }
        match fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => {
                return Err(ListenError::Unusable {
                    endpoint: endpoint(),
                    why: "something that is not a socket is there".to_owned(),
                });
            }
            Ok(_) => match UnixStream::connect(path).await {
                Ok(_) => return Err(ListenError::InUse(endpoint())),
                // A daemon that was killed left it: nobody listens.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    fs::remove_file(path).map_err(failed)?;
                }
                Err(error) => return Err(failed(error)),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        // The process's umask makes it private from the first moment on; this says it once more.
        let listener = UnixListener::bind(path).map_err(failed)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        let inode = fs::symlink_metadata(path).map_err(failed)?.ino();
        Ok(Self { listener, path: path.to_owned(), inode })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) async fn accept(&self) -> io::Result<(Box<dyn Stream>, Peer)> {
        let (stream, _) = self.listener.accept().await?;
        let uid = stream.peer_cred()?.uid();
        Ok((Box::new(stream), Peer::Unix { uid }))
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode);
        if ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "the socket could not be removed");
        }
    }
}
