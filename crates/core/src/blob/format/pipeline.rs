//! Content in, sealed file out, at the speed of the machine and in constant memory.
//!
//! Small content is hashed and sealed where it is, and written at once. From [`INLINE_MAX`] on,
//! threads share the work: this one reads, one hashes the blocks, a [`Crew`] compresses and seals the
//! same blocks meanwhile, and one writes what is sealed. Only hashing can't be shared out, so that it
//! sets the pace, unless compressing does, or the disk.
//!
//! Plaintext stands in few blocks that are used again and again and wiped at the end. What goes to
//! the file is sealed before it is handed to the operating system.

use std::io::{self, Read};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use sha2::{Digest, Sha256};
use zeroize::Zeroize;

use super::compress::Compressor;
use super::crew::{Crew, hands};
use super::writer::Writer;
use super::{Codec, ContentHash, HEADER_LEN, MAX_PLAINTEXT_LEN, Sealer, WriteAt, length};
use crate::vault::keys::KeySet;

/// Up to this length a second thread costs more than it gains.
const INLINE_MAX: usize = 256 * 1024;

/// What is read, hashed, sealed and written in one go: a multiple of every chunk size in use.
const BLOCK_BYTES: usize = 256 * 1024;

/// Blocks beside those that are being sealed: one waiting to be, one being read behind it, and one
/// being hashed.
const MORE_BLOCKS: usize = 3;

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealed {
    /// The content's hash.
    pub sha256: ContentHash,
    /// The content's length.
    pub size: u64,
    /// The file's length.
    pub stored_size: u64,
    /// Whether chunks of it are compressed.
    pub codec: Codec,
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
/// is synced. Chunks that shrink are compressed, unless the content's beginning says that few will, or
/// content of `max_size` bytes would be too long for it.
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
    let mut compressor = Compressor::new().map_err(SealError::System)?;
    if !first.is_full() {
        return seal_inline(first.content(), sealer, compressor, out);
    }
    let compress = sealer.may_compress(source.limit) && compressor.samples_well(first.content());
    let mut compressors = Vec::from_iter(compress.then_some(Some(compressor)));
    while compressors.len() < hands() {
        let another = compress.then(Compressor::new).transpose().map_err(SealError::System)?;
        compressors.push(another);
    }
    seal_overlapped(first, source, sealer, compressors, out)
}

/// Seals content that is in memory, and writes it with a single call.
fn seal_inline(
    content: &[u8],
    mut sealer: Sealer,
    mut compressor: Compressor,
    out: &dyn WriteAt,
) -> Result<Sealed, SealError> {
    let turn = sealer.turn(content.len(), true);
    let mut file = vec![0; HEADER_LEN + turn.room()];
    let sealed = turn.seal(content, Some(&mut compressor), &mut file[HEADER_LEN..]);
    file.truncate(HEADER_LEN + sealed.stored_len());
    sealer.enter(&sealed);
    let sha256 = Sha256::digest(content).into();
    let trailer = sealer.finish(&sha256);
    file[..HEADER_LEN].copy_from_slice(&trailer.header);
    file.extend_from_slice(&trailer.after_chunks);
    out.write_all_at(&file, 0).map_err(SealError::Output)?;
    let (size, stored_size) = (length(content.len()), length(file.len()));
    Ok(Sealed { sha256, size, stored_size, codec: trailer.codec })
}

