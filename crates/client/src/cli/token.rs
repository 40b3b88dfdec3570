//! `token`: credentials of components, and the owner's. A token itself is printed alone, so that a
//! script can take it; all else about it goes to standard error.

use std::path::PathBuf;

use osnova_storage_client::api::auth::{
    self, CreateToken, CreateTokenParams, ListTokens, ListTokensParams, RevokeToken,
    RevokeTokenParams, RotateOwnerToken, TokenInfo, TokenPage,
};
use osnova_storage_client::api::wire::{Limit, Timestamp};
use osnova_storage_client::{ComponentId, Scope, TokenId};

use super::Session;
use super::arguments::{Lifetime, TokenCommand};
use super::ask::ask;
use super::failure::{Failure, complain};
use super::format;
use super::handover::Handover;
use super::moment;
use super::paging::pages;
use super::table::{Cell, Table};

pub(super) async fn run(session: &Session, command: TokenCommand) -> Result<(), Failure> {
    match command {
        TokenCommand::Create { component_id, name, scopes, lifetime, out } => {
            let expires_at = end(&lifetime);
            let params =
                CreateTokenParams { component_id, name, scopes: scopes.list(), expires_at };
            create(session, params, out).await
        }
        TokenCommand::Ls { component, window } => {
            let params = ListTokensParams {
                component_id: component,
                limit: window.limit(),
                cursor: window.cursor,
            };
            let show = |page: &TokenPage| session.output.table(&table(&page.items, moment::now()));
            pages::<ListTokens>(
                session,
                params,
                window.all,
                |params| &mut params.cursor,
                |found| found.next_cursor.clone(),
                show,
            )
            .await
        }
        TokenCommand::Revoke { component: Some(component), .. } => {
            revoke_all_of(session, component).await
        }
        TokenCommand::Revoke { token_ids, component: None } => revoke(session, token_ids).await,
        TokenCommand::RotateOwner { out } => rotate_owner(session, out).await,
    }
}

/// The scopes in one word, as `--scope` takes them too.
pub(super) fn scope_list(scopes: Option<&[Scope]>) -> String {
    match scopes {
        None => "all".to_owned(),
        Some([]) => "none".to_owned(),
        Some(scopes) => scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(","),
    }
}

/// When a token ends.
fn end(lifetime: &Lifetime) -> Option<Timestamp> {
    let in_so_long = lifetime.expires_in.map(|span| Timestamp(moment::now().saturating_add(span)));
    in_so_long.or(lifetime.expires_at)
}

async fn create(
    session: &Session,
    params: CreateTokenParams,
    out: Option<PathBuf>,
) -> Result<(), Failure> {
    let handover = Handover::prepare(&session.output, out)?;
    let answer = ask::<CreateToken>(session, params).await?;
    let created = answer.read()?;
    let id = &created.info.token_id;
    let given = handover.give(&created.token, &answer.raw);
    let file = given.map_err(|failure| {
        failure.with_hint(&format!("it is of no use now: osnova-storage token revoke {id}"))
    })?;
    if !session.output.is_json() {
        complain(&about(&created.info));
        complain(&where_it_is(file));
    }
    Ok(())
}

fn about(token: &TokenInfo) -> String {
    let named = token.name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
    let scopes = scope_list(token.scopes.as_deref());
    let expires = match token.expires_at {
        Some(time) => format!("expires {}", format::time(time.0)),
        None => "does not expire".to_owned(),
    };
    format!(
        "token {}{named} is of {}, has scopes {scopes}, {expires}",
        token.token_id, token.component_id
    )
}

fn where_it_is(file: Option<PathBuf>) -> String {
    match file {
        Some(path) => format!("it stands in {}, and is shown nowhere else", path.display()),
        None => "it is shown only this once".to_owned(),
    }
}

async fn rotate_owner(session: &Session, out: Option<PathBuf>) -> Result<(), Failure> {
    let handover = Handover::prepare(&session.output, out)?;
    let answer = ask::<RotateOwnerToken>(session, auth::NoParams {}).await?;
    let rotated = answer.read()?;
    let given = handover.give(&rotated.token, &answer.raw);
    given.map_err(|failure| failure.with_hint("it stands in run/token of the data root"))?;
    if !session.output.is_json() {
        complain("the owner's token before this one is no longer taken");
    }
    Ok(())
}

fn table(tokens: &[TokenInfo], now: i64) -> Table {
    let mut table = Table::new(&["token", "component", "name", "scopes", "created", "expires"]);
    for token in tokens {
        table.row(vec![
            Cell::from(token.token_id.as_str()),
            Cell::from(token.component_id.as_str()),
            Cell::maybe(token.name.as_ref()),
            Cell::from(scope_list(token.scopes.as_deref())),
            Cell::time(token.created_at.0),
            Cell::expiry(token.expires_at.map(|time| time.0), now),
        ]);
    }
    table
}

/// Revokes tokens by their ids. One that was not there is a failure, though the others are revoked
/// first: whoever mistypes an id must not believe that the token is no longer taken.
async fn revoke(session: &Session, ids: Vec<TokenId>) -> Result<(), Failure> {
    let count = ids.len();
    let mut absent = 0;
    for id in ids {
        let line = id.to_string();
        if revoke_one(session, id).await? {
            say(session, &format!("{line} revoked"))?;
        } else {
            say(session, &format!("{line} there was nothing to revoke"))?;
            absent += 1;
        }
    }
    match absent {
        0 => Ok(()),
        _ => Err(Failure::failed(format!("{absent} of {count} tokens were not there"))),
    }
}

/// Revokes all tokens of a component. They are listed first: a cursor need not outlive what it was
/// made on.
async fn revoke_all_of(session: &Session, component: ComponentId) -> Result<(), Failure> {
    let mut ids = Vec::new();
    let mut params = ListTokensParams {
        component_id: Some(component.clone()),
        limit: Some(Limit(1000)),
        cursor: None,
    };
    loop {
        let page = ask::<ListTokens>(session, params.clone()).await?.read()?;
        ids.extend(page.items.into_iter().map(|token| token.token_id));
        match page.next_cursor {
            Some(next) => params.cursor = Some(next),
            None => break,
        }
    }
    let mut revoked = 0;
    for id in ids {
        let was_there = revoke_one(session, id).await.map_err(|failure| {
            failure.with_hint(&format!("{revoked} tokens of {component} were revoked before that"))
        })?;
        revoked += u64::from(was_there);
    }
    say(session, &format!("{revoked} tokens of {component} revoked"))
}

/// Revokes a token; says whether it was there.
async fn revoke_one(session: &Session, token_id: TokenId) -> Result<bool, Failure> {
    let answer = ask::<RevokeToken>(session, RevokeTokenParams { token_id }).await?;
    if session.output.is_json() {
        session.output.raw(&answer.raw)?;
    }
    Ok(answer.read()?.deleted)
}

/// A line for a person; where JSON was asked for, the answers say it.
fn say(session: &Session, line: &str) -> Result<(), Failure> {
    match session.output.is_json() {
        true => Ok(()),
        false => session.output.line(line),
    }
}
