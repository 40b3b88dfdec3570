//! Content in, sealed file out, at the speed of the machine and in constant memory.
//!
//! Small content is hashed and sealed where it is, and written at once. From [`INLINE_MAX`] on,
//! three threads share the work: this one reads and seals, one hashes the same blocks meanwhile,
//! and one writes what is sealed. Sealing costs about as much as hashing, and writing about half of
//! it, so that two cores are kept busy in whatever proportion the machine has.
//!
//! Plaintext stands in few blocks that are used again and again and wiped at the end. What goes to
//! the file is sealed before it is handed to the operating system.

use std::io::{self, Read};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use sha2::{Digest, Sha256};
use zeroize::Zeroize;

use super::writer::Writer;
use super::{ContentHash, HEADER_LEN, MAX_PLAINTEXT_LEN, Sealer, TAG_LEN, WriteAt, length};
use crate::vault::keys::KeySet;

/// Up to this length a second thread costs more than it gains.
const INLINE_MAX: usize = 256 * 1024;

/// What is read, hashed, sealed and written in one go: a multiple of every chunk size in use.
const BLOCK_BYTES: usize = 512 * 1024;

/// Blocks under way at once: one being sealed, one being read behind it, one being hashed, and one
/// between, so that a thread that is held up for a moment does not hold up the other.
const BLOCKS: usize = 4;

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealed {
    /// The content's hash.
    pub sha256: ContentHash,
    /// The content's length.
    pub size: u64,
    /// The file's length.
    pub stored_size: u64,
}

