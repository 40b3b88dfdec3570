//! The key hierarchy: from a seed phrase or a master key to the keys that seal content.
//!
//! This file owns every derivation of a long-lived key and the types that hold them. It does not
//! know where a key comes from (file, descriptor, credential, call), nor what is sealed under it.
//!
//! All key types wipe themselves on drop, can be neither printed nor cloned, and keep their bytes
//! on the heap, so that moving one does not leave a copy behind on the stack. The errors name what
//! is wrong with a key and never repeat any of it. The derivations, with their vectors, are written
//! down in `docs/formats.md`.

use std::fmt;

use bip39::{Language, Mnemonic};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

/// The most bytes that a key file may have: 24 words take 215 at most, the rest is for whitespace.
pub const MAX_KEY_FILE_BYTES: usize = 4096;

const MASTER_SALT: &[u8] = b"osnova-master-key-v1";
const BLOB_SALT: &[u8] = b"osnova-blob-encryption";
const DB_SALT: &[u8] = b"osnova-db-encryption";
const KEY_ID_SALT: &[u8] = b"osnova-key-id";
const KEY_CHECK_SALT: &[u8] = b"osnova-key-check";
const COMPONENT_STORAGE_SALT: &[u8] = b"osnova-component-storage";
const REQUEST_HASH_SALT: &[u8] = b"osnova-request-hash";
const V1: &[u8] = b"v1";

/// Entropy of a new phrase in bytes: 256 bits make 24 words.
const PHRASE_ENTROPY_BYTES: usize = 32;

/// What is wrong with a key that was given. Never holds any part of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Nothing but whitespace.
    #[error("the key is empty")]
    Empty,
    /// More bytes than [`MAX_KEY_FILE_BYTES`].
    #[error("the key is longer than {MAX_KEY_FILE_BYTES} bytes")]
    TooLong,
    /// The bytes are not UTF-8 text.
    #[error("the key is not text")]
    NotText,
    /// Not 64 hexadecimal digits.
    #[error("the master key is not 64 hexadecimal digits")]
    NotHex,
    /// A phrase has 12, 15, 18, 21 or 24 words.
    #[error("the seed phrase has {0} words instead of 12, 15, 18, 21 or 24")]
    WordCount(usize),
    /// The word at this place (counted from 1) is not in the English BIP-39 list.
    #[error("word {0} of the seed phrase is not in the English BIP-39 list")]
    UnknownWord(usize),
    /// All words are known, but they do not belong together.
    #[error("the checksum of the seed phrase is wrong: a word is mistyped or misplaced")]
    Checksum,
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    NoRandomness,
}

/// 32 secret bytes on the heap, wiped on drop.
struct Secret(Box<[u8; 32]>);

impl Secret {
    /// Derives a secret; see [`hkdf_sha256`].
    fn derive(ikm: &[u8], salt: &[u8], info: &[u8]) -> Self {
        let mut secret = Self(Box::new([0; 32]));
        hkdf_sha256(ikm, salt, info, secret.0.as_mut_slice());
        secret
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.as_mut_slice().zeroize();
    }
}

/// HKDF-SHA256 (RFC 5869), extract and expand, into `okm`. The output is at most 64 bytes here,
/// far below the 8,160 that HKDF can give.
pub(crate) fn hkdf_sha256(ikm: &[u8], salt: &[u8], info: &[u8], okm: &mut [u8]) {
    let expanded = Hkdf::<Sha256>::new(Some(salt), ikm).expand(info, okm);
    assert!(expanded.is_ok(), "HKDF-SHA256 was asked for more than 8,160 bytes");
}

/// The key that everything else is derived from.
pub struct MasterKey(Secret);

impl MasterKey {
    /// Derives the master key of an English BIP-39 phrase with an empty passphrase. Whitespace
    /// around and between the words does not matter.
    ///
    /// # Errors
    /// When the phrase is not one, with the place of the first wrong word where there is one.
    pub fn from_phrase(phrase: &str) -> Result<Self, KeyError> {
        let words = Zeroizing::new(single_spaced(phrase));
        if words.is_empty() {
            return Err(KeyError::Empty);
        }
        let mnemonic =
            Mnemonic::parse_in_normalized(Language::English, &words).map_err(phrase_error)?;
        let seed = Zeroizing::new(mnemonic.to_seed_normalized(""));
        Ok(Self(Secret::derive(seed.as_slice(), MASTER_SALT, b"")))
    }

