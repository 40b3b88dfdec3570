//! Writing a file from another thread, in order, while its next part is being made.
//!
//! Long files are also pushed towards the disk while they are written, by a third thread. Left to
//! itself the system would keep them in memory, and whoever syncs the file in the end would wait
//! for the whole of it. This is for speed only: durable is a file that its owner has synced.

use std::io;
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, Scope, ScopedJoinHandle};

use super::{WriteAt, length};

/// Buffers waiting for the writer. With the one being written and those being filled they bound the
/// memory, to 2 MiB.
const QUEUE: usize = 2;

/// After so many bytes the file is pushed towards the disk. Measured with 1 GiB, synced at the end:
/// steps of 64 or 128 MiB take a fifth longer, as more is left for that sync.
const FLUSH_BYTES: u64 = 32 * 1024 * 1024;

/// The owner's end of the writing thread.
pub(super) struct Writer<'scope> {
    to_thread: SyncSender<Vec<u8>>,
    from_thread: Receiver<Vec<u8>>,
    thread: ScopedJoinHandle<'scope, io::Result<u64>>,
}

/// The writer has stopped early; [`Writer::finish`] tells why.
pub(super) struct WriterStopped;

impl<'scope> Writer<'scope> {
    /// Starts a thread that writes to `out` from `place` on.
    pub(super) fn spawn<'env>(
        scope: &'scope Scope<'scope, 'env>,
        out: &'env dyn WriteAt,
        place: u64,
    ) -> io::Result<Self> {
        let (to_thread, buffers) = sync_channel(QUEUE);
        let (give_back, from_thread) = sync_channel(QUEUE + 1);
        let thread = thread::Builder::new()
            .name("blob-write".to_owned())
            .spawn_scoped(scope, move || write_buffers(scope, out, place, &buffers, &give_back))?;
        Ok(Self { to_thread, from_thread, thread })
    }

    /// A buffer to fill: one that has been written, or a new one. There are never more than can be
    /// queued, being written, and in the owner's hands.
    pub(super) fn buffer(&self) -> Vec<u8> {
        self.from_thread.try_recv().unwrap_or_default()
    }

    /// Queues a buffer behind those before it; waits while the queue is full.
    pub(super) fn write(&self, buffer: Vec<u8>) -> Result<(), WriterStopped> {
        self.to_thread.send(buffer).map_err(|_| WriterStopped)
    }

    /// Waits until all is written and answers where it ends.
    pub(super) fn finish(self) -> io::Result<u64> {
        drop(self.to_thread);
        self.thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    }
}

fn write_buffers<'scope>(
    scope: &'scope Scope<'scope, '_>,
    out: &'scope dyn WriteAt,
    mut place: u64,
    buffers: &Receiver<Vec<u8>>,
    give_back: &SyncSender<Vec<u8>>,
) -> io::Result<u64> {
    let mut flusher: Option<Flusher<'_>> = None;
    let mut unflushed = 0;
    for buffer in buffers {
        out.write_all_at(&buffer, place)?;
        place += length(buffer.len());
        unflushed += length(buffer.len());
        // Fails only when the owner has no use for it.
        let _ = give_back.try_send(buffer);
        if unflushed >= FLUSH_BYTES {
            unflushed = 0;
            match &flusher {
                Some(flusher) => flusher.flush(),
                None => flusher = Some(Flusher::spawn(scope, out)?),
            }
        }
    }
    flusher.map_or(Ok(()), Flusher::finish)?;
    Ok(place)
}

/// A thread that flushes when told, and is not waited for.
struct Flusher<'scope> {
    to_thread: SyncSender<()>,
    thread: ScopedJoinHandle<'scope, io::Result<()>>,
}

impl<'scope> Flusher<'scope> {
    fn spawn(scope: &'scope Scope<'scope, '_>, out: &'scope dyn WriteAt) -> io::Result<Self> {
        let (to_thread, requests) = sync_channel::<()>(1);
        let thread = thread::Builder::new().name("blob-flush".to_owned()).spawn_scoped(
            scope,
            move || {
                out.flush_behind()?;
                requests.into_iter().try_for_each(|()| out.flush_behind())
            },
        )?;
        Ok(Self { to_thread, thread })
    }

    /// Asks for a flush, unless one is asked for already. A thread that has failed is heard at the
    /// end.
    fn flush(&self) {
        match self.to_thread.try_send(()) {
            Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(())) => {}
        }
    }

    fn finish(self) -> io::Result<()> {
        drop(self.to_thread);
        self.thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    }
}
