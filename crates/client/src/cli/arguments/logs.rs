//! The grammar of `logs`.

use clap::{Args, Subcommand};
use osnova_storage_client::ComponentId;
use osnova_storage_client::api::logs::LogLevel;
use osnova_storage_client::api::wire::{Text, Timestamp};

use super::{PageArguments, words};
use crate::cli::moment;

const LEVELS: &[&str] = &["trace", "debug", "info", "warn", "error"];

#[derive(Subcommand)]
pub(in crate::cli) enum LogsCommand {
    /// Print the last entries of a log.
    Tail {
        /// Whose log; a component's own where left out.
        #[arg(long, value_name = "ID")]
        component: Option<ComponentId>,
        /// How many entries, up to 1000; 0 for none, with --follow.
        #[arg(short = 'n', long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(0..=1000))]
        lines: Option<u16>,
        /// Go on with what is appended, until Ctrl-C; a daemon that goes away is waited for.
        #[arg(short, long)]
        follow: bool,
    },
    /// Search a log, its rotated files too; the newest entries first.
    Search(SearchArguments),
    /// Append an entry to a log.
    Append {
        /// What happened.
        message: Text,
        /// How grave it is.
        #[arg(long, value_name = "LEVEL", default_value = "info", value_parser = words::<LogLevel>(LEVELS, LogLevel::from_word))]
        level: LogLevel,
        /// Anything else about it, as JSON; - reads it from standard input.
        #[arg(long, value_name = "JSON")]
        fields: Option<String>,
        /// Whose log; a component's own where left out.
        #[arg(long, value_name = "ID")]
        component: Option<ComponentId>,
    },
    /// Close the present file of a log, compress it, and begin another.
    Rotate {
        /// Whose log; a component's own where left out.
        #[arg(long, value_name = "ID")]
        component: Option<ComponentId>,
    },
}

/// What to search for.
#[derive(Args)]
pub(in crate::cli) struct SearchArguments {
    /// In the message or the fields, in upper or lower case; everything where left out.
    pub(in crate::cli) text: Option<Text>,
    /// Whose log; a component's own where left out.
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) component: Option<ComponentId>,
    /// Only entries at least so grave.
    #[arg(long, value_name = "LEVEL", value_parser = words::<LogLevel>(LEVELS, LogLevel::from_word))]
    pub(in crate::cli) level: Option<LogLevel>,
    /// Only entries of this time or later: 2027-01-31 (its first second, UTC),
    /// 2027-01-31T12:00:00+01:00, or Unix seconds.
    #[arg(long, alias = "from", value_name = "TIME", value_parser = moment::parse_time)]
    pub(in crate::cli) since: Option<Timestamp>,
    /// Only entries from before this time.
    #[arg(long, alias = "to", value_name = "TIME", value_parser = moment::parse_time)]
    pub(in crate::cli) until: Option<Timestamp>,
    #[command(flatten)]
    pub(in crate::cli) page: PageArguments,
}
