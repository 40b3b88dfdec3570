//! Sealing content as a format 1 file, chunk by chunk.
//!
//! The sealer turns chunks into bytes and keeps the rules of the format; it neither reads nor
//! writes. A driver such as [`super::seal_stream`] brings the content, puts the chunks one behind
//! the other from [`super::HEADER_LEN`] on, then the trailer, and the header last.

use super::cipher::{FileCiphers, FileKey, SealingNonces};
use super::header::{ChunkSize, Codec, Header, Slot};
use super::{ContentHash, HEADER_LEN, MAX_PLAINTEXT_LEN, TAG_LEN, length};
use crate::vault::keys::KeySet;

/// Seals one content. Used for one file and then gone, as its key is.
pub struct Sealer {
    ciphers: FileCiphers,
    nonces: SealingNonces,
    slot: Slot,
    chunk_size: ChunkSize,
    plaintext_len: u64,
    chunks_len: u64,
}

/// What ends a file: where its parts go.
pub struct Trailer {
    /// Goes behind the last chunk. Empty unless the chunks are compressed.
    pub after_chunks: Vec<u8>,
    /// Goes to the front of the file, last of all.
    pub header: [u8; HEADER_LEN],
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
            ciphers: FileCiphers::new(file_key),
            nonces: SealingNonces::new(),
            slot: file_key.wrap(keys, slot_nonce),
            chunk_size,
            plaintext_len: 0,
            chunks_len: 0,
        }
    }

    /// How much plaintext goes into each chunk but the last.
    #[must_use]
    pub fn chunk_size(&self) -> ChunkSize {
        self.chunk_size
    }

    /// Seals the next chunk into `out`, which must be longer by [`TAG_LEN`], and answers how many
    /// bytes of `out` are to be written.
    ///
    /// # Panics
    /// When a chunk but the last is not full, one is too long, one but the first is empty, one
    /// follows the last, or `out` is too short: all mistakes of the calling code.
    pub fn seal_chunk(&mut self, plaintext: &[u8], last: bool, out: &mut [u8]) -> usize {
        let full = plaintext.len() == self.chunk_size.bytes();
        assert!(
            full || last && plaintext.len() < self.chunk_size.bytes(),
            "a chunk has a wrong length"
        );
        assert!(
            !plaintext.is_empty() || self.nonces.taken() == 0,
            "only empty content has an empty chunk"
        );
        self.plaintext_len += length(plaintext.len());
        assert!(
            self.plaintext_len <= MAX_PLAINTEXT_LEN,
            "the content is longer than a file may be"
        );

        let stored_len = plaintext.len() + TAG_LEN;
        self.ciphers.seal_chunk(self.nonces.take(last), plaintext, &mut out[..stored_len]);
        self.chunks_len += length(stored_len);
        stored_len
    }

    /// Binds the file to the hash of its content, known when the last chunk has been sealed.
    ///
    /// # Panics
    /// When the last chunk has not been sealed.
    #[must_use]
    pub fn finish(self, sha256: &ContentHash) -> Trailer {
        assert!(self.nonces.finished(), "a file was to be finished before its last chunk");
        let mut header = Header {
            codec: Codec::None,
            chunk_size: self.chunk_size,
            plaintext_len: self.plaintext_len,
            body_len: self.chunks_len,
            slots: [self.slot, Slot::EMPTY],
            tag: [0; TAG_LEN],
        };
        header.tag = self.ciphers.header_tag(&header.prefix(), sha256);
        Trailer { after_chunks: Vec::new(), header: header.to_bytes() }
    }
}
