//! The grammar of `kv`.

use clap::{Args, Subcommand};
use osnova_storage_client::ComponentId;
use osnova_storage_client::api::wire::StorageKey;

use super::Window;
use crate::cli::moment;

/// Whose values.
#[derive(Args)]
pub(in crate::cli) struct Whose {
    /// Whose values they are; the owner must say it.
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) component: Option<ComponentId>,
}

#[derive(Subcommand)]
pub(in crate::cli) enum KvCommand {
    /// Print a value.
    Get {
        /// Its key.
        key: StorageKey,
        #[command(flatten)]
        whose: Whose,
    },
    /// Write a value.
    Set {
        /// Its key.
        key: StorageKey,
        /// The value as JSON (a text in quotes: '"dark"'); - reads it from standard input, where no other
        /// program of the machine can see it.
        #[arg(value_name = "JSON")]
        value: String,
        /// How long it is to live: 90s, 15m, 2h, 30d. For ever where left out.
        #[arg(long, value_name = "SPAN", value_parser = moment::parse_span)]
        ttl: Option<i64>,
        /// Only if this is its revision; 0: only if there is none.
        #[arg(long, value_name = "REVISION")]
        if_revision: Option<u64>,
        #[command(flatten)]
        whose: Whose,
    },
    /// List keys.
    Ls {
        /// Only keys that begin with this.
        prefix: Option<StorageKey>,
        /// Their values too.
        #[arg(long)]
        values: bool,
        #[command(flatten)]
        whose: Whose,
        #[command(flatten)]
        window: Window,
    },
    /// Remove a value.
    Rm {
        /// Its key.
        key: StorageKey,
        /// Only if this is its revision.
        #[arg(long, value_name = "REVISION")]
        if_revision: Option<u64>,
        #[command(flatten)]
        whose: Whose,
    },
}
