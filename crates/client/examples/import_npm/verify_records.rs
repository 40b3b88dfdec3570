//! Verifying what was made of the packages: applications and messages with their texts, and the history
//! of transactions with its sums, which are added up here in integers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use futures_util::{TryStreamExt, stream};
use osnova_storage_client::Client;
use osnova_storage_client::api::applications::{self, Application, ApplicationInput};
use osnova_storage_client::api::components::Direction;
use osnova_storage_client::api::messages::{self, Message, MessageInput};
use osnova_storage_client::api::transactions::{
    List, ListParams, Stats, StatsParams, StatusCounts, Transaction, TransactionInput,
    TransactionStats, TransactionStatus,
};
use osnova_storage_client::api::wire::{Address, BlobHash, Limit};
use sha2::{Digest, Sha256};

use crate::index::Package;
use crate::records::{self, Versions};
use crate::verify::content;
use crate::{AnyError, CONCURRENCY, Totals};

/// The most digits after the point of an amount of the history.
const SCALE: usize = 18;
/// What a transaction without a token's address moves.
const ETH: &str = "ETH";

/// Verifies all records that were made of the packages.
#[allow(clippy::print_stdout)]
pub(crate) async fn all(
    client: &Client,
    packages: &[Package],
    totals: &Totals,
) -> Result<(), AnyError> {
    let versions = records::versions(packages);
    let top_level = || packages.iter().filter(|package| package.is_top_level());
    stream::iter(top_level().map(Ok::<_, AnyError>))
        .try_for_each_concurrent(CONCURRENCY, |package| {
            application(client, package, &versions, totals)
        })
        .await?;
    stream::iter(records::with_messages(packages).map(Ok::<_, AnyError>))
        .try_for_each_concurrent(CONCURRENCY, |package| said(client, package, totals))
        .await?;
    let made = history(client, packages, totals).await?;
    sums(client, &made, totals).await?;
    println!(
        "records: {} applications, {} channels, {} transactions",
        top_level().count(),
        records::with_messages(packages).count(),
        made.len(),
    );
    Ok(())
}

/// The address that a file's content must have.
async fn address(path: &Path) -> Result<BlobHash, AnyError> {
    Ok(BlobHash::new(Sha256::digest(tokio::fs::read(path).await?).into()))
}

/// The addresses of files, and whether what is stored there is what they hold.
async fn contents(
    client: &Client,
    files: &[PathBuf],
    whose: &str,
    totals: &Totals,
) -> Result<Vec<BlobHash>, AnyError> {
    let mut hashes = Vec::new();
    for path in files {
        let hash = address(path).await?;
        content(client, path, &hash, whose, totals).await?;
        hashes.push(hash);
    }
    Ok(hashes)
}

async fn application(
    client: &Client,
    package: &Package,
    versions: &Versions<'_>,
    totals: &Totals,
) -> Result<(), AnyError> {
    let id = &package.name;
    let readme = contents(client, package.readme.as_slice(), id, totals).await?.pop();
    let given = records::application(package, versions, readme)?;
    let params = applications::GetParams { application_id: id.parse()? };
    let found = client.call::<applications::Get>(params).await?;
    if !is_application(&found, &given) {
        totals.mismatch(id, "the application differs");
    }
    Ok(())
}

fn is_application(found: &Application, given: &ApplicationInput) -> bool {
    found.application_id == given.application_id
        && found.name == given.name
        && found.version == given.version
        && found.description == given.description
        && found.author == given.author
        && found.icon_blob_hash == given.icon_blob_hash
        && found.manifest.get() == given.manifest.get()
        && found.autonomi_address == given.autonomi_address
        && Some(found.installed_at) == given.installed_at
        && found.launch_count.0 == 0
        && Some(&found.blobs) == given.blobs.as_ref()
}

/// The messages of a package, read back as its channel.
async fn said(client: &Client, package: &Package, totals: &Totals) -> Result<(), AnyError> {
    let notices = contents(client, &package.notices, &package.name, totals).await?;
    let given = records::messages(package, &notices)?;
    let params = messages::ListParams {
        channel: Some(records::channel(package).parse()?),
        from: None,
        to: None,
        component_id: None,
        direction: Some(Direction::Ascending),
        limit: Some(Limit(1000)),
        cursor: None,
    };
    let page = client.call::<messages::List>(params).await?;
    let same = page.items.len() == given.len()
        && page.items.iter().zip(&given).all(|(found, given)| is_message(found, given));
    if !same {
        totals.mismatch(&package.name, "the messages of its channel differ");
    }
    Ok(())
}

fn is_message(found: &Message, given: &MessageInput) -> bool {
    Some(&found.message_id) == given.message_id.as_ref()
        && found.channel == given.channel
        && found.sender == given.sender
        && found.timestamp == given.timestamp
        && found.body == given.body
        && found.metadata.as_ref().map(|text| text.get())
            == given.metadata.as_ref().map(|text| text.get())
        && found.attachments == given.attachments.as_deref().unwrap_or_default()
        && found.component_id == given.component_id
}

