//! `storage`.

use osnova_storage_api::storage::{Delete, List, Read, Write, WriteMany};
use osnova_storage_core::db::storage;

use crate::rpc::Registry;

pub(super) fn register(registry: &mut Registry) {
    registry.point_read::<Read>(storage::read);
    registry.write::<Write>(storage::write);
    registry.write::<WriteMany>(storage::write_many);
    registry.read::<List>(storage::list);
    registry.write::<Delete>(storage::delete);
}
