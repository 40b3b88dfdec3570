//! `app`, and `ls applications`: applications and their settings.

use osnova_storage_client::api::application_config as config;
use osnova_storage_client::api::applications::{
    self, Application, ApplicationPage, ChangeParams, GetParams, ListParams,
};
use osnova_storage_client::api::wire::{JsonText, Revision};

use super::Session;
use super::arguments::{ApplicationCommand, ApplicationList, ConfigCommand};
use super::ask::{self, Record};
use super::call::json_argument;
use super::failure::Failure;
use super::paging::pages;
use super::records::deleted;
use super::table::{Cell, Table};

pub(super) async fn run(session: &Session, command: ApplicationCommand) -> Result<(), Failure> {
    match command {
        ApplicationCommand::Ls(arguments) => list(session, arguments).await,
        ApplicationCommand::Show { id } => {
            let params = GetParams { application_id: id };
            ask::show::<applications::Get>(session, params, |found| show(session, found)).await
        }
        ApplicationCommand::Put { file, if_revision } => {
            let record = Record::read("application", file).await?;
            ask::show_record::<applications::Put>(session, record, if_revision, |stored| {
                let (id, revision) = (&stored.application_id, stored.revision.0);
                session.output.line(&format!("{id} stored, revision {revision}"))
            })
            .await
        }
        ApplicationCommand::Launch { id } => {
            let params = ChangeParams { application_id: id, if_revision: None, request_id: None };
            ask::show::<applications::RecordLaunch>(session, params, |launched| {
                let (id, count) = (&launched.application_id, launched.launch_count.0);
                session.output.line(&format!("{id} launched, {count} in all"))
            })
            .await
        }
        ApplicationCommand::Rm { id, if_revision } => {
            let params = ChangeParams {
                application_id: id,
                if_revision: if_revision.map(Revision),
                request_id: None,
            };
            ask::show::<applications::Delete>(session, params, |answer| {
                session.output.line(deleted(answer.deleted))
            })
            .await
        }
        ApplicationCommand::Config(command) => settings(session, command).await,
    }
}

/// Lists applications.
pub(super) async fn list(session: &Session, arguments: ApplicationList) -> Result<(), Failure> {
    let ApplicationList { order, page } = arguments;
    let params = ListParams {
        order_by: order,
        direction: page.direction(),
        limit: page.window.limit(),
        cursor: page.window.cursor,
    };
    pages::<applications::List>(
        session,
        params,
        page.window.all,
        |params| &mut params.cursor,
        |found| found.next_cursor.clone(),
        |found| session.output.table(&table(found)),
    )
    .await
}

fn table(page: &ApplicationPage) -> Table {
    let headings = ["application", "name", "version", "installed", "last launched", "launches"];
    let mut table = Table::new(&headings);
    for application in &page.items {
        table.row(vec![
            Cell::from(application.application_id.as_str()),
            Cell::from(application.name.as_str()),
            Cell::from(application.version.as_str()),
            Cell::time(application.installed_at.0),
            Cell::maybe_time(application.last_launched.map(|time| time.0)),
            Cell::from(application.launch_count.0.to_string()),
        ]);
    }
    table
}

fn show(session: &Session, application: &Application) -> Result<(), Failure> {
    let mut table = Table::pairs();
    table.pair("application", application.application_id.as_str());
    table.pair("name", application.name.as_str());
    table.pair("version", application.version.as_str());
    let optional = [
        ("description", application.description.as_ref().map(|text| text.as_str())),
        ("author", application.author.as_ref().map(|text| text.as_str())),
        ("autonomi address", application.autonomi_address.as_ref().map(|text| text.as_str())),
    ];
    for (name, text) in optional {
        if let Some(text) = text {
            table.pair(name, text);
        }
    }
    table.pair("installed", Cell::time(application.installed_at.0));
    if let Some(time) = application.last_launched {
        table.pair("last launched", Cell::time(time.0));
    }
    table.pair("launches", application.launch_count.0.to_string());
    if let Some(hash) = &application.icon_blob_hash {
        table.pair("icon", hash.to_string());
    }
    for (role, hash) in &application.blobs {
        table.pair(&format!("blob {role}"), hash.to_string());
    }
    table.pair("revision", application.revision.0.to_string());
    session.output.table(&table)?;
    session.output.pretty(application.manifest.get())
}

async fn settings(session: &Session, command: ConfigCommand) -> Result<(), Failure> {
    match command {
        ConfigCommand::Ls { id, prefix, window } => {
            let limit = window.limit();
            let params =
                config::ListParams { application_id: id, prefix, limit, cursor: window.cursor };
            pages::<config::List>(
                session,
                params,
                window.all,
                |params| &mut params.cursor,
                |found| found.next_cursor.clone(),
                |found| session.output.table(&settings_table(found)),
            )
            .await
        }
        ConfigCommand::Get { id, key } => {
            let params = config::GetParams { application_id: id, key };
            ask::show::<config::Get>(session, params, |found| {
                session.output.pretty(found.value.get())
            })
            .await
        }
        ConfigCommand::Set { id, key, value, if_revision } => {
            let value = JsonText::parse(json_argument(&value).await?).map_err(|why| {
                Failure::usage(format!("the value {why} (a text needs quotes: '\"dark\"')"))
            })?;
            let params = config::SetParams {
                application_id: id,
                key,
                value,
                if_revision: if_revision.map(Revision),
                request_id: None,
            };
            ask::show::<config::Set>(session, params, |stored| {
                session.output.line(&format!("{} set, revision {}", stored.key, stored.revision.0))
            })
            .await
        }
        ConfigCommand::Rm { id, key, if_revision } => {
            let params = config::DeleteParams {
                application_id: id,
                key,
                if_revision: if_revision.map(Revision),
                request_id: None,
            };
            ask::show::<config::Delete>(session, params, |answer| {
                session.output.line(deleted(answer.deleted))
            })
            .await
        }
    }
}

fn settings_table(page: &config::ConfigPage) -> Table {
    let mut table = Table::new(&["key", "value", "updated"]);
    for setting in &page.items {
        table.row(vec![
            Cell::from(setting.key.as_str()),
            Cell::from(setting.value.get()),
            Cell::time(setting.updated_at.0),
        ]);
    }
    table
}