/// The history, page by page; answers what it should be.
async fn history(
    client: &Client,
    packages: &[Package],
    totals: &Totals,
) -> Result<Vec<TransactionInput>, AnyError> {
    let made: Vec<TransactionInput> = (0..records::TRANSACTIONS)
        .map(|number| records::transaction(number, packages))
        .collect::<Result<_, _>>()?;
    // Made a minute apart, they are listed in the order in which they were made.
    let mut expected = made.iter();
    let mut params = ListParams {
        address: None,
        status: None,
        network: Some(records::NETWORK.parse()?),
        token: None,
        component_id: None,
        from: None,
        to: None,
        direction: Some(Direction::Ascending),
        limit: Some(Limit(700)),
        cursor: None,
    };
    loop {
        let page = client.call::<List>(params.clone()).await?;
        for found in &page.items {
            if !expected.next().is_some_and(|given| is_transaction(found, given)) {
                totals.mismatch(found.tx_hash.as_str(), "the transaction differs");
            }
        }
        match page.next_cursor {
            Some(cursor) => params.cursor = Some(cursor),
            None => break,
        }
    }
    for given in expected {
        totals.mismatch(given.tx_hash.as_str(), "the transaction is not in the list");
    }
    Ok(made)
}

fn is_transaction(found: &Transaction, given: &TransactionInput) -> bool {
    found.tx_hash == given.tx_hash
        && found.from_address == given.from_address
        && found.to_address == given.to_address
        && found.amount == given.amount
        && found.token_address == given.token_address
        && found.network == given.network
        && found.status == given.status
        && found.gas_used == given.gas_used
        && found.gas_price_gwei == given.gas_price_gwei
        && found.purpose == given.purpose
        && found.component_id == given.component_id
        && Some(found.timestamp) == given.timestamp
        && found.confirmed_at == given.confirmed_at
}

/// Compares what the daemon adds up with what is added up here: kept sums and counted ones.
async fn sums(client: &Client, made: &[TransactionInput], totals: &Totals) -> Result<(), AnyError> {
    let everything = || StatsParams {
        address: None,
        status: None,
        network: None,
        token: None,
        component_id: None,
        from: None,
        to: None,
    };
    let mut filters = vec![everything()];
    filters.push(StatsParams { network: Some(records::NETWORK.parse()?), ..everything() });
    for (token, _) in records::TOKENS {
        filters.push(StatsParams { token: Some(token.unwrap_or(ETH).parse()?), ..everything() });
    }
    for status in [TransactionStatus::Pending, TransactionStatus::Confirmed] {
        filters.push(StatsParams { status: Some(status), ..everything() });
    }
    for number in 0..3 {
        filters.push(StatsParams { address: Some(records::wallet(number)?), ..everything() });
    }
    // Those of one component, and those of one half of the time.
    let component_id = made.iter().find_map(|given| given.component_id.clone());
    filters.push(StatsParams { component_id, ..everything() });
    let from = made.get(made.len() / 2).and_then(|given| given.timestamp);
    filters.push(StatsParams { from, ..everything() });
    filters.push(StatsParams { to: from, ..everything() });

    for filter in filters {
        let wanted = serde_json::to_string(&filter)?;
        let expected = Sums::of(made.iter().filter(|given| passes(given, &filter)))?;
        let found = client.call::<Stats>(filter).await?;
        if Sums::from_answer(&found)? != expected {
            totals.mismatch(&wanted, "the sums differ");
        }
    }
    Ok(())
}

fn passes(given: &TransactionInput, filter: &StatsParams) -> bool {
    let is = |address: &Address| *address == given.from_address || *address == given.to_address;
    filter.address.as_ref().is_none_or(is)
        && filter.status.is_none_or(|status| status == given.status)
        && filter.network.as_ref().is_none_or(|network| *network == given.network)
        && filter.token.as_ref().is_none_or(|token| token.as_str() == token_of(given))
        && filter.component_id.as_ref().is_none_or(|id| Some(id) == given.component_id.as_ref())
        && filter.from.is_none_or(|from| given.timestamp >= Some(from))
        && filter.to.is_none_or(|to| given.timestamp < Some(to))
}

fn token_of(given: &TransactionInput) -> &str {
    given.token_address.as_ref().map_or(ETH, |address| address.as_str())
}

/// Of a token: how many, their sum, and the sum of those that are confirmed, in the smallest unit.
type OfToken = (u64, u128, u128);

/// Counts and sums in integers.
#[derive(PartialEq, Default)]
struct Sums {
    count: u64,
    by_status: StatusCounts,
    by_token: BTreeMap<String, OfToken>,
}

impl Sums {
    fn of<'a>(all: impl Iterator<Item = &'a TransactionInput>) -> Result<Self, AnyError> {
        let mut sums = Self::default();
        for given in all {
            let amount = units(given.amount.as_str())?;
            let is_confirmed = given.status == TransactionStatus::Confirmed;
            let of_status = match given.status {
                TransactionStatus::Pending => &mut sums.by_status.pending,
                TransactionStatus::Confirmed => &mut sums.by_status.confirmed,
                TransactionStatus::Failed => &mut sums.by_status.failed,
            };
            *of_status += 1;
            sums.count += 1;
            let of_token = sums.by_token.entry(token_of(given).to_owned()).or_default();
            of_token.0 += 1;
            of_token.1 += amount;
            of_token.2 += if is_confirmed { amount } else { 0 };
        }
        Ok(sums)
    }

    fn from_answer(stats: &TransactionStats) -> Result<Self, AnyError> {
        let mut by_token = BTreeMap::new();
        for total in &stats.by_token {
            let sums = (total.count, units(&total.amount)?, units(&total.confirmed_amount)?);
            if by_token.insert(total.token.as_str().to_owned(), sums).is_some() {
                return Err(format!("{} stands twice in the sums", total.token).into());
            }
        }
        Ok(Self { count: stats.count, by_status: stats.by_status, by_token })
    }
}

/// A decimal number in units of its eighteenth digit after the point.
fn units(text: &str) -> Result<u128, AnyError> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > SCALE {
        return Err(format!("{text} has more than {SCALE} digits after the point").into());
    }
    Ok(format!("{whole}{fraction:0<SCALE$}").parse()?)
}