    /// Takes a master key as 64 hexadecimal digits of either case, whitespace around them allowed.
    ///
    /// # Errors
    /// [`KeyError::NotHex`] for anything else.
    pub fn from_hex(digits: &str) -> Result<Self, KeyError> {
        let digits = digits.trim().as_bytes();
        if digits.len() != 64 {
            return Err(KeyError::NotHex);
        }
        let mut key = Self::from_bytes(&[0; 32]);
        for (byte, pair) in key.0.0.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = (hex_digit(pair[0])? << 4) | hex_digit(pair[1])?;
        }
        Ok(key)
    }

    /// Takes the bytes of a key file: a phrase, or 64 hexadecimal digits. One word alone is read as
    /// digits, several as a phrase.
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse(file: &[u8]) -> Result<Self, KeyError> {
        if file.len() > MAX_KEY_FILE_BYTES {
            return Err(KeyError::TooLong);
        }
        let text = std::str::from_utf8(file).map_err(|_| KeyError::NotText)?;
        // Editors on some systems put a byte order mark before the text they save.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim();
        if text.is_empty() {
            Err(KeyError::Empty)
        } else if text.contains(char::is_whitespace) {
            Self::from_phrase(text)
        } else {
            Self::from_hex(text)
        }
    }

    /// Takes the 32 bytes themselves, as they come out of a sealed copy of an older master key.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(Secret(Box::new(*bytes)))
    }

    /// The 32 bytes, to be sealed under another key. They must not be copied, stored or logged.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0.0
    }

    /// Makes a new phrase of 24 words, separated by single spaces.
    ///
    /// # Errors
    /// [`KeyError::NoRandomness`] when the operating system has no random bytes to give.
    pub fn generate_phrase() -> Result<Zeroizing<String>, KeyError> {
        let mut entropy = Zeroizing::new([0; PHRASE_ENTROPY_BYTES]);
        getrandom::fill(entropy.as_mut_slice()).map_err(|_| KeyError::NoRandomness)?;
        let mnemonic = Mnemonic::from_entropy_in(Language::English, entropy.as_slice())
            .map_err(phrase_error)?;
        let mut phrase = Zeroizing::new(String::with_capacity(MAX_KEY_FILE_BYTES));
        for word in mnemonic.words() {
            if !phrase.is_empty() {
                phrase.push(' ');
            }
            phrase.push_str(word);
        }
        Ok(phrase)
    }
}

/// Joins the words by single spaces, in a string that is allocated once: one that grows would leave
/// its earlier copies unwiped on the heap.
fn single_spaced(phrase: &str) -> String {
    let mut words = String::with_capacity(phrase.len());
    for word in phrase.split_whitespace() {
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
    }
    words
}

fn phrase_error(error: bip39::Error) -> KeyError {
    match error {
        bip39::Error::BadWordCount(count) => KeyError::WordCount(count),
        bip39::Error::UnknownWord(index) => KeyError::UnknownWord(index + 1),
        _ => KeyError::Checksum,
    }
}

fn hex_digit(digit: u8) -> Result<u8, KeyError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(KeyError::NotHex),
    }
}

/// Names a master key without telling anything about it; stands in clear beside what is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId(pub [u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The key under which the file keys of blobs are wrapped (and format 0 files sealed).
pub struct BlobKey(Secret);

impl BlobKey {
    /// The 32 bytes. They must not be copied, stored or logged.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0.0
    }
}

/// The key from which the keys of sealed database values are derived.
pub struct DbKey(Secret);

