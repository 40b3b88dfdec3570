//! The grammar of the command line.

mod access;
mod application;
mod batch;
mod blob_care;
mod cache;
mod cocoon;
mod data;
mod events;
mod jobs;
mod key;
mod kv;
mod logs;
mod maintenance;
mod message;
mod registry;
mod search;
mod transaction;

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueHint};
use clap_complete::Shell;
use osnova_storage_client::api::blobs::BlobOrder;
use osnova_storage_client::api::components::{ComponentOrder, ComponentType, Direction};
use osnova_storage_client::api::wire::{BlobHash, ComponentId, Cursor, PreferenceKey};
use osnova_storage_client::api::{all_methods, wire};

pub(super) use access::{Lifetime, SocketCommand, TokenCommand};
pub(super) use application::{ApplicationCommand, ApplicationList, ConfigCommand};
pub(super) use batch::BatchArguments;
pub(super) use blob_care::CareCommand;
pub(super) use cache::CacheCommand;
pub(super) use cocoon::CocoonCommand;
pub(super) use data::DataCommand;
pub(super) use events::EventsArguments;
pub(super) use jobs::JobsCommand;
pub(super) use key::KeyCommand;
pub(super) use kv::KvCommand;
pub(super) use logs::{LogsCommand, SearchArguments};
pub(super) use maintenance::{MaintenanceCommand, SqlArguments, Waiting};
pub(super) use message::{MessageCommand, SendArguments};
pub(super) use registry::RegistryCommand;
pub(super) use search::{RecordSearchArguments, SearchIn};
pub(super) use transaction::{TransactionCommand, TransactionFilter};

use super::failure::Failure;
use super::output::Output;

/// Talks to the storage daemon of Osnova.
#[derive(Parser)]
#[command(name = "osnova-storage", version, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(super) connection: Connection,
    /// Print the daemon's JSON answer as it is.
    #[arg(long, global = true)]
    pub(super) json: bool,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// How to reach the daemon.
#[derive(Args)]
#[command(next_help_heading = "Connection")]
pub(super) struct Connection {
    /// Where it listens: unix:PATH, ws+unix:PATH, http://127.0.0.1:PORT or ws://127.0.0.1:PORT
    /// [env: OSNOVA_STORAGE_ENDPOINT; default: the user's socket]
    #[arg(long, global = true, value_name = "ENDPOINT")]
    pub(super) endpoint: Option<String>,
    /// The token to show. Better by --token-file or the environment: every program of the machine can
    /// read it here, in the list of processes [env: OSNOVA_STORAGE_TOKEN]
    #[arg(long, global = true, value_name = "TOKEN", value_parser = parse_token)]
    pub(super) token: Option<String>,
    /// A file whose first line is the token to show.
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "token")]
    pub(super) token_file: Option<PathBuf>,
    /// How long to wait for an answer.
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 60)]
    pub(super) timeout: u64,
}

