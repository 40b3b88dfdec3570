//! Following what changes, over lost connections and restarts of the daemon.
//!
//! A follower has a WebSocket of its own, whatever calls go by, and keeps only the position of the last
//! event that it handed out: with that it subscribes anew wherever the connection ends, so nothing is
//! missed and nothing comes twice. The library's buffer is bounded and drops the rest when it is full;
//! that too is only the end of a connection.

use std::fmt;
use std::sync::Arc;

use jsonrpsee::core::client::{
    Client as Connected, Error, Subscription, SubscriptionClientT, SubscriptionCloseReason,
};
use osnova_storage_api::events::{
    EVENT, Event, GONE, Gone, Notification, Subscribe, SubscribeParams, Subscribed,
};
use osnova_storage_api::wire::Position;
use osnova_storage_api::{ApiError, ErrorCode, Method};

use crate::client::{Client, HARMLESS};
use crate::error::{ClientError, Fault};
use crate::prepared::Prepared;
use crate::repeat::Attempts;

/// Events that wait to be taken by the caller; those beyond are asked for again.
const BUFFERED_EVENTS: usize = 1024;
/// What errors call this.
const WHAT: &str = Subscribe::SPEC.name;

/// The events of the daemon, one after the other; made by [`Client::events`].
pub struct Events {
    client: Client,
    /// What is asked for. Its `since` is the position of the last event that was handed out.
    params: SubscribeParams,
    position: Position,
    following: Option<Following>,
    /// How the connection before ended, where it is to be made anew.
    lost: Option<Fault>,
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("position", &self.position).finish_non_exhaustive()
    }
}

/// A subscription on a connection of its own, which ends with it.
struct Following {
    events: Subscription<Notification>,
    gone: Subscription<Gone>,
    _socket: Arc<Connected>,
}

/// What came next.
enum Heard {
    Event(Event),
    /// The position is no longer kept.
    Gone(Gone),
    /// Something that this version can't read.
    Unreadable(serde_json::Error),
    /// More came than there was room for.
    Lagged,
    Lost,
}

impl Client {
    /// Follows what changes, from the position `since`, or from now on where it is left out.
    ///
    /// To keep a copy of some records: follow from now on, read all of them, and then, for each event,
    /// the record that it names. An event whose key is shorter than the records' own names all whose keys
    /// begin with it ([`Event::names`]): what they hung on was deleted, and they with it.
    ///
    /// ```no_run
    /// use std::collections::BTreeMap;
    ///
    /// use osnova_storage_client::api::events::{ChangeKind, SubscribeParams};
    /// use osnova_storage_client::api::wire::JsonText;
    /// use osnova_storage_client::{Client, ClientError, ErrorCode};
    ///
    /// # async fn example(client: Client) -> Result<(), ClientError> {
    /// // The settings of applications, by application and key.
    /// let mut copy: BTreeMap<[String; 2], JsonText> = BTreeMap::new();
    /// let namespaces = Some(vec!["applicationConfig".parse().map_err(ClientError::Params)?]);
    /// let mut events = client.events(SubscribeParams { since: None, namespaces }).await?;
    /// // Here all settings are read.
    /// loop {
    ///     match events.next().await {
    ///         Ok(event) if event.kind == ChangeKind::Delete => {
    ///             copy.retain(|key, _| !event.names(key));
    ///         }
    ///         // Here the setting is read that the event names.
    ///         Ok(event) => println!("{:?} was set", event.key),
    ///         // The daemon keeps the latest 100,000 changes: read everything anew, and follow again.
    ///         Err(error) if error.code() == Some(ErrorCode::Gone) => return Ok(()),
    ///         Err(error) => return Err(error),
    ///     }
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`call`](Self::call), and `gone` where the position is no longer kept, or never was.
    pub async fn events(&self, params: SubscribeParams) -> Result<Events, ClientError> {
        let mut attempts = Attempts::new(&self.inner().repeat);
        let (following, position) = follow(self, &params, &mut attempts).await?;
        let params = SubscribeParams { since: Some(position), ..params };
        let following = Some(following);
        Ok(Events { client: self.clone(), params, position, following, lost: None })
    }
}

