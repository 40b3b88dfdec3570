//! `preferences`: settings of the shell and the user, each a JSON value under a key.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::method::{Access, Example, Visibility, methods, no_request_id, with_request_id};
use crate::wire::{
    Cursor, JsonText, Limit, PreferenceKey, RequestId, Revision, Timestamp, wire_object,
};

/// A stored preference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Preference {
    /// The key.
    pub key: PreferenceKey,
    /// The value, as the text that was given.
    pub value: JsonText,
    /// When it was last set.
    pub updated_at: Timestamp,
    /// The revision of its last change.
    pub revision: Revision,
}

/// A page of preferences, by key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PreferencePage {
    /// The preferences of this page.
    pub items: Vec<Preference>,
    /// Where the next page begins; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<Cursor>,
}

/// The preferences that were set, in the order they were given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StoredPreferences {
    /// The stored preferences.
    pub items: Vec<Preference>,
}

wire_object! {
    /// What `preferences.get` takes.
    pub struct GetParams {
        /// The key to read.
        pub key: PreferenceKey,
    }
}
wire_object! {
    /// What `preferences.set` takes.
    pub struct SetParams {
        /// The key to set.
        pub key: PreferenceKey,
        /// Its new value; null is a value.
        pub value: JsonText,
        /// Only if this is the preference's revision; 0: only if it is not set.
        pub if_revision: Option<Revision>,
        /// The caller's id of this request, for repeating it.
        pub request_id: Option<RequestId>,
    }
}
wire_object! {
    /// One preference among many to set.
    pub struct PreferenceInput {
        /// The key to set.
        pub key: PreferenceKey,
        /// Its new value; null is a value.
        pub value: JsonText,
        /// Only if this is the preference's revision; 0: only if it is not set.
        pub if_revision: Option<Revision>,
    }
}
wire_object! {
    /// What `preferences.setMany` takes.
    pub struct SetManyParams {
        /// The preferences to set, at most 1000.
        pub items: Vec<PreferenceInput>,
        /// The caller's id of this request, for repeating it.
        pub request_id: Option<RequestId>,
    }
}
wire_object! {
    /// What `preferences.list` takes.
    pub struct ListParams {
        /// Only keys that begin with this.
        pub prefix: Option<PreferenceKey>,
        /// At most this many items; 100 where left out.
        pub limit: Option<Limit>,
        /// Where to go on: the `nextCursor` of the page before.
        pub cursor: Option<Cursor>,
    }
}
wire_object! {
    /// What `preferences.delete` takes.
    pub struct DeleteParams {
        /// The key to delete.
        pub key: PreferenceKey,
        /// Only if this is the preference's revision; 0: only if it is not set.
        pub if_revision: Option<Revision>,
        /// The caller's id of this request, for repeating it.
        pub request_id: Option<RequestId>,
    }
}
no_request_id!(GetParams, ListParams);
with_request_id!(SetParams, SetManyParams[items], DeleteParams);

methods! {
    "Settings of the shell and the user, each a JSON value under a key.";

    /// Reads one preference.
    Get = "preferences.get" {
        params: GetParams,
        result: Preference,
        access: Access::Read,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [NotFound],
        examples: [Example {
            name: "the theme",
            params: r#"{"key":"ui.theme"}"#,
            result: r#"{"key":"ui.theme","value":"dark","updatedAt":1764028800,"revision":1849708136857601}"#,
        }],
    }

    /// Sets one preference, whether or not it was set before.
    ///
    /// The value is kept as the text that was given. With `ifRevision` the preference is set only if
    /// nobody else has changed it since it was read.
    Set = "preferences.set" {
        params: SetParams,
        result: Preference,
        access: Access::Write,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [Conflict, DiskFull, IoError],
        examples: [
            Example {
                name: "a language",
                params: r#"{"key":"ui.language","value":"eo"}"#,
                result: r#"{"key":"ui.language","value":"eo","updatedAt":1764028800,"revision":1849708136857602}"#,
            },
            Example {
                name: "only if it was never set, and safe to repeat",
                params: r#"{"key":"ui.window","value":{"width":1280,"height":800},"ifRevision":0,"requestId":"first-start-1"}"#,
                result: r#"{"key":"ui.window","value":{"width":1280,"height":800},"updatedAt":1764028800,"revision":1849708136857603}"#,
            },
        ],
    }

    /// Sets many preferences, all or none.
    ///
    /// Where one can't be set none is, and the error's `index` says which.
    SetMany = "preferences.setMany" {
        params: SetManyParams,
        result: StoredPreferences,
        access: Access::Write,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [Conflict, DiskFull, IoError],
        examples: [Example {
            name: "two at once",
            params: r#"{"items":[{"key":"net.offline","value":false},{"key":"net.proxy","value":null}]}"#,
            result: r#"{"items":[{"key":"net.offline","value":false,"updatedAt":1764028800,"revision":1849708136857604},{"key":"net.proxy","value":null,"updatedAt":1764028800,"revision":1849708136857605}]}"#,
        }],
    }

    /// Lists preferences by key, all or those that begin with a prefix.
    List = "preferences.list" {
        params: ListParams,
        result: PreferencePage,
        access: Access::Read,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [],
        examples: [Example {
            name: "the settings of the user interface",
            params: r#"{"prefix":"ui."}"#,
            result: r#"{"items":[{"key":"ui.theme","value":"dark","updatedAt":1764028800,"revision":1849708136857601}]}"#,
        }],
    }

    /// Deletes one preference.
    Delete = "preferences.delete" {
        params: DeleteParams,
        result: crate::wire::Deleted,
        access: Access::Write,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [Conflict, DiskFull, IoError],
        examples: [Example {
            name: "forget the theme",
            params: r#"{"key":"ui.theme"}"#,
            result: r#"{"deleted":true}"#,
        }],
    }
}
