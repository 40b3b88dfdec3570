//! `schema`.

use osnova_storage_api::schema::{History, Version};
use osnova_storage_core::db::schema;

use crate::rpc::Registry;

pub(super) fn register(registry: &mut Registry) {
    registry.point_read::<Version>(|reader, caller, _| schema::version(reader, caller));
    registry.read::<History>(|reader, caller, _| schema::history(reader, caller));
}
