//! One file of a log, read a chunk of whole lines at a time, from either end.

use std::io;

use super::packed::{self, BLOCK_BYTES, Block};
use crate::files::FileHandle;

/// A file of a log.
#[derive(Debug)]
pub(super) enum Source {
    /// As it was written, up to where it went when it was opened.
    Plain(FileHandle, u64),
    /// Compressed.
    Packed(FileHandle, Vec<Block>),
}

/// Lines of a file.
#[derive(Debug)]
pub(super) struct Chunk {
    /// Where the first begins.
    pub(super) start: u64,
    /// Where the last ends. Nothing of the log is between a chunk and the next.
    pub(super) end: u64,
    /// Their bytes, from `start` on; none where a line is too long to be ours.
    pub(super) bytes: Vec<u8>,
}

impl Source {
    /// A file as it was written.
    pub(super) fn plain(file: FileHandle) -> io::Result<Self> {
        let end = file.length()?;
        Ok(Source::Plain(file, end))
    }

    /// A compressed file.
    pub(super) fn packed(file: FileHandle) -> io::Result<Self> {
        let blocks = packed::blocks(&file)?;
        Ok(Source::Packed(file, blocks))
    }

    /// Where it ends.
    pub(super) fn end(&self) -> u64 {
        match self {
            Source::Plain(_, end) => *end,
            Source::Packed(_, blocks) => blocks.last().map_or(0, Block::end),
        }
    }

    /// The lines from a position on; `None` where no whole line follows.
    pub(super) fn after(&self, position: u64) -> io::Result<Option<Chunk>> {
        match self {
            Source::Plain(file, end) => {
                let until = (*end).min(position.saturating_add(BLOCK_BYTES as u64));
                let bytes = read(file, position, until)?;
                // A cursor may say any position; and the file may have been cut short by another.
                if bytes.is_empty() {
                    return Ok(None);
                }
                let end_read = position + bytes.len() as u64;
                let whole = bytes.iter().rposition(|byte| *byte == b'\n').map(|at| at + 1);
                Ok(match whole {
                    Some(whole) => Some(chunk_at(position, bytes, 0, whole)),
                    // What ends without a line break was torn, or is not written yet.
                    None if end_read == *end => None,
                    None => Some(Chunk { start: position, end: end_read, bytes: Vec::new() }),
                })
            }
            Source::Packed(file, blocks) => {
                let Some(block) = blocks.iter().find(|block| block.end() > position) else {
                    return Ok(None);
                };
                let bytes = packed::read_block(file, block)?;
                let skipped = usize::try_from(position.saturating_sub(block.start)).unwrap_or(0);
                let until = bytes.len();
                Ok(Some(chunk_at(block.start, bytes, skipped, until)))
            }
        }
    }

    /// The lines before a position; `None` where nothing is before it.
    pub(super) fn before(&self, position: u64) -> io::Result<Option<Chunk>> {
        let position = position.min(self.end());
        if position == 0 {
            return Ok(None);
        }
        match self {
            Source::Plain(file, _) => {
                let start = position.saturating_sub(BLOCK_BYTES as u64);
                let bytes = read(file, start, position)?;
                // Within the file the first line may be a part of one: it belongs to the next chunk. The
                // last line break ends the last line, and begins none.
                let first = match start {
                    0 => Some(0),
                    _ => bytes
                        .iter()
                        .position(|byte| *byte == b'\n')
                        .map(|at| at + 1)
                        .filter(|at| *at < bytes.len()),
                };
                let until = bytes.len();
                Ok(Some(match first {
                    Some(first) => chunk_at(start, bytes, first, until),
                    None => Chunk { start, end: position, bytes: Vec::new() },
                }))
            }
            Source::Packed(file, blocks) => {
                let Some(block) = blocks.iter().rfind(|block| block.start < position) else {
                    return Ok(None);
                };
                let bytes = packed::read_block(file, block)?;
                let until = usize::try_from(position - block.start).unwrap_or(usize::MAX);
                let until = until.min(bytes.len());
                Ok(Some(chunk_at(block.start, bytes, 0, until)))
            }
        }
    }
}

