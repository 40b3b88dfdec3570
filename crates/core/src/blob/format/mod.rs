//! The formats of blob files: what stands on the disk, byte by byte, and nothing else.
//!
//! This folder turns content into sealed files and back. It does not know where files lie, what
//! they are named, who may read them or when they are synced; it is handed open files and keys.
//! Layers, from below: `positional` (access to files), `cipher` (keys, nonces, tags), `header`
//! and `index` (the parts of a file), `compress` (which chunks are worth it), [`Sealer`] and
//! [`BlobReader`] (the whole of it), and [`seal_stream`] and [`ReadAhead`] on top, which drive them at
//! the speed of the machine.
//!
//! **Format 1**, which is written: a header of 208 bytes with the file's own key, wrapped, and the
//! content in chunks, each sealed by itself (the STREAM construction). **Format 0**, which is only
//! read: the whole content under one nonce and one tag. `docs/formats.md` specifies both, with the
//! reasons.
//!
//! Two rules hold for all readers here. No byte is answered that has not been authenticated, as
//! part of the very content that was asked for, at the very place it was asked for. And no length
//! is believed before it is bounded, so that no file, however made, costs more than a fixed amount
//! of memory or makes a reader panic.

mod ahead;
mod any;
mod cipher;
mod compress;
mod crew;
mod format0;
mod header;
mod index;
mod open;
mod pipeline;
mod positional;
mod range;
mod seal;
#[cfg(test)]
mod tests;
mod writer;

use std::io;

pub use ahead::ReadAhead;
pub use any::{AnyBlob, AnyRange};
pub use cipher::FileKey;
pub use compress::Compressor;
pub use format0::{Format0Range, Format0Reader, UNAUTHENTIC};
pub use header::{ChunkSize, Codec, Header, Slot};
pub use open::BlobReader;
pub use pipeline::{SealError, Sealed, seal_stream};
pub use positional::{ReadAt, WriteAt};
pub use range::RangeReader;
pub use seal::{Sealer, Trailer};

/// The first eight bytes of a format 1 file.
pub const MAGIC: [u8; 8] = *b"OSNBLOB1";

/// Length of a format 1 header in bytes; the first chunk begins here.
pub const HEADER_LEN: usize = 208;

/// Length of a Poly1305 tag in bytes.
pub const TAG_LEN: usize = 16;

/// The longest content that a file may hold: the greatest integer that JSON carries exactly. With
/// it, no sum of lengths in this folder can overflow.
pub const MAX_PLAINTEXT_LEN: u64 = (1 << 53) - 1;

/// The SHA-256 of a content, its address.
pub type ContentHash = [u8; 32];

/// Why a blob file can't be read.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// The file is whole as far as can be seen, but sealed under a master key that was not given.
    #[error("the file is sealed under another master key")]
    UnknownKey,
    /// The file is not what was written under this hash: damaged, cut off, changed, or put here
    /// under a wrong name. Says which part gave it away.
    #[error("the file is damaged: {what}")]
    Damaged {
        /// The part that does not fit, in words for the log.
        what: &'static str,
    },
    /// The range begins behind the end of the content.
    #[error("the range begins at {offset}, behind the end of the content at {len}")]
    OutOfRange {
        /// Where the range begins.
        offset: u64,
        /// How long the content is.
        len: u64,
    },
    /// The file system failed. The file may be fine.
    #[error("the file can't be read")]
    Io(#[from] io::Error),
}

impl FormatError {
    /// Shorthand for [`FormatError::Damaged`].
    pub(crate) fn damaged(what: &'static str) -> Self {
        Self::Damaged { what }
    }

    /// As an [`io::Error`], for readers that stand behind [`io::Read`].
    fn into_io(self) -> io::Error {
        match self {
            Self::Io(error) => error,
            other => io::Error::new(io::ErrorKind::InvalidData, other),
        }
    }
}

/// A length that the caller has bounded by a buffer or by the size of a chunk, as an index.
fn index(len: u64) -> usize {
    let bounded = usize::try_from(len);
    assert!(bounded.is_ok(), "a bounded length exceeds the address space");
    bounded.unwrap_or(usize::MAX)
}

/// A length in memory as a length in a file. No supported platform has wider addresses.
fn length(len: usize) -> u64 {
    len as u64
}
