//! The grammar of `events`.

use clap::Args;
use osnova_storage_client::api::wire::{Name, Position};

#[derive(Args)]
pub(in crate::cli) struct EventsArguments {
    /// Begin strictly after this position, rather than now. A position is no time: it stands at the
    /// beginning of each line, and the last one is said at the end.
    // `--since` is a time wherever else it stands; here it was the name of this once.
    #[arg(long, alias = "since", value_name = "POSITION", value_parser = parse_position)]
    pub(in crate::cli) after: Option<Position>,
    /// Only events of this namespace, such as preferences; may be given more than once.
    #[arg(long = "namespace", value_name = "NAMESPACE")]
    pub(in crate::cli) namespaces: Vec<Name>,
}

fn parse_position(text: &str) -> Result<Position, std::num::ParseIntError> {
    text.parse().map(Position)
}
