//! `registry`: which components run, as which processes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::method::{Access, Example, Visibility, methods, no_request_id, with_request_id};
use crate::wire::{
    Accepted, ComponentId, Cursor, Limit, Name, ProcessId, RequestId, Revision, Timestamp,
    UnsignedInteger, wire_enum, wire_object,
};

wire_enum! {
    /// How a component is.
    pub enum ComponentStatus {
        /// Its process was started and is not ready yet.
        Starting = "starting",
        /// It serves.
        Running = "running",
        /// It was told to stop.
        Stopping = "stopping",
        /// It has stopped.
        Stopped = "stopped",
        /// It ended without having been told to.
        Crashed = "crashed",
    }
}
wire_enum! {
    /// With which status a process may be registered.
    pub enum InitialStatus {
        /// It is not ready yet.
        Starting = "starting",
        /// It serves.
        Running = "running",
    }
}

/// A row of the registry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegistryEntry {
    /// The component.
    pub component_id: ComponentId,
    /// The version that runs.
    pub version: Name,
    /// Its process.
    pub pid: ProcessId,
    /// Where it is reached.
    pub endpoint: Name,
    /// How it is.
    pub status: ComponentStatus,
    /// When this process was registered.
    pub started_at: Timestamp,
    /// When it last gave a sign of life; absent where it never did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_heartbeat: Option<Timestamp>,
    /// How often another process took its place.
    pub restart_count: UnsignedInteger,
    /// The revision of its last change; heartbeats do not change it.
    pub revision: Revision,
}

/// A page of the registry, by component.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegistryPage {
    /// The rows of this page.
    pub items: Vec<RegistryEntry>,
    /// Where the next page begins; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<Cursor>,
}

/// What `registry.reap` changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reaped {
    /// The rows as they are now: each is crashed, or stopped where it was stopping.
    pub items: Vec<RegistryEntry>,
}

wire_object! {
    /// What `registry.register` takes.
    pub struct RegisterParams {
        /// The version that runs.
        pub version: Name,
        /// Its process.
        pub pid: ProcessId,
        /// Where it is reached.
        pub endpoint: Name,
        /// How it is; starting where left out.
        pub status: Option<InitialStatus>,
        /// The component; a component's own where left out.
        pub component_id: Option<ComponentId>,
        /// Only if this is the row's revision; 0: only if there is none.
        pub if_revision: Option<Revision>,
        /// The caller's id of this request, for repeating it.
        pub request_id: Option<RequestId>,
    }
}
wire_object! {
    /// What `registry.heartbeat` takes.
    pub struct HeartbeatParams {
        /// The component; a component's own where left out.
        pub component_id: Option<ComponentId>,
        /// The process that lives: the call is refused where another one is registered.
        pub pid: Option<ProcessId>,
    }
}
wire_object! {
    /// What `registry.setStatus` takes.
    pub struct SetStatusParams {
        /// How it is from now on.
        pub status: ComponentStatus,
        /// The component; a component's own where left out.
        pub component_id: Option<ComponentId>,
        /// Only if this is the row's revision.
        pub if_revision: Option<Revision>,
        /// The caller's id of this request, for repeating it.
        pub request_id: Option<RequestId>,
    }
}
wire_object! {
    /// What `registry.get` takes.
    pub struct GetParams {
        /// The component; a component's own where left out.
        pub component_id: Option<ComponentId>,
    }
}
wire_object! {
    /// What `registry.list` takes.
    pub struct ListParams {
        /// Only components of this status.
        pub status: Option<ComponentStatus>,
        /// At most this many items; 100 where left out.
        pub limit: Option<Limit>,
        /// Where to go on: the `nextCursor` of the page before.
        pub cursor: Option<Cursor>,
    }
}
wire_object! {
    /// What `registry.reap` takes.
    pub struct ReapParams {
        /// Also those that gave no sign of life for so long, in seconds of running time (a suspended
        /// machine does not count).
        pub stale_after_seconds: Option<UnsignedInteger>,
    }
}
wire_object! {
    /// What `registry.remove` takes.
    pub struct RemoveParams {
        /// The component; a component's own where left out.
        pub component_id: Option<ComponentId>,
        /// Only if this is the row's revision; 0: only if there is none.
        pub if_revision: Option<Revision>,
        /// The caller's id of this request, for repeating it.
        pub request_id: Option<RequestId>,
    }
}
no_request_id!(HeartbeatParams, GetParams, ListParams, ReapParams);
with_request_id!(RegisterParams, SetStatusParams, RemoveParams);

