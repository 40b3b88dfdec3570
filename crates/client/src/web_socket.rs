//! Calls over one WebSocket, connected anew when it is lost; and WebSockets for those who need their own.

use std::fmt;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use jsonrpsee::client_transport::ws::{Url, WsHandshakeError, WsTransportClientBuilder};
use jsonrpsee::core::client::{Client as Connected, ClientBuilder, ClientT, Error};
use jsonrpsee::core::traits::ToRpcParams;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tokio::sync::Mutex;

use crate::answer;
use crate::endpoint::{Address, Endpoint};
use crate::error::{ClientError, Fault};
use crate::prepared::Prepared;
use crate::socket::Socket;

/// At most this many calls wait for the task that writes them to the socket; more wait in line.
const MAX_QUEUED_CALLS: usize = 1024;

/// A connection for calls has no notifications; the library wants room for one.
const UNUSED: usize = 1;

/// The WebSocket, and how to make it.
pub(crate) struct WebSocket {
    address: Address,
    url: Url,
    authorization: Option<HeaderValue>,
    request_timeout: Duration,
    max_message_bytes: u32,
    current: RwLock<Option<Arc<Connected>>>,
    /// Held by whoever connects, so that many callers make one socket and not one each.
    connecting: Mutex<()>,
}

impl WebSocket {
    pub(crate) fn new(
        endpoint: &Endpoint,
        authorization: Option<HeaderValue>,
        request_timeout: Duration,
        max_message_bytes: usize,
    ) -> Result<Self, ClientError> {
        let url = Url::parse(&format!("ws://{}/", endpoint.host()))
            .map_err(|_| ClientError::Params("the endpoint's host can't be sent".to_owned()))?;
        Ok(Self {
            address: endpoint.address.clone(),
            url,
            authorization,
            request_timeout,
            max_message_bytes: u32::try_from(max_message_bytes).unwrap_or(u32::MAX),
            current: RwLock::new(None),
            connecting: Mutex::new(()),
        })
    }

    /// Makes the connection, so that one knows that it can be made.
    pub(crate) async fn reach(&self) -> Result<(), Fault> {
        self.connected().await.map(drop)
    }

    /// One try of a call.
    pub(crate) async fn call<R: DeserializeOwned>(&self, call: &Prepared) -> Result<R, Fault> {
        let socket = self.connected().await?;
        self.call_on(&socket, call).await
    }

    /// One try of a call on this connection.
    pub(crate) async fn call_on<R: DeserializeOwned>(
        &self,
        socket: &Arc<Connected>,
        call: &Prepared,
    ) -> Result<R, Fault> {
        let answer: Result<Box<RawValue>, Error> =
            socket.request(&call.method, Params(call.params())).await;
        let raw = match answer {
            Ok(raw) => raw,
            Err(error) => return Err(self.fault(error, socket, &call.method)),
        };
        serde_json::from_str(raw.get()).map_err(|error| {
            let why = error.to_string();
            ClientError::Answer { method: call.method.clone().into_owned(), why }.into()
        })
    }

    /// The connection there is, or a new one.
    async fn connected(&self) -> Result<Arc<Connected>, Fault> {
        if let Some(socket) = self.alive() {
            return Ok(socket);
        }
        let _turn = self.connecting.lock().await;
        if let Some(socket) = self.alive() {
            return Ok(socket);
        }
        let socket = Arc::new(self.connect(UNUSED).await?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(socket.clone());
        Ok(socket)
    }

    fn alive(&self) -> Option<Arc<Connected>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().filter(|socket| socket.is_connected()).cloned()
    }

    /// A connection of its own, on which this many notifications may wait to be taken.
    pub(crate) async fn connect(&self, notifications: usize) -> Result<Connected, Fault> {
        let stream = Socket::connect(&self.address).await.map_err(Fault::NotSent)?;
        let mut headers = HeaderMap::new();
        if let Some(value) = &self.authorization {
            headers.insert(AUTHORIZATION, value.clone());
        }
        let handshake = WsTransportClientBuilder::default()
            .set_headers(headers)
            .max_request_size(u32::MAX)
            .max_response_size(self.max_message_bytes)
            .build_with_stream(self.url.clone(), stream);
        let (sender, receiver) = handshake.await.map_err(refused)?;
        Ok(ClientBuilder::default()
            .request_timeout(self.request_timeout)
            .max_concurrent_requests(MAX_QUEUED_CALLS)
            .max_buffer_capacity_per_subscription(notifications)
            .build_with_tokio(sender, receiver))
    }

    fn fault(&self, error: Error, socket: &Arc<Connected>, method: &str) -> Fault {
        match error {
            Error::Call(object) => {
                answer::error_object(object.code(), object.message(), object.data()).into()
            }
            Error::RequestTimeout => Fault::TimedOut(self.request_timeout),
            Error::ParseError(error) => {
                let why = error.to_string();
                ClientError::Answer { method: method.to_owned(), why }.into()
            }
            lost => {
                // Its own task may not have noticed yet that it is over.
                let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
                if current.as_ref().is_some_and(|known| Arc::ptr_eq(known, socket)) {
                    *current = None;
                }
                Fault::Lost(lost.into())
            }
        }
    }
}

impl fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Why the daemon did not take the connection.
fn refused(error: WsHandshakeError) -> Fault {
    match error {
        WsHandshakeError::Rejected { status_code } => {
            // The call was not sent yet, so it may be tried again whatever it is.
            answer::from_status("the WebSocket handshake", status_code, "to the handshake").into()
        }
        WsHandshakeError::Io(error) => Fault::NotSent(error),
        other => Fault::NotSent(io::Error::other(other)),
    }
}

/// Params that are JSON already.
struct Params(Option<Box<RawValue>>);

impl ToRpcParams for Params {
    fn to_rpc_params(self) -> Result<Option<Box<RawValue>>, serde_json::Error> {
        Ok(self.0)
    }
}
