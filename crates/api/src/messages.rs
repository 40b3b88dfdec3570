//! `messages`: what was said on channels.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::components::Direction;
use crate::method::{Access, Example, Visibility, methods, no_request_id, with_request_id};
use crate::search::SearchParams;
use crate::wire::{
    BlobHash, ComponentId, Cursor, JsonText, Limit, MessageId, Name, RequestId, Revision, Text,
    Timestamp, wire_object,
};

wire_object! {
    /// What a caller says of a message.
    pub struct MessageInput {
        /// Its id; made by the store where left out.
        pub message_id: Option<MessageId>,
        /// On which channel.
        pub channel: Name,
        /// Who said it.
        pub sender: Name,
        /// When.
        pub timestamp: Timestamp,
        /// What.
        pub body: Option<Text>,
        /// What else there is to say of it.
        pub metadata: Option<JsonText>,
        /// What hangs on it; each must be a blob that the caller can see.
        pub attachments: Option<Vec<BlobHash>>,
        /// Whose it is; set from the credential of a component.
        pub component_id: Option<ComponentId>,
    }
}

/// A stored message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// Its id.
    pub message_id: MessageId,
    /// On which channel.
    pub channel: Name,
    /// Who said it.
    pub sender: Name,
    /// When.
    pub timestamp: Timestamp,
    /// What.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Text>,
    /// What else there is to say of it, as the text that was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<JsonText>,
    /// What hangs on it.
    pub attachments: Vec<BlobHash>,
    /// Whose it is; the owner's where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component_id: Option<ComponentId>,
    /// The revision of its last change.
    pub revision: Revision,
}

/// A page of messages, by time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessagePage {
    /// The messages of this page.
    pub items: Vec<Message>,
    /// Where the next page begins; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<Cursor>,
}

/// The messages that were stored, in the order they were given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StoredMessages {
    /// The stored messages.
    pub items: Vec<Message>,
}

/// A message that a search found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessageHit {
    /// The message.
    pub record: Message,
    /// A line of its body, channel or sender that shows why, about 160 characters of it: what matches stands
    /// between « and »; the same signs of the text itself are shown as ‹ and ›.
    pub snippet: String,
    /// How well it matches, the higher the better, to be compared within one answer; the owner's only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
}

/// The messages that a search found, the best first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessageHits {
    /// What was found.
    pub items: Vec<MessageHit>,
}

wire_object! {
    /// What `messages.put` takes.
    pub struct PutParams {
        /// The message; all that it leaves out is cleared.
        pub message: MessageInput,
        /// Only if this is the message's revision; 0: only if it is absent.
        pub if_revision: Option<Revision>,
        /// The caller's id of this request, for repeating it.
        pub request_id: Option<RequestId>,
    }
}
wire_object! {
    /// One message among many to store.
    pub struct ManyInput {
        /// The message; all that it leaves out is cleared.
        pub message: MessageInput,
        /// Only if this is the message's revision; 0: only if it is absent.
        pub if_revision: Option<Revision>,
    }
}
wire_object! {
    /// What `messages.putMany` takes.
    pub struct PutManyParams {
        /// The messages, at most 1000.
        pub items: Vec<ManyInput>,
        /// The caller's id of this request, for repeating it.
        pub request_id: Option<RequestId>,
    }
}
wire_object! {
    /// What `messages.get` takes.
    pub struct GetParams {
        /// The message to read.
        pub message_id: MessageId,
    }
}
wire_object! {
    /// What `messages.list` takes.
    pub struct ListParams {
        /// Only those on this channel.
        pub channel: Option<Name>,
        /// Only those said at this time or later.
        pub from: Option<Timestamp>,
        /// Only those said before this time.
        pub to: Option<Timestamp>,
        /// Only those of this component; a component sees its own alone.
        pub component_id: Option<ComponentId>,
        /// Which way by time; desc where left out. Ties are ordered by id.
        pub direction: Option<Direction>,
        /// At most this many items; 100 where left out.
        pub limit: Option<Limit>,
        /// Where to go on: the `nextCursor` of the page before.
        pub cursor: Option<Cursor>,
    }
}
wire_object! {
    /// What `messages.delete` takes.
    pub struct DeleteParams {
        /// The message to delete.
        pub message_id: MessageId,
        /// Only if this is the message's revision; 0: only if it is absent.
        pub if_revision: Option<Revision>,
        /// The caller's id of this request, for repeating it.
        pub request_id: Option<RequestId>,
    }
}
no_request_id!(GetParams, ListParams);
with_request_id!(PutParams, PutManyParams[items], DeleteParams);

