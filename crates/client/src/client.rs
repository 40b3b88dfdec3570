//! The client: calls by type and by name.

use std::fmt;
use std::sync::Arc;

use osnova_storage_api::Method;
use osnova_storage_api::method::RequestIdentity;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::builder::ClientBuilder;
use crate::endpoint::Endpoint;
use crate::error::{ClientError, Fault};
use crate::http::Http;
use crate::prepared::Prepared;
use crate::repeat::{Attempts, Effect, Repeat};
use crate::request_ids::RequestIds;
use crate::web_socket::WebSocket;

/// A client of the daemon. Clones share its connections.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) endpoint: Endpoint,
    /// Streams of blobs go this way always, calls where there is no WebSocket.
    pub(crate) http: Http,
    pub(crate) web_socket: Option<WebSocket>,
    /// Makes a WebSocket for each who follows events.
    pub(crate) event_sockets: WebSocket,
    pub(crate) repeat: Repeat,
    pub(crate) request_ids: RequestIds,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.inner.endpoint).finish()
    }
}

impl Client {
    pub(crate) fn new(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    /// A client with other than the default bounds.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// Connects to an endpoint, such as `unix:/path/storage.sock`; see [`Endpoint`].
    ///
    /// # Errors
    /// As [`ClientBuilder::connect`].
    pub async fn connect(endpoint: &str) -> Result<Self, ClientError> {
        Self::builder().endpoint(endpoint).connect().await
    }

    /// A client of the endpoint and with the token that the environment names; see
    /// [`Endpoint::from_env`]. It connects with its first call.
    ///
    /// # Errors
    /// As [`ClientBuilder::build`].
    pub fn from_env() -> Result<Self, ClientError> {
        Self::builder().build()
    }

    /// Where it connects to.
    pub fn endpoint(&self) -> &Endpoint {
        &self.inner.endpoint
    }

    /// Whether its calls carry a token, from wherever that came.
    pub fn has_token(&self) -> bool {
        self.inner.http.has_token()
    }

    /// Makes a connection now, rather than with the first call.
    pub(crate) async fn reach(&self) -> Result<(), ClientError> {
        let mut attempts = Attempts::new(&self.inner.repeat);
        loop {
            let reached = match &self.inner.web_socket {
                Some(web_socket) => web_socket.reach().await,
                None => self.inner.http.reach().await,
            };
            match reached {
                Ok(()) => return Ok(()),
                Err(fault) => self.wait(&mut attempts, fault, "the daemon", HARMLESS).await?,
            }
        }
    }

    /// Calls a method of the contract.
    ///
    /// A call that takes a `requestId` and has none is given one, so that it is repeated safely where
    /// its reply is lost.
    ///
    /// ```no_run
    /// use osnova_storage_client::{Client, ClientError, ErrorCode, api::components};
    ///
    /// # async fn example(client: Client) -> Result<(), ClientError> {
    /// let component_id = "org.example.clock".parse().map_err(ClientError::Params)?;
    /// match client.call::<components::Get>(components::GetParams { component_id }).await {
    ///     Ok(component) => assert_eq!(component.name.as_str(), "Clock"),
    ///     Err(error) if error.code() == Some(ErrorCode::NotFound) => {}
    ///     Err(error) => return Err(error),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError`] says which there are.
    pub async fn call<M: Method>(&self, mut params: M::Params) -> Result<M::Result, ClientError> {
        if M::SPEC.takes_request_id()
            && params.request_id().is_none()
            && let Some(id) = self.inner.request_ids.next()
        {
            params.set_request_id(id);
        }
        let call = Prepared::typed::<M>(&params)?;
        drop(params);
        self.send(&call).await
    }

    /// Calls a method by name, with params as JSON text, for the answer as JSON text.
    ///
    /// Params of a method of the contract are given a `requestId` as in [`call`](Self::call), where
    /// they are by name. A method that the contract does not know is called too, but never repeated.
    ///
    /// # Errors
    /// As [`call`](Self::call), and where the params are not JSON.
    pub async fn call_raw(
        &self,
        method: &str,
        params: Option<&str>,
    ) -> Result<Box<RawValue>, ClientError> {
        let call = Prepared::raw(method, params, &self.inner.request_ids)?;
        self.send(&call).await
    }

    async fn send<R: DeserializeOwned>(&self, call: &Prepared) -> Result<R, ClientError> {
        let mut attempts = Attempts::new(&self.inner.repeat);
        loop {
            let answer = match &self.inner.web_socket {
                Some(web_socket) => web_socket.call(call).await,
                None => self.inner.http.call(call).await,
            };
            let fault = match answer {
                Ok(result) => return Ok(result),
                Err(fault) => fault,
            };
            let effect =
                || Effect { repeatable: call.is_repeatable(), only_reads: call.only_reads() };
            attempts.wait(fault, &call.method, &self.inner.endpoint, effect).await?;
        }
    }

    /// Waits until something whose effect is known beforehand may be tried again.
    pub(crate) async fn wait(
        &self,
        attempts: &mut Attempts<'_>,
        fault: Fault,
        what: &str,
        effect: Effect,
    ) -> Result<(), ClientError> {
        attempts.wait(fault, what, &self.inner.endpoint, || effect).await
    }
}

/// The effect of what changes nothing.
pub(crate) const HARMLESS: Effect = Effect { repeatable: true, only_reads: true };
/// The effect of what may not be sent twice.
pub(crate) const ONCE: Effect = Effect { repeatable: false, only_reads: false };
