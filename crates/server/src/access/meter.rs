//! Meters: how much of something is in use, and how much may be.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

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

/// What a caller has in use, over all of its credentials and connections.
#[derive(Debug)]
pub(crate) struct Account {
    /// Its connections.
    pub(crate) connections: Arc<Meter>,
    /// Its calls that run or wait.
    pub(crate) calls: Arc<Meter>,
    /// Its blob streams.
    pub(crate) streams: Arc<Meter>,
}

impl Account {
    /// An account with these limits.
    pub(crate) fn new(connections: usize, calls: usize, streams: usize) -> Arc<Self> {
        Arc::new(Self {
            connections: Meter::new(connections),
            calls: Meter::new(calls),
            streams: Meter::new(streams),
        })
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