/// Why content was not written. What stands in the file is then not a blob: its header is missing.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The content could not be read to its end.
    #[error("the content can't be read to its end")]
    Source(#[source] io::Error),
    /// The file could not be written.
    #[error("the file can't be written")]
    Output(#[source] io::Error),
    /// The content is longer than allowed.
    #[error("the content is longer than {limit} bytes")]
    TooLarge {
        /// What is allowed.
        limit: u64,
    },
    /// The system gave no random bytes or no thread.
    #[error("the system is out of a resource")]
    System(#[source] io::Error),
}

/// Reads `source` to its end and writes it to `out`, an empty file, sealed under the blob key of
/// `keys`. The header is written last, so that a file that was not finished does not open; nothing
/// is synced.
///
/// # Errors
/// See [`SealError`]. Content of exactly `max_size` bytes is allowed.
pub fn seal_stream(
    source: &mut dyn Read,
    out: &dyn WriteAt,
    keys: &KeySet,
    max_size: u64,
) -> Result<Sealed, SealError> {
    let sealer = Sealer::new(keys)
        .map_err(|_| SealError::System(io::Error::other("the system gave no random bytes")))?;
    let mut source = Source { source, read: 0, limit: max_size.min(MAX_PLAINTEXT_LEN) };
    let mut first = Block::new(INLINE_MAX);
    source.fill(&mut first)?;
    if first.is_full() {
        seal_overlapped(first, source, sealer, out)
    } else {
        seal_inline(first.content(), sealer, out)
    }
}

/// Seals content that is in memory, and writes it with a single call.
fn seal_inline(content: &[u8], mut sealer: Sealer, out: &dyn WriteAt) -> Result<Sealed, SealError> {
    let mut file = vec![0; HEADER_LEN + stored_len(content.len(), &sealer)];
    seal_block(&mut sealer, content, true, &mut file[HEADER_LEN..]);
    let sha256 = Sha256::digest(content).into();
    let trailer = sealer.finish(&sha256);
    file[..HEADER_LEN].copy_from_slice(&trailer.header);
    file.extend_from_slice(&trailer.after_chunks);
    out.write_all_at(&file, 0).map_err(SealError::Output)?;
    Ok(Sealed { sha256, size: length(content.len()), stored_size: length(file.len()) })
}

/// Seals content of any length: this thread reads and seals, one hashes, and one writes.
fn seal_overlapped(
    first: Block,
    mut source: Source<'_>,
    mut sealer: Sealer,
    out: &dyn WriteAt,
) -> Result<Sealed, SealError> {
    thread::scope(|scope| {
        let (to_hasher, blocks) = sync_channel(BLOCKS);
        let (give_back, from_hasher) = sync_channel(BLOCKS);
        let hasher = thread::Builder::new()
            .name("blob-hash".to_owned())
            .spawn_scoped(scope, move || hash_blocks(&blocks, &give_back))
            .map_err(SealError::System)?;
        let writer = Writer::spawn(scope, out, length(HEADER_LEN)).map_err(SealError::System)?;

        let pool = Pool { unused: BLOCKS, from_hasher };
        let sealed = seal_blocks(first, &mut source, &mut sealer, &writer, &to_hasher, pool);
        // The threads end when there is nothing more to come for them.
        drop(to_hasher);
        let sha256 = hasher.join().unwrap_or_else(|panic| resume_unwind(panic));
        let place = writer.finish().map_err(SealError::Output)?;
        sealed?;

        let trailer = sealer.finish(&sha256);
        out.write_all_at(&trailer.after_chunks, place).map_err(SealError::Output)?;
        out.write_all_at(&trailer.header, 0).map_err(SealError::Output)?;
        let stored_size = place + length(trailer.after_chunks.len());
        Ok(Sealed { sha256, size: source.read, stored_size })
    })
}

/// Reads and seals block by block. A block is sealed when the one behind it has been read, as only
/// then it is known whether it is the last. Ends early, without an error of its own, when the
/// writer has failed: the writer knows why.
fn seal_blocks(
    first: Block,
    source: &mut Source<'_>,
    sealer: &mut Sealer,
    writer: &Writer<'_>,
    to_hasher: &SyncSender<Arc<Block>>,
    mut pool: Pool,
) -> Result<(), SealError> {
    let mut block = Arc::new(first);
    loop {
        // Fails only when the hasher has panicked, which joining it brings to light.
        let _ = to_hasher.send(Arc::clone(&block));
        let mut next = pool.block();
        source.fill(&mut next)?;
        let last = next.content().is_empty();
        let mut stored = writer.buffer();
        stored.resize(stored_len(block.content().len(), sealer), 0);
        seal_block(sealer, block.content(), last, &mut stored);
        if writer.write(stored).is_err() || last {
            return Ok(());
        }
        block = Arc::new(next);
    }
}

/// Hashes blocks as they come and gives them back.
fn hash_blocks(blocks: &Receiver<Arc<Block>>, give_back: &SyncSender<Arc<Block>>) -> ContentHash {
    let mut hash = Sha256::new();
    for block in blocks {
        hash.update(block.content());
        // Fails only when no further block will be asked for.
        let _ = give_back.send(block);
    }
    hash.finalize().into()
}

/// Seals the content of one block into `stored`, which has the length for it.
fn seal_block(sealer: &mut Sealer, content: &[u8], last: bool, stored: &mut [u8]) {
    let chunk_size = sealer.chunk_size().bytes();
    if content.is_empty() {
        sealer.seal_chunk(content, last, stored);
        return;
    }
    let mut chunks = content.chunks(chunk_size).peekable();
    let mut rooms = stored.chunks_mut(chunk_size + TAG_LEN);
    while let (Some(chunk), Some(room)) = (chunks.next(), rooms.next()) {
        sealer.seal_chunk(chunk, last && chunks.peek().is_none(), room);
    }
}

/// The length of so much content as stored, tags included.
fn stored_len(content_len: usize, sealer: &Sealer) -> usize {
    content_len + content_len.div_ceil(sealer.chunk_size().bytes()).max(1) * TAG_LEN
}

/// The content as it comes, counted against the limit.
struct Source<'a> {
    source: &'a mut dyn Read,
    read: u64,
    limit: u64,
}

impl Source<'_> {
    /// Fills a block, unless the content ends before.
    fn fill(&mut self, block: &mut Block) -> Result<(), SealError> {
        block.len = 0;
        while !block.is_full() {
            match self.source.read(&mut block.bytes[block.len..]) {
                Ok(0) => break,
                Ok(len) => block.len += len,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(SealError::Source(error)),
            }
            block.used = block.used.max(block.len);
        }
        self.read += length(block.len);
        if self.read > self.limit {
            return Err(SealError::TooLarge { limit: self.limit });
        }
        Ok(())
    }
}

/// A piece of plaintext, wiped when it is dropped.
struct Block {
    bytes: Vec<u8>,
    len: usize,
    /// As far as plaintext has ever stood here; beyond, pages were never touched and need no wiping.
    used: usize,
}

impl Block {
    fn new(capacity: usize) -> Self {
        Self { bytes: vec![0; capacity], len: 0, used: 0 }
    }

    fn content(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn is_full(&self) -> bool {
        self.len == self.bytes.len()
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.bytes[..self.used].zeroize();
    }
}

/// Blocks to read into: new ones up to a number, then those that the hasher is done with.
struct Pool {
    unused: usize,
    from_hasher: Receiver<Arc<Block>>,
}

impl Pool {
    fn block(&mut self) -> Block {
        if self.unused > 0 {
            self.unused -= 1;
            return Block::new(BLOCK_BYTES);
        }
        // The writer has let go of a block before it asks for another, so the hasher's is the only
        // handle; a new block is for a hasher that has panicked.
        let returned = self.from_hasher.recv().ok().and_then(Arc::into_inner);
        returned.unwrap_or_else(|| Block::new(BLOCK_BYTES))
    }
}
