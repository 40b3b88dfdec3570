//! `wallet_transactions`, `transaction_totals`: what wallets have sent and received, and what it comes to.
//!
//! Counts and sums are kept by component, token and status in the transactions that change them, so that
//! they are there without a scan. Amounts are texts, added digit by digit ([`Decimal`]).

use std::borrow::Cow;
use std::collections::BTreeMap;

use osnova_storage_api::components::Direction;
use osnova_storage_api::transactions::{
    GetParams, ListParams, PutParams, StatsParams, StatusCounts, TokenTotal, Transaction,
    TransactionInput, TransactionPage, TransactionStats, TransactionStatus, UpdateStatusParams,
};
use osnova_storage_api::wire::{
    Address, Amount, ComponentId, Name, Revision, Text, Timestamp, TransactionHash,
};
use osnova_storage_api::{ApiError, ConflictReason};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row};

use super::columns;
use super::decimal::Decimal;
use super::keyset::{self, Listed, Range, Scan};
use super::page::ESCAPED;
use super::tx::{ChangeKind, Reader, Tx, check_revision};
use crate::caller::Caller;
use crate::error::{Result, StoreError};

const NAMESPACE: &str = "transactions";
const WHAT: &str = "transaction";
/// How the token is named that has no address.
const ETH: &str = "ETH";

/// A query of whole rows, as [`from_row`] reads them.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT tx_hash, from_address, to_address, amount, token_address, network, status, gas_used,
                    gas_price_gwei, purpose, component_id, timestamp, confirmed_at, revision
             FROM wallet_transactions ",
            $rest
        )
    };
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Transaction> {
    Ok(Transaction {
        tx_hash: columns::text(row, 0)?,
        from_address: columns::text(row, 1)?,
        to_address: columns::text(row, 2)?,
        amount: columns::text(row, 3)?,
        token_address: columns::optional_text(row, 4)?,
        network: columns::text(row, 5)?,
        status: columns::word(row, 6, TransactionStatus::from_word)?,
        gas_used: columns::optional_text(row, 7)?,
        gas_price_gwei: columns::optional_text(row, 8)?,
        purpose: columns::optional_text(row, 9)?,
        component_id: columns::optional_text(row, 10)?,
        timestamp: Timestamp(row.get(11)?),
        confirmed_at: row.get::<_, Option<i64>>(12)?.map(Timestamp),
        revision: Revision(row.get(13)?),
    })
}

/// By which hexadecimal text is known: 0x and digits are the same in any case, anything else is as it is.
/// The generated columns say the same.
fn key(text: &str) -> Cow<'_, str> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    match digits {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            Cow::Owned(text.to_ascii_lowercase())
        }
        _ => Cow::Borrowed(text),
    }
}

/// Whether two addresses are the same.
fn same_address(a: &Address, b: &Address) -> bool {
    key(a.as_str()) == key(b.as_str())
}

fn find(reader: Reader<'_>, hash: &TransactionHash) -> Result<Option<Transaction>> {
    let found = reader
        .connection()
        .prepare_cached(select!("WHERE tx_hash = ?1"))?
        .query_row([key(hash.as_str())], from_row)
        .optional()?;
    Ok(found)
}

/// Reads one transaction.
///
/// # Errors
/// `not_found`.
pub fn get(reader: Reader<'_>, caller: &Caller, params: &GetParams) -> Result<Transaction> {
    find(reader, &params.tx_hash)?
        .filter(|found| caller.sees(found.component_id.as_ref()))
        .ok_or_else(|| StoreError::not_found(WHAT))
}

/// What `updateStatus` may change.
struct Outcome<'a> {
    status: TransactionStatus,
    confirmed_at: Option<Timestamp>,
    gas_used: Option<&'a Amount>,
    gas_price_gwei: Option<&'a Amount>,
}

