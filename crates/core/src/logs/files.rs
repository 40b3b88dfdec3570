//! The files of the logs: `logs/components/`, the daemon's own.
//!
//! ```text
//! <name>.log          the present file of a component
//! <name>.log.7.zst    an earlier one, compressed
//! <name>.log.8        the last one that was closed, not compressed yet
//! <name>.log.8.zst.tmp   being compressed
//! ```
//!
//! Each file has a number for life: the present one has the next after the highest. So a position in a
//! log is a number and an offset, whatever becomes of the file meanwhile. The latest closed file is
//! always kept, and with it the count.

use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use osnova_storage_api::wire::ComponentId;

use super::LogLimits;
use super::packed;
use super::source::Source;
use crate::error::{Result, StoreError};
use crate::files::FileHandle;
use crate::layout::Layout;
use crate::names::file_name;
use crate::tree::{Folder, Kind};

/// The longest name of a component in that of a file, in bytes: with what follows every file system
/// takes it.
const MAX_NAME_BYTES: usize = 200;
/// The most files of all logs.
const MAX_FILES: usize = 1_000_000;

/// The folder of the logs.
#[derive(Debug)]
pub(super) struct Files {
    folder: Folder,
    limits: LogLimits,
    /// Held while a file gets another name or grows; reading goes on meanwhile.
    changes: Mutex<()>,
    /// Held by whoever compresses.
    packing: Mutex<()>,
}

/// A closed file that is to be compressed: the name of its component, and its number.
pub(super) type Closed = (String, u64);

/// The files of a log.
#[derive(Debug)]
pub(super) struct Set {
    name: String,
    /// The numbers of the closed ones, rising.
    closed: Vec<u64>,
}

impl Set {
    /// The number of the present file.
    pub(super) fn present(&self) -> u64 {
        self.closed.last().map_or(1, |last| last.saturating_add(1))
    }

    /// The numbers of all, rising.
    pub(super) fn numbers(&self) -> impl DoubleEndedIterator<Item = u64> + '_ {
        self.closed.iter().copied().chain([self.present()])
    }
}

/// What a name in the folder stands for.
enum Named<'a> {
    Closed(&'a str, u64),
    Packed(&'a str, u64),
    Unfinished,
    Other,
}

fn read_name(name: &str) -> Named<'_> {
    // Names of components may hold dots, so they are read from their end.
    if name.ends_with(".zst.tmp") {
        return Named::Unfinished;
    }
    let (rest, packed) = match name.strip_suffix(".zst") {
        Some(rest) => (rest, true),
        None => (name, false),
    };
    let numbered = rest.rsplit_once(".log.");
    let numbered = numbered.and_then(|(name, number)| Some((name, number.parse().ok()?)));
    match numbered {
        Some((name, number)) if packed => Named::Packed(name, number),
        Some((name, number)) => Named::Closed(name, number),
        None => Named::Other,
    }
}

impl Files {
    pub(super) fn open(layout: &Layout, limits: LogLimits) -> Result<Self> {
        let folder = Folder::open_own(layout.files(), &layout.component_logs(), "logs")?;
        Ok(Self { folder, limits, changes: Mutex::default(), packing: Mutex::default() })
    }

    fn change(&self) -> MutexGuard<'_, ()> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a crash has left to compress. What it has left half compressed is removed.
    pub(super) fn recover(&self) -> Result<Vec<Closed>> {
        let mut closed = Vec::new();
        for name in self.folder.names(MAX_FILES)? {
            match read_name(&name) {
                Named::Closed(name, number) => closed.push((name.to_owned(), number)),
                Named::Unfinished => drop(self.folder.unlink(name.as_str())?),
                Named::Packed(..) | Named::Other => {}
            }
        }
        Ok(closed)
    }

    /// The files of a component's log.
    pub(super) fn set(&self, id: &ComponentId) -> Result<Set> {
        let name = file_name(id.as_str(), MAX_NAME_BYTES);
        let _changes = self.change();
        self.set_of(name)
    }

