//! Short ways to the operations of `storage`.

#![allow(dead_code, reason = "each test binary uses its own part")]

use osnova_storage_api::storage::{
    DeleteParams, ListParams, ReadParams, StoredValue, ValueInput, ValuePage, WriteManyParams,
    WriteParams, WrittenValue, WrittenValues,
};
use osnova_storage_api::wire::{Deleted, Revision, TtlSeconds};
use osnova_storage_core::Store;
use osnova_storage_core::db::storage;
use osnova_storage_core::error::Result;

use super::common::{json, owner};

pub(crate) fn read_params(component: &str, key: &str) -> ReadParams {
    ReadParams { key: key.parse().unwrap(), component_id: Some(component.parse().unwrap()) }
}

pub(crate) fn write_params(
    component: &str,
    key: &str,
    value: &str,
    ttl: Option<u32>,
    if_revision: Option<Revision>,
) -> WriteParams {
    WriteParams {
        key: key.parse().unwrap(),
        value: json(value),
        ttl_seconds: ttl.map(TtlSeconds),
        component_id: Some(component.parse().unwrap()),
        if_revision,
        request_id: None,
    }
}

pub(crate) fn read(store: &Store, component: &str, key: &str) -> Result<StoredValue> {
    let params = read_params(component, key);
    store.db().read(|reader| storage::read(reader, &owner(), &params))
}

/// The text of a value that is there.
pub(crate) fn value(store: &Store, component: &str, key: &str) -> String {
    read(store, component, key).unwrap().value.get().to_owned()
}

pub(crate) fn write_with(store: &Store, params: WriteParams) -> Result<WrittenValue> {
    store.db().write(64, move |tx| storage::write(tx, &owner(), &params))
}

pub(crate) fn write(
    store: &Store,
    component: &str,
    key: &str,
    value: &str,
) -> Result<WrittenValue> {
    write_with(store, write_params(component, key, value, None, None))
}

pub(crate) fn write_for(
    store: &Store,
    component: &str,
    key: &str,
    value: &str,
    seconds: u32,
) -> Result<WrittenValue> {
    write_with(store, write_params(component, key, value, Some(seconds), None))
}

pub(crate) fn write_if(
    store: &Store,
    component: &str,
    key: &str,
    value: &str,
    if_revision: Option<u64>,
) -> Result<WrittenValue> {
    write_with(store, write_params(component, key, value, None, if_revision.map(Revision)))
}

/// Writes keys with their values and the revisions that are asked for.
pub(crate) fn write_many(
    store: &Store,
    component: &str,
    items: &[(&str, &str, Option<u64>)],
) -> Result<WrittenValues> {
    let items: Vec<_> =
        items.iter().map(|(key, value, if_revision)| (*key, *value, None, *if_revision)).collect();
    write_many_for(store, component, &items)
}

/// The same, with how long each is to live.
pub(crate) fn write_many_for(
    store: &Store,
    component: &str,
    items: &[(&str, &str, Option<u32>, Option<u64>)],
) -> Result<WrittenValues> {
    let item =
        |(key, value, ttl, if_revision): &(&str, &str, Option<u32>, Option<u64>)| ValueInput {
            key: key.parse().unwrap(),
            value: json(value),
            ttl_seconds: ttl.map(TtlSeconds),
            if_revision: if_revision.map(Revision),
        };
    let params = WriteManyParams {
        items: items.iter().map(item).collect(),
        component_id: Some(component.parse().unwrap()),
        request_id: None,
    };
    store.db().write(64, move |tx| storage::write_many(tx, &owner(), &params))
}

pub(crate) fn delete(store: &Store, component: &str, key: &str) -> Result<Deleted> {
    delete_if(store, component, key, None)
}

pub(crate) fn delete_if(
    store: &Store,
    component: &str,
    key: &str,
    if_revision: Option<u64>,
) -> Result<Deleted> {
    let params = DeleteParams {
        key: key.parse().unwrap(),
        component_id: Some(component.parse().unwrap()),
        if_revision: if_revision.map(Revision),
        request_id: None,
    };
    store.db().write(64, move |tx| storage::delete(tx, &owner(), &params))
}

/// A list of all keys of a component.
pub(crate) fn all_of(component: &str) -> ListParams {
    ListParams {
        prefix: None,
        limit: None,
        cursor: None,
        values: None,
        component_id: Some(component.parse().unwrap()),
    }
}

/// The same with their values.
pub(crate) fn with_values(component: &str) -> ListParams {
    ListParams { values: Some(true), ..all_of(component) }
}

pub(crate) fn list(store: &Store, params: &ListParams) -> Result<ValuePage> {
    store.db().read(|reader| storage::list(reader, &owner(), params))
}

/// The keys of a page.
pub(crate) fn listed(page: &ValuePage) -> Vec<&str> {
    page.items.iter().map(|item| item.key.as_str()).collect()
}

/// The keys of a component, of which there are few.
pub(crate) fn keys_of(store: &Store, component: &str) -> Vec<String> {
    let page = list(store, &all_of(component)).unwrap();
    listed(&page).into_iter().map(str::to_owned).collect()
}
