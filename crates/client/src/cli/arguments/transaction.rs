//! The grammar of `tx`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use osnova_storage_client::ComponentId;
use osnova_storage_client::api::transactions::TransactionStatus;
use osnova_storage_client::api::wire::{Address, Amount, Name, Timestamp, TransactionHash};

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
    /// Store a transaction.
    Put {
        /// A file with the transaction as JSON: txHash, fromAddress, toAddress, amount, network, status,
        /// and what else is known; - for standard input.
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Only if this is its revision; 0: only if it is not there.
        #[arg(long, value_name = "REVISION")]
        if_revision: Option<u64>,
    },
    /// Say what became of a transaction.
    Status(StatusArguments),
    /// Say what transactions come to: how many of each status, how much of each token.
    Stats {
        #[command(flatten)]
        filter: TransactionFilter,
    },
}

/// What became of a transaction; what is left out stays as it is.
#[derive(Args)]
pub(in crate::cli) struct StatusArguments {
    /// Its hash.
    pub(in crate::cli) hash: TransactionHash,
    /// How it is from now on.
    #[arg(value_parser = words::<TransactionStatus>(STATUSES, TransactionStatus::from_word))]
    pub(in crate::cli) status: TransactionStatus,
    /// When it was confirmed: 2027-01-31 (its first second, UTC), 2027-01-31T12:00:00+01:00, or Unix
    /// seconds.
    #[arg(long, value_name = "TIME", value_parser = moment::parse_time)]
    pub(in crate::cli) confirmed_at: Option<Timestamp>,
    /// How much gas it took.
    #[arg(long, value_name = "AMOUNT")]
    pub(in crate::cli) gas_used: Option<Amount>,
    /// What gas cost, in gwei.
    #[arg(long, value_name = "AMOUNT")]
    pub(in crate::cli) gas_price: Option<Amount>,
    /// Only if this is its revision.
    #[arg(long, value_name = "REVISION")]
    pub(in crate::cli) if_revision: Option<u64>,
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
