//! `jobs`.

use osnova_storage_api::jobs::{Cancel, Get, List};

use crate::rpc::Registry;

pub(super) fn register(registry: &mut Registry) {
    registry.blocking_large::<Get>(|app, caller, params| app.store.jobs().get(caller, params));
    registry.blocking_large::<List>(|app, caller, params| app.store.jobs().list(caller, params));
    registry
        .blocking_large::<Cancel>(|app, caller, params| app.store.jobs().cancel(caller, params));
}
