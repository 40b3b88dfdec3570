//! The grammar of `cocoon`.

use std::path::PathBuf;

use clap::{Subcommand, ValueHint};
use osnova_storage_client::api::wire::UserId;

use super::Window;

#[derive(Subcommand)]
pub(in crate::cli) enum CocoonCommand {
    /// Store a user's cocoon; the one before is kept.
    Put {
        /// Whose it is.
        #[arg(value_name = "USER-ID")]
        user: UserId,
        /// The file; - for standard input.
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Read a user's cocoon.
    Get {
        /// Whose.
        #[arg(value_name = "USER-ID")]
        user: UserId,
        /// Write it to this new file, which only its owner can read; to standard output where left out.
        #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        output: Option<PathBuf>,
    },
    /// Exchange a user's cocoon and the one before it.
    Restore {
        /// Whose.
        #[arg(value_name = "USER-ID")]
        user: UserId,
    },
    /// List the users that have a cocoon.
    Ls {
        #[command(flatten)]
        window: Window,
    },
    /// Delete a user's cocoon, and the one before it.
    Rm {
        /// Whose.
        #[arg(value_name = "USER-ID")]
        user: UserId,
    },
}
