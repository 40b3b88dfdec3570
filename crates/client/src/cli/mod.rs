//! The commands, and what they share: the client, the output, and one error with one exit code.

mod arguments;
mod ask;
mod blob;
mod call;
mod dependencies;
mod failure;
mod format;
mod indent;
mod input;
mod output;
mod paging;
mod progress;
mod records;
mod secret;
mod status;
mod table;

use std::path::PathBuf;
use std::time::Duration;

use osnova_storage_client::{Client, Repeat};

pub(crate) use arguments::Arguments;
use arguments::{Command, Connection};
use failure::Failure;
pub(crate) use failure::{FAILED, complain};
use output::Output;

/// What a shell expects of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// What a command works with.
struct Session {
    client: Client,
    output: Output,
}

/// Runs the command; answers with the exit code.
pub(crate) async fn run(arguments: Arguments) -> u8 {
    // Dropping the command cleans up after it: half-written files go.
    let outcome = tokio::select! {
        outcome = dispatch(arguments) => outcome,
        _ = tokio::signal::ctrl_c() => return INTERRUPTED,
    };
    match outcome {
        Ok(()) => 0,
        Err(failure) => failure.report(),
    }
}

async fn dispatch(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { connection, json, command } = arguments;
    let output = Output::new(json);
    // These need no daemon.
    match &command {
        Command::Methods { prefix } => return call::methods(&output, prefix.as_deref()),
        Command::Completions { shell } => return arguments::completions(*shell, &output),
        _ => {}
    }
    let session = Session { client: client(connection)?, output };
    match command {
        Command::Status => status::status(&session).await,
        Command::Shutdown => status::shutdown(&session).await,
        Command::Call { method, params } => call::call(&session, &method, params.as_deref()).await,
        Command::Blob(command) => blob::run(&session, command).await,
        Command::Ls(what) => records::list(&session, what).await,
        Command::Show(what) => records::show(&session, what).await,
        Command::Set(what) => records::set(&session, what).await,
        Command::Rm(what) => records::remove(&session, what).await,
        Command::Deps(what) => dependencies::run(&session, what).await,
        Command::Unlock { file } => secret::unlock(&session, file.as_deref()).await,
        Command::Lock => secret::lock(&session).await,
        Command::Methods { .. } | Command::Completions { .. } => Ok(()),
    }
}

fn client(connection: Connection) -> Result<Client, Failure> {
    // A person is waiting: a daemon that is not there is said at once, one that restarts is met.
    let repeat = Repeat { attempts: 4, budget: Duration::from_secs(10), ..Repeat::default() };
    let mut builder =
        Client::builder().repeat(repeat).request_timeout(Duration::from_secs(connection.timeout));
    if let Some(endpoint) = connection.endpoint {
        builder = builder.endpoint(endpoint);
    }
    if let Some(token) = token(connection.token, connection.token_file)? {
        builder = builder.token(token);
    }
    builder.build().map_err(|error| Failure::usage(error.to_string()))
}

fn token(token: Option<String>, file: Option<PathBuf>) -> Result<Option<String>, Failure> {
    let Some(file) = file else { return Ok(token) };
    let text = std::fs::read_to_string(&file)
        .map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?;
    Ok(Some(text.trim().to_owned()))
}
