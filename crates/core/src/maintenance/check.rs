//! Checks whether the database is whole, beside everything else.
//!
//! It has a connection of its own, since it may take minutes. Meanwhile its snapshot holds the WAL back,
//! which `status.get` says once that grows past its limit.

use std::ffi::c_int;

use osnova_storage_api::maintenance::{CheckMode, CheckResult};
use rusqlite::{Connection, ErrorCode};

use crate::db::{Database, search};
use crate::error::{Result, StoreError};
use crate::health::{Cause, Health};
use crate::jobs::Progress;

/// Problems that are told; where there are so many, more say nothing new.
const MAX_PROBLEMS: usize = 100;
/// SQLite's steps between two looks at whether the job was cancelled.
const STEPS: c_int = 1000;

pub(super) fn run(
    db: &Database,
    health: &Health,
    progress: &Progress,
    mode: CheckMode,
) -> Result<CheckResult> {
    let connection = db.open_reader()?;
    let watched = progress.clone();
    connection.progress_handler(
        STEPS,
        Some(move || {
            watched.advance(STEPS.unsigned_abs().into());
            watched.is_cancelled()
        }),
    )?;
    let problems = problems(&connection, mode).map_err(|error| match error {
        StoreError::Database(cause)
            if cause.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) =>
        {
            StoreError::Cancelled
        }
        other => other,
    })?;
    let (of_index, of_records): (Vec<&String>, Vec<&String>) =
        problems.iter().partition(|line| search::is_about_index(line));
    if let Some(first) = of_index.first() {
        tracing::warn!(problem = %first, "the search index is damaged");
        db.search_state().report_broken();
    }
    if let Some(first) = of_records.first() {
        tracing::error!(problem = %first, "the database is damaged");
        health.note(Cause::DatabaseDamaged, "the database is damaged: an integrity check says so");
    }
    Ok(CheckResult { ok: problems.is_empty(), mode, problems })
}

fn problems(connection: &Connection, mode: CheckMode) -> Result<Vec<String>> {
    let check = match mode {
        CheckMode::Quick => "quick_check",
        CheckMode::Full => "integrity_check",
    };
    let mut statement = connection.prepare(&format!("PRAGMA {check}({MAX_PROBLEMS})"))?;
    let lines = statement.query_map([], |row| row.get(0))?;
    let mut problems = lines.collect::<rusqlite::Result<Vec<String>>>()?;
    problems.retain(|line| line != "ok");
    if mode == CheckMode::Full {
        let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
        let missing = statement.query_map([], |row| {
            let (table, parent): (String, String) = (row.get(0)?, row.get(2)?);
            Ok(format!("a row of {table} names one of {parent} that is absent"))
        })?;
        for problem in missing.take(MAX_PROBLEMS.saturating_sub(problems.len())) {
            problems.push(problem?);
        }
    }
    problems.truncate(MAX_PROBLEMS);
    Ok(problems)
}
