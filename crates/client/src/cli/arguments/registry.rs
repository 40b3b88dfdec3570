//! The grammar of `registry`.

use clap::{Args, Subcommand};
use osnova_storage_client::ComponentId;
use osnova_storage_client::api::registry::{ComponentStatus, InitialStatus};
use osnova_storage_client::api::wire::{Name, ProcessId};

use super::{Window, words};
use crate::cli::moment;

/// How a process may be as it is registered.
const INITIAL_STATUSES: &[&str] = &["starting", "running"];
/// The greatest process id of the contract.
const MAX_PROCESS: u32 = 2_147_483_647;
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
        /// The component; oneself where left out, which only a component can.
        #[arg(value_name = "COMPONENT-ID")]
        id: Option<ComponentId>,
    },
    /// Register the process of a component.
    Register(RegisterArguments),
    /// Say that a component's process lives.
    Heartbeat {
        /// The component; oneself where left out, which only a component can.
        #[arg(value_name = "COMPONENT-ID")]
        id: Option<ComponentId>,
        /// The process that lives: refused where another one is registered.
        #[arg(long, value_parser = parse_process)]
        pid: Option<ProcessId>,
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
    #[command(allow_missing_positional = true)]
    Status {
        /// The component; oneself where left out, which only a component can.
        #[arg(value_name = "COMPONENT-ID")]
        id: Option<ComponentId>,
        /// How it is.
        #[arg(value_parser = words::<ComponentStatus>(STATUSES, ComponentStatus::from_word))]
        status: ComponentStatus,
        /// Only if this is the entry's revision.
        #[arg(long, value_name = "REVISION")]
        if_revision: Option<u64>,
    },
}

/// A process of a component.
#[derive(Args)]
pub(in crate::cli) struct RegisterArguments {
    /// The version that runs.
    pub(in crate::cli) version: Name,
    /// Where it is reached.
    pub(in crate::cli) address: Name,
    /// Its process.
    #[arg(long, value_parser = parse_process)]
    pub(in crate::cli) pid: ProcessId,
    /// How it is; starting where left out.
    #[arg(long, value_name = "STATUS", value_parser = words::<InitialStatus>(INITIAL_STATUSES, InitialStatus::from_word))]
    pub(in crate::cli) status: Option<InitialStatus>,
    /// Whose process it is; a component's own where left out.
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) component: Option<ComponentId>,
    /// Only if this is the entry's revision; 0: only if there is none.
    #[arg(long, value_name = "REVISION")]
    pub(in crate::cli) if_revision: Option<u64>,
}

fn parse_process(text: &str) -> Result<ProcessId, String> {
    match text.parse() {
        Ok(id @ 1..=MAX_PROCESS) => Ok(ProcessId(id)),
        _ => Err(format!("must be a number from 1 to {MAX_PROCESS}")),
    }
}
