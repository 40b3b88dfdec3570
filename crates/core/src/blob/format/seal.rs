//! Sealing content as a format 1 file, chunk by chunk.
//!
//! The sealer keeps the rules of the format; it neither reads nor writes. A driver such as
//! [`super::seal_stream`] brings the content, puts the chunks one behind the other from
//! [`super::HEADER_LEN`] on, then the trailer, and the header last.
//!
//! Chunks may be sealed by several threads: a [`Turn`] takes the nonces of the next chunks, in order,
//! seals them wherever it is carried, and their lengths are entered, in the same order, when it is
//! done.

use std::sync::Arc;

use super::cipher::{ChunkNonce, FileCiphers, FileKey, SealingNonces};
use super::compress::Compressor;
use super::header::{ChunkSize, Codec, Header, Slot};
use super::index::{fits_index, seal_lens};
use super::{ContentHash, HEADER_LEN, MAX_PLAINTEXT_LEN, TAG_LEN, length};
use crate::vault::keys::KeySet;

/// Seals one content. Used for one file and then gone, as its key is.
pub struct Sealer {
    ciphers: Arc<FileCiphers>,
    nonces: SealingNonces,
    slot: Slot,
    chunk_size: ChunkSize,
    plaintext_len: u64,
    lens: StoredLens,
}

/// How long the chunks that are sealed are as stored.
struct StoredLens {
    chunks: u64,
    sum: u64,
    /// Each of them, as long as an index may hold them.
    each: Vec<u32>,
    /// Whether any was compressed. Where none was, the file is the same as one without compression but
    /// for its index, and is written as such.
    shorter: bool,
}

/// What ends a file: where its parts go.
pub struct Trailer {
    /// Goes behind the last chunk. Empty unless chunks are compressed.
    pub after_chunks: Vec<u8>,
    /// Goes to the front of the file, last of all.
    pub header: [u8; HEADER_LEN],
    /// Whether chunks are compressed.
    pub codec: Codec,
}

impl Sealer {
    /// A sealer with a new file key, wrapped under the blob key of `keys`.
    ///
    /// # Errors
    /// When the operating system has no random bytes to give.
    pub fn new(keys: &KeySet) -> Result<Self, getrandom::Error> {
        let mut slot_nonce = [0; 24];
        getrandom::fill(&mut slot_nonce)?;
        Ok(Self::with_file_key(&FileKey::random()?, slot_nonce, ChunkSize::DEFAULT, keys))
    }

    /// A sealer whose output is fully determined, to reproduce vectors. Production code must use
    /// [`Sealer::new`]: two contents sealed under the same file key give both away.
    #[must_use]
    pub fn with_file_key(
        file_key: &FileKey,
        slot_nonce: [u8; 24],
        chunk_size: ChunkSize,
        keys: &KeySet,
    ) -> Self {
        Self {
            ciphers: Arc::new(FileCiphers::new(file_key)),
            nonces: SealingNonces::new(),
            slot: file_key.wrap(keys, slot_nonce),
            chunk_size,
            plaintext_len: 0,
            lens: StoredLens { chunks: 0, sum: 0, each: Vec::new(), shorter: false },
        }
    }

    /// How much plaintext goes into each chunk but the last.
    #[must_use]
    pub fn chunk_size(&self) -> ChunkSize {
        self.chunk_size
    }

    /// Whether chunks may be compressed of a content of at most `len` bytes: the index of a longer one
    /// would be longer than readers take.
    pub(super) fn may_compress(&self, len: u64) -> bool {
        fits_index(len.div_ceil(length(self.chunk_size.bytes())))
    }

    /// Seals the next chunk into `out`, which must be longer by [`TAG_LEN`], and answers how many
    /// bytes of `out` are to be written: fewer where `compressor` made it shorter.
    ///
    /// # Panics
    /// When a chunk but the last is not full, one is too long, one but the first is empty, one
    /// follows the last, or `out` is too short: all mistakes of the calling code. When chunks are
    /// compressed of a content for whose index no reader has room.
    pub fn seal_chunk(
        &mut self,
        plaintext: &[u8],
        last: bool,
        compressor: Option<&mut Compressor>,
        out: &mut [u8],
    ) -> usize {
        assert!(plaintext.len() <= self.chunk_size.bytes(), "a chunk has a wrong length");
        let sealed = self.turn(plaintext.len(), last).seal(plaintext, compressor, out);
        self.enter(&sealed);
        sealed.stored_len()
    }

