//! `components`.

use osnova_storage_api::components::{
    Delete, Dependencies, Dependents, Get, List, Put, Search, Touch,
};
use osnova_storage_core::db::{components, search};

use crate::rpc::Registry;

pub(super) fn register(registry: &mut Registry) {
    registry.write::<Put>(components::put);
    registry.point_read::<Get>(components::get);
    registry.read::<List>(components::list);
    registry.read::<Search>(search::components);
    registry.blocking::<Touch>(|app, caller, params| app.store.touch_component(caller, params));
    registry.read::<Dependencies>(components::dependencies);
    registry.read::<Dependents>(components::dependents);
    registry.write::<Delete>(components::delete);
}
