//! The grammar of `registry`.

use clap::Subcommand;
use osnova_storage_client::ComponentId;
use osnova_storage_client::api::registry::ComponentStatus;

use super::{Window, words};
use crate::cli::moment;

const STATUSES: &[&str] = &["starting", "running", "stopping", "stopped", "crashed"];

#[derive(Subcommand)]
pub(in crate::cli) enum RegistryCommand {
    /// List the components that are registered as processes.
    Ls {
        /// Only those of this status.
        #[arg(long, value_name = "STATUS", value_parser = words::<ComponentStatus>(STATUSES, ComponentStatus::from_word))]
        status: Option<ComponentStatus>,
        #[command(flatten)]
        window: Window,
    },
    /// Show how a component runs.
    Show {
        /// The component.
        #[arg(value_name = "COMPONENT-ID")]
        id: ComponentId,
    },
    /// Mark those whose process has ended as crashed, or as stopped where they were stopping.
    Reap {
        /// Also those that gave no sign of life for so long: 90s, 15m, 2h, 30d.
        #[arg(long, value_name = "SPAN", value_parser = moment::parse_span)]
        stale: Option<i64>,
    },
    /// Remove a component from the registry; its process is left alone.
    Rm {
        /// The component.
        #[arg(value_name = "COMPONENT-ID")]
        id: ComponentId,
        /// Only if this is the entry's revision.
        #[arg(long, value_name = "REVISION")]
        if_revision: Option<u64>,
    },
    /// Say how a component is from now on.
    Status {
        /// The component.
        #[arg(value_name = "COMPONENT-ID")]
        id: ComponentId,
        /// How it is.
        #[arg(value_parser = words::<ComponentStatus>(STATUSES, ComponentStatus::from_word))]
        status: ComponentStatus,
        /// Only if this is the entry's revision.
        #[arg(long, value_name = "REVISION")]
        if_revision: Option<u64>,
    },
}