    /// Takes the nonces for the next `len` bytes of the content, whole chunks unless they are the last.
    ///
    /// # Panics
    /// As [`seal_chunk`](Self::seal_chunk).
    pub(super) fn turn(&mut self, len: usize, last: bool) -> Turn {
        let chunk_size = self.chunk_size.bytes();
        assert!(last || len > 0 && len.is_multiple_of(chunk_size), "a chunk has a wrong length");
        assert!(len > 0 || self.nonces.taken() == 0, "only empty content has an empty chunk");
        self.plaintext_len += length(len);
        assert!(
            self.plaintext_len <= MAX_PLAINTEXT_LEN,
            "the content is longer than a file may be"
        );
        let chunks = len.div_ceil(chunk_size).max(1);
        let nonces = (1..=chunks).map(|chunk| self.nonces.take(last && chunk == chunks)).collect();
        Turn { ciphers: Arc::clone(&self.ciphers), nonces, len, chunk_size }
    }

    /// Enters the lengths of what a turn has sealed. Turns are entered in the order they were taken in.
    ///
    /// # Panics
    /// When chunks were compressed and there are more of them than an index may hold.
    pub(super) fn enter(&mut self, sealed: &SealedTurn) {
        let lens = &mut self.lens;
        lens.chunks += length(sealed.lens.len());
        lens.sum += length(sealed.stored_len());
        lens.shorter |= sealed.shorter;
        if fits_index(lens.chunks) {
            lens.each.extend_from_slice(&sealed.lens);
        } else {
            assert!(!lens.shorter, "chunks were compressed without room for their index");
            lens.each = Vec::new();
        }
    }

    /// Binds the file to the hash of its content, known when the last chunk has been sealed.
    ///
    /// # Panics
    /// When the last chunk has not been sealed.
    #[must_use]
    pub fn finish(self, sha256: &ContentHash) -> Trailer {
        assert!(
            self.nonces.finished() && self.lens.chunks == self.nonces.taken(),
            "a file was to be finished before its last chunk"
        );
        let codec = if self.lens.shorter { Codec::Zstd } else { Codec::None };
        let mut header = Header {
            codec,
            chunk_size: self.chunk_size,
            plaintext_len: self.plaintext_len,
            body_len: self.lens.sum,
            slots: [self.slot, Slot::EMPTY],
            tag: [0; TAG_LEN],
        };
        header.body_len += header.index_len();
        header.tag = self.ciphers.header_tag(&header.prefix(), sha256);
        let after_chunks = match codec {
            Codec::None => Vec::new(),
            Codec::Zstd => seal_lens(&self.lens.each, &header, &self.ciphers),
        };
        Trailer { after_chunks, header: header.to_bytes(), codec }
    }
}

/// The right to seal the next few chunks, once.
pub(super) struct Turn {
    ciphers: Arc<FileCiphers>,
    nonces: Vec<ChunkNonce>,
    len: usize,
    chunk_size: usize,
}

impl Turn {
    /// How long `out` must be to seal in: what is stored takes no more.
    pub(super) fn room(&self) -> usize {
        self.len + self.nonces.len() * TAG_LEN
    }

    /// Seals `plaintext`, which must be what the turn was taken for, into the front of `out`.
    pub(super) fn seal(
        self,
        plaintext: &[u8],
        mut compressor: Option<&mut Compressor>,
        out: &mut [u8],
    ) -> SealedTurn {
        assert_eq!(plaintext.len(), self.len, "a turn was taken for another length");
        let mut sealed = SealedTurn { lens: Vec::with_capacity(self.nonces.len()), shorter: false };
        let (mut plaintext, mut out) = (plaintext, out);
        for nonce in self.nonces {
            let (chunk, rest) = plaintext.split_at(plaintext.len().min(self.chunk_size));
            let frame = compressor.as_mut().and_then(|compressor| compressor.compress(chunk));
            sealed.shorter |= frame.is_some();
            let content = frame.unwrap_or(chunk);
            let (room, behind) = std::mem::take(&mut out).split_at_mut(content.len() + TAG_LEN);
            self.ciphers.seal_chunk(nonce, content, room);
            sealed.lens.push(stored_len(room.len()));
            (plaintext, out) = (rest, behind);
        }
        sealed
    }
}

/// What a turn has sealed.
pub(super) struct SealedTurn {
    /// The length of each chunk as stored, its tag included.
    lens: Vec<u32>,
    /// Whether any was compressed.
    shorter: bool,
}

impl SealedTurn {
    /// The length of all of it as stored.
    pub(super) fn stored_len(&self) -> usize {
        self.lens.iter().map(|&len| len as usize).sum()
    }
}

/// The length of a chunk as it stands in an index. A chunk has 16 MiB at most.
fn stored_len(len: usize) -> u32 {
    let bounded = u32::try_from(len);
    assert!(bounded.is_ok(), "a chunk is longer than any may be");
    bounded.unwrap_or(u32::MAX)
}
