//! `keys`: which keys components have derived. Public parts only; no key itself is stored.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::method::{Access, Example, Visibility, methods, no_request_id, with_request_id};
use crate::wire::{
    Accepted, ComponentId, Cursor, DerivationIndex, Limit, PublicKey, RequestId, Revision, Text,
    Timestamp, wire_enum, wire_object,
};

wire_enum! {
    /// By which algorithm a key works.
    pub enum KeyType {
        /// ML-DSA (FIPS 204).
        MlDsa = "ml_dsa",
        /// Ed25519 (RFC 8032).
        Ed25519 = "ed25519",
        /// ECDSA over secp256k1 (SEC 2).
        Secp256k1 = "secp256k1",
    }
}

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyInfo {
    /// The component it was derived for.
    pub component_id: ComponentId,
    /// Its place in the component's derivation.
    pub derivation_index: DerivationIndex,
    /// Its public part.
    pub public_key: PublicKey,
    /// By which algorithm it works.
    pub key_type: KeyType,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Text>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was last used; absent where it never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used: Option<Timestamp>,
    /// The revision of its last change.
    pub revision: Revision,
}

/// An index that was never given before.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReservedIndex {
    /// The index.
    pub derivation_index: DerivationIndex,
}

/// A page of keys, by index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyPage {
    /// The keys of this page.
    pub items: Vec<KeyInfo>,
    /// Where the next page begins; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<Cursor>,
}

wire_object! {
    /// What `keys.reserveIndex` takes.
    pub struct ReserveIndexParams {
        /// The component; a component's own where left out.
        pub component_id: Option<ComponentId>,
        /// The caller's id of this request, for repeating it.
        pub request_id: Option<RequestId>,
    }
}
wire_object! {
    /// What `keys.register` takes.
    pub struct RegisterParams {
        /// The public part.
        pub public_key: PublicKey,
        /// By which algorithm it works.
        pub key_type: KeyType,
        /// What it is for.
        pub purpose: Option<Text>,
        /// Its place in the component's derivation; the next one where left out.
        pub derivation_index: Option<DerivationIndex>,
        /// The component; a component's own where left out.
        pub component_id: Option<ComponentId>,
        /// The caller's id of this request, for repeating it.
        pub request_id: Option<RequestId>,
    }
}
wire_object! {
    /// What `keys.get` takes.
    pub struct GetParams {
        /// The key's place in its component's derivation.
        pub derivation_index: DerivationIndex,
        /// The component; a component's own where left out.
        pub component_id: Option<ComponentId>,
    }
}
wire_object! {
    /// What `keys.getByPublicKey` takes.
    pub struct GetByPublicKeyParams {
        /// The public part.
        pub public_key: PublicKey,
    }
}
wire_object! {
    /// What `keys.listForComponent` takes.
    pub struct ListParams {
        /// The component; a component's own where left out.
        pub component_id: Option<ComponentId>,
        /// At most this many items; 100 where left out.
        pub limit: Option<Limit>,
        /// Where to go on: the `nextCursor` of the page before.
        pub cursor: Option<Cursor>,
    }
}
wire_object! {
    /// What `keys.touch` takes.
    pub struct TouchParams {
        /// The public part of the key that was used.
        pub public_key: PublicKey,
        /// When; now where left out. `lastUsed` never goes back.
        pub used_at: Option<Timestamp>,
    }
}
wire_object! {
    /// What `keys.delete` takes.
    pub struct DeleteParams {
        /// The public part.
        pub public_key: PublicKey,
        /// Only if this is the key's revision; 0: only if it is absent.
        pub if_revision: Option<Revision>,
        /// The caller's id of this request, for repeating it.
        pub request_id: Option<RequestId>,
    }
}
no_request_id!(GetParams, GetByPublicKeyParams, ListParams, TouchParams);
with_request_id!(ReserveIndexParams, RegisterParams, DeleteParams);

