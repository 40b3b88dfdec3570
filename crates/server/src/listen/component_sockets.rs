//! Sockets that are bound to a component, opened and closed while the daemon runs.
//!
//! Whoever connects to one is its component, by the credential that was given for it, for as long as
//! that is valid. Sockets are bound and their files removed on the thread that asks, so that the outcome
//! is known at once; one task takes what was bound and serves it. Which sockets there should be is known
//! by the gate and the database, not here.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use osnova_storage_core::Caller;
use osnova_storage_core::db::auth::sockets::MAX_SOCKETS;
use osnova_storage_core::files::Files;
use osnova_storage_core::health::{Cause, Health};
use osnova_storage_core::layout::make_private_dir;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::accept::{self, Serving};
use super::unix::{SocketFile, UnixSocket, failed, unusable};
use super::{ListenError, Listener};
use crate::access::Credential;

/// Sockets that are bound and not yet served, at most: at the start all of them are.
// It is a small number, so that no platform's usize is too small for it.
#[allow(clippy::cast_possible_truncation)]
const OPENED_QUEUE: usize = MAX_SOCKETS as usize + 1;
/// How long a socket whose credential has ended waits for the next one before it closes: who gives a
/// component other scopes ends the old credential first.
const SWAP_TIME: Duration = Duration::from_secs(1);

/// The sockets that are bound to components. Cheap to clone.
#[derive(Clone)]
pub(crate) struct ComponentSockets(Arc<Shared>);

struct Shared {
    /// The folder in which the daemon makes one for each socket whose path it chose.
    folder: PathBuf,
    health: Health,
    open: Mutex<HashMap<PathBuf, Open>>,
    /// Those that could not be opened at the start.
    missing: Mutex<BTreeSet<PathBuf>>,
    /// Held while one is opened or closed.
    changing: Mutex<()>,
    opened: mpsc::Sender<Opened>,
}

/// A socket that is open. It closes when this is dropped.
struct Open {
    credential: watch::Sender<Arc<Credential>>,
    file: Arc<SocketFile>,
}

/// A socket that was bound.
struct Opened {
    path: PathBuf,
    socket: UnixSocket,
    credential: watch::Receiver<Arc<Credential>>,
}

/// The sockets that are opened, on their way to whoever serves them.
pub(crate) struct OpenedSockets {
    opened: mpsc::Receiver<Opened>,
    sockets: ComponentSockets,
}

impl ComponentSockets {
    /// No sockets yet; those whose path the daemon chooses lie in `folder`.
    pub(crate) fn new(folder: PathBuf, health: Health) -> (Self, OpenedSockets) {
        let (sender, opened) = mpsc::channel(OPENED_QUEUE);
        let sockets = Self(Arc::new(Shared {
            folder,
            health,
            open: Mutex::default(),
            missing: Mutex::default(),
            changing: Mutex::default(),
            opened: sender,
        }));
        (sockets.clone(), OpenedSockets { opened, sockets })
    }

    /// Opens a socket for a credential; where it is open for the same component, whoever connects from
    /// now on has this credential instead. It may block.
    ///
    /// # Errors
    /// See [`ListenError`].
    pub(crate) fn open(&self, path: &Path, credential: Arc<Credential>) -> Result<(), ListenError> {
        let _changing = lock(&self.0.changing);
        if let Some(open) = lock(&self.0.open).get(path) {
            if !same_component(&open.credential.borrow(), &credential) {
                let why = "it is another component's socket";
                return Err(unusable(path, why.to_owned()));
            }
            open.credential.send_replace(credential);
            return Ok(());
        }
        self.prepare_folder(path)?;
        let (sender, receiver) = watch::channel(credential);
        let socket = UnixSocket::bind_bound(path, receiver.clone())?;
        let open = Open { credential: sender, file: Arc::clone(socket.file()) };
        lock(&self.0.open).insert(path.to_owned(), open);
        let opened = Opened { path: path.to_owned(), socket, credential: receiver };
        if self.0.opened.try_send(opened).is_err() {
            lock(&self.0.open).remove(path);
            return Err(unusable(path, "the daemon is stopping".to_owned()));
        }
        self.is_no_longer_missing(path);
        Ok(())
    }

