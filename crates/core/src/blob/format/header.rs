//! The header of a format 1 file: its fields, their bounds, and how they stand in 208 bytes.
//!
//! Parsing checks everything that can be checked without a key, so that a [`Header`] in hand is
//! consistent in itself: no sum over its lengths overflows, and its body has the length that its
//! content must take. Whether it is authentic is for whoever holds the keys to find out.

use super::{FormatError, HEADER_LEN, MAGIC, MAX_PLAINTEXT_LEN, TAG_LEN, index, length};
use crate::vault::keys::KeyId;

const SLOT_LEN: usize = 80;
const SLOT_A: usize = 32;
const SLOT_B: usize = SLOT_A + SLOT_LEN;
const TAG: usize = SLOT_B + SLOT_LEN;

/// How the chunks of a file are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// Not at all: chunks have the length of their plaintext.
    None,
    /// Each by itself with zstd where that makes it shorter; an index tells the stored lengths.
    Zstd,
}

impl Codec {
    /// As it stands in a header, and in the row of a content.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Zstd => 1,
        }
    }

    fn from_number(number: u8) -> Option<Self> {
        [Self::None, Self::Zstd].into_iter().find(|codec| codec.number() == number)
    }
}

/// The size of a chunk's plaintext: a power of two from 4 KiB to 16 MiB. Below, tags and calls
/// outweigh the content; above, a reader's buffers would outgrow what a daemon may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkSize(u8);

impl ChunkSize {
    /// The size of new files, 64 KiB. Measured: 4 KiB seal a third slower, 1 MiB only 4 percent
    /// faster, and they make small ranges dearer.
    pub const DEFAULT: Self = Self(16);

    /// The size of 2^`log2` bytes, when it is in the range.
    #[must_use]
    pub fn from_log2(log2: u8) -> Option<Self> {
        (12..=24).contains(&log2).then_some(Self(log2))
    }

    /// The size in bytes.
    #[must_use]
    pub fn bytes(self) -> usize {
        1 << self.0
    }
}

/// A file key, wrapped under one master key: 80 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Slot {
    /// Names the master key.
    pub key_id: KeyId,
    /// The random nonce of the wrapping.
    pub nonce: [u8; 24],
    /// The sealed file key and its tag.
    pub wrapped: [u8; 48],
}

impl Slot {
    /// The slot that holds nothing: zeros.
    pub const EMPTY: Self = Self { key_id: KeyId([0; 8]), nonce: [0; 24], wrapped: [0; 48] };

    /// Whether the slot holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::EMPTY
    }
}

/// A header whose fields fit together.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    /// How chunks are compressed.
    pub codec: Codec,
    /// How much plaintext a full chunk holds.
    pub chunk_size: ChunkSize,
    /// The length of the content.
    pub plaintext_len: u64,
    /// The length of all that follows the header.
    pub body_len: u64,
    /// The wrapped file key, up to twice.
    pub slots: [Slot; 2],
    /// Binds codec, chunk size and lengths to the hash of the content.
    pub tag: [u8; TAG_LEN],
}

impl Header {
    /// Takes a header apart.
    ///
    /// # Errors
    /// [`FormatError::Damaged`] when a field is out of its domain or the lengths do not fit.
    pub fn parse(bytes: &[u8; HEADER_LEN]) -> Result<Self, FormatError> {
        let mut fields = Fields(bytes);
        if fields.take() != MAGIC {
            return Err(FormatError::damaged("the file does not begin with the magic"));
        }
        let [codec, chunk_log2, flag_high, flag_low] = fields.take();
        let codec = Codec::from_number(codec)
            .ok_or(FormatError::damaged("the header names an unknown codec"))?;
        let chunk_size = ChunkSize::from_log2(chunk_log2)
            .ok_or(FormatError::damaged("the header's chunk size is out of range"))?;
        if [flag_high, flag_low] != [0; 2] {
            return Err(FormatError::damaged("the header has unknown flags"));
        }
        let plaintext_len = u64::from_be_bytes(fields.take());
        let body_len = u64::from_be_bytes(fields.take());
        if fields.take() != [0; 4] {
            return Err(FormatError::damaged("the header's reserved bytes are not zero"));
        }
        let slots = [fields.slot(), fields.slot()];
        let header = Self { codec, chunk_size, plaintext_len, body_len, slots, tag: fields.take() };
        header.check_lengths()?;
        Ok(header)
    }

