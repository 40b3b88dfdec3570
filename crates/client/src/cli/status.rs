//! `status` and `shutdown`.

use osnova_storage_client::api::{status, system};

use super::Session;
use super::ask;
use super::failure::Failure;
use super::format;
use super::table::{Cell, Table};

/// Says whether the daemon is well.
pub(super) async fn status(session: &Session) -> Result<(), Failure> {
    ask::show::<status::Get>(session, status::NoParams {}, |found| {
        let mut table = Table::pairs();
        table.pair("status", word(found.status));
        table.pair("version", found.version.as_str());
        table.pair("uptime", format::span(found.uptime.0));
        for service in &found.services {
            let detail =
                service.detail.as_deref().map(|text| format!(": {text}")).unwrap_or_default();
            table.pair(&service.name, format!("{}{detail}", word(service.status)));
        }
        for notice in &found.notices {
            table.row(vec![
                Cell::from("notice"),
                Cell::from(format!("{} {}", format::time(notice.since.0), notice.message)),
            ]);
        }
        session.output.table(&table)
    })
    .await
}

fn word(health: status::Health) -> &'static str {
    match health {
        status::Health::Ok => "ok",
        status::Health::Degraded => "degraded",
        status::Health::Error => "error",
    }
}

/// Stops the daemon.
pub(super) async fn shutdown(session: &Session) -> Result<(), Failure> {
    ask::show::<system::Shutdown>(session, system::NoParams {}, |_| {
        session.output.line("the daemon is shutting down")
    })
    .await
}
