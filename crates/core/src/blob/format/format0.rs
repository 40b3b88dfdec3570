//! Format 0, which is read and not written: `nonce[12] || ciphertext || tag[16]`, ChaCha20-Poly1305
//! over the whole content under the blob key itself.
//!
//! One tag over everything means that the whole file must be read before a byte of it can be
//! trusted. The usual interfaces would hold it in memory for that; here the cipher and the
//! authenticator run over it piece by piece, once to verify, and only then again to answer.
//! In between the caller must keep others from writing to the file, as files are kept that are
//! never changed in place: a change between the passes is noticed by nothing but the content's
//! hash, which whoever rewrites the content in format 1 computes anew anyway.

use std::io;
use std::sync::Arc;

use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};
use poly1305::Poly1305;
use poly1305::universal_hash::{KeyInit, UniversalHash};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::open::read_exact;
use super::{ContentHash, FormatError, ReadAt, TAG_LEN, index, length};
use crate::vault::keys::KeySet;

const NONCE_LEN: usize = 12;

/// What is wrong with a file that is damaged, or sealed under another key.
pub const UNAUTHENTIC: &str = "the file does not authenticate";

/// What a file has besides its content.
const OVERHEAD: u64 = 28;

/// The first block of the key stream makes the Poly1305 key, the content begins with the second.
const CONTENT_AT: u64 = 64;

/// The longest content: the cipher counts blocks of 64 bytes in 32 bits, and the first is taken.
const MAX_LEN: u64 = ((1 << 32) - 1) * 64;

/// How much is read at once; a multiple of the 16 bytes in which Poly1305 takes its input.
const PIECE: usize = 256 * 1024;

/// A verified format 0 file. Cheap to clone.
pub struct Format0Reader<F: ReadAt>(Arc<Verified<F>>);

struct Verified<F> {
    file: F,
    len: u64,
    key: Box<Zeroizing<[u8; 32]>>,
    nonce: [u8; NONCE_LEN],
}

impl<F: ReadAt> Format0Reader<F> {
    /// Reads the whole file and checks tag and hash. The file does not name its key; all are tried.
    ///
    /// # Errors
    /// [`FormatError::Damaged`] when it is not the content with this hash, or is sealed under
    /// another key (which this format can't tell apart), [`FormatError::Io`] when the file system
    /// fails.
    pub fn verify(file: F, sha256: &ContentHash, keys: &[&KeySet]) -> Result<Self, FormatError> {
        let len = file
            .file_len()?
            .checked_sub(OVERHEAD)
            .ok_or(FormatError::damaged("the file is too short"))?;
        if len > MAX_LEN {
            return Err(FormatError::damaged("the file is longer than its cipher allows"));
        }
        let mut nonce = [0; NONCE_LEN];
        read_exact(&file, &mut nonce, 0)?;
        let mut tag = [0; TAG_LEN];
        read_exact(&file, &mut tag, length(NONCE_LEN) + len)?;
        for keys in keys {
            let key = keys.blob_key().as_bytes();
            let cipher = ChaCha20::new(key.into(), &nonce.into());
            let Some(hash) = authenticate(&file, len, cipher, &tag)? else { continue };
            if hash != *sha256 {
                return Err(FormatError::damaged("the content has another hash"));
            }
            let key = Box::new(Zeroizing::new(*key));
            return Ok(Self(Arc::new(Verified { file, len, key, nonce })));
        }
        Err(FormatError::damaged(UNAUTHENTIC))
    }

    /// The length of the content.
    #[must_use]
    pub fn plaintext_len(&self) -> u64 {
        self.0.len
    }

    /// The length of the file.
    #[must_use]
    pub fn stored_len(&self) -> u64 {
        self.0.len + OVERHEAD
    }

    /// A reader of `len` bytes from `offset` on, fewer where the content ends before.
    ///
    /// # Errors
    /// [`FormatError::OutOfRange`] when `offset` lies behind the end.
    pub fn range(&self, offset: u64, len: u64) -> Result<Format0Range<F>, FormatError> {
        let end = self.0.len;
        if offset > end {
            return Err(FormatError::OutOfRange { offset, len: end });
        }
        Ok(self.reader(offset, len.min(end - offset)))
    }

    /// A reader of the whole content.
    #[must_use]
    pub fn whole(&self) -> Format0Range<F> {
        self.reader(0, self.0.len)
    }

    fn reader(&self, offset: u64, len: u64) -> Format0Range<F> {
        let cipher = ChaCha20::new((&**self.0.key).into(), &self.0.nonce.into());
        Format0Range { blob: self.clone(), cipher, place: offset, remaining: len }
    }
}

impl<F: ReadAt> Clone for Format0Reader<F> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// The hash of the content when the tag is right under this cipher. The tag covers, as RFC 8439
/// says, the ciphertext padded with zeros to 16 bytes, the length of the associated data (0) and
/// that of the ciphertext, both as u64, little-endian.
fn authenticate(
    file: &impl ReadAt,
    len: u64,
    mut cipher: ChaCha20,
    tag: &[u8; TAG_LEN],
) -> Result<Option<ContentHash>, FormatError> {
    let mut mac_key = Zeroizing::new([0; 32]);
    cipher.apply_keystream(mac_key.as_mut_slice());
    cipher.seek(CONTENT_AT);
    let mut mac = Poly1305::new((&*mac_key).into());
    let mut hash = Sha256::new();

    let mut piece = Zeroizing::new(vec![0; index(len.min(length(PIECE)))]);
    let mut done = 0;
    while done < len {
        let piece_len = index((len - done).min(length(PIECE)));
        let piece = &mut piece[..piece_len];
        read_exact(file, piece, length(NONCE_LEN) + done)?;
        mac.update_padded(piece);
        cipher.apply_keystream(piece);
        hash.update(piece);
        done += length(piece_len);
    }
    let mut lengths = [0; 16];
    lengths[8..].copy_from_slice(&len.to_le_bytes());
    mac.update(&[lengths.into()]);
    Ok(mac.verify(tag.into()).is_ok().then(|| hash.finalize().into()))
}

/// A reader of part of a verified content, or of all of it.
pub struct Format0Range<F: ReadAt> {
    blob: Format0Reader<F>,
    cipher: ChaCha20,
    place: u64,
    remaining: u64,
}

impl<F: ReadAt> Format0Range<F> {
    /// How many bytes are still to come.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.remaining
    }

    /// Fills `out` and answers how many bytes were written to it: all of it unless the range ends.
    ///
    /// # Errors
    /// When the next bytes can't be read.
    pub fn fill(&mut self, out: &mut [u8]) -> Result<usize, FormatError> {
        let len = index(self.remaining.min(length(out.len())));
        let out = &mut out[..len];
        read_exact(&self.blob.0.file, out, length(NONCE_LEN) + self.place)?;
        self.cipher.seek(CONTENT_AT + self.place);
        self.cipher.apply_keystream(out);
        self.place += length(len);
        self.remaining -= length(len);
        Ok(len)
    }
}

impl<F: ReadAt> io::Read for Format0Range<F> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.fill(out).map_err(FormatError::into_io)
    }
}
