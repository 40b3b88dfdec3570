//! `rpc`: the document that describes the daemon.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::method::{Access, Example, Visibility, methods, no_request_id};
use crate::wire::wire_object;

/// The OpenRPC document of the daemon, as the text that is checked in.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(rename = "OpenRpcDocument")]
pub struct Document(
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub  Box<serde_json::value::RawValue>,
);

wire_object! {
    /// What `rpc.discover` takes: nothing.
    pub struct NoParams {}
}
no_request_id!(NoParams);

methods! {
    "The document that describes the daemon.";

    /// Answers the OpenRPC document that describes every method, byte for byte as it is checked in.
    Discover = "rpc.discover" {
        params: NoParams,
        result: Document,
        access: Access::Public,
        visibility: Visibility::Shared,
        idempotent: true,
        errors: [],
        examples: [Example {
            name: "the document",
            params: r#"{}"#,
            result: r#"{"openrpc":"1.3.2","info":{"title":"osnova-storage","version":"0.1.0"},"methods":[]}"#,
        }],
    }
}
