//! `search`: records by their words, the best first.

use osnova_storage_client::api::search::SearchParams;
use osnova_storage_client::api::{applications, components, messages};

use super::Session;
use super::arguments::{RecordSearchArguments, SearchIn};
use super::ask;
use super::failure::Failure;
use super::table::{Cell, Table};

pub(super) async fn run(session: &Session, what: RecordSearchArguments) -> Result<(), Failure> {
    let limit = what.limit();
    let params = SearchParams { query: what.query, limit };
    match what.records {
        SearchIn::Components => {
            ask::show::<components::Search>(session, params, |found| {
                let mut table = Table::new(&["component", "name", "version", "found"]);
                for hit in &found.items {
                    table.row(vec![
                        Cell::from(hit.record.component_id.as_str()),
                        Cell::from(hit.record.name.as_str()),
                        Cell::from(hit.record.version.as_str()),
                        Cell::from(hit.snippet.as_str()),
                    ]);
                }
                session.output.table(&table)
            })
            .await
        }
        SearchIn::Applications => {
            ask::show::<applications::Search>(session, params, |found| {
                let mut table = Table::new(&["application", "name", "version", "found"]);
                for hit in &found.items {
                    table.row(vec![
                        Cell::from(hit.record.application_id.as_str()),
                        Cell::from(hit.record.name.as_str()),
                        Cell::from(hit.record.version.as_str()),
                        Cell::from(hit.snippet.as_str()),
                    ]);
                }
                session.output.table(&table)
            })
            .await
        }
        SearchIn::Messages => {
            ask::show::<messages::Search>(session, params, |found| {
                let mut table = Table::new(&["message", "time", "channel", "sender", "found"]);
                for hit in &found.items {
                    table.row(vec![
                        Cell::from(hit.record.message_id.as_str()),
                        Cell::time(hit.record.timestamp.0),
                        Cell::from(hit.record.channel.as_str()),
                        Cell::from(hit.record.sender.as_str()),
                        Cell::from(hit.snippet.as_str()),
                    ]);
                }
                session.output.table(&table)
            })
            .await
        }
    }
}
