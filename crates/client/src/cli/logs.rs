//! `logs`: the logs of components, a line for each entry.

use std::time::Duration;

use osnova_storage_client::api::components::Direction;
use osnova_storage_client::api::logs::{
    Append, AppendParams, LogEntry, LogInput, LogPage, Query, QueryParams, Rotate, RotateParams,
    Tail, TailParams,
};
use osnova_storage_client::api::wire::{Cursor, JsonText, Limit, Timestamp, TimestampMs};
use osnova_storage_client::{ComponentId, Method};

use super::Session;
use super::arguments::{LogsCommand, SearchArguments};
use super::ask::{ask, attempt, show};
use super::call::json_argument;
use super::failure::Failure;
use super::following::Patience;
use super::format;
use super::paging::pages;
use super::refusal::explain;

/// How long to wait before looking again for what was appended.
const FOLLOW_PAUSE: Duration = Duration::from_millis(500);

pub(super) async fn run(session: &Session, command: LogsCommand) -> Result<(), Failure> {
    match command {
        LogsCommand::Tail { component, lines, follow } => {
            tail(session, component, lines, follow).await
        }
        LogsCommand::Search(arguments) => search(session, arguments).await,
        LogsCommand::Append { message, level, fields, component } => {
            let fields = match fields {
                Some(text) => Some(json_fields(&text).await?),
                None => None,
            };
            let entries = vec![LogInput { level, message, timestamp_ms: None, fields }];
            let params = AppendParams { entries, component_id: component };
            show::<Append>(session, params, |_| Ok(())).await
        }
        LogsCommand::Rotate { component } => {
            let params = RotateParams { component_id: component };
            show::<Rotate>(session, params, |rotated| {
                let done = if rotated.rotated { "rotated" } else { "there was nothing to rotate" };
                session.output.line(&format!("{done}, {} rotated files", rotated.files.0))
            })
            .await
        }
    }
}

async fn json_fields(text: &str) -> Result<JsonText, Failure> {
    let text = json_argument(text).await?;
    JsonText::parse(text).map_err(|why| Failure::usage(format!("the fields {why}")))
}

async fn tail(
    session: &Session,
    component: Option<ComponentId>,
    lines: Option<u16>,
    follow: bool,
) -> Result<(), Failure> {
    // The daemon answers at least one: where none is asked for, only its position is wanted.
    let limit = lines.map(|lines| Limit(lines.max(1)));
    let params = TailParams { lines: limit, component_id: component.clone() };
    let answer = ask::<Tail>(session, params).await?;
    let tail = answer.read()?;
    match session.output.is_json() {
        _ if lines == Some(0) => {}
        true => session.output.raw(&answer.raw)?,
        false => print(session, &tail.items)?,
    }
    if !follow {
        return Ok(());
    }
    let mut position = tail.position;
    let mut patience = Patience::default();
    loop {
        let answer = match attempt::<Query>(session, from(&position, component.as_ref())).await {
            Ok(answer) => answer,
            Err(error) => {
                let failed = |error| explain(session, error, &Query::SPEC);
                patience.wait(error, failed).await?;
                continue;
            }
        };
        patience.reached();
        let page = answer.read()?;
        if !page.items.is_empty() {
            match session.output.is_json() {
                true => session.output.raw(&answer.raw)?,
                false => print(session, &page.items)?,
            }
        }
        let more = page.next_cursor.is_some();
        if let Some(reached) = page.position {
            position = reached;
        }
        if !more {
            tokio::time::sleep(FOLLOW_PAUSE).await;
        }
    }
}

/// What was appended after a position.
fn from(position: &Cursor, component_id: Option<&ComponentId>) -> QueryParams {
    QueryParams {
        level: None,
        from_ms: None,
        to_ms: None,
        text: None,
        limit: Some(Limit(1000)),
        cursor: Some(position.clone()),
        direction: Some(Direction::Ascending),
        component_id: component_id.cloned(),
    }
}

async fn search(session: &Session, arguments: SearchArguments) -> Result<(), Failure> {
    let millis = |time: Timestamp| TimestampMs(time.0.saturating_mul(1000));
    let params = QueryParams {
        level: arguments.level,
        from_ms: arguments.since.map(millis),
        to_ms: arguments.until.map(millis),
        text: arguments.text,
        limit: arguments.page.window.limit(),
        direction: arguments.page.direction(),
        cursor: arguments.page.window.cursor,
        component_id: arguments.component,
    };
    pages::<Query>(
        session,
        params,
        arguments.page.window.all,
        |params| &mut params.cursor,
        |page| page.next_cursor.clone(),
        |page: &LogPage| print(session, &page.items),
    )
    .await
}

fn print(session: &Session, entries: &[LogEntry]) -> Result<(), Failure> {
    entries.iter().try_for_each(|entry| session.output.line(&line(entry)))
}

/// An entry in a line: when, how grave, what, and what else.
fn line(entry: &LogEntry) -> String {
    let time = entry.timestamp_ms.0;
    let seconds = format::time(time.div_euclid(1000));
    let seconds = seconds.trim_end_matches('Z');
    let fields = entry.fields.as_ref().map(|fields| format!(" {}", fields.get()));
    format!(
        "{seconds}.{:03}Z {:5} {}{}",
        time.rem_euclid(1000),
        entry.level.as_str().to_uppercase(),
        entry.message,
        fields.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use osnova_storage_client::api::logs::LogLevel;

    use super::*;

    #[test]
    fn an_entry_is_a_line() {
        let fields = JsonText::parse("{\"n\":1}".to_owned()).unwrap();
        let entry = LogEntry {
            timestamp_ms: TimestampMs(1_764_028_800_007),
            level: LogLevel::Warn,
            message: "no answer".parse().unwrap(),
            fields: Some(fields),
        };
        assert_eq!(line(&entry), "2025-11-25 00:00:00.007Z WARN  no answer {\"n\":1}");
        let before = LogEntry { timestamp_ms: TimestampMs(-1), fields: None, ..entry };
        assert_eq!(line(&before), "1969-12-31 23:59:59.999Z WARN  no answer");
    }
}
