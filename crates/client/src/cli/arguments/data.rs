//! The grammar of `data`.

use clap::Subcommand;
use osnova_storage_client::ComponentId;
use osnova_storage_client::api::wire::DataVersion;

use super::Window;

#[derive(Subcommand)]
pub(in crate::cli) enum DataCommand {
    /// Make the folder of a version where it is missing, and print its path.
    Prepare {
        /// The version: only major and minor count.
        version: DataVersion,
        /// Whose; a component's own where left out.
        #[arg(long, value_name = "ID")]
        component: Option<ComponentId>,
    },
    /// List the versions that have data.
    Ls {
        /// Whose; a component's own where left out.
        #[arg(long, value_name = "ID")]
        component: Option<ComponentId>,
        #[command(flatten)]
        window: Window,
    },
    /// Count the files of a version, or of all.
    Usage {
        /// The version.
        version: Option<DataVersion>,
        /// Whose; a component's own where left out.
        #[arg(long, value_name = "ID")]
        component: Option<ComponentId>,
    },
    /// Show the configuration of a version, or replace it.
    Config {
        /// The version.
        version: DataVersion,
        /// What to replace it by; - reads it from standard input.
        #[arg(value_name = "JSON")]
        config: Option<String>,
        /// Whose; a component's own where left out.
        #[arg(long, value_name = "ID")]
        component: Option<ComponentId>,
    },
    /// Copy the configuration and the files of a version to another one; the old one stays.
    Migrate {
        /// The version to copy from.
        from: DataVersion,
        /// The version to copy to.
        to: DataVersion,
        /// Whose; a component's own where left out.
        #[arg(long, value_name = "ID")]
        component: Option<ComponentId>,
    },
    /// Remove a version with all its files.
    Rm {
        /// The version.
        version: DataVersion,
        /// Whose; a component's own where left out.
        #[arg(long, value_name = "ID")]
        component: Option<ComponentId>,
    },
}
