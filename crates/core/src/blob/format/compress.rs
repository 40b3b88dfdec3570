//! Compressing chunks, finding out cheaply which are worth it, and the way back.
//!
//! Most large contents (archives, pictures, films) are compressed already, and to try is dear beside
//! sealing. So a long content is sampled before any of it is compressed, and within one that was
//! found worth it no more chunks are tried for a while once they have stopped shrinking.
//!
//! What a compressor needs in between is derived from the content. Its own buffer is wiped; that of
//! the library, which holds fragments at most, can't be.

use std::io;

use zeroize::Zeroize;

use super::FormatError;

/// The level of zstd. Measured with JSON in chunks of 64 KiB: level 3 saves a few hundredths more and
/// takes half as long again, and higher ones much longer.
const LEVEL: i32 = 1;

/// Shorter chunks are not tried: no file takes less than a block of the disk.
const SHORTEST: usize = 512;

/// So many bytes are worth saving in any chunk: a block of the usual disk.
const DISK_BLOCK: usize = 4096;

/// In short chunks an n-th is worth saving too.
const SHARE: usize = 8;

/// A sample is so many pieces of so many bytes, spread over the first block of a content.
const SAMPLE_PIECES: usize = 4;
const SAMPLE_BYTES: usize = 16 * 1024;

/// A content is compressed where its sample shrinks by an n-th.
const SAMPLE_SHARE: usize = 16;

/// After so many chunks in a row that did not shrink, some are not tried.
const MISSES: u32 = 4;

/// How many are not tried at first, and at most: doubled each time. In the end one of 65 is tried,
/// which costs less than a hundredth of sealing them.
const FIRST_PAUSE: u32 = 4;
const LONGEST_PAUSE: u32 = 64;

/// Compresses the chunks of one content that shrink by it. Several may share the work on a content.
pub struct Compressor {
    zstd: zstd::bulk::Compressor<'static>,
    room: Vec<u8>,
    misses: u32,
    pause: u32,
    untried: u32,
}

impl Compressor {
    /// A compressor with nothing behind it.
    ///
    /// # Errors
    /// When the system has no memory to give.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            zstd: zstd::bulk::Compressor::new(LEVEL)?,
            room: Vec::new(),
            misses: 0,
            pause: FIRST_PAUSE,
            untried: 0,
        })
    }

    /// Whether a content that begins like this is worth compressing.
    pub(super) fn samples_well(&mut self, beginning: &[u8]) -> bool {
        let step = beginning.len().div_ceil(SAMPLE_PIECES).max(1);
        let (mut plain, mut short) = (0, 0);
        for part in beginning.chunks(step) {
            let piece = &part[..part.len().min(SAMPLE_BYTES)];
            plain += piece.len();
            short += self.shrink(piece, piece.len()).map_or(piece.len(), <[u8]>::len);
        }
        short + plain / SAMPLE_SHARE <= plain
    }

    /// The chunk as a zstd frame where that saves enough; nothing where it does not, or where it was
    /// not tried.
    pub(super) fn compress(&mut self, chunk: &[u8]) -> Option<&[u8]> {
        if chunk.len() < SHORTEST {
            return None;
        }
        if self.untried > 0 {
            self.untried -= 1;
            return None;
        }
        let longest = chunk.len() - DISK_BLOCK.min(chunk.len() / SHARE);
        let len = self.shrink(chunk, longest).map(<[u8]>::len);
        if len.is_some() {
            self.misses = 0;
            self.pause = FIRST_PAUSE;
        } else {
            self.misses += 1;
            if self.misses >= MISSES {
                self.untried = self.pause;
                self.pause = LONGEST_PAUSE.min(2 * self.pause);
            }
        }
        len.map(|len| &self.room[..len])
    }

    /// The frame of `plain`, if it has at most `longest` bytes. Whatever else goes wrong in the
    /// library is no reason to fail: the chunk is then stored as it is.
    fn shrink(&mut self, plain: &[u8], longest: usize) -> Option<&[u8]> {
        if self.room.len() < longest {
            self.room.resize(longest, 0);
        }
        let len = self.zstd.compress_to_buffer(plain, &mut self.room[..longest]).ok()?;
        Some(&self.room[..len])
    }
}

impl Drop for Compressor {
    fn drop(&mut self) {
        self.room.zeroize();
    }
}

/// Decompresses chunks one after the other; costs nothing before the first.
#[derive(Default)]
pub(super) struct Decompressor {
    zstd: Option<zstd::bulk::Decompressor<'static>>,
    frame: Vec<u8>,
}

impl Decompressor {
    /// Room for a frame of this length.
    pub(super) fn frame(&mut self, len: usize) -> &mut [u8] {
        self.frame.resize(len, 0);
        &mut self.frame
    }

    /// Decompresses the frame to just the length of `out`.
    ///
    /// # Errors
    /// [`FormatError::Damaged`] when it has another, or is none; [`FormatError::Io`] when the system
    /// has no memory to give.
    pub(super) fn decompress(&mut self, out: &mut [u8]) -> Result<(), FormatError> {
        let zstd = match &mut self.zstd {
            Some(zstd) => zstd,
            none => none.insert(zstd::bulk::Decompressor::new()?),
        };
        // Decompression into a slice never writes past it, whatever the frame claims.
        match zstd.decompress_to_buffer(&self.frame, out) {
            Ok(len) if len == out.len() => Ok(()),
            _ => Err(FormatError::damaged("a chunk does not decompress to its length")),
        }
    }
}

impl Drop for Decompressor {
    fn drop(&mut self) {
        self.frame.zeroize();
    }
}
