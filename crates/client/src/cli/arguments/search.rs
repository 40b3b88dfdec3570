//! The grammar of `search`.

use clap::{Args, ValueEnum};
use osnova_storage_client::api::wire::{Limit, SearchText};

/// What to search, and where.
#[derive(Args)]
pub(in crate::cli) struct RecordSearchArguments {
    /// Words that a record must have, all of them; the beginning of the last is enough.
    pub(in crate::cli) query: SearchText,
    /// Which records to search.
    #[arg(long = "in", value_name = "RECORDS", value_enum, default_value_t = SearchIn::Components)]
    pub(in crate::cli) records: SearchIn,
    /// At most this many; 20 where left out.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: Option<u16>,
}

impl RecordSearchArguments {
    /// At most how many.
    pub(in crate::cli) fn limit(&self) -> Option<Limit> {
        self.limit.map(Limit)
    }
}

/// Records that can be searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum SearchIn {
    /// Components: name, description, author, keywords.
    Components,
    /// Applications: name, description, author, keywords.
    Applications,
    /// Messages: sender, channel, body.
    Messages,
}
