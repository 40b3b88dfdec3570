//! `components`: the frontend and backend components that are installed.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::method::{Access, Example, Visibility, methods, no_request_id, with_request_id};
use crate::search::SearchParams;
use crate::wire::{
    BlobHash, ComponentId, Cursor, JsonText, Limit, Name, RequestId, Revision, Role, Text,
    Timestamp, wire_enum, wire_object,
};

wire_enum! {
    /// Which side of the shell a component runs on.
    pub enum ComponentType {
        /// It draws: it runs in the shell's window.
        Frontend = "frontend",
        /// It serves: it runs as a process.
        Backend = "backend",
    }
}
wire_enum! {
    /// What a list of components is ordered by.
    pub enum ComponentOrder {
        /// When it was installed.
        InstalledAt = "installedAt",
        /// When it was last used, as the store saw it; those never used come last.
        LastUsed = "lastUsed",
        /// Its name.
        Name = "name",
    }
}
wire_enum! {
    /// Which way a list runs.
    pub enum Direction {
        /// From the least to the greatest.
        Ascending = "asc",
        /// From the greatest to the least.
        Descending = "desc",
    }
}

wire_object! {
    /// What a caller says of a component.
    pub struct ComponentInput {
        /// Its id.
        pub component_id: ComponentId,
        /// Its name, for people.
        pub name: Name,
        /// Its version, by convention a semantic one.
        pub version: Name,
        /// Which side it runs on.
        pub r#type: ComponentType,
        /// What it does, for people.
        pub description: Option<Text>,
        /// Who made it.
        pub author: Option<Name>,
        /// Under which licence.
        pub license: Option<Name>,
        /// Its manifest, kept as the text that is given. `dependencies` ({id: semver range} or
        /// [{id, version?}]) and `components` ([{id, version?}]) say what it depends on.
        pub manifest: JsonText,
        /// Where it lies on the Autonomi network.
        pub autonomi_address: Option<Name>,
        /// When it was installed: now where left out, and as it was on update.
        pub installed_at: Option<Timestamp>,
        /// Its contents, by role; each must be a blob that the caller can see.
        pub blobs: Option<BTreeMap<Role, BlobHash>>,
    }
}

/// A stored component.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Component {
    /// Its id.
    pub component_id: ComponentId,
    /// Its name, for people.
    pub name: Name,
    /// Its version, by convention a semantic one.
    pub version: Name,
    /// Which side it runs on.
    pub r#type: ComponentType,
    /// What it does, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<Name>,
    /// Under which licence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<Name>,
    /// Its manifest, as the text that was given.
    pub manifest: JsonText,
    /// Where it lies on the Autonomi network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autonomi_address: Option<Name>,
    /// When it was installed.
    pub installed_at: Timestamp,
    /// When it was last used; absent where it never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used: Option<Timestamp>,
    /// Its contents, by role.
    pub blobs: BTreeMap<Role, BlobHash>,
    /// The revision of its last change.
    pub revision: Revision,
}

/// A page of components.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComponentPage {
    /// The components of this page.
    pub items: Vec<Component>,
    /// Where the next page begins; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<Cursor>,
}

/// One thing that a component needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Dependency {
    /// The component that is needed.
    pub component_id: ComponentId,
    /// The version range that is asked for; absent where any will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requirement: Option<String>,
    /// The version that is installed; absent where none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installed_version: Option<Name>,
    /// Whether it is not installed.
    pub missing: bool,
    /// Whether what is installed is in the range; false too where either can't be read as semver.
    pub satisfied: bool,
    /// The component whose manifest asks for it.
    pub via: ComponentId,
}

/// What a component needs, nearest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DependencyList {
    /// The dependencies; a component that several ask for stands once for each that asks.
    pub items: Vec<Dependency>,
}

/// One component that needs another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Dependent {
    /// The component that asks.
    pub component_id: ComponentId,
    /// Its version.
    pub version: Name,
    /// The version range it asks for; absent where any will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requirement: Option<String>,
    /// Whether what is installed is in the range.
    pub satisfied: bool,
    /// What it asks for: the component in question, or one that needs it.
    pub via: ComponentId,
}

/// What needs a component, nearest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DependentList {
    /// The dependents.
    pub items: Vec<Dependent>,
}

/// A component that a search found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComponentHit {
    /// The component.
    pub record: Component,
    /// A line of its description, keywords, author or name that shows why, about 160 characters of it: what matches stands
    /// between « and »; the same signs of the text itself are shown as ‹ and ›.
    pub snippet: String,
    /// How well it matches, the higher the better, to be compared within one answer; the owner's only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
}

