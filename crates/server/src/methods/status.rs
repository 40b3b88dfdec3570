//! `status`.

use osnova_storage_api::status::Get;

use crate::rpc::Registry;

pub(super) fn register(registry: &mut Registry) {
    registry.immediate::<Get>(|app, _, _| Ok(app.store.status(env!("CARGO_PKG_VERSION"))));
}
