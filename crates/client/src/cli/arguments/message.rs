//! The grammar of `message`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use osnova_storage_client::ComponentId;
use osnova_storage_client::api::wire::{MessageId, Name, Timestamp};

use super::PageArguments;
use crate::cli::moment;

#[derive(Subcommand)]
pub(in crate::cli) enum MessageCommand {
    /// List messages, the latest first.
    Ls {
        /// Only those on this channel.
        #[arg(long, value_name = "NAME")]
        channel: Option<Name>,
        /// Only those of this component.
        #[arg(long, value_name = "ID")]
        component: Option<ComponentId>,
        /// Only those said at this time or later: 2027-01-31 (its first second, UTC),
        /// 2027-01-31T12:00:00+01:00, or Unix seconds.
        #[arg(long, value_name = "TIME", value_parser = moment::parse_time)]
        since: Option<Timestamp>,
        /// Only those said before this time.
        #[arg(long, value_name = "TIME", value_parser = moment::parse_time)]
        until: Option<Timestamp>,
        #[command(flatten)]
        page: PageArguments,
    },
    /// Show a message.
    Show {
        /// Its id.
        id: MessageId,
    },
    /// Say something on a channel, and print the message's id alone.
    Send(SendArguments),
    /// Delete a message; what hangs on it stays for whoever else holds or names it.
    Rm {
        /// Its id.
        id: MessageId,
        /// Only if this is its revision.
        #[arg(long, value_name = "REVISION")]
        if_revision: Option<u64>,
    },
}

/// What to say.
#[derive(Args)]
pub(in crate::cli) struct SendArguments {
    /// On which channel.
    pub(in crate::cli) channel: Name,
    /// What; - reads it from standard input.
    pub(in crate::cli) body: String,
    /// Who says it; the component one is, or `owner`, where left out.
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) sender: Option<Name>,
    /// A file that hangs on it; may be given more than once.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(in crate::cli) attach: Vec<PathBuf>,
}
