//! `componentData`: a folder for each version of a component, with its configuration and its files.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::method::{Access, Example, Visibility, methods, no_request_id};
use crate::wire::{
    ComponentId, Cursor, DataVersion, JsonText, Limit, Timestamp, UnsignedInteger, wire_object,
};

/// Where a version's data is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PreparedData {
    /// Whose it is.
    pub component_id: ComponentId,
    /// The version, major and minor.
    pub version: DataVersion,
    /// The folder of the version.
    pub path: String,
    /// The file of its configuration.
    pub config_path: String,
    /// The folder of its files.
    pub data_path: String,
    /// Whether anything of it had to be made.
    pub created: bool,
}

/// The configuration of a version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DataConfig {
    /// Whose it is.
    pub component_id: ComponentId,
    /// The version, major and minor.
    pub version: DataVersion,
    /// The configuration, as its text.
    pub config: JsonText,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A version that has data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DataVersionInfo {
    /// The version, major and minor.
    pub version: DataVersion,
    /// The folder of the version.
    pub path: String,
    /// When its configuration, or a name in its folder of files, was last changed.
    pub updated_at: Timestamp,
}

/// A page of versions, from the lowest to the highest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DataVersionPage {
    /// The versions of this page.
    pub items: Vec<DataVersionInfo>,
    /// Where the next page begins; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<Cursor>,
}

/// What a tree holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DataUsage {
    /// The bytes of its regular files. A file with several names counts for each.
    pub bytes: UnsignedInteger,
    /// How many regular files there are.
    pub files: UnsignedInteger,
    /// How much was passed over: links, FIFOs, sockets, devices, mounts, what can't be read.
    pub skipped: UnsignedInteger,
}

/// What was copied, and where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MigratedData {
    /// Whose it is.
    pub component_id: ComponentId,
    /// The version that was copied to.
    pub version: DataVersion,
    /// The folder of the version.
    pub path: String,
    /// The file of its configuration.
    pub config_path: String,
    /// The folder of its files.
    pub data_path: String,
    /// The bytes that were copied.
    pub bytes: UnsignedInteger,
    /// How many regular files were copied.
    pub files: UnsignedInteger,
    /// How much was not copied: links, FIFOs, sockets, devices, mounts.
    pub skipped: UnsignedInteger,
}

wire_object! {
    /// What takes a version of a component's data.
    pub struct VersionParams {
        /// The version: only major and minor count.
        pub version: DataVersion,
        /// Whose data; required of the owner.
        pub component_id: Option<ComponentId>,
    }
}
wire_object! {
    /// What `componentData.setConfig` takes.
    pub struct SetConfigParams {
        /// The version: only major and minor count.
        pub version: DataVersion,
        /// The configuration.
        pub config: JsonText,
        /// Whose data; required of the owner.
        pub component_id: Option<ComponentId>,
    }
}
wire_object! {
    /// What `componentData.list` takes.
    pub struct ListParams {
        /// At most this many items; 100 where left out.
        pub limit: Option<Limit>,
        /// Where to go on: the `nextCursor` of the page before.
        pub cursor: Option<Cursor>,
        /// Whose data; required of the owner.
        pub component_id: Option<ComponentId>,
    }
}
wire_object! {
    /// What `componentData.usage` takes.
    pub struct UsageParams {
        /// Of this version only.
        pub version: Option<DataVersion>,
        /// Whose data; required of the owner.
        pub component_id: Option<ComponentId>,
    }
}
wire_object! {
    /// What `componentData.migrate` takes.
    pub struct MigrateParams {
        /// The version to copy from.
        pub from_version: DataVersion,
        /// The version to copy to.
        pub to_version: DataVersion,
        /// Whose data; required of the owner.
        pub component_id: Option<ComponentId>,
    }
}
no_request_id!(VersionParams, SetConfigParams, ListParams, UsageParams, MigrateParams);