/// A part of what was read at a position.
fn chunk_at(position: u64, mut bytes: Vec<u8>, from: usize, until: usize) -> Chunk {
    bytes.truncate(until);
    bytes.drain(..from.min(until));
    let start = position + from as u64;
    Chunk { start, end: position + until as u64, bytes }
}

/// The bytes between two positions of a file, or those that are there.
fn read(file: &FileHandle, from: u64, until: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(until.saturating_sub(from)).unwrap_or(0)];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], from + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::PathBuf;

    use super::*;
    use crate::files::Files;

    fn sources(text: &[u8]) -> [Source; 2] {
        let mut plain = tempfile::tempfile().unwrap();
        plain.write_all(text).unwrap();
        let mut packed = tempfile::tempfile().unwrap();
        packed::pack(&mut &text[..], &mut packed).unwrap();
        let handle = |file| Files::real().handle(file, PathBuf::new());
        [Source::plain(handle(plain)).unwrap(), Source::packed(handle(packed)).unwrap()]
    }

    #[test]
    fn every_line_is_read_once_from_either_end() {
        let text: Vec<u8> = (0..60_000)
            .flat_map(|line| format!("{line} {}\n", "x".repeat(line % 70)).into_bytes())
            .collect();
        for source in sources(&text) {
            let (mut forth, mut at) = (Vec::new(), 0);
            while let Some(chunk) = source.after(at).unwrap() {
                assert_eq!(chunk.start, at);
                at = chunk.end;
                forth.extend(chunk.bytes);
            }
            assert!(forth == text, "lost on the way forth");
            let (mut back, mut at) = (Vec::new(), source.end());
            while let Some(chunk) = source.before(at).unwrap() {
                assert_eq!(chunk.end, at);
                assert!(chunk.bytes.ends_with(b"\n"));
                at = chunk.start;
                back.splice(0..0, chunk.bytes);
            }
            assert!(back == text, "lost on the way back");
            // From within, at a line's begin.
            let length = text.iter().position(|byte| *byte == b'\n').unwrap() + 1;
            let within = length as u64;
            assert_eq!(source.after(within).unwrap().unwrap().start, within);
            assert_eq!(source.before(within).unwrap().unwrap().bytes, &text[..length]);
        }
    }

    #[test]
    fn any_position_ends_a_search_and_does_not_break_it() {
        for source in sources(b"one\ntwo\n") {
            for position in [8, 9, 1 << 40, u64::MAX] {
                assert!(source.after(position).unwrap().is_none());
                assert_eq!(source.before(position).unwrap().unwrap().bytes, b"one\ntwo\n");
            }
            assert_eq!(source.after(2).unwrap().unwrap().bytes, b"e\ntwo\n");
            assert!(source.before(0).unwrap().is_none());
        }
        let [plain, _] = sources(b"one\ntwo\n");
        if let Source::Plain(file, _) = &plain {
            file.set_len(4).unwrap();
        }
        assert_eq!(plain.after(0).unwrap().unwrap().end, 4);
        assert!(plain.after(4).unwrap().is_none());
    }

    #[test]
    fn a_torn_line_and_one_without_end_are_passed_over() {
        let [plain, _] = sources(b"whole\ntorn");
        assert_eq!(plain.after(0).unwrap().unwrap().bytes, b"whole\n");
        assert!(plain.after(6).unwrap().is_none());
        let mut text = b"first\n".to_vec();
        text.extend(vec![b'x'; 3 * BLOCK_BYTES]);
        text.extend(b"\nlast\n");
        let [plain, _] = sources(&text);
        let (mut at, mut most, mut chunks) = (0, 0, 0);
        while let Some(chunk) = plain.after(at).unwrap() {
            assert!(chunk.end > at);
            (at, most, chunks) = (chunk.end, most.max(chunk.bytes.len()), chunks + 1);
        }
        assert_eq!(at, text.len() as u64);
        assert!(most <= BLOCK_BYTES && chunks >= 3);
        let mut at = plain.end();
        while let Some(chunk) = plain.before(at).unwrap() {
            assert!(chunk.start < at);
            at = chunk.start;
        }
        assert_eq!(at, 0);
    }
}
