//! `batch`: many writes in one transaction.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::method::{Access, Example, RequestIdentity, Visibility, methods};
use crate::wire::{FieldErrors, JsonText, Name, Path, RequestId, Wire, wire_object};

/// The most records that a batch may change: nobody else writes meanwhile.
pub const MAX_RECORDS: usize = 10_000;

/// The params of an operation, read by its own method.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct OperationParams(Box<RawValue>);

impl OperationParams {
    /// Takes params as JSON.
    ///
    /// # Errors
    /// Where the value can't be written as JSON.
    pub fn new<T: Serialize>(params: &T) -> Result<Self, serde_json::Error> {
        serde_json::value::to_raw_value(params).map(Self)
    }

    /// Their text.
    pub fn get(&self) -> &str {
        self.0.get()
    }
}

impl Wire for OperationParams {
    fn from_wire(raw: &RawValue, _: &Path<'_>, _: &mut FieldErrors) -> Option<Self> {
        Some(Self(raw.to_owned()))
    }
}

impl JsonSchema for OperationParams {
    fn schema_name() -> Cow<'static, str> {
        "OperationParams".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The params of an operation, as its own method takes them: by name or by position."
        })
    }
}

wire_object! {
    /// A write among many.
    pub struct Operation {
        /// The method: one that writes records, or pins, unpins or grants a blob.
        pub method: Name,
        /// Its params, without a `requestId`.
        pub params: Option<OperationParams>,
    }
}
wire_object! {
    /// What `batch.apply` takes.
    pub struct ApplyParams {
        /// The writes, in order, at most 1000.
        pub operations: Vec<Operation>,
        /// The caller's id of this request, for repeating it.
        pub request_id: Option<RequestId>,
    }
}

impl RequestIdentity for ApplyParams {
    fn request_id(&self) -> Option<&RequestId> {
        self.request_id.as_ref()
    }

    fn hold_sealed_values(&self) -> bool {
        // `_` may stand for the dot.
        let writes = |operation: &Operation| {
            operation.method.as_str().replacen('_', ".", 1).starts_with("storage.write")
        };
        self.operations.iter().any(writes)
    }

    fn set_request_id(&mut self, id: RequestId) {
        self.request_id.get_or_insert(id);
    }
}

/// What the operations answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Applied {
    /// The answer of each, in the order of the operations.
    pub results: Vec<JsonText>,
}

methods! {
    "Many writes in one transaction.";

    /// Applies many writes, all or none.
    ///
    /// Any mix of methods that write records, and of `blobs.pin`, `blobs.unpin` and `blobs.grant`, is
    /// applied in order in one transaction; each sees what those before it did. What the caller may not
    /// call is found before the first is applied. Where one fails none is applied, and the error is its
    /// own with its `index`. So it is where they have more than 10,000 records together, those of each
    /// `...Many` counted, or where their answers do not fit into one: that is `too_large`.
    Apply = "batch.apply" {
        params: ApplyParams,
        result: Applied,
        access: Access::Public,
        visibility: Visibility::Shared,
        idempotent: false,
        errors: [NotFound, Conflict, TooLarge, DiskFull, IoError],
        examples: [Example {
            name: "a setting, and a blob that it needs",
            params: r#"{"operations":[{"method":"preferences.set","params":{"key":"ui.greeting","value":"hello.txt"}},{"method":"blobs.pin","params":["738e10c42fc3177b07bc6ea9c685e764abb4482c232963394fc91c4b30653745"]}],"requestId":"greeting-1"}"#,
            result: r#"{"results":[{"key":"ui.greeting","value":"hello.txt","updatedAt":1764028800,"revision":1849708136857606},{"hash":"738e10c42fc3177b07bc6ea9c685e764abb4482c232963394fc91c4b30653745","size":14,"contentType":"text/plain","name":"hello.txt","pinned":true,"createdAt":1764028800,"references":0,"storedSize":238,"codec":"none"}]}"#,
        }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_holds_sealed_values_where_one_of_its_writes_does() {
        let holds = |methods: &[&str]| {
            let operation =
                |method: &&str| Operation { method: method.parse().unwrap(), params: None };
            let operations = methods.iter().map(operation).collect();
            ApplyParams { operations, request_id: None }.hold_sealed_values()
        };
        for method in ["storage.write", "storage_write", "storage.writeMany", "storage_writeMany"] {
            assert!(holds(&["preferences.set", method]), "{method}");
        }
        assert!(!holds(&["preferences.set", "storage.delete", "components.put"]));
    }
}
