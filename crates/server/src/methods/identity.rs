//! `identity`: the users' cocoons.

use osnova_storage_api::identity::{Delete, GetCocoon, List, PutCocoon, RestorePrevious};

use crate::rpc::Registry;

pub(super) fn register(registry: &mut Registry) {
    registry.blocking::<PutCocoon>(|app, caller, params| app.store.identity().put(caller, params));
    registry.blocking_large::<GetCocoon>(|app, caller, params| {
        app.store.identity().get(caller, params)
    });
    registry.blocking::<RestorePrevious>(|app, caller, params| {
        app.store.identity().restore_previous(caller, params)
    });
    registry
        .blocking_large::<List>(|app, caller, params| app.store.identity().list(caller, params));
    registry.blocking::<Delete>(|app, caller, params| app.store.identity().delete(caller, params));
}
