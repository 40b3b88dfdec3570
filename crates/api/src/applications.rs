//! `applications`: what a user starts, each made of components.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::components::Direction;
use crate::method::{Access, Example, Visibility, methods, no_request_id, with_request_id};
use crate::search::SearchParams;
use crate::wire::{
    ApplicationId, BlobHash, Cursor, JsonText, Limit, Name, RequestId, Revision, Role, Text,
    Timestamp, UnsignedInteger, wire_enum, wire_object,
};

wire_enum! {
    /// What a list of applications is ordered by.
    pub enum ApplicationOrder {
        /// When it was installed.
        InstalledAt = "installedAt",
        /// When it was last launched, as the store saw it; those never launched come last.
        LastLaunched = "lastLaunched",
        /// Its name.
        Name = "name",
    }
}

wire_object! {
    /// What a caller says of an application.
    pub struct ApplicationInput {
        /// Its id.
        pub application_id: ApplicationId,
        /// Its name, for people.
        pub name: Name,
        /// Its version, by convention a semantic one.
        pub version: Name,
        /// What it does, for people.
        pub description: Option<Text>,
        /// Who made it.
        pub author: Option<Name>,
        /// Its icon; must be a blob that the caller can see.
        pub icon_blob_hash: Option<BlobHash>,
        /// Its manifest, kept as the text that is given.
        pub manifest: JsonText,
        /// Where it lies on the Autonomi network.
        pub autonomi_address: Option<Name>,
        /// When it was installed: now where left out, and as it was on update.
        pub installed_at: Option<Timestamp>,
        /// Its other contents, by role; each must be a blob that the caller can see. `icon` is no role:
        /// the icon stands in `iconBlobHash`.
        pub blobs: Option<BTreeMap<Role, BlobHash>>,
    }
}

/// A stored application.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Application {
    /// Its id.
    pub application_id: ApplicationId,
    /// Its name, for people.
    pub name: Name,
    /// Its version, by convention a semantic one.
    pub version: Name,
    /// What it does, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<Name>,
    /// Its icon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icon_blob_hash: Option<BlobHash>,
    /// Its manifest, as the text that was given.
    pub manifest: JsonText,
    /// Where it lies on the Autonomi network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autonomi_address: Option<Name>,
    /// When it was installed.
    pub installed_at: Timestamp,
    /// When it was last launched; absent where it never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_launched: Option<Timestamp>,
    /// How often it was launched.
    pub launch_count: UnsignedInteger,
    /// Its other contents, by role.
    pub blobs: BTreeMap<Role, BlobHash>,
    /// The revision of its last change.
    pub revision: Revision,
}

/// A page of applications.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationPage {
    /// The applications of this page.
    pub items: Vec<Application>,
    /// Where the next page begins; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<Cursor>,
}

/// A application that a search found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationHit {
    /// The application.
    pub record: Application,
    /// A line of its description, keywords, author or name that shows why, about 160 characters of it: what matches stands
    /// between « and »; the same signs of the text itself are shown as ‹ and ›.
    pub snippet: String,
    /// How well it matches, the higher the better, to be compared within one answer; the owner's only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
}

/// The applications that a search found, the best first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationHits {
    /// What was found.
    pub items: Vec<ApplicationHit>,
}

wire_object! {
    /// What `applications.put` takes.
    pub struct PutParams {
        /// The application; all that it leaves out is cleared, but for `installedAt`.
        pub application: ApplicationInput,
        /// Only if this is the application's revision; 0: only if it is absent.
        pub if_revision: Option<Revision>,
        /// The caller's id of this request, for repeating it.
        pub request_id: Option<RequestId>,
    }
}
wire_object! {
    /// What `applications.get` takes.
    pub struct GetParams {
        /// The application to read.
        pub application_id: ApplicationId,
    }
}
wire_object! {
    /// What `applications.list` takes.
    pub struct ListParams {
        /// What to order by; installedAt where left out. Ties are ordered by id.
        pub order_by: Option<ApplicationOrder>,
        /// Which way; desc where left out, but asc by name.
        pub direction: Option<Direction>,
        /// At most this many items; 100 where left out.
        pub limit: Option<Limit>,
        /// Where to go on: the `nextCursor` of the page before.
        pub cursor: Option<Cursor>,
    }
}
wire_object! {
    /// What `applications.recordLaunch` and `applications.delete` take.
    pub struct ChangeParams {
        /// The application.
        pub application_id: ApplicationId,
        /// Only if this is the application's revision; 0: only if it is absent.
        pub if_revision: Option<Revision>,
        /// The caller's id of this request, for repeating it.
        pub request_id: Option<RequestId>,
    }
}
no_request_id!(GetParams, ListParams);
with_request_id!(PutParams, ChangeParams);