methods! {
    "Which components run, as which processes.";

    /// Registers the process of a component that is installed.
    ///
    /// Registering the same live process again takes over its version and endpoint, and `running` where it
    /// was starting; all else of its row stays. While another process is registered that has not stopped,
    /// crashed or died, it is `conflict`, reason `transition`; else the new one takes its place and
    /// `restartCount` rises. A pid that the daemon does not find, as of a sandbox with pids of its own, is
    /// taken all the same: such a process is judged by its heartbeats alone, and the next one takes its
    /// place. A sandbox's pid that is another process's outside of it can't be told apart: register such
    /// a component by the pid that the host knows.
    Register = "registry.register" {
        params: RegisterParams,
        result: RegistryEntry,
        access: Access::Write,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [NotFound, Conflict, DiskFull, IoError],
        examples: [Example {
            name: "the sky starts",
            params: r#"{"version":"0.9.0","pid":4711,"endpoint":"unix:/run/user/1000/sky.sock","componentId":"org.example.sky"}"#,
            result: r#"{"componentId":"org.example.sky","version":"0.9.0","pid":4711,"endpoint":"unix:/run/user/1000/sky.sock","status":"starting","startedAt":1764028800,"restartCount":0,"revision":1849708136857613}"#,
        }],
    }

    /// Notes that a component lives.
    ///
    /// The write is deferred: it may be lost in a crash within the flush interval (200 ms unless
    /// configured), and changes neither the revision nor the feed.
    Heartbeat = "registry.heartbeat" {
        params: HeartbeatParams,
        result: Accepted,
        access: Access::Write,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [NotFound, Conflict],
        examples: [Example {
            name: "still there",
            params: r#"{"componentId":"org.example.sky"}"#,
            result: r#"{"accepted":true}"#,
        }],
    }

    /// Changes how a component is.
    ///
    /// starting becomes running, stopped or crashed; running becomes stopping or crashed; stopping
    /// becomes stopped or crashed; stopped and crashed become starting, which counts as a sign of life. Any
    /// other change is `conflict`, reason `transition`; the status it has already is answered unchanged.
    SetStatus = "registry.setStatus" {
        params: SetStatusParams,
        result: RegistryEntry,
        access: Access::Write,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [NotFound, Conflict, DiskFull, IoError],
        examples: [Example {
            name: "it serves",
            params: r#"{"status":"running","componentId":"org.example.sky"}"#,
            result: r#"{"componentId":"org.example.sky","version":"0.9.0","pid":4711,"endpoint":"unix:/run/user/1000/sky.sock","status":"running","startedAt":1764028800,"restartCount":0,"revision":1849708136857614}"#,
        }],
    }

    /// Reads the row of a component.
    Get = "registry.get" {
        params: GetParams,
        result: RegistryEntry,
        access: Access::Read,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [NotFound],
        examples: [Example {
            name: "the sky",
            params: r#"{"componentId":"org.example.sky"}"#,
            result: r#"{"componentId":"org.example.sky","version":"0.9.0","pid":4711,"endpoint":"unix:/run/user/1000/sky.sock","status":"starting","startedAt":1764028800,"restartCount":0,"revision":1849708136857613}"#,
        }],
    }

    /// Lists the registry by component: all rows for the owner, its own for a component.
    List = "registry.list" {
        params: ListParams,
        result: RegistryPage,
        access: Access::Read,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [],
        examples: [Example {
            name: "what starts",
            params: r#"{"status":"starting"}"#,
            result: r#"{"items":[{"componentId":"org.example.sky","version":"0.9.0","pid":4711,"endpoint":"unix:/run/user/1000/sky.sock","status":"starting","startedAt":1764028800,"restartCount":0,"revision":1849708136857613}]}"#,
        }],
    }

    /// Marks as ended what is not there any more.
    ///
    /// A component whose process is gone, or whose pid was given to another process meanwhile, becomes
    /// crashed; one that was stopping becomes stopped. With `staleAfterSeconds` so does one that gave
    /// no sign of life for so long; one whose pid was not found when it was registered ends only so.
    Reap = "registry.reap" {
        params: ReapParams,
        result: Reaped,
        access: Access::Write,
        visibility: Visibility::Owner,
        idempotent: true,
        errors: [DiskFull, IoError],
        examples: [Example {
            name: "those that died, or were silent for a minute",
            params: r#"{"staleAfterSeconds":60}"#,
            result: r#"{"items":[{"componentId":"org.example.sky","version":"0.9.0","pid":4711,"endpoint":"unix:/run/user/1000/sky.sock","status":"crashed","startedAt":1764028800,"restartCount":0,"revision":1849708136857615}]}"#,
        }],
    }

    /// Removes the row of a component. The process itself is not touched.
    Remove = "registry.remove" {
        params: RemoveParams,
        result: crate::wire::Deleted,
        access: Access::Write,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [NotFound, Conflict, DiskFull, IoError],
        examples: [Example {
            name: "forget the process of the sky",
            params: r#"{"componentId":"org.example.sky"}"#,
            result: r#"{"deleted":true}"#,
        }],
    }
}
