//! Unix sockets: bound where only those reach them who may, and telling who is at the other end.
//!
//! A socket's file belongs to the daemon that bound it: one that nobody listens on any more is replaced,
//! one that is alive, or is no socket, never. What a peer may do is not decided here.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use osnova_storage_core::files::Files;
use osnova_storage_core::layout::make_private_dir;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, connect, socket};
use tokio::net::UnixListener;
use tokio::sync::watch;

use super::{ListenError, Stream, group};
use crate::access::{Credential, Peer};

/// Only the daemon's user may connect.
const PRIVATE: u32 = 0o600;
/// The group may connect too.
const FOR_GROUP: u32 = 0o660;

/// A bound Unix socket. Its file is removed when this is dropped, if it is still the same.
pub(crate) struct UnixSocket {
    listener: UnixListener,
    file: Arc<SocketFile>,
    role: Role,
}

/// Who is at the other end of a socket's connections.
enum Role {
    /// Whoever has the daemon's uid is the owner.
    Owner,
    /// A component, by its token.
    Component,
    /// The component that the socket is bound to. The credential may be swapped for another.
    Bound(watch::Receiver<Arc<Credential>>),
}

impl UnixSocket {
    /// Binds the owner's socket, in a folder of this user's alone where it has to be made.
    pub(super) fn bind_owner(path: &Path) -> Result<Self, ListenError> {
        make_private_dir(&Files::real(), folder_of(path)).map_err(|error| failed(path, error))?;
        Self::bind(path, Role::Owner, PRIVATE, None)
    }

    /// Binds a socket for components; where there is a group, in a folder that is open to it, which
    /// must not be one of the owner's sockets.
    pub(super) fn bind_component<'a>(
        path: &Path,
        group: Option<&str>,
        owners: impl Iterator<Item = &'a Path>,
    ) -> Result<Self, ListenError> {
        let folder = folder_of(path);
        make_private_dir(&Files::real(), folder).map_err(|error| failed(path, error))?;
        let Some(group) = group else {
            return Self::bind(path, Role::Component, PRIVATE, None);
        };
        let gid = group::id(group).map_err(|why| unusable(path, why))?;
        let identity = |folder: &Path| fs::metadata(folder).map(|found| (found.dev(), found.ino()));
        let own = identity(folder).map_err(|error| failed(path, error))?;
        for owner in owners {
            // A folder that can't be looked at is not the one that just was.
            if identity(folder_of(owner)).is_ok_and(|theirs| theirs == own) {
                let why =
                    "with a socket_group it needs a folder of its own, without the owner's socket";
                return Err(unusable(path, why.to_owned()));
            }
        }
        group::open_folder(folder, gid).map_err(|why| unusable(path, why))?;
        Self::bind(path, Role::Component, FOR_GROUP, Some(gid))
    }

    /// Binds a socket that is bound to a component, in a folder that is there.
    pub(super) fn bind_bound(
        path: &Path,
        credential: watch::Receiver<Arc<Credential>>,
    ) -> Result<Self, ListenError> {
        Self::bind(path, Role::Bound(credential), PRIVATE, None)
    }

    fn bind(path: &Path, role: Role, mode: u32, gid: Option<u32>) -> Result<Self, ListenError> {
        let fail = |error| failed(path, error);
        match fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => {
                return Err(unusable(path, "something that is not a socket is there".to_owned()));
            }
            Ok(_) if is_alive(path).map_err(fail)? => {
                return Err(ListenError::InUse(name(path)));
            }
            // A daemon that was killed left it: nobody listens.
            Ok(_) => fs::remove_file(path).map_err(fail)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(fail(error)),
        }
        // The process's umask makes it private from the first moment on; this says it once more.
        let listener = UnixListener::bind(path).map_err(fail)?;
        let inode = fs::symlink_metadata(path).map_err(fail)?.ino();
        let path = path.to_owned();
        let file = Arc::new(SocketFile { path, inode, is_removed: AtomicBool::new(false) });
        // From here on it is removed where something fails.
        let bound = Self { listener, file, role };
        let path = &bound.file.path;
        if let Some(gid) = gid {
            lchown(path, None, Some(gid)).map_err(|error| failed(path, error))?;
        }
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
            .map_err(|error| failed(path, error))?;
        Ok(bound)
    }

    /// Where it listens, as it is named in the ready line and in errors.
    pub(super) fn endpoint(&self) -> String {
        name(&self.file.path)
    }

    /// Its file.
    pub(super) fn file(&self) -> &Arc<SocketFile> {
        &self.file
    }

    /// Accepts a connection. For that of a component whose credential has just ended, the next is
    /// waited for: who asks gives up then, or has one soon.
    pub(super) async fn accept(&mut self) -> io::Result<(Box<dyn Stream>, Peer)> {
        let (stream, _) = self.listener.accept().await?;
        let peer = match &mut self.role {
            Role::Owner => Peer::Owner { uid: stream.peer_cred()?.uid() },
            Role::Component => Peer::Component { uid: stream.peer_cred()?.uid() },
            Role::Bound(credential) => {
                let valid = credential.wait_for(|credential| credential.is_valid()).await;
                let valid = valid.map_err(|_| io::ErrorKind::ConnectionAborted)?;
                Peer::Bound(Arc::clone(&valid))
            }
        };
        Ok((Box::new(stream), peer))
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        self.file.remove();
    }
}

