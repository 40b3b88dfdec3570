//! The cryptography of format 1: the file key and what is derived from it, the nonces, and the
//! operations that each key may be used for.
//!
//! It knows nothing of files or offsets. What makes the format safe is kept here: a key derived
//! from a file key does one thing only; a nonce for sealing can be had once and in order only, and
//! sealing consumes it; the key that wraps file keys is used with random nonces of 192 bits, so
//! many that they never repeat.

use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce, Tag, XChaCha20Poly1305, XNonce};
use zeroize::Zeroize;

use super::header::Slot;
use super::{ContentHash, FormatError, MAGIC, TAG_LEN};
use crate::vault::keys::{BlobKey, KeySet, hkdf_sha256};

const CHUNK_INFO: &[u8] = b"osnova-blob-v1/chunk";
const HEADER_INFO: &[u8] = b"osnova-blob-v1/header";
const INDEX_INFO: &[u8] = b"osnova-blob-v1/index";

/// The nonce of the two keys that seal a single thing in a file's life: header tag and index.
const ONLY_NONCE: [u8; 12] = [0; 12];

/// The key of one file, made for it alone, wiped on drop.
///
/// A file key must never be used for two files: chunk 0 of each would be sealed under the same key
/// and nonce. [`super::Sealer::new`] makes a new one for each file and is the only constructor that
/// production code uses.
pub struct FileKey(Box<[u8; 32]>);

impl FileKey {
    /// A new random key.
    ///
    /// # Errors
    /// When the operating system has no random bytes to give.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut key = Self(Box::new([0; 32]));
        getrandom::fill(key.0.as_mut_slice())?;
        Ok(key)
    }

    /// A key that is known already: to reproduce a vector. The caller must never seal two different
    /// contents under the same bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(Box::new(*bytes))
    }

    /// Wraps this key under the blob key of `keys`. `nonce` must be random.
    pub(super) fn wrap(&self, keys: &KeySet, nonce: [u8; 24]) -> Slot {
        let mut wrapped = [0; 48];
        let (key, tag) = wrapped.split_at_mut(32);
        key.copy_from_slice(self.0.as_slice());
        let sealed = wrapping_cipher(keys.blob_key()).encrypt_inout_detached(
            &XNonce::from(nonce),
            &MAGIC,
            InOutBuf::from(key),
        );
        tag.copy_from_slice(&must_seal(sealed));
        Slot { key_id: keys.key_id(), nonce, wrapped }
    }

    /// Takes the file key out of a slot, or nothing when the slot is not one of this key.
    pub(super) fn unwrap(slot: &Slot, keys: &KeySet) -> Option<Self> {
        let mut key = Self(Box::new([0; 32]));
        let (wrapped, tag) = slot.wrapped.split_at(32);
        let buffers = InOutBuf::new(wrapped, key.0.as_mut_slice()).ok()?;
        let tag = Tag::try_from(tag).ok()?;
        wrapping_cipher(keys.blob_key())
            .decrypt_inout_detached(&XNonce::from(slot.nonce), &MAGIC, buffers, &tag)
            .ok()?;
        Some(key)
    }
}

impl Drop for FileKey {
    fn drop(&mut self) {
        self.0.as_mut_slice().zeroize();
    }
}

fn wrapping_cipher(key: &BlobKey) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&Key::from(*key.as_bytes()))
}

/// Sealing fails only for buffers beyond 256 GiB; ours are bounded by the size of a chunk.
fn must_seal(sealed: Result<Tag, chacha20poly1305::Error>) -> Tag {
    assert!(sealed.is_ok(), "a buffer is too long for ChaCha20");
    sealed.unwrap_or_default()
}

/// The nonce of one chunk: its number in 11 bytes, big-endian, and 1 in the last byte when it is
/// the last. Can be neither copied nor changed, so that sealing with it uses it up.
pub(super) struct ChunkNonce([u8; 12]);

impl ChunkNonce {
    /// The nonce with which the chunk at this place is opened. For opening only: a nonce to seal
    /// with comes from [`SealingNonces`].
    pub(super) fn opening(index: u64, last: bool) -> Self {
        Self::at(index, last)
    }

    /// Gives the bytes to the cipher; with them the nonce is gone.
    fn spend(self) -> Nonce {
        Nonce::from(self.0)
    }

    fn at(index: u64, last: bool) -> Self {
        let mut nonce = [0; 12];
        nonce[3..11].copy_from_slice(&index.to_be_bytes());
        nonce[11] = u8::from(last);
        Self(nonce)
    }
}

/// The nonces of one file in the order in which its chunks are sealed. Each is given once; after
/// the last there are none.
pub(super) struct SealingNonces {
    next: u64,
    finished: bool,
}

impl SealingNonces {
    pub(super) fn new() -> Self {
        Self { next: 0, finished: false }
    }

    /// The nonce of the next chunk.
    ///
    /// # Panics
    /// When the last chunk has been sealed: a further nonce would have to be used twice.
    pub(super) fn take(&mut self, last: bool) -> ChunkNonce {
        assert!(!self.finished, "a chunk was to be sealed after the last one");
        let nonce = ChunkNonce::at(self.next, last);
        self.next += 1;
        self.finished = last;
        nonce
    }

