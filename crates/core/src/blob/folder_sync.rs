//! Syncs of the folder of the contents, shared by those who need one at the same time.
//!
//! Whoever asks needs a sync that begins after he has asked. While one runs, those who come meanwhile wait
//! for the next, and one of them does it for all.

use std::io;
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};

use super::BlobStore;
use crate::error::{Result, StoreError};

/// How a round ended: nothing, or the number of the system's error.
type Outcome = std::result::Result<(), Option<i32>>;

/// Those who share a sync.
#[derive(Default)]
pub(super) struct FolderSync {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    running: bool,
    /// The round that has not begun.
    next: Arc<OnceLock<Outcome>>,
}

impl FolderSync {
    /// Returns once a sync that began after the call has ended.
    ///
    /// # Errors
    /// The sync's, to all who shared it: one that is repeated after a failure proves nothing.
    fn run(&self, sync: impl Fn() -> io::Result<()>) -> io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let round = Arc::clone(&state.next);
        loop {
            if let Some(outcome) = round.get() {
                return outcome.map_err(|errno| {
                    errno.map_or_else(|| io::ErrorKind::Other.into(), io::Error::from_raw_os_error)
                });
            }
            if state.running {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.running = true;
            let ours = std::mem::take(&mut state.next);
            drop(state);
            let outcome = sync().map_err(|error| error.raw_os_error());
            // Set once: who takes a round out of the state is alone with it.
            let _ = ours.set(outcome);
            state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.running = false;
            self.changed.notify_all();
        }
    }
}

impl BlobStore {
    /// The names in the folder of the contents are on disk when this returns.
    ///
    /// # Errors
    /// Where the folder can't be synced.
    pub(super) fn sync_folder(&self) -> Result<()> {
        let folder = self.layout.blobs();
        self.folder_sync
            .run(|| self.files().sync_folder(&folder))
            .map_err(|source| StoreError::io("sync of the folder", &folder, source))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    /// Waits until so many share the round that has not begun.
    fn wait_for_sharers(sync: &FolderSync, count: usize) {
        // The state itself holds one.
        while Arc::strong_count(&sync.state.lock().unwrap().next) < count + 1 {
            thread::yield_now();
        }
    }

    #[test]
    fn those_who_come_meanwhile_share_the_next_and_its_failure() {
        let sync = FolderSync::default();
        let runs = AtomicU32::new(0);
        let (go, wait) = mpsc::channel::<io::Result<()>>();
        let wait = Mutex::new(wait);
        let slow = || {
            runs.fetch_add(1, Ordering::SeqCst);
            wait.lock().unwrap().recv().unwrap()
        };
        thread::scope(|scope| {
            let first = scope.spawn(|| sync.run(slow));
            while runs.load(Ordering::SeqCst) == 0 {
                thread::yield_now();
            }
            let others: Vec<_> = (0..8).map(|_| scope.spawn(|| sync.run(slow))).collect();
            wait_for_sharers(&sync, 8);
            go.send(Ok(())).unwrap();
            first.join().unwrap().unwrap();
            go.send(Err(io::Error::from_raw_os_error(5))).unwrap();
            for other in others {
                assert_eq!(other.join().unwrap().unwrap_err().raw_os_error(), Some(5));
            }
        });
        assert_eq!(runs.load(Ordering::SeqCst), 2);
        // The failure is theirs alone.
        go.send(Ok(())).unwrap();
        sync.run(slow).unwrap();
    }
}