impl DbKey {
    /// The 32 bytes. They must not be copied, stored or logged.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0.0
    }

    /// What stands in the database for params that hold sealed values, given their SHA-256: it tells
    /// whether a call is the same, and nobody without the key what it was.
    #[must_use]
    pub(crate) fn request_hash(&self, params_hash: &[u8; 32]) -> [u8; 32] {
        let mut hash = [0; 32];
        hkdf_sha256(self.as_bytes(), REQUEST_HASH_SALT, params_hash, &mut hash);
        hash
    }

    /// The key of one component's sealed `storage` values.
    #[must_use]
    pub fn storage_key(&self, component_id: &str) -> StorageKey {
        StorageKey(Secret::derive(self.as_bytes(), COMPONENT_STORAGE_SALT, component_id.as_bytes()))
    }
}

/// The key of one component's `storage` values.
pub struct StorageKey(Secret);

impl StorageKey {
    /// The 32 bytes. They must not be copied, stored or logged.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0.0
    }
}

/// A master key with the keys derived from it, each derived once.
pub struct KeySet {
    master: MasterKey,
    key_id: KeyId,
    blob: BlobKey,
    db: DbKey,
}

impl KeySet {
    /// Derives the keys of a master key.
    #[must_use]
    pub fn new(master: MasterKey) -> Self {
        let ikm = master.as_bytes();
        let mut key_id = [0; 8];
        hkdf_sha256(ikm, KEY_ID_SALT, V1, &mut key_id);
        Self {
            key_id: KeyId(key_id),
            blob: BlobKey(Secret::derive(ikm, BLOB_SALT, V1)),
            db: DbKey(Secret::derive(ikm, DB_SALT, V1)),
            master,
        }
    }

    /// The master key these keys come from.
    #[must_use]
    pub fn master(&self) -> &MasterKey {
        &self.master
    }

    /// The name of the master key.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// The key of blob files.
    #[must_use]
    pub fn blob_key(&self) -> &BlobKey {
        &self.blob
    }

    /// The key of sealed database values.
    #[must_use]
    pub fn db_key(&self) -> &DbKey {
        &self.db
    }

    /// The value by which a data root knows its key: it stands in the database and tells only
    /// whether a key is the right one. Bound to the root, so that two roots with the same key can't
    /// be linked by it.
    #[must_use]
    pub fn key_check(&self, root_id: &[u8; 16]) -> [u8; 16] {
        let mut check = [0; 16];
        hkdf_sha256(self.master.as_bytes(), KEY_CHECK_SALT, root_id, &mut check);
        check
    }

