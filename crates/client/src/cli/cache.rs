//! `cache`: what was fetched from the Autonomi network and is kept as blobs.

use osnova_storage_client::api::cache::{
    self, CacheEntry, CachePage, EvictParams, GetParams, ListParams, NoParams, RemoveParams,
};
use osnova_storage_client::api::wire::{Revision, UnsignedInteger};

use super::Session;
use super::arguments::CacheCommand;
use super::ask;
use super::failure::Failure;
use super::paging::pages;
use super::records::deleted;
use super::table::{Cell, Table};

pub(super) async fn run(session: &Session, command: CacheCommand) -> Result<(), Failure> {
    match command {
        CacheCommand::Ls { content_hash, page } => {
            let params = ListParams {
                content_hash,
                direction: page.direction(),
                limit: page.window.limit(),
                cursor: page.window.cursor,
            };
            pages::<cache::List>(
                session,
                params,
                page.window.all,
                |params| &mut params.cursor,
                |found| found.next_cursor.clone(),
                |found| session.output.table(&table(found)),
            )
            .await
        }
        CacheCommand::Show { address } => {
            // To be looked at by a person is no use of it: the order of eviction stays.
            let params = GetParams { autonomi_address: address };
            ask::show::<cache::Peek>(session, params, |found| session.output.table(&details(found)))
                .await
        }
        CacheCommand::Rm { address, if_revision } => {
            let params = RemoveParams {
                autonomi_address: address,
                if_revision: if_revision.map(Revision),
                request_id: None,
            };
            ask::show::<cache::Remove>(session, params, |answer| {
                session.output.line(deleted(answer.deleted))
            })
            .await
        }
        CacheCommand::Evict { bytes } => {
            let params = EvictParams { target_bytes: UnsignedInteger(bytes) };
            ask::show::<cache::Evict>(session, params, |evicted| {
                let mut table = Table::pairs();
                table.pair("entries evicted", evicted.entries.to_string());
                table.pair("size", Cell::size(evicted.bytes));
                table.pair("left", Cell::size(evicted.bytes_left));
                session.output.table(&table)
            })
            .await
        }
        CacheCommand::Stats => {
            ask::show::<cache::Stats>(session, NoParams {}, |stats| {
                let mut table = Table::pairs();
                table.pair("entries", stats.entries.to_string());
                table.pair("size", Cell::size(stats.bytes));
                table.pair("hits", stats.hits.to_string());
                table.pair("misses", stats.misses.to_string());
                session.output.table(&table)
            })
            .await
        }
    }
}

fn table(page: &CachePage) -> Table {
    let headings = ["address", "size", "type", "accesses", "last accessed", "blob"];
    let mut table = Table::new(&headings);
    for entry in &page.items {
        table.row(vec![
            Cell::from(entry.autonomi_address.as_str()),
            Cell::size(entry.size.0),
            Cell::from(entry.data_type.as_str()),
            Cell::from(entry.access_count.0.to_string()),
            Cell::time(entry.last_accessed.0),
            Cell::from(entry.blob_hash.to_string()),
        ]);
    }
    table
}

fn details(entry: &CacheEntry) -> Table {
    let mut table = Table::pairs();
    table.pair("address", entry.autonomi_address.as_str());
    table.pair("content hash", entry.content_hash.as_str());
    table.pair("blob", entry.blob_hash.to_string());
    table.pair("size", Cell::size(entry.size.0));
    table.pair("type", entry.data_type.as_str());
    table.pair("cached", Cell::time(entry.cached_at.0));
    table.pair("last accessed", Cell::time(entry.last_accessed.0));
    table.pair("accesses", entry.access_count.0.to_string());
    table.pair("revision", entry.revision.0.to_string());
    table
}
