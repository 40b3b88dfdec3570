//! How a value of `storage` is sealed: the bytes of the column `value`.
//!
//! ```text
//! offset  bytes  field
//! 0       1      version, 1
//! 1       8      key_id
//! 9       24     nonce, random
//! 33      n      the value's text under XChaCha20-Poly1305
//! 33 + n  16     its tag
//! ```
//!
//! The key is the component's own, and the additional data name the component, the key and the expiry:
//! a value that was moved to another row, or given another time to live, does not open. Reader and
//! writer stand here together; `docs/formats.md` has the same with a vector.

use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{Key, Tag, XChaCha20Poly1305, XNonce};

use crate::vault::keys::{KeyId, KeySet};

const VERSION: u8 = 1;
const KEY_ID_AT: usize = 1;
const NONCE_AT: usize = 9;
const TEXT_AT: usize = 33;
const TAG_LEN: usize = 16;

/// How much longer a sealed value is than its text.
pub const OVERHEAD: usize = TEXT_AT + TAG_LEN;

/// Why a sealed value can't be opened. Holds no part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnsealError {
    /// Shorter than any sealed value.
    #[error("it is too short")]
    Short,
    /// A version that this program does not know.
    #[error("it has the unknown version {0}")]
    Version(u8),
    /// Sealed under another master key.
    #[error("it was sealed under another key")]
    OtherKey,
    /// Changed, or moved from another row.
    #[error("it does not authenticate")]
    Forged,
    /// It opens and is no JSON: this program never sealed it.
    #[error("it is not JSON")]
    NotJson,
}

/// Where a value stands and until when: what it is bound to.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Whose it is.
    pub component: &'a str,
    /// Its key.
    pub key: &'a str,
    /// When it expires, in Unix seconds.
    pub expires_at: Option<i64>,
}

impl Place<'_> {
    /// The additional data.
    fn aad(self) -> Vec<u8> {
        let mut aad = Vec::with_capacity(17 + self.component.len() + self.key.len());
        aad.push(VERSION);
        for part in [self.component, self.key] {
            // Both are at most 256 characters long.
            aad.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            aad.extend_from_slice(part.as_bytes());
        }
        aad.extend_from_slice(&self.expires_at.unwrap_or(0).to_be_bytes());
        aad
    }
}

/// Seals and opens the values of one component.
pub struct Sealer {
    cipher: XChaCha20Poly1305,
    key_id: KeyId,
}

impl Sealer {
    /// The sealer of a component's values. Derives its key, which takes a few microseconds.
    #[must_use]
    pub fn new(keys: &KeySet, component: &str) -> Self {
        let key = keys.db_key().storage_key(component);
        Self { cipher: XChaCha20Poly1305::new(&Key::from(*key.as_bytes())), key_id: keys.key_id() }
    }

    /// Seals a value's text under a random nonce of 192 bits, so long that it never repeats.
    ///
    /// # Errors
    /// When the operating system has no random bytes to give.
    pub fn seal(&self, place: Place<'_>, text: &str) -> Result<Vec<u8>, getrandom::Error> {
        let mut nonce = [0; 24];
        getrandom::fill(&mut nonce)?;
        Ok(self.seal_with(nonce, place, text))
    }

    /// Seals under a nonce that is known already: to reproduce a vector. The caller must never seal
    /// two different texts of one component under the same nonce.
    #[must_use]
    pub fn seal_with(&self, nonce: [u8; 24], place: Place<'_>, text: &str) -> Vec<u8> {
        let mut sealed = Vec::with_capacity(OVERHEAD + text.len());
        sealed.push(VERSION);
        sealed.extend_from_slice(&self.key_id.0);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(text.as_bytes());
        let buffer = InOutBuf::from(&mut sealed[TEXT_AT..]);
        let tag = self.cipher.encrypt_inout_detached(&XNonce::from(nonce), &place.aad(), buffer);
        // Sealing fails only for texts beyond 256 GiB; a value's is at most 1 MiB long.
        assert!(tag.is_ok(), "a value is too long for ChaCha20");
        sealed.extend_from_slice(&tag.unwrap_or_default());
        sealed
    }

    /// Opens a sealed value; gives its text as it was stored.
    ///
    /// # Errors
    /// See [`UnsealError`].
    pub fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Vec<u8>, UnsealError> {
        let (body, tag) = sealed.split_last_chunk::<TAG_LEN>().ok_or(UnsealError::Short)?;
        let (head, text) = body.split_first_chunk::<TEXT_AT>().ok_or(UnsealError::Short)?;
        if head[0] != VERSION {
            return Err(UnsealError::Version(head[0]));
        }
        if head[KEY_ID_AT..NONCE_AT] != self.key_id.0 {
            return Err(UnsealError::OtherKey);
        }
        let nonce = XNonce::try_from(&head[NONCE_AT..]).map_err(|_| UnsealError::Short)?;
        let mut text = text.to_vec();
        self.cipher
            .decrypt_inout_detached(
                &nonce,
                &place.aad(),
                InOutBuf::from(text.as_mut_slice()),
                &Tag::from(*tag),
            )
            .map_err(|_| UnsealError::Forged)?;
        Ok(text)
    }
}
