//! `osnova-storage`, the command line: one call or transfer, then its answer for a person, as tab
//! separated text, or as the JSON it came in.
//!
//! Exit codes: 0 done; 1 the daemon or the transfer failed; 2 the command line is wrong; 3 no
//! connection to the daemon; 130 interrupted.

mod cli;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let code = runtime.block_on(cli::run(arguments));
            // A read of the terminal that nobody waits for any more must not hold up the exit.
            runtime.shutdown_background();
            ExitCode::from(code)
        }
        Err(error) => {
            cli::complain(&format!("cannot start: {error}"));
            ExitCode::from(cli::FAILED)
        }
    }
}
