//! `ls`, `show`, `set` and `rm`: components and preferences.

use osnova_storage_client::api::wire::{JsonText, Revision};
use osnova_storage_client::api::{components, preferences};

use super::Session;
use super::application;
use super::arguments::{ListWhat, RecordWhat, RemoveWhat, SetArguments};
use super::ask;
use super::call::json_argument;
use super::failure::Failure;
use super::paging::pages;
use super::table::{Cell, Table};

pub(super) async fn list(session: &Session, what: ListWhat) -> Result<(), Failure> {
    match what {
        ListWhat::Components { component_type, order, page } => {
            let params = components::ListParams {
                r#type: component_type,
                order_by: order,
                direction: page.direction(),
                limit: page.window.limit(),
                cursor: page.window.cursor,
            };
            let show = |found: &components::ComponentPage| show_components(session, found);
            pages::<components::List>(
                session,
                params,
                page.window.all,
                |params| &mut params.cursor,
                |found| found.next_cursor.clone(),
                show,
            )
            .await
        }
        ListWhat::Applications(list) => application::list(session, list).await,
        ListWhat::Preferences { prefix, window } => {
            let limit = window.limit();
            let params = preferences::ListParams { prefix, limit, cursor: window.cursor };
            let show = |found: &preferences::PreferencePage| show_preferences(session, found);
            pages::<preferences::List>(
                session,
                params,
                window.all,
                |params| &mut params.cursor,
                |found| found.next_cursor.clone(),
                show,
            )
            .await
        }
    }
}

fn show_components(session: &Session, page: &components::ComponentPage) -> Result<(), Failure> {
    let mut table = Table::new(&["component", "name", "version", "type", "installed", "last used"]);
    for component in &page.items {
        table.row(vec![
            Cell::from(component.component_id.as_str()),
            Cell::from(component.name.as_str()),
            Cell::from(component.version.as_str()),
            Cell::from(component.r#type.as_str()),
            Cell::time(component.installed_at.0),
            Cell::maybe_time(component.last_used.map(|time| time.0)),
        ]);
    }
    session.output.table(&table)
}

fn show_preferences(session: &Session, page: &preferences::PreferencePage) -> Result<(), Failure> {
    let mut table = Table::new(&["key", "value", "updated"]);
    for preference in &page.items {
        table.row(vec![
            Cell::from(preference.key.as_str()),
            Cell::from(preference.value.get()),
            Cell::time(preference.updated_at.0),
        ]);
    }
    session.output.table(&table)
}

pub(super) async fn show(session: &Session, what: RecordWhat) -> Result<(), Failure> {
    match what {
        RecordWhat::Component { id } => {
            let params = components::GetParams { component_id: id };
            ask::show::<components::Get>(session, params, |found| show_component(session, found))
                .await
        }
        RecordWhat::Preference { key } => {
            let params = preferences::GetParams { key };
            ask::show::<preferences::Get>(session, params, |found| {
                session.output.pretty(found.value.get())
            })
            .await
        }
    }
}

fn show_component(session: &Session, component: &components::Component) -> Result<(), Failure> {
    let mut table = Table::pairs();
    table.pair("component", component.component_id.as_str());
    table.pair("name", component.name.as_str());
    table.pair("version", component.version.as_str());
    table.pair("type", component.r#type.as_str());
    let optional = [
        ("description", component.description.as_ref().map(|text| text.as_str())),
        ("author", component.author.as_ref().map(|text| text.as_str())),
        ("license", component.license.as_ref().map(|text| text.as_str())),
        ("autonomi address", component.autonomi_address.as_ref().map(|text| text.as_str())),
    ];
    for (name, text) in optional {
        if let Some(text) = text {
            table.pair(name, text);
        }
    }
    table.pair("installed", Cell::time(component.installed_at.0));
    if let Some(time) = component.last_used {
        table.pair("last used", Cell::time(time.0));
    }
    for (role, hash) in &component.blobs {
        table.pair(&format!("blob {role}"), hash.to_string());
    }
    table.pair("revision", component.revision.0.to_string());
    session.output.table(&table)?;
    session.output.pretty(component.manifest.get())
}

pub(super) async fn set(session: &Session, what: SetArguments) -> Result<(), Failure> {
    let value = JsonText::parse(json_argument(&what.value).await?).map_err(|why| {
        Failure::usage(format!("the value {why} (a text needs quotes: '\"dark\"')"))
    })?;
    let params = preferences::SetParams {
        key: what.key,
        value,
        if_revision: what.if_revision.map(Revision),
        request_id: None,
    };
    ask::show::<preferences::Set>(session, params, |stored| {
        session.output.line(&format!("{} set, revision {}", stored.key, stored.revision.0))
    })
    .await
}

pub(super) async fn remove(session: &Session, what: RemoveWhat) -> Result<(), Failure> {
    match what {
        RemoveWhat::Component { id, if_revision } => {
            let params = components::DeleteParams {
                component_id: id,
                if_revision: if_revision.map(Revision),
                request_id: None,
            };
            ask::show::<components::Delete>(session, params, |answer| {
                session.output.line(deleted(answer.deleted))
            })
            .await
        }
        RemoveWhat::Preference { key, if_revision } => {
            let params = preferences::DeleteParams {
                key,
                if_revision: if_revision.map(Revision),
                request_id: None,
            };
            ask::show::<preferences::Delete>(session, params, |answer| {
                session.output.line(deleted(answer.deleted))
            })
            .await
        }
    }
}

/// What to say of something that is gone.
pub(super) fn deleted(was_there: bool) -> &'static str {
    if was_there { "deleted" } else { "there was nothing to delete" }
}
