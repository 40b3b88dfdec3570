//! Opening a format 1 file: the header is authenticated against the hash that was asked for, and
//! single chunks can then be opened.
//!
//! It knows where chunks lie and how they are opened; which of them a caller wants, and through
//! which buffers, is the business of [`RangeReader`].

use std::io;
use std::sync::Arc;

use super::cipher::{ChunkNonce, FileCiphers, FileKey};
use super::compress::Decompressor;
use super::header::{Codec, Header, slot_at};
use super::index::ChunkIndex;
use super::{ContentHash, FormatError, HEADER_LEN, RangeReader, ReadAt, TAG_LEN, WriteAt, length};
use crate::vault::keys::{KeyId, KeySet};

/// An opened format 1 file. Cheap to clone; readers of different ranges may work at once.
pub struct BlobReader<F: ReadAt>(Arc<Opened<F>>);

struct Opened<F> {
    file: F,
    header: Header,
    ciphers: FileCiphers,
    index: Option<ChunkIndex>,
    opened_by: usize,
}

impl<F: ReadAt> BlobReader<F> {
    /// Opens a file as the content with this hash. Any of `keys` may be the one; each is tried on
    /// the slots that bear its id, the first of `keys` first.
    ///
    /// Nothing but the header is read (and the index of a compressed file); a chunk that is damaged
    /// fails where it is read.
    ///
    /// # Errors
    /// [`FormatError::UnknownKey`] when the file is under none of `keys`, [`FormatError::Damaged`]
    /// when it is not the content with this hash, [`FormatError::Io`] when the file system fails.
    pub fn open(file: F, sha256: &ContentHash, keys: &[&KeySet]) -> Result<Self, FormatError> {
        let mut bytes = [0; HEADER_LEN];
        read_exact(&file, &mut bytes, 0)?;
        let header = Header::parse(&bytes)?;
        if file.file_len()? != length(HEADER_LEN) + header.body_len {
            return Err(FormatError::damaged("the file has not the length its header says"));
        }
        let (opened_by, file_key) = unwrap_file_key(&header, keys)?;
        let ciphers = FileCiphers::new(&file_key);
        if !ciphers.header_tag_holds(&header.prefix(), sha256, &header.tag) {
            return Err(FormatError::damaged("the header does not authenticate for this hash"));
        }
        let index = match header.codec {
            Codec::None => None,
            Codec::Zstd => Some(ChunkIndex::read(&file, &header, &ciphers)?),
        };
        let opened = Self(Arc::new(Opened { file, header, ciphers, index, opened_by }));
        if opened.plaintext_len() == 0 {
            opened.check_empty_chunk()?;
        }
        Ok(opened)
    }

    /// The chunk of empty content is never reached by a reader of ranges, so it is checked at once.
    fn check_empty_chunk(&self) -> Result<(), FormatError> {
        let mut stored = [0; TAG_LEN];
        read_exact(self.file(), &mut stored, self.chunk_place(0))?;
        self.open_chunk(0, &stored, &mut [], &mut Decompressor::default())
    }

    /// The length of the content.
    #[must_use]
    pub fn plaintext_len(&self) -> u64 {
        self.0.header.plaintext_len
    }

    /// The length of the file.
    #[must_use]
    pub fn stored_len(&self) -> u64 {
        length(HEADER_LEN) + self.0.header.body_len
    }

