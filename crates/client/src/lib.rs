//! The typed client of osnova-storage.
//!
//! A [`Client`] speaks to the daemon over its Unix socket or over loopback TCP, by HTTP or over one
//! WebSocket. What can be called, with what params and for what answer, is said by the contract
//! ([`api`]) alone: [`Client::call`] takes any [`Method`], and there is no second list of methods here.
//! Content of any size is streamed by [`Client::put_blob`] and [`Client::get_blob`].
//!
//! ```no_run
//! use osnova_storage_client::api::preferences;
//! use osnova_storage_client::{Client, ClientError};
//!
//! # async fn example() -> Result<(), ClientError> {
//! let client = Client::from_env()?;
//! let theme = client
//!     .call::<preferences::Get>(preferences::GetParams {
//!         key: "ui.theme".parse().map_err(ClientError::Params)?,
//!     })
//!     .await?;
//! assert_eq!(theme.value.get(), r#""dark""#);
//! # Ok(())
//! # }
//! ```
//!
//! # Lost replies
//! A daemon may restart under a call. A call that was never sent is sent again; one whose reply was
//! lost is repeated where that is safe: the method is idempotent, or the call carries a `requestId`,
//! under which the daemon stored the first answer. The client gives one to every call that takes one.
//! What can't be repeated ends as [`ClientError::OutcomeUnknown`]. [`Repeat`] holds the bounds.
//!
//! # What happens where
//! A call over HTTP runs on the caller's own task from end to end: no task is spawned and a call
//! that is dropped closes its connection. A WebSocket has the background tasks of its library. The
//! library prints nothing and logs nothing; progress goes to what the caller hands in.

pub use osnova_storage_api as api;
pub use osnova_storage_api::{ApiError, ErrorCode, Method};

mod answer;
mod blobs;
mod builder;
mod client;
mod endpoint;
mod error;
mod http;
mod prepared;
mod repeat;
mod request_ids;
mod socket;
mod web_socket;

pub use blobs::{BlobStream, Progress, PutBlob};
pub use builder::ClientBuilder;
pub use client::Client;
pub use endpoint::{Address, Endpoint, EndpointError, Protocol};
pub use error::ClientError;
pub use repeat::Repeat;