/// Seals content of any length: this thread reads, others hash, seal and write.
fn seal_overlapped(
    first: Block,
    mut source: Source<'_>,
    mut sealer: Sealer,
    compressors: Vec<Option<Compressor>>,
    out: &dyn WriteAt,
) -> Result<Sealed, SealError> {
    thread::scope(|scope| {
        let blocks = compressors.len() + MORE_BLOCKS;
        let (to_hasher, to_hash) = sync_channel(blocks);
        let (give_back, given_back) = channel();
        let crew = Crew::spawn(scope, compressors, &give_back).map_err(SealError::System)?;
        let hasher = thread::Builder::new()
            .name("blob-hash".to_owned())
            .spawn_scoped(scope, move || hash_blocks(&to_hash, &give_back))
            .map_err(SealError::System)?;
        let writer = Writer::spawn(scope, out, length(HEADER_LEN)).map_err(SealError::System)?;

        let pool = Pool { unused: blocks, given_back };
        let sealed = Stages { sealer: &mut sealer, writer: &writer, crew, to_hasher, pool }
            .run(first, &mut source);
        // The threads have ended, or end when they see that there is nothing more to come for them.
        let sha256 = hasher.join().unwrap_or_else(|panic| resume_unwind(panic));
        let place = writer.finish().map_err(SealError::Output)?;
        sealed?;

        let trailer = sealer.finish(&sha256);
        out.write_all_at(&trailer.after_chunks, place).map_err(SealError::Output)?;
        out.write_all_at(&trailer.header, 0).map_err(SealError::Output)?;
        let stored_size = place + length(trailer.after_chunks.len());
        Ok(Sealed { sha256, size: source.read, stored_size, codec: trailer.codec })
    })
}

/// Where a block goes after it has been read.
struct Stages<'a, 'scope> {
    sealer: &'a mut Sealer,
    writer: &'a Writer<'scope>,
    crew: Crew<'scope>,
    to_hasher: SyncSender<Arc<Block>>,
    pool: Pool,
}

impl Stages<'_, '_> {
    /// Passes on block by block. A block is sealed when the one behind it has been read, as only then
    /// it is known whether it is the last. Ends early, without an error of its own, when the writer has
    /// failed: the writer knows why.
    fn run(mut self, first: Block, source: &mut Source<'_>) -> Result<(), SealError> {
        let at_once = hands();
        let mut block = Arc::new(first);
        loop {
            // Fails only when the hasher has panicked, which joining it brings to light.
            let _ = self.to_hasher.send(Arc::clone(&block));
            let mut next = self.pool.block();
            source.fill(&mut next)?;
            let last = next.content().is_empty();
            let turn = self.sealer.turn(block.content().len(), last);
            self.crew.give(block, turn, self.writer.buffer());
            while self.crew.under_way() > if last { 0 } else { at_once } {
                let Some(stored) = self.crew.take() else { break };
                self.sealer.enter(&stored.sealed);
                if self.writer.write(stored.bytes).is_err() {
                    return Ok(());
                }
            }
            if last {
                self.crew.finish();
                return Ok(());
            }
            block = Arc::new(next);
        }
    }
}

/// Hashes blocks as they come and gives them back.
fn hash_blocks(blocks: &Receiver<Arc<Block>>, give_back: &Sender<Arc<Block>>) -> ContentHash {
    let mut hash = Sha256::new();
    for block in blocks {
        hash.update(block.content());
        // Fails only when no further block will be asked for.
        let _ = give_back.send(block);
    }
    hash.finalize().into()
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
pub(super) struct Block {
    bytes: Vec<u8>,
    len: usize,
    /// As far as plaintext has ever stood here; beyond, pages were never touched and need no wiping.
    used: usize,
}

impl Block {
    fn new(capacity: usize) -> Self {
        Self { bytes: vec![0; capacity], len: 0, used: 0 }
    }

    pub(super) fn content(&self) -> &[u8] {
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

/// Blocks to read into: new ones up to a number, then those that are hashed and sealed.
struct Pool {
    unused: usize,
    given_back: Receiver<Arc<Block>>,
}

impl Pool {
    fn block(&mut self) -> Block {
        if self.unused > 0 {
            self.unused -= 1;
            return Block::new(BLOCK_BYTES);
        }
        // Each block comes back twice, from the hasher and from who sealed it: the second is the last
        // handle. A new block is for threads that have panicked.
        let mut given_back = self.given_back.iter();
        given_back.find_map(Arc::into_inner).unwrap_or_else(|| Block::new(BLOCK_BYTES))
    }
}
