//! Makes a small data root for `tests/open.rs`, with the phrase "abandon ... about" as its key.
//!
//! ```text
//! cargo run -p osnova-storage-core --example make_fixture -- crates/core/tests/fixtures/root-v3
//! ```
//!
//! A fixture that is checked in is never made anew; a new version of the database gets one of its
//! own, made by the program that wrote that version.

#![allow(clippy::print_stderr, reason = "a program for the command line")]

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use osnova_storage_api::ApiError;
use osnova_storage_api::components::{PutParams as PutComponent, TouchParams};
use osnova_storage_api::preferences::SetParams;
use osnova_storage_api::wire::WireObject;
use osnova_storage_core::blob::PutBlob;
use osnova_storage_core::clock::Clock;
use osnova_storage_core::db::blobs::Holding;
use osnova_storage_core::db::{components, preferences};
use osnova_storage_core::vault::keys::MasterKey;
use osnova_storage_core::{Caller, Scopes, Store, StoreOptions};

const PHRASE: &str =
    "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";

/// When everything in the fixture happens.
const THEN: i64 = 1_764_028_800;

struct StandingClock;

impl Clock for StandingClock {
    fn now(&self) -> i64 {
        THEN
    }

    fn monotonic_ms(&self) -> u64 {
        0
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let Some(root) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: make_fixture NEW_FOLDER");
        std::process::exit(2);
    };
    if root.exists() {
        return Err("the folder exists: a fixture is never made anew".into());
    }
    let mut options = StoreOptions::new(root.clone());
    options.clock = Arc::new(StandingClock);
    let store = Store::open(options)?;
    store.unlock(MasterKey::from_phrase(PHRASE)?)?;
    fill(&store)?;
    // Leaves all of the WAL in the database, so that what is beside it says nothing.
    store.close();
    drop(store);
    for of_the_run in ["run", "blobs/.tmp"] {
        std::fs::remove_dir(root.join(of_the_run))?;
    }
    for of_the_run in [".lock", "osnova.db-wal", "osnova.db-shm"] {
        std::fs::remove_file(root.join(of_the_run))?;
    }
    Ok(())
}

fn fill(store: &Store) -> Result<(), Box<dyn Error>> {
    let program = put(store, &Caller::Owner, b"the program of the clock", None, true)?;
    put_component(
        store,
        r#"{"component":{"componentId":"@example/weather","name":"Weather","version":"2.1.0",
            "type":"frontend","manifest":{}}}"#,
    )?;
    put_component(
        store,
        &format!(
            r#"{{"component":{{"componentId":"org.example.clock","name":"Clock","version":"1.0.2",
               "type":"backend","description":"Tells the time","blobs":{{"binary":"{program}"}},
               "manifest":{{ "dependencies" : {{"@example/weather":"^2.1"}} }}}}}}"#
        ),
    )?;
    let used = r#"{"componentId":"org.example.clock","usedAt":1764030000}"#;
    store.touch_component(&Caller::Owner, &params::<TouchParams>(used)?)?;

    let theme: SetParams =
        params(r#"{"key":"ui.theme","value":{ "name":"dark", "contrast":1.50 }}"#)?;
    store.db().write(64, move |tx| preferences::set(tx, &Caller::Owner, &theme))?;

    let weather = Caller::Component { id: "@example/weather".parse()?, scopes: Scopes::All };
    let pixels: Vec<u8> = (0..100_000_u32).map(|at| (at * 7 % 251).to_le_bytes()[0]).collect();
    put(store, &weather, &pixels, Some("image/png"), true)?;
    put(store, &weather, b"held by nobody for long", None, false)?;
    Ok(())
}

fn params<T: WireObject>(text: &str) -> Result<T, ApiError> {
    T::from_params(Some(text)).map_err(ApiError::from)
}

fn put_component(store: &Store, text: &str) -> Result<(), Box<dyn Error>> {
    let component: PutComponent = params(text)?;
    store.db().write(1024, move |tx| components::put(tx, &Caller::Owner, &component))?;
    Ok(())
}

fn put(
    store: &Store,
    caller: &Caller,
    mut content: &[u8],
    content_type: Option<&str>,
    pinned: bool,
) -> Result<String, Box<dyn Error>> {
    let content_type = content_type.map(str::parse).transpose()?;
    let holding = Holding { name: None, content_type, metadata: None, pinned };
    let put = PutBlob { holding, expected_hash: None, length: None };
    let keys = store.vault().keys()?;
    let stored = store.blobs().put(store.db(), &keys, caller, &mut content, &put)?;
    Ok(stored.hash.to_string())
}