    /// How many chunks have been sealed.
    pub(super) fn taken(&self) -> u64 {
        self.next
    }

    /// Whether the last chunk has been sealed.
    pub(super) fn finished(&self) -> bool {
        self.finished
    }
}

/// The three keys of a file, each for one purpose.
pub(super) struct FileCiphers {
    chunk: ChaCha20Poly1305,
    header: ChaCha20Poly1305,
    index: ChaCha20Poly1305,
}

impl FileCiphers {
    pub(super) fn new(file_key: &FileKey) -> Self {
        let derive = |info| {
            let mut key = Key::default();
            hkdf_sha256(file_key.0.as_slice(), b"", info, &mut key);
            let cipher = ChaCha20Poly1305::new(&key);
            key.zeroize();
            cipher
        };
        Self { chunk: derive(CHUNK_INFO), header: derive(HEADER_INFO), index: derive(INDEX_INFO) }
    }

    /// Seals one chunk from `plaintext` into `out`, which is longer by a tag.
    pub(super) fn seal_chunk(&self, nonce: ChunkNonce, plaintext: &[u8], out: &mut [u8]) {
        assert_eq!(out.len(), plaintext.len() + TAG_LEN, "no room for ciphertext and tag");
        let (ciphertext, tag) = out.split_at_mut(plaintext.len());
        let Ok(buffers) = InOutBuf::new(plaintext, ciphertext) else {
            unreachable!("plaintext and ciphertext have the same length")
        };
        let sealed = self.chunk.encrypt_inout_detached(&nonce.spend(), b"", buffers);
        tag.copy_from_slice(&must_seal(sealed));
    }

    /// Opens one chunk from `stored` into `out`, which is shorter by a tag. Nothing is written to
    /// `out` unless the tag is right.
    pub(super) fn open_chunk(
        &self,
        nonce: ChunkNonce,
        stored: &[u8],
        out: &mut [u8],
    ) -> Result<(), FormatError> {
        const WHAT: &str = "a chunk does not authenticate";
        let (ciphertext, tag) =
            stored.split_last_chunk::<TAG_LEN>().ok_or(FormatError::damaged(WHAT))?;
        let buffers = InOutBuf::new(ciphertext, out).map_err(|_| FormatError::damaged(WHAT))?;
        self.chunk
            .decrypt_inout_detached(&nonce.spend(), b"", buffers, &Tag::from(*tag))
            .map_err(|_| FormatError::damaged(WHAT))
    }

    /// The tag that binds the header's first 32 bytes to the content's hash. Must be made once in
    /// the life of a file key: two tags over different headers would give the Poly1305 key away.
    /// [`super::Sealer::finish`] consumes the sealer for that reason.
    pub(super) fn header_tag(&self, prefix: &[u8; 32], sha256: &ContentHash) -> [u8; TAG_LEN] {
        let sealed = self.header.encrypt_inout_detached(
            &Nonce::from(ONLY_NONCE),
            &header_aad(prefix, sha256),
            InOutBuf::from(&mut [][..]),
        );
        must_seal(sealed).into()
    }

    /// Whether `tag` binds these bytes to this hash, compared in constant time.
    pub(super) fn header_tag_holds(
        &self,
        prefix: &[u8; 32],
        sha256: &ContentHash,
        tag: &[u8; TAG_LEN],
    ) -> bool {
        self.header
            .decrypt_inout_detached(
                &Nonce::from(ONLY_NONCE),
                &header_aad(prefix, sha256),
                InOutBuf::from(&mut [][..]),
                &Tag::from(*tag),
            )
            .is_ok()
    }

    /// Seals the index in place, and puts the tag behind it. Must be done once in the life of a file
    /// key, for the same reason as the header's tag, and is so by the same means.
    pub(super) fn seal_index(&self, prefix: &[u8; 32], index: &mut Vec<u8>) {
        let sealed = self.index.encrypt_inout_detached(
            &Nonce::from(ONLY_NONCE),
            prefix,
            InOutBuf::from(index.as_mut_slice()),
        );
        index.extend_from_slice(&must_seal(sealed));
    }

    /// Opens the index in place: `sealed` holds ciphertext and tag, and gets the plaintext.
    pub(super) fn open_index<'a>(
        &self,
        prefix: &[u8; 32],
        sealed: &'a mut [u8],
    ) -> Result<&'a [u8], FormatError> {
        const WHAT: &str = "the index does not authenticate";
        let (index, tag) =
            sealed.split_last_chunk_mut::<TAG_LEN>().ok_or(FormatError::damaged(WHAT))?;
        self.index
            .decrypt_inout_detached(
                &Nonce::from(ONLY_NONCE),
                prefix,
                InOutBuf::from(&mut *index),
                &Tag::from(*tag),
            )
            .map_err(|_| FormatError::damaged(WHAT))?;
        Ok(index)
    }
}

fn header_aad(prefix: &[u8; 32], sha256: &ContentHash) -> [u8; 64] {
    let mut aad = [0; 64];
    aad[..32].copy_from_slice(prefix);
    aad[32..].copy_from_slice(sha256);
    aad
}