/// The file of a bound socket. While its listener lives, no other file can get its inode.
pub(super) struct SocketFile {
    path: PathBuf,
    inode: u64,
    is_removed: AtomicBool,
}

impl SocketFile {
    /// Removes it, once, if it is still the same.
    pub(super) fn remove(&self) {
        if self.is_removed.swap(true, Ordering::AcqRel) {
            return;
        }
        let ours = fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode);
        if ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "the socket could not be removed");
        }
    }
}

/// Whether anyone listens on the socket at this path.
fn is_alive(path: &Path) -> io::Result<bool> {
    let probe = socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    // One whose queue is full is alive, and would have us wait.
    rustix::io::ioctl_fionbio(&probe, true)?;
    match connect(&probe, &SocketAddrUnix::new(path)?) {
        Ok(()) | Err(Errno::AGAIN | Errno::INPROGRESS) => Ok(true),
        Err(Errno::CONNREFUSED) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn name(path: &Path) -> String {
    format!("unix:{}", path.display())
}

pub(super) fn unusable(path: &Path, why: String) -> ListenError {
    ListenError::Unusable { endpoint: name(path), why }
}

pub(super) fn failed(path: &Path, source: io::Error) -> ListenError {
    let too_long = Errno::from_io_error(&source) == Some(Errno::NAMETOOLONG);
    match source.kind() {
        io::ErrorKind::AddrInUse => ListenError::InUse(name(path)),
        // The only text the system gives for a path that does not fit its 108 bytes.
        io::ErrorKind::InvalidInput => too_long_path(path),
        _ if too_long => too_long_path(path),
        _ => ListenError::Io { endpoint: name(path), source },
    }
}

fn too_long_path(path: &Path) -> ListenError {
    unusable(path, "the path is too long for a socket: choose a shorter one".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn own_gid() -> String {
        rustix::process::getegid().as_raw().to_string()
    }

    fn why(outcome: Result<UnixSocket, ListenError>) -> String {
        outcome.err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[tokio::test]
    async fn sockets_are_private_and_leave_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run/storage.sock");
        let socket = UnixSocket::bind_owner(&path).unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert!(why(UnixSocket::bind_owner(&path)).ends_with("is in use"));
        // A file that another has put in its place is not the daemon's to remove.
        fs::rename(&path, folder.path().join("moved")).unwrap();
        fs::write(&path, "").unwrap();
        drop(socket);
        assert!(path.exists());
        assert!(why(UnixSocket::bind_owner(&path)).contains("not a socket"));
        fs::remove_file(&path).unwrap();
        // What a killed daemon left is replaced.
        fs::rename(folder.path().join("moved"), &path).unwrap();
        drop(UnixSocket::bind_owner(&path).unwrap());
        assert!(!path.exists());
        let long = folder.path().join("x".repeat(110));
        assert!(why(UnixSocket::bind_owner(&long)).contains("too long"));
    }

    #[tokio::test]
    async fn a_socket_whose_queue_is_full_is_alive() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listener = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        rustix::net::bind(&listener, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let mut waiting = Vec::new();
        loop {
            let client = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
            rustix::io::ioctl_fionbio(&client, true).unwrap();
            let full = connect(&client, &SocketAddrUnix::new(&path).unwrap()).is_err();
            waiting.push(client);
            if full {
                break;
            }
        }
        assert!(why(UnixSocket::bind_owner(&path)).ends_with("is in use"));
    }

    #[tokio::test]
    async fn a_group_gets_a_folder_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let owner = folder.path().join("run/storage.sock");
        let _owner = UnixSocket::bind_owner(&owner).unwrap();
        let bind = |path: &Path, group: &str| {
            UnixSocket::bind_component(path, Some(group), [owner.as_path()].into_iter())
        };
        let path = folder.path().join("open/component.sock");
        let socket = bind(&path, &own_gid()).unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o660, 0o750));
        assert_eq!(socket.endpoint(), format!("unix:{}", path.display()));
        drop(socket);
        assert!(!path.exists());
        let beside = folder.path().join("run/component.sock");
        assert!(why(bind(&beside, &own_gid())).contains("a folder of its own"));
        assert_eq!(mode(beside.parent().unwrap()), 0o700);
        assert!(why(bind(&path, "no such group")).contains("\"no such group\""));
        // Without a group it may lie beside the owner's, as private as that.
        let owners = [owner.as_path()].into_iter();
        let _socket = UnixSocket::bind_component(&beside, None, owners).unwrap();
        assert_eq!((mode(&beside), mode(beside.parent().unwrap())), (0o600, 0o700));
    }
}