    /// Opens a socket that was open when the daemon last ran; where that fails, the status tells.
    pub(crate) fn open_again(&self, path: PathBuf, credential: Arc<Credential>) {
        if let Err(error) = self.open(&path, credential) {
            tracing::warn!(%error, "a component's socket could not be opened");
            let message = format!("a component's socket could not be opened: {error}");
            lock(&self.0.missing).insert(path);
            self.0.health.note(Cause::Sockets, message);
        }
    }

    /// Closes a socket; its file is gone then, and its connections end with their credential. It may
    /// block.
    pub(crate) fn close(&self, path: &Path) {
        let _changing = lock(&self.0.changing);
        let open = lock(&self.0.open).remove(path);
        if let Some(open) = open {
            open.file.remove();
            if let Some(folder) = self.own_folder(path) {
                // Where something else lies in it, it stays.
                let _ = fs::remove_dir(folder);
            }
        }
        self.is_no_longer_missing(path);
    }

    /// Whether the daemon listens there for a component.
    pub(crate) fn is_listening(&self, path: &Path) -> bool {
        lock(&self.0.open).contains_key(path)
    }

    /// Makes the folder of a socket, where that is the daemon's to do.
    fn prepare_folder(&self, path: &Path) -> Result<(), ListenError> {
        if !path.is_absolute() {
            return Err(unusable(path, "the path must be absolute".to_owned()));
        }
        if let Some(folder) = self.own_folder(path) {
            return make_private_dir(&Files::real(), folder).map_err(|error| failed(path, error));
        }
        if path.parent().is_some_and(Path::is_dir) {
            return Ok(());
        }
        Err(unusable(path, "its folder does not exist".to_owned()))
    }

    /// The folder of a socket, where the daemon has made it.
    fn own_folder<'a>(&self, path: &'a Path) -> Option<&'a Path> {
        path.parent().filter(|folder| folder.parent() == Some(self.0.folder.as_path()))
    }

    fn is_no_longer_missing(&self, path: &Path) {
        let mut missing = lock(&self.0.missing);
        if missing.remove(path) && missing.is_empty() {
            self.0.health.clear(Cause::Sockets);
        }
    }

    /// Strikes off a socket that has ended by itself.
    fn has_ended(&self, path: &Path, file: &Arc<SocketFile>) {
        let mut open = lock(&self.0.open);
        if open.get(path).is_some_and(|open| Arc::ptr_eq(&open.file, file)) {
            open.remove(path);
        }
    }
}

impl OpenedSockets {
    /// Serves what is opened until the daemon is to stop; then waits for its connections.
    pub(crate) async fn serve(mut self, serving: Serving) {
        let mut running = JoinSet::new();
        let mut stopped = std::pin::pin!(serving.app.stopped());
        loop {
            let opened = tokio::select! {
                biased;
                () = &mut stopped => break,
                opened = self.opened.recv() => opened,
            };
            let Some(opened) = opened else { break };
            running.spawn(serve_one(opened, self.sockets.clone(), serving.clone()));
            while running.try_join_next().is_some() {}
        }
        // What is on its way is closed, and nothing more opened.
        self.opened.close();
        while self.opened.recv().await.is_some() {}
        while running.join_next().await.is_some() {}
    }
}

async fn serve_one(opened: Opened, sockets: ComponentSockets, serving: Serving) {
    let Opened { path, socket, credential } = opened;
    // All of them are one component's, who may have no more than so many anywhere.
    let limits = &serving.app.limits;
    let places = limits.connections.min(limits.connections_per_component.max(1));
    let places = serving.all_places.of_endpoint(places);
    let stopped = serving.app.stopped();
    let file = Arc::clone(socket.file());
    let ending = async {
        tokio::select! {
            () = stopped => {}
            () = closed(credential) => {}
        }
        sockets.has_ended(&path, &file);
    };
    accept::run(Listener::Unix(socket), places, serving, ending).await;
}

