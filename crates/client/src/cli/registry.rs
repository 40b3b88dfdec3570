//! `registry`: which components run, as which processes.

use osnova_storage_client::api::registry::{
    self, GetParams, HeartbeatParams, ListParams, ReapParams, RegisterParams, RegistryEntry,
    RemoveParams, SetStatusParams,
};
use osnova_storage_client::api::wire::{Revision, UnsignedInteger};

use super::Session;
use super::arguments::RegistryCommand;
use super::ask;
use super::failure::Failure;
use super::paging::pages;
use super::records::deleted;
use super::table::{Cell, Table};

pub(super) async fn run(session: &Session, command: RegistryCommand) -> Result<(), Failure> {
    match command {
        RegistryCommand::Ls { status, window } => {
            let limit = window.limit();
            let params = ListParams { status, limit, cursor: window.cursor };
            pages::<registry::List>(
                session,
                params,
                window.all,
                |params| &mut params.cursor,
                |found| found.next_cursor.clone(),
                |found| session.output.table(&table(&found.items)),
            )
            .await
        }
        RegistryCommand::Show { id } => {
            let params = GetParams { component_id: id };
            ask::show::<registry::Get>(session, params, |found| {
                session.output.table(&details(found))
            })
            .await
        }
        RegistryCommand::Register(process) => {
            let params = RegisterParams {
                version: process.version,
                pid: process.pid,
                endpoint: process.address,
                status: process.status,
                component_id: process.component,
                if_revision: process.if_revision.map(Revision),
                request_id: None,
            };
            let say = |entry: &RegistryEntry| say_status(session, entry);
            ask::show::<registry::Register>(session, params, say).await
        }
        RegistryCommand::Heartbeat { id, pid } => {
            let params = HeartbeatParams { component_id: id, pid };
            ask::show::<registry::Heartbeat>(session, params, |_| Ok(())).await
        }
        RegistryCommand::Reap { stale } => {
            let stale = stale.and_then(|span| u64::try_from(span).ok()).map(UnsignedInteger);
            let params = ReapParams { stale_after_seconds: stale };
            ask::show::<registry::Reap>(session, params, |reaped| {
                session.output.table(&table(&reaped.items))
            })
            .await
        }
        RegistryCommand::Rm { id, if_revision } => {
            let params = RemoveParams {
                component_id: Some(id),
                if_revision: if_revision.map(Revision),
                request_id: None,
            };
            ask::show::<registry::Remove>(session, params, |answer| {
                session.output.line(deleted(answer.deleted))
            })
            .await
        }
        RegistryCommand::Status { id, status, if_revision } => {
            let params = SetStatusParams {
                status,
                component_id: id,
                if_revision: if_revision.map(Revision),
                request_id: None,
            };
            let say = |entry: &RegistryEntry| say_status(session, entry);
            ask::show::<registry::SetStatus>(session, params, say).await
        }
    }
}

fn say_status(session: &Session, entry: &RegistryEntry) -> Result<(), Failure> {
    let (id, status) = (&entry.component_id, entry.status.as_str());
    session.output.line(&format!("{id} {status}, revision {}", entry.revision.0))
}

fn table(entries: &[RegistryEntry]) -> Table {
    let headings =
        ["component", "version", "status", "pid", "started", "last heartbeat", "restarts"];
    let mut table = Table::new(&headings);
    for entry in entries {
        table.row(vec![
            Cell::from(entry.component_id.as_str()),
            Cell::from(entry.version.as_str()),
            Cell::from(entry.status.as_str()),
            Cell::from(entry.pid.0.to_string()),
            Cell::time(entry.started_at.0),
            Cell::maybe_time(entry.last_heartbeat.map(|time| time.0)),
            Cell::from(entry.restart_count.0.to_string()),
        ]);
    }
    table
}

fn details(entry: &RegistryEntry) -> Table {
    let mut table = Table::pairs();
    table.pair("component", entry.component_id.as_str());
    table.pair("version", entry.version.as_str());
    table.pair("status", entry.status.as_str());
    table.pair("pid", entry.pid.0.to_string());
    table.pair("endpoint", entry.endpoint.as_str());
    table.pair("started", Cell::time(entry.started_at.0));
    if let Some(time) = entry.last_heartbeat {
        table.pair("last heartbeat", Cell::time(time.0));
    }
    table.pair("restarts", entry.restart_count.0.to_string());
    table.pair("revision", entry.revision.0.to_string());
    table
}
