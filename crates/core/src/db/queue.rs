//! The bounded queue before the writer, and the jobs in it.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use osnova_storage_api::ApiError;

use super::tx::Tx;
use crate::error::{Result, StoreError};

/// What callers are told to wait when the queue is full: a few groups' worth of commits.
const RETRY_AFTER_MS: u64 = 20;

/// A write waiting for the writer: an operation, and where its result goes.
pub struct Job(Box<dyn AnyJob>);

trait AnyJob: Send {
    fn run(&mut self, tx: &Tx<'_>) -> bool;
    fn refuse(&mut self, error: StoreError);
    fn error(&self) -> Option<&StoreError>;
    fn finish(self: Box<Self>);
    fn weight(&self) -> usize;
}

struct Call<T, O, R> {
    operation: O,
    reply: R,
    weight: usize,
    result: Option<Result<T>>,
}

impl<T, O, R> AnyJob for Call<T, O, R>
where
    T: Send,
    O: Fn(&Tx<'_>) -> Result<T> + Send,
    R: FnOnce(Result<T>) + Send,
{
    fn run(&mut self, tx: &Tx<'_>) -> bool {
        // A bug in one operation must not take the writer, and so every later write, with it.
        let result = catch_unwind(AssertUnwindSafe(|| (self.operation)(tx)))
            .unwrap_or_else(|_| Err(StoreError::Internal("a write operation panicked".to_owned())));
        self.result.insert(result).is_ok()
    }

    fn refuse(&mut self, error: StoreError) {
        self.result = Some(Err(error));
    }

    fn error(&self) -> Option<&StoreError> {
        self.result.as_ref().and_then(|result| result.as_ref().err())
    }

    fn finish(self: Box<Self>) {
        let result = self
            .result
            .unwrap_or_else(|| Err(StoreError::Internal("a write was never run".to_owned())));
        (self.reply)(result);
    }

    fn weight(&self) -> usize {
        self.weight
    }
}

impl Job {
    /// A job. `weight` is about how many bytes it writes; `operation` may be run more than once,
    /// each time on a state without its earlier runs; `reply` is called on the writer's thread once
    /// the outcome is durable, so it must not block.
    pub fn new<T: Send + 'static>(
        weight: usize,
        operation: impl Fn(&Tx<'_>) -> Result<T> + Send + 'static,
        reply: impl FnOnce(Result<T>) + Send + 'static,
    ) -> Self {
        Self(Box::new(Call { operation, reply, weight, result: None }))
    }

    /// Runs the operation; false where it failed.
    pub(crate) fn run(&mut self, tx: &Tx<'_>) -> bool {
        self.0.run(tx)
    }

    /// Sets the result to an error.
    pub(crate) fn refuse(&mut self, error: StoreError) {
        self.0.refuse(error);
    }

    /// Why it failed, where it has.
    pub(crate) fn error(&self) -> Option<&StoreError> {
        self.0.error()
    }

    /// About how many bytes it writes.
    pub(crate) fn weight(&self) -> usize {
        self.0.weight()
    }

    /// Hands the result over.
    pub(crate) fn finish(self) {
        self.0.finish();
    }
}

/// The bounds of the queue and of the groups taken from it.
#[derive(Debug, Clone, Copy)]
pub struct QueueLimits {
    /// Jobs that may wait.
    pub queued_calls: usize,
    /// Their weight in bytes.
    pub queued_bytes: usize,
    /// Jobs that share one commit.
    pub group_calls: usize,
    /// Their weight in bytes.
    pub group_bytes: usize,
    /// How long deferred writes wait for a group before they get one of their own.
    pub flush_interval: Duration,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self {
            queued_calls: 8192,
            queued_bytes: 64 << 20,
            group_calls: 512,
            group_bytes: 8 << 20,
            flush_interval: Duration::from_millis(200),
        }
    }
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    bytes: usize,
    /// Since when deferred writes wait.
    deferred_since: Option<Instant>,
    /// Jobs that were ever taken in, and those of them that are finished.
    taken: u64,
    finished: u64,
    closed: bool,
}

/// The queue.
pub(crate) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
    limits: QueueLimits,
}

