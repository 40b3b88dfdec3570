//! The grammar of `events`.

use clap::Args;
use osnova_storage_client::api::wire::{Name, Position};

#[derive(Args)]
pub(in crate::cli) struct EventsArguments {
    /// Begin strictly after this position, rather than now.
    #[arg(long, value_name = "POSITION", value_parser = parse_position)]
    pub(in crate::cli) since: Option<Position>,
    /// Only events of this namespace, such as preferences; may be given more than once.
    #[arg(long = "namespace", value_name = "NAMESPACE")]
    pub(in crate::cli) namespaces: Vec<Name>,
}

fn parse_position(text: &str) -> Result<Position, std::num::ParseIntError> {
    text.parse().map(Position)
}
