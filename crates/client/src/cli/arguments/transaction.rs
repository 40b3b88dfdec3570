//! The grammar of `tx`.

use clap::{Args, Subcommand};
use osnova_storage_client::ComponentId;
use osnova_storage_client::api::transactions::TransactionStatus;
use osnova_storage_client::api::wire::{Address, Name, Timestamp, TransactionHash};

use super::{PageArguments, words};
use crate::cli::moment;

const STATUSES: &[&str] = &["pending", "confirmed", "failed"];

#[derive(Subcommand)]
pub(in crate::cli) enum TransactionCommand {
    /// List transactions, the latest first.
    Ls {
        #[command(flatten)]
        filter: TransactionFilter,
        #[command(flatten)]
        page: PageArguments,
    },
    /// Show a transaction.
    Show {
        /// Its hash.
        hash: TransactionHash,
    },
    /// Say what transactions come to: how many of each status, how much of each token.
    Stats {
        #[command(flatten)]
        filter: TransactionFilter,
    },
}

/// Which transactions.
#[derive(Args)]
pub(in crate::cli) struct TransactionFilter {
    /// Only those that this address sends or receives.
    #[arg(long)]
    pub(in crate::cli) address: Option<Address>,
    /// Only those of this status.
    #[arg(long, value_name = "STATUS", value_parser = words::<TransactionStatus>(STATUSES, TransactionStatus::from_word))]
    pub(in crate::cli) status: Option<TransactionStatus>,
    /// Only those of this token: its address, or ETH.
    // Not `--token`: that is the credential to show, everywhere.
    #[arg(long, value_name = "ADDRESS")]
    pub(in crate::cli) token_address: Option<Address>,
    /// Only those on this network.
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) network: Option<Name>,
    /// Only those of this component.
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) component: Option<ComponentId>,
    /// Only those made at this time or later: 2027-01-31 (its first second, UTC),
    /// 2027-01-31T12:00:00+01:00, or Unix seconds.
    #[arg(long, value_name = "TIME", value_parser = moment::parse_time)]
    pub(in crate::cli) since: Option<Timestamp>,
    /// Only those made before this time.
    #[arg(long, value_name = "TIME", value_parser = moment::parse_time)]
    pub(in crate::cli) until: Option<Timestamp>,
}
