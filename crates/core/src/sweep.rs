//! Sweeps: what has expired is deleted, in slices, and only by a clock that can be trusted.
//!
//! It decides when to delete and how much at a time; what has expired the
//! [table](crate::db::storage) knows. Whoever runs the store calls it now and then.

use std::sync::{Mutex, PoisonError};

use crate::clock::{Clock, JumpWatch};
use crate::db::{Database, storage};
use crate::error::Result;
use crate::health::{Cause, Health};

/// Values that one write deletes at most: other writes go between two slices.
const SLICE: usize = 256;
/// Slices of one sweep: the next goes on.
const SLICES: usize = 64;

/// Deletes what has expired.
#[derive(Default)]
pub(crate) struct Sweeper {
    watch: Mutex<JumpWatch>,
}

impl Sweeper {
    /// Deletes values of `storage` that have expired; says how many.
    pub(crate) fn sweep(&self, db: &Database, clock: &dyn Clock, health: &Health) -> Result<usize> {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seconds) = watch.look(clock) {
            health.note(
                Cause::ClockJumped,
                format!(
                    "the clock jumped by {seconds} s, or the machine slept: what has expired is hidden \
                     and not deleted until the time has stood for an hour"
                ),
            );
            return Ok(0);
        }
        health.clear(Cause::ClockJumped);
        let mut swept = 0;
        for _ in 0..SLICES {
            // An idle store is not written.
            if !db.read(storage::any_expired)? {
                break;
            }
            swept += db.write(SLICE * ROW_WEIGHT, |tx| storage::sweep(tx, SLICE))?;
        }
        Ok(swept)
    }
}

/// About how many bytes the deletion of a value writes.
const ROW_WEIGHT: usize = 128;
