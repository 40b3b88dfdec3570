//! How much is in a tree.

use osnova_storage_api::{ApiError, ErrorCode};

use super::{Entries, Folder, Kind};
use crate::error::{Result, StoreError};

/// How far a walk goes. Each level holds a descriptor, and each entry takes time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Folders that may stand inside one another.
    pub(crate) depth: usize,
    /// Names, of whatever kind.
    pub(crate) entries: u64,
    /// Bytes of content that are copied.
    pub(crate) copied_bytes: u64,
}

/// What a tree holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// The bytes of its regular files.
    pub(crate) bytes: u64,
    /// How many regular files there are.
    pub(crate) files: u64,
    /// What was passed over: links, FIFOs, sockets, devices, other file systems, folders that can't
    /// be read.
    pub(crate) skipped: u64,
}

/// Keeps a walk within its bounds.
pub(super) struct Meter {
    bounds: Bounds,
    entries: u64,
}

impl Meter {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { bounds, entries: 0 }
    }

    /// Counts a name.
    pub(super) fn entry(&mut self) -> Result<()> {
        self.entries += 1;
        if self.entries > self.bounds.entries {
            let most = self.bounds.entries;
            return Err(too_large(format!("the tree has more than {most} entries")));
        }
        Ok(())
    }

    /// Looks whether a folder may stand at this depth.
    pub(super) fn depth(&self, depth: usize) -> Result<()> {
        if depth > self.bounds.depth {
            let most = self.bounds.depth;
            return Err(too_large(format!("the tree is nested more than {most} deep")));
        }
        Ok(())
    }
}

pub(super) fn too_large(message: String) -> StoreError {
    StoreError::Refused(ApiError::new(ErrorCode::TooLarge, message))
}

/// Counts the regular files below a folder. A file with several names counts once for each.
///
/// # Errors
/// `too_large` past the bounds, or where it can't be read.
pub(crate) fn usage(root: Folder, bounds: Bounds) -> Result<Usage> {
    let device = root.own_stat()?.st_dev;
    let mut meter = Meter::new(bounds);
    let mut usage = Usage::default();
    let mut open = vec![Entries::of(root)?];
    loop {
        let depth = open.len();
        let Some(entries) = open.last_mut() else { return Ok(usage) };
        let Some(name) = entries.next() else {
            open.pop();
            continue;
        };
        let name = name?;
        meter.entry()?;
        let folder = entries.folder()?;
        let Some(stat) = readable(folder.stat(&name))? else {
            // Closed to the daemon, or gone since it was listed.
            usage.skipped += 1;
            continue;
        };
        match Kind::of(&stat) {
            Kind::File => {
                usage.files += 1;
                usage.bytes = usage.bytes.saturating_add(u64::try_from(stat.st_size).unwrap_or(0));
            }
            Kind::Folder if stat.st_dev == device => match readable(folder.child(&name))? {
                Some(child) if child.own_stat()?.st_dev == device => {
                    meter.depth(depth)?;
                    open.push(Entries::of(child)?);
                }
                _ => usage.skipped += 1,
            },
            _ => usage.skipped += 1,
        }
    }
}

/// What was found; what its owner has closed to the daemon is as what is not there.
fn readable<T>(found: Result<Option<T>>) -> Result<Option<T>> {
    match found {
        Err(StoreError::Io { source, .. })
            if source.kind() == std::io::ErrorKind::PermissionDenied =>
        {
            Ok(None)
        }
        found => found,
    }
}
