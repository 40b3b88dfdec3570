//! The grammar of the commands of `blob` that look after contents: each begins a job.

use clap::Subcommand;
use osnova_storage_client::api::wire::BlobHash;

use super::Waiting;

#[derive(Subcommand)]
pub(in crate::cli) enum CareCommand {
    /// Remove contents that nothing keeps, once their grace is over.
    Collect(Waiting),
    /// Give files that lie in the folder of contents and are not known a place in the store; put aside
    /// those that are not what their name says.
    Adopt(Waiting),
    /// Read contents and check that they are as they were put; the exit code is 1 where one is not.
    Verify {
        /// The one content to verify; all where left out.
        hash: Option<BlobHash>,
        /// How many bytes to read in a second at most; as configured where left out.
        #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1..))]
        rate: Option<u64>,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Write files of an older format anew; the exit code is 1 where one is damaged.
    Upgrade(Waiting),
}
