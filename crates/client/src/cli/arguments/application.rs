//! The grammar of `app`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use osnova_storage_client::api::applications::ApplicationOrder;
use osnova_storage_client::api::wire::{ApplicationId, ConfigKey};

use super::{PageArguments, Window, words};

const ORDERS: &[&str] = &["installedAt", "lastLaunched", "name"];

#[derive(Subcommand)]
pub(in crate::cli) enum ApplicationCommand {
    /// List the applications that are installed.
    Ls(ApplicationList),
    /// Show an application with its manifest.
    Show {
        /// Its id.
        id: ApplicationId,
    },
    /// Store an application, new or again.
    Put {
        /// A file with the application as JSON: applicationId, name, version, manifest, and what else
        /// is to be said of it; - for standard input.
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Only if this is its revision; 0: only if it is not there.
        #[arg(long, value_name = "REVISION")]
        if_revision: Option<u64>,
    },
    /// Count a launch of an application.
    Launch {
        /// Its id.
        id: ApplicationId,
    },
    /// Remove an application with its settings.
    Rm {
        /// Its id.
        id: ApplicationId,
        /// Only if this is its revision.
        #[arg(long, value_name = "REVISION")]
        if_revision: Option<u64>,
    },
    /// Settings of applications: list, read, write, remove.
    #[command(subcommand)]
    Config(ConfigCommand),
}

/// Which applications, as `app ls` and `ls applications` take it.
#[derive(Args)]
pub(in crate::cli) struct ApplicationList {
    /// What to order by.
    #[arg(long, value_name = "FIELD", value_parser = words::<ApplicationOrder>(ORDERS, ApplicationOrder::from_word))]
    pub(in crate::cli) order: Option<ApplicationOrder>,
    #[command(flatten)]
    pub(in crate::cli) page: PageArguments,
}

#[derive(Subcommand)]
pub(in crate::cli) enum ConfigCommand {
    /// List the settings of an application, by key.
    Ls {
        /// Whose settings.
        #[arg(value_name = "APPLICATION-ID")]
        id: ApplicationId,
        /// Only keys that begin with this.
        #[arg(long)]
        prefix: Option<ConfigKey>,
        #[command(flatten)]
        window: Window,
    },
    /// Print a setting's value.
    Get {
        /// Whose setting.
        #[arg(value_name = "APPLICATION-ID")]
        id: ApplicationId,
        /// Its key.
        key: ConfigKey,
    },
    /// Write a setting.
    Set {
        /// Whose setting; the application must be installed.
        #[arg(value_name = "APPLICATION-ID")]
        id: ApplicationId,
        /// Its key.
        key: ConfigKey,
        /// Its value as JSON (a text in quotes: '"dark"'); - reads it from standard input.
        #[arg(value_name = "JSON")]
        value: String,
        /// Only if this is its revision; 0: only if it is not set.
        #[arg(long, value_name = "REVISION")]
        if_revision: Option<u64>,
    },
    /// Remove a setting.
    Rm {
        /// Whose setting.
        #[arg(value_name = "APPLICATION-ID")]
        id: ApplicationId,
        /// Its key.
        key: ConfigKey,
        /// Only if this is its revision.
        #[arg(long, value_name = "REVISION")]
        if_revision: Option<u64>,
    },
}