#[derive(Subcommand)]
pub(super) enum Command {
    /// Say whether the daemon is well.
    Status,
    /// Say who the daemon takes one for, and what one may do.
    Whoami,
    /// Tokens: credentials of components, and the owner's.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Sockets that are bound to components.
    #[command(subcommand)]
    Socket(SocketCommand),
    /// Call any method of the contract.
    Call {
        /// The method, such as components.get.
        #[arg(value_parser = MethodName)]
        method: String,
        /// Its params as JSON, an object or an array; - reads them from standard input.
        #[arg(value_name = "JSON")]
        params: Option<String>,
    },
    /// List the methods of the contract, with scopes and summaries.
    Methods {
        /// Only those that begin with this.
        prefix: Option<String>,
    },
    /// Content: put, read, list, pin, grant, remove, look after.
    #[command(subcommand)]
    Blob(BlobCommand),
    /// Apply many writes at once, all or none.
    Batch(BatchArguments),
    /// Values that components store: read, write, list, remove.
    #[command(subcommand)]
    Kv(KvCommand),
    /// List records.
    #[command(subcommand)]
    Ls(ListWhat),
    /// Show a record.
    #[command(subcommand)]
    Show(RecordWhat),
    /// Set a preference.
    Set(SetArguments),
    /// Remove a record.
    #[command(subcommand)]
    Rm(RemoveWhat),
    /// Search records by their words, the best first.
    Search(RecordSearchArguments),
    /// Show what a component needs, or what needs it.
    Deps(DepsArguments),
    /// Applications and their settings.
    #[command(subcommand)]
    App(ApplicationCommand),
    /// Which components run, as which processes.
    #[command(subcommand)]
    Registry(RegistryCommand),
    /// Keys that components have derived: public parts and indices only.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Transactions of wallets: list, show, store, follow up, sum up.
    #[command(subcommand)]
    Tx(TransactionCommand),
    /// What was fetched from the Autonomi network and is kept.
    #[command(subcommand)]
    Cache(CacheCommand),
    /// Messages on channels: list, show, send, remove.
    #[command(subcommand)]
    Message(MessageCommand),
    /// Logs of components: read, follow, search.
    #[command(subcommand)]
    Logs(LogsCommand),
    /// Files of components: a folder for each version.
    #[command(subcommand)]
    Data(DataCommand),
    /// Cocoons: the sealed keys of users.
    #[command(subcommand)]
    Cocoon(CocoonCommand),
    /// Follow what changes, line by line, until Ctrl-C; a daemon that goes away is waited for.
    Events(EventsArguments),
    /// Load the master key; the phrase is asked for on the terminal.
    Unlock {
        /// Read the phrase, or 64 hexadecimal digits, from a file; - for standard input.
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
    },
    /// Wipe the master key from the daemon's memory.
    Lock,
    /// Long work of the daemon: look at it, wait for it, end it.
    #[command(subcommand)]
    Jobs(JobsCommand),
    /// The database as a file: its size, its health, its free pages.
    #[command(subcommand)]
    Maintenance(MaintenanceCommand),
    /// Ask the database in SQL, to read only.
    Sql(SqlArguments),
    /// Stop the daemon cleanly.
    Shutdown,
    /// Write a completion script for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

#[derive(Subcommand)]
pub(super) enum BlobCommand {
    /// Store files, or standard input, and print their hashes.
    Put {
        /// The files; - for standard input. Small ones go together, all or none.
        #[arg(required = true, value_name = "FILE", value_hint = ValueHint::AnyPath)]
        files: Vec<PathBuf>,
        /// Of a directory put all regular files, named by their paths in it; links are not followed.
        #[arg(short, long)]
        recursive: bool,
        /// What it is, as a media type.
        #[arg(long = "type", value_name = "MEDIA-TYPE")]
        content_type: Option<String>,
        /// What to call it, where it is one; the file's name where left out.
        #[arg(long, conflicts_with = "recursive")]
        name: Option<String>,
        /// Do not keep it unless a record names it soon.
        #[arg(long)]
        no_pin: bool,
        /// Refuse it, where it is one, unless this is its hash.
        #[arg(long, value_name = "HASH", conflicts_with = "recursive")]
        expect: Option<BlobHash>,
    },
    /// Read a content, or a part of it.
    Get {
        /// Its hash.
        hash: BlobHash,
        /// Where to; standard output where left out, or -. The file appears when it is complete.
        #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        output: Option<PathBuf>,
        /// The first and the last byte, counted from 0: 0-99, or 100- for the rest.
        #[arg(long, value_name = "FIRST-LAST", value_parser = parse_range)]
        range: Option<(u64, Option<u64>)>,
    },
    /// Say what is known of contents.
    Stat {
        /// Their hashes.
        #[arg(required = true)]
        hashes: Vec<BlobHash>,
    },
    /// List contents.
    Ls {
        /// Only those that are pinned (true) or not (false).
        #[arg(long, value_name = "BOOL")]
        pinned: Option<bool>,
        /// What to order by.
        #[arg(long, value_name = "FIELD", value_parser = words::<BlobOrder>(&["createdAt", "hash"], BlobOrder::from_word))]
        order: Option<BlobOrder>,
        #[command(flatten)]
        page: PageArguments,
    },
    /// Delete contents.
    Rm {
        /// Their hashes.
        #[arg(required = true)]
        hashes: Vec<BlobHash>,
        /// Drop only what this component holds of them: so a grant is taken back.
        #[arg(long, value_name = "ID")]
        component: Option<ComponentId>,
    },
    /// Let a component see a content, as if it had put it.
    Grant {
        /// Its hash.
        hash: BlobHash,
        /// Who shall see it.
        #[arg(value_name = "COMPONENT-ID")]
        component_id: ComponentId,
        /// Do not keep it for the component unless a record names it soon.
        #[arg(long)]
        no_pin: bool,
    },
    /// Pin contents: they stay until they are deleted.
    Pin {
        /// Their hashes.
        #[arg(required = true)]
        hashes: Vec<BlobHash>,
    },
    /// Take the pin off contents.
    Unpin {
        /// Their hashes.
        #[arg(required = true)]
        hashes: Vec<BlobHash>,
    },
    /// Say how much is stored.
    Usage,
    #[command(flatten)]
    Care(CareCommand),
}

/// Which part of a list.
#[derive(Args)]
pub(super) struct PageArguments {
    /// From the least to the greatest.
    #[arg(long, conflicts_with = "desc")]
    pub(super) asc: bool,
    /// From the greatest to the least.
    #[arg(long)]
    pub(super) desc: bool,
    #[command(flatten)]
    pub(super) window: Window,
}

/// Which part of a list that has one order only.
#[derive(Args)]
pub(super) struct Window {
    /// At most this many, 1 to 1000.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: Option<u16>,
    /// Go on where an earlier page ended.
    #[arg(long)]
    pub(super) cursor: Option<Cursor>,
    /// All pages.
    #[arg(long)]
    pub(super) all: bool,
}

impl PageArguments {
    pub(super) fn direction(&self) -> Option<Direction> {
        match (self.asc, self.desc) {
            (true, _) => Some(Direction::Ascending),
            (_, true) => Some(Direction::Descending),
            _ => None,
        }
    }
}

impl Window {
    pub(super) fn limit(&self) -> Option<wire::Limit> {
        self.limit.map(wire::Limit)
    }
}

#[derive(Subcommand)]
pub(super) enum ListWhat {
    /// The components that are installed.
    #[command(visible_alias = "component")]
    Components {
        /// Only frontends or backends.
        #[arg(long = "type", value_name = "TYPE", value_parser = words::<ComponentType>(&["frontend", "backend"], ComponentType::from_word))]
        component_type: Option<ComponentType>,
        /// What to order by.
        #[arg(long, value_name = "FIELD", value_parser = words::<ComponentOrder>(&["installedAt", "lastUsed", "name"], ComponentOrder::from_word))]
        order: Option<ComponentOrder>,
        #[command(flatten)]
        page: PageArguments,
    },
    /// The applications that are installed.
    #[command(visible_alias = "application")]
    Applications(ApplicationList),
    /// The preferences, by key.
    #[command(visible_alias = "preference")]
    Preferences {
        /// Only keys that begin with this.
        #[arg(long)]
        prefix: Option<PreferenceKey>,
        #[command(flatten)]
        window: Window,
    },
}

#[derive(Subcommand)]
pub(super) enum RecordWhat {
    /// A component.
    Component {
        /// Its id.
        id: ComponentId,
    },
    /// A preference's value.
    Preference {
        /// Its key.
        key: PreferenceKey,
    },
}

#[derive(Args)]
pub(super) struct SetArguments {
    /// The preference's key.
    pub(super) key: PreferenceKey,
    /// Its value as JSON (a text in quotes: '"dark"'); - reads it from standard input.
    #[arg(value_name = "JSON")]
    pub(super) value: String,
    /// Only if this is its revision; 0: only if it is not set.
    #[arg(long, value_name = "REVISION")]
    pub(super) if_revision: Option<u64>,
}

#[derive(Subcommand)]
pub(super) enum RemoveWhat {
    /// A component.
    Component {
        /// Its id.
        id: ComponentId,
        /// Only if this is its revision.
        #[arg(long, value_name = "REVISION")]
        if_revision: Option<u64>,
    },
    /// A preference.
    Preference {
        /// Its key.
        key: PreferenceKey,
        /// Only if this is its revision.
        #[arg(long, value_name = "REVISION")]
        if_revision: Option<u64>,
    },
}

#[derive(Args)]
pub(super) struct DepsArguments {
    /// The component's id.
    pub(super) id: ComponentId,
    /// Follow them to the end.
    #[arg(long)]
    pub(super) transitive: bool,
    /// What needs it, rather than what it needs.
    #[arg(long)]
    pub(super) reverse: bool,
}

/// Takes any method name, and completes those of the contract.
#[derive(Clone)]
struct MethodName;

impl clap::builder::TypedValueParser for MethodName {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<String, clap::Error> {
        // A daemon newer than this program may know more methods, so the name is not checked here.
        clap::builder::StringValueParser::new().parse_ref(command, argument, value)
    }

