//! `messages`.

use osnova_storage_api::messages::{Delete, Get, List, Put, PutMany, Search};
use osnova_storage_core::db::{messages, search};

use crate::rpc::Registry;

pub(super) fn register(registry: &mut Registry) {
    registry.write::<Put>(messages::put);
    registry.write::<PutMany>(messages::put_many);
    registry.point_read::<Get>(messages::get);
    registry.read::<List>(messages::list);
    registry.read::<Search>(search::messages);
    registry.write::<Delete>(messages::delete);
}
