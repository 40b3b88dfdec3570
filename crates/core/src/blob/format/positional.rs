//! Reading and writing files at a place, without a cursor.
//!
//! The traits are the only way in which this folder touches a file, so that tests and fuzzers can
//! hand in memory, and fault injection a file that fails at the n-th call.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use crate::files::FileHandle;

/// Something that can be read at any place, by several readers at once.
pub trait ReadAt {
    /// Fills `buf` from `offset` on.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] when the file ends before `buf` is full.
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()>;

    /// The length in bytes.
    ///
    /// # Errors
    /// When the file system does not tell.
    fn file_len(&self) -> io::Result<u64>;
}

/// Something that can be written at any place.
pub trait WriteAt: Sync {
    /// Writes all of `buf` from `offset` on.
    ///
    /// # Errors
    /// When the file system does; some of the bytes may have been written.
    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()>;

    /// Brings what has been written so far nearer to the disk, while more is being written. Promises
    /// nothing; where it would not help, it need not do anything.
    ///
    /// # Errors
    /// When the system reports that something written before is lost. It may report that only once,
    /// so the error must not be ignored.
    fn flush_behind(&self) -> io::Result<()> {
        Ok(())
    }
}

impl ReadAt for File {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, buf, offset)
    }

    fn file_len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

impl WriteAt for File {
    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        FileExt::write_all_at(self, buf, offset)
    }

    fn flush_behind(&self) -> io::Result<()> {
        self.sync_data()
    }
}

impl ReadAt for FileHandle {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        FileHandle::read_exact_at(self, buf, offset)
    }

    fn file_len(&self) -> io::Result<u64> {
        self.length()
    }
}

impl WriteAt for FileHandle {
    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        FileHandle::write_all_at(self, buf, offset)
    }

    fn flush_behind(&self) -> io::Result<()> {
        FileHandle::flush_behind(self)
    }
}

impl ReadAt for [u8] {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = self.get(start..).and_then(|rest| rest.get(..buf.len()));
        buf.copy_from_slice(rest.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn file_len(&self) -> io::Result<u64> {
        Ok(super::length(self.len()))
    }
}

impl ReadAt for Vec<u8> {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.as_slice().read_exact_at(buf, offset)
    }

    fn file_len(&self) -> io::Result<u64> {
        self.as_slice().file_len()
    }
}

impl<T: ReadAt + ?Sized> ReadAt for &T {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        (**self).read_exact_at(buf, offset)
    }

    fn file_len(&self) -> io::Result<u64> {
        (**self).file_len()
    }
}

impl<T: ReadAt + ?Sized> ReadAt for Arc<T> {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        (**self).read_exact_at(buf, offset)
    }

    fn file_len(&self) -> io::Result<u64> {
        (**self).file_len()
    }
}
