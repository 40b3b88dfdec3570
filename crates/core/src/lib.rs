//! The store of osnova-storage: records in SQLite, content in encrypted files.
//!
//! Synchronous: it knows neither sockets nor an async runtime, prints nothing, and is told who calls.
//! Start reading at [`store`]; the layers below point down only: operations of a table -> writer and
//! pool -> SQLite; blob store -> file format -> ciphers; and [`files`] under all that touches a file.

mod background;
pub mod blob;
pub mod caller;
pub mod clock;
pub mod component_data;
pub mod db;
pub mod error;
pub mod files;
pub mod health;
pub mod identity;
pub mod jobs;
pub mod layout;
pub mod logs;
pub mod maintenance;
pub mod names;
mod process;
pub mod store;
mod sweep;
mod tree;
pub mod vault;

pub use caller::{Caller, Scopes};
pub use error::{OpenError, StoreError};
pub use store::{Store, StoreOptions};