impl Queue {
    pub(crate) fn new(limits: QueueLimits) -> Self {
        Self { state: Mutex::default(), wake: Condvar::new(), limits }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues jobs together, in order: all of them, or none where there is no room.
    ///
    /// # Errors
    /// `unavailable` where the queue is full or closed; the jobs are dropped without a reply.
    pub(crate) fn push(&self, jobs: Vec<Job>) -> Result<()> {
        let weight: usize = jobs.iter().map(Job::weight).sum();
        let mut state = self.lock();
        if state.closed {
            return Err(stopping());
        }
        // Even a job over the bound in bytes gets in when it is alone, or it never would.
        let full = state.jobs.len() + jobs.len() > self.limits.queued_calls
            || (!state.jobs.is_empty() && state.bytes + weight > self.limits.queued_bytes);
        if full {
            return Err(StoreError::Refused(ApiError::unavailable(
                "too many writes are waiting",
                RETRY_AFTER_MS,
            )));
        }
        state.bytes += weight;
        state.taken += jobs.len() as u64;
        state.jobs.extend(jobs);
        drop(state);
        self.wake.notify_one();
        Ok(())
    }

    /// Puts jobs that did not fit into their group back at the head, past every bound.
    pub(crate) fn put_back(&self, jobs: Vec<Job>) {
        let mut state = self.lock();
        for job in jobs.into_iter().rev() {
            state.bytes += job.weight();
            state.jobs.push_front(job);
        }
    }

    /// Tells that something deferred is pending.
    ///
    /// # Errors
    /// `unavailable` where the queue is closed: nobody may be left to write it.
    pub(crate) fn deferred_is_pending(&self) -> Result<()> {
        let mut state = self.lock();
        if state.closed {
            return Err(stopping());
        }
        if state.deferred_since.is_none() {
            state.deferred_since = Some(Instant::now());
            drop(state);
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Waits for the next group: what waits, up to the bounds of a group; nothing where only deferred
    /// writes are due. `None` once the queue is closed and empty.
    pub(crate) fn next_group(&self) -> Option<Vec<Job>> {
        let mut state = self.lock();
        loop {
            if !state.jobs.is_empty() {
                break;
            }
            if state.closed {
                return None;
            }
            state = match state.deferred_since {
                None => self.wake.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(since) => {
                    let left = self.limits.flush_interval.saturating_sub(since.elapsed());
                    if left.is_zero() {
                        break;
                    }
                    self.wake.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        state.deferred_since = None;
        let mut group = Vec::with_capacity(state.jobs.len().min(self.limits.group_calls));
        let mut bytes = 0;
        while group.len() < self.limits.group_calls {
            let Some(weight) = state.jobs.front().map(Job::weight) else { break };
            if !group.is_empty() && bytes + weight > self.limits.group_bytes {
                break;
            }
            bytes += weight;
            group.extend(state.jobs.pop_front());
        }
        state.bytes -= bytes;
        Some(group)
    }

    /// How many jobs wait.
    pub(crate) fn depth(&self) -> usize {
        self.lock().jobs.len()
    }

    /// Told by the writer: so many jobs are finished, whatever came of them.
    pub(crate) fn finished(&self, jobs: usize) {
        self.lock().finished += jobs as u64;
    }

    /// How many jobs were ever taken in; `None` while one of them waits or runs.
    pub(crate) fn taken_if_idle(&self) -> Option<u64> {
        let state = self.lock();
        (state.taken == state.finished).then_some(state.taken)
    }

    /// Takes no more jobs and drops those that wait, whose callers are then told: the writer is gone.
    pub(crate) fn abandon(&self) {
        let mut state = self.lock();
        state.closed = true;
        let dropped = std::mem::take(&mut state.jobs);
        drop(state);
        drop(dropped);
    }

    /// Takes no more jobs; those that wait are still run.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_all();
    }
}

fn stopping() -> StoreError {
    StoreError::Refused(ApiError::unavailable("the daemon is stopping", 1000))
}
