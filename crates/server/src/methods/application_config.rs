//! `applicationConfig`.

use osnova_storage_api::application_config::{Delete, Get, List, Set};
use osnova_storage_core::db::application_config;

use crate::rpc::Registry;

pub(super) fn register(registry: &mut Registry) {
    registry.point_read::<Get>(application_config::get);
    registry.write::<Set>(application_config::set);
    registry.read::<List>(application_config::list);
    registry.write::<Delete>(application_config::delete);
}
