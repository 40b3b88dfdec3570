//! `key`: which keys components have derived. Public parts only; no key itself is stored.

use osnova_storage_client::api::keys::{
    self, DeleteParams, GetByPublicKeyParams, GetParams, KeyInfo, KeyPage, ListParams,
    RegisterParams, ReserveIndexParams,
};
use osnova_storage_client::api::wire::{DerivationIndex, Revision};

use super::Session;
use super::arguments::KeyCommand;
use super::ask;
use super::failure::Failure;
use super::paging::pages;
use super::records::deleted;
use super::table::{Cell, Table};

pub(super) async fn run(session: &Session, command: KeyCommand) -> Result<(), Failure> {
    match command {
        KeyCommand::Ls { component, window } => {
            let limit = window.limit();
            let params = ListParams { component_id: component, limit, cursor: window.cursor };
            pages::<keys::ListForComponent>(
                session,
                params,
                window.all,
                |params| &mut params.cursor,
                |found| found.next_cursor.clone(),
                |found| session.output.table(&table(found)),
            )
            .await
        }
        KeyCommand::Show { public_key: Some(public_key), .. } => {
            let params = GetByPublicKeyParams { public_key };
            let show = |found: &KeyInfo| session.output.table(&details(found));
            ask::show::<keys::GetByPublicKey>(session, params, show).await
        }
        KeyCommand::Show { index: Some(index), component, .. } => {
            let derivation_index = DerivationIndex(index);
            let params = GetParams { derivation_index, component_id: component };
            let show = |found: &KeyInfo| session.output.table(&details(found));
            ask::show::<keys::Get>(session, params, show).await
        }
        // The grammar asks for one of the two.
        KeyCommand::Show { .. } => Err(Failure::usage("a public key or --index is needed")),
        KeyCommand::Register { public_key, key_type, purpose, index, component } => {
            let params = RegisterParams {
                public_key,
                key_type,
                purpose,
                derivation_index: index.map(DerivationIndex),
                component_id: component,
                request_id: None,
            };
            ask::show::<keys::Register>(session, params, |key| {
                session.output.line(&key.derivation_index.0.to_string())
            })
            .await
        }
        KeyCommand::Rm { public_key, if_revision } => {
            let params = DeleteParams {
                public_key,
                if_revision: if_revision.map(Revision),
                request_id: None,
            };
            ask::show::<keys::Delete>(session, params, |answer| {
                session.output.line(deleted(answer.deleted))
            })
            .await
        }
        KeyCommand::Reserve { component } => {
            let params = ReserveIndexParams { component_id: component, request_id: None };
            ask::show::<keys::ReserveIndex>(session, params, |reserved| {
                session.output.line(&reserved.derivation_index.0.to_string())
            })
            .await
        }
    }
}

fn table(page: &KeyPage) -> Table {
    let headings = ["index", "type", "public key", "purpose", "created", "last used"];
    let mut table = Table::new(&headings);
    for key in &page.items {
        table.row(vec![
            Cell::from(key.derivation_index.0.to_string()),
            Cell::from(key.key_type.as_str()),
            Cell::from(key.public_key.as_str()),
            Cell::maybe(key.purpose.as_ref()),
            Cell::time(key.created_at.0),
            Cell::maybe_time(key.last_used.map(|time| time.0)),
        ]);
    }
    table
}

fn details(key: &KeyInfo) -> Table {
    let mut table = Table::pairs();
    table.pair("component", key.component_id.as_str());
    table.pair("index", key.derivation_index.0.to_string());
    table.pair("type", key.key_type.as_str());
    table.pair("public key", key.public_key.as_str());
    if let Some(purpose) = &key.purpose {
        table.pair("purpose", purpose.as_str());
    }
    table.pair("created", Cell::time(key.created_at.0));
    if let Some(time) = key.last_used {
        table.pair("last used", Cell::time(time.0));
    }
    table.pair("revision", key.revision.0.to_string());
    table
}
