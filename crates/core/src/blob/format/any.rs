//! A blob file of either format, told apart by the magic, behind one interface.

use std::io;

use super::open::read_exact;
use super::{
    BlobReader, ContentHash, Format0Range, Format0Reader, FormatError, MAGIC, RangeReader, ReadAt,
    length,
};
use crate::vault::keys::KeySet;

/// An opened blob file.
pub enum AnyBlob<F: ReadAt> {
    /// The old format, verified as a whole.
    Format0(Format0Reader<F>),
    /// The present format, its header verified.
    Format1(BlobReader<F>),
}

impl<F: ReadAt> AnyBlob<F> {
    /// Opens a file as the content with this hash: at once in format 1, after reading it whole in
    /// format 0.
    ///
    /// # Errors
    /// As [`BlobReader::open`] and [`Format0Reader::verify`].
    pub fn open(file: F, sha256: &ContentHash, keys: &[&KeySet]) -> Result<Self, FormatError> {
        // A format 0 file begins with a random nonce: one in 2^64 begins with the magic.
        let mut magic = [0; MAGIC.len()];
        if file.file_len()? >= length(MAGIC.len()) {
            read_exact(&file, &mut magic, 0)?;
        }
        if magic == MAGIC {
            BlobReader::open(file, sha256, keys).map(Self::Format1)
        } else {
            Format0Reader::verify(file, sha256, keys).map(Self::Format0)
        }
    }

    /// The number of the format.
    #[must_use]
    pub fn format(&self) -> u8 {
        match self {
            Self::Format0(_) => 0,
            Self::Format1(_) => 1,
        }
    }

    /// The length of the content.
    #[must_use]
    pub fn plaintext_len(&self) -> u64 {
        match self {
            Self::Format0(blob) => blob.plaintext_len(),
            Self::Format1(blob) => blob.plaintext_len(),
        }
    }

    /// The length of the file.
    #[must_use]
    pub fn stored_len(&self) -> u64 {
        match self {
            Self::Format0(blob) => blob.stored_len(),
            Self::Format1(blob) => blob.stored_len(),
        }
    }

    /// A reader of `len` bytes from `offset` on, fewer where the content ends before.
    ///
    /// # Errors
    /// [`FormatError::OutOfRange`] when `offset` lies behind the end.
    pub fn range(&self, offset: u64, len: u64) -> Result<AnyRange<F>, FormatError> {
        match self {
            Self::Format0(blob) => blob.range(offset, len).map(AnyRange::Format0),
            Self::Format1(blob) => blob.range(offset, len).map(AnyRange::Format1),
        }
    }

    /// A reader of the whole content.
    #[must_use]
    pub fn whole(&self) -> AnyRange<F> {
        match self {
            Self::Format0(blob) => AnyRange::Format0(blob.whole()),
            Self::Format1(blob) => AnyRange::Format1(blob.whole()),
        }
    }
}

/// A reader of part of a content, or of all of it.
pub enum AnyRange<F: ReadAt> {
    /// Out of a format 0 file.
    Format0(Format0Range<F>),
    /// Out of a format 1 file.
    Format1(RangeReader<F>),
}

impl<F: ReadAt> AnyRange<F> {
    /// How many bytes are still to come.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        match self {
            Self::Format0(range) => range.remaining(),
            Self::Format1(range) => range.remaining(),
        }
    }

    /// Fills `out`; see [`RangeReader::fill`].
    ///
    /// # Errors
    /// When the next byte can't be had.
    pub fn fill(&mut self, out: &mut [u8]) -> Result<usize, FormatError> {
        match self {
            Self::Format0(range) => range.fill(out),
            Self::Format1(range) => range.fill(out),
        }
    }
}

impl<F: ReadAt> io::Read for AnyRange<F> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.fill(out).map_err(FormatError::into_io)
    }
}
