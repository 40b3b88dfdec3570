//! Threads that compress and seal the blocks of one content, and give them back in order.
//!
//! Blocks go to the threads in turns, so the next to be done is always known, and each thread is left
//! alone with its compressor.

use std::io;
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, Sender, SyncSender, sync_channel};
use std::sync::{Arc, LazyLock};
use std::thread::{self, Scope, ScopedJoinHandle};

use super::compress::Compressor;
use super::pipeline::Block;
use super::seal::{SealedTurn, Turn};

/// Threads for one content, at most: more would outrun every disk, and each costs blocks of memory.
const MOST_HANDS: usize = 4;

/// Blocks that may lie with one thread: the one it works on, and one more.
const TASKS: usize = 2;

/// How many threads work on one content, sealing or opening it: as many as there are cores, to a bound.
pub(super) fn hands() -> usize {
    static HANDS: LazyLock<usize> =
        LazyLock::new(|| thread::available_parallelism().map_or(1, usize::from).min(MOST_HANDS));
    *HANDS
}

/// The threads of one content.
pub(super) struct Crew<'scope> {
    hands: Vec<Hand<'scope>>,
    given: usize,
    taken: usize,
}

struct Hand<'scope> {
    tasks: SyncSender<Task>,
    done: Receiver<Stored>,
    thread: ScopedJoinHandle<'scope, ()>,
}

struct Task {
    block: Arc<Block>,
    turn: Turn,
    stored: Vec<u8>,
}

/// A block as it is to be written.
pub(super) struct Stored {
    /// What the sealer must be told of it.
    pub(super) sealed: SealedTurn,
    /// Its bytes.
    pub(super) bytes: Vec<u8>,
}

impl<'scope> Crew<'scope> {
    /// Starts a thread for each of `compressors`, which seals without compressing where it is nothing.
    /// Blocks that are sealed go to `give_back`.
    pub(super) fn spawn(
        scope: &'scope Scope<'scope, '_>,
        compressors: Vec<Option<Compressor>>,
        give_back: &Sender<Arc<Block>>,
    ) -> io::Result<Self> {
        let mut hands = Vec::with_capacity(compressors.len());
        for compressor in compressors {
            let (tasks, to_do) = sync_channel(TASKS);
            let (give_done, done) = sync_channel(TASKS);
            let give_back = give_back.clone();
            let thread = thread::Builder::new()
                .name("blob-seal".to_owned())
                .spawn_scoped(scope, move || seal(&to_do, compressor, &give_done, &give_back))?;
            hands.push(Hand { tasks, done, thread });
        }
        Ok(Self { hands, given: 0, taken: 0 })
    }

    /// How many blocks were given and not taken again.
    pub(super) fn under_way(&self) -> usize {
        self.given - self.taken
    }

    /// Gives a block to be sealed into `stored`. The caller keeps no more than [`TASKS`] for each
    /// thread under way.
    pub(super) fn give(&mut self, block: Arc<Block>, turn: Turn, stored: Vec<u8>) {
        let hand = &self.hands[self.given % self.hands.len()];
        // Fails only when the thread has panicked, which taking or joining brings to light.
        let _ = hand.tasks.send(Task { block, turn, stored });
        self.given += 1;
    }

    /// The oldest block under way, when it is done. Nothing where its thread has panicked.
    pub(super) fn take(&mut self) -> Option<Stored> {
        let hand = &self.hands[self.taken % self.hands.len()];
        self.taken += 1;
        hand.done.recv().ok()
    }

    /// Waits for the threads; what they still had under way is lost.
    pub(super) fn finish(self) {
        for Hand { tasks, done, thread } in self.hands {
            drop((tasks, done));
            thread.join().unwrap_or_else(|panic| resume_unwind(panic));
        }
    }
}

fn seal(
    tasks: &Receiver<Task>,
    mut compressor: Option<Compressor>,
    done: &SyncSender<Stored>,
    give_back: &Sender<Arc<Block>>,
) {
    for Task { block, turn, stored: mut bytes } in tasks {
        bytes.resize(turn.room(), 0);
        let sealed = turn.seal(block.content(), compressor.as_mut(), &mut bytes);
        bytes.truncate(sealed.stored_len());
        // Fails only when no further block will be asked for.
        let _ = give_back.send(block);
        if done.send(Stored { sealed, bytes }).is_err() {
            return;
        }
    }
}
