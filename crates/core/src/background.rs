//! A thread that looks after something by itself, now and then, until it is stopped.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::error::{OpenError, StoreError};

/// Tells such a thread when to end.
#[derive(Default)]
pub(crate) struct Stop {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    /// Waits for a while, but no longer than until it is stopped; whether it is.
    pub(crate) fn wait(&self, time: Duration) -> bool {
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let (stopped, _) = self
            .changed
            .wait_timeout_while(stopped, time, |stopped| !*stopped)
            .unwrap_or_else(PoisonError::into_inner);
        *stopped
    }
}

/// The thread. Dropping it stops it.
pub(crate) struct Background {
    name: &'static str,
    stop: Arc<Stop>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Background {
    /// Starts it; where there is no body, there is nothing to stop.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub(crate) fn start(
        name: &'static str,
        body: Option<impl FnOnce(&Stop) + Send + 'static>,
    ) -> Result<Self, OpenError> {
        let stop = Arc::new(Stop::default());
        let watched = Arc::clone(&stop);
        let spawn = |body: Box<dyn FnOnce(&Stop) + Send>| {
            thread::Builder::new().name(name.to_owned()).spawn(move || body(&watched))
        };
        let thread = body.map(|body| spawn(Box::new(body))).transpose().map_err(|error| {
            OpenError::Store(StoreError::Internal(format!("no thread can be started: {error}")))
        })?;
        Ok(Self { name, stop, thread: Mutex::new(thread) })
    }

    /// Ends it, and waits for that.
    pub(crate) fn stop(&self) {
        *self.stop.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stop.changed.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!(name = self.name, "a thread panicked");
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.stop();
    }
}
