//! `jobs`: what long work was begun, and how it ended. How far a running one is stands in memory only
//! ([`crate::jobs`]).

use osnova_storage_api::jobs::{Job, JobPage, JobState, ListParams};
use osnova_storage_api::wire::{JobId, JsonText, Name, Timestamp, UnsignedInteger};
use rusqlite::{OptionalExtension, Row};

use super::columns;
use super::page::Query;
use super::tx::{ChangeKind, Reader, Tx};
use crate::caller::Caller;
use crate::error::{Result, StoreError};

const NAMESPACE: &str = "jobs";
/// How many jobs that have ended are kept; older ones are forgotten.
pub const KEPT_FINISHED: u32 = 1000;
/// About how many bytes a job takes on the wire beside its result and its error.
const ITEM_BYTES: usize = 512;

/// A query of whole rows, as [`from_row`] reads them.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT job_seq, job_id, kind, component_id, state, done, total, unit, result_json,
                    error_json, created_at, finished_at
             FROM jobs ",
            $rest
        )
    };
}

/// A row: its place in the list, and the job.
fn from_row(row: &Row<'_>) -> rusqlite::Result<(i64, Job)> {
    let error: Option<String> = row.get(9)?;
    let job = Job {
        job_id: columns::text(row, 1)?,
        kind: columns::text(row, 2)?,
        component_id: columns::optional_text(row, 3)?,
        state: columns::word(row, 4, JobState::from_word)?,
        done: UnsignedInteger(row.get(5)?),
        total: row.get::<_, Option<u64>>(6)?.map(UnsignedInteger),
        unit: row.get(7)?,
        result: columns::optional_json(row, 8)?,
        error: error.map(|_| columns::json_as(row, 9)).transpose()?,
        created_at: Timestamp(row.get(10)?),
        finished_at: row.get::<_, Option<i64>>(11)?.map(Timestamp),
    };
    Ok((row.get(0)?, job))
}

/// Under which id a component sees its jobs; `None` for the owner, who sees all.
fn sees_only(caller: &Caller) -> Option<&str> {
    match caller {
        Caller::Owner => None,
        Caller::Component { id, .. } => Some(id.as_str()),
    }
}

/// Enters a job that begins.
pub(crate) fn begin(tx: &Tx<'_>, caller: &Caller, kind: &Name, unit: &str) -> Result<Job> {
    let seq: i64 = tx
        .connection()
        .prepare_cached("SELECT coalesce(max(job_seq), 0) + 1 FROM jobs")?
        .query_row([], |row| row.get(0))?;
    let job_id = JobId::try_from(format!("{kind}-{seq}")).map_err(StoreError::Internal)?;
    tx.connection()
        .prepare_cached(
            "INSERT INTO jobs (job_seq, job_id, kind, component_id, state, done, unit, created_at)
             VALUES (?1, ?2, ?3, ?4, 'running', 0, ?5, ?6)",
        )?
        .execute((seq, job_id.as_str(), kind.as_str(), sees_only(caller), unit, tx.now()))?;
    changed(tx, sees_only(caller), &job_id)?;
    let component_id = match caller {
        Caller::Owner => None,
        Caller::Component { id, .. } => Some(id.clone()),
    };
    Ok(Job {
        job_id,
        kind: kind.clone(),
        component_id,
        state: JobState::Running,
        done: UnsignedInteger(0),
        total: None,
        unit: unit.to_owned(),
        result: None,
        error: None,
        created_at: Timestamp(tx.now()),
        finished_at: None,
    })
}

/// The first of these jobs that has not been written down as ended.
pub(crate) fn still_running(
    reader: Reader<'_>,
    jobs: impl Iterator<Item = Job>,
) -> Result<Option<Job>> {
    let mut statement = reader.connection().prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM jobs WHERE job_id = ?1 AND state = 'running')",
    )?;
    for job in jobs {
        if statement.query_row([job.job_id.as_str()], |row| row.get(0))? {
            return Ok(Some(job));
        }
    }
    Ok(None)
}

/// Tells the feed that a job has changed.
pub(crate) fn changed(tx: &Tx<'_>, component: Option<&str>, id: &JobId) -> Result<()> {
    tx.record_change_of(component, NAMESPACE, &[id.as_str()], ChangeKind::Put)?;
    Ok(())
}