    /// The header, authenticated but for the slot that was not needed.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.0.header
    }

    /// The master key under which the file was opened.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        self.0.header.slots[self.0.opened_by].key_id
    }

    /// A reader of `len` bytes from `offset` on, fewer where the content ends before.
    ///
    /// # Errors
    /// [`FormatError::OutOfRange`] when `offset` lies behind the end.
    pub fn range(&self, offset: u64, len: u64) -> Result<RangeReader<F>, FormatError> {
        RangeReader::new(self.clone(), offset, len)
    }

    /// A reader of the whole content.
    #[must_use]
    pub fn whole(&self) -> RangeReader<F> {
        RangeReader::whole(self.clone())
    }

    pub(super) fn file(&self) -> &F {
        &self.0.file
    }

    /// Where a chunk begins in the file.
    pub(super) fn chunk_place(&self, chunk: u64) -> u64 {
        match &self.0.index {
            Some(index) => index.place(chunk),
            None => length(HEADER_LEN) + chunk * length(self.0.header.chunk_size.bytes() + TAG_LEN),
        }
    }

    /// How long a chunk is in the file, its tag included.
    pub(super) fn chunk_stored_len(&self, chunk: u64) -> usize {
        match &self.0.index {
            Some(index) => index.stored_len(chunk),
            None => self.0.header.chunk_len(chunk) + TAG_LEN,
        }
    }

    /// Opens one chunk from its `stored` bytes into `out`, which has the length of its plaintext.
    pub(super) fn open_chunk(
        &self,
        chunk: u64,
        stored: &[u8],
        out: &mut [u8],
        decompressor: &mut Decompressor,
    ) -> Result<(), FormatError> {
        let nonce = ChunkNonce::opening(chunk, chunk == self.0.header.last_chunk());
        if stored.len() == out.len() + TAG_LEN {
            return self.0.ciphers.open_chunk(nonce, stored, out);
        }
        let frame = decompressor.frame(stored.len().saturating_sub(TAG_LEN));
        self.0.ciphers.open_chunk(nonce, stored, frame)?;
        decompressor.decompress(out)
    }
}

impl<F: ReadAt> Clone for BlobReader<F> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<F: ReadAt + WriteAt> BlobReader<F> {
    /// Wraps the file key under the master key of `keys` too, in place of the slot that `current`
    /// does not open. Writes 80 bytes and does not sync; a crash in between leaves the other slot,
    /// and so the file, as they were. Answers whether there was anything to do.
    ///
    /// Goes by the slots as they were when the file was opened: the caller must keep others from
    /// rewrapping it since then.
    ///
    /// # Errors
    /// When the file system fails or has no random bytes to give.
    pub fn rewrap(&self, keys: &KeySet, current: &[&KeySet]) -> Result<bool, FormatError> {
        let opened = &*self.0;
        let held = opened
            .header
            .slots
            .iter()
            .any(|slot| slot.key_id == keys.key_id() && FileKey::unwrap(slot, keys).is_some());
        if held {
            return Ok(false);
        }
        let (number, file_key) = unwrap_file_key(&opened.header, current)?;
        let mut nonce = [0; 24];
        getrandom::fill(&mut nonce)
            .map_err(|_| io::Error::other("the system gave no random bytes"))?;
        let (place, bytes) = slot_at(1 - number, &file_key.wrap(keys, nonce));
        opened.file.write_all_at(&bytes, place)?;
        Ok(true)
    }
}

/// Finds the slot that one of `keys` opens, the first of them first, and its file key. A slot that names a known key and
/// does not open is passed over: the other may be whole (a slot is rewritten in place by a new
/// master key, and a crash may tear it).
fn unwrap_file_key(header: &Header, keys: &[&KeySet]) -> Result<(usize, FileKey), FormatError> {
    let mut known = false;
    for keys in keys {
        for (number, slot) in header.slots.iter().enumerate() {
            if slot.key_id != keys.key_id() {
                continue;
            }
            known = true;
            if let Some(file_key) = FileKey::unwrap(slot, keys) {
                return Ok((number, file_key));
            }
        }
    }
    if known {
        Err(FormatError::damaged("the file key does not authenticate"))
    } else if header.slots.iter().all(super::Slot::is_empty) {
        Err(FormatError::damaged("the file has no key"))
    } else {
        Err(FormatError::UnknownKey)
    }
}

/// Reads at a place that the header says exists: a file that ends before is damaged.
pub(super) fn read_exact(
    file: &(impl ReadAt + ?Sized),
    buf: &mut [u8],
    place: u64,
) -> Result<(), FormatError> {
    file.read_exact_at(buf, place).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => FormatError::damaged("the file ends too early"),
        _ => FormatError::Io(error),
    })
}
