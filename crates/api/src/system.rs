//! `system`: the daemon as a process.

use crate::method::{Access, Example, Visibility, methods, no_request_id};
use crate::wire::wire_object;

wire_object! {
    /// What `system.shutdown` takes: nothing.
    pub struct NoParams {}
}
no_request_id!(NoParams);

methods! {
    "The daemon as a process.";

    /// Stops the daemon cleanly.
    ///
    /// It takes no more calls, finishes those that run within the shutdown grace, writes what was
    /// deferred, and exits with 0. The answer comes before that.
    Shutdown = "system.shutdown" {
        params: NoParams,
        result: crate::wire::Accepted,
        access: Access::Admin,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [],
        examples: [Example { name: "good night", params: r#"{}"#, result: r#"{"accepted":true}"# }],
    }
}
