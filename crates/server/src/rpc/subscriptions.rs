//! The subscriptions of one WebSocket: made, ended, and ended with it.
//!
//! Each is a task that follows the feed ([`super::follow`]) and hands its notifications to the
//! connection's own queue of answers. It begins once the answer to `events.subscribe` is on its way, so
//! that no notification comes before the id that it carries.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::ws::Message;
use osnova_storage_api::{ApiError, ErrorCode};
use osnova_storage_core::db::events::Filter;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::follow::Follower;
use crate::access::Held;
use crate::app::App;

/// Subscriptions that a connection may have at a time.
const MAX_SUBSCRIPTIONS: usize = 32;

/// A message on its way to the client of a WebSocket.
pub(crate) struct Outgoing {
    pub(crate) message: Message,
    /// The room that a large answer takes, until it is sent.
    pub(crate) room: Option<Held>,
}

/// The subscriptions of one WebSocket. They end when it is dropped.
pub(crate) struct Subscriptions {
    answers: mpsc::Sender<Outgoing>,
    running: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    last_id: u64,
    tasks: HashMap<u64, JoinHandle<()>>,
}

impl Subscriptions {
    /// None yet, of the connection that sends what is put in `answers`.
    pub(crate) fn new(answers: mpsc::Sender<Outgoing>) -> Arc<Self> {
        Arc::new(Self { answers, running: Mutex::default() })
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a subscription, which begins after this position once its answer is on its way.
    ///
    /// # Errors
    /// `quota_exceeded` where the connection has as many as it may.
    pub(super) fn open(
        self: &Arc<Self>,
        app: &Arc<App>,
        position: u64,
        filter: Filter,
    ) -> Result<(u64, Opened), ApiError> {
        let mut running = self.running();
        if running.tasks.len() >= MAX_SUBSCRIPTIONS {
            let message = format!("a WebSocket has at most {MAX_SUBSCRIPTIONS} subscriptions");
            return Err(ApiError::new(ErrorCode::QuotaExceeded, message));
        }
        running.last_id += 1;
        let id = running.last_id;
        let follower = Follower { app: Arc::clone(app), answers: self.answers.clone(), id, filter };
        // The task must not keep the connection's own list alive, which ends it.
        let subscriptions = Arc::downgrade(self);
        let (answered, begins) = oneshot::channel();
        let task = tokio::spawn(async move {
            // Where the answer was never sent, nobody knows of the subscription.
            if begins.await.is_ok() {
                follower.follow(position).await;
            }
            if let Some(subscriptions) = subscriptions.upgrade() {
                subscriptions.running().tasks.remove(&id);
            }
        });
        running.tasks.insert(id, task);
        Ok((id, Opened(vec![Arc::new(Mutex::new(Some(answered)))])))
    }

    /// Ends a subscription; false where there is none of this id. Nothing of it is sent afterwards.
    pub(super) async fn close(&self, id: u64) -> bool {
        let task = self.running().tasks.remove(&id);
        let Some(task) = task else { return false };
        task.abort();
        // It may be handing over a notification this very moment.
        let _ = task.await;
        true
    }

    /// Ends all of them.
    pub(crate) fn end(&self) {
        for (_, task) in self.running().tasks.drain() {
            task.abort();
        }
    }
}

impl Drop for Subscriptions {
    fn drop(&mut self) {
        self.end();
    }
}

/// Subscriptions that were made and wait for their answer to be on its way. Goes with the answer; dropped
/// with one that is never sent, it ends them.
#[derive(Clone)]
pub(crate) struct Opened(Vec<Arc<Mutex<Option<oneshot::Sender<()>>>>>);

impl Opened {
    /// None.
    pub(super) fn none() -> Self {
        Self(Vec::new())
    }

    /// Adds those of another answer, which are sent together.
    pub(super) fn add(&mut self, other: Opened) {
        self.0.extend(other.0);
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Has them begin.
    pub(crate) fn begin(self) {
        for answered in self.0 {
            let answered = answered.lock().unwrap_or_else(PoisonError::into_inner).take();
            // Who has unsubscribed meanwhile is not there any more.
            let _ = answered.map(|answered| answered.send(()));
        }
    }
}