impl Events {
    /// The position of the last event that was handed out, or the one from which it began: what comes
    /// next is strictly after it. Whoever keeps it may go on from there later.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Waits for the next event. Where the connection is lost it is made anew within the bounds of
    /// [`Repeat`](crate::Repeat), and what was committed meanwhile comes first. It may be dropped and
    /// called again at any time, after an error too: no event is lost by that. Whoever follows without
    /// end calls it again after [`Connect`](ClientError::Connect), with a pause between, or has bounds
    /// that allow for the longest absence.
    ///
    /// # Errors
    /// `gone` where the daemon no longer keeps what comes next: the records have to be read anew, and
    /// followed from then on. Else as [`Client::call`].
    pub async fn next(&mut self) -> Result<Event, ClientError> {
        loop {
            let heard = match &mut self.following {
                Some(following) => following.next().await,
                None => {
                    self.resume().await?;
                    continue;
                }
            };
            match heard {
                Heard::Event(event) => {
                    self.position = event.position;
                    self.params.since = Some(event.position);
                    return Ok(event);
                }
                Heard::Lagged => self.following = None,
                Heard::Lost => {
                    self.following = None;
                    self.lost = Some(Fault::Lost("the connection was closed".into()));
                }
                Heard::Gone(gone) => {
                    self.following = None;
                    return Err(told(&gone));
                }
                Heard::Unreadable(error) => {
                    self.following = None;
                    return Err(unreadable(&error));
                }
            }
        }
    }

    /// Subscribes anew after what was handed out last, where the connection is lost; else does nothing.
    /// [`next`](Self::next) does it too, and then waits for an event: this tells that the daemon is back.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn resume(&mut self) -> Result<(), ClientError> {
        if self.following.is_some() {
            return Ok(());
        }
        let mut attempts = Attempts::new(&self.client.inner().repeat);
        if let Some(fault) = self.lost.take() {
            self.client.wait(&mut attempts, fault, WHAT, HARMLESS).await?;
        }
        let (following, _) = follow(&self.client, &self.params, &mut attempts).await?;
        self.following = Some(following);
        Ok(())
    }
}

impl Following {
    async fn next(&mut self) -> Heard {
        tokio::select! {
            // In the order in which the daemon sent them: it sends nothing after `gone`.
            biased;
            event = self.events.next() => match event {
                Some(Ok(notification)) => Heard::Event(notification.event),
                Some(Err(error)) => Heard::Unreadable(error),
                None => match self.events.close_reason() {
                    Some(SubscriptionCloseReason::Lagged) => Heard::Lagged,
                    _ => Heard::Lost,
                },
            },
            gone = self.gone.next() => match gone {
                Some(Ok(gone)) => Heard::Gone(gone),
                Some(Err(error)) => Heard::Unreadable(error),
                None => Heard::Lost,
            },
        }
    }
}

/// Connects and subscribes, trying again as long as it may.
async fn follow(
    client: &Client,
    params: &SubscribeParams,
    attempts: &mut Attempts<'_>,
) -> Result<(Following, Position), ClientError> {
    let call = Prepared::typed::<Subscribe>(params)?;
    loop {
        match subscribe(client, &call).await {
            Ok(followed) => return Ok(followed),
            Err(fault) => client.wait(attempts, fault, WHAT, HARMLESS).await?,
        }
    }
}

async fn subscribe(client: &Client, call: &Prepared) -> Result<(Following, Position), Fault> {
    let sockets = &client.inner().event_sockets;
    let socket = Arc::new(sockets.connect(BUFFERED_EVENTS).await?);
    let lost = |error: Error| Fault::Lost(error.into());
    // Before the call: the first notification may come right behind its answer.
    let events = socket.subscribe_to_method(EVENT).await.map_err(lost)?;
    let gone = socket.subscribe_to_method(GONE).await.map_err(lost)?;
    let subscribed: Subscribed = sockets.call_on(&socket, call).await?;
    Ok((Following { events, gone, _socket: socket }, subscribed.position))
}

fn told(gone: &Gone) -> ClientError {
    let message = format!(
        "what came after position {} is no longer kept: read the records anew",
        gone.position.0
    );
    ApiError::new(ErrorCode::Gone, message).into()
}

fn unreadable(error: &serde_json::Error) -> ClientError {
    ClientError::Answer { method: EVENT.to_owned(), why: error.to_string() }
}