    fn set_of(&self, name: String) -> Result<Set> {
        let mut closed = Vec::new();
        for file in self.folder.names(MAX_FILES)? {
            if let Named::Closed(of, number) | Named::Packed(of, number) = read_name(&file)
                && of == name
            {
                closed.push(number);
            }
        }
        closed.sort_unstable();
        closed.dedup();
        Ok(Set { name, closed })
    }

    /// Opens a file of a log by its number; `None` where it is gone, or is none of ours.
    pub(super) fn source(&self, set: &Set, number: u64) -> Result<Option<Source>> {
        let _changes = self.change();
        let failed = |source| StoreError::Io { what: "logs: reading a file".to_owned(), source };
        if let Some(file) = self.folder.file(packed_name(&set.name, number).as_str())? {
            return match Source::packed(file) {
                Ok(source) => Ok(Some(source)),
                // Someone else's, or damaged: the rest of the log is still read.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
                    ) =>
                {
                    Ok(None)
                }
                Err(error) => Err(failed(error)),
            };
        }
        // The present one may have been closed since the set was read: then it has its number.
        let mut file = self.folder.file(closed_name(&set.name, number).as_str())?;
        if file.is_none() && number == set.present() {
            file = self.folder.file(present_name(&set.name).as_str())?;
        }
        file.map(|file| Source::plain(file).map_err(failed)).transpose()
    }

    /// Appends whole lines. Where they can't all be written none is. The file that was closed meanwhile,
    /// where one was, is to be compressed.
    pub(super) fn append(
        &self,
        id: &ComponentId,
        lines: &[u8],
        now: i64,
    ) -> Result<Option<Closed>> {
        let name = file_name(id.as_str(), MAX_NAME_BYTES);
        let _changes = self.change();
        let mut file = self.folder.append(&present_name(&name))?;
        let failed = |source| written_error("logs: appending", source);
        let metadata = file.metadata().map_err(failed)?;
        let mut closed = None;
        if metadata.len() > 0 && self.is_old(&metadata, now) {
            closed = self.close_present(&name)?;
            file = self.folder.append(&present_name(&name))?;
        }
        let before = file.metadata().map_err(failed)?.len();
        let written = end_torn_line(&mut file, before).and_then(|()| file.write_all(lines));
        if let Err(error) = written {
            // A part of a line would be ended by the next: it is passed over, then.
            drop(file.set_len(before));
            return Err(failed(error));
        }
        if before + lines.len() as u64 >= self.limits.rotate_bytes {
            closed = self.close_present(&name)?;
        }
        Ok(closed)
    }

    fn is_old(&self, metadata: &std::fs::Metadata, now: i64) -> bool {
        // Where the file system does not keep it, the last change stands for it.
        let begun = metadata.created().or_else(|_| metadata.modified()).unwrap_or(UNIX_EPOCH);
        let now = UNIX_EPOCH + Duration::from_secs(u64::try_from(now).unwrap_or(0));
        now.duration_since(begun).is_ok_and(|age| age >= self.limits.rotate_age)
    }

    /// Closes the present file; it is to be compressed. `None` where there is nothing in it.
    pub(super) fn close(&self, id: &ComponentId) -> Result<Option<Closed>> {
        let _changes = self.change();
        self.close_present(&file_name(id.as_str(), MAX_NAME_BYTES))
    }

    fn close_present(&self, name: &str) -> Result<Option<Closed>> {
        let present = present_name(name);
        let Some(file) = self.folder.file(present.as_str())? else { return Ok(None) };
        let failed = |source| written_error("logs: closing a file", source);
        if file.metadata().map_err(failed)?.len() == 0 {
            return Ok(None);
        }
        file.sync_all().map_err(failed)?;
        let set = self.set_of(name.to_owned())?;
        let number = set.present();
        self.folder.rename(&present, &self.folder, &closed_name(name, number))?;
        self.drop_oldest(&self.set_of(name.to_owned())?)?;
        self.folder.sync()?;
        Ok(Some((name.to_owned(), number)))
    }

    fn drop_oldest(&self, set: &Set) -> Result<()> {
        // The latest stays in any case, for the count goes on from it.
        let kept = self.limits.keep_files.max(1);
        for number in &set.closed[..set.closed.len().saturating_sub(kept)] {
            self.folder.unlink(closed_name(&set.name, *number).as_str())?;
            self.folder.unlink(packed_name(&set.name, *number).as_str())?;
        }
        Ok(())
    }

    /// Compresses a closed file. The log can be written and read meanwhile.
    pub(super) fn pack(&self, (name, number): &Closed) -> Result<()> {
        let _packing = self.packing.lock().unwrap_or_else(PoisonError::into_inner);
        let closed = closed_name(name, *number);
        let Some(mut plain) = self.folder.file(closed.as_str())? else { return Ok(()) };
        let packed = packed_name(name, *number);
        let unfinished = format!("{packed}.tmp");
        let mut file = self.folder.create_anew(&unfinished)?;
        let written = packed::pack(&mut plain, &mut file).and_then(|()| file.sync_all());
        if let Err(error) = written {
            self.folder.unlink(unfinished.as_str())?;
            return Err(written_error("logs: compressing a file", error));
        }
        let _changes = self.change();
        // It may have been the oldest meanwhile, and be gone.
        if self.folder.kind(closed.as_str())? == Kind::Absent {
            self.folder.unlink(unfinished.as_str())?;
            return Ok(());
        }
        self.folder.rename(&unfinished, &self.folder, &packed)?;
        self.folder.sync()?;
        self.folder.unlink(closed.as_str())?;
        Ok(())
    }

    /// Writes the present file of a component to disk.
    pub(super) fn sync(&self, id: &ComponentId) -> Result<()> {
        let name = present_name(&file_name(id.as_str(), MAX_NAME_BYTES));
        match self.folder.file(name.as_str())? {
            Some(file) => {
                file.sync_all().map_err(|error| written_error("logs: syncing a file", error))
            }
            None => Ok(()),
        }
    }
}