/// Stores a transaction; of one that is there, only how it is.
///
/// # Errors
/// `conflict`: `revision` where `ifRevision` does not match, `exists` where it is another's or differs in
/// what never changes, `transition` where its status does not become that one.
pub fn put(tx: &Tx<'_>, caller: &Caller, params: &PutParams) -> Result<Transaction> {
    let input = &params.transaction;
    let component = caller.of_record(input.component_id.as_ref(), WHAT)?;
    let known = find(tx.reader(), &input.tx_hash)?;
    if known.as_ref().is_some_and(|known| !caller.sees(known.component_id.as_ref())) {
        return Err(StoreError::exists("there is a transaction of this hash already"));
    }
    check_revision(params.if_revision, known.as_ref().map(|known| known.revision))?;
    if let Some(known) = known {
        if !is_same(&known, input, component) {
            return Err(StoreError::exists("a transaction of this hash is there, and differs"));
        }
        let outcome = Outcome {
            status: input.status,
            confirmed_at: input.confirmed_at,
            gas_used: input.gas_used.as_ref(),
            gas_price_gwei: input.gas_price_gwei.as_ref(),
        };
        return change(tx, known, &outcome);
    }
    let component = component.map(ComponentId::as_str);
    let hash = key(input.tx_hash.as_str());
    let revision = tx.record_change_of(component, NAMESPACE, &[&hash], ChangeKind::Put)?;
    tx.connection()
        .prepare_cached(
            "INSERT INTO wallet_transactions (tx_hash, from_address, to_address, amount, token_address,
               network, status, gas_used, gas_price_gwei, purpose, component_id, timestamp,
               confirmed_at, revision)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        )?
        .execute((
            hash,
            input.from_address.as_str(),
            input.to_address.as_str(),
            input.amount.as_str(),
            input.token_address.as_ref().map(Address::as_str),
            input.network.as_str(),
            input.status.as_str(),
            input.gas_used.as_ref().map(Amount::as_str),
            input.gas_price_gwei.as_ref().map(Amount::as_str),
            input.purpose.as_ref().map(Text::as_str),
            component,
            input.timestamp.map_or_else(|| tx.now(), |time| time.0),
            input.confirmed_at.map(|time| time.0),
            revision.0,
        ))?;
    let stored = reread(tx, &input.tx_hash)?;
    add_to_totals(tx, &stored, stored.status, Change::Added)?;
    Ok(stored)
}

fn reread(tx: &Tx<'_>, hash: &TransactionHash) -> Result<Transaction> {
    find(tx.reader(), hash)?
        .ok_or_else(|| StoreError::Internal("a stored transaction is not there".to_owned()))
}

/// Whether what never changes is the same. Who made it and when stay as they are where left out.
fn is_same(known: &Transaction, input: &TransactionInput, component: Option<&ComponentId>) -> bool {
    let same_token = match (&known.token_address, &input.token_address) {
        (Some(known), Some(input)) => same_address(known, input),
        (known, input) => known == input,
    };
    same_address(&known.from_address, &input.from_address)
        && same_address(&known.to_address, &input.to_address)
        && known.amount == input.amount
        && same_token
        && known.network == input.network
        && known.purpose == input.purpose
        && (component.is_none() || component == known.component_id.as_ref())
        && input.timestamp.is_none_or(|time| time == known.timestamp)
}

/// Says what became of a transaction.
///
/// # Errors
/// `not_found`; `conflict`: `revision` where `ifRevision` does not match, `transition` where its status
/// does not become that one.
pub fn update_status(
    tx: &Tx<'_>,
    caller: &Caller,
    params: &UpdateStatusParams,
) -> Result<Transaction> {
    let known = find(tx.reader(), &params.tx_hash)?
        .filter(|found| caller.sees(found.component_id.as_ref()));
    check_revision(params.if_revision, known.as_ref().map(|known| known.revision))?;
    let known = known.ok_or_else(|| StoreError::not_found(WHAT))?;
    let outcome = Outcome {
        status: params.status,
        confirmed_at: params.confirmed_at,
        gas_used: params.gas_used.as_ref(),
        gas_price_gwei: params.gas_price_gwei.as_ref(),
    };
    change(tx, known, &outcome)
}

/// What a call says of a field, against what is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Differs {
    /// Nothing, or the same.
    Not,
    /// Something of which nothing is known.
    Adds,
    /// Something else.
    Replaces,
}

fn differs<T: PartialEq>(said: Option<&T>, known: Option<&T>) -> Differs {
    match (said, known) {
        (None, _) => Differs::Not,
        (Some(_), None) => Differs::Adds,
        (Some(said), Some(known)) if said == known => Differs::Not,
        (Some(_), Some(_)) => Differs::Replaces,
    }
}

