//! Making a client: where to, as whom, within which bounds.

use std::env;
use std::time::Duration;

use http::header::HeaderValue;

use crate::client::{Client, Inner};
use crate::endpoint::{Endpoint, Protocol, TOKEN_VARIABLE};
use crate::error::ClientError;
use crate::http::Http;
use crate::repeat::Repeat;
use crate::request_ids::RequestIds;
use crate::web_socket::WebSocket;

/// A reply that is not there after this long is not waited for.
const DEFAULT_REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest answer that is read into memory; the daemon's own default limit is 16 MiB.
const DEFAULT_MAX_RESPONSE_BYTES: usize = 64 << 20;
/// At most this many calls over HTTP run at a time, each on a connection of its own.
const DEFAULT_MAX_CONNECTIONS: usize = 64;

/// Makes a [`Client`].
///
/// ```no_run
/// use std::time::Duration;
/// use osnova_storage_client::{Client, Repeat};
///
/// # async fn example() -> Result<(), osnova_storage_client::ClientError> {
/// let client = Client::builder()
///     .endpoint("ws://127.0.0.1:7117")
///     .token("the owner's")
///     .request_timeout(Duration::from_secs(5))
///     .repeat(Repeat { attempts: 3, ..Repeat::default() })
///     .connect()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct ClientBuilder {
    endpoint: Option<String>,
    token: Option<String>,
    request_timeout: Duration,
    repeat: Repeat,
    max_response_bytes: usize,
    max_connections: usize,
}

impl Default for ClientBuilder {
    fn default() -> Self {
        Self {
            endpoint: None,
            token: None,
            request_timeout: DEFAULT_REQUEST_TIMEOUT,
            repeat: Repeat::default(),
            max_response_bytes: DEFAULT_MAX_RESPONSE_BYTES,
            max_connections: DEFAULT_MAX_CONNECTIONS,
        }
    }
}

impl std::fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientBuilder").finish_non_exhaustive()
    }
}

impl ClientBuilder {
    /// Where the daemon listens, as [`Endpoint`] reads it; from the environment where left out.
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// The token to show; that of the endpoint, `$OSNOVA_STORAGE_TOKEN`, or none, where left out. An
    /// empty one is an error of [`build`](Self::build): on the owner's socket it would make the owner
    /// of whoever meant to be less.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// How long to wait for the reply of one try; a minute where left out. Streams of blobs have no
    /// such limit.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// The bounds of trying again.
    pub fn repeat(mut self, repeat: Repeat) -> Self {
        self.repeat = repeat;
        self
    }

    /// The longest answer that is read into memory; 64 MiB where left out.
    pub fn max_response_bytes(mut self, bytes: usize) -> Self {
        self.max_response_bytes = bytes;
        self
    }

    /// At most this many calls over HTTP run at a time, more wait; 64 where left out. Streams of blobs
    /// are not counted: whoever starts one bounds them.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections.max(1);
        self
    }

    /// Makes the client without connecting.
    ///
    /// # Errors
    /// The endpoint or the token can't be read, or the system has no random numbers.
    pub fn build(self) -> Result<Client, ClientError> {
        let endpoint: Endpoint = match &self.endpoint {
            Some(text) => text.parse()?,
            None => Endpoint::from_env()?,
        };
        let token = match self.token.or_else(|| endpoint.token.clone()) {
            Some(token) => Some(token),
            None => token_from_env()?,
        };
        let authorization = token.map(|token| authorization(&token)).transpose()?;
        let http = Http::new(
            &endpoint,
            authorization.clone(),
            self.request_timeout,
            self.max_response_bytes,
            self.max_connections,
        )?;
        let web_socket = || {
            WebSocket::new(
                &endpoint,
                authorization.clone(),
                self.request_timeout,
                self.max_response_bytes,
            )
        };
        let event_sockets = web_socket()?;
        let web_socket = match endpoint.protocol {
            Protocol::Http => None,
            Protocol::WebSocket => Some(web_socket()?),
        };
        let request_ids = RequestIds::new()
            .map_err(|error| ClientError::Params(format!("no random numbers: {error}")))?;
        let repeat = self.repeat;
        Ok(Client::new(Inner { endpoint, http, web_socket, event_sockets, repeat, request_ids }))
    }

    /// Makes the client and a first connection.
    ///
    /// # Errors
    /// As [`build`](Self::build), and where no connection can be made within the bounds of [`Repeat`].
    pub async fn connect(self) -> Result<Client, ClientError> {
        let client = self.build()?;
        client.reach().await?;
        Ok(client)
    }
}

/// The token of the environment; a variable that is empty is one that is not set.
fn token_from_env() -> Result<Option<String>, ClientError> {
    match env::var(TOKEN_VARIABLE) {
        Ok(token) => Ok(Some(token).filter(|token| !token.is_empty())),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => {
            Err(ClientError::Params(format!("${TOKEN_VARIABLE} holds what is not text")))
        }
    }
}

fn authorization(token: &str) -> Result<HeaderValue, ClientError> {
    if token.trim().is_empty() {
        return Err(ClientError::Params("the token is empty".to_owned()));
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.trim()))
        .map_err(|_| ClientError::Params("the token holds what a header can't".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}
