//! Folders that others may write into, walked without being led astray.
//!
//! A component writes into its own tree while the daemon counts, copies or removes it. So a name there
//! may be a link to anywhere, a FIFO that would hang whoever opens it, a device, a mount, a folder
//! nested thousands deep, or another thing by the time it is opened. A [`Folder`] is an open descriptor:
//! every step goes from it by one name, never by a path, never through a link (`O_NOFOLLOW`), never
//! waiting (`O_NONBLOCK`), and what was opened is looked at again before it is used. Only regular files
//! and folders of the same file system are taken; the rest is counted and left alone.
//!
//! Each step is taken through the [layer](crate::files) that the folder was opened with.
//!
//! Errors name what was being done, never the names found: those are a user's or a component's.

mod copy;
mod remove;
mod walk;
mod yard;

use std::ffi::{CStr, CString};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use rustix::path::Arg;

use crate::error::{Result, StoreError};
use crate::files::{Action, FileHandle, Files};

pub(crate) use copy::copy;
pub(crate) use remove::remove;
pub(crate) use walk::{Bounds, Usage, usage};
pub(crate) use yard::{YARD, Yard};

/// Of every file and folder that is made: for this user alone.
const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);
const FOLDER_MODE: Mode = Mode::RWXU;
const OPEN_FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC);
const OPEN_FILE: OFlags =
    OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// An open folder; of what else holds its descriptor, where that is borrowed.
#[derive(Debug)]
pub(crate) struct Folder<Fd: AsFd = OwnedFd> {
    fd: Fd,
    /// What it is to the daemon, for errors.
    what: &'static str,
    files: Files,
    /// The path it was opened by; empty where nobody observes.
    place: PathBuf,
}

/// What stands under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing.
    Absent,
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// Anything else: a link, a FIFO, a socket, a device.
    Other,
}

impl Kind {
    fn of(stat: &Stat) -> Self {
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Folder,
            _ => Kind::Other,
        }
    }
}

impl Folder {
    /// Opens a folder of the daemon's own by its path, making it where it is missing.
    pub(crate) fn open_own(files: &Files, path: &Path, what: &'static str) -> Result<Self> {
        crate::layout::make_private_dir(files, path)
            .map_err(|source| StoreError::io(what, path, source))?;
        let fd = files
            .before(Action::Open, path)
            .and_then(|()| rustix::fs::open(path, OPEN_FOLDER, Mode::empty()))
            .map_err(|errno| StoreError::io(what, path, errno.into()))?;
        let place = if files.is_observed() { path.to_owned() } else { PathBuf::new() };
        Ok(Self { fd, what, files: files.clone(), place })
    }

    /// The same folder, open once more.
    pub(crate) fn try_clone(&self) -> Result<Self> {
        let fd = self.fd.try_clone().map_err(|error| self.failed_io("opening a folder", error))?;
        Ok(self.beside(fd))
    }
}

impl<Fd: AsFd> Folder<Fd> {
    /// Another descriptor of the same folder.
    fn beside<Other: AsFd>(&self, fd: Other) -> Folder<Other> {
        Folder { fd, what: self.what, files: self.files.clone(), place: self.place.clone() }
    }

    /// The path of a name in it; empty where nobody observes.
    fn path_of(&self, name: impl Arg + Copy) -> PathBuf {
        if !self.files.is_observed() {
            return PathBuf::new();
        }
        self.place.join(name.to_string_lossy().as_ref())
    }

    /// To be called before a step on a name in it.
    fn before(&self, action: Action<'_>, name: impl Arg + Copy) -> rustix::io::Result<()> {
        self.files.before(action, &self.path_of(name))
    }

    /// To be called before a step on the folder itself.
    fn before_own(&self, action: Action<'_>) -> rustix::io::Result<()> {
        self.files.before(action, &self.place)
    }

    fn failed(&self, doing: &str, errno: Errno) -> StoreError {
        self.failed_io(doing, errno.into())
    }

