//! `osnova-storaged`: reads its configuration, runs the daemon, and says in one line why it could not.
#![allow(clippy::print_stderr, reason = "the one line on stderr is what the host is promised")]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use osnova_storage_server::config::{Config, Flags};
use osnova_storage_server::{Exit, lifecycle};

/// A call allocates some forty times; this allocator does it in half the time of the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The exit code for flags that can't be read (design, section 7).
const BAD_CONFIGURATION: u8 = 2;

fn main() -> ExitCode {
    let flags = match Flags::try_parse() {
        Ok(flags) => flags,
        Err(error) if error.use_stderr() => {
            // The library would go on with its usage.
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
            eprintln!("osnova-storaged: {line}; see --help");
            return ExitCode::from(BAD_CONFIGURATION);
        }
        Err(help) => help.exit(),
    };
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
    lifecycle::start_logging(&config.log)?;
    lifecycle::run(config)
}
