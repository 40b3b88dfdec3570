//! An open file.

use std::fs::{File, Metadata, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use super::{Action, Files};

/// An open file, each step on which goes through the [layer](super).
#[derive(Debug)]
pub struct FileHandle {
    file: File,
    files: Files,
    /// What it was opened by; empty where nobody observes.
    path: PathBuf,
}

impl FileHandle {
    pub(super) fn new(file: File, files: Files, path: PathBuf) -> Self {
        Self { file, files, path }
    }

    fn before(&self, action: Action<'_>) -> io::Result<()> {
        Ok(self.files.before(action, &self.path)?)
    }

    /// Reads some bytes from a place on; none at the end.
    ///
    /// # Errors
    /// Where it can't be read.
    pub fn read_at(&self, buffer: &mut [u8], place: u64) -> io::Result<usize> {
        let action = Action::Read { place: Some(place), length: buffer.len() };
        let length = self.files.allowed(action, &self.path, buffer.len())?;
        self.file.read_at(&mut buffer[..length], place)
    }

    /// Fills a buffer from a place on.
    ///
    /// # Errors
    /// `UnexpectedEof` where the file ends before; where it can't be read.
    pub fn read_exact_at(&self, mut buffer: &mut [u8], mut place: u64) -> io::Result<()> {
        while !buffer.is_empty() {
            match self.read_at(buffer, place) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => {
                    buffer = &mut buffer[read..];
                    place += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Writes some bytes from a place on; says how many.
    ///
    /// # Errors
    /// Where it can't be written.
    pub fn write_at(&self, bytes: &[u8], place: u64) -> io::Result<usize> {
        let action = Action::Write { place: Some(place), length: bytes.len() };
        let length = self.files.allowed(action, &self.path, bytes.len())?;
        self.file.write_at(&bytes[..length], place)
    }

    /// Writes all bytes from a place on.
    ///
    /// # Errors
    /// Where they can't be written; a part of them may have been.
    pub fn write_all_at(&self, mut bytes: &[u8], mut place: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.write_at(bytes, place) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    bytes = &bytes[written..];
                    place += written as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Cuts or lengthens it.
    ///
    /// # Errors
    /// Where the system refuses.
    pub fn set_len(&self, length: u64) -> io::Result<()> {
        self.before(Action::SetLength { length })?;
        self.file.set_len(length)
    }

    /// Changes who may do what with it.
    ///
    /// # Errors
    /// Where the system refuses.
    pub fn set_permissions(&self, permissions: Permissions) -> io::Result<()> {
        self.before(Action::SetMode)?;
        self.file.set_permissions(permissions)
    }

    /// Its content is on disk when this returns, and what is needed to find it.
    ///
    /// # Errors
    /// Where something written before may be lost.
    pub fn sync_data(&self) -> io::Result<()> {
        self.before(Action::Sync)?;
        self.file.sync_data()
    }

    /// The same with its times and rights.
    ///
    /// # Errors
    /// As [`sync_data`](Self::sync_data).
    pub fn sync_all(&self) -> io::Result<()> {
        self.before(Action::Sync)?;
        self.file.sync_all()
    }

    /// Brings what was written nearer to the disk; promises nothing.
    ///
    /// # Errors
    /// As [`sync_data`](Self::sync_data).
    pub fn flush_behind(&self) -> io::Result<()> {
        self.before(Action::FlushBehind)?;
        self.file.sync_data()
    }

    /// What the file system knows of it.
    ///
    /// # Errors
    /// Where it does not tell.
    pub fn metadata(&self) -> io::Result<Metadata> {
        self.before(Action::Look)?;
        self.file.metadata()
    }

    /// Its length in bytes.
    ///
    /// # Errors
    /// Where the file system does not tell.
    pub fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    /// Locks it for this process alone, unless another has it.
    ///
    /// # Errors
    /// `WouldBlock` where another has it.
    pub fn try_lock(&self) -> Result<(), TryLockError> {
        self.before(Action::Lock).map_err(TryLockError::Error)?;
        self.file.try_lock()
    }
}

/// From where the last reading ended.
impl Read for FileHandle {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let action = Action::Read { place: None, length: buffer.len() };
        let length = self.files.allowed(action, &self.path, buffer.len())?;
        self.file.read(&mut buffer[..length])
    }
}

/// From where the last writing ended, or at the end where it was opened so.
impl Write for FileHandle {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let action = Action::Write { place: None, length: bytes.len() };
        let length = self.files.allowed(action, &self.path, bytes.len())?;
        self.file.write(&bytes[..length])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
