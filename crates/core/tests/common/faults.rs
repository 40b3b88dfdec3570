//! An observer of the file layer that has the n-th step fail, or a write go only half the way, and that
//! notes the order of steps.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use osnova_storage_core::files::{Action, Errno, Observer, Step, Verdict};

/// What happens to the n-th step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It fails, whatever it is.
    Error(Errno),
    /// Of the n-th write only a half is written, without an error.
    Short,
    /// The same, and there is no space for the other half.
    Torn,
}

/// Those that each step is to stand.
pub(crate) const FAULTS: [Fault; 4] =
    [Fault::Error(Errno::IO), Fault::Error(Errno::NOSPC), Fault::Short, Fault::Torn];

/// A step that was noted.
#[derive(Debug, Clone)]
pub(crate) struct Noted<T> {
    pub(crate) what: What,
    pub(crate) path: PathBuf,
    /// What the witness saw right before it.
    pub(crate) seen: T,
}

/// What was done, as far as the order of steps matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    Create,
    Write,
    Sync,
    Rename(PathBuf),
    Unlink,
    MakeFolder,
    SyncFolder,
    Other,
}

impl What {
    fn of(action: Action<'_>) -> Self {
        match action {
            Action::Create => What::Create,
            Action::Write { .. } | Action::SetLength { .. } => What::Write,
            Action::Sync => What::Sync,
            Action::Rename { to } => What::Rename(to.to_owned()),
            Action::Unlink => What::Unlink,
            Action::MakeFolder => What::MakeFolder,
            Action::SyncFolder => What::SyncFolder,
            _ => What::Other,
        }
    }
}

type Witness<T> = Box<dyn Fn() -> T + Send>;

struct State<T> {
    /// What is to happen, and at how many more steps.
    armed: Option<(Fault, usize)>,
    /// The file whose next write finds no space.
    torn: Option<PathBuf>,
    /// Where it happened.
    fired: Option<String>,
    witness: Option<Witness<T>>,
    noted: Vec<Noted<T>>,
}

/// The observer. Lets everything pass until it is armed.
pub(crate) struct Faults<T = ()> {
    state: Mutex<State<T>>,
}

impl<T> Faults<T> {
    pub(crate) fn new() -> Self {
        let state =
            State { armed: None, torn: None, fired: None, witness: None, noted: Vec::new() };
        Self { state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the `n`-th step from now on, counted from 1, meet the fault. One fault, once.
    pub(crate) fn arm(&self, fault: Fault, n: usize) {
        let mut state = self.state();
        state.armed = Some((fault, n));
        state.fired = None;
    }

    /// Lets everything pass again; says at which step the fault happened, where it did.
    pub(crate) fn disarm(&self) -> Option<String> {
        let mut state = self.state();
        state.armed = None;
        state.torn = None;
        state.fired.take()
    }

    /// Notes each step from now on, with what the witness sees before it.
    pub(crate) fn note(&self, witness: impl Fn() -> T + Send + 'static) {
        self.state().witness = Some(Box::new(witness));
    }

    /// Ends the noting.
    pub(crate) fn noted(&self) -> Vec<Noted<T>> {
        let mut state = self.state();
        state.witness = None;
        std::mem::take(&mut state.noted)
    }
}

impl<T: Send> Observer for Faults<T> {
    fn before(&self, step: &Step<'_>) -> Verdict {
        let mut state = self.state();
        if let Some(witness) = &state.witness {
            let (what, path) = (What::of(step.action), step.path.to_owned());
            let noted = Noted { what, path, seen: witness() };
            state.noted.push(noted);
        }
        if state.torn.as_deref() == Some(step.path) && is_write(step) {
            state.torn = None;
            return Verdict::Fail(Errno::NOSPC);
        }
        let Some((fault, left)) = &mut state.armed else { return Verdict::Go };
        if !matches!(fault, Fault::Error(_)) && !is_write(step) {
            return Verdict::Go;
        }
        *left -= 1;
        if *left > 0 {
            return Verdict::Go;
        }
        let fault = *fault;
        state.armed = None;
        state.fired = Some(format!("{fault:?} at {step:?}"));
        let half = match step.action {
            Action::Write { length, .. } => length / 2,
            _ => 0,
        };
        match fault {
            Fault::Error(errno) => Verdict::Fail(errno),
            Fault::Short => Verdict::Short(half),
            Fault::Torn => {
                state.torn = Some(step.path.to_owned());
                Verdict::Short(half)
            }
        }
    }
}

fn is_write(step: &Step<'_>) -> bool {
    matches!(step.action, Action::Write { .. })
}

/// Checks the order of steps against a power cut after any of them: what is renamed to where it is found
/// has been written to disk before, with the names that are in it where it is a folder, and the name it
/// got goes to disk after it.
pub(crate) fn assert_survives_a_power_cut<T>(noted: &[Noted<T>]) {
    let mut unsynced: Vec<&Path> = Vec::new();
    for Noted { what, path, .. } in noted {
        match what {
            What::Create => unsynced.extend([path, path.parent().unwrap()]),
            // One that is empty is on disk with its name.
            What::MakeFolder => unsynced.push(path.parent().unwrap()),
            What::Write => unsynced.push(path),
            What::Sync | What::SyncFolder => unsynced.retain(|unsynced| unsynced != path),
            What::Rename(to) => {
                let torn = unsynced.iter().find(|unsynced| unsynced.starts_with(path));
                assert_eq!(torn, None, "{} has its name before it is on disk", to.display());
                unsynced.push(to.parent().unwrap());
            }
            What::Unlink => unsynced.retain(|unsynced| unsynced != path),
            What::Other => {}
        }
    }
    for (at, Noted { what, path, .. }) in noted.iter().enumerate() {
        if let What::Rename(to) = what {
            // What goes to a folder of rubbish must be off the disk where it was.
            let removed = to.parent().unwrap().file_name().is_some_and(|name| name == ".tmp");
            let folder = if removed { path } else { to }.parent().unwrap();
            let synced = noted[at..]
                .iter()
                .any(|later| later.what == What::SyncFolder && later.path == folder);
            assert!(synced, "the name {} is not on disk", to.display());
        }
    }
}
