//! Operations called as the daemon calls them: with params as JSON, by any caller.

#![allow(dead_code, reason = "each test binary uses its own part")]

use osnova_storage_api::wire::WireObject;
use osnova_storage_core::db::{Reader, Tx};
use osnova_storage_core::error::Result;
use osnova_storage_core::{Caller, Store};
use serde::Serialize;
use serde_json::Value;

/// Params as the daemon would read them.
pub(crate) fn params<P: WireObject>(value: &Value) -> P {
    match P::from_params(Some(&value.to_string())) {
        Ok(params) => params,
        Err(why) => panic!("{value} can't be read: {why:?}"),
    }
}

/// Runs an operation that writes.
pub(crate) fn write<P: WireObject + Send + 'static, T: Serialize + Send + 'static>(
    store: &Store,
    caller: &Caller,
    operation: fn(&Tx<'_>, &Caller, &P) -> Result<T>,
    asked: &Value,
) -> Result<Value> {
    let (by, asked) = (caller.clone(), params(asked));
    let answer = store.db().write(1024, move |tx| operation(tx, &by, &asked))?;
    Ok(serde_json::to_value(answer).unwrap())
}

/// Runs an operation that reads.
pub(crate) fn read<P: WireObject, T: Serialize>(
    store: &Store,
    caller: &Caller,
    operation: fn(Reader<'_>, &Caller, &P) -> Result<T>,
    asked: &Value,
) -> Result<Value> {
    let asked = params(asked);
    let answer = store.db().read(|reader| operation(reader, caller, &asked))?;
    Ok(serde_json::to_value(answer).unwrap())
}
