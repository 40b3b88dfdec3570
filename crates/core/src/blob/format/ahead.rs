//! Reading a long range ahead of its consumer, on several cores.
//!
//! One core decrypts slower than a disk or a socket moves bytes. Chunks are sealed one by one, so
//! pieces of a range can be opened by several threads at once; they are handed out in order. Each
//! thread holds one piece ready and makes one, which bounds the memory whatever the range. The
//! threads end with the range, or when their [`ReadAhead`] is dropped.

use std::io;
use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::crew::hands;
use super::{BlobReader, FormatError, RangeReader, ReadAt, index, length};

/// The length of a piece: a handful of chunks, so that a thread is not woken for little.
const PIECE_BYTES: u64 = 256 * 1024;

/// The pieces of a range, in order.
pub struct ReadAhead {
    openers: Vec<Receiver<Result<Vec<u8>, FormatError>>>,
    next_piece: u64,
    pieces: u64,
}

impl ReadAhead {
    /// Starts to read `len` bytes from `offset` on, fewer where the content ends before. Worth it
    /// from a few pieces on; below, [`BlobReader::range`] is cheaper.
    ///
    /// # Errors
    /// [`FormatError::OutOfRange`] when `offset` lies behind the end; [`FormatError::Io`] when the
    /// system has no threads to give.
    pub fn start<F>(blob: &BlobReader<F>, offset: u64, len: u64) -> Result<Self, FormatError>
    where
        F: ReadAt + Send + Sync + 'static,
    {
        let len = blob.range(offset, len)?.remaining();
        // Never less than a chunk, as chunks can only be opened whole.
        let piece_len = PIECE_BYTES.max(length(blob.header().chunk_size.bytes()));
        let pieces = len.div_ceil(piece_len);
        let mut openers = Vec::new();
        let threads = length(hands()).min(pieces);
        for first in 0..threads {
            let (to_consumer, opened) = sync_channel(1);
            let range = blob.range(offset, len)?;
            let turns = first..threads;
            thread::Builder::new()
                .name("blob-open".to_owned())
                .spawn(move || open_pieces(range, offset, piece_len, turns, &to_consumer))?;
            openers.push(opened);
        }
        Ok(Self { openers, next_piece: 0, pieces })
    }

    /// The next piece, or nothing at the end of the range. Waits until it is there.
    ///
    /// # Errors
    /// When it can't be had. The pieces before it have been handed out, and those behind it are not.
    pub fn next_piece(&mut self) -> Result<Option<Vec<u8>>, FormatError> {
        if self.next_piece == self.pieces {
            return Ok(None);
        }
        let opener = &self.openers[index(self.next_piece % length(self.openers.len()))];
        let stopped = |_| io::Error::other("the thread that reads ahead has stopped at an error");
        let piece = opener.recv().map_err(stopped)??;
        self.next_piece += 1;
        Ok(Some(piece))
    }
}

/// Opens pieces of a range that begins at `offset`: the one numbered by the start of `turns`, and then
/// each that is its end further on.
fn open_pieces<F: ReadAt>(
    mut range: RangeReader<F>,
    offset: u64,
    piece_len: u64,
    turns: Range<u64>,
    to_consumer: &SyncSender<Result<Vec<u8>, FormatError>>,
) {
    let len = range.remaining();
    let mut from = turns.start * piece_len;
    while from < len {
        range.restart(offset + from, piece_len.min(len - from));
        let piece = open_piece(&mut range);
        let failed = piece.is_err();
        // Sending fails when the consumer has gone.
        if to_consumer.send(piece).is_err() || failed {
            return;
        }
        from += turns.end * piece_len;
    }
}

fn open_piece<F: ReadAt>(range: &mut RangeReader<F>) -> Result<Vec<u8>, FormatError> {
    let mut piece = vec![0; index(range.remaining())];
    let mut filled = 0;
    while filled < piece.len() {
        let len = range.fill(&mut piece[filled..])?;
        assert!(len > 0, "a range ended before its length");
        filled += len;
    }
    Ok(piece)
}
