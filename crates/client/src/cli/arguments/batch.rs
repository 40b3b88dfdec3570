//! The grammar of `batch`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

#[derive(Args)]
pub(in crate::cli) struct BatchArguments {
    /// A JSON array of writes, {"method": ..., "params": ...} each, at most 1000; - for standard input.
    #[arg(value_hint = ValueHint::FilePath)]
    pub(in crate::cli) file: PathBuf,
}