    /// Whether these keys are those of the root with this check value. The comparison takes the
    /// same time wherever the values differ.
    #[must_use]
    pub fn matches_check(&self, root_id: &[u8; 16], stored: &[u8; 16]) -> bool {
        let own = self.key_check(root_id);
        let difference = own.iter().zip(stored).fold(0, |seen, (a, b)| seen | (a ^ b));
        std::hint::black_box(difference) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHRASE: &str = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";
    const MASTER: &str = "4fb05a6ea25cdb612d596e34e1f9361e5b489fea083aa450aa111447971f97b9";

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_hierarchy_gives_the_documented_vectors() {
        let keys = KeySet::new(MasterKey::from_phrase(PHRASE).unwrap());
        assert_eq!(hex(keys.master().as_bytes()), MASTER);
        assert_eq!(
            hex(keys.blob_key().as_bytes()),
            "263ef72060316eeecd8edfb06dc70cfa6abc4e2af4241812d7a91c4672b23aca"
        );
        assert_eq!(
            hex(keys.db_key().as_bytes()),
            "a8c978e878af3b141b7a474b9e3c11ffb20eebea35ed7de659cbab197a453374"
        );
        assert_eq!(keys.key_id().to_string(), "b0d3eb19f08a56fe");
    }

    #[test]
    fn hkdf_gives_the_first_vector_of_rfc_5869() {
        let salt: Vec<u8> = (0..13).collect();
        let info: Vec<u8> = (0xf0..0xfa).collect();
        let mut okm = [0; 42];
        hkdf_sha256(&[0x0b; 22], &salt, &info, &mut okm);
        assert_eq!(
            hex(&okm),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
        );
    }

    #[test]
    fn whitespace_in_a_phrase_does_not_matter() {
        for phrase in [
            format!("\n  {PHRASE}\r\n"),
            PHRASE.replace(' ', "  "),
            PHRASE.replace(' ', "\n"),
            PHRASE.replace(' ', "\t"),
        ] {
            assert_eq!(hex(MasterKey::from_phrase(&phrase).unwrap().as_bytes()), MASTER);
            assert_eq!(hex(MasterKey::parse(phrase.as_bytes()).unwrap().as_bytes()), MASTER);
        }
    }

    #[test]
    fn a_key_file_may_hold_digits_of_either_case() {
        for digits in [MASTER.to_owned(), MASTER.to_uppercase(), format!("\u{feff}{MASTER}\n")] {
            assert_eq!(hex(MasterKey::parse(digits.as_bytes()).unwrap().as_bytes()), MASTER);
        }
    }

    #[test]
    fn a_wrong_key_is_told_apart_and_never_repeated() {
        let error = |file: &[u8]| MasterKey::parse(file).err().unwrap();
        assert_eq!(error(b" \n"), KeyError::Empty);
        assert_eq!(error(&[b'a'; MAX_KEY_FILE_BYTES + 1]), KeyError::TooLong);
        assert_eq!(error(&[0xff, 0xfe]), KeyError::NotText);
        assert_eq!(error(&MASTER.as_bytes()[1..]), KeyError::NotHex);
        assert_eq!(error(MASTER.replace('4', "g").as_bytes()), KeyError::NotHex);
        assert_eq!(error("ж".repeat(32).as_bytes()), KeyError::NotHex);
        assert_eq!(error(b"abandon about"), KeyError::WordCount(2));
        assert_eq!(error(PHRASE.replace("about", "sesame").as_bytes()), KeyError::UnknownWord(12));
        assert_eq!(error(PHRASE.replace("about", "abandon").as_bytes()), KeyError::Checksum);
        assert!(
            !error(PHRASE.replace("about", "sesame").as_bytes()).to_string().contains("sesame")
        );
    }

    #[test]
    fn a_new_phrase_has_24_words_and_opens() {
        let phrase = MasterKey::generate_phrase().unwrap();
        assert_eq!(phrase.split(' ').count(), 24);
        let key = MasterKey::from_phrase(&phrase).unwrap();
        let other = MasterKey::from_phrase(&MasterKey::generate_phrase().unwrap()).unwrap();
        assert_ne!(key.as_bytes(), other.as_bytes());
    }

    #[test]
    fn the_check_knows_the_key_and_the_root() {
        let keys = KeySet::new(MasterKey::from_hex(MASTER).unwrap());
        let other = KeySet::new(MasterKey::from_bytes(&[7; 32]));
        let check = keys.key_check(&[1; 16]);
        assert!(keys.matches_check(&[1; 16], &check));
        assert!(!keys.matches_check(&[2; 16], &check));
        assert!(!other.matches_check(&[1; 16], &check));
        for byte in 0..16 {
            let mut wrong = check;
            wrong[byte] ^= 0x80;
            assert!(!keys.matches_check(&[1; 16], &wrong));
        }
        let root_id = std::array::from_fn(|i| u8::try_from(i).unwrap());
        assert_eq!(hex(&keys.key_check(&root_id)), "f2871ef2f87c89f506d0306413af92a0");
    }

    #[test]
    fn a_request_hash_is_the_documented_vector() {
        let keys = KeySet::new(MasterKey::from_hex(MASTER).unwrap());
        let params_hash = std::array::from_fn(|i| u8::try_from(i).unwrap());
        assert_eq!(
            hex(&keys.db_key().request_hash(&params_hash)),
            "2c7011e144e5153d1940a7ef3464de34317c31f557e993f2dae5df7e2d59065e"
        );
    }

    #[test]
    fn each_component_has_its_own_storage_key() {
        let keys = KeySet::new(MasterKey::from_hex(MASTER).unwrap());
        let db = keys.db_key();
        assert_eq!(db.storage_key("a").as_bytes(), db.storage_key("a").as_bytes());
        assert_ne!(db.storage_key("a").as_bytes(), db.storage_key("b").as_bytes());
        assert_eq!(
            hex(db.storage_key("wallet").as_bytes()),
            "bc8236c11d32401a572d223a0436b0bb73313544f234142c0ef8a273064ac696"
        );
    }
}
