//! `transactions`.

use osnova_storage_api::transactions::{Get, List, Put, Stats, UpdateStatus};
use osnova_storage_core::db::transactions;

use crate::rpc::Registry;

pub(super) fn register(registry: &mut Registry) {
    registry.write::<Put>(transactions::put);
    registry.point_read::<Get>(transactions::get);
    registry.read::<List>(transactions::list);
    registry.write::<UpdateStatus>(transactions::update_status);
    registry.read::<Stats>(transactions::stats);
}
