//! `registry`.

use osnova_storage_api::registry::{Get, Heartbeat, List, Reap, Register, Remove, SetStatus};
use osnova_storage_core::db::registry as rows;

use crate::rpc::Registry;

pub(super) fn register(registry: &mut Registry) {
    registry.write::<Register>(rows::register);
    registry.blocking::<Heartbeat>(|app, caller, params| app.store.heartbeat(caller, params));
    registry.write::<SetStatus>(rows::set_status);
    registry.point_read::<Get>(rows::get);
    registry.read::<List>(rows::list);
    registry.blocking_large::<Reap>(|app, caller, params| app.store.reap(caller, params));
    registry.write::<Remove>(rows::remove);
}
