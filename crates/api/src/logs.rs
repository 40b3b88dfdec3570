//! `logs`: what components have to say, in files that are rotated and searched.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::components::Direction;
use crate::method::{Access, Example, Visibility, methods, no_request_id};
use crate::wire::{
    Accepted, ComponentId, Cursor, JsonText, Limit, Text, TimestampMs, UnsignedInteger, wire_enum,
    wire_object,
};

/// The longest line of a log, in bytes: an entry as JSON.
pub const MAX_LINE_BYTES: usize = 256 << 10;

wire_enum! {
    /// How grave an entry is.
    pub enum LogLevel {
        /// The smallest steps.
        Trace = "trace",
        /// What helps to find a fault.
        Debug = "debug",
        /// What happened.
        Info = "info",
        /// What may become a fault.
        Warn = "warn",
        /// What went wrong.
        Error = "error",
    }
}

wire_object! {
    /// An entry to append.
    pub struct LogInput {
        /// How grave it is.
        pub level: LogLevel,
        /// What happened, in words.
        pub message: Text,
        /// When it happened; the time of the call where left out.
        pub timestamp_ms: Option<TimestampMs>,
        /// Anything else about it.
        pub fields: Option<JsonText>,
    }
}

/// An entry of a log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogEntry {
    /// When it happened.
    pub timestamp_ms: TimestampMs,
    /// How grave it is.
    pub level: LogLevel,
    /// What happened, in words.
    pub message: Text,
    /// Anything else about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<JsonText>,
}

/// The end of a log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LogTail {
    /// The last entries, the newest last.
    pub items: Vec<LogEntry>,
    /// Where the log ends: a cursor of `logs.query` without filter in direction `asc`, for what comes.
    pub position: Cursor,
}

/// What was found in a log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogPage {
    /// What was found, in the direction that was asked for; may be empty though there is more.
    pub items: Vec<LogEntry>,
    /// Where to go on; absent where all of the log was searched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<Cursor>,
    /// In direction `asc`: how far the log was searched. As a cursor it goes on there, with what was
    /// appended since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Cursor>,
}

/// That a log was rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogRotated {
    /// False where there was nothing to rotate.
    pub rotated: bool,
    /// How many rotated files there are.
    pub files: UnsignedInteger,
}

wire_object! {
    /// What `logs.append` takes.
    pub struct AppendParams {
        /// The entries, in their order.
        pub entries: Vec<LogInput>,
        /// Whose log; required of the owner.
        pub component_id: Option<ComponentId>,
    }
}
wire_object! {
    /// What `logs.tail` takes.
    pub struct TailParams {
        /// How many entries; 100 where left out.
        pub lines: Option<Limit>,
        /// Whose log; required of the owner.
        pub component_id: Option<ComponentId>,
    }
}
wire_object! {
    /// What `logs.query` takes.
    pub struct QueryParams {
        /// Only entries at least so grave.
        pub level: Option<LogLevel>,
        /// Only entries of this time or later.
        pub from_ms: Option<TimestampMs>,
        /// Only entries from before this time.
        pub to_ms: Option<TimestampMs>,
        /// Only entries with this in their message or their fields, in upper or lower case.
        pub text: Option<Text>,
        /// At most this many items; 100 where left out.
        pub limit: Option<Limit>,
        /// Where to go on: the `nextCursor` of the page before, or a `position`.
        pub cursor: Option<Cursor>,
        /// From the first entry appended to the last (`asc`), or from the last to the first (`desc`, where
        /// left out).
        pub direction: Option<Direction>,
        /// Whose log; required of the owner.
        pub component_id: Option<ComponentId>,
    }
}
wire_object! {
    /// What `logs.rotate` takes.
    pub struct RotateParams {
        /// Whose log; required of the owner.
        pub component_id: Option<ComponentId>,
    }
}
no_request_id!(AppendParams, TailParams, QueryParams, RotateParams);

methods! {
    "What components have to say, in files that are rotated and searched.";

    /// Appends entries to a log (deferred).
    ///
    /// They are written a moment later, and before anything is read of the log. A crash may lose those of
    /// the last moment, a clean stop none. An entry is at most 256 KiB as JSON. Answers `unavailable` where
    /// too much waits to be written.
    Append = "logs.append" {
        params: AppendParams,
        result: Accepted,
        access: Access::Write,
        visibility: Visibility::Own,
        idempotent: false,
        errors: [NotFound],
        examples: [Example {
            name: "a warning",
            params: r#"{"entries":[{"level":"warn","message":"no answer from the station","fields":{"station":"Berlin-Tegel","tries":3}}],"componentId":"org.example.weather"}"#,
            result: r#"{"accepted":true}"#,
        }],
    }

    /// Reads the last entries of a log.
    Tail = "logs.tail" {
        params: TailParams,
        result: LogTail,
        access: Access::Read,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [NotFound, IoError],
        examples: [Example {
            name: "the last ten",
            params: r#"{"lines":10,"componentId":"org.example.weather"}"#,
            result: r#"{"items":[{"timestampMs":1764028800000,"level":"info","message":"started","fields":{"version":"1.2.0"}}],"position":"eyJ2IjoxLCJmIjoiSkYzMk95dWFIMVlVIiwiayI6WzEsOThdfQ"}"#,
        }],
    }

    /// Searches a log, its rotated files too.
    ///
    /// The order is that in which entries were appended, whatever times they carry. A call searches at most
    /// 32 MiB of log: then `nextCursor` goes on, even where a page holds nothing.
    Query = "logs.query" {
        params: QueryParams,
        result: LogPage,
        access: Access::Read,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [NotFound, IoError],
        examples: [
            Example {
                name: "what became of a start",
                params: r#"{"level":"info","text":"START","componentId":"org.example.weather"}"#,
                result: r#"{"items":[{"timestampMs":1764028800000,"level":"info","message":"started","fields":{"version":"1.2.0"}}]}"#,
            },
            Example {
                name: "the first entries, and where to go on later",
                params: r#"{"limit":10,"direction":"asc","componentId":"org.example.weather"}"#,
                result: r#"{"items":[{"timestampMs":1764028800000,"level":"info","message":"started","fields":{"version":"1.2.0"}}],"position":"eyJ2IjoxLCJmIjoiSkYzMk95dWFIMVlVIiwiayI6WzEsOThdfQ"}"#,
            },
        ],
    }

    /// Closes the present file of a log, compresses it, and begins another.
    ///
    /// The daemon does so by itself where a file has grown large or old; then the oldest files go.
    Rotate = "logs.rotate" {
        params: RotateParams,
        result: LogRotated,
        access: Access::Write,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [NotFound, DiskFull, IoError],
        examples: [Example {
            name: "begin anew",
            params: r#"{"componentId":"org.example.weather"}"#,
            result: r#"{"rotated":true,"files":1}"#,
        }],
    }
}
