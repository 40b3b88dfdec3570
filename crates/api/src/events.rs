//! `events`: what has changed, in the order in which it was committed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::method::{Access, Example, Visibility, methods, no_request_id};
use crate::wire::{Limit, Name, Position, UnsignedInteger, wire_object};

/// The notification that carries one event: its params are a [`Notification`].
pub const EVENT: &str = "events.event";
/// The notification that ends a subscription whose place in the feed is gone: its params are a [`Gone`].
pub const GONE: &str = "events.gone";

/// What happened to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// It was stored, new or again.
    Put,
    /// It was deleted.
    Delete,
}

impl ChangeKind {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            ChangeKind::Put => "put",
            ChangeKind::Delete => "delete",
        }
    }
}

/// A change of one record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Its position in the feed, which is the record's revision where it was stored.
    pub position: Position,
    /// The namespace of the methods that read the record.
    pub namespace: String,
    /// The parts of the record's primary key. Where it has fewer parts than the keys of its namespace, all
    /// records are meant whose key begins with it: a delete of what they hang on took them along.
    pub key: Vec<String>,
    /// What happened to it.
    pub kind: ChangeKind,
}

impl Event {
    /// Whether the record of this key is meant, in the event's namespace.
    ///
    /// ```
    /// use osnova_storage_api::events::{ChangeKind, Event};
    /// use osnova_storage_api::wire::Position;
    ///
    /// // A component was deleted, and its stored values with it.
    /// let event = Event {
    ///     position: Position(7),
    ///     namespace: "storage".to_owned(),
    ///     key: vec!["org.example.weather".to_owned()],
    ///     kind: ChangeKind::Delete,
    /// };
    /// assert!(event.names(&["org.example.weather", "places/home"]));
    /// assert!(!event.names(&["org.example.wallet", "places/home"]));
    /// ```
    pub fn names<T: AsRef<str>>(&self, key: &[T]) -> bool {
        self.key.len() <= key.len()
            && self.key.iter().zip(key).all(|(part, of_key)| part == of_key.as_ref())
    }
}

/// A part of the feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventPage {
    /// The events of this page, oldest first.
    pub items: Vec<Event>,
    /// Where to go on: what comes next is strictly after it.
    pub position: Position,
    /// Whether there may be more after it. A page may be empty and yet not the last.
    pub more: bool,
}

/// A subscription that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Subscribed {
    /// Its id on this connection.
    pub subscription: UnsignedInteger,
    /// The position after which its notifications begin.
    pub position: Position,
}

/// Whether a subscription was ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Unsubscribed {
    /// False where this connection has no such subscription.
    pub unsubscribed: bool,
}

/// The params of the notification `events.event`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// The subscription that it is for.
    pub subscription: UnsignedInteger,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// The params of the notification `events.gone`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gone {
    /// The subscription that ended.
    pub subscription: UnsignedInteger,
    /// How far it had come. What came after it is not all there any more.
    pub position: Position,
    /// The oldest position from which the feed is whole.
    pub oldest: Position,
}

wire_object! {
    /// What `events.list` takes.
    pub struct ListParams {
        /// The position to go on strictly after; where left out, only the present position is answered.
        pub since: Option<Position>,
        /// Only events of these namespaces; of all that the caller may read where left out.
        pub namespaces: Option<Vec<Name>>,
        /// At most this many items; 100 where left out.
        pub limit: Option<Limit>,
    }
}
wire_object! {
    /// What `events.subscribe` takes.
    #[derive(Default)]
    pub struct SubscribeParams {
        /// The position to go on strictly after; the present one where left out.
        pub since: Option<Position>,
        /// Only events of these namespaces; of all that the caller may read where left out.
        pub namespaces: Option<Vec<Name>>,
    }
}
wire_object! {
    /// What `events.unsubscribe` takes.
    pub struct UnsubscribeParams {
        /// The subscription to end.
        pub subscription: UnsignedInteger,
    }
}
no_request_id!(ListParams, SubscribeParams, UnsubscribeParams);

methods! {
    "What has changed, in the order in which it was committed.";

    /// Lists what has changed since a position.
    ///
    /// Without `since` no items are answered, and the present position: whoever then reads the records,
    /// and from there on goes through the feed, misses nothing. Positions rise and are never given twice,
    /// not even after an older database was put back; a position that is no longer kept, or that this
    /// database has never had, is `gone`, and the records have to be read anew. A component sees changes
    /// of components and applications, and those of its own things, each only where its scopes let it
    /// read them. A delete that takes others along names them by the beginning of their keys: with an
    /// application go its settings, by one event of `applicationConfig` whose `key` is its id alone.
    List = "events.list" {
        params: ListParams,
        result: EventPage,
        access: Access::Read,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [Gone],
        examples: [
            Example {
                name: "where the feed is now",
                params: "{}",
                result: r#"{"items":[],"position":1849708136857605,"more":false}"#,
            },
        ],
    }

    /// Has the events of the feed sent over this WebSocket as they are committed.
    ///
    /// After the answer each event comes as a notification without id, `{"jsonrpc":"2.0","method":
    /// "events.event","params":{"subscription":1,"position":1849708136857606,"namespace":"preferences",
    /// "key":["ui.theme"],"kind":"put"}}`, strictly in order, without gap or repeat, from `since` or from
    /// now on. What is seen is as in `events.list`. A client that is slow is waited for; where it is so
    /// slow that its place in the feed is no longer kept, it is told by the notification `events.gone` with
    /// `{subscription, position, oldest}`, and the subscription ends. Subscriptions end with their
    /// connection: to go on after it was lost, subscribe with the last position as `since`. Over anything
    /// but a WebSocket the call is `invalid_request`.
    Subscribe = "events.subscribe" {
        params: SubscribeParams,
        result: Subscribed,
        access: Access::Read,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [InvalidRequest, Gone, QuotaExceeded],
        examples: [Example {
            name: "what happens to components and settings from now on",
            params: r#"{"namespaces":["components","preferences"]}"#,
            result: r#"{"subscription":1,"position":1849708136857605}"#,
        }],
    }

    /// Ends a subscription of this WebSocket.
    ///
    /// After the answer no notification of it comes any more.
    Unsubscribe = "events.unsubscribe" {
        params: UnsubscribeParams,
        result: Unsubscribed,
        access: Access::Read,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [InvalidRequest],
        examples: [Example {
            name: "one that has ended already",
            params: r#"{"subscription":1}"#,
            result: r#"{"unsubscribed":false}"#,
        }],
    }
}
