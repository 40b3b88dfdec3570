//! The daemon of osnova-storage.
//!
//! The way a call takes: [`listen`] accepts a connection, [`http`] reads a request, [`access`] finds
//! out who calls and whether he may, [`rpc`] finds the method and parses its params, [`methods`] names
//! the operation of the core that serves it. [`lifecycle`] starts and stops all that, as
//! [`config`] says.

pub mod access;
mod app;
pub mod config;
mod errors;
mod http;
pub mod lifecycle;
mod listen;
mod methods;
mod rpc;

pub use lifecycle::Exit;