/// The components that a search found, the best first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComponentHits {
    /// What was found.
    pub items: Vec<ComponentHit>,
}

wire_object! {
    /// What `components.put` takes.
    pub struct PutParams {
        /// The component; all that it leaves out is cleared, but for `installedAt`.
        pub component: ComponentInput,
        /// Only if this is the component's revision; 0: only if it is absent.
        pub if_revision: Option<Revision>,
        /// The caller's id of this request, for repeating it.
        pub request_id: Option<RequestId>,
    }
}
wire_object! {
    /// What `components.get` takes.
    pub struct GetParams {
        /// The component to read.
        pub component_id: ComponentId,
    }
}
wire_object! {
    /// What `components.list` takes.
    pub struct ListParams {
        /// Only components of this type.
        pub r#type: Option<ComponentType>,
        /// What to order by; installedAt where left out. Ties are ordered by id.
        pub order_by: Option<ComponentOrder>,
        /// Which way; desc where left out, but asc by name.
        pub direction: Option<Direction>,
        /// At most this many items; 100 where left out.
        pub limit: Option<Limit>,
        /// Where to go on: the `nextCursor` of the page before.
        pub cursor: Option<Cursor>,
    }
}
wire_object! {
    /// What `components.touch` takes.
    pub struct TouchParams {
        /// The component that was used.
        pub component_id: ComponentId,
        /// When; now where left out. `lastUsed` never goes back; the order of use follows the calls.
        pub used_at: Option<Timestamp>,
    }
}
wire_object! {
    /// What `components.dependencies` takes.
    pub struct DependenciesParams {
        /// The component whose needs are asked for.
        pub component_id: ComponentId,
        /// Whether to follow them to the end; false where left out.
        pub transitive: Option<bool>,
    }
}
wire_object! {
    /// What `components.dependents` takes.
    pub struct DependentsParams {
        /// The component that is needed; it need not be installed.
        pub component_id: ComponentId,
        /// Whether to follow them to the end; false where left out.
        pub transitive: Option<bool>,
    }
}
wire_object! {
    /// What `components.delete` takes.
    pub struct DeleteParams {
        /// The component to delete.
        pub component_id: ComponentId,
        /// Only if this is the component's revision; 0: only if it is absent.
        pub if_revision: Option<Revision>,
        /// The caller's id of this request, for repeating it.
        pub request_id: Option<RequestId>,
    }
}
no_request_id!(GetParams, ListParams, TouchParams, DependenciesParams, DependentsParams);
with_request_id!(PutParams, DeleteParams);

