//! `kv`: the values that components store.

use osnova_storage_client::api::storage::{
    self, DeleteParams, ListParams, ReadParams, ValuePage, WriteParams,
};
use osnova_storage_client::api::wire::{JsonText, Revision, TtlSeconds};

use super::Session;
use super::arguments::KvCommand;
use super::ask;
use super::call::json_argument;
use super::failure::Failure;
use super::moment;
use super::paging::pages;
use super::records::deleted;
use super::table::{Cell, Table};

pub(super) async fn run(session: &Session, command: KvCommand) -> Result<(), Failure> {
    match command {
        KvCommand::Get { key, whose } => {
            let params = ReadParams { key, component_id: whose.component };
            let show = |found: &storage::StoredValue| session.output.pretty(found.value.get());
            ask::show::<storage::Read>(session, params, show).await
        }
        KvCommand::Set { key, value, ttl, if_revision, whose } => {
            let params = WriteParams {
                key,
                value: value_argument(&value).await?,
                ttl_seconds: ttl.map(ttl_seconds).transpose()?,
                component_id: whose.component,
                if_revision: if_revision.map(Revision),
                request_id: None,
            };
            ask::show::<storage::Write>(session, params, |written| {
                let line = format!("{} set, revision {}", written.key, written.revision.0);
                session.output.line(&line)
            })
            .await
        }
        KvCommand::Ls { prefix, values, whose, window } => {
            let params = ListParams {
                prefix,
                limit: window.limit(),
                cursor: window.cursor,
                values: values.then_some(true),
                component_id: whose.component,
            };
            pages::<storage::List>(
                session,
                params,
                window.all,
                |params| &mut params.cursor,
                |found| found.next_cursor.clone(),
                |found| session.output.table(&table(found, values)),
            )
            .await
        }
        KvCommand::Rm { key, if_revision, whose } => {
            let params = DeleteParams {
                key,
                component_id: whose.component,
                if_revision: if_revision.map(Revision),
                request_id: None,
            };
            ask::show::<storage::Delete>(session, params, |answer| {
                session.output.line(deleted(answer.deleted))
            })
            .await
        }
    }
}

async fn value_argument(argument: &str) -> Result<JsonText, Failure> {
    JsonText::parse(json_argument(argument).await?)
        .map_err(|why| Failure::usage(format!("the value {why} (a text needs quotes: '\"dark\"')")))
}

fn ttl_seconds(span: i64) -> Result<TtlSeconds, Failure> {
    let too_long = || Failure::usage("a value can live for a hundred years at most");
    let span = Some(span).filter(|span| *span <= TtlSeconds::MAX);
    span.and_then(|span| u32::try_from(span).ok()).map(TtlSeconds).ok_or_else(too_long)
}

fn table(page: &ValuePage, values: bool) -> Table {
    let mut headings = vec!["key", "size", "updated", "expires"];
    if values {
        headings.push("value");
    }
    let mut table = Table::new(&headings);
    let now = moment::now();
    for item in &page.items {
        let mut cells = vec![
            Cell::from(item.key.as_str()),
            Cell::size(item.size.0),
            Cell::time(item.updated_at.0),
            Cell::expiry(item.expires_at.map(|time| time.0), now),
        ];
        cells.extend(item.value.as_ref().map(|value| Cell::from(value.get())));
        table.row(cells);
    }
    table
}
