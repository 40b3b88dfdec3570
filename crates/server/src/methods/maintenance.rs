//! `maintenance`.

use osnova_storage_api::maintenance::{Analyze, Checkpoint, IntegrityCheck, Query, Stats, Vacuum};

use crate::rpc::Registry;

pub(super) fn register(registry: &mut Registry) {
    registry.blocking::<Stats>(|app, caller, params| app.store.maintenance().stats(caller, params));
    registry.blocking::<Checkpoint>(|app, caller, params| {
        app.store.maintenance().checkpoint(caller, params)
    });
    registry
        .blocking::<Vacuum>(|app, caller, params| app.store.maintenance().vacuum(caller, params));
    registry
        .blocking::<Analyze>(|app, caller, params| app.store.maintenance().analyze(caller, params));
    registry.blocking::<IntegrityCheck>(|app, caller, params| {
        app.store.maintenance().integrity_check(caller, params)
    });
    registry.blocking_large::<Query>(|app, caller, params| {
        app.store.maintenance().query(caller, params)
    });
}
