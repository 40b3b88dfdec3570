//! `data`: the folders of components' versions.

use osnova_storage_client::ComponentId;
use osnova_storage_client::api::component_data::{
    DataUsage, DataVersionPage, GetConfig, List, ListParams, Migrate, MigrateParams, Prepare,
    Remove, SetConfig, SetConfigParams, Usage, UsageParams, VersionParams,
};
use osnova_storage_client::api::wire::{DataVersion, JsonText};

use super::Session;
use super::arguments::DataCommand;
use super::ask::show;
use super::call::json_argument;
use super::failure::{Failure, complain};
use super::paging::pages;
use super::records::deleted;
use super::table::{Cell, Table};

pub(super) async fn run(session: &Session, command: DataCommand) -> Result<(), Failure> {
    match command {
        DataCommand::Prepare { version, component } => {
            let params = VersionParams { version, component_id: component };
            show::<Prepare>(session, params, |made| session.output.line(&made.path)).await
        }
        DataCommand::Ls { component, window } => {
            let limit = window.limit();
            let params = ListParams { limit, cursor: window.cursor, component_id: component };
            pages::<List>(
                session,
                params,
                window.all,
                |params| &mut params.cursor,
                |page| page.next_cursor.clone(),
                |page| session.output.table(&table(page)),
            )
            .await
        }
        DataCommand::Usage { version, component } => {
            let params = UsageParams { version, component_id: component };
            show::<Usage>(session, params, |usage| session.output.table(&counts(usage))).await
        }
        DataCommand::Config { version, config, component } => {
            configure(session, version, config, component).await
        }
        DataCommand::Migrate { from, to, component } => {
            let params =
                MigrateParams { from_version: from, to_version: to, component_id: component };
            show::<Migrate>(session, params, |migrated| {
                // The path stands alone, so that a script can take it.
                complain(&format!(
                    "{} files copied, {} links and the like left out",
                    migrated.files.0, migrated.skipped.0
                ));
                session.output.line(&migrated.path)
            })
            .await
        }
        DataCommand::Rm { version, component } => {
            let params = VersionParams { version, component_id: component };
            show::<Remove>(session, params, |answer| session.output.line(deleted(answer.deleted)))
                .await
        }
    }
}

/// Shows a configuration, or replaces it.
async fn configure(
    session: &Session,
    version: DataVersion,
    config: Option<String>,
    component_id: Option<ComponentId>,
) -> Result<(), Failure> {
    let Some(config) = config else {
        let params = VersionParams { version, component_id };
        return show::<GetConfig>(session, params, |found| {
            session.output.pretty(found.config.get())
        })
        .await;
    };
    let config = JsonText::parse(json_argument(&config).await?)
        .map_err(|why| Failure::usage(format!("the configuration {why}")))?;
    let params = SetConfigParams { version, config, component_id };
    show::<SetConfig>(session, params, |stored| {
        session.output.line(&format!("configuration of {} set", stored.version))
    })
    .await
}

fn table(page: &DataVersionPage) -> Table {
    let mut table = Table::new(&["version", "updated", "path"]);
    for item in &page.items {
        table.row(vec![
            Cell::from(item.version.to_string()),
            Cell::time(item.updated_at.0),
            Cell::from(item.path.as_str()),
        ]);
    }
    table
}

fn counts(usage: &DataUsage) -> Table {
    let mut table = Table::pairs();
    table.pair("files", usage.files.0.to_string());
    table.pair("size", Cell::size(usage.bytes.0));
    table.pair("passed over", usage.skipped.0.to_string());
    table
}
