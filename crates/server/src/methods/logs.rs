//! `logs`: the components' logs.

use osnova_storage_api::logs::{Append, Query, Rotate, Tail};

use crate::rpc::Registry;

pub(super) fn register(registry: &mut Registry) {
    registry.blocking::<Append>(|app, caller, params| app.store.logs().append(caller, params));
    registry.blocking_large::<Tail>(|app, caller, params| app.store.logs().tail(caller, params));
    registry.blocking_large::<Query>(|app, caller, params| app.store.logs().query(caller, params));
    registry.blocking::<Rotate>(|app, caller, params| app.store.logs().rotate(caller, params));
}
