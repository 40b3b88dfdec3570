//! What every call can reach: the store, the methods, the limits, and the switch that stops it all.

use std::sync::Arc;

use osnova_storage_core::Store;
use tokio::sync::{Semaphore, watch};

use crate::access::Gate;
use crate::config::Limits;
use crate::rpc::Registry;

/// The running daemon.
pub(crate) struct App {
    pub(crate) store: Arc<Store>,
    pub(crate) registry: Registry,
    pub(crate) gate: Gate,
    pub(crate) limits: Limits,
    /// One permit for each blob stream that may be open.
    pub(crate) streams: Arc<Semaphore>,
    /// True once the daemon is to stop.
    pub(crate) stopping: watch::Sender<bool>,
}

impl App {
    /// Has the daemon stop.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
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