methods! {
    "Which keys components have derived: public parts and indices only, no key itself is stored.";

    /// Takes the next derivation index of a component.
    ///
    /// An index is never given twice, whether its key was registered or deleted: it would derive the
    /// same key again. Not idempotent by nature: with a `requestId` a repeat gets the same index.
    ReserveIndex = "keys.reserveIndex" {
        params: ReserveIndexParams,
        result: ReservedIndex,
        access: Access::Write,
        visibility: Visibility::Own,
        idempotent: false,
        errors: [NotFound, Conflict, QuotaExceeded, DiskFull, IoError],
        examples: [Example {
            name: "the next one of the sky",
            params: r#"{"componentId":"org.example.sky","requestId":"first-key"}"#,
            result: r#"{"derivationIndex":1}"#,
        }],
    }

    /// Registers a key that a component has derived.
    ///
    /// Without an index the next one is taken. Registering the same public key again answers the same
    /// row; an index or a public key that another key has is `conflict`, reason `exists`.
    Register = "keys.register" {
        params: RegisterParams,
        result: KeyInfo,
        access: Access::Write,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [NotFound, Conflict, QuotaExceeded, DiskFull, IoError],
        examples: [Example {
            name: "a key to sign with",
            params: r#"{"publicKey":"3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29","keyType":"ed25519","purpose":"sign reports","componentId":"org.example.sky"}"#,
            result: r#"{"componentId":"org.example.sky","derivationIndex":1,"publicKey":"3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29","keyType":"ed25519","purpose":"sign reports","createdAt":1764028800,"revision":1849708136857616}"#,
        }],
    }

    /// Reads what is known of a key, by its index.
    Get = "keys.get" {
        params: GetParams,
        result: KeyInfo,
        access: Access::Read,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [NotFound],
        examples: [Example {
            name: "the first of the sky",
            params: r#"{"derivationIndex":0,"componentId":"org.example.sky"}"#,
            result: r#"{"componentId":"org.example.sky","derivationIndex":0,"publicKey":"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a","keyType":"ed25519","createdAt":1764028800,"revision":1849708136857617}"#,
        }],
    }

    /// Reads what is known of a key, by its public part.
    GetByPublicKey = "keys.getByPublicKey" {
        params: GetByPublicKeyParams,
        result: KeyInfo,
        access: Access::Read,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [NotFound],
        examples: [Example {
            name: "whose key is this?",
            params: r#"{"publicKey":"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"}"#,
            result: r#"{"componentId":"org.example.sky","derivationIndex":0,"publicKey":"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a","keyType":"ed25519","createdAt":1764028800,"revision":1849708136857617}"#,
        }],
    }

    /// Lists the keys of a component, by index.
    ListForComponent = "keys.listForComponent" {
        params: ListParams,
        result: KeyPage,
        access: Access::Read,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [NotFound],
        examples: [Example {
            name: "all of the sky's",
            params: r#"{"componentId":"org.example.sky"}"#,
            result: r#"{"items":[{"componentId":"org.example.sky","derivationIndex":0,"publicKey":"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a","keyType":"ed25519","createdAt":1764028800,"revision":1849708136857617}]}"#,
        }],
    }

    /// Notes that a key was used.
    ///
    /// The write is deferred: it may be lost in a crash within the flush interval (200 ms unless
    /// configured), and changes neither the revision nor the feed.
    Touch = "keys.touch" {
        params: TouchParams,
        result: Accepted,
        access: Access::Write,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [NotFound],
        examples: [Example {
            name: "just now",
            params: r#"{"publicKey":"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"}"#,
            result: r#"{"accepted":true}"#,
        }],
    }

    /// Forgets a key. Its index is not given again.
    Delete = "keys.delete" {
        params: DeleteParams,
        result: crate::wire::Deleted,
        access: Access::Write,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [Conflict, DiskFull, IoError],
        examples: [Example {
            name: "a key that is used no more",
            params: r#"{"publicKey":"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"}"#,
            result: r#"{"deleted":true}"#,
        }],
    }
}
