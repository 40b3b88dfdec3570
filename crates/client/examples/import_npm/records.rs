//! The records that are made of packages. Nothing in them depends on when or where they are made, so
//! that what is verified can be made again.

use std::collections::BTreeMap;

use osnova_storage_client::api::applications::ApplicationInput;
use osnova_storage_client::api::messages::MessageInput;
use osnova_storage_client::api::transactions::{TransactionInput, TransactionStatus};
use osnova_storage_client::api::wire::{Address, BlobHash, JsonText, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::AnyError;
use crate::index::Package;

/// How many transactions the history has.
pub(crate) const TRANSACTIONS: u64 = 10_000;
/// The network of the history.
pub(crate) const NETWORK: &str = "import-npm";
/// A token, and how many digits its amounts may have after the point.
pub(crate) const TOKENS: [(Option<&str>, u32); 4] =
    [(None, 18), (Some("0x4e504d06"), 6), (Some("0x4e504d00"), 0), (Some("0x4e504d18"), 18)];
/// When the first of it is said to have been.
const EPOCH: i64 = 1_700_000_000;
/// So many packages have messages, so that a great import does not become one of messages.
const MAX_CHANNELS: usize = 200;
/// Who sends and receives.
const WALLETS: u64 = 17;

/// The version of each component by its id.
pub(crate) type Versions<'a> = BTreeMap<&'a str, &'a str>;

/// The versions of all packages.
pub(crate) fn versions(packages: &[Package]) -> Versions<'_> {
    packages
        .iter()
        .map(|package| (package.component_id.as_str(), package.version.as_str()))
        .collect()
}

/// A text of a manifest: `author` and the old form of `license` may be objects.
pub(crate) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Object(members) => {
            ["name", "type"].iter().find_map(|key| members.get(*key)?.as_str().map(str::to_owned))
        }
        _ => None,
    }
}

/// The application of a package: itself, and those of its dependencies that are there.
pub(crate) fn application(
    package: &Package,
    versions: &Versions<'_>,
    readme: Option<BlobHash>,
) -> Result<ApplicationInput, AnyError> {
    let npm: Value = serde_json::from_str(&package.manifest)?;
    let component = |id: &str, version: &str| json!({ "id": id, "name": id, "kind": "frontend", "version": version });
    let mut components = vec![component(&package.name, &package.version)];
    for id in npm["dependencies"].as_object().into_iter().flatten().map(|(id, _)| id.as_str()) {
        if let Some(version) = versions.get(id).filter(|_| id != package.name) {
            components.push(component(id, version));
        }
    }
    let keywords = npm["keywords"].as_array().into_iter().flatten();
    let keywords: Vec<&str> = keywords.filter_map(Value::as_str).collect();
    let manifest = json!({
        "id": package.name,
        "name": package.name,
        "version": package.version,
        "components": components,
        "keywords": keywords,
    });
    let mut blobs = BTreeMap::new();
    if let Some(hash) = readme {
        blobs.insert("readme".parse()?, hash);
    }
    Ok(ApplicationInput {
        application_id: package.name.parse()?,
        name: package.name.parse()?,
        version: package.version.parse()?,
        description: text_of(&npm["description"]).and_then(|text| text.try_into().ok()),
        author: text_of(&npm["author"]).and_then(|text| text.try_into().ok()),
        icon_blob_hash: None,
        manifest: JsonText::from_serialize(&manifest)?,
        autonomi_address: None,
        installed_at: Some(Timestamp(EPOCH)),
        blobs: Some(blobs),
    })
}

/// The packages that have messages.
pub(crate) fn with_messages(packages: &[Package]) -> impl Iterator<Item = &Package> {
    packages.iter().filter(|package| package.is_top_level()).take(MAX_CHANNELS)
}

/// The channel of a package.
pub(crate) fn channel(package: &Package) -> String {
    format!("npm/{}", package.name)
}

/// The messages of a package: that it is there, and one for each text that hangs on it.
pub(crate) fn messages(
    package: &Package,
    notices: &[BlobHash],
) -> Result<Vec<MessageInput>, AnyError> {
    let message = |number: usize, body: String, hash: Option<&BlobHash>| {
        let at = EPOCH + i64::try_from(number)?;
        // A package's name may be longer than an id.
        let id = format!("{}-{number}", BlobHash::new(Sha256::digest(&package.name).into()));
        Ok::<_, AnyError>(MessageInput {
            message_id: Some(id.parse()?),
            channel: channel(package).parse()?,
            sender: "import_npm".parse()?,
            timestamp: Timestamp(at),
            body: Some(body.parse()?),
            metadata: Some(JsonText::from_serialize(&json!({ "version": package.version }))?),
            attachments: hash.map(|hash| vec![*hash]),
            component_id: Some(package.component_id.parse()?),
        })
    };
    let mut made = vec![message(0, format!("{} {}", package.name, package.version), None)?];
    for (number, hash) in (1..).zip(notices) {
        made.push(message(number, format!("notice {number}"), Some(hash))?);
    }
    Ok(made)
}

/// A wallet of the history.
pub(crate) fn wallet(number: u64) -> Result<Address, AnyError> {
    Ok(format!("0x{:040x}", 0xa11ce + number % WALLETS).parse()?)
}

/// A transaction of the history. What varies is taken from a hash of its number.
pub(crate) fn transaction(number: u64, packages: &[Package]) -> Result<TransactionInput, AnyError> {
    let bytes: [u8; 32] = Sha256::digest(format!("import_npm {number}")).into();
    let word =
        |at: usize| bytes[at..at + 4].iter().fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
    let (token, digits) = TOKENS[usize::from(bytes[0]) % TOKENS.len()];
    let whole = word(4) % 1_000_000;
    let fraction = (word(8) << 32 | word(12)) % 10_u64.pow(digits);
    let amount = match digits {
        0 => whole.to_string(),
        _ => format!("{whole}.{fraction:0width$}", width = digits as usize),
    };
    let status = match bytes[1] % 10 {
        0 => TransactionStatus::Failed,
        1..=3 => TransactionStatus::Pending,
        _ => TransactionStatus::Confirmed,
    };
    let timestamp = EPOCH + i64::try_from(number)? * 60;
    let is_confirmed = status == TransactionStatus::Confirmed;
    // Some are of no component: the owner's own.
    let index = usize::from(bytes[2]) << 8 | usize::from(bytes[3]);
    let component = packages.get(index % packages.len().max(1)).filter(|_| index % 8 != 0);
    Ok(TransactionInput {
        tx_hash: format!("0x{}", BlobHash::new(bytes)).parse()?,
        from_address: wallet(word(16))?,
        to_address: wallet(word(20))?,
        amount: amount.parse()?,
        token_address: token.map(str::parse).transpose()?,
        network: NETWORK.parse()?,
        status,
        gas_used: if is_confirmed {
            Some((21_000 + word(24) % 100_000).to_string().parse()?)
        } else {
            None
        },
        gas_price_gwei: if is_confirmed {
            Some(format!("0.{:02}", word(28) % 100).parse()?)
        } else {
            None
        },
        purpose: Some(format!("payment {number}").parse()?),
        component_id: component.map(|package| package.component_id.parse()).transpose()?,
        timestamp: Some(Timestamp(timestamp)),
        confirmed_at: is_confirmed.then_some(Timestamp(timestamp + 12)),
    })
}
