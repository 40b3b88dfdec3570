//! The grammar of `token` and `socket`.

use std::path::PathBuf;
use std::sync::LazyLock;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand, ValueHint};
use osnova_storage_client::api::wire::{Name, SocketPath, Timestamp};
use osnova_storage_client::{ComponentId, Scope, TokenId};

use super::Window;
use crate::cli::moment;

#[derive(Subcommand)]
pub(in crate::cli) enum TokenCommand {
    /// Make a token for a component, and print it alone: TOKEN=$(osnova-storage token create ID).
    Create {
        /// Whose it shall be. The component need not be installed yet.
        #[arg(value_name = "COMPONENT-ID")]
        component_id: ComponentId,
        /// What to call it, to know it again in a list.
        #[arg(long, value_name = "TEXT")]
        name: Option<Name>,
        #[command(flatten)]
        scopes: ScopeArguments,
        #[command(flatten)]
        lifetime: Lifetime,
        /// Write it to this new file, which only its owner can read, rather than print it.
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        out: Option<PathBuf>,
    },
    /// List the tokens of components, the oldest first.
    Ls {
        /// Only those of this component.
        #[arg(long, value_name = "ID")]
        component: Option<ComponentId>,
        #[command(flatten)]
        window: Window,
    },
    /// Revoke tokens: nothing more is done for whoever shows them.
    Revoke {
        /// The ids that `token ls` lists, not the tokens themselves.
        #[arg(
            value_name = "TOKEN-ID",
            required_unless_present = "component",
            conflicts_with = "component"
        )]
        token_ids: Vec<TokenId>,
        /// All of this component's.
        #[arg(long, value_name = "ID")]
        component: Option<ComponentId>,
    },
    /// Make a new token for the owner, and print it alone; the one before is no longer taken.
    RotateOwner {
        /// Write it to this new file, which only its owner can read, rather than print it.
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        out: Option<PathBuf>,
    },
}

#[derive(Subcommand)]
pub(in crate::cli) enum SocketCommand {
    /// Open a socket on which whoever connects is the component, and print its path alone.
    Open {
        /// Whose it shall be. The component need not be installed yet.
        #[arg(value_name = "COMPONENT-ID")]
        component_id: ComponentId,
        #[command(flatten)]
        scopes: ScopeArguments,
        /// Where it shall lie, in a folder that is there; in one of its own where left out.
        #[arg(long, value_hint = ValueHint::FilePath, value_parser = socket_path)]
        path: Option<SocketPath>,
    },
    /// Close a component's sockets, and the connections that came by them.
    Close {
        /// Whose.
        #[arg(value_name = "COMPONENT-ID")]
        component_id: ComponentId,
        /// Only this one.
        #[arg(long, value_hint = ValueHint::FilePath, value_parser = socket_path)]
        path: Option<SocketPath>,
    },
    /// List the sockets that are bound to components.
    Ls,
}

/// What a credential may do.
#[derive(Args)]
pub(in crate::cli) struct ScopeArguments {
    /// What it may do; may be given more than once. All that a component may where left out.
    #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',', value_parser = scope())]
    scopes: Vec<Scope>,
}

impl ScopeArguments {
    /// The scopes; none for all of them.
    pub(in crate::cli) fn list(self) -> Option<Vec<Scope>> {
        Some(self.scopes).filter(|scopes| !scopes.is_empty())
    }
}

/// How long a token is taken; until it is revoked where neither is given.
#[derive(Args)]
pub(in crate::cli) struct Lifetime {
    /// For how long it shall be taken: 30d, 12h, 90m or 45s.
    #[arg(long, value_name = "SPAN", value_parser = moment::parse_span, conflicts_with = "expires_at")]
    pub(in crate::cli) expires_in: Option<i64>,
    /// From when on it shall no longer be taken: 2027-01-31 (its first second, UTC),
    /// 2027-01-31T12:00:00+01:00, or Unix seconds.
    #[arg(long, value_name = "TIME", value_parser = moment::parse_time)]
    pub(in crate::cli) expires_at: Option<Timestamp>,
}

/// Takes the scopes that a component's credential may carry, and completes them.
fn scope() -> impl TypedValueParser<Value = Scope> {
    static ALL: LazyLock<Vec<Scope>> = LazyLock::new(Scope::all);
    PossibleValuesParser::new(ALL.iter().map(Scope::as_str)).try_map(|word| word.parse::<Scope>())
}

/// A path as the daemon must be told it, which works in another folder.
fn socket_path(text: &str) -> Result<SocketPath, String> {
    let path = std::path::absolute(text).map_err(|error| error.to_string())?;
    SocketPath::try_from(path.to_string_lossy().into_owned())
}
