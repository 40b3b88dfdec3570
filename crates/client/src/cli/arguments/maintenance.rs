//! The grammar of `maintenance` and `sql`.

use clap::{Args, Subcommand};

#[derive(Subcommand)]
pub(in crate::cli) enum MaintenanceCommand {
    /// Say how large the database is, table by table, and how busy.
    Stats,
    /// Copy the write-ahead log into the database, and empty it.
    Checkpoint,
    /// Give free pages back to the disk.
    Vacuum(Waiting),
    /// Look at samples of every table, so that queries are planned well.
    Analyze(Waiting),
    /// Check whether the database is whole; the exit code is 1 where it is not.
    Check {
        /// Look at indices and at what rows name, too.
        #[arg(long)]
        full: bool,
        #[command(flatten)]
        waiting: Waiting,
    },
}

/// Whether to wait for a job.
#[derive(Args)]
pub(in crate::cli) struct Waiting {
    /// Do not wait for its end: print the job's id alone. Ctrl-C does not end a job either.
    #[arg(long)]
    pub(in crate::cli) no_wait: bool,
}

#[derive(Args)]
pub(in crate::cli) struct SqlArguments {
    /// One statement that reads; - reads it from standard input.
    #[arg(value_name = "STATEMENT")]
    pub(in crate::cli) statement: String,
    /// The values of its parameters ?1, ?2, ... in their order: each JSON (5, "a", null,
    /// {"base64": "AA=="}), or a text where it is none.
    #[arg(long = "param", value_name = "VALUE")]
    pub(in crate::cli) params: Vec<String>,
    /// At most this many rows, 1 to 1000.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(in crate::cli) limit: Option<u16>,
}
