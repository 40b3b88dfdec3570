//! Importing: each tarball as a blob that its component names, each manifest as it is; then the
//! applications, the messages and the history of transactions.

use std::collections::BTreeMap;
use std::path::Path;

use futures_util::{TryStreamExt, stream};
use osnova_storage_client::api::batch::{Apply, ApplyParams, Operation, OperationParams};
use osnova_storage_client::api::components::{ComponentInput, ComponentType, Put, PutParams};
use osnova_storage_client::api::wire::{BlobHash, JsonText};
use osnova_storage_client::api::{applications, messages, transactions};
use osnova_storage_client::{Client, PutBlob};
use serde_json::Value;

use crate::index::Package;
use crate::records::{self, Versions};
use crate::{AnyError, CONCURRENCY, Totals};

/// So many transactions go in one batch; the contract takes 1000.
const BATCH: usize = 500;

/// Imports every package, and what is made of them.
pub(crate) async fn all(
    client: &Client,
    packages: &[Package],
    totals: &Totals,
) -> Result<(), AnyError> {
    stream::iter(packages.iter().map(Ok))
        .try_for_each_concurrent(CONCURRENCY, |package| one(client, package, totals))
        .await?;
    let versions = records::versions(packages);
    stream::iter(packages.iter().filter(|package| package.is_top_level()).map(Ok))
        .try_for_each_concurrent(CONCURRENCY, |package| application(client, package, &versions))
        .await?;
    stream::iter(records::with_messages(packages).map(Ok))
        .try_for_each_concurrent(CONCURRENCY, |package| said(client, package))
        .await?;
    history(client, packages).await
}

/// Puts a text that a record is going to name, which is what keeps it: it is not pinned.
async fn text(client: &Client, path: &Path) -> Result<BlobHash, AnyError> {
    let file = tokio::fs::File::open(path).await?;
    let length = file.metadata().await?.len();
    let about = PutBlob {
        content_type: Some("text/plain".to_owned()),
        pin: Some(false),
        length: Some(length),
        ..PutBlob::default()
    };
    Ok(client.put_blob(file, about).await?.hash)
}

async fn application(
    client: &Client,
    package: &Package,
    versions: &Versions<'_>,
) -> Result<(), AnyError> {
    let readme = match &package.readme {
        Some(path) => Some(text(client, path).await?),
        None => None,
    };
    let application = records::application(package, versions, readme)?;
    let params = applications::PutParams { application, if_revision: None, request_id: None };
    client.call::<applications::Put>(params).await?;
    Ok(())
}

async fn said(client: &Client, package: &Package) -> Result<(), AnyError> {
    let mut notices = Vec::new();
    for path in &package.notices {
        notices.push(text(client, path).await?);
    }
    let items = records::messages(package, &notices)?
        .into_iter()
        .map(|message| messages::ManyInput { message, if_revision: None })
        .collect();
    client.call::<messages::PutMany>(messages::PutManyParams { items, request_id: None }).await?;
    Ok(())
}

async fn history(client: &Client, packages: &[Package]) -> Result<(), AnyError> {
    let numbers: Vec<u64> = (0..records::TRANSACTIONS).collect();
    for batch in numbers.chunks(BATCH) {
        let operation = |number: &u64| -> Result<Operation, AnyError> {
            let transaction = records::transaction(*number, packages)?;
            let params =
                transactions::PutParams { transaction, if_revision: None, request_id: None };
            let params = OperationParams::new(&params)?;
            Ok(Operation { method: "transactions.put".parse()?, params: Some(params) })
        };
        let operations = batch.iter().map(operation).collect::<Result<Vec<_>, _>>()?;
        client.call::<Apply>(ApplyParams { operations, request_id: None }).await?;
    }
    Ok(())
}

async fn one(client: &Client, package: &Package, totals: &Totals) -> Result<(), AnyError> {
    let file = tokio::fs::File::open(&package.tarball).await?;
    let length = file.metadata().await?.len();
    // Not pinned: the component that names it is what keeps it.
    let about = PutBlob {
        content_type: Some("application/gzip".to_owned()),
        pin: Some(false),
        length: Some(length),
        ..PutBlob::default()
    };
    let blob = client.put_blob(file, about).await?;
    let manifest: Value = serde_json::from_str(&package.manifest)?;
    let component = ComponentInput {
        component_id: package.component_id.parse()?,
        name: package.name.parse()?,
        version: package.version.parse()?,
        r#type: ComponentType::Frontend,
        // What is out of bounds is left out: it still stands in the manifest.
        description: records::text_of(&manifest["description"])
            .and_then(|text| text.try_into().ok()),
        author: records::text_of(&manifest["author"]).and_then(|text| text.try_into().ok()),
        license: records::text_of(&manifest["license"]).and_then(|text| text.try_into().ok()),
        manifest: JsonText::parse(package.manifest.clone())?,
        autonomi_address: None,
        installed_at: None,
        blobs: Some(BTreeMap::from([("tarball".parse()?, blob.hash)])),
    };
    let params = PutParams { component, if_revision: None, request_id: None };
    let stored = client.call::<Put>(params).await?;
    if stored.manifest.get() != package.manifest {
        totals.mismatch(&package.component_id, "the manifest was not stored as it was given");
    }
    totals.package(length + package.manifest.len() as u64);
    Ok(())
}
