//! `auth`: who may come in, and as whom.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::method::{Access, Example, Visibility, methods, no_request_id};
use crate::wire::{
    ComponentId, Cursor, Limit, Name, Scope, SocketPath, Timestamp, Token, TokenId, wire_enum,
    wire_object,
};

/// What is known of a component's token, but not the token itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokenInfo {
    /// The public part of the token, by which it is revoked.
    pub token_id: TokenId,
    /// Whose it is.
    pub component_id: ComponentId,
    /// What the owner called it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// What it may do; absent where it may do all that a component may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<Scope>>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is no longer taken; absent where it is taken until it is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// A new token. The daemon keeps only its hash: it is shown this once.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreatedToken {
    /// The token.
    pub token: Token,
    /// What is known of it from now on.
    pub info: TokenInfo,
}

/// A page of tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokenPage {
    /// The tokens of this page, those that have expired included.
    pub items: Vec<TokenInfo>,
    /// Where the next page begins; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<Cursor>,
}

/// A Unix socket that is bound to a component: whoever connects there is that component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComponentSocket {
    /// Whose it is.
    pub component_id: ComponentId,
    /// Where it lies.
    pub path: SocketPath,
    /// What may be done through it; absent where it is all that a component may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<Scope>>,
    /// When it was first opened.
    pub created_at: Timestamp,
    /// Whether the daemon listens there; false where the path could not be bound at its last start.
    pub listening: bool,
}

/// All sockets that are bound to components.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComponentSockets {
    /// The sockets, by component and path.
    pub items: Vec<ComponentSocket>,
}

/// The owner's new token.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct OwnerToken {
    /// The token; it stands in `run/token` of the data root too.
    pub token: Token,
}

wire_enum! {
    /// As whom a call is made.
    pub enum CallerKind {
        /// The user the daemon runs for: sees everything.
        Owner = "owner",
        /// A component: sees what is its own or shared.
        Component = "component",
    }
}
wire_enum! {
    /// By what a caller is known.
    pub enum CredentialKind {
        /// The owner's Unix socket and the uid of whoever connects there.
        Socket = "socket",
        /// The owner's token.
        OwnerToken = "ownerToken",
        /// A component's token.
        Token = "token",
        /// A Unix socket that is bound to a component.
        ComponentSocket = "componentSocket",
    }
}

/// Who the daemon takes the caller for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// The owner or a component.
    pub caller: CallerKind,
    /// By what the caller is known.
    pub credential: CredentialKind,
    /// Which component it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component_id: Option<ComponentId>,
    /// What the component may do, every scope by name; absent for the owner, who may do everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<Scope>>,
    /// Which of the component's tokens was shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_id: Option<TokenId>,
    /// From when on the token is no longer taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

wire_object! {
    /// What `auth.createToken` takes.
    pub struct CreateTokenParams {
        /// Whose the token shall be. It need not be installed yet.
        pub component_id: ComponentId,
        /// What to call it, to know it again in a list.
        pub name: Option<Name>,
        /// What it may do; all that a component may where left out.
        pub scopes: Option<Vec<Scope>>,
        /// From when on it shall no longer be taken; it must lie ahead.
        pub expires_at: Option<Timestamp>,
    }
}
wire_object! {
    /// What `auth.listTokens` takes.
    pub struct ListTokensParams {
        /// Only those of this component.
        pub component_id: Option<ComponentId>,
        /// At most this many items; 100 where left out.
        pub limit: Option<Limit>,
        /// Where to go on: the `nextCursor` of the page before.
        pub cursor: Option<Cursor>,
    }
}
wire_object! {
    /// What `auth.revokeToken` takes.
    pub struct RevokeTokenParams {
        /// The public part of the token.
        pub token_id: TokenId,
    }
}
wire_object! {
    /// What `auth.openSocket` takes.
    pub struct OpenSocketParams {
        /// Whose the socket shall be. It need not be installed yet.
        pub component_id: ComponentId,
        /// What may be done through it; all that a component may where left out.
        pub scopes: Option<Vec<Scope>>,
        /// Where it shall lie, as an absolute path in a folder that is there; in a folder of its own
        /// beside the daemon's sockets where left out.
        pub path: Option<SocketPath>,
    }
}
wire_object! {
    /// What `auth.closeSocket` takes.
    pub struct CloseSocketParams {
        /// Whose socket.
        pub component_id: ComponentId,
        /// Which one; all of the component's where left out.
        pub path: Option<SocketPath>,
    }
}
wire_object! {
    /// What `auth.listSockets`, `auth.rotateOwnerToken` and `auth.whoami` take: nothing.
    pub struct NoParams {}
}
no_request_id!(
    CreateTokenParams,
    ListTokensParams,
    RevokeTokenParams,
    OpenSocketParams,
    CloseSocketParams,
    NoParams,
);

