//! Answers that several namespaces give.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether there was something to delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deleted {
    /// False where it was absent already.
    pub deleted: bool,
}

/// That the call was taken; what it asks for follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Accepted {
    /// Always true.
    pub accepted: bool,
}

impl Accepted {
    /// The answer.
    pub const YES: Accepted = Accepted { accepted: true };
}
