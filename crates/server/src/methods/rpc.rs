//! `rpc`: the document, as it is checked in.

use osnova_storage_api::rpc::{Discover, Document};
use osnova_storage_core::StoreError;
use serde_json::value::RawValue;

use crate::rpc::Registry;

const DOCUMENT: &str = include_str!("../../../../openrpc/openrpc.json");

pub(super) fn register(registry: &mut Registry) {
    registry.blocking::<Discover>(|_, _, _| {
        RawValue::from_string(DOCUMENT.to_owned())
            .map(Document)
            .map_err(|error| StoreError::Internal(format!("the document is not JSON: {error}")))
    });
}
