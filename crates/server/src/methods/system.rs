//! `system`.

use osnova_storage_api::system::Shutdown;
use osnova_storage_api::wire::Accepted;

use crate::rpc::Registry;

pub(super) fn register(registry: &mut Registry) {
    registry.immediate::<Shutdown>(|app, _, _| {
        tracing::info!("stopping: system.shutdown was called");
        app.stop();
        Ok(Accepted::YES)
    });
}
