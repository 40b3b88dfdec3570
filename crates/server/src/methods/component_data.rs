//! `componentData`: the components' own files.

use osnova_storage_api::component_data::{
    GetConfig, List, Migrate, Prepare, Remove, SetConfig, Usage,
};

use crate::rpc::Registry;

pub(super) fn register(registry: &mut Registry) {
    registry.blocking::<Prepare>(|app, caller, params| {
        app.store.component_data().prepare(caller, params)
    });
    registry.blocking_large::<GetConfig>(|app, caller, params| {
        app.store.component_data().get_config(caller, params)
    });
    registry.blocking_large::<SetConfig>(|app, caller, params| {
        app.store.component_data().set_config(caller, params)
    });
    registry.blocking_large::<List>(|app, caller, params| {
        app.store.component_data().list(caller, params)
    });
    registry
        .blocking::<Usage>(|app, caller, params| app.store.component_data().usage(caller, params));
    registry.blocking::<Migrate>(|app, caller, params| {
        app.store.component_data().migrate(caller, params)
    });
    registry.blocking::<Remove>(|app, caller, params| {
        app.store.component_data().remove(caller, params)
    });
}
