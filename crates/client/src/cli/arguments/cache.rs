//! The grammar of `cache`.

use clap::Subcommand;
use osnova_storage_client::api::wire::Name;

use super::PageArguments;

#[derive(Subcommand)]
pub(in crate::cli) enum CacheCommand {
    /// List what is cached, what was not used for longest first.
    Ls {
        /// Only the content of this hash on the network.
        #[arg(long, value_name = "HASH")]
        content_hash: Option<Name>,
        #[command(flatten)]
        page: PageArguments,
    },
    /// Show an entry. It does not count as an access.
    Show {
        /// Where it lies on the network.
        address: Name,
    },
    /// Remove an entry; its blob stays for whoever else holds or names it.
    Rm {
        /// Where it lies on the network.
        address: Name,
        /// Only if this is its revision.
        #[arg(long, value_name = "REVISION")]
        if_revision: Option<u64>,
    },
    /// Remove what was not used for longest, until so many bytes are left.
    Evict {
        /// How many bytes may be left.
        bytes: u64,
    },
    /// Say what the cache comes to, and how often it had what was asked for.
    Stats,
}
