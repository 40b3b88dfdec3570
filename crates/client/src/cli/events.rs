//! `events`: what changes, line by line, until Ctrl-C.

use osnova_storage_client::api::events::{Event, Subscribe, SubscribeParams};
use osnova_storage_client::api::wire::Position;
use osnova_storage_client::{ClientError, Method};

use super::Session;
use super::arguments::EventsArguments;
use super::failure::{Failure, complain};
use super::following::Patience;
use super::refusal::explain;
use super::table::{Cell, Table};

pub(super) async fn follow(session: &Session, asked: EventsArguments) -> Result<(), Failure> {
    let failed = |error: ClientError| explain(session, error, &Subscribe::SPEC);
    let namespaces = Some(asked.namespaces).filter(|names| !names.is_empty());
    let params = SubscribeParams { since: asked.after, namespaces };
    let mut events = session.client.events(params).await.map_err(failed)?;
    let mut bookmark = Bookmark(events.position());
    let mut patience = Patience::default();
    loop {
        match events.next().await {
            Ok(event) => {
                print(session, &event)?;
                bookmark.0 = event.position;
            }
            Err(error) => {
                patience.wait(error, failed).await?;
                while let Err(error) = events.resume().await {
                    patience.wait(error, failed).await?;
                }
                patience.reached();
            }
        }
    }
}

/// The position of the last event that was printed. It is said when it is dropped, which is how Ctrl-C
/// ends a command.
struct Bookmark(Position);

impl Drop for Bookmark {
    fn drop(&mut self) {
        complain(&format!("--after {} goes on from here", self.0.0));
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
