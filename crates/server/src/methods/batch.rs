//! `batch`: writes of other methods, by their own operations.

use crate::rpc::Registry;

pub(super) fn register(registry: &mut Registry) {
    registry.batch();
}
