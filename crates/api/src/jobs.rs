//! `jobs`: long work that goes on after its call was answered, how far it is and how it ended.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::method::{Access, Example, Visibility, methods, no_request_id};
use crate::wire::{
    ComponentId, Cursor, JobId, JsonText, Limit, Name, Timestamp, UnsignedInteger, wire_enum,
    wire_object,
};

wire_enum! {
    /// How a job stands.
    pub enum JobState {
        /// It is at work.
        Running = "running",
        /// It has done what it was to do; `result` says what came of it.
        Done = "done",
        /// It could not; `error` says why.
        Failed = "failed",
        /// Somebody cancelled it; what it had done until then stands.
        Cancelled = "cancelled",
    }
}

/// Why a job failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobError {
    /// The name of the error, as in `error.data.code` of a call.
    pub code: String,
    /// A sentence for a person.
    pub message: String,
}

/// A job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// Its id: its kind and a number.
    pub job_id: JobId,
    /// What it does, in a word, such as `vacuum`.
    pub kind: Name,
    /// Whose it is; absent where it is the owner's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component_id: Option<ComponentId>,
    /// How it stands.
    pub state: JobState,
    /// How many units are done.
    pub done: UnsignedInteger,
    /// How many there are to do; absent where nobody can say, or not yet. It may change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<UnsignedInteger>,
    /// What is counted: `pages`, `tables`, ...
    pub unit: String,
    /// What came of it, where it is done. Each kind has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<JsonText>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<JobError>,
    /// When it was started.
    pub created_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
}

/// A page of jobs, the newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobPage {
    /// The jobs of this page.
    pub items: Vec<Job>,
    /// Where the next page begins; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<Cursor>,
}

wire_object! {
    /// What `jobs.get` and `jobs.cancel` take.
    pub struct JobParams {
        /// The job.
        pub job_id: JobId,
    }
}
wire_object! {
    /// What `jobs.list` takes.
    pub struct ListParams {
        /// Only those that stand so.
        pub state: Option<JobState>,
        /// Only those of this kind.
        pub kind: Option<Name>,
        /// At most this many items; 100 where left out.
        pub limit: Option<Limit>,
        /// Where to go on: the `nextCursor` of the page before.
        pub cursor: Option<Cursor>,
    }
}
no_request_id!(JobParams, ListParams);

methods! {
    "Long work: how far it is, how it ended, and an end to it.";

    /// Reads one job.
    ///
    /// While it runs, `done` and `total` are those of the moment. The change feed tells of each change
    /// under the namespace `jobs`, of progress a few times a second at most.
    Get = "jobs.get" {
        params: JobParams,
        result: Job,
        access: Access::Read,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [NotFound],
        examples: [Example {
            name: "a check that is done",
            params: r#"{"jobId":"integrityCheck-1"}"#,
            result: r#"{"jobId":"integrityCheck-1","kind":"integrityCheck","state":"done","done":1200,"unit":"steps","result":{"ok":true,"mode":"quick","problems":[]},"createdAt":1764028800,"finishedAt":1764028801}"#,
        }],
    }

    /// Lists jobs, the newest first: those that run, and the latest thousand that have ended.
    List = "jobs.list" {
        params: ListParams,
        result: JobPage,
        access: Access::Read,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [],
        examples: [Example {
            name: "what has been done",
            params: r#"{"state":"done","limit":10}"#,
            result: r#"{"items":[{"jobId":"integrityCheck-1","kind":"integrityCheck","state":"done","done":1200,"unit":"steps","result":{"ok":true,"mode":"quick","problems":[]},"createdAt":1764028800,"finishedAt":1764028801}]}"#,
        }],
    }

    /// Has a job end before its time.
    ///
    /// The answer shows the job as it is: it may still run for a moment, until it comes to a place where
    /// it can stop. What it has done until then stands. One that has ended stays as it is.
    Cancel = "jobs.cancel" {
        params: JobParams,
        result: Job,
        access: Access::Write,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [NotFound],
        examples: [Example {
            name: "too late: it is done",
            params: r#"{"jobId":"integrityCheck-1"}"#,
            result: r#"{"jobId":"integrityCheck-1","kind":"integrityCheck","state":"done","done":1200,"unit":"steps","result":{"ok":true,"mode":"quick","problems":[]},"createdAt":1764028800,"finishedAt":1764028801}"#,
        }],
    }
}
