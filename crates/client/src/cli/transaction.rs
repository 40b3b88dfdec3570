//! `tx`: what wallets have sent and received. Amounts are printed as the texts that they are.

use osnova_storage_client::api::transactions::{
    self, GetParams, ListParams, StatsParams, Transaction, TransactionPage, TransactionStats,
    UpdateStatusParams,
};
use osnova_storage_client::api::wire::Revision;

use super::Session;
use super::arguments::{TransactionCommand, TransactionFilter};
use super::ask::{self, Record};
use super::failure::Failure;
use super::paging::pages;
use super::table::{Cell, Table};

/// What a transaction without a token's address moves.
const ETH: &str = "ETH";

pub(super) async fn run(session: &Session, command: TransactionCommand) -> Result<(), Failure> {
    match command {
        TransactionCommand::Ls { filter, page } => {
            let TransactionFilter {
                address,
                status,
                token_address,
                network,
                component,
                since,
                until,
            } = filter;
            let params = ListParams {
                address,
                status,
                network,
                token: token_address,
                component_id: component,
                from: since,
                to: until,
                direction: page.direction(),
                limit: page.window.limit(),
                cursor: page.window.cursor,
            };
            pages::<transactions::List>(
                session,
                params,
                page.window.all,
                |params| &mut params.cursor,
                |found| found.next_cursor.clone(),
                |found| session.output.table(&table(found)),
            )
            .await
        }
        TransactionCommand::Show { hash } => {
            let params = GetParams { tx_hash: hash };
            ask::show::<transactions::Get>(session, params, |found| {
                session.output.table(&details(found))
            })
            .await
        }
        TransactionCommand::Put { file, if_revision } => {
            let record = Record::read("transaction", file).await?;
            ask::show_record::<transactions::Put>(session, record, if_revision, |stored| {
                say_status(session, stored)
            })
            .await
        }
        TransactionCommand::Status(what) => {
            let params = UpdateStatusParams {
                tx_hash: what.hash,
                status: what.status,
                confirmed_at: what.confirmed_at,
                gas_used: what.gas_used,
                gas_price_gwei: what.gas_price,
                if_revision: what.if_revision.map(Revision),
                request_id: None,
            };
            ask::show::<transactions::UpdateStatus>(session, params, |stored| {
                say_status(session, stored)
            })
            .await
        }
        TransactionCommand::Stats { filter } => {
            let params = StatsParams {
                address: filter.address,
                status: filter.status,
                network: filter.network,
                token: filter.token_address,
                component_id: filter.component,
                from: filter.since,
                to: filter.until,
            };
            ask::show::<transactions::Stats>(session, params, |stats| show_stats(session, stats))
                .await
        }
    }
}

fn say_status(session: &Session, stored: &Transaction) -> Result<(), Failure> {
    let (hash, status) = (&stored.tx_hash, stored.status.as_str());
    session.output.line(&format!("{hash} {status}, revision {}", stored.revision.0))
}

fn token(transaction: &Transaction) -> &str {
    transaction.token_address.as_ref().map_or(ETH, |address| address.as_str())
}

fn table(page: &TransactionPage) -> Table {
    let headings = ["time", "status", "amount", "token", "from", "to", "network", "hash"];
    let mut table = Table::new(&headings);
    for transaction in &page.items {
        table.row(vec![
            Cell::time(transaction.timestamp.0),
            Cell::from(transaction.status.as_str()),
            Cell::from(transaction.amount.as_str()),
            Cell::from(token(transaction)),
            Cell::from(transaction.from_address.as_str()),
            Cell::from(transaction.to_address.as_str()),
            Cell::from(transaction.network.as_str()),
            Cell::from(transaction.tx_hash.as_str()),
        ]);
    }
    table
}

fn details(transaction: &Transaction) -> Table {
    let mut table = Table::pairs();
    table.pair("hash", transaction.tx_hash.as_str());
    table.pair("from", transaction.from_address.as_str());
    table.pair("to", transaction.to_address.as_str());
    table.pair("amount", transaction.amount.as_str());
    table.pair("token", token(transaction));
    table.pair("network", transaction.network.as_str());
    table.pair("status", transaction.status.as_str());
    let optional = [
        ("gas used", transaction.gas_used.as_ref().map(|amount| amount.as_str())),
        ("gas price (gwei)", transaction.gas_price_gwei.as_ref().map(|amount| amount.as_str())),
        ("purpose", transaction.purpose.as_ref().map(|text| text.as_str())),
        ("component", transaction.component_id.as_ref().map(|id| id.as_str())),
    ];
    for (name, text) in optional {
        if let Some(text) = text {
            table.pair(name, text);
        }
    }
    table.pair("made", Cell::time(transaction.timestamp.0));
    if let Some(time) = transaction.confirmed_at {
        table.pair("confirmed", Cell::time(time.0));
    }
    table.pair("revision", transaction.revision.0.to_string());
    table
}

fn show_stats(session: &Session, stats: &TransactionStats) -> Result<(), Failure> {
    let mut counts = Table::pairs();
    for (name, count) in [
        ("transactions", stats.count),
        ("pending", stats.by_status.pending),
        ("confirmed", stats.by_status.confirmed),
        ("failed", stats.by_status.failed),
    ] {
        counts.pair(name, count.to_string());
    }
    session.output.table(&counts)?;
    let mut tokens = Table::new(&["token", "transactions", "amount", "confirmed"]);
    for total in &stats.by_token {
        tokens.row(vec![
            Cell::from(total.token.as_str()),
            Cell::from(total.count.to_string()),
            Cell::from(total.amount.as_str()),
            Cell::from(total.confirmed_amount.as_str()),
        ]);
    }
    session.output.table(&tokens)
}