/// Resolves when the socket was closed, or its credential has ended and no other has come.
async fn closed(mut credential: watch::Receiver<Arc<Credential>>) {
    loop {
        let current = Arc::clone(&credential.borrow_and_update());
        let swapped = tokio::select! {
            swapped = credential.changed() => swapped.is_ok(),
            () = current.ended() => {
                matches!(timeout(SWAP_TIME, credential.changed()).await, Ok(Ok(())))
            }
        };
        if !swapped {
            return;
        }
    }
}

fn same_component(one: &Credential, other: &Credential) -> bool {
    match (&**one.caller(), &**other.caller()) {
        (Caller::Component { id: one, .. }, Caller::Component { id: other, .. }) => one == other,
        _ => false,
    }
}

// A panic while one of these locks is held leaves nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixStream;

    use osnova_storage_api::auth::CredentialKind;
    use osnova_storage_core::Scopes;
    use osnova_storage_core::clock::SystemClock;

    use super::*;
    use crate::access::Account;

    fn credential(component: &str) -> Arc<Credential> {
        let id = component.parse().unwrap();
        let caller = Caller::Component { id, scopes: Scopes::from(None) };
        let account = Account::of_owner();
        Arc::new(Credential::new(caller, CredentialKind::ComponentSocket, account))
    }

    fn sockets(folder: &Path) -> (ComponentSockets, OpenedSockets, Health) {
        let health = Health::new(Arc::new(SystemClock));
        let (sockets, opened) = ComponentSockets::new(folder.join("components"), health.clone());
        (sockets, opened, health)
    }

    #[tokio::test]
    async fn a_socket_is_bound_when_open_returns_and_gone_when_close_does() {
        let folder = tempfile::tempdir().unwrap();
        let (sockets, _opened, _) = sockets(folder.path());
        let path = folder.path().join("components/c/storage.sock");
        sockets.open(&path, credential("c")).unwrap();
        assert!(sockets.is_listening(&path) && UnixStream::connect(&path).is_ok());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        sockets.close(&path);
        assert!(!sockets.is_listening(&path) && !path.parent().unwrap().exists());
        // Again at once, while nobody has yet taken note of the end of the first.
        sockets.open(&path, credential("c")).unwrap();
        assert!(UnixStream::connect(&path).is_ok());
    }

    #[tokio::test]
    async fn paths_that_were_given_must_be_usable() {
        let folder = tempfile::tempdir().unwrap();
        let (sockets, _opened, _) = sockets(folder.path());
        let why = |path: &Path, component| {
            let opened = sockets.open(path, credential(component));
            opened.err().map(|error| error.to_string()).unwrap_or_default()
        };
        assert!(why(Path::new("x.sock"), "c").contains("must be absolute"));
        assert!(why(&folder.path().join("no/x.sock"), "c").contains("does not exist"));
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(why(&file, "c").contains("not a socket"));
        let path = folder.path().join("x.sock");
        assert_eq!(why(&path, "c"), "");
        assert!(why(&path, "d").contains("another component"));
        assert_eq!(why(&path, "c"), "");
        sockets.close(&path);
        assert!(!path.exists() && folder.path().exists());
    }

    #[tokio::test]
    async fn what_could_not_be_opened_stands_in_the_status_until_it_can() {
        let folder = tempfile::tempdir().unwrap();
        let (sockets, _opened, health) = sockets(folder.path());
        let path = folder.path().join("later/x.sock");
        sockets.open_again(path.clone(), credential("c"));
        assert_eq!(health.causes().len(), 1);
        fs::create_dir(path.parent().unwrap()).unwrap();
        sockets.open(&path, credential("c")).unwrap();
        assert!(health.causes().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_socket_outlives_its_credential_only_for_the_next_one() {
        let (sender, receiver) = watch::channel(credential("c"));
        let end = tokio::spawn(closed(receiver));
        for _ in 0..3 {
            sender.borrow().end();
            tokio::time::sleep(SWAP_TIME / 2).await;
            sender.send_replace(credential("c"));
            tokio::time::sleep(SWAP_TIME * 2).await;
            assert!(!end.is_finished());
        }
        sender.borrow().end();
        tokio::time::sleep(SWAP_TIME * 2).await;
        assert!(end.is_finished());
        let (sender, receiver) = watch::channel(credential("c"));
        let end = tokio::spawn(closed(receiver));
        drop(sender);
        end.await.unwrap();
    }
}
