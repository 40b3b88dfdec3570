//! Meters: how much of something is in use, and how much may be.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Limits;

/// Counts what is in use, up to a limit. Taking and giving back cost an atomic operation each.
#[derive(Debug)]
pub(crate) struct Meter {
    used: AtomicUsize,
    limit: usize,
}

impl Meter {
    /// A meter of which nothing is used.
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), limit })
    }

    /// Takes one, if there is one left.
    pub(crate) fn take(self: &Arc<Self>) -> Option<Permit> {
        // Counted first, so that two takers of the last one can't both get it.
        if self.used.fetch_add(1, Ordering::Relaxed) < self.limit {
            return Some(Permit(Arc::clone(self)));
        }
        self.used.fetch_sub(1, Ordering::Relaxed);
        None
    }
}

/// One of what a [`Meter`] counts; given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit(Arc<Meter>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.used.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request or an answer over this size, in bytes, counts as large: it is kept in memory as a whole.
pub(crate) const LARGE_BYTES: usize = 64 << 10;

/// That a large request or answer may be in memory; given back once it is answered, or taken.
pub(crate) type Held = Arc<OwnedSemaphorePermit>;

/// What a caller has in use, over all of its credentials and connections.
#[derive(Debug)]
pub(crate) struct Account {
    /// Its connections.
    pub(crate) connections: Arc<Meter>,
    /// Its calls that run or wait.
    pub(crate) calls: Arc<Meter>,
    /// Its blob streams.
    pub(crate) streams: Arc<Meter>,
    /// Its WebSockets: each may have a message of the largest size on its way.
    pub(crate) websockets: Arc<Meter>,
    /// Its large requests. More wait: nobody waits for one while it holds another.
    pub(crate) large_requests: Arc<Semaphore>,
    /// Its large answers; more wait, before they are made. Whoever waits for one may hold a request.
    pub(crate) large_answers: Arc<Semaphore>,
}

impl Account {
    /// The account of a component.
    pub(crate) fn of_component(limits: &Limits) -> Arc<Self> {
        let large = limits.large_messages_per_component.min(Semaphore::MAX_PERMITS);
        Arc::new(Self {
            connections: Meter::new(limits.connections_per_component),
            calls: Meter::new(limits.calls_per_component),
            streams: Meter::new(limits.streams_per_component),
            websockets: Meter::new(limits.large_messages_per_component),
            large_requests: Arc::new(Semaphore::new(large)),
            large_answers: Arc::new(Semaphore::new(large)),
        })
    }

    /// The owner's: he is bound by what the daemon can bear as a whole, and by nothing less.
    pub(crate) fn of_owner() -> Arc<Self> {
        let limits = Limits {
            connections_per_component: usize::MAX,
            calls_per_component: usize::MAX,
            streams_per_component: usize::MAX,
            large_messages_per_component: usize::MAX,
            ..Limits::default()
        };
        Self::of_component(&limits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_gives_no_more_than_it_has() {
        let meter = Meter::new(2);
        let first = meter.take().unwrap();
        let _second = meter.take().unwrap();
        assert!(meter.take().is_none());
        drop(first);
        let _third = meter.take().unwrap();
        assert!(meter.take().is_none());
        assert!(Meter::new(0).take().is_none());
    }
}