    fn failed_io(&self, doing: &str, source: io::Error) -> StoreError {
        failed(self.what, doing, source)
    }

    /// What stands under a name, without opening it.
    pub(crate) fn kind(&self, name: impl Arg + Copy) -> Result<Kind> {
        Ok(self.stat(name)?.as_ref().map_or(Kind::Absent, Kind::of))
    }

    fn stat(&self, name: impl Arg + Copy) -> Result<Option<Stat>> {
        let looked = self
            .before(Action::Look, name)
            .and_then(|()| rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW));
        match looked {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(self.failed("looking at a name", errno)),
        }
    }

    fn own_stat(&self) -> Result<Stat> {
        let looked = self.before_own(Action::Look).and_then(|()| rustix::fs::fstat(&self.fd));
        looked.map_err(|errno| self.failed("looking at a folder", errno))
    }

    /// When it was last changed, in Unix seconds.
    pub(crate) fn modified(&self) -> Result<i64> {
        Ok(self.own_stat()?.st_mtime)
    }

    /// Opens the folder of this name; `None` where there is nothing, or something else.
    pub(crate) fn child(&self, name: impl Arg + Copy) -> Result<Option<Folder>> {
        let opened = self
            .before(Action::Open, name)
            .and_then(|()| rustix::fs::openat(&self.fd, name, OPEN_FOLDER, Mode::empty()));
        match opened {
            Ok(fd) => Ok(Some(Folder { place: self.path_of(name), ..self.beside(fd) })),
            // A link gives one of the last two, by the system.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(errno) => Err(self.failed("opening a folder", errno)),
        }
    }

    /// Makes the folder of this name where it is missing, and opens it. Its name is not synced.
    pub(crate) fn make_child(&self, name: impl Arg + Copy) -> Result<Folder> {
        let made = self
            .before(Action::MakeFolder, name)
            .and_then(|()| rustix::fs::mkdirat(&self.fd, name, FOLDER_MODE));
        match made {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(self.failed("making a folder", errno)),
        }
        self.child(name)?.ok_or_else(|| self.failed("opening a folder that is none", Errno::NOTDIR))
    }

    /// Opens the regular file of this name to read it; `None` where there is nothing, or something else.
    pub(crate) fn file(&self, name: impl Arg + Copy) -> Result<Option<FileHandle>> {
        // Looked at before, for to open a device may do something; and after, for it may be another now.
        if self.kind(name)? != Kind::File {
            return Ok(None);
        }
        self.open_regular(name, Action::Open, OPEN_FILE)
    }

    fn open_regular(
        &self,
        name: impl Arg + Copy,
        action: Action<'_>,
        flags: OFlags,
    ) -> Result<Option<FileHandle>> {
        let opened = self
            .before(action, name)
            .and_then(|()| rustix::fs::openat(&self.fd, name, flags, FILE_MODE));
        let fd = match opened {
            Ok(fd) => fd,
            Err(Errno::NOENT | Errno::LOOP | Errno::NXIO | Errno::ISDIR) => return Ok(None),
            Err(errno) => return Err(self.failed("opening a file", errno)),
        };
        let looked = self.before(Action::Look, name).and_then(|()| rustix::fs::fstat(&fd));
        let stat = looked.map_err(|errno| self.failed("looking at a file", errno))?;
        Ok((Kind::of(&stat) == Kind::File).then(|| self.handle(fd, name)))
    }

    /// Opens the regular file of this name to append to it, making it where it is missing.
    ///
    /// # Errors
    /// Where it can't be opened, or is no regular file.
    pub(crate) fn append(&self, name: &str) -> Result<FileHandle> {
        let flags =
            OPEN_FILE.difference(OFlags::RDONLY) | OFlags::RDWR | OFlags::APPEND | OFlags::CREATE;
        self.open_regular(name, Action::Create, flags)?
            .ok_or_else(|| self.failed("opening a file that is none", Errno::INVAL))
    }

    /// The whole of a small regular file; `None` where there is none.
    ///
    /// # Errors
    /// Where it can't be read, or is longer than `most` bytes.
    pub(crate) fn read(&self, name: &str, most: usize) -> Result<Option<Vec<u8>>> {
        let Some(file) = self.file(name)? else { return Ok(None) };
        let mut bytes = Vec::new();
        let read = file.take(most as u64 + 1).read_to_end(&mut bytes);
        read.map_err(|error| self.failed_io("reading a file", error))?;
        if bytes.len() > most {
            return Err(self.failed("reading a file that is too long", Errno::FBIG));
        }
        Ok(Some(bytes))
    }

    /// When the regular file of this name was last changed, in Unix seconds, and its size.
    pub(crate) fn file_times(&self, name: &str) -> Result<Option<(i64, u64)>> {
        let stat = self.stat(name)?.filter(|stat| Kind::of(stat) == Kind::File);
        Ok(stat.map(|stat| (stat.st_mtime, u64::try_from(stat.st_size).unwrap_or(0))))
    }

    /// Makes a file that must not be there yet.
    fn create(&self, name: impl Arg + Copy) -> Result<FileHandle> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = self
            .before(Action::Create, name)
            .and_then(|()| rustix::fs::openat(&self.fd, name, flags, FILE_MODE));
        made.map(|fd| self.handle(fd, name)).map_err(|errno| self.failed("making a file", errno))
    }

    fn handle(&self, fd: OwnedFd, name: impl Arg + Copy) -> FileHandle {
        self.files.handle(fd.into(), self.path_of(name))
    }

    /// Makes an empty file in the place of whatever but a folder stood under the name.
    pub(crate) fn create_anew(&self, name: &str) -> Result<FileHandle> {
        self.unlink(name)?;
        self.create(name)
    }

    /// Makes a file with this content, on disk before it returns; whatever stood under the name, as a
    /// crash may have left it, is removed first. The name itself is not synced.
    pub(crate) fn write_new(&self, name: &str, content: &[u8]) -> Result<()> {
        let mut file = self.create_anew(name)?;
        let written = file.write_all(content).and_then(|()| file.sync_all());
        written.map_err(|error| self.failed_io("writing a file", error))
    }

    /// Replaces a file by this content: whoever reads it, or a crash, finds the old one or the new one.
    /// `beside` is the name it is written under before.
    pub(crate) fn replace(&self, name: &str, beside: &str, content: &[u8]) -> Result<()> {
        self.write_new(beside, content)?;
        self.rename(beside, self, name)?;
        self.sync()
    }

    fn renamed<To: AsFd>(
        &self,
        name: impl Arg + Copy,
        to: &Folder<To>,
        new_name: impl Arg + Copy,
    ) -> rustix::io::Result<()> {
        self.before(Action::Rename { to: &to.path_of(new_name) }, name)?;
        rustix::fs::renameat(&self.fd, name, &to.fd, new_name)
    }

    /// Puts a file in the place of another or of nothing; false where a folder stands there.
    pub(crate) fn rename_over_file(&self, name: &str, to: &Folder, new_name: &str) -> Result<bool> {
        match self.renamed(name, to, new_name) {
            Ok(()) => Ok(true),
            Err(Errno::ISDIR | Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
            Err(errno) => Err(self.failed("renaming", errno)),
        }
    }

    /// Renames what is here to a name in another folder.
    pub(crate) fn rename<To: AsFd>(
        &self,
        name: &str,
        to: &Folder<To>,
        new_name: &str,
    ) -> Result<()> {
        self.renamed(name, to, new_name).map_err(|errno| self.failed("renaming", errno))
    }

    /// Puts a folder in the place of one that is empty or missing; false where it is not empty.
    pub(crate) fn rename_over_empty(
        &self,
        name: &str,
        to: &Folder,
        new_name: &str,
    ) -> Result<bool> {
        match self.renamed(name, to, new_name) {
            Ok(()) => Ok(true),
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => Ok(false),
            Err(errno) => Err(self.failed("renaming", errno)),
        }
    }

    /// Removes a name that is no folder; whether it was there.
    pub(crate) fn unlink(&self, name: impl Arg + Copy) -> Result<bool> {
        match self.unlinked(name) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(self.failed("removing a name", errno)),
        }
    }

    fn unlinked(&self, name: impl Arg + Copy) -> rustix::io::Result<()> {
        self.before(Action::Unlink, name)?;
        rustix::fs::unlinkat(&self.fd, name, AtFlags::empty())
    }

    /// Removes an empty folder; false where it is not empty, or none.
    pub(crate) fn remove_empty(&self, name: impl Arg + Copy) -> Result<bool> {
        let removed = self
            .before(Action::RemoveFolder, name)
            .and_then(|()| rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR));
        match removed {
            Ok(()) | Err(Errno::NOENT) => Ok(true),
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => Ok(false),
            Err(errno) => Err(self.failed("removing a folder", errno)),
        }
    }

    /// Writes the names in it to disk.
    pub(crate) fn sync(&self) -> Result<()> {
        let synced = self.before_own(Action::SyncFolder).and_then(|()| rustix::fs::fsync(&self.fd));
        synced.map_err(|errno| self.failed("syncing a folder", errno))
    }

    /// Its entries, in no order, read as the caller goes.
    fn entries(&self) -> Result<Entries> {
        let listed = self.before_own(Action::List).and_then(|()| Dir::read_from(self.fd.as_fd()));
        let dir = listed.map_err(|errno| self.failed("reading a folder", errno))?;
        Ok(Entries { dir, what: self.what, files: self.files.clone(), place: self.place.clone() })
    }

    /// The names in it that are text, in no order.
    ///
    /// # Errors
    /// `too_large` where there are more than `most`; where it can't be read.
    pub(crate) fn names(&self, most: usize) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for (count, name) in self.entries()?.enumerate() {
            if count == most {
                return Err(walk::too_large(format!("a folder has more than {most} entries")));
            }
            names.extend(name?.into_string());
        }
        Ok(names)
    }

    /// Whether nothing is in it.
    pub(crate) fn is_empty(&self) -> Result<bool> {
        Ok(self.entries()?.next().transpose()?.is_none())
    }
}

