//! A rotated file, compressed in blocks that can be read one by one.
//!
//! ```text
//! block:  u32 0x184D2A50  u32 8  u32 compressed bytes  u32 plain bytes   little endian
//!         one zstd frame
//! ```
//!
//! The first 16 bytes are what zstd calls a skippable frame, so `zstdcat` reads the file as a whole.
//! A block holds whole lines. So a search from either end decompresses a block at a time, and a position
//! in the plain text is the same before and after the compression.

use std::io::{self, Read, Write};

use crate::files::FileHandle;

/// The most plain bytes in a block: more than the longest line.
pub(super) const BLOCK_BYTES: usize = 512 << 10;
/// What a skippable frame begins with (RFC 8878, section 3.1.2).
const MAGIC: u32 = 0x184D_2A50;
const HEADER_BYTES: usize = 16;
const LEVEL: i32 = 3;

/// A block of a compressed file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block {
    /// Where its frame begins in the file.
    at: u64,
    packed: usize,
    /// Where its first byte stands in the plain text.
    pub(super) start: u64,
    /// How many plain bytes it holds.
    pub(super) bytes: usize,
}

impl Block {
    /// Where it ends in the plain text.
    pub(super) fn end(&self) -> u64 {
        self.start + self.bytes as u64
    }
}

/// Compresses a file.
pub(super) fn pack(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut block = Vec::with_capacity(BLOCK_BYTES);
    loop {
        let room = (BLOCK_BYTES - block.len()) as u64;
        let read = from.by_ref().take(room).read_to_end(&mut block)?;
        if block.is_empty() {
            return Ok(());
        }
        // A line that is longer than a block is not ours; it is cut.
        let whole = block.iter().rposition(|byte| *byte == b'\n').map_or(block.len(), |at| at + 1);
        let whole = if read == 0 { block.len() } else { whole };
        let frame = zstd::bulk::compress(&block[..whole], LEVEL)?;
        for number in [MAGIC, 8, length(frame.len())?, length(whole)?] {
            to.write_all(&number.to_le_bytes())?;
        }
        to.write_all(&frame)?;
        block.drain(..whole);
    }
}

fn length(bytes: usize) -> io::Result<u32> {
    u32::try_from(bytes).map_err(io::Error::other)
}

/// The blocks of a compressed file, by its headers alone.
///
/// # Errors
/// `InvalidData` where it is none of ours.
pub(super) fn blocks(file: &FileHandle) -> io::Result<Vec<Block>> {
    let end = file.length()?;
    let (mut at, mut start) = (0, 0);
    let mut blocks = Vec::new();
    while at < end {
        let mut header = [0; HEADER_BYTES];
        file.read_exact_at(&mut header, at)?;
        let number = |index: usize| {
            let bytes = &header[index * 4..index * 4 + 4];
            bytes.iter().rev().fold(0_u32, |number, byte| number << 8 | u32::from(*byte))
        };
        let (packed, bytes) = (number(2) as usize, number(3) as usize);
        let ours = number(0) == MAGIC
            && number(1) == 8
            && (1..=BLOCK_BYTES).contains(&bytes)
            && packed <= zstd::zstd_safe::compress_bound(BLOCK_BYTES);
        if !ours {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not a log that was rotated"));
        }
        at += HEADER_BYTES as u64;
        blocks.push(Block { at, packed, start, bytes });
        at += packed as u64;
        start += bytes as u64;
    }
    Ok(blocks)
}

/// The plain text of a block.
pub(super) fn read_block(file: &FileHandle, block: &Block) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; block.packed];
    file.read_exact_at(&mut frame, block.at)?;
    let plain = zstd::bulk::decompress(&frame, block.bytes)?;
    if plain.len() != block.bytes {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a block of another size"));
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::PathBuf;

    use super::*;
    use crate::files::Files;

    fn handle(file: File) -> FileHandle {
        Files::real().handle(file, PathBuf::new())
    }

    fn packed(text: &[u8]) -> FileHandle {
        let mut file = tempfile::tempfile().unwrap();
        pack(&mut &text[..], &mut file).unwrap();
        handle(file)
    }

    #[test]
    fn blocks_hold_whole_lines_and_the_whole_text() {
        let text: Vec<u8> =
            (0..100_000).flat_map(|line| format!("line {line} of it\n").into_bytes()).collect();
        let file = packed(&text);
        let blocks = blocks(&file).unwrap();
        assert!(blocks.len() > 2);
        let mut read = Vec::new();
        for block in &blocks {
            assert_eq!(block.start, read.len() as u64);
            let plain = read_block(&file, block).unwrap();
            assert_eq!(plain.last(), Some(&b'\n'));
            read.extend(plain);
        }
        assert_eq!(read, text);
    }

    #[test]
    fn any_reader_of_zstd_reads_it() {
        let text = b"one\ntwo\nthree, and no end".repeat(40_000);
        let mut file = tempfile::tempfile().unwrap();
        pack(&mut &text[..], &mut file).unwrap();
        io::Seek::rewind(&mut file).unwrap();
        let mut read = Vec::new();
        zstd::stream::copy_decode(&mut file, &mut read).unwrap();
        assert_eq!(read, text);
        assert_eq!(blocks(&packed(b"")).unwrap().len(), 0);
    }

    #[test]
    fn another_file_is_refused() {
        for text in [&b"short"[..], &[0; 64]] {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(text).unwrap();
            assert!(blocks(&handle(file)).is_err());
        }
        // A frame that ends early is found when it is read.
        let file = packed(&b"text\n".repeat(1000));
        file.set_len(file.metadata().unwrap().len() - 1).unwrap();
        let blocks = blocks(&file).unwrap();
        assert!(read_block(&file, &blocks[0]).is_err());
    }
}
