//! `maintenance`: the database as a file. Commands that begin a job wait for its end, unless told not to.

use osnova_storage_client::api::maintenance::{
    Analyze, AnalyzeResult, CheckMode, CheckParams, CheckResult, Checkpoint, DatabaseStats,
    IntegrityCheck, NoParams, Stats, Vacuum, VacuumResult,
};

use super::Session;
use super::arguments::MaintenanceCommand;
use super::ask::show;
use super::failure::Failure;
use super::format;
use super::jobs::{self, say};
use super::table::{Cell, Table};

pub(super) async fn run(session: &Session, command: MaintenanceCommand) -> Result<(), Failure> {
    match command {
        MaintenanceCommand::Stats => {
            show::<Stats>(session, NoParams {}, |found| show_stats(session, found)).await
        }
        MaintenanceCommand::Checkpoint => {
            show::<Checkpoint>(session, NoParams {}, |done| {
                let size = format::size;
                let (before, after) = (done.wal_bytes_before.0, done.wal_bytes_after.0);
                session.output.line(&format!("log {} -> {}", size(before), size(after)))?;
                match done.complete {
                    true => Ok(()),
                    false => Err(Failure::failed("a reader kept the log from being emptied")),
                }
            })
            .await
        }
        MaintenanceCommand::Vacuum(waiting) => {
            jobs::begin::<Vacuum, VacuumResult>(session, NoParams {}, &waiting, |done| {
                let size = format::size;
                let (before, after) = (done.database_bytes_before.0, done.database_bytes_after.0);
                say(
                    session,
                    &format!(
                        "{} pages freed, database {} -> {}",
                        done.pages_freed.0,
                        size(before),
                        size(after)
                    ),
                )
            })
            .await
        }
        MaintenanceCommand::Analyze(waiting) => {
            jobs::begin::<Analyze, AnalyzeResult>(session, NoParams {}, &waiting, |done| {
                say(session, &format!("{} tables analyzed", done.tables.0))
            })
            .await
        }
        MaintenanceCommand::Check { full, waiting } => {
            let params = CheckParams { mode: full.then_some(CheckMode::Full) };
            jobs::begin::<IntegrityCheck, CheckResult>(session, params, &waiting, |found| {
                show_check(session, found)?;
                match found.ok {
                    true => Ok(()),
                    false => Err(Failure::failed("the database is damaged")),
                }
            })
            .await
        }
    }
}

fn show_check(session: &Session, found: &CheckResult) -> Result<(), Failure> {
    if found.ok {
        return say(session, "the database is whole");
    }
    found.problems.iter().try_for_each(|problem| say(session, problem))
}

fn show_stats(session: &Session, found: &DatabaseStats) -> Result<(), Failure> {
    let mut table = Table::pairs();
    table.pair("database", Cell::size(found.database_bytes.0));
    table.pair("pages", format!("{} of {} bytes", found.pages.0, found.page_size.0));
    let percent = found.free_pages.0 * 100 / found.pages.0.max(1);
    table.pair("free pages", format!("{} ({percent} %)", found.free_pages.0));
    table.pair("log", Cell::size(found.wal_bytes.0));
    table.pair("writes waiting", found.queue_depth.0.to_string());
    table.pair("change feed", found.feed_length.0.to_string());
    table.pair("jobs running", found.jobs_running.0.to_string());
    session.output.table(&table)?;
    let mut table = Table::new(&["table", "rows", "size", "indices"]);
    for found in &found.tables {
        let size = |bytes: Option<_>| match bytes {
            Some(osnova_storage_client::api::wire::UnsignedInteger(bytes)) => Cell::size(bytes),
            None => Cell::from("?"),
        };
        let rows = match found.rows {
            Some(rows) if found.exact => rows.0.to_string(),
            Some(rows) => format!("~{}", rows.0),
            None => "?".to_owned(),
        };
        table.row(vec![
            Cell::from(found.name.as_str()),
            Cell::from(rows),
            size(found.bytes),
            size(found.index_bytes),
        ]);
    }
    session.output.table(&table)
}
