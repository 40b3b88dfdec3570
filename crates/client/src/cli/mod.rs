//! The commands, and what they share: the client, the output, and one error with one exit code.

mod application;
mod arguments;
mod ask;
mod batch;
mod blob;
mod cache;
mod call;
mod cocoon;
mod data;
mod dependencies;
mod events;
mod failure;
mod following;
mod format;
mod handover;
mod indent;
mod input;
mod jobs;
mod key;
mod kv;
mod logs;
mod maintenance;
mod many_blobs;
mod message;
mod moment;
mod output;
mod paging;
mod progress;
mod records;
mod refusal;
mod registry;
mod search;
mod secret;
mod socket;
mod sql;
mod status;
mod table;
mod token;
mod transaction;
mod whoami;

use std::time::Duration;

use osnova_storage_client::{Client, Repeat};

pub(crate) use arguments::Arguments;
use arguments::{Command, Connection};
use failure::Failure;
pub(crate) use failure::{FAILED, complain};
use output::Output;

/// What a shell expects of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;
/// The first line of a token file is never longer; the daemon's tokens have less than 100 characters.
const MAX_TOKEN_BYTES: u64 = 4 << 10;

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
    let session = Session { client: client(connection).await?, output };
    match command {
        Command::Status => status::status(&session).await,
        Command::Whoami => whoami::run(&session).await,
        Command::Token(command) => token::run(&session, command).await,
        Command::Socket(command) => socket::run(&session, command).await,
        Command::Jobs(command) => jobs::run(&session, command).await,
        Command::Maintenance(command) => maintenance::run(&session, command).await,
        Command::Sql(what) => sql::run(&session, what).await,
        Command::Shutdown => status::shutdown(&session).await,
        Command::Call { method, params } => call::call(&session, &method, params.as_deref()).await,
        Command::Blob(command) => blob::run(&session, command).await,
        Command::Batch(arguments) => batch::run(&session, arguments).await,
        Command::Kv(command) => kv::run(&session, command).await,
        Command::Ls(what) => records::list(&session, what).await,
        Command::Show(what) => records::show(&session, what).await,
        Command::Set(what) => records::set(&session, what).await,
        Command::Rm(what) => records::remove(&session, what).await,
        Command::Search(what) => search::run(&session, what).await,
        Command::Deps(what) => dependencies::run(&session, what).await,
        Command::App(command) => application::run(&session, command).await,
        Command::Registry(command) => registry::run(&session, command).await,
        Command::Key(command) => key::run(&session, command).await,
        Command::Tx(command) => transaction::run(&session, command).await,
        Command::Cache(command) => cache::run(&session, command).await,
        Command::Message(command) => message::run(&session, command).await,
        Command::Logs(command) => logs::run(&session, command).await,
        Command::Data(command) => data::run(&session, command).await,
        Command::Cocoon(command) => cocoon::run(&session, command).await,
        Command::Events(asked) => events::follow(&session, asked).await,
        Command::Unlock { file } => secret::unlock(&session, file.as_deref()).await,
        Command::Lock => secret::lock(&session).await,
        Command::Methods { .. } | Command::Completions { .. } => Ok(()),
    }
}

async fn client(connection: Connection) -> Result<Client, Failure> {
    // A person is waiting: a daemon that is not there is said at once, one that restarts is met. Whoever
    // follows goes on trying (`following`).
    let repeat = Repeat { attempts: 4, budget: Duration::from_secs(10), ..Repeat::default() };
    let mut builder =
        Client::builder().repeat(repeat).request_timeout(Duration::from_secs(connection.timeout));
    if let Some(endpoint) = connection.endpoint {
        builder = builder.endpoint(endpoint);
    }
    let token = match connection.token_file {
        Some(file) => Some(input::first_line(file, MAX_TOKEN_BYTES).await?),
        None => connection.token,
    };
    if let Some(token) = token {
        builder = builder.token(token);
    }
    builder.build().map_err(|error| Failure::usage(error.to_string()))
}
