//! `osnova-storaged`: reads its configuration, runs the daemon, and says in one line why it could not.
#![allow(clippy::print_stderr, reason = "the one line on stderr is what the host is promised")]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use osnova_storage_server::config::{Config, Flags};
use osnova_storage_server::{Exit, lifecycle};

fn main() -> ExitCode {
    let flags = Flags::parse();
    match start(flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(exit) => {
            eprintln!("osnova-storaged: {exit}");
            ExitCode::from(exit.code())
        }
    }
}

fn start(flags: Flags) -> Result<(), Exit> {
    let config = Config::load(flags, &|name| std::env::var_os(name).map(PathBuf::from))?;
    lifecycle::start_logging(&config.log)
        .map_err(|error| Exit::Other(format!("the log filter {:?}: {error}", config.log)))?;
    lifecycle::run(config)
}
