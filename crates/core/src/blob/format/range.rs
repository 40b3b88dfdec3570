//! Reading a range of a format 1 file, in constant memory.
//!
//! Stored bytes are read by the megabyte and opened chunk by chunk, straight into the caller's
//! buffer where a whole chunk fits and is wanted. Only the chunks that the range needs are touched.

use std::io;

use zeroize::Zeroize;

use super::compress::Decompressor;
use super::open::{BlobReader, read_exact};
use super::{FormatError, ReadAt, index, length};

/// How much is read from the file at once: enough for calls to cost nothing beside the cipher, and
/// little enough for the buffer to stay in a processor's cache.
const READ_BYTES: usize = 1024 * 1024;

/// A reader of part of a content, or of all of it.
pub struct RangeReader<F: ReadAt> {
    blob: BlobReader<F>,
    /// The next chunk to open; its stored bytes stand at the front of `stored`, if any do.
    chunk: u64,
    /// Bytes at the front of that chunk which come before the range.
    skip: usize,
    /// Bytes of the range that have not been handed out.
    remaining: u64,
    stored: Vec<u8>,
    stored_from: usize,
    stored_to: usize,
    /// A chunk that was opened and has been handed out only in part.
    plain: Vec<u8>,
    plain_from: usize,
    plain_to: usize,
    decompressor: Decompressor,
}

impl<F: ReadAt> RangeReader<F> {
    pub(super) fn new(blob: BlobReader<F>, offset: u64, len: u64) -> Result<Self, FormatError> {
        let plaintext_len = blob.plaintext_len();
        if offset > plaintext_len {
            return Err(FormatError::OutOfRange { offset, len: plaintext_len });
        }
        let mut reader = Self::whole(blob);
        reader.restart(offset, len.min(plaintext_len - offset));
        Ok(reader)
    }

    /// Goes on with another range, which must lie within the content, and keeps the buffers.
    pub(super) fn restart(&mut self, offset: u64, len: u64) {
        let chunk_size = length(self.blob.header().chunk_size.bytes());
        self.chunk = offset / chunk_size;
        self.skip = index(offset % chunk_size);
        self.remaining = len;
        self.stored_from = self.stored_to;
        self.plain_from = self.plain_to;
    }

    pub(super) fn whole(blob: BlobReader<F>) -> Self {
        Self {
            chunk: 0,
            skip: 0,
            remaining: blob.plaintext_len(),
            blob,
            stored: Vec::new(),
            stored_from: 0,
            stored_to: 0,
            plain: Vec::new(),
            plain_from: 0,
            plain_to: 0,
            decompressor: Decompressor::default(),
        }
    }

    /// How many bytes are still to come.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.remaining
    }

    /// Fills `out` and answers how many bytes were written to it: all of it, unless the range ends
    /// or the file fails behind them. 0 means the end, for an `out` that is not empty.
    ///
    /// # Errors
    /// When the next byte can't be had; asking again gives the same error. Bytes before it have
    /// been handed out by earlier calls.
    pub fn fill(&mut self, out: &mut [u8]) -> Result<usize, FormatError> {
        let mut filled = 0;
        while filled < out.len() && self.remaining > 0 {
            match self.fill_some(&mut out[filled..]) {
                Ok(len) => filled += len,
                Err(_) if filled > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    /// Hands out what is at hand, at least one byte.
    fn fill_some(&mut self, out: &mut [u8]) -> Result<usize, FormatError> {
        if self.plain_from == self.plain_to {
            if self.stored_from == self.stored_to {
                self.read_stored()?;
            }
            let chunk_len = self.blob.header().chunk_len(self.chunk);
            let wanted = index(self.remaining.min(length(chunk_len - self.skip)));
            if wanted == chunk_len && wanted <= out.len() {
                self.open_next(&mut out[..wanted])?;
                self.remaining -= length(wanted);
                return Ok(wanted);
            }
            let mut plain = std::mem::take(&mut self.plain);
            plain.resize(chunk_len, 0);
            let opened = self.open_next(&mut plain);
            self.plain = plain;
            opened?;
            self.plain_from = self.skip;
            self.plain_to = self.skip + wanted;
            self.skip = 0;
        }
        let len = out.len().min(self.plain_to - self.plain_from);
        out[..len].copy_from_slice(&self.plain[self.plain_from..self.plain_from + len]);
        self.plain_from += len;
        self.remaining -= length(len);
        Ok(len)
    }

    /// Opens the chunk at the front of `stored`. Only then is it counted as read, so that after an
    /// error the same chunk is tried again.
    fn open_next(&mut self, out: &mut [u8]) -> Result<(), FormatError> {
        let stored_to = self.stored_from + self.blob.chunk_stored_len(self.chunk);
        let stored = &self.stored[self.stored_from..stored_to];
        self.blob.open_chunk(self.chunk, stored, out, &mut self.decompressor)?;
        self.stored_from = stored_to;
        self.chunk += 1;
        Ok(())
    }

    /// Reads the stored bytes of the next chunks: as many as the range needs and the buffer takes,
    /// but one at least.
    fn read_stored(&mut self) -> Result<(), FormatError> {
        let chunk_size = length(self.blob.header().chunk_size.bytes());
        let last = self.chunk + (length(self.skip) + self.remaining - 1) / chunk_size;
        let mut len = self.blob.chunk_stored_len(self.chunk);
        for chunk in self.chunk + 1..=last {
            let longer = len + self.blob.chunk_stored_len(chunk);
            if longer > READ_BYTES {
                break;
            }
            len = longer;
        }
        if self.stored.len() < len {
            self.stored.resize(len, 0);
        }
        read_exact(self.blob.file(), &mut self.stored[..len], self.blob.chunk_place(self.chunk))?;
        self.stored_from = 0;
        self.stored_to = len;
        Ok(())
    }
}

impl<F: ReadAt> io::Read for RangeReader<F> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.fill(out).map_err(FormatError::into_io)
    }
}

impl<F: ReadAt> Drop for RangeReader<F> {
    fn drop(&mut self) {
        self.plain.zeroize();
    }
}