methods! {
    "The frontend and backend components that are installed.";

    /// Stores a component, whether or not it is installed already.
    ///
    /// All that the caller may set is replaced. The blobs it names are kept for as long as it names
    /// them; a hash that is absent, or that the caller can't see, is `conflict`, reason `foreign_key`.
    Put = "components.put" {
        params: PutParams,
        result: Component,
        access: Access::Write,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [Conflict, DiskFull, IoError],
        examples: [Example {
            name: "a backend with its program",
            params: r#"{"component":{"componentId":"org.example.clock","name":"Clock","version":"1.0.2","type":"backend","manifest":{"dependencies":{"org.example.weather":"^2.1"}},"blobs":{"binary":"738e10c42fc3177b07bc6ea9c685e764abb4482c232963394fc91c4b30653745"}}}"#,
            result: r#"{"componentId":"org.example.clock","name":"Clock","version":"1.0.2","type":"backend","manifest":{"dependencies":{"org.example.weather":"^2.1"}},"installedAt":1764028800,"blobs":{"binary":"738e10c42fc3177b07bc6ea9c685e764abb4482c232963394fc91c4b30653745"},"revision":1849708136857606}"#,
        }],
    }

    /// Reads one component.
    Get = "components.get" {
        params: GetParams,
        result: Component,
        access: Access::Read,
        visibility: Visibility::Shared,
        idempotent: true,
        errors: [NotFound],
        examples: [Example {
            name: "the weather",
            params: r#"{"componentId":"org.example.weather"}"#,
            result: r#"{"componentId":"org.example.weather","name":"Weather","version":"2.1.0","type":"backend","description":"Forecasts for the desktop","manifest":{"dependencies":{"org.example.http":">=1.0"}},"installedAt":1764028800,"blobs":{},"revision":1849708136857607}"#,
        }],
    }

    /// Lists components, all or those of a type.
    ///
    /// Pages are stable under inserts. Ordered by a field that changes (lastUsed, name), a record that
    /// moves meanwhile may show twice or not at all; ordered by installedAt it may not.
    List = "components.list" {
        params: ListParams,
        result: ComponentPage,
        access: Access::Read,
        visibility: Visibility::Shared,
        idempotent: true,
        errors: [],
        examples: [Example {
            name: "the backends, by name",
            params: r#"{"type":"backend","orderBy":"name","limit":10}"#,
            result: r#"{"items":[{"componentId":"org.example.weather","name":"Weather","version":"2.1.0","type":"backend","description":"Forecasts for the desktop","manifest":{"dependencies":{"org.example.http":">=1.0"}},"installedAt":1764028800,"blobs":{},"revision":1849708136857607}]}"#,
        }],
    }

    /// Notes that a component was used.
    ///
    /// The write is deferred: it may be lost in a crash within the flush interval (200 ms unless
    /// configured), and changes neither the revision nor the feed.
    Touch = "components.touch" {
        params: TouchParams,
        result: crate::wire::Accepted,
        access: Access::Write,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [NotFound],
        examples: [Example {
            name: "just now",
            params: r#"{"componentId":"org.example.weather"}"#,
            result: r#"{"accepted":true}"#,
        }],
    }

    /// Says what a component needs, and whether it is there.
    ///
    /// What is needed stands in the manifest: `dependencies` as {id: semver range} or as
    /// [{id, version?}], and `components` as [{id, version?}]. Transitive, what the needs need follows, nearest first.
    Dependencies = "components.dependencies" {
        params: DependenciesParams,
        result: DependencyList,
        access: Access::Read,
        visibility: Visibility::Shared,
        idempotent: true,
        errors: [NotFound, TooLarge],
        examples: [Example {
            name: "a need that is not installed",
            params: r#"{"componentId":"org.example.weather","transitive":true}"#,
            result: r#"{"items":[{"componentId":"org.example.http","requirement":">=1.0","missing":true,"satisfied":false,"via":"org.example.weather"}]}"#,
        }],
    }

    /// Says which components need one, directly or through others.
    Dependents = "components.dependents" {
        params: DependentsParams,
        result: DependentList,
        access: Access::Read,
        visibility: Visibility::Shared,
        idempotent: true,
        errors: [TooLarge],
        examples: [Example {
            name: "who needs http",
            params: r#"{"componentId":"org.example.http"}"#,
            result: r#"{"items":[{"componentId":"org.example.weather","version":"2.1.0","requirement":">=1.0","satisfied":false,"via":"org.example.http"}]}"#,
        }],
    }

    /// Searches components: in the name, the description, the author and the keywords.
    ///
    /// A match in the name counts most, then in the keywords (`keywords` of the manifest, a list of
    /// texts), the description, the author. The best come first. `score` is shown to the owner only.
    /// `unavailable` while the index, found to be damaged, is being built anew; a search meanwhile, or
    /// at the first start after an upgrade, may miss records.
    Search = "components.search" {
        params: SearchParams,
        result: ComponentHits,
        access: Access::Read,
        visibility: Visibility::Shared,
        idempotent: true,
        errors: [],
        examples: [Example {
            name: "as it is typed",
            params: r#"{"query":"desktop fore"}"#,
            result: r#"{"items":[{"record":{"componentId":"org.example.weather","name":"Weather","version":"2.1.0","type":"backend","description":"Forecasts for the desktop","manifest":{"dependencies":{"org.example.http":">=1.0"}},"installedAt":1764028800,"blobs":{},"revision":1849708136857607},"snippet":"«Forecasts» for the «desktop»","score":1.5}]}"#,
        }],
    }

    /// Deletes a component.
    ///
    /// It is a `conflict`, reason `transition`, while the registry says that it is starting, running or
    /// stopping. Its registry row, storage, config and blob references go with it; its keys,
    /// transactions and index counters stay. What is stored under an id that is not installed goes too.
    Delete = "components.delete" {
        params: DeleteParams,
        result: crate::wire::Deleted,
        access: Access::Write,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [Conflict, DiskFull, IoError],
        examples: [Example {
            name: "uninstall the weather",
            params: r#"{"componentId":"org.example.weather"}"#,
            result: r#"{"deleted":true}"#,
        }],
    }
}
