//! Whoever is asked before each step on a file: the one place where faults are injected.

use std::path::Path;

use rustix::io::Errno;

/// Sees each step of the layer before it is taken, on the thread that takes it, and decides whether it is.
///
/// It may be asked by several threads at once, and while locks on hashes are held: it must not call
/// what takes such a lock.
pub trait Observer: Send + Sync {
    /// What becomes of the step.
    fn before(&self, step: &Step<'_>) -> Verdict;
}

/// A step that is about to be taken.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// What is about to be done.
    pub action: Action<'a>,
    /// To what: the path as it was given, or for an open file or folder the one that it was opened by,
    /// whatever has been renamed since.
    pub path: &'a Path,
}

/// What can be done to a file or a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action<'a> {
    /// A file that is missing is made, or one is opened that is made where it is missing.
    Create,
    /// A file or a folder is opened.
    Open,
    /// The length, the kind or the times of a file or a folder are asked for.
    Look,
    /// Bytes are read.
    Read {
        /// From where on; `None`: from where the last reading ended.
        place: Option<u64>,
        /// How many at most.
        length: usize,
    },
    /// Bytes are written.
    Write {
        /// From where on; `None`: from where the last writing ended, or at the end.
        place: Option<u64>,
        /// How many.
        length: usize,
    },
    /// A file is cut or lengthened.
    SetLength {
        /// Its new length.
        length: u64,
    },
    /// The rights to a file or a folder are changed.
    SetMode,
    /// What was written to a file goes to the disk, before it returns.
    Sync,
    /// The same while more is being written, and with no promise.
    FlushBehind,
    /// A name is exchanged for another.
    Rename {
        /// The new one.
        to: &'a Path,
    },
    /// The name of a file is removed.
    Unlink,
    /// A folder is made.
    MakeFolder,
    /// An empty folder is removed.
    RemoveFolder,
    /// The names in a folder go to the disk.
    SyncFolder,
    /// The names in a folder are read.
    List,
    /// The file system is asked how much of it is free.
    FreeSpace,
    /// A file is locked.
    Lock,
}

/// What becomes of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is taken.
    Go,
    /// It is not taken, and fails with this error.
    Fail(Errno),
    /// Of a read or a write so many bytes are moved, at least one, as the system may do; the rest is
    /// another step. Any other step is taken.
    Short(usize),
}