    fn possible_values(
        &self,
    ) -> Option<Box<dyn Iterator<Item = clap::builder::PossibleValue> + '_>> {
        let of_contract = |spec: &'static osnova_storage_client::api::MethodSpec| {
            clap::builder::PossibleValue::new(spec.name).help(spec.summary())
        };
        Some(Box::new(all_methods().map(of_contract)))
    }
}

/// Takes the words of a wire enumeration.
fn words<T: Clone + Send + Sync + 'static>(
    words: &'static [&'static str],
    from_word: fn(&str) -> Option<T>,
) -> impl clap::builder::TypedValueParser<Value = T> {
    use clap::builder::TypedValueParser;
    PossibleValuesParser::new(words)
        .try_map(move |word| from_word(&word).ok_or("is a word that this program does not know"))
}

/// Takes what may be a token: 64 hexadecimal digits, or a component's, which begins with `osn_`. Anything
/// else was meant for something else, and would only be answered `unauthorized`.
fn parse_token(text: &str) -> Result<String, String> {
    let is_hex = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if text.starts_with("osn_") || is_hex(text) {
        return Ok(text.to_owned());
    }
    Err("is no token, which would begin with osn_ or be 64 hexadecimal digits; tx ls and tx stats \
         select a token's transactions by --token-address"
        .to_owned())
}

fn parse_range(text: &str) -> Result<(u64, Option<u64>), String> {
    let bad = || "must be FIRST-LAST or FIRST-, in bytes counted from 0".to_owned();
    let (first, last) = text.split_once('-').ok_or_else(bad)?;
    let first = first.parse().map_err(|_| bad())?;
    let last = match last {
        "" => None,
        last => Some(last.parse().map_err(|_| bad())?),
    };
    match last {
        Some(last) if last < first => Err(bad()),
        last => Ok((first, last)),
    }
}

/// Writes a completion script.
pub(super) fn completions(shell: Shell, output: &Output) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "osnova-storage", &mut script);
    output.bytes(&script)
}
