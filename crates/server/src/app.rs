//! What every call can reach: the store, the methods, the gate, the limits, and the switch that stops
//! it all.

use std::path::PathBuf;
use std::sync::Arc;

use osnova_storage_core::Store;
use tokio::sync::{Semaphore, watch};
use tokio_util::task::TaskTracker;

use crate::access::{Gate, Meter, UnlockGuard};
use crate::config::{Config, Limits};
use crate::listen::ComponentSockets;
use crate::rpc::Registry;

/// Connections of the database's pool, which has four at least, that subscriptions may read by.
const FEED_READERS: usize = 2;

/// The running daemon.
pub(crate) struct App {
    pub(crate) store: Arc<Store>,
    pub(crate) registry: Registry,
    pub(crate) gate: Gate,
    pub(crate) limits: Limits,
    /// All calls that run or wait.
    pub(crate) calls: Arc<Meter>,
    /// All blob streams that are open.
    pub(crate) streams: Arc<Meter>,
    /// The pauses after wrong keys.
    pub(crate) unlock: UnlockGuard,
    /// The sockets that are bound to components.
    pub(crate) sockets: ComponentSockets,
    /// The folder in which they lie, where their paths were not given.
    pub(crate) socket_folder: PathBuf,
    /// WebSockets and their calls, which a clean stop waits for.
    pub(crate) tasks: TaskTracker,
    /// The latest position of the feed that was committed: wakes those who follow it.
    pub(crate) committed: watch::Sender<u64>,
    /// Subscriptions that are behind read the database only so many at a time.
    pub(crate) feed_readers: Arc<Semaphore>,
    stopping: watch::Sender<bool>,
}

impl App {
    /// The daemon, as it is when it starts.
    pub(crate) fn new(
        store: Arc<Store>,
        registry: Registry,
        gate: Gate,
        config: &Config,
        sockets: ComponentSockets,
    ) -> Self {
        let committed = watch::Sender::new(0);
        let woken = committed.clone();
        store.db().recent().on_commit(move |position| {
            woken.send_replace(position);
        });
        Self {
            store,
            registry,
            gate,
            limits: config.limits,
            calls: Meter::new(config.limits.calls),
            streams: Meter::new(config.limits.streams),
            unlock: UnlockGuard::new(config.unlock_backoff),
            sockets,
            socket_folder: config.component_sockets.clone(),
            tasks: TaskTracker::new(),
            committed,
            feed_readers: Arc::new(Semaphore::new(FEED_READERS)),
            stopping: watch::Sender::new(false),
        }
    }

    /// Has the daemon stop.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Whether the daemon is to stop.
    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Resolves when the daemon is to stop.
    pub(crate) fn stopped(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut stopping = self.stopping.subscribe();
        async move {
            // An error means that the daemon itself is gone, which is a stop too.
            let _ = stopping.wait_for(|stopping| *stopping).await;
        }
    }
}
