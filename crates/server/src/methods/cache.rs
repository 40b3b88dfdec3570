//! `cache`.

use osnova_storage_api::cache::{Evict, Get, List, Peek, Put, Remove, Stats};
use osnova_storage_core::db::cache;

use crate::rpc::Registry;

pub(super) fn register(registry: &mut Registry) {
    registry.write::<Put>(cache::put);
    registry.blocking::<Get>(|app, caller, params| app.store.cache_get(caller, params));
    registry.point_read::<Peek>(cache::peek);
    registry.read::<List>(cache::list);
    registry.write::<Remove>(cache::remove);
    registry.blocking::<Evict>(|app, caller, params| app.store.evict_cache(caller, params));
    registry.blocking::<Stats>(|app, caller, _| app.store.cache_stats(caller));
}
