//! `keys`.

use osnova_storage_api::keys::{
    Delete, Get, GetByPublicKey, ListForComponent, Register, ReserveIndex, Touch,
};
use osnova_storage_core::db::keys;

use crate::rpc::Registry;

pub(super) fn register(registry: &mut Registry) {
    registry.write::<ReserveIndex>(keys::reserve_index);
    registry.write::<Register>(keys::register);
    registry.point_read::<Get>(keys::get);
    registry.point_read::<GetByPublicKey>(keys::get_by_public_key);
    registry.read::<ListForComponent>(keys::list_for_component);
    registry.blocking::<Touch>(|app, caller, params| app.store.touch_key(caller, params));
    registry.write::<Delete>(keys::delete);
}