methods! {
    "What was said on channels, with contents that hang on it.";

    /// Stores a message, whether or not it is stored already.
    ///
    /// Its attachments are kept for as long as it names them; a hash that is absent, or that the caller
    /// can't see, is `conflict`, reason `foreign_key`; the id of another's message is `conflict`,
    /// reason `exists`. Not idempotent where the store makes the id: with a `requestId` a repeat stores
    /// one message.
    Put = "messages.put" {
        params: PutParams,
        result: Message,
        access: Access::Write,
        visibility: Visibility::Own,
        idempotent: false,
        errors: [NotFound, Conflict, DiskFull, IoError],
        examples: [Example {
            name: "a picture of the sky",
            params: r#"{"message":{"messageId":"m-2","channel":"weather","sender":"alice","timestamp":1764028900,"body":"It clears up","attachments":["738e10c42fc3177b07bc6ea9c685e764abb4482c232963394fc91c4b30653745"]}}"#,
            result: r#"{"messageId":"m-2","channel":"weather","sender":"alice","timestamp":1764028900,"body":"It clears up","attachments":["738e10c42fc3177b07bc6ea9c685e764abb4482c232963394fc91c4b30653745"],"revision":1849708136857623}"#,
        }],
    }

    /// Stores many messages, all or none.
    ///
    /// Where one can't be stored none is, and the error's `index` says which.
    PutMany = "messages.putMany" {
        params: PutManyParams,
        result: StoredMessages,
        access: Access::Write,
        visibility: Visibility::Own,
        idempotent: false,
        errors: [NotFound, Conflict, DiskFull, IoError],
        examples: [Example {
            name: "two at once",
            params: r#"{"items":[{"message":{"messageId":"m-3","channel":"weather","sender":"bob","timestamp":1764029000}},{"message":{"messageId":"m-4","channel":"weather","sender":"bob","timestamp":1764029001,"metadata":{"mood":"sunny"}}}],"requestId":"two-1"}"#,
            result: r#"{"items":[{"messageId":"m-3","channel":"weather","sender":"bob","timestamp":1764029000,"attachments":[],"revision":1849708136857624},{"messageId":"m-4","channel":"weather","sender":"bob","timestamp":1764029001,"metadata":{"mood":"sunny"},"attachments":[],"revision":1849708136857625}]}"#,
        }],
    }

    /// Reads one message.
    Get = "messages.get" {
        params: GetParams,
        result: Message,
        access: Access::Read,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [NotFound],
        examples: [Example {
            name: "the first",
            params: r#"{"messageId":"m-1"}"#,
            result: r#"{"messageId":"m-1","channel":"weather of all","sender":"alice","timestamp":1764028800,"body":"Rain before noon, says the old barometer","attachments":[],"revision":1849708136857626}"#,
        }],
    }

    /// Lists messages by time: all for the owner, its own for a component.
    ///
    /// Pages are stable under inserts.
    List = "messages.list" {
        params: ListParams,
        result: MessagePage,
        access: Access::Read,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [NotFound],
        examples: [Example {
            name: "the latest on a channel",
            params: r#"{"channel":"weather of all","limit":1}"#,
            result: r#"{"items":[{"messageId":"m-1","channel":"weather of all","sender":"alice","timestamp":1764028800,"body":"Rain before noon, says the old barometer","attachments":[],"revision":1849708136857626}]}"#,
        }],
    }

    /// Searches messages: all for the owner, its own for a component.
    ///
    /// Looked at are the body, which counts most, the channel and the sender. The best come first.
    /// `score` is shown to the owner only. `unavailable` while the index, found to be damaged, is being
    /// built anew; a search meanwhile, or at the first start after an upgrade, may miss records.
    Search = "messages.search" {
        params: SearchParams,
        result: MessageHits,
        access: Access::Read,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [],
        examples: [Example {
            name: "what did the barometer say",
            params: r#"{"query":"rain barom"}"#,
            result: r#"{"items":[{"record":{"messageId":"m-1","channel":"weather of all","sender":"alice","timestamp":1764028800,"body":"Rain before noon, says the old barometer","attachments":[],"revision":1849708136857626},"snippet":"«Rain» before noon, says the old «barometer»","score":1.5}]}"#,
        }],
    }

    /// Deletes one message.
    Delete = "messages.delete" {
        params: DeleteParams,
        result: crate::wire::Deleted,
        access: Access::Write,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [Conflict, DiskFull, IoError],
        examples: [Example {
            name: "take it back",
            params: r#"{"messageId":"m-1"}"#,
            result: r#"{"deleted":true}"#,
        }],
    }
}