/// Writes down how a job ended, and forgets the oldest.
pub(crate) fn finish(tx: &Tx<'_>, job: &Job) -> Result<()> {
    let error = job.error.as_ref().map(serde_json::to_string).transpose();
    let error = error.map_err(|error| StoreError::Internal(format!("a job's error: {error}")))?;
    tx.connection()
        .prepare_cached(
            "UPDATE jobs SET state = ?2, done = ?3, total = ?4, result_json = ?5, error_json = ?6,
                             finished_at = ?7
             WHERE job_id = ?1",
        )?
        .execute((
            job.job_id.as_str(),
            job.state.as_str(),
            job.done.0,
            job.total.map(|total| total.0),
            job.result.as_ref().map(JsonText::get),
            error,
            job.finished_at.map_or_else(|| tx.now(), |time| time.0),
        ))?;
    changed(tx, job.component_id.as_ref().map(|id| id.as_str()), &job.job_id)?;
    forget_oldest(tx)
}

/// Keeps the table bounded.
fn forget_oldest(tx: &Tx<'_>) -> Result<()> {
    let mut statement = tx.connection().prepare_cached(
        "DELETE FROM jobs WHERE state <> 'running' AND job_seq <=
           (SELECT job_seq FROM jobs WHERE state <> 'running' ORDER BY job_seq DESC LIMIT 1 OFFSET ?1)
         RETURNING job_id, component_id",
    )?;
    let rows = statement.query_map([KEPT_FINISHED], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?))
    })?;
    for (id, component) in rows.collect::<rusqlite::Result<Vec<_>>>()? {
        tx.record_change_of(component.as_deref(), NAMESPACE, &[&id], ChangeKind::Delete)?;
    }
    Ok(())
}

/// The jobs that the table says are running.
pub(crate) fn running(reader: Reader<'_>) -> Result<Vec<Job>> {
    let mut statement =
        reader.connection().prepare_cached(select!("WHERE state = 'running' ORDER BY job_seq"))?;
    let jobs = statement.query_map([], |row| Ok(from_row(row)?.1))?;
    Ok(jobs.collect::<rusqlite::Result<_>>()?)
}

/// Reads one job, as the table has it.
///
/// # Errors
/// `not_found` where it is absent, or another's.
pub(crate) fn get(reader: Reader<'_>, caller: &Caller, id: &JobId) -> Result<Job> {
    reader
        .connection()
        .prepare_cached(select!("WHERE job_id = ?1 AND (?2 IS NULL OR component_id = ?2)"))?
        .query_row((id.as_str(), sees_only(caller)), from_row)
        .optional()?
        .map(|(_, job)| job)
        .ok_or_else(|| StoreError::not_found("job"))
}

/// A page of jobs, the newest first; `as_it_is` puts in what memory knows of those that run.
///
/// # Errors
/// `validation_error` where the cursor is another list's.
pub(crate) fn list(
    reader: Reader<'_>,
    caller: &Caller,
    params: &ListParams,
    as_it_is: impl Fn(Job) -> Job,
) -> Result<JobPage> {
    let state = params.state.map(JobState::as_str);
    let kind = params.kind.as_ref().map(Name::as_str);
    let filter = [state.unwrap_or_default(), kind.unwrap_or_default()];
    let query = Query::new("jobs.list", &filter, params.limit);
    let before: Option<i64> = query.after(params.cursor.as_ref())?;
    let mut page = query.page();
    // The table has a thousand rows and a few: no index but the one it is ordered by is needed.
    let mut statement = reader.connection().prepare_cached(select!(
        "WHERE job_seq < ?1 AND (?2 IS NULL OR state = ?2) AND (?3 IS NULL OR kind = ?3)
           AND (?4 IS NULL OR component_id = ?4)
         ORDER BY job_seq DESC LIMIT ?5"
    ))?;
    let before = before.unwrap_or(i64::MAX);
    let rows = statement
        .query_map((before, state, kind, sees_only(caller), page.rows_left()), from_row)?;
    for row in rows {
        let (seq, job) = row?;
        let job = as_it_is(job);
        let result = job.result.as_ref().map_or(0, |result| result.get().len());
        let error = job.error.as_ref().map_or(0, |error| error.message.len());
        if !page.push(job, seq, ITEM_BYTES + result + error) {
            break;
        }
    }
    let (items, next_cursor) = page.finish()?;
    Ok(JobPage { items, next_cursor })
}
