//! The contract of osnova-storage: the wire types and the definition of every method.
//!
//! One reads this crate to know what the daemon can be asked. A method is defined once, with
//! [`methods!`](method), in the file of its namespace; the server's registration, the typed client,
//! `openrpc/openrpc.json`, the command line's completion and the reference docs are made from that
//! one definition. This crate does no IO and knows neither how records are stored nor how bytes
//! reach the daemon.

pub mod application_config;
pub mod applications;
pub mod auth;
pub mod batch;
pub mod blobs;
pub mod cache;
pub mod component_data;
pub mod components;
pub mod error;
pub mod events;
pub mod identity;
pub mod jobs;
pub mod keys;
pub mod logs;
pub mod maintenance;
pub mod messages;
pub mod method;
pub mod openrpc;
pub mod preferences;
pub mod registry;
pub mod rpc;
pub mod schema;
pub mod search;
pub mod status;
pub mod storage;
pub mod system;
pub mod transactions;
pub mod vault;
pub mod wire;

pub use error::{ApiError, ConflictReason, ErrorCode, ErrorData};
pub use method::{Access, Method, MethodSpec, Visibility};

/// The definitions of every method, namespace by namespace, in the order of the document.
pub const NAMESPACES: &[(&str, &[MethodSpec])] = &[
    (components::SUMMARY, components::METHODS),
    (applications::SUMMARY, applications::METHODS),
    (application_config::SUMMARY, application_config::METHODS),
    (registry::SUMMARY, registry::METHODS),
    (keys::SUMMARY, keys::METHODS),
    (transactions::SUMMARY, transactions::METHODS),
    (cache::SUMMARY, cache::METHODS),
    (preferences::SUMMARY, preferences::METHODS),
    (messages::SUMMARY, messages::METHODS),
    (storage::SUMMARY, storage::METHODS),
    (identity::SUMMARY, identity::METHODS),
    (component_data::SUMMARY, component_data::METHODS),
    (logs::SUMMARY, logs::METHODS),
    (blobs::SUMMARY, blobs::METHODS),
    (batch::SUMMARY, batch::METHODS),
    (events::SUMMARY, events::METHODS),
    (vault::SUMMARY, vault::METHODS),
    (auth::SUMMARY, auth::METHODS),
    (jobs::SUMMARY, jobs::METHODS),
    (maintenance::SUMMARY, maintenance::METHODS),
    (schema::SUMMARY, schema::METHODS),
    (status::SUMMARY, status::METHODS),
    (system::SUMMARY, system::METHODS),
    (rpc::SUMMARY, rpc::METHODS),
];

/// Every method, in the order of the document.
pub fn all_methods() -> impl Iterator<Item = &'static MethodSpec> {
    NAMESPACES.iter().flat_map(|(_, methods)| methods.iter())
}