methods! {
    "Who may come in, and as whom: tokens and sockets of components, the owner's token.";

    /// Says who the daemon takes the caller for, and what he may do.
    Whoami = "auth.whoami" {
        params: NoParams,
        result: Identity,
        access: Access::Public,
        visibility: Visibility::Shared,
        idempotent: true,
        errors: [],
        examples: [Example {
            name: "the owner on his socket",
            params: r#"{}"#,
            result: r#"{"caller":"owner","credential":"socket"}"#,
        }],
    }

    /// Makes a token for a component.
    ///
    /// Whoever shows it is that component, on TCP and on every socket. It is shown this once; the daemon
    /// keeps its hash. A call whose answer was lost is best followed by revoking what it made, which
    /// `auth.listTokens` shows.
    CreateToken = "auth.createToken" {
        params: CreateTokenParams,
        result: CreatedToken,
        access: Access::Admin,
        visibility: Visibility::Owner,
        idempotent: false,
        errors: [QuotaExceeded, DiskFull, IoError],
        examples: [Example {
            name: "to read and write blobs",
            params: r#"{"componentId":"org.example.weather","name":"weather on the desktop","scopes":["blobs:read","blobs:write"]}"#,
            result: r#"{"token":"osn_5f0c7a3be1d24896_b9a4f0a1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6f7a8b9c0d1e2f3a4b5c6d7e8f9","info":{"tokenId":"5f0c7a3be1d24896","componentId":"org.example.weather","name":"weather on the desktop","scopes":["blobs:read","blobs:write"],"createdAt":1764028800}}"#,
        }],
    }

    /// Lists the tokens of components, the oldest first.
    ListTokens = "auth.listTokens" {
        params: ListTokensParams,
        result: TokenPage,
        access: Access::Admin,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [],
        examples: [Example {
            name: "of one component",
            params: r#"{"componentId":"org.example.weather"}"#,
            result: r#"{"items":[{"tokenId":"5f0c7a3be1d24896","componentId":"org.example.weather","name":"weather in the hall","createdAt":1764028800,"expiresAt":4102444800}]}"#,
        }],
    }

    /// Revokes a component's token.
    ///
    /// From the answer on no call is begun for whoever shows it; those that run are finished. WebSockets
    /// and streams that were opened with it end.
    RevokeToken = "auth.revokeToken" {
        params: RevokeTokenParams,
        result: crate::wire::Deleted,
        access: Access::Admin,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [DiskFull, IoError],
        examples: [Example {
            name: "one that is gone already",
            params: r#"{"tokenId":"0000000000000000"}"#,
            result: r#"{"deleted":false}"#,
        }],
    }

    /// Opens a socket that is bound to a component: whoever connects there is that component.
    ///
    /// It is there again after a restart of the daemon, until it is closed. Opening it again changes its
    /// scopes, also for those who are connected. A sandbox is best given the folder that the socket lies
    /// in, since a restart makes the socket anew.
    OpenSocket = "auth.openSocket" {
        params: OpenSocketParams,
        result: ComponentSocket,
        access: Access::Admin,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [Conflict, QuotaExceeded, DiskFull, IoError],
        examples: [Example {
            name: "with all that a component may",
            params: r#"{"componentId":"org.example.weather"}"#,
            result: r#"{"componentId":"org.example.weather","path":"/run/user/1000/osnova/components/org.example.weather/storage.sock","createdAt":1764028800,"listening":true}"#,
        }],
    }

    /// Closes a component's socket, or all of them, and the connections that came by it.
    CloseSocket = "auth.closeSocket" {
        params: CloseSocketParams,
        result: crate::wire::Deleted,
        access: Access::Admin,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [DiskFull, IoError],
        examples: [Example {
            name: "all of a component's",
            params: r#"{"componentId":"org.example.weather"}"#,
            result: r#"{"deleted":false}"#,
        }],
    }

    /// Lists the sockets that are bound to components.
    ListSockets = "auth.listSockets" {
        params: NoParams,
        result: ComponentSockets,
        access: Access::Admin,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [],
        examples: [Example { name: "none yet", params: r#"{}"#, result: r#"{"items":[]}"# }],
    }

    /// Makes a new token for the owner; the one before is no longer taken.
    ///
    /// The new one stands in `run/token` of the data root before the call is answered. WebSockets that
    /// were opened with the one before end.
    RotateOwnerToken = "auth.rotateOwnerToken" {
        params: NoParams,
        result: OwnerToken,
        access: Access::Admin,
        visibility: Visibility::Owner,
        idempotent: false,
        errors: [DiskFull, IoError],
        examples: [Example {
            name: "a new one",
            params: r#"{}"#,
            result: r#"{"token":"b9a4f0a1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6f7a8b9c0d1e2f3a4b5c6d7e8f9"}"#,
        }],
    }
}
