//! Verifying: every manifest and tarball byte for byte, every dependency, and the list as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::{TryStreamExt, stream};
use nodejs_semver::{Range, Version};
use osnova_storage_client::Client;
use osnova_storage_client::api::components::{
    Component, Dependencies, DependenciesParams, Get, GetParams, List, ListParams,
};
use osnova_storage_client::api::wire::{BlobHash, Limit};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, BufReader};

use crate::index::Package;
use crate::{AnyError, CONCURRENCY, Totals};

/// How many dependencies are there, and how many fit.
#[derive(Default)]
struct Needs {
    satisfied: AtomicU64,
    unsatisfied: AtomicU64,
    missing: AtomicU64,
}

/// Verifies every package, and that the list holds them all.
#[allow(clippy::print_stdout)]
pub(crate) async fn all(
    client: &Client,
    packages: &[Package],
    totals: &Totals,
) -> Result<(), AnyError> {
    let versions: BTreeMap<&str, &str> = packages
        .iter()
        .map(|package| (package.component_id.as_str(), package.version.as_str()))
        .collect();
    let needs = Needs::default();
    stream::iter(packages.iter().map(Ok::<_, AnyError>))
        .try_for_each_concurrent(CONCURRENCY, |package| async {
            one(client, package, totals).await?;
            dependencies(client, package, &versions, &needs, totals).await
        })
        .await?;
    let listed = listed(client).await?;
    for id in versions.keys().filter(|id| !listed.contains(**id)) {
        totals.mismatch(id, "is not in the list");
    }
    println!(
        "dependencies: {} satisfied, {} not, {} missing; {} components listed",
        needs.satisfied.load(Ordering::Relaxed),
        needs.unsatisfied.load(Ordering::Relaxed),
        needs.missing.load(Ordering::Relaxed),
        listed.len(),
    );
    Ok(())
}

async fn one(client: &Client, package: &Package, totals: &Totals) -> Result<(), AnyError> {
    let id = &package.component_id;
    let found = client.call::<Get>(GetParams { component_id: id.parse()? }).await?;
    if found.manifest.get() != package.manifest {
        totals.mismatch(id, "the manifest differs");
    }
    if found.name.as_str() != package.name || found.version.as_str() != package.version {
        totals.mismatch(id, "the name or the version differs");
    }
    let bytes = match found.blobs.get(&"tarball".parse()?) {
        Some(hash) => content(client, &package.tarball, hash, id, totals).await?,
        None => {
            totals.mismatch(id, "names no tarball");
            0
        }
    };
    totals.package(bytes + package.manifest.len() as u64);
    Ok(())
}

/// Compares a stored content with its file as both are read, and its hash with its address.
pub(crate) async fn content(
    client: &Client,
    path: &Path,
    hash: &BlobHash,
    whose: &str,
    totals: &Totals,
) -> Result<u64, AnyError> {
    let mut stored = client.get_blob(hash, ..).await?;
    let mut file = BufReader::new(tokio::fs::File::open(path).await?);
    let mut hasher = Sha256::new();
    let mut expected = Vec::new();
    let mut same = true;
    while let Some(chunk) = stored.next_chunk().await? {
        hasher.update(&chunk);
        expected.resize(chunk.len(), 0);
        same = same && file.read_exact(&mut expected).await.is_ok() && expected == chunk;
    }
    same = same && file.read(&mut [0]).await? == 0;
    let name = path.display();
    if !same {
        totals.mismatch(whose, &format!("{name} differs"));
    }
    if BlobHash::new(hasher.finalize().into()) != *hash {
        totals.mismatch(whose, &format!("the hash of {name} is not its address"));
    }
    Ok(stored.size())
}

/// Compares what the daemon says of each dependency with what the manifest and the index say.
async fn dependencies(
    client: &Client,
    package: &Package,
    versions: &BTreeMap<&str, &str>,
    needs: &Needs,
    totals: &Totals,
) -> Result<(), AnyError> {
    let manifest: Value = serde_json::from_str(&package.manifest)?;
    let wanted: BTreeMap<&str, &str> = manifest["dependencies"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(id, range)| Some((id.as_str(), range.as_str()?)))
        .collect();
    let params =
        DependenciesParams { component_id: package.component_id.parse()?, transitive: None };
    let found = client.call::<Dependencies>(params).await?;
    let named: BTreeSet<&str> = found.items.iter().map(|need| need.component_id.as_str()).collect();
    if named != wanted.keys().copied().collect() {
        totals.mismatch(&package.component_id, "has other dependencies than its manifest");
    }
    for need in &found.items {
        let id = need.component_id.as_str();
        let version = versions.get(id).copied();
        let range = wanted.get(id).copied();
        let fits = match (version.map(Version::parse), range.map(Range::parse)) {
            (Some(Ok(version)), Some(Ok(range))) => range.satisfies(&version),
            _ => false,
        };
        if need.missing != version.is_none()
            || need.installed_version.as_ref().map(|version| version.as_str()) != version
            || need.satisfied != fits
        {
            let requirement = range.unwrap_or("nothing");
            let what = format!("its need of {id} {requirement} is not as the index says");
            totals.mismatch(&package.component_id, &what);
        }
        match (need.missing, need.satisfied) {
            (true, _) => &needs.missing,
            (false, true) => &needs.satisfied,
            (false, false) => &needs.unsatisfied,
        }
        .fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// The ids of all components, page by page.
async fn listed(client: &Client) -> Result<BTreeSet<String>, AnyError> {
    let mut ids = BTreeSet::new();
    let mut params = ListParams {
        r#type: None,
        order_by: None,
        direction: None,
        limit: Some(Limit(50)),
        cursor: None,
    };
    loop {
        let page = client.call::<List>(params.clone()).await?;
        for Component { component_id, .. } in page.items {
            if !ids.insert(component_id.as_str().to_owned()) {
                return Err(format!("{component_id} stands twice in the list").into());
            }
        }
        match page.next_cursor {
            Some(cursor) => params.cursor = Some(cursor),
            None => return Ok(ids),
        }
    }
}
