//! Importing: each tarball as a blob that its component names, each manifest as it is.

use std::collections::BTreeMap;

use futures_util::{TryStreamExt, stream};
use osnova_storage_client::api::components::{ComponentInput, ComponentType, Put, PutParams};
use osnova_storage_client::api::wire::JsonText;
use osnova_storage_client::{Client, PutBlob};
use serde_json::Value;

use crate::index::Package;
use crate::{AnyError, CONCURRENCY, Totals};

/// Imports every package.
pub(crate) async fn all(
    client: &Client,
    packages: &[Package],
    totals: &Totals,
) -> Result<(), AnyError> {
    stream::iter(packages.iter().map(Ok))
        .try_for_each_concurrent(CONCURRENCY, |package| one(client, package, totals))
        .await
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
    let text_of = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        // `author` and the old form of `license` may be objects.
        Value::Object(members) => {
            ["name", "type"].iter().find_map(|key| members.get(*key)?.as_str().map(str::to_owned))
        }
        _ => None,
    };
    let component = ComponentInput {
        component_id: package.component_id.parse()?,
        name: package.name.parse()?,
        version: package.version.parse()?,
        r#type: ComponentType::Frontend,
        // What is out of bounds is left out: it still stands in the manifest.
        description: text_of(&manifest["description"]).and_then(|text| text.try_into().ok()),
        author: text_of(&manifest["author"]).and_then(|text| text.try_into().ok()),
        license: text_of(&manifest["license"]).and_then(|text| text.try_into().ok()),
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