methods! {
    "A folder for each version of a component, with its configuration and its files.";

    /// Makes the folder of a version, where it is missing, and says where it is.
    ///
    /// It holds `config.json`, at first `{}`, and the folder `data/` for whatever the component keeps.
    /// What is there already is left as it is. Patches share a folder: of `1.2.3` only `1.2` counts.
    Prepare = "componentData.prepare" {
        params: VersionParams,
        result: PreparedData,
        access: Access::Write,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [NotFound, Conflict, QuotaExceeded, DiskFull, IoError],
        examples: [Example {
            name: "before a component starts",
            params: r#"{"version":"1.3.0","componentId":"org.example.weather"}"#,
            result: r#"{"componentId":"org.example.weather","version":"1.3","path":"/data/components/org.example.weather/v1.3","configPath":"/data/components/org.example.weather/v1.3/config.json","dataPath":"/data/components/org.example.weather/v1.3/data","created":true}"#,
        }],
    }

    /// Reads the configuration of a version.
    ///
    /// Answers `integrity_error` where the component has written something that is not JSON within the
    /// limits.
    GetConfig = "componentData.getConfig" {
        params: VersionParams,
        result: DataConfig,
        access: Access::Read,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [NotFound, IntegrityError, IoError],
        examples: [Example {
            name: "the settings of a component",
            params: r#"{"version":"1.2","componentId":"org.example.weather"}"#,
            result: r#"{"componentId":"org.example.weather","version":"1.2","config":{"place":"Berlin"},"updatedAt":1764028800}"#,
        }],
    }

    /// Replaces the configuration of a version as a whole.
    ///
    /// Answers `not_found` where the version was never prepared.
    SetConfig = "componentData.setConfig" {
        params: SetConfigParams,
        result: DataConfig,
        access: Access::Write,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [NotFound, Conflict, DiskFull, IoError],
        examples: [Example {
            name: "another place",
            params: r#"{"version":"1.2","config":{"place":"Oslo"},"componentId":"org.example.weather"}"#,
            result: r#"{"componentId":"org.example.weather","version":"1.2","config":{"place":"Oslo"},"updatedAt":1764028800}"#,
        }],
    }

    /// Lists the versions that have data, from the lowest to the highest.
    List = "componentData.list" {
        params: ListParams,
        result: DataVersionPage,
        access: Access::Read,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [NotFound, IoError],
        examples: [Example {
            name: "all versions of a component",
            params: r#"{"componentId":"org.example.weather"}"#,
            result: r#"{"items":[{"version":"1.2","path":"/data/components/org.example.weather/v1.2","updatedAt":1764028800}]}"#,
        }],
    }

    /// Counts the files of a component, or of one version of it, and their bytes.
    ///
    /// Only regular files count, and no link is followed. Answers `unavailable` while the component's
    /// files are being counted, copied or removed already, and `too_large` past the bounds of a walk: a
    /// million entries, 64 folders deep.
    Usage = "componentData.usage" {
        params: UsageParams,
        result: DataUsage,
        access: Access::Read,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [NotFound, TooLarge, IoError],
        examples: [Example {
            name: "of all versions",
            params: r#"{"componentId":"org.example.weather"}"#,
            result: r#"{"bytes":18,"files":1,"skipped":0}"#,
        }],
    }

    /// Copies the configuration and the files of a version to another one.
    ///
    /// The old version is left as it is. The new one appears complete or not at all, whatever happens
    /// meanwhile. It must not be there, or be as `prepare` has made it; where it holds anything already
    /// the answer is `conflict`, reason `exists`. Links, FIFOs and the like are not copied. Answers
    /// `too_large` past a million entries, 64 folders deep, or 16 GiB, and `disk_full` where it would leave
    /// less of the disk free than puts of contents do.
    Migrate = "componentData.migrate" {
        params: MigrateParams,
        result: MigratedData,
        access: Access::Write,
        visibility: Visibility::Own,
        idempotent: false,
        errors: [NotFound, Conflict, TooLarge, QuotaExceeded, DiskFull, IoError],
        examples: [Example {
            name: "an update",
            params: r#"{"fromVersion":"1.2","toVersion":"2.0","componentId":"org.example.weather"}"#,
            result: r#"{"componentId":"org.example.weather","version":"2.0","path":"/data/components/org.example.weather/v2.0","configPath":"/data/components/org.example.weather/v2.0/config.json","dataPath":"/data/components/org.example.weather/v2.0/data","bytes":18,"files":1,"skipped":0}"#,
        }],
    }

    /// Removes a version with all that it holds.
    Remove = "componentData.remove" {
        params: VersionParams,
        result: crate::wire::Deleted,
        access: Access::Write,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [NotFound, DiskFull, IoError],
        examples: [Example {
            name: "after an update",
            params: r#"{"version":"1.2","componentId":"org.example.weather"}"#,
            result: r#"{"deleted":true}"#,
        }],
    }
}