fn change(tx: &Tx<'_>, known: Transaction, outcome: &Outcome<'_>) -> Result<Transaction> {
    let (from, to) = (known.status, outcome.status);
    if from != to && from != TransactionStatus::Pending {
        let message = format!("{} does not become {}", from.as_str(), to.as_str());
        return Err(ApiError::conflict(ConflictReason::Transition, message).into());
    }
    let changes = [
        differs(outcome.confirmed_at.as_ref(), known.confirmed_at.as_ref()),
        differs(outcome.gas_used, known.gas_used.as_ref()),
        differs(outcome.gas_price_gwei, known.gas_price_gwei.as_ref()),
    ];
    if from != TransactionStatus::Pending && changes.contains(&Differs::Replaces) {
        let message = format!("it is {} already, and something else was said of it", from.as_str());
        return Err(ApiError::conflict(ConflictReason::Transition, message).into());
    }
    let unchanged = from == to && changes.iter().all(|change| *change == Differs::Not);
    if unchanged {
        return Ok(known);
    }
    let component = known.component_id.as_ref().map(ComponentId::as_str);
    let revision =
        tx.record_change_of(component, NAMESPACE, &[known.tx_hash.as_str()], ChangeKind::Put)?;
    tx.connection()
        .prepare_cached(
            "UPDATE wallet_transactions SET status = ?2, confirmed_at = coalesce(?3, confirmed_at),
               gas_used = coalesce(?4, gas_used), gas_price_gwei = coalesce(?5, gas_price_gwei),
               revision = ?6
             WHERE tx_hash = ?1",
        )?
        .execute((
            known.tx_hash.as_str(),
            to.as_str(),
            outcome.confirmed_at.map(|time| time.0),
            outcome.gas_used.map(Amount::as_str),
            outcome.gas_price_gwei.map(Amount::as_str),
            revision.0,
        ))?;
    if from != to {
        add_to_totals(tx, &known, from, Change::Taken)?;
        add_to_totals(tx, &known, to, Change::Added)?;
    }
    reread(tx, &known.tx_hash)
}

#[derive(Clone, Copy, PartialEq)]
enum Change {
    Added,
    Taken,
}

/// Counts a transaction in the totals of a status, or takes it out of them.
fn add_to_totals(
    tx: &Tx<'_>,
    transaction: &Transaction,
    status: TransactionStatus,
    change: Change,
) -> Result<()> {
    let damaged =
        || StoreError::RecordsDamaged("the totals of transactions do not add up".to_owned());
    let token = key(transaction.token_address.as_ref().map_or("", Address::as_str));
    let total = (
        transaction.component_id.as_ref().map_or("", ComponentId::as_str),
        &token,
        status.as_str(),
    );
    let before: Option<(u64, String)> = tx
        .connection()
        .prepare_cached(
            "SELECT count, amount FROM transaction_totals
             WHERE component_id = ?1 AND token_address = ?2 AND status = ?3",
        )?
        .query_row(total, |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (count, sum) = before.unwrap_or_default();
    let sum = match sum.as_str() {
        "" => Decimal::default(),
        text => Decimal::parse(text).ok_or_else(damaged)?,
    };
    let amount = Decimal::parse(transaction.amount.as_str()).ok_or_else(damaged)?;
    let (count, sum) = match change {
        Change::Added => (count + 1, sum.plus(amount)),
        Change::Taken => {
            (count.checked_sub(1).ok_or_else(damaged)?, sum.minus(amount).ok_or_else(damaged)?)
        }
    };
    tx.connection()
        .prepare_cached(
            "INSERT INTO transaction_totals (component_id, token_address, status, count, amount)
             VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (component_id, token_address, status) DO UPDATE SET
               count = excluded.count, amount = excluded.amount",
        )?
        .execute((total.0, total.1, total.2, count, sum.to_string()))?;
    Ok(())
}

/// Counts all totals from the transactions, as a migration must: those of before there were totals are in
/// none, and the first change of one would not add up. An amount that is no number, as only another's hand
/// can have written, adds nothing.
pub(super) fn count_anew(connection: &Connection) -> rusqlite::Result<()> {
    let mut totals: BTreeMap<(String, String, String), (u64, Decimal)> = BTreeMap::new();
    let mut all = connection.prepare(
        "SELECT coalesce(component_id, ''), coalesce(token_key, ''), status, amount
         FROM wallet_transactions",
    )?;
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        let (count, sum) = totals.entry((row.get(0)?, row.get(1)?, row.get(2)?)).or_default();
        *count += 1;
        if let Some(amount) = row.get_ref(3)?.as_str().ok().and_then(Decimal::parse) {
            *sum = std::mem::take(sum).plus(amount);
        }
    }
    connection.execute("DELETE FROM transaction_totals", [])?;
    let mut insert = connection.prepare(
        "INSERT INTO transaction_totals (component_id, token_address, status, count, amount)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for ((component, token, status), (count, sum)) in totals {
        insert.execute((component, token, status, count, sum.to_string()))?;
    }
    Ok(())
}