/// The names in a folder, which stays open with them: one descriptor for both.
struct Entries {
    dir: Dir,
    what: &'static str,
    files: Files,
    place: PathBuf,
}

impl Entries {
    /// Reads a folder.
    fn of(folder: Folder) -> Result<Self> {
        let Folder { fd, what, files, place } = folder;
        let listed = files.before(Action::List, &place).and_then(|()| Dir::new(fd));
        let dir = listed.map_err(|errno| failed(what, "reading a folder", errno.into()))?;
        Ok(Self { dir, what, files, place })
    }

    /// The folder that is read.
    fn folder(&self) -> Result<Folder<BorrowedFd<'_>>> {
        let fd = self.dir.fd();
        let fd = fd.map_err(|errno| failed(self.what, "reading a folder", errno.into()))?;
        Ok(Folder { fd, what: self.what, files: self.files.clone(), place: self.place.clone() })
    }
}

impl Iterator for Entries {
    type Item = Result<CString>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.dir.read()? {
                Ok(entry) if is_dots(entry.file_name()) => {}
                Ok(entry) => return Some(Ok(entry.file_name().to_owned())),
                Err(errno) => {
                    return Some(Err(failed(self.what, "reading a folder", errno.into())));
                }
            }
        }
    }
}

fn failed(what: &str, doing: &str, source: io::Error) -> StoreError {
    let what = format!("{what}: {doing}");
    if source.kind() == io::ErrorKind::StorageFull {
        return StoreError::DiskFull(what);
    }
    StoreError::Io { what, source }
}

fn is_dots(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

#[cfg(test)]
mod tests;
