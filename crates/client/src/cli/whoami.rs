//! `whoami`: who the daemon takes one for.

use osnova_storage_client::api::auth::{self, CredentialKind, Identity};

use super::Session;
use super::ask;
use super::failure::Failure;
use super::moment;
use super::table::{Cell, Table};
use super::token::scope_list;

pub(super) async fn run(session: &Session) -> Result<(), Failure> {
    let show = |found: &Identity| session.output.table(&table(found, moment::now()));
    ask::show::<auth::Whoami>(session, auth::NoParams {}, show).await
}

fn table(identity: &Identity, now: i64) -> Table {
    let mut table = Table::pairs();
    table.pair("caller", identity.caller.as_str());
    if let Some(component) = &identity.component_id {
        table.pair("component", component.as_str());
    }
    table.pair("scopes", scope_list(identity.scopes.as_deref()));
    table.pair("credential", identity.credential.as_str());
    if let Some(token) = &identity.token_id {
        table.pair("token", token.as_str());
    }
    // Only a component's token can have an end.
    if identity.credential == CredentialKind::Token {
        table.pair("expires", Cell::expiry(identity.expires_at.map(|time| time.0), now));
    }
    table
}