/// Conditions of a filter.
struct Conditions<'a> {
    /// Those that choose an index.
    arms: &'static [&'static str],
    /// Those on the time, which every index serves.
    times: Vec<&'static str>,
    /// The others, marked so that SQLite does not choose their indices instead.
    others: Vec<&'static str>,
    bound: Vec<(&'static str, Value)>,
    /// Whose they must be.
    component: Option<&'a ComponentId>,
}

fn conditions<'a>(caller: &'a Caller, asked: &'a StatsParams) -> Result<Conditions<'a>> {
    let component = caller.of_record(asked.component_id.as_ref(), WHAT)?;
    let (address, status) = (asked.address.as_ref(), asked.status);
    let arms: &[&str] = match (address, component, status) {
        (Some(_), ..) => &["from_key = :address", "to_key = :address AND from_key <> :address"],
        (None, Some(_), _) => &["component_id = :component"],
        (None, None, Some(_)) => &["status = :status"],
        (None, None, None) => &["1"],
    };
    let mut others = Vec::new();
    others.extend(component.map(|_| "+component_id = :component"));
    others.extend(status.map(|_| "+status = :status"));
    others.extend(asked.network.as_ref().map(|_| "network = :network"));
    others.extend(asked.token.as_ref().map(|token| match token.as_str() {
        ETH => "token_address IS NULL",
        _ => "token_key = :token",
    }));
    let mut times = Vec::new();
    times.extend(asked.from.map(|_| "timestamp >= :from"));
    times.extend(asked.to.map(|_| "timestamp < :to"));
    let bound = vec![
        (":address", keyset::text(address.map(|address| key(address.as_str())).as_deref())),
        (":component", keyset::text(component.map(ComponentId::as_str))),
        (":status", keyset::text(status.map(TransactionStatus::as_str))),
        (":network", keyset::text(asked.network.as_ref().map(Name::as_str))),
        (":token", keyset::text(asked.token.as_ref().map(|token| key(token.as_str())).as_deref())),
        (":from", keyset::time(asked.from)),
        (":to", keyset::time(asked.to)),
    ];
    Ok(Conditions { arms, times, others, bound, component })
}

/// Whether a transaction is what a filter asks for beside its address and its time.
fn is_wanted(found: &Transaction, component: Option<&ComponentId>, asked: &StatsParams) -> bool {
    let of_token = |token: &Address| match (token.as_str(), &found.token_address) {
        (ETH, found) => found.is_none(),
        (_, Some(found)) => same_address(found, token),
        (_, None) => false,
    };
    component.is_none_or(|id| found.component_id.as_ref() == Some(id))
        && asked.status.is_none_or(|status| found.status == status)
        && asked.network.as_ref().is_none_or(|network| found.network == *network)
        && asked.token.as_ref().is_none_or(of_token)
}

/// A page of transactions, by time.
///
/// # Errors
/// `validation_error` where the cursor is another list's; `not_found` where a component names another.
pub fn list(reader: Reader<'_>, caller: &Caller, params: &ListParams) -> Result<TransactionPage> {
    let asked = StatsParams {
        address: params.address.clone(),
        status: params.status,
        network: params.network.clone(),
        token: params.token.clone(),
        component_id: params.component_id.clone(),
        from: params.from,
        to: params.to,
    };
    let Conditions { arms, times, others, bound, component } = conditions(caller, &asked)?;
    let wanted = |found: &Transaction| is_wanted(found, component, &asked);
    let wanted: Option<&dyn Fn(&Transaction) -> bool> = match others.is_empty() {
        true => None,
        false => Some(&wanted),
    };
    let direction = params.direction.unwrap_or(Direction::Descending);
    let scan = Scan {
        select: select!(""),
        ranges: &[Range::by("timestamp")],
        id: "tx_hash",
        direction,
        arms,
        filters: &times,
        bound: &bound,
    };
    let query = scan.query("transactions.list", params.limit);
    let read = |row: &Row<'_>| {
        let item = from_row(row)?;
        Ok(Listed {
            order: item.timestamp.0.into(),
            id: item.tx_hash.as_str().to_owned(),
            bytes: ESCAPED * item.purpose.as_ref().map_or(0, |text| text.as_str().len()) + 4000,
            item,
        })
    };
    let (items, next_cursor) =
        keyset::list_wanted(reader, &query, params.cursor.as_ref(), &scan, read, wanted)?;
    Ok(TransactionPage { items, next_cursor })
}

