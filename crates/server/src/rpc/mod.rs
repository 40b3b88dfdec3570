//! JSON-RPC: from a parsed request to a method and back.
//!
//! [`Registry`] knows how each method is served; [`Rpc`] is the service that the RPC library calls
//! for each request and batch, over HTTP and WebSocket alike. The library's own method table stays
//! empty: it would run the calls of a batch one after the other.

mod answer;
mod follow;
mod registry;
mod service;
mod subscribe;
mod subscriptions;

pub(crate) use answer::error_body;
pub(crate) use registry::Registry;
pub(crate) use service::Rpc;
pub(crate) use subscriptions::{Opened, Outgoing, Subscriptions};
