//! The index of a compressed file: how long each of its chunks is as stored.
//!
//! Without compression a chunk's place follows from its number. With it, the lengths stand behind
//! the chunks, sealed. The whole index is held while the file is open; its size is bounded, and so is
//! the length of contents that are compressed.

use super::cipher::FileCiphers;
use super::header::Header;
use super::open::read_exact;
use super::{FormatError, HEADER_LEN, ReadAt, TAG_LEN, index, length};

/// The longest index that is read into memory: 4 million chunks, 256 GiB of content in chunks of
/// 64 KiB. A writer must not compress longer content.
pub(super) const MAX_INDEX_LEN: u64 = 16 * 1024 * 1024;

/// Places are kept for every so many chunks; between them, lengths are added up.
const STRIDE: usize = 256;

/// Whether the index of so many chunks is short enough for readers.
pub(super) fn fits_index(chunks: u64) -> bool {
    chunks <= (MAX_INDEX_LEN - length(TAG_LEN)) / 4
}

/// The sealed index of chunks that have these lengths. Once in the life of a file key.
pub(super) fn seal_lens(lens: &[u32], header: &Header, ciphers: &FileCiphers) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(index(header.index_len()));
    sealed.extend(lens.iter().flat_map(|len| len.to_be_bytes()));
    ciphers.seal_index(&header.prefix(), &mut sealed);
    sealed
}

/// Where the chunks of a compressed file lie.
pub(super) struct ChunkIndex {
    stored_lens: Vec<u32>,
    places: Vec<u64>,
}

impl ChunkIndex {
    /// Reads and opens the index, and checks that its lengths are possible and fill the body.
    pub(super) fn read(
        file: &(impl ReadAt + ?Sized),
        header: &Header,
        ciphers: &FileCiphers,
    ) -> Result<Self, FormatError> {
        let index_len = header.index_len();
        if index_len > MAX_INDEX_LEN {
            return Err(FormatError::damaged("the index is longer than any that is written"));
        }
        let chunks_len = header.body_len - index_len;
        let mut sealed = vec![0; index(index_len)];
        read_exact(file, &mut sealed, length(HEADER_LEN) + chunks_len)?;
        let lens = ciphers.open_index(&header.prefix(), &mut sealed)?;

        let mut stored_lens = Vec::with_capacity(lens.len() / 4);
        let mut places = Vec::with_capacity(lens.len() / 4 / STRIDE + 1);
        let mut place = length(HEADER_LEN);
        for (chunk, len) in (0..).zip(lens.as_chunks::<4>().0) {
            let stored_len = u32::from_be_bytes(*len);
            let longest = header.chunk_len(chunk) + TAG_LEN;
            if !(TAG_LEN..=longest).contains(&(stored_len as usize)) {
                return Err(FormatError::damaged("the index has a chunk of impossible length"));
            }
            if stored_lens.len().is_multiple_of(STRIDE) {
                places.push(place);
            }
            stored_lens.push(stored_len);
            place += u64::from(stored_len);
        }
        if place != length(HEADER_LEN) + chunks_len {
            return Err(FormatError::damaged("the lengths in the index do not fill the body"));
        }
        Ok(Self { stored_lens, places })
    }

    /// Where a chunk begins in the file.
    pub(super) fn place(&self, chunk: u64) -> u64 {
        let chunk = index(chunk);
        let from = chunk / STRIDE * STRIDE;
        let between = self.stored_lens[from..chunk].iter().map(|&len| u64::from(len));
        self.places[chunk / STRIDE] + between.sum::<u64>()
    }

    /// How long a chunk is as stored, its tag included.
    pub(super) fn stored_len(&self, chunk: u64) -> usize {
        self.stored_lens[index(chunk)] as usize
    }
}
