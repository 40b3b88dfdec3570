//! `applications`.

use osnova_storage_api::applications::{Delete, Get, List, Put, RecordLaunch, Search};
use osnova_storage_core::db::{applications, search};

use crate::rpc::Registry;

pub(super) fn register(registry: &mut Registry) {
    registry.write::<Put>(applications::put);
    registry.point_read::<Get>(applications::get);
    registry.read::<List>(applications::list);
    registry.read::<Search>(search::applications);
    registry.write::<RecordLaunch>(applications::record_launch);
    registry.write::<Delete>(applications::delete);
}
