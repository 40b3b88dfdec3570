//! `applicationConfig`: settings of applications, each a JSON value under a key.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::method::{Access, Example, Visibility, methods, no_request_id, with_request_id};
use crate::wire::{
    ApplicationId, ConfigKey, Cursor, JsonText, Limit, RequestId, Revision, Timestamp, wire_object,
};

/// A stored setting of an application.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigEntry {
    /// Whose it is.
    pub application_id: ApplicationId,
    /// The key.
    pub key: ConfigKey,
    /// The value, as the text that was given.
    pub value: JsonText,
    /// When it was last set.
    pub updated_at: Timestamp,
    /// The revision of its last change.
    pub revision: Revision,
}

/// A page of settings, by key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigPage {
    /// The settings of this page.
    pub items: Vec<ConfigEntry>,
    /// Where the next page begins; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<Cursor>,
}

wire_object! {
    /// What `applicationConfig.get` takes.
    pub struct GetParams {
        /// Whose setting.
        pub application_id: ApplicationId,
        /// The key to read.
        pub key: ConfigKey,
    }
}
wire_object! {
    /// What `applicationConfig.set` takes.
    pub struct SetParams {
        /// Whose setting; the application must be installed.
        pub application_id: ApplicationId,
        /// The key to set.
        pub key: ConfigKey,
        /// Its new value; null is a value.
        pub value: JsonText,
        /// Only if this is the setting's revision; 0: only if it is not set.
        pub if_revision: Option<Revision>,
        /// The caller's id of this request, for repeating it.
        pub request_id: Option<RequestId>,
    }
}
wire_object! {
    /// What `applicationConfig.list` takes.
    pub struct ListParams {
        /// Whose settings.
        pub application_id: ApplicationId,
        /// Only keys that begin with this.
        pub prefix: Option<ConfigKey>,
        /// At most this many items; 100 where left out.
        pub limit: Option<Limit>,
        /// Where to go on: the `nextCursor` of the page before.
        pub cursor: Option<Cursor>,
    }
}
wire_object! {
    /// What `applicationConfig.delete` takes.
    pub struct DeleteParams {
        /// Whose setting.
        pub application_id: ApplicationId,
        /// The key to delete.
        pub key: ConfigKey,
        /// Only if this is the setting's revision; 0: only if it is not set.
        pub if_revision: Option<Revision>,
        /// The caller's id of this request, for repeating it.
        pub request_id: Option<RequestId>,
    }
}
no_request_id!(GetParams, ListParams);
with_request_id!(SetParams, DeleteParams);

methods! {
    "Settings of applications, each a JSON value under a key; they go with their application.";

    /// Reads one setting of an application.
    Get = "applicationConfig.get" {
        params: GetParams,
        result: ConfigEntry,
        access: Access::Read,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [NotFound],
        examples: [Example {
            name: "the unit of distance",
            params: r#"{"applicationId":"org.example.outdoors","key":"units"}"#,
            result: r#"{"applicationId":"org.example.outdoors","key":"units","value":"km","updatedAt":1764028800,"revision":1849708136857611}"#,
        }],
    }

    /// Sets one setting of an application, whether or not it was set before.
    ///
    /// An application that is not installed is `conflict`, reason `foreign_key`.
    Set = "applicationConfig.set" {
        params: SetParams,
        result: ConfigEntry,
        access: Access::Write,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [Conflict, DiskFull, IoError],
        examples: [Example {
            name: "miles",
            params: r#"{"applicationId":"org.example.outdoors","key":"units","value":"mi"}"#,
            result: r#"{"applicationId":"org.example.outdoors","key":"units","value":"mi","updatedAt":1764028800,"revision":1849708136857612}"#,
        }],
    }

    /// Lists the settings of an application by key, all or those that begin with a prefix.
    List = "applicationConfig.list" {
        params: ListParams,
        result: ConfigPage,
        access: Access::Read,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [],
        examples: [Example {
            name: "all settings of the outdoors",
            params: r#"{"applicationId":"org.example.outdoors"}"#,
            result: r#"{"items":[{"applicationId":"org.example.outdoors","key":"units","value":"km","updatedAt":1764028800,"revision":1849708136857611}]}"#,
        }],
    }

    /// Deletes one setting of an application.
    Delete = "applicationConfig.delete" {
        params: DeleteParams,
        result: crate::wire::Deleted,
        access: Access::Write,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [Conflict, DiskFull, IoError],
        examples: [Example {
            name: "back to the default",
            params: r#"{"applicationId":"org.example.outdoors","key":"units"}"#,
            result: r#"{"deleted":true}"#,
        }],
    }
}
