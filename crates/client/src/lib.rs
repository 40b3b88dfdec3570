//! The typed client of osnova-storage.
//!
//! A [`Client`] speaks to the daemon over its Unix socket or over loopback TCP, by HTTP or over one
//! WebSocket. What can be called, with what params and for what answer, is said by the contract
//! ([`api`]) alone: [`Client::call`] takes any [`Method`], and there is no second list of methods here.
//! Content of any size is streamed by [`Client::put_blob`] and [`Client::get_blob`]; [`Client::upload`]
//! sends it in chunks, and goes on where it was cut off.
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
//! # For a host
//! Whoever starts components gives each a way in of its own, in the variables that
//! [`Client::from_env`] reads: not the owner's socket, on which a component would be the owner, but a
//! socket that is bound to the component, or a token for TCP or the socket of all components.
//!
//! ```no_run
//! use osnova_storage_client::api::auth::{CreateToken, CreateTokenParams};
//! use osnova_storage_client::api::auth::{OpenSocket, OpenSocketParams};
//! use osnova_storage_client::{Client, Endpoint, ENDPOINT_VARIABLE, TOKEN_VARIABLE};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let owner = Client::from_env()?;
//! let (clock, weather) = ("org.example.clock".parse()?, "org.example.weather".parse()?);
//!
//! let params = OpenSocketParams { component_id: clock, scopes: None, path: None };
//! let socket = owner.call::<OpenSocket>(params).await?;
//! std::process::Command::new("clock")
//!     .env(ENDPOINT_VARIABLE, Endpoint::unix(socket.path.as_str()).to_string())
//!     .spawn()?;
//!
//! let scopes = Some(vec!["blobs:read".parse()?]);
//! let params = CreateTokenParams { component_id: weather, name: None, scopes, expires_at: None };
//! let created = owner.call::<CreateToken>(params).await?;
//! std::process::Command::new("weather")
//!     .env(ENDPOINT_VARIABLE, "http://127.0.0.1:7117")
//!     .env(TOKEN_VARIABLE, created.token.expose())
//!     .spawn()?;
//! # Ok(())
//! # }
//! ```
//!
//! # Lost replies
//! A daemon may restart under a call. A call that was never sent, or that the daemon refused as
//! `unavailable`, is sent again; one whose reply was lost is repeated where that is safe: the method is
//! idempotent, or the call carries a `requestId`, under which the daemon stored the first answer. The
//! client gives one to every call that takes one. What can't be repeated, such as
//! [`auth::CreateToken`](api::auth::CreateToken), ends as [`ClientError::OutcomeUnknown`]. [`Repeat`]
//! holds the bounds.
//!
//! # What changes
//! [`Client::events`] follows the changes of records over a WebSocket of its own, and goes on without gap
//! or repeat after the connection was lost, or the daemon was restarted.
//!
//! # What happens where
//! A call over HTTP runs on the caller's own task from end to end: no task is spawned and a call
//! that is dropped closes its connection. A WebSocket has the background tasks of its library. The
//! library prints nothing and logs nothing; progress goes to what the caller hands in.

pub use osnova_storage_api as api;
pub use osnova_storage_api::wire::{ComponentId, Scope, Token, TokenId};
pub use osnova_storage_api::{ApiError, ErrorCode, Method};

mod answer;
mod blobs;
mod builder;
mod client;
mod endpoint;
mod error;
mod events;
mod http;
mod prepared;
mod repeat;
mod request_ids;
mod socket;
mod web_socket;

pub use blobs::{BlobStream, Progress, PutBlob, SmallBlob};
pub use builder::ClientBuilder;
pub use client::Client;
pub use endpoint::{Address, ENDPOINT_VARIABLE, Endpoint, EndpointError, Protocol, TOKEN_VARIABLE};
pub use error::ClientError;
pub use events::Events;
pub use repeat::Repeat;
