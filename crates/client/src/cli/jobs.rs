//! `jobs`: long work of the daemon, looked at, waited for, ended.

use std::time::Duration;

use osnova_storage_client::Method;
use osnova_storage_client::api::jobs::{self, Job, JobPage, JobParams, JobState, ListParams};
use osnova_storage_client::api::wire::{JobId, JsonText};
use serde::de::DeserializeOwned;

use super::Session;
use super::arguments::{JobsCommand, Waiting};
use super::ask::{Answer, ask, show};
use super::failure::Failure;
use super::paging::pages;
use super::progress::JobBar;
use super::table::{Cell, Table};

/// A job that is waited for is asked after so often: at first, and, twice as long each time, at most.
const FIRST_LOOK: Duration = Duration::from_millis(20);
const LOOK: Duration = Duration::from_millis(500);

pub(super) async fn run(session: &Session, command: JobsCommand) -> Result<(), Failure> {
    match command {
        JobsCommand::Ls { state, kind, window } => {
            let limit = window.limit();
            let params = ListParams { state, kind, limit, cursor: window.cursor };
            pages::<jobs::List>(
                session,
                params,
                window.all,
                |params| &mut params.cursor,
                |found| found.next_cursor.clone(),
                |page: &JobPage| session.output.table(&list(&page.items)),
            )
            .await
        }
        JobsCommand::Show { job_id } => {
            show::<jobs::Get>(session, JobParams { job_id }, |job| show_job(session, job)).await
        }
        JobsCommand::Cancel { job_ids } => {
            for job_id in job_ids {
                show::<jobs::Cancel>(session, JobParams { job_id }, |job| {
                    session.output.line(&format!("{} {}", job.job_id, after_cancel(job.state)))
                })
                .await?;
            }
            Ok(())
        }
        JobsCommand::Wait { job_id } => {
            let answer = wait(session, job_id).await?;
            let job = answer.read()?;
            match session.output.is_json() {
                true => session.output.raw(&answer.raw)?,
                false => show_job(session, &job)?,
            }
            done(&job).map(|_| ())
        }
    }
}

fn after_cancel(state: JobState) -> &'static str {
    match state {
        JobState::Running => "is told to stop",
        JobState::Done => "is done already",
        JobState::Failed => "has failed already",
        JobState::Cancelled => "is cancelled already",
    }
}

/// Begins a job, waits for it, and tells its result; as JSON, the job as it ended.
pub(super) async fn begin<M: Method<Result = Job>, R: DeserializeOwned>(
    session: &Session,
    params: M::Params,
    waiting: &Waiting,
    tell: impl FnOnce(&R) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let answer = ask::<M>(session, params).await?;
    let begun = answer.read()?;
    if waiting.no_wait {
        return match session.output.is_json() {
            true => session.output.raw(&answer.raw),
            // The id alone: a script waits for it later.
            false => session.output.line(begun.job_id.as_str()),
        };
    }
    let answer = wait(session, begun.job_id).await?;
    let job = answer.read()?;
    if session.output.is_json() {
        session.output.raw(&answer.raw)?;
    }
    let result = done(&job)?;
    let result = serde_json::from_str(result.get()).map_err(|error| {
        Failure::failed(format!("the result of {} can't be read: {error}", job.job_id))
    })?;
    tell(&result)
}

/// A line for a person; where JSON was asked for, the job says it.
pub(super) fn say(session: &Session, line: &str) -> Result<(), Failure> {
    match session.output.is_json() {
        true => Ok(()),
        false => session.output.line(line),
    }
}

/// Waits until a job has ended, with a bar for a person; the answer that says so.
pub(super) async fn wait(session: &Session, job_id: JobId) -> Result<Answer<jobs::Get>, Failure> {
    let mut bar = JobBar::new();
    let mut look = FIRST_LOOK;
    loop {
        let params = JobParams { job_id: job_id.clone() };
        let answer = ask::<jobs::Get>(session, params).await?;
        let job = answer.read()?;
        if job.state != JobState::Running {
            return Ok(answer);
        }
        bar.show(&job);
        tokio::time::sleep(look).await;
        look = (look * 2).min(LOOK);
    }
}

/// The result of a job that has ended.
///
/// # Errors
/// Where it is not done, but failed or was cancelled.
pub(super) fn done(job: &Job) -> Result<&JsonText, Failure> {
    match (&job.result, &job.error) {
        (Some(result), _) => Ok(result),
        (None, Some(error)) => {
            Err(Failure::failed(format!("{}: {}: {}", job.job_id, error.code, error.message)))
        }
        (None, None) => Err(Failure::failed(format!("{}: {}", job.job_id, job.state.as_str()))),
    }
}

/// `7 of 12 pages`.
fn progress(job: &Job) -> String {
    match job.total {
        Some(total) => format!("{} of {} {}", job.done.0, total.0, job.unit),
        None => format!("{} {}", job.done.0, job.unit),
    }
}

fn list(jobs: &[Job]) -> Table {
    let mut table = Table::new(&["job", "state", "progress", "component", "created", "finished"]);
    for job in jobs {
        table.row(vec![
            Cell::from(job.job_id.as_str()),
            Cell::from(job.state.as_str()),
            Cell::from(progress(job)),
            Cell::maybe(job.component_id.as_ref()),
            Cell::time(job.created_at.0),
            Cell::maybe_time(job.finished_at.map(|time| time.0)),
        ]);
    }
    table
}

fn show_job(session: &Session, job: &Job) -> Result<(), Failure> {
    let mut table = Table::pairs();
    table.pair("job", job.job_id.as_str());
    table.pair("kind", job.kind.as_str());
    if let Some(component) = &job.component_id {
        table.pair("component", component.as_str());
    }
    table.pair("state", job.state.as_str());
    table.pair("progress", progress(job));
    table.pair("created", Cell::time(job.created_at.0));
    if let Some(time) = job.finished_at {
        table.pair("finished", Cell::time(time.0));
    }
    if let Some(error) = &job.error {
        table.pair("error", format!("{}: {}", error.code, error.message));
    }
    session.output.table(&table)?;
    job.result.as_ref().map_or(Ok(()), |result| session.output.pretty(result.get()))
}
