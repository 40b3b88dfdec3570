//! `preferences`.

use osnova_storage_api::preferences::{Delete, Get, List, Set, SetMany};
use osnova_storage_core::db::preferences;

use crate::rpc::Registry;

pub(super) fn register(registry: &mut Registry) {
    registry.point_read::<Get>(preferences::get);
    registry.write::<Set>(preferences::set);
    registry.write::<SetMany>(preferences::set_many);
    registry.read::<List>(preferences::list);
    registry.write::<Delete>(preferences::delete);
}