methods! {
    "The applications that are installed.";

    /// Stores an application, whether or not it is installed already.
    ///
    /// All that the caller may set is replaced. The blobs it names are kept for as long as it names
    /// them; a hash that is absent, or that the caller can't see, is `conflict`, reason `foreign_key`.
    Put = "applications.put" {
        params: PutParams,
        result: Application,
        access: Access::Write,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [Conflict, DiskFull, IoError],
        examples: [Example {
            name: "an application with a readme",
            params: r#"{"application":{"applicationId":"org.example.garden","name":"Garden","version":"0.3.0","manifest":{"components":[{"id":"org.example.weather","name":"Weather","kind":"backend","version":"2.1.0"}]},"blobs":{"readme":"738e10c42fc3177b07bc6ea9c685e764abb4482c232963394fc91c4b30653745"}}}"#,
            result: r#"{"applicationId":"org.example.garden","name":"Garden","version":"0.3.0","manifest":{"components":[{"id":"org.example.weather","name":"Weather","kind":"backend","version":"2.1.0"}]},"installedAt":1764028800,"launchCount":0,"blobs":{"readme":"738e10c42fc3177b07bc6ea9c685e764abb4482c232963394fc91c4b30653745"},"revision":1849708136857608}"#,
        }],
    }

    /// Reads one application.
    Get = "applications.get" {
        params: GetParams,
        result: Application,
        access: Access::Read,
        visibility: Visibility::Shared,
        idempotent: true,
        errors: [NotFound],
        examples: [Example {
            name: "the outdoors",
            params: r#"{"applicationId":"org.example.outdoors"}"#,
            result: r#"{"applicationId":"org.example.outdoors","name":"Outdoors","version":"1.4.0","description":"Walks, weather and maps","author":"Example Org","manifest":{"keywords":["hiking","maps"],"components":[{"id":"org.example.weather","name":"Weather","kind":"backend","version":"2.1.0"}]},"installedAt":1764028800,"launchCount":0,"blobs":{},"revision":1849708136857609}"#,
        }],
    }

    /// Lists applications.
    ///
    /// Pages are stable under inserts. Ordered by a field that changes (lastLaunched, name), a record
    /// that moves meanwhile may show twice or not at all; ordered by installedAt it may not.
    List = "applications.list" {
        params: ListParams,
        result: ApplicationPage,
        access: Access::Read,
        visibility: Visibility::Shared,
        idempotent: true,
        errors: [],
        examples: [Example {
            name: "what was launched last",
            params: r#"{"orderBy":"lastLaunched","limit":1}"#,
            result: r#"{"items":[{"applicationId":"org.example.outdoors","name":"Outdoors","version":"1.4.0","description":"Walks, weather and maps","author":"Example Org","manifest":{"keywords":["hiking","maps"],"components":[{"id":"org.example.weather","name":"Weather","kind":"backend","version":"2.1.0"}]},"installedAt":1764028800,"launchCount":0,"blobs":{},"revision":1849708136857609}]}"#,
        }],
    }

    /// Counts a launch of an application.
    ///
    /// `lastLaunched` becomes now, `launchCount` rises by one. Not idempotent by nature: with a
    /// `requestId` a repeat counts once.
    RecordLaunch = "applications.recordLaunch" {
        params: ChangeParams,
        result: Application,
        access: Access::Write,
        visibility: Visibility::Owner,
        idempotent: false,
        errors: [NotFound, Conflict, DiskFull, IoError],
        examples: [Example {
            name: "a launch, counted once however often it is told",
            params: r#"{"applicationId":"org.example.outdoors","requestId":"launch-2026-11-25-1"}"#,
            result: r#"{"applicationId":"org.example.outdoors","name":"Outdoors","version":"1.4.0","description":"Walks, weather and maps","author":"Example Org","manifest":{"keywords":["hiking","maps"],"components":[{"id":"org.example.weather","name":"Weather","kind":"backend","version":"2.1.0"}]},"installedAt":1764028800,"lastLaunched":1764028900,"launchCount":1,"blobs":{},"revision":1849708136857610}"#,
        }],
    }

    /// Searches applications: in the name, the description, the author and the keywords.
    ///
    /// A match in the name counts most, then in the keywords (`keywords` of the manifest, a list of
    /// texts), the description, the author. The best come first. `score` is shown to the owner only.
    /// `unavailable` while the index, found to be damaged, is being built anew; a search meanwhile, or
    /// at the first start after an upgrade, may miss records.
    Search = "applications.search" {
        params: SearchParams,
        result: ApplicationHits,
        access: Access::Read,
        visibility: Visibility::Shared,
        idempotent: true,
        errors: [],
        examples: [Example {
            name: "by a keyword",
            params: r#"{"query":"hik","limit":5}"#,
            result: r#"{"items":[{"record":{"applicationId":"org.example.outdoors","name":"Outdoors","version":"1.4.0","description":"Walks, weather and maps","author":"Example Org","manifest":{"keywords":["hiking","maps"],"components":[{"id":"org.example.weather","name":"Weather","kind":"backend","version":"2.1.0"}]},"installedAt":1764028800,"launchCount":0,"blobs":{},"revision":1849708136857609},"snippet":"«hiking», maps","score":1.5}]}"#,
        }],
    }

    /// Deletes an application, with its configuration.
    Delete = "applications.delete" {
        params: ChangeParams,
        result: crate::wire::Deleted,
        access: Access::Write,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [Conflict, DiskFull, IoError],
        examples: [Example {
            name: "uninstall the outdoors",
            params: r#"{"applicationId":"org.example.outdoors"}"#,
            result: r#"{"deleted":true}"#,
        }],
    }
}