/// What transactions come to, being added up.
#[derive(Default)]
struct Sums {
    count: u64,
    by_status: StatusCounts,
    /// By address, ETH ('') first: count, sum, and sum of those that are confirmed.
    by_token: BTreeMap<String, (u64, Decimal, Decimal)>,
}

impl Sums {
    /// Adds so many transactions of a token and status: columns 0 to 3 of a row are token, status, count,
    /// and the sum of their amounts.
    fn add(&mut self, row: &Row<'_>) -> rusqlite::Result<()> {
        let token: Option<String> = row.get(0)?;
        let status = columns::word(row, 1, TransactionStatus::from_word)?;
        let count: u64 = row.get(2)?;
        let amount: Amount = columns::text(row, 3)?;
        let amount = Decimal::parse(amount.as_str()).unwrap_or_default();
        self.count += count;
        match status {
            TransactionStatus::Pending => self.by_status.pending += count,
            TransactionStatus::Confirmed => self.by_status.confirmed += count,
            TransactionStatus::Failed => self.by_status.failed += count,
        }
        if count > 0 {
            let (tokens, all, confirmed) =
                self.by_token.entry(token.unwrap_or_default()).or_default();
            *tokens += count;
            if status == TransactionStatus::Confirmed {
                *confirmed = std::mem::take(confirmed).plus(amount.clone());
            }
            *all = std::mem::take(all).plus(amount);
        }
        Ok(())
    }

    fn finish(self) -> Result<TransactionStats> {
        let total = |(token, (count, amount, confirmed)): (String, (u64, Decimal, Decimal))| {
            let token = if token.is_empty() { ETH.to_owned() } else { token };
            Ok(TokenTotal {
                token: Address::try_from(token).map_err(StoreError::RecordsDamaged)?,
                count,
                amount: amount.to_string(),
                confirmed_amount: confirmed.to_string(),
            })
        };
        let by_token = self.by_token.into_iter().map(total).collect::<Result<_>>()?;
        Ok(TransactionStats { count: self.count, by_status: self.by_status, by_token })
    }
}

/// What the transactions of a filter come to.
///
/// # Errors
/// `not_found` where a component names another.
pub fn stats(
    reader: Reader<'_>,
    caller: &Caller,
    params: &StatsParams,
) -> Result<TransactionStats> {
    let Conditions { arms, times, others, bound, .. } = conditions(caller, params)?;
    let kept = params.address.is_none()
        && params.network.is_none()
        && params.from.is_none()
        && params.to.is_none();
    let sql = if kept {
        // The totals say '' where the transactions say NULL.
        "SELECT token_address, status, count, amount FROM transaction_totals
         WHERE (:component IS NULL OR component_id = :component)
           AND (:status IS NULL OR status = :status)
           AND (:token IS NULL OR token_address = iif(:token = 'ETH', '', :token))"
            .to_owned()
    } else {
        let filters = times.iter().chain(&others);
        let filters: String = filters.map(|filter| format!(" AND {filter}")).collect();
        let arm = |arm: &&str| {
            format!(
                "SELECT token_key, status, 1, amount FROM wallet_transactions
                 WHERE {arm}{filters}"
            )
        };
        arms.iter().map(arm).collect::<Vec<_>>().join(" UNION ALL ")
    };
    let mut statement = reader.connection().prepare_cached(&sql)?;
    for (name, value) in &bound {
        if let Some(index) = statement.parameter_index(name)? {
            statement.raw_bind_parameter(index, value)?;
        }
    }
    let mut sums = Sums::default();
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        sums.add(row)?;
    }
    sums.finish()
}