    /// The header as it stands in the file.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[..SLOT_A].copy_from_slice(&self.prefix());
        for (slot, at) in self.slots.iter().zip([SLOT_A, SLOT_B]) {
            bytes[at..at + SLOT_LEN].copy_from_slice(&slot_bytes(slot));
        }
        bytes[TAG..].copy_from_slice(&self.tag);
        bytes
    }

    /// The first 32 bytes: all that the tag covers. The slots are left out, so that a file key can
    /// be wrapped anew without it.
    pub(super) fn prefix(&self) -> [u8; SLOT_A] {
        let mut bytes = [0; SLOT_A];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8] = self.codec.number();
        bytes[9] = self.chunk_size.0;
        bytes[12..20].copy_from_slice(&self.plaintext_len.to_be_bytes());
        bytes[20..28].copy_from_slice(&self.body_len.to_be_bytes());
        bytes
    }

    /// How many chunks there are; empty content has one, empty.
    #[must_use]
    pub fn chunk_count(&self) -> u64 {
        self.plaintext_len.div_ceil(length(self.chunk_size.bytes())).max(1)
    }

    /// The number of the last chunk.
    pub(super) fn last_chunk(&self) -> u64 {
        self.chunk_count() - 1
    }

    /// The plaintext length of a chunk.
    pub(super) fn chunk_len(&self, chunk: u64) -> usize {
        let before = chunk * length(self.chunk_size.bytes());
        let rest = self.plaintext_len.saturating_sub(before);
        index(rest.min(length(self.chunk_size.bytes())))
    }

    /// The length of the sealed index behind the chunks.
    pub(super) fn index_len(&self) -> u64 {
        match self.codec {
            Codec::None => 0,
            Codec::Zstd => self.chunk_count() * 4 + length(TAG_LEN),
        }
    }

    fn check_lengths(&self) -> Result<(), FormatError> {
        if self.plaintext_len > MAX_PLAINTEXT_LEN {
            return Err(FormatError::damaged("the header's content length is out of range"));
        }
        let tags = self.chunk_count() * length(TAG_LEN);
        let longest = self.plaintext_len + tags + self.index_len();
        let fits = match self.codec {
            Codec::None => self.body_len == longest,
            // A chunk that does not shrink is stored as it is, so none is longer than its content.
            Codec::Zstd => (tags + self.index_len()..=longest).contains(&self.body_len),
        };
        if fits {
            Ok(())
        } else {
            Err(FormatError::damaged("the header's lengths do not fit together"))
        }
    }
}

/// Where a slot begins in the file, and its bytes.
pub(super) fn slot_at(number: usize, slot: &Slot) -> (u64, [u8; SLOT_LEN]) {
    (length(SLOT_A + number * SLOT_LEN), slot_bytes(slot))
}

fn slot_bytes(slot: &Slot) -> [u8; SLOT_LEN] {
    let mut bytes = [0; SLOT_LEN];
    bytes[..8].copy_from_slice(&slot.key_id.0);
    bytes[8..32].copy_from_slice(&slot.nonce);
    bytes[32..].copy_from_slice(&slot.wrapped);
    bytes
}

/// The bytes of a header that have not been taken yet.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let Some((field, rest)) = self.0.split_first_chunk() else {
            // The fields add up to the length of a header, which the caller's array has.
            unreachable!("the fields of a header are longer than a header");
        };
        self.0 = rest;
        *field
    }

    fn slot(&mut self) -> Slot {
        Slot { key_id: KeyId(self.take()), nonce: self.take(), wrapped: self.take() }
    }
}
