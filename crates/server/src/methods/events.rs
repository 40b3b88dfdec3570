//! `events`.

use osnova_storage_api::events::List;
use osnova_storage_core::db::events;

use crate::rpc::Registry;

pub(super) fn register(registry: &mut Registry) {
    registry.read::<List>(events::list);
    registry.subscriptions();
}
