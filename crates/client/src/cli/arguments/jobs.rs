//! The grammar of `jobs`.

use clap::Subcommand;
use osnova_storage_client::api::jobs::JobState;
use osnova_storage_client::api::wire::{JobId, Name};

use super::{Window, words};

#[derive(Subcommand)]
pub(in crate::cli) enum JobsCommand {
    /// List jobs, the newest first.
    Ls {
        /// Only those that stand so.
        #[arg(long, value_name = "STATE", value_parser = words::<JobState>(&["running", "done", "failed", "cancelled"], JobState::from_word))]
        state: Option<JobState>,
        /// Only those of this kind, such as vacuum.
        #[arg(long, value_name = "KIND")]
        kind: Option<Name>,
        #[command(flatten)]
        window: Window,
    },
    /// Show a job.
    Show {
        /// Its id.
        #[arg(value_name = "JOB-ID")]
        job_id: JobId,
    },
    /// Have jobs stop. What they have done until then stands.
    Cancel {
        /// Their ids.
        #[arg(value_name = "JOB-ID", required = true)]
        job_ids: Vec<JobId>,
    },
    /// Wait until a job has ended, and show it; the exit code is 1 unless it is done.
    Wait {
        /// Its id.
        #[arg(value_name = "JOB-ID")]
        job_id: JobId,
    },
}