/// Ends a line that a crash has torn: it is passed over, and does not spoil the next.
fn end_torn_line(file: &mut FileHandle, length: u64) -> io::Result<()> {
    let mut last = [b'\n'];
    if length > 0 {
        file.read_exact_at(&mut last, length - 1)?;
    }
    if last == [b'\n'] { Ok(()) } else { file.write_all(b"\n") }
}

fn written_error(what: &str, source: io::Error) -> StoreError {
    if source.kind() == io::ErrorKind::StorageFull {
        return StoreError::DiskFull(what.to_owned());
    }
    StoreError::Io { what: what.to_owned(), source }
}

fn present_name(name: &str) -> String {
    format!("{name}.log")
}

fn closed_name(name: &str, number: u64) -> String {
    format!("{name}.log.{number}")
}

fn packed_name(name: &str, number: u64) -> String {
    format!("{name}.log.{number}.zst")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_one_file_of_one_component() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(root.path().to_owned(), crate::files::Files::real());
        let files = Files::open(&layout, LogLimits::default()).unwrap();
        for name in [
            "a.log",
            // A crash came between the compressing and the removing.
            "a.log.2",
            "a.log.2.zst",
            "a.log.10.zst",
            "a.log.11.zst.tmp",
            // Of components that are called nearly so.
            "a.log.3.log",
            "a.log.3.log.7.zst",
            "aa.log.9",
            "a.log.x",
        ] {
            std::fs::write(layout.component_logs().join(name), "").unwrap();
        }
        let numbers =
            |id: &str| -> Vec<u64> { files.set(&id.parse().unwrap()).unwrap().numbers().collect() };
        assert_eq!(numbers("a"), [2, 10, 11]);
        assert_eq!(numbers("a.log.3"), [7, 8]);
        assert_eq!(numbers("b"), [1]);
        let mut left = files.recover().unwrap();
        left.sort();
        assert_eq!(left, [("a".to_owned(), 2), ("aa".to_owned(), 9)]);
        assert!(!layout.component_logs().join("a.log.11.zst.tmp").exists());
    }
}
