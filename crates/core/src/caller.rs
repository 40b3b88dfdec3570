//! Who calls: an argument of every operation.

use osnova_storage_api::wire::ComponentId;

/// Whoever makes a call, as the server found out; never from params.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// The user the daemon runs for: sees everything.
    Owner,
    /// A component: sees what is its own or shared.
    Component {
        /// Its id, out of its credential.
        id: ComponentId,
        /// What it may do: `namespace:read`, `namespace:write`, `admin`.
        scopes: Vec<String>,
    },
}

impl Caller {
    /// Whether it is the owner.
    pub fn is_owner(&self) -> bool {
        matches!(self, Caller::Owner)
    }

    /// Under which name the caller holds things in the database: the component's id, for the owner
    /// the empty text, which no component has.
    pub fn holder(&self) -> &str {
        match self {
            Caller::Owner => "",
            Caller::Component { id, .. } => id.as_str(),
        }
    }

    /// Whether the caller has this scope; the owner has all.
    pub fn has_scope(&self, scope: &str) -> bool {
        match self {
            Caller::Owner => true,
            Caller::Component { scopes, .. } => scopes.iter().any(|known| known == scope),
        }
    }
}
