//! `events`: what changes, line by line, until Ctrl-C.

use osnova_storage_client::api::events::{Event, Subscribe, SubscribeParams};
use osnova_storage_client::{ClientError, Method};

use super::Session;
use super::arguments::EventsArguments;
use super::failure::Failure;
use super::refusal::explain;
use super::table::{Cell, Table};

pub(super) async fn follow(session: &Session, asked: EventsArguments) -> Result<(), Failure> {
    let failed = |error: ClientError| explain(session, error, &Subscribe::SPEC);
    let namespaces = Some(asked.namespaces).filter(|names| !names.is_empty());
    let params = SubscribeParams { since: asked.since, namespaces };
    let mut events = session.client.events(params).await.map_err(failed)?;
    loop {
        let event = events.next().await.map_err(failed)?;
        print(session, &event)?;
    }
}

fn print(session: &Session, event: &Event) -> Result<(), Failure> {
    if session.output.is_json() {
        let text =
            serde_json::to_string(event).map_err(|error| Failure::failed(error.to_string()))?;
        return session.output.bytes(format!("{text}\n").as_bytes());
    }
    if session.output.is_terminal() {
        let key = event.key.join(" ");
        let (position, kind) = (event.position.0, event.kind.as_str());
        return session.output.line(&format!("{position} {kind:6} {} {key}", event.namespace));
    }
    let mut columns = vec![
        Cell::from(event.position.0.to_string()),
        Cell::from(event.kind.as_str()),
        Cell::from(event.namespace.as_str()),
    ];
    columns.extend(event.key.iter().map(|part| Cell::from(part.as_str())));
    let mut table = Table::pairs();
    table.row(columns);
    session.output.table(&table)
}
